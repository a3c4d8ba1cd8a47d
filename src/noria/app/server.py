"""The server process: pages and JSON API of all slices, and the thread that publishes the gateway's snapshot."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import uvicorn
from fastapi import FastAPI

from noria.app import bootstrap
from noria.app.effect import InForce
from noria.app.metrics import Counted
from noria.app.slices import SLICES
from noria.core.settings import Settings
from noria.governance import audit
from noria.governance.service import authenticate
from noria.registry.publish import Publisher
from noria.stores.connect import Stores
from noria.tracing import room
from noria.tracing.otlp_grpc import GrpcServer
from noria.web.application import create

logger = logging.getLogger("noria.server")


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; open requests get two seconds to end."""
    bootstrap.make_folder(settings)
    stores = Stores(settings)
    bootstrap.tell(bootstrap.prepare_stores(stores))
    bootstrap.make_key(settings)
    config = uvicorn.Config(
        compose(stores),
        host=settings.host,
        port=settings.server_port,
        log_config=None,
        log_level=settings.log_level,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    try:
        uvicorn.Server(config).run()
    finally:
        stores.close()


def compose(stores: Stores) -> FastAPI:
    """The application with everything that only this layer knows of put in."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        publisher = Publisher(stores)
        publisher.start()
        grpc = GrpcServer(stores)
        await asyncio.to_thread(grpc.start)
        try:
            yield
        finally:
            await asyncio.to_thread(grpc.stop)
            await asyncio.to_thread(publisher.stop)

    app = create(SLICES, stores, authenticate, lifespan=lifespan)
    app.state.audit = audit.record
    app.state.room = partial(room.last_seen, stores.settings)
    app.add_middleware(InForce, stores=stores)
    app.add_middleware(Counted)
    return app
