"""The real llama.cpp server speaks this dialect too: it takes our requests, and we read its answers, streams and counts."""

from collections.abc import Iterator

import httpx
import pytest

from noria.core.settings import load
from noria.gateway import usage
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.messages import COUNT_PATH, PATH, Messages, count_request, headers
from tests.gateway.dialects.messages_fixtures import assembled, events, read, write
from tests.serving.model_files import base_model
from tests.serving.running import keeping, wanted

pytestmark = pytest.mark.model

MESSAGES = Messages()
CHAT = {
    "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Say hello in one word."}],
    "max_completion_tokens": 8,
    "temperature": 0,
    "stop": "\n\n\n",
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = load({}, data=tmp_path_factory.mktemp("engine"))
    with keeping(settings, wanted(base=(base_model(), None))) as urls:
        yield f"{urls['base']}/v1"


def ask(url: str, path: str, body: Json) -> httpx.Response:
    answer = httpx.post(url + path, json={**body, "model": "base"}, headers=headers(""), timeout=60)
    assert answer.status_code == 200, answer.text
    return answer


def test_whole_streamed_and_counted_agree(url: str) -> None:
    request = MESSAGES.from_chat(CHAT)
    whole = MESSAGES.to_answer(ask(url, PATH, request).json())
    reader = MESSAGES.reader()
    chunks = read(reader, events(ask(url, PATH, {**request, "stream": True}).content))
    streamed = usage.streamed(chunks)
    assert reader.done
    assert streamed.messages[0]["content"] == whole["choices"][0]["message"]["content"]
    assert streamed.finish_reason == whole["choices"][0]["finish_reason"] == "length"
    assert (streamed.usage.input, streamed.usage.output) == (whole["usage"]["prompt_tokens"], 8)
    counted = ask(url, COUNT_PATH, count_request(request)).json()
    assert counted == {"input_tokens": whole["usage"]["prompt_tokens"]}
    told = assembled(write(MESSAGES.writer({}, include_usage=True), chunks))
    assert told["content"] == MESSAGES.answer(whole, {})["content"]


def test_its_chat_takes_what_only_anthropic_has_a_word_for(url: str) -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    request = {
        "max_tokens": 4,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "system": [{"type": "text", "text": "Be short.", **mark}, {"type": "text", "text": "Be kind."}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "When is it?", **mark}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "now", "input": {}}]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "a", "content": "1", "is_error": True}],
            },
        ],
        "tools": [{"name": "now", "input_schema": {"type": "object"}, **mark}],
    }
    MESSAGES.check(request)
    answer = ask(url, "/chat/completions", MESSAGES.to_chat(request)).json()
    assert MESSAGES.answer(answer, {})["usage"]["output_tokens"] == 4
