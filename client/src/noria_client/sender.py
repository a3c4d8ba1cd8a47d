"""The thread that delivers what lies in the spool, oldest first, and waits patiently while the server is away.

A request is removed when the server has answered it: a death in between sends it again, and Noria knows a span by its id and a
judgement by its key. What the server refuses for good is given up and counted; what it cannot take now holds back only the
requests of its own path, so that a key that may not do one thing does not stop the other.
"""

import contextlib
import os
import random
import threading
import time
import weakref
from collections import Counter
from typing import Final

import httpx
from opentelemetry import context as otel
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from noria_client.boundary import boundary, once
from noria_client.configuration import VERSION, Configuration
from noria_client.spool import DiskSpool, Request, Spool
from noria_client.statistics import Tally

TRACES: Final = "/v1/traces"
_LOOK_SECONDS: Final = 1.0
"""How often the spool is looked at for what other processes put or left there."""
_PATIENCE: Final = (0.25, 10.0)
"""Shortest and longest pause after a failure, in seconds."""
_LATER: Final = frozenset({401, 403, 404, 408, 425, 429, 502, 503, 504})
_TRIES: Final = 5
"""Of one request that the server fails at."""


class Sender:
    """Delivers until stopped. `wake` and `put` never block for longer than a file takes to write."""

    def __init__(self, configuration: Configuration, spool: Spool, tally: Tally) -> None:
        self._configuration = configuration
        self._spool = spool
        self._tally = tally
        self._pid = os.getpid()
        self._failed: Counter[str] = Counter()
        self._begin()
        if hasattr(os, "register_at_fork"):
            method = weakref.WeakMethod(self._after_fork)
            os.register_at_fork(after_in_child=lambda: (again := method()) and again())

    def put(self, request: Request) -> None:
        """Keep it and have it delivered soon."""
        self._spool.put(request)
        self._wake.set()

    def flush(self, timeout: float) -> bool:
        """Whether all that waits was delivered, or given up, within `timeout` seconds."""
        end = time.monotonic() + timeout
        with self._idle:
            self._not_before = 0.0
            self._wake.set()
            while self._spool.names():
                if (left := end - time.monotonic()) <= 0 or not self._thread.is_alive():
                    return False
                self._idle.wait(min(left, 0.05))
        return True

    def stop(self, timeout: float) -> None:
        """One last round of at most `timeout` seconds; what is left stays on disk for the next process."""
        self._deadline = time.monotonic() + timeout
        self._not_before = 0.0
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout + 0.5)

    def _begin(self) -> None:
        self._wake = threading.Event()
        self._idle = threading.Condition()
        self._not_before = 0.0
        self._failures = 0
        self._stopping = False
        self._deadline = float("inf")
        self._thread = threading.Thread(target=self._run, name="noria-client", daemon=True)
        self._thread.start()

    def _after_fork(self) -> None:
        if isinstance(self._spool, DiskSpool):
            self._spool.leave_to_parent()
        self._tally.after_fork()
        if not self._stopping:
            self._begin()

    def _run(self) -> None:
        otel.attach(otel.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        configuration = self._configuration
        headers = {"authorization": f"Bearer {configuration.key}", "user-agent": f"noria-client/{VERSION}"}
        with httpx.Client(base_url=configuration.url, headers=headers, timeout=configuration.timeout) as http:
            while True:
                last = self._stopping
                if last or time.monotonic() >= self._not_before:
                    with boundary("Delivering"), self._spool.turn() as mine:
                        if mine:
                            self._round(http)
                with self._idle:
                    self._idle.notify_all()
                if last:
                    return
                rest = self._not_before - time.monotonic()
                self._wake.wait(rest if 0 < rest < _LOOK_SECONDS else _LOOK_SECONDS)
                self._wake.clear()

    def _round(self, http: httpx.Client) -> None:
        held: set[str] = set()
        wait = 0.0
        for name in self._spool.names():
            if time.monotonic() > self._deadline:
                return
            request = self._spool.read(name)
            if request is None or request.path in held:
                continue
            try:
                left = min(self._configuration.timeout, max(0.1, self._deadline - time.monotonic()))
                answer = http.post(request.path, content=request.body, headers=request.headers, timeout=left)
            except httpx.HTTPError as error:
                once(f"The server is not reached ({type(error).__name__}); what it should get waits")
                self._back_off(0.0)
                return
            if not self._settle(name, request, answer):
                held.add(request.path)
                wait = max(wait, _asked_wait(answer))
        if held:
            self._back_off(wait)
        else:
            self._failures, self._not_before = 0, 0.0

    def _settle(self, name: str, request: Request, answer: httpx.Response) -> bool:
        """Whether the request is done with."""
        status = answer.status_code
        if answer.is_success:
            refused = _refused(request, answer)
            if self._spool.remove(name):
                self._tally.add(sent=max(0, request.items - refused), refused=refused)
            self._failed.pop(name, None)
            return True
        self._failed[name] += 1
        if status in _LATER or (status >= 500 and self._failed[name] < _TRIES):
            once(f"The server answers {status} at {request.path}; what it should get waits")
            return False
        once(f"The server refuses what it gets at {request.path} with {status}")
        del self._failed[name]
        if self._spool.remove(name):
            self._tally.add(refused=request.items)
        return True

    def _back_off(self, asked: float) -> None:
        least, most = _PATIENCE
        self._failures += 1
        pause = min(most, least * 2 ** min(self._failures, 10)) * random.uniform(0.7, 1.0)
        self._not_before = time.monotonic() + max(pause, min(asked, most))


def _asked_wait(answer: httpx.Response) -> float:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdigit() else 0.0


def _refused(request: Request, answer: httpx.Response) -> int:
    """How many spans the server left out of a batch that it took."""
    if request.path != TRACES or not answer.content:
        return 0
    response = ExportTraceServiceResponse()
    with contextlib.suppress(Exception):  # whatever a proxy put there
        response.ParseFromString(answer.content)
    return int(min(request.items, response.partial_success.rejected_spans))
