"""OpenAI's own client, unmodified, against answers and streams that were translated from chat, over loopback."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from noria.core.errors import ProviderFailed
from noria.gateway.dialects import embeddings
from noria.gateway.dialects.responses import Responses

RESPONSES = Responses()
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


class Weather(BaseModel):
    city: str
    rain: bool


class GetWeather(BaseModel):
    """Looks up the weather."""

    city: str


class Front(BaseHTTPRequestHandler):
    """Answers as a gateway would whose chat provider said what the model's name asks."""

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/v1/embeddings":
            embeddings.check(body)
            data = [{"embedding": [0.5, -1.25]} for _ in embeddings.inputs(body)]
            self._send("application/json", json.dumps(embeddings.answer({"data": data, "usage": {}}, body)).encode())
            return
        RESPONSES.check(body)
        chat = RESPONSES.to_chat(body)
        message = _message(body["model"], chat)
        if body.get("stream"):
            self._send("text/event-stream", _streamed(message, body))
        else:
            choice = {
                "index": 0,
                "message": message,
                "finish_reason": "tool_calls" if "tool_calls" in message else "stop",
            }
            answer = {"model": "served", "created": 1, "choices": [choice], "usage": USAGE}
            self._send("application/json", json.dumps(RESPONSES.answer(answer, body)).encode())

    def _send(self, kind: str, data: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _message(mode: str, chat: dict[str, Any]) -> dict[str, Any]:
    if mode == "json":
        assert chat["response_format"]["json_schema"]["strict"] is True
        return {"content": '{"city": "Seoul", "rain": true}'}
    if mode == "tool":
        name = chat["tools"][0]["function"]["name"]
        calls = [
            {
                "index": n,
                "id": f"call_{n}",
                "type": "function",
                "function": {"name": name, "arguments": f'{{"city": "{city}"}}'},
            }
            for n, city in enumerate(("Seoul", "Busan"))
        ]
        return {"content": "Let me look.", "reasoning_content": "hm", "tool_calls": calls}
    return {"content": "Good morning, all.", "reasoning_content": "A greeting."}


def _streamed(message: dict[str, Any], body: dict[str, Any]) -> bytes:
    """The message in pieces, as chat servers stream it."""
    writer = RESPONSES.writer(body, include_usage=False)
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": letter} for letter in message.get("reasoning_content", "")]
    deltas += [{"content": message["content"][at : at + 4]} for at in range(0, len(message["content"]), 4)]
    for call in message.get("tool_calls", ()):
        arguments = call["function"]["arguments"]
        deltas.append({"tool_calls": [{**call, "function": {**call["function"], "arguments": ""}}]})
        pieces = [arguments[:5], arguments[5:]]
        deltas += [{"tool_calls": [{"index": call["index"], "function": {"arguments": piece}}]} for piece in pieces]
    told = b""
    for number, delta in enumerate(deltas):
        told += writer.write({"model": "served", "created": 1, "choices": [{"index": 0, "delta": delta}]})
        if body["model"] == "break" and number == 3:
            return told + writer.fail(ProviderFailed("The provider broke off."))
    finish = "tool_calls" if "tool_calls" in message else "stop"
    told += writer.write({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    return told + writer.write({"choices": [], "usage": USAGE}) + writer.end()


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with openai.OpenAI(base_url=f"http://127.0.0.1:{server.server_address[1]}/v1", api_key="k", max_retries=0) as made:
        yield made
    server.shutdown()
    server.server_close()
    thread.join()


def test_create(client: openai.OpenAI) -> None:
    response = client.responses.create(model="ok", input="hi", instructions="Be brief.")
    assert response.output_text == "Good morning, all."
    assert response.usage is not None and response.usage.total_tokens == 10
    assert response.status == "completed"


def test_parse(client: openai.OpenAI) -> None:
    response = client.responses.parse(model="json", input="hi", text_format=Weather)
    assert response.output_parsed == Weather(city="Seoul", rain=True)


def test_parse_calls(client: openai.OpenAI) -> None:
    tool: Any = {"type": "function", **openai.pydantic_function_tool(GetWeather)["function"]}
    response = client.responses.parse(model="tool", input="hi", tools=[tool])
    calls = [item for item in response.output if item.type == "function_call"]
    assert [call.parsed_arguments for call in calls] == [{"city": "Seoul"}, {"city": "Busan"}]


def test_the_accumulator_of_streams_is_satisfied(client: openai.OpenAI) -> None:
    with client.responses.stream(model="json", input="hi", text_format=Weather) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert final.output_parsed == Weather(city="Seoul", rain=True)
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"


def test_streamed_calls(client: openai.OpenAI) -> None:
    snapshots: list[str] = []
    tool: Any = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": True}
    with client.responses.stream(model="tool", input="hi", tools=[tool]) as stream:
        for event in stream:
            if event.type == "response.function_call_arguments.delta":
                snapshots.append(event.snapshot)
        final = stream.get_final_response()
    assert snapshots[-1] == '{"city": "Busan"}'
    assert [item.type for item in final.output] == ["reasoning", "message", "function_call", "function_call"]
    assert [item.parsed_arguments for item in final.output if item.type == "function_call"] == [
        {"city": "Seoul"},
        {"city": "Busan"},
    ]


def test_raw_stream(client: openai.OpenAI) -> None:
    events = list(client.responses.create(model="ok", input="hi", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (
        "".join(event.delta for event in events if event.type == "response.output_text.delta") == "Good morning, all."
    )


def test_a_stream_that_breaks_off_is_an_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError, match="broke off"):
        list(client.responses.create(model="break", input="hi", stream=True))


def test_a_conversation_is_sent_back(client: openai.OpenAI) -> None:
    first = client.responses.create(
        model="tool", input="hi", tools=[{"type": "function", "name": "f", "parameters": {}, "strict": False}]
    )
    history: Any = [item.model_dump(mode="json") for item in first.output]
    history += [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "rain"}
        for item in history
        if item["type"] == "function_call"
    ]
    again = client.responses.create(model="ok", input=history)
    assert again.output_text == "Good morning, all."


def test_embeddings_in_the_encoding_that_the_client_asks_for_unasked(client: openai.OpenAI) -> None:
    assert client.embeddings.create(model="e", input=["a", "b"]).data[1].embedding == [0.5, -1.25]
    assert client.embeddings.create(model="e", input=[[1, 2]], encoding_format="float").data[0].embedding == [
        0.5,
        -1.25,
    ]
