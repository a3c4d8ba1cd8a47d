"""The real llama.cpp server with the packaged model: what the gateway and evaluations rely on."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from noria.core.settings import load
from tests.serving.model_files import base_model, random_adapter
from tests.serving.running import complete, keeping, text, wanted

pytestmark = pytest.mark.model

PROMPTS = (
    "user: I need a hotel in Paris for two nights\ncall:",
    "user: Please book a bus from Long Beach to San Diego\ncall:",
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One engine of the base model for the tests that only ask."""
    settings = load({}, data=tmp_path_factory.mktemp("engine"))
    with keeping(settings, wanted(base=(base_model(), None))) as urls:
        yield urls["base"]


def test_completes_and_counts_tokens(url: str) -> None:
    answer = complete(url, "The capital of France is", max_tokens=5)
    assert answer["usage"]["prompt_tokens"] == 6  # with the beginning-of-sequence token
    assert answer["usage"]["completion_tokens"] == 5


def test_streams_with_usage_in_the_last_chunk(url: str) -> None:
    body = {"prompt": "One, two,", "max_tokens": 4, "stream": True, "stream_options": {"include_usage": True}}
    with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=60) as answer:
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    assert json.loads(lines[-2])["usage"]["completion_tokens"] == 4


def test_grammar_binds_the_answer(url: str) -> None:
    grammar = 'root ::= "{\\"name\\":\\"" [a-z]+ "\\"}"'
    assert set(json.loads(text(url, PROMPTS[0], grammar=grammar, max_tokens=40))) == {"name"}


def test_a_wrong_grammar_is_refused(url: str) -> None:
    answer = httpx.post(f"{url}/v1/completions", json={"prompt": "x", "grammar": "root ::= (("}, timeout=60)
    assert answer.status_code == 400


def test_a_shared_prefix_is_computed_once(url: str) -> None:
    prefix = "These are examples of calls. " * 40
    complete(url, prefix + PROMPTS[0])
    again = complete(url, prefix + PROMPTS[1])
    assert again["usage"]["prompt_tokens_details"]["cached_tokens"] > 200


def test_gives_no_page_and_no_other_origin(url: str) -> None:
    assert httpx.get(url).status_code == 404
    headers = httpx.get(f"{url}/health", headers={"origin": "http://elsewhere.example"}).headers
    assert headers.get("access-control-allow-origin") != "http://elsewhere.example"


def test_no_release_answers_from_another_adapters_cache(tmp_path: Path) -> None:
    """llama.cpp's cache does not know adapters. Asked in turns, each engine must say what a fresh one says."""
    model = base_model()
    one, two = (random_adapter(tmp_path / f"{seed}.gguf", seed=seed) for seed in (1, 2))
    snapshot = wanted(base=(model, None), one=(model, one), two=(model, two))
    turns = [(key, prompt) for _ in range(2) for prompt in PROMPTS for key in ("base", "one", "two")]
    with keeping(load({}, data=tmp_path / "turns"), snapshot) as urls:
        mixed = [text(urls[key], prompt, max_tokens=6) for key, prompt in turns]
    # A fresh engine is asked in the same order: a prefix from its own cache moves the last digits of a number.
    fresh: dict[str, list[str]] = {}
    for key in ("base", "one", "two"):
        alone = wanted(**{key: (model, {"base": None, "one": one, "two": two}[key])})
        with keeping(load({}, data=tmp_path / f"fresh-{key}"), alone) as urls:
            fresh[key] = [text(urls[key], prompt, max_tokens=6) for asked, prompt in turns if asked == key]
    assert {key: [mixed[i] for i, turn in enumerate(turns) if turn[0] == key] for key in fresh} == fresh
    assert len({tuple(answers) for answers in fresh.values()}) == 3, (
        "the adapters change nothing, so nothing was tested"
    )
