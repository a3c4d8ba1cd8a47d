"""Responses that outlive their request: continued by `previous_response_id`, fetched and deleted by their id.

In: a request of the Responses dialect, or an id. Out: the conversation so far, the response, or word that it is gone. The decision
to know: what was made here by translation is kept in files (noria.gateway.response_store); what a provider made is kept
there, and its id, as callers see it, names the release that leads back to it. No route needs a database or another worker.
"""

from typing import Final

from noria.core.errors import BadInput, NotFound
from noria.core.ids import new_span_id, new_trace_id
from noria.gateway.access import Route, authenticate, released
from noria.gateway.ask import Ask, Headers
from noria.gateway.catalog import Watcher
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.openai import encoded
from noria.gateway.dialects.responses import Responses
from noria.gateway.dialects.responses.ids import native_of, rewrapped
from noria.gateway.dialects.responses.writer import ResponsesWriter
from noria.gateway.guard import Guard, Receive, Times
from noria.gateway.guardrails.restoring import RestoringWriter
from noria.gateway.plan import make_kept_plan
from noria.gateway.replay import Replay
from noria.gateway.reply import Reply, Send
from noria.gateway.response_store import ResponseStore, items_of
from noria.gateway.spans import Call
from noria.gateway.sse import Telling, Translate
from noria.gateway.upstream import Upstream

RESPONSES: Final = Responses()
_PATH: Final = "/v1/responses/"


class Conversations:
    """One for the process."""

    def __init__(self, watcher: Watcher, upstream: Upstream, store: ResponseStore, times: Times) -> None:
        self._watcher = watcher
        self._upstream = upstream
        self._store = store
        self._times = times

    def continued(self, project_id: str, body: Json) -> Json:
        """The request with its whole conversation as input; as it is when it continues none, or one that a provider keeps."""
        previous = body.get("previous_response_id")
        if isinstance(previous, str) and native_of(previous) is not None:
            return body
        return self._store.continued(project_id, body)

    def bound(self, route: Route, ask: Ask) -> Route:
        """The route to the release whose provider keeps the conversation; the given one when none does. Raises BadInput."""
        previous = ask.body.get("previous_response_id")
        native = native_of(previous) if isinstance(previous, str) else None
        if native is None:
            return route
        name, _, number = native.release.rpartition("@")
        release = route.endpoint.releases.get(int(number)) if number.isdecimal() else None
        if name != route.endpoint.name or release is None or (route.arm == "candidate" and release != route.release):
            raise BadInput(
                '"previous_response_id" names a response of a release that does not answer here (any more).',
                hint="Send the conversation itself.",
                code="previous_response_not_found",
            )
        return Route(route.endpoint, route.arm, release)

    def keep(self, call: Call, response: Json) -> None:
        """A response that was made here by translation. Raises NotReady when the disk does not take it."""
        if call.ask is not None:
            asked = call.ask.original or call.ask
            self._store.keep(call.key.project_id, response, items_of(asked.whole), subject=asked.user)

    def keep_streamed(self, call: Call, relay: Telling) -> None:
        """The same at the end of a stream; does nothing for other dialects and for what a provider keeps."""
        if isinstance(relay, Translate | Replay):
            writer = relay.writer.inner if isinstance(relay.writer, RestoringWriter) else relay.writer
            if isinstance(writer, ResponsesWriter):
                self.keep(call, writer.response)

    def purge(self) -> None:
        """Forget what is too old; cheap enough for any time."""
        self._store.purge()

    async def fetch(self, path: str, headers: Headers, receive: Receive, send: Send) -> None:
        """GET /v1/responses/{id}."""
        await self._by_id("GET", path, headers, receive, send)

    async def delete(self, path: str, headers: Headers, receive: Receive, send: Send) -> None:
        """DELETE /v1/responses/{id}."""
        await self._by_id("DELETE", path, headers, receive, send)

    async def _by_id(self, method: str, path: str, headers: Headers, receive: Receive, send: Send) -> None:
        catalog = self._watcher.current()
        key = authenticate(catalog.snapshot, headers)
        call = Call(key, RESPONSES, new_trace_id(), new_span_id())
        response_id = path.removeprefix(_PATH)
        native = native_of(response_id)
        if native is None:
            project = key.project_id
            told = (
                self._store.get(project, response_id).response
                if method == "GET"
                else self._store.delete(project, response_id)
            )
            await Reply(send, call).json(200, encoded(told))
            return
        release = released(catalog.snapshot, key, native.release)
        plan = make_kept_plan(self._watcher, catalog, release, native.original)
        if plan is None:
            raise NotFound(f"There is no response {response_id[:80]!r}.")
        guard = Guard(receive.connection, self._times)
        guard.watch_client()
        try:
            told = await self._upstream.json(plan, guard, method)
        finally:
            guard.close()
        await Reply(send, call).json(200, encoded(rewrapped(told, native.release)))
