"""A gateway to test against: a real HTTP server that checks keys in the records' database, and answers as told."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from noria.governance import keys
from noria.governance import service as governance
from noria.stores.connect import Stores


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as the gateway saw it."""

    model: str
    text: str
    row: str
    body: dict[str, Any]


@dataclass(slots=True)
class Said:
    """One answer."""

    text: str = ""
    status: int = 200
    finish_reason: str = "stop"
    code: str = "provider_error"
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None


class StandInGateway:
    """Serves on a free port until closed. `answer` may be replaced at any time."""

    def __init__(self) -> None:
        self.answer: Callable[[Asked], Said] = lambda asked: Said(asked.text)
        self.wake: Callable[[Asked], Said] = lambda asked: Said(".")
        self.stores: Stores | None = None
        self.asked: list[Asked] = []
        self.woken: list[Asked] = []
        """Requests that were no row's."""
        self.most_at_once = 0
        self._now = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                asked = Asked(body["model"], body["messages"][-1]["content"], self.headers.get("x-noria-row", ""), body)
                with outer._lock:
                    outer._now += 1
                    outer.most_at_once = max(outer.most_at_once, outer._now)
                try:
                    said = outer._checked(asked, self.headers.get("authorization", ""))
                finally:
                    with outer._lock:
                        outer._now -= 1
                payload = said.raw if said.raw is not None else outer._payload(said)
                self.send_response(said.status)
                headers = {"content-type": "application/json", "x-noria-trace-id": f"trace-{asked.row}"}
                for name, value in {**headers, **said.headers, "content-length": str(len(payload))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Callers may leave in the middle; some of these tests want that."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def _checked(self, asked: Asked, authorization: str) -> Said:
        (self.asked if asked.row else self.woken).append(asked)
        if self.stores is not None:
            with self.stores.database.read() as connection:
                known = {key.digest: key for key in governance.gateway_keys(connection)}
            key = known.get(keys.digest(authorization.removeprefix("Bearer ")))
            if key is None or key.release != asked.model or key.live:
                return Said("The key is not valid.", 401, code="unauthenticated")
        return self.answer(asked) if asked.row else self.wake(asked)

    def _payload(self, said: Said) -> bytes:
        if said.status != 200:
            return json.dumps({"error": {"message": said.text, "type": "x", "code": said.code}}).encode()
        message = {"role": "assistant", "content": said.text}
        choice = {"index": 0, "message": message, "finish_reason": said.finish_reason}
        usage = {"prompt_tokens": 20, "completion_tokens": len(said.text)}
        return json.dumps({"choices": [choice], "usage": usage}).encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
