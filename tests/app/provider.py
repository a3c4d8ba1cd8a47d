"""A real provider on loopback that speaks OpenAI's completions: it knows the right answers, and how often each model gives them.

`model="good"` is right nine times in ten, `model="poor"` three times in ten, always for the same questions. `down` makes it
refuse, `delay` makes it slow.
"""

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RIGHT = {"good": 0.9, "poor": 0.3}
WRONG = '{"name":"TalkToPerson"}'


class Provider:
    """Serves until `close`; `calls` counts requests."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers
        self.calls = 0
        self.down = False
        self.delay = 0.0
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                provider.calls += 1
                if provider.down:
                    self._json(503, {"error": {"message": "down", "type": "server_error", "code": None, "param": None}})
                    return
                time.sleep(provider.delay)
                text = provider.answer(body)
                if body.get("stream"):
                    self._stream(body, text)
                else:
                    self._json(200, _whole(body, text))

            def _json(self, status: int, document: Any) -> None:
                data = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def _stream(self, body: dict[str, Any], text: str) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for event in _events(body, text):
                    data = f"data: {event}\n\n".encode()
                    self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                self.wfile.write(b"0\r\n\r\n")

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that was killed is no error of ours."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def answer(self, body: dict[str, Any]) -> str:
        """The right answer to the last thing the customer said, or a wrong one."""
        if "messages" in body:
            asked = str(body["messages"][-1]["content"])
        else:
            asked = next((q for q in self.answers if q in body["prompt"].rpartition("user: ")[2]), "")
        luck = hashlib.sha256(asked.encode("utf-8", "replace")).digest()[0] / 256
        return self.answers.get(asked, WRONG) if luck < RIGHT.get(body.get("model", ""), 1.0) else WRONG

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


USAGE = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42}


def _whole(body: dict[str, Any], text: str) -> dict[str, Any]:
    shape: dict[str, Any] = {"id": "r", "created": 1, "model": body["model"], "usage": USAGE}
    if "messages" in body:
        message = {"role": "assistant", "content": text}
        return shape | {
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }
    return shape | {"object": "text_completion", "choices": [{"index": 0, "text": text, "finish_reason": "stop"}]}


def _events(body: dict[str, Any], text: str) -> list[str]:
    chat = "messages" in body
    shape = {
        "id": "r",
        "created": 1,
        "model": body["model"],
        "object": "chat.completion.chunk" if chat else "text_completion",
    }
    half = len(text) // 2
    events = []
    for piece, reason in ((text[:half], None), (text[half:], None), ("", "stop")):
        choice = {"delta": {"content": piece}} if chat else {"text": piece}
        events.append(shape | {"choices": [choice | {"index": 0, "finish_reason": reason}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        events.append(shape | {"choices": [], "usage": USAGE})
    return [*(json.dumps(event) for event in events), "[DONE]"]
