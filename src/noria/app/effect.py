"""What a request changed is in force when its answer arrives: a key that was just made works, a revoked one does not.

In: every request that may change something. Out: its answer, held back until the gateway serves from a snapshot with the
change. The decision to know: this stands around all slices, so that no handler has to think of it; when the snapshot
cannot be written the answer leaves all the same, and the publisher goes on trying.
"""

import asyncio
import logging

from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from noria.core.errors import NoriaError
from noria.registry.publish import publish
from noria.stores import changes
from noria.stores.connect import Stores

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
logger = logging.getLogger("noria.server")


class InForce:
    """ASGI middleware of the server process."""

    def __init__(self, app: ASGIApp, stores: Stores) -> None:
        self._app = app
        self._stores = stores
        self._published = -1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _READS:
            await self._app(scope, receive, send)
            return

        async def send_later(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                await asyncio.to_thread(self._publish)
            await send(message)

        await self._app(scope, receive, send_later)

    def _publish(self) -> None:
        try:
            with self._stores.database.read() as connection:
                version = changes.current(connection)
            if version != self._published:
                publish(self._stores)
                self._published = version
        except (SQLAlchemyError, NoriaError, OSError) as error:
            logger.error("a change is not in force yet: %s", type(error).__name__)
