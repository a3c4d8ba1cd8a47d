"""The gateway as an ASGI application: which path leads where, start and end of the process.

In: settings. Out: `Gateway`, to be run by uvicorn with lifespan on. The decision to know: no framework; a request costs
one dictionary look-up before its own work begins.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from noria.core.errors import NoriaError, NotFound
from noria.core.ids import new_trace_id
from noria.core.settings import Settings
from noria.gateway import metrics
from noria.gateway.access import authenticate, callable_names
from noria.gateway.ask import Headers
from noria.gateway.cache import AnswerCache
from noria.gateway.calls import Calls
from noria.gateway.catalog import Watcher
from noria.gateway.client import Client
from noria.gateway.conversations import RESPONSES, Conversations
from noria.gateway.count import Counting
from noria.gateway.dialects import openai
from noria.gateway.dialects.base import CallerDialect
from noria.gateway.dialects.chat import CHAT
from noria.gateway.dialects.embeddings import Embeddings
from noria.gateway.dialects.messages import Messages
from noria.gateway.dialects.text import TEXT
from noria.gateway.guard import Receive, Times
from noria.gateway.guardrails.run import Guardrails
from noria.gateway.limits import Limiter
from noria.gateway.metrics import Metrics
from noria.gateway.reply import Send, send_body, send_error, send_json
from noria.gateway.request import RequestPath
from noria.gateway.resolver import Resolver
from noria.gateway.response_store import ResponseStore
from noria.gateway.spans import Recorder
from noria.gateway.steps import Steps
from noria.gateway.tape import Tapes
from noria.gateway.upstream import Upstream
from noria.stores.cache import open_cache
from noria.stores.counters import open_counters

_log = logging.getLogger("noria.gateway")
EMBEDDINGS, MESSAGES = Embeddings(), Messages()
_PURGE_SECONDS = 3_600
_OTLP = frozenset({"/v1/traces", "/v1/logs", "/v1/metrics"})
Handler = Callable[[str, Headers, Receive, Send], Awaitable[None]]


class _WrongMethod(NoriaError):
    status = 405
    code = "method_not_allowed"


class Gateway:
    """The whole data plane; state lives from lifespan startup to shutdown."""

    def __init__(self, settings: Settings, *, metrics: Metrics, ready: Callable[[], None] = lambda: None) -> None:
        """`ready` is called once requests can be answered."""
        self._settings = settings
        self._ready = ready
        self._watcher = Watcher(settings)
        self._metrics = metrics
        self._path: RequestPath
        self._dialects: dict[str, CallerDialect] = {
            "/v1/chat/completions": CHAT,
            "/v1/completions": TEXT,
            "/v1/embeddings": EMBEDDINGS,
            "/v1/responses": RESPONSES,
            "/v1/messages": MESSAGES,
        }
        self.routes: dict[str, tuple[str, Handler]] = {
            **dict.fromkeys(self._dialects, ("POST", self._answer)),
            "/v1/messages/count_tokens": ("POST", self._count_tokens),
            "/v1/models": ("GET", self._models),
            "/healthz": ("GET", self._healthz),
            "/readyz": ("GET", self._readyz),
            "/metrics": ("GET", self._metrics_text),
            "/openapi.json": ("GET", self._openapi),
        }

    async def __call__(self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        path: str = scope["path"]
        try:
            method, handler = self.routes.get(path) or self._other(path, scope["method"])
            if scope["method"] != method and not (method == "GET" and scope["method"] == "HEAD"):
                method = "GET, DELETE" if handler == self._conversations.fetch else method
                raise _WrongMethod(f"{path[:100]} is called by {method}.")
            await handler(path, dict(scope["headers"]), Receive(receive, scope.get("noria.connection")), send)
        except NoriaError as error:
            extra = [(b"allow", method.encode())] if isinstance(error, _WrongMethod) else []
            dialect, request_id = self._dialect_of(path), new_trace_id()
            extra.append((dialect.request_id_header, request_id.encode()))
            await send_error(send, error, dialect, request_id, extra)

    def _dialect_of(self, path: str) -> CallerDialect:
        """Whose shape the errors of a path have."""
        return MESSAGES if path.startswith("/v1/messages/") else self._dialects.get(path, CHAT)

    def _other(self, path: str, method: str) -> tuple[str, Handler]:
        if path.startswith("/v1/models/"):
            return "GET", self._model
        if path.startswith("/v1/responses/"):
            if method == "DELETE":
                return "DELETE", self._conversations.delete
            return "GET", self._conversations.fetch
        if path in _OTLP:
            raise NotFound(
                "The gateway takes no OpenTelemetry data.", hint=f"Send it to {self._settings.server_url}{path}."
            )
        raise NotFound("There is nothing at this path.", hint="The gateway serves /v1/chat/completions and its kin.")

    async def _answer(self, path: str, headers: Headers, receive: Receive, send: Send) -> None:
        await self._path.answer(headers, self._dialects[path], receive, send)

    async def _count_tokens(self, path: str, headers: Headers, receive: Receive, send: Send) -> None:
        await self._counting.answer(headers, receive, send)

    async def _models(self, path: str, headers: Headers, receive: Receive, send: Send) -> None:
        await send_json(send, 200, openai.model_list(self._callable(headers)))

    async def _model(self, path: str, headers: Headers, receive: Receive, send: Send) -> None:
        name = path.removeprefix("/v1/models/")
        if name not in self._callable(headers):
            raise NotFound(f"This key can call no endpoint {name[:100]!r}.", code="model_not_found")
        await send_json(send, 200, orjson.dumps(openai.model(name)))

    def _callable(self, headers: Headers) -> list[str]:
        snapshot = self._watcher.current().snapshot
        return callable_names(snapshot, authenticate(snapshot, headers))

    async def _openapi(self, path: str, headers: Headers, receive: Receive, send: Send) -> None:
        """What this gateway serves, for generated clients and fuzzers."""
        from noria.gateway import openapi

        await send_json(send, 200, openapi.document(self.routes))

    async def _healthz(self, path: str, headers: Headers, receive: Receive, send: Send) -> None:
        """The process lives."""
        await send_json(send, 200, b'{"status":"ok"}')

    async def _readyz(self, path: str, headers: Headers, receive: Receive, send: Send) -> None:
        """The process can answer requests: it has a snapshot that is fresh enough, and room for spans.

        It looks at the snapshot first, so who has just published one knows from the answer that it serves.
        """
        self._watcher.refresh()
        snapshot = self._watcher.current().snapshot
        self._recorder.check()
        await send_json(send, 200, orjson.dumps({"status": "ready", "version": snapshot.version}))

    async def _metrics_text(self, path: str, headers: Headers, receive: Receive, send: Send) -> None:
        """Prometheus's text, of the project whose key asks."""
        key = authenticate(self._watcher.current().snapshot, headers)
        await send_body(send, 200, metrics.CONTENT_TYPE, self._metrics.text(key.project_id))

    async def _share_metrics(self) -> None:
        while True:
            self._metrics.share()
            await asyncio.sleep(1.0)

    async def _purge(self) -> None:
        while True:
            await asyncio.to_thread(self._conversations.purge)
            await asyncio.sleep(_PURGE_SECONDS)

    async def _lifespan(self, receive: Callable[[], Awaitable[Any]], send: Send) -> None:
        await receive()
        settings = self._settings
        self._recorder = Recorder(settings.folder.journal / "gateway", self._metrics, settings.journal_reserve_bytes)
        self._counters = open_counters(settings)
        tapes = Tapes(settings.folder)
        tapes.sweep()
        resolver = Resolver(allow_private=settings.allow_private_providers)
        client = Client(resolver, connect_timeout=settings.provider_connect_timeout)
        upstream = Upstream(client)
        steps = Steps(client)
        times = Times.of(settings)
        self._conversations = Conversations(self._watcher, upstream, ResponseStore(settings.folder.responses), times)
        self._path = RequestPath(
            settings,
            watcher=self._watcher,
            limiter=Limiter(self._counters),
            guardrails=Guardrails(steps),
            cache=AnswerCache(open_cache(settings), steps),
            calls=Calls(self._watcher, upstream, tapes),
            recorder=self._recorder,
            conversations=self._conversations,
        )
        self._counting = Counting(self._watcher, upstream, times, settings.max_body_mb * 1_000_000)
        self._watcher.refresh()
        tasks = [asyncio.create_task(run()) for run in (self._watcher.run, self._purge, self._share_metrics)]
        await send({"type": "lifespan.startup.complete"})
        self._ready()
        await receive()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._metrics.share()
        await self._path.close()
        await self._counters.close()
        await client.close()
        self._recorder.close()
        await send({"type": "lifespan.shutdown.complete"})
