"""The store process (`noria store`): owns chDB alone and serves it to the others over loopback.

It writes `Folder.store` ({"url", "password", "pid"}, mode 600, replaced atomically) when it is ready; the password is new at
each start. Memory that a burst of queries left behind is given back when nobody asks for a while.
"""

import json
import logging
import os
import secrets
import signal
import threading
import time
from pathlib import Path

from noria.core.settings import Settings
from noria.stores.embedded import seal
from noria.stores.embedded.engine import Engine, EngineError
from noria.stores.embedded.front import Front
from noria.stores.lock import PidLock

logger = logging.getLogger("noria.store")

_IDLE = 5.0
"""Seconds without a request after which memory is given back."""
_ROOM = 0.5
"""Seconds between two looks for room on a full disk."""
_LATER = 60.0
"""And once more after this many: merges go on behind the last request."""


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises Conflict when another process holds the folder."""
    folder = settings.folder
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with PidLock(folder.spans_lock):
        sealed = seal.prepare(settings)
        reserve = settings.disk_reserve_mb
        engine = Engine(folder.spans, memory_mb=settings.store_memory_mb, reserve_mb=reserve, sealed=sealed)
        front = Front(engine, secrets.token_urlsafe(32))
        thread = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.1}, name="front", daemon=True)
        thread.start()
        _announce_when_there_is_room(folder.store, front, stop)
        logger.info("The span store listens at %s.", front.url)
        try:
            _wait(stop, front)
        finally:
            folder.store.unlink(missing_ok=True)
            front.shutdown()
            thread.join()
            front.server_close()
            engine.close()


def _wait(stop: threading.Event, front: Front) -> None:
    freed = time.monotonic()
    while not stop.wait(_IDLE):
        quiet = time.monotonic() - front.last_used
        once, again = quiet > _IDLE and freed < front.last_used, quiet > _LATER and freed < front.last_used + _LATER
        if once or again:
            freed = time.monotonic()
            try:
                front.engine.free_memory()
            except EngineError as error:
                logger.warning("Memory could not be given back: %s", error)


def _announce_when_there_is_room(path: Path, front: Front, stop: threading.Event) -> None:
    """On a full disk the store waits for room instead of dying again and again."""
    told = False
    while not stop.is_set():
        try:
            _announce(path, front)
            return
        except OSError as error:
            if not told:
                logger.error("The span store cannot say where it listens: %s. It goes on trying.", error.strerror)
            told = True
            stop.wait(_ROOM)


def _announce(path: Path, front: Front) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"url": front.url, "password": front.password, "pid": os.getpid()}, file)
    temporary.replace(path)
