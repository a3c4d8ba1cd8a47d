# `make demo` and `make test` set everything up and run; ARGS passes options on, e.g. make test ARGS="-k journal".
.DEFAULT_GOAL := help
.PHONY: help demo test up check bench fuzz lock

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/	/'

demo: ## Set up, then run one trip through the whole loop
	@scripts/setup.sh full
	@.venv/bin/noria demo $(ARGS)

up: ## Set up, then start Noria
	@scripts/setup.sh full
	@.venv/bin/noria up $(ARGS)

test: ## Set up, then run all checks and tests
	@scripts/setup.sh dev
	@scripts/test.sh $(ARGS)

check: ## Formatting, types, import contract, sizes (a part of `make test`)
	@scripts/setup.sh dev
	@scripts/check.sh

bench: ## Run benchmarks/$(NAME).py; its last line is one JSON object
	@scripts/setup.sh dev
	@.venv/bin/python benchmarks/$(NAME).py $(ARGS)

fuzz: ## A longer fuzz run of the gateway: make fuzz EXAMPLES=5000
	@scripts/setup.sh dev
	@scripts/clients.sh
	@NORIA_FUZZ_EXAMPLES=$(or $(EXAMPLES),1000) .venv/bin/python -m pytest --timeout=0 tests/gateway/clients/test_fuzz.py $(ARGS)

lock: ## Rewrite requirements/*.txt after a change of dependencies
	@scripts/lock.sh
