"""Every line of code in docs/clients.md is a line of a script that runs here, in its order."""

import re

import pytest

from tests.gateway.clients.conftest import HERE, ROOT

BLOCK = re.compile(r"^```\w+ (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
ADDRESSES = {'"http://127.0.0.1:7700/v1"': "URL", '"http://127.0.0.1:7700"': "URL", '"noria_…"': "KEY"}
BLOCKS = BLOCK.findall(PAGE)


def test_every_script_is_on_the_page() -> None:
    scripts = {path.name for path in HERE.glob("use_*.py")} | {"node/openai.mjs", "node/ai_sdk.mjs"}
    assert {script for script, _ in BLOCKS} == scripts
    assert PAGE.count("```") == 2 * len(BLOCKS)


@pytest.mark.parametrize(("script", "block"), BLOCKS, ids=[script for script, _ in BLOCKS])
def test_a_block_is_in_its_script(script: str, block: str) -> None:
    for written, runs in ADDRESSES.items():
        block = block.replace(written, runs)
    lines = iter([line.strip() for line in (HERE / script).read_text(encoding="utf-8").splitlines()])
    missing = [line for line in block.splitlines() if line and line.strip() not in lines]  # goes on where it found one
    assert missing == []
