"""The one client of a process: its configuration, its spool and sender, and the OpenTelemetry provider that it listens to.

An application without a provider gets one, made the global one, so that other instrumentations nest in our spans and ours in
theirs; an application that has one keeps it, and all its spans go to Noria as well. Without an address and a key there is no client,
and nothing is made.
"""

import atexit
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from noria_client.boundary import boundary
from noria_client.configuration import VERSION, Configuration, Mask, address
from noria_client.exporter import SCOPE, Recorder
from noria_client.sender import Sender
from noria_client.spool import Spool, open_spool
from noria_client.statistics import Statistics, Tally

_EXIT_SECONDS: Final = 2.0
_lock: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Client:
    """Everything that one configuration runs."""

    configuration: Configuration
    tally: Tally
    spool: Spool
    sender: Sender
    recorder: Recorder
    tracer: trace.Tracer


class _Process:
    """What this process has; `asked` once the environment was looked at."""

    client: Client | None = None
    asked = False


def configure(
    *,
    url: str | None = None,
    key: str | None = None,
    service: str = "",
    version: str = "",
    environment: str = "",
    capture_input: bool = True,
    capture_output: bool = True,
    capture_chars: int = 64_000,
    mask: Mask | None = None,
    spool: Path | str | None = None,
    spool_bytes: int = 256_000_000,
    batch_seconds: float = 0.5,
    timeout: float = 10.0,
    prompt_seconds: float = 60.0,
    prompt_timeout: float = 2.0,
    provider: TracerProvider | None = None,
) -> bool:
    """Begin to send to Noria's server; again: with other settings. Whether there is an address and a key to do so.

    `provider` is the OpenTelemetry provider to listen to; None: the global one, made if there is none. The settings are those of
    noria_client.configuration.Configuration. Raises ValueError for an address or key that cannot be one.
    """
    found = address(url, key)
    shutdown()
    with _lock:
        _Process.asked = True
        if found is None:
            return False
        configuration = Configuration(
            url=found[0],
            key=found[1],
            service=service,
            version=version,
            environment=environment,
            capture_input=capture_input,
            capture_output=capture_output,
            capture_chars=capture_chars,
            mask=mask,
            spool=Path(spool) if spool is not None else None,
            spool_bytes=spool_bytes,
            batch_seconds=batch_seconds,
            timeout=timeout,
            prompt_seconds=prompt_seconds,
            prompt_timeout=prompt_timeout,
        )
        _Process.client = _begin(configuration, provider)
    return True


def current() -> Client | None:
    """The client, begun from the environment when `configure` was never called; None: there is nothing to do."""
    if not _Process.asked:
        with boundary("Reading the environment"):
            configure()
        _Process.asked = True
    return _Process.client


def is_on() -> bool:
    """Whether anything is recorded."""
    return current() is not None


def flush(timeout: float = 10.0) -> bool:
    """Deliver all that was recorded until now; whether nothing is left waiting after at most `timeout` seconds."""
    client = _Process.client
    if client is None:
        return True
    client.recorder.force_flush()
    return client.sender.flush(timeout)


def shutdown(timeout: float = _EXIT_SECONDS) -> None:
    """Stop recording. What cannot be delivered within `timeout` seconds waits on disk for the next process."""
    with _lock:
        client, _Process.client = _Process.client, None
    if client is not None:
        with boundary("Stopping"):
            client.recorder.shutdown()
            client.sender.stop(timeout)


def statistics() -> Statistics:
    """What became of what was recorded."""
    client = _Process.client
    return client.tally.read(client.spool.waiting()) if client else Statistics()


def _begin(configuration: Configuration, provider: TracerProvider | None) -> Client:
    tally = Tally()
    spool = open_spool(configuration.folder, configuration.spool_bytes, tally)
    sender = Sender(configuration, spool, tally)
    recorder = Recorder(configuration, sender.put, tally)
    provider = provider or _provider(configuration)
    provider.add_span_processor(recorder)
    return Client(configuration, tally, spool, sender, recorder, provider.get_tracer(SCOPE, VERSION))


def _provider(configuration: Configuration) -> TracerProvider:
    found = trace.get_tracer_provider()
    if isinstance(found, TracerProvider):
        return found
    named = {
        "service.name": configuration.service,
        "service.version": configuration.version,
        "deployment.environment.name": configuration.environment,
    }
    made = TracerProvider(resource=Resource.create({name: value for name, value in named.items() if value}))
    if isinstance(found, trace.ProxyTracerProvider):
        trace.set_tracer_provider(made)
    return made


atexit.register(shutdown)
