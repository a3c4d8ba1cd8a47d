"""ClickHouse's HTTP protocol over the embedded engine, as far as its clients use it.

In come requests with HTTP Basic authentication (or ClickHouse's own headers): `query` and body, `param_*`, settings, bodies
compressed with gzip, deflate, lz4 or zstd; out go results in the asked format, and errors with X-ClickHouse-Exception-Code.
Answers are never compressed: this front is for loopback.
"""

import base64
import binascii
import email.policy
import gzip
import hmac
import json
import logging
import re
import time
import zlib
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from noria.stores.embedded.engine import Engine, EngineError

logger = logging.getLogger("noria.store")

USER: Final = "noria"
_MOST: Final = 512 * 1024 * 1024
_NOT_SETTINGS: Final = frozenset(
    {"query", "database", "default_format", "query_id", "quota_key", "role", "user", "password"}
    | {"session_id", "session_timeout", "session_check", "wait_end_of_query", "buffer_size", "client_protocol_version"}
    | {"compress", "decompress", "enable_http_compression", "send_progress_in_http_headers"}
    | {"http_headers_progress_interval_ms", "cancel_http_readonly_queries_on_client_close"}
)
"""Parameters of the protocol; all others but param_* are settings of the engine."""
_INSERT: Final = re.compile(
    rb"\s*(INSERT\s+INTO\s+[^()]+?(?:\([^)]*\))?(?:\s+SETTINGS\s[^\n]*?)?)\s+FORMAT\s+(\w+)\s*?(?:\n|\Z)", re.I
)
_HOSTS: Final = frozenset({"127.0.0.1", "localhost"})
_STATUS: Final = {516: 401, 60: 404, 81: 404, 62: 400, 47: 400, 241: 500}


class Front(ThreadingHTTPServer):
    """Listens on loopback at a port that the system chooses."""

    daemon_threads = True

    def __init__(self, engine: Engine, password: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.engine = engine
        self.password = password
        self.last_used = time.monotonic()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.debug("A caller went away.", exc_info=True)


class _Refused(Exception):
    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {message}")
        self.status = status
        self.code = code


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Front

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self._guarded(lambda: self._answer(200, b"Ok.\n"))
        else:
            self._guarded(self._run)

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: their addresses carry parameters, and those can be a person's data."""

    def _guarded(self, act: Any) -> None:
        try:
            body = self._body()
            self._refuse_browsers()
            self._authenticate()
            self._payload = body
            act()
        except (_Refused, EngineError) as error:
            status = error.status if isinstance(error, _Refused) else _STATUS.get(error.code, 500)
            headers = {"X-ClickHouse-Exception-Code": str(error.code)}
            self._answer(status, f"{error}\n".encode(), headers)
        finally:
            self.server.last_used = time.monotonic()

    def _refuse_browsers(self) -> None:
        """A page of another site that found this port: its browser sends Origin, or a Host that some name was pointed here for."""
        host = self.headers.get("Host") or ""
        name = host.rpartition(":")[0] or host
        if self.headers.get("Origin") is not None or name not in _HOSTS:
            raise _Refused(403, 497, "Only clients on this machine are answered, by its address. (ACCESS_DENIED)")

    def _authenticate(self) -> None:
        scheme, _, credentials = self.headers.get("Authorization", "").partition(" ")
        name, password = self.headers.get("X-ClickHouse-User", ""), self.headers.get("X-ClickHouse-Key", "")
        if scheme.lower() == "basic":
            try:
                name, _, password = base64.b64decode(credentials).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                name = ""
        if name != USER or not hmac.compare_digest(password.encode(), self.server.password.encode()):
            raise _Refused(401, 516, f"{USER}: Authentication failed: password is incorrect. (AUTHENTICATION_FAILED)")

    def _body(self) -> bytes:
        """All of the request's body as it was sent; read before anything else so that the connection can be used on."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            chunks = []
            total = 0
            while size := int(self.rfile.readline(100).split(b";")[0], 16):
                total += size
                self._check_size(total)
                chunks.append(self.rfile.read(size))
                self.rfile.readline(10)
            while self.rfile.readline(65536).strip():
                pass
            return b"".join(chunks)
        length = int(self.headers.get("Content-Length") or 0)
        self._check_size(length)
        return self.rfile.read(length) if length else b""

    def _check_size(self, size: int) -> None:
        if size > _MOST:
            self.close_connection = True
            raise _Refused(413, 307, f"The request is larger than {_MOST} bytes. (TOO_MANY_BYTES)")

    def _run(self) -> None:
        given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = _decompressed(self._payload, self.headers.get("Content-Encoding", ""))
        kind = self.headers.get("Content-Type", "")
        if kind.startswith(("multipart/form-data", "application/x-www-form-urlencoded")):
            given.update(_form(body, kind))
            body = b""
        parameters = {name[6:]: value for name, value in given.items() if name.startswith("param_")}
        settings = {k: v for k, v in given.items() if k not in _NOT_SETTINGS and not k.startswith("param_")}
        database = given.get("database") or self.headers.get("X-ClickHouse-Database") or ""
        query = given.get("query", "").encode()
        statement = query + b"\n" + body if query else body
        if (found := _INSERT.match(statement)) is not None:
            rows = self.server.engine.insert(
                found[1].decode(),
                form=found[2].decode(),
                data=statement[found.end() :],
                settings=settings,
                database=database,
            )
            self._answer(200, b"", {"X-ClickHouse-Summary": json.dumps({"written_rows": str(rows)})})
            return
        form = given.get("default_format") or "TabSeparated"
        result = self.server.engine.query(
            statement.decode(errors="replace"), form=form, parameters=parameters, settings=settings, database=database
        )
        self._answer(200, result, {"X-ClickHouse-Timezone": "UTC"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _decompressed(body: bytes, encoding: str) -> bytes:
    try:
        match encoding.lower():
            case "" | "identity":
                return body
            case "gzip":
                return gzip.decompress(body)
            case "deflate":
                return zlib.decompress(body)
            case "lz4":
                import lz4.frame  # type: ignore[import-untyped]

                return bytes(lz4.frame.decompress(body))
            case "zstd":
                from backports import zstd

                return bytes(zstd.decompress(body))
            case _:
                raise _Refused(400, 89, f"Unknown compression method {encoding!r}. (UNKNOWN_COMPRESSION_METHOD)")
    except (OSError, EOFError, RuntimeError, ValueError, zlib.error) as error:
        raise _Refused(400, 271, f"The body is not {encoding}: {error}. (CANNOT_DECOMPRESS)") from error


def _form(body: bytes, kind: str) -> dict[str, str]:
    """The fields of a form; clients send one when parameters are too long for the address."""
    if kind.startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(body.decode(), keep_blank_values=True))
    message = BytesParser(policy=email.policy.HTTP).parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    fields = {}
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        fields[str(part.get_param("name", header="content-disposition"))] = bytes(content or b"").decode()
    return fields
