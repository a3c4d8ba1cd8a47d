"""OTLP over gRPC, in threads of the server process: the same verbs as over HTTP, the key in the call's metadata.

In: export requests as bytes; the services are described by hand, so that nothing generated stands between gRPC and our decoding.
The decision to know: grpcio is imported when this starts (docs/otlp.md has what it costs), never by another process. A port that is
taken is told of and does not stop the server.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from noria.core.errors import Forbidden, NoriaError, Unauthenticated
from noria.governance.sessions import key_in, of_key
from noria.stores.connect import Stores
from noria.tracing.otlp import answers
from noria.tracing.otlp.ingest import TAKE, Signal
from noria.web.auth import Caller

logger = logging.getLogger("noria.tracing")

_SERVICES: Final[dict[str, Signal]] = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
}
_THREADS: Final = 2
_MB: Final = 1024 * 1024


class GrpcServer:
    """Listens from `start` to `stop`."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._server: Any = None

    def start(self) -> bool:
        """Whether it listens now; it does not when the port is taken or the setting says 0."""
        settings = self._stores.settings
        if settings.otlp_grpc_port == 0:
            return False
        import grpc

        options = [
            ("grpc.max_receive_message_length", settings.max_body_mb * _MB),
            ("grpc.so_reuseport", 0),  # else a second installation would share the port, and get half of the spans
        ]
        pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="otlp-grpc")
        server = grpc.server(pool, options=options)
        for service, signal in _SERVICES.items():
            method = grpc.unary_unary_rpc_method_handler(self._export(signal))
            server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {"Export": method})])
        try:
            server.add_insecure_port(f"{settings.host}:{settings.otlp_grpc_port}")
        except RuntimeError:
            logger.warning(
                "Port %d is taken, so OTLP/gRPC is off; set otlp_grpc_port, or send OTLP over HTTP.",
                settings.otlp_grpc_port,
            )
            return False
        server.start()
        self._server = server
        return True

    def stop(self) -> None:
        """Let open calls end, for two seconds."""
        if self._server is not None:
            self._server.stop(2).wait()

    def _export(self, signal: Signal) -> Callable[[bytes, Any], bytes]:
        import grpc

        codes = {code.value[0]: code for code in grpc.StatusCode}

        def export(data: bytes, context: Any) -> bytes:
            try:
                caller = self._caller(dict(context.invocation_metadata()))
                return answers.success(signal, TAKE[signal](self._stores, caller, data, json=False), json=False)
            except NoriaError as error:
                failed, told = answers.grpc_code(error.status), f"{error.message} {error.hint}".strip()
            except Exception as error:  # noqa: BLE001 - the request boundary; the message may hold somebody's data
                logger.error("OTLP/gRPC: unexpected %s", type(error).__name__)
                failed, told = 13, "Something in Noria went wrong; nothing of this request was kept."
            context.abort(codes[failed], told)
            raise AssertionError("unreachable")

        return export

    def _caller(self, metadata: dict[str, Any]) -> Caller:
        key = key_in({name: value for name, value in metadata.items() if isinstance(value, str)})
        caller = of_key(self._stores, key) if key else None
        if caller is None:
            raise Unauthenticated("There is no such key.", hint="Send metadata: authorization: Bearer <key>.")
        if "write_traces" not in caller.permissions:
            raise Forbidden("This key may not write traces.", hint="Make a key with the scope write_traces.")
        return caller
