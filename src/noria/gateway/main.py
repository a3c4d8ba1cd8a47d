"""The process `noria gateway`: one port, one ASGI application, a graceful end.

In: settings. Out: a server that runs until SIGTERM or SIGINT, then takes no new connections, finishes what is under way
(at most 30 seconds) and returns. With `gateway_workers` above one it is the master of that many (noria.gateway.workers).
Neither requests nor keys are logged; what a request did is in its span.
"""

import gc
import logging

import uvicorn

from noria.core.settings import Settings
from noria.gateway import workers
from noria.gateway.connections import Connection
from noria.gateway.metrics import Metrics

_DRAIN_SECONDS = 30


def main(settings: Settings) -> None:
    """Serve until told to stop."""
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("uvicorn.access").disabled = True
    if settings.gateway_workers > 1:
        workers.Master(settings).run()
    else:
        _serve(settings)


def _serve(settings: Settings) -> None:
    listening = workers.listening_socket()
    from noria.gateway.app import Gateway

    shared = workers.metrics_folder(settings) if listening is not None else None
    gateway = Gateway(settings, ready=workers.ready_signal(), metrics=Metrics(shared))
    gc.freeze()  # what is loaded now stays; collections need not look at it again
    gc.set_threshold(20_000, 20, 20)  # a request leaves few cycles; looking for them costs a few per cent
    server = uvicorn.Server(
        uvicorn.Config(
            gateway,
            host=settings.host,
            port=settings.gateway_port,
            http=Connection,
            loop="uvloop",
            ws="none",
            lifespan="on",
            log_config=None,
            log_level=settings.log_level,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
    )
    server.run(sockets=[listening] if listening is not None else None)
