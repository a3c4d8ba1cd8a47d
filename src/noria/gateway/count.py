"""`/v1/messages/count_tokens`: how long a request would be, asked of whoever can count.

In: a request as for /v1/messages. Out: {"input_tokens": n}. The decision to know: a release without a prompt of its own whose
provider speaks Anthropic's dialect is asked; for every other one, and where guardrails stand, the answer is an estimate and says so ("estimated": true).
Nothing is generated, so no span is written and nothing is counted against limits.
"""

import orjson

from noria.core.ids import new_span_id, new_trace_id
from noria.gateway.access import authenticate, choose, resolve
from noria.gateway.ask import Headers, parse, read_body
from noria.gateway.catalog import Watcher
from noria.gateway.dialects import messages
from noria.gateway.guard import Guard, Receive, Times
from noria.gateway.plan import make_count_plan
from noria.gateway.reply import Reply, Send
from noria.gateway.spans import Call
from noria.gateway.upstream import Upstream

_COUNTED = messages.Messages(counting=True)


class Counting:
    """The route; one for the process."""

    def __init__(self, watcher: Watcher, upstream: Upstream, times: Times, max_body: int) -> None:
        self._watcher = watcher
        self._upstream = upstream
        self._times = times
        self._max_body = max_body

    async def answer(self, headers: Headers, receive: Receive, send: Send) -> None:
        catalog = self._watcher.current()
        key = authenticate(catalog.snapshot, headers)
        call = Call(key, _COUNTED, new_trace_id(), new_span_id())
        body = await read_body(headers, receive, self._max_body)
        ask = call.ask = parse(body, _COUNTED, headers)
        endpoint, candidate = resolve(catalog.snapshot, key, ask.model)
        call.route = choose(endpoint, candidate, call.sticky)
        call.release = call.route.release
        told = messages.count_tokens(ask.body)
        plan = make_count_plan(self._watcher, catalog, call.release, ask)
        # What guardrails have not seen goes to no provider, and counting is not worth their time.
        if plan is not None and not endpoint.policy.guardrails:
            guard = Guard(receive.connection, self._times)
            guard.watch_client()
            try:
                told = await self._upstream.json(plan, guard)
            finally:
                guard.close()
        await Reply(send, call).json(200, orjson.dumps(told))
