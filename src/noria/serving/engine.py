"""One local engine: llama.cpp's server in this process, on loopback, with one model and at most one adapter.

In: model and adapter files, a port. It answers /health, /v1/models, /v1/completions and /v1/chat/completions there and ends
with its parent. It has no key of its own: only the gateway talks to it.

The decision to know: one adapter a process. llama.cpp's prompt cache does not know which adapter computed an entry, so a
server that held two would answer for one from the other's cache; its memory cache (`cache_ram_mib`) is off for the same reason.
"""

import os
import threading
from pathlib import Path

from noria.core.errors import BadInput, Unavailable
from noria.core.settings import Settings

HOST = "127.0.0.1"
_WARNINGS = 2


def serve(settings: Settings, *, model: Path, adapter: Path | None, port: int, name: str) -> None:
    """Serve until killed. `name` is what /v1/models calls it, so that the keeper knows its engine from a stranger's.

    Raises BadInput for a missing file and Unavailable when llama.cpp cannot load it or the port is taken.
    """
    for path in filter(None, (model, adapter)):
        if not path.is_file():
            raise BadInput(f"There is no file {path}.", hint="The data folder is incomplete, or the path is wrong.")
    # Its threads wait for each other by spinning, which on a busy machine costs ten times the work: let them sleep instead.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import xllamacpp
    except ImportError as error:
        raise Unavailable("xllamacpp is not installed.", hint="pip install 'noria[local]'") from error

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {name}
    if adapter is not None:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    params.hostnames = [HOST]
    params.port = port
    params.n_parallel = settings.engine_parallel
    params.n_ctx = settings.engine_context * settings.engine_parallel
    params.cpuparams.n_threads = settings.engine_threads or os.cpu_count() or 1
    params.cache_ram_mib = 0
    params.swa_full = True  # a sliding window forgets the start of a prompt, and then no prefix can be reused
    params.ui = False
    params.endpoint_slots = False
    params.endpoint_props = False
    params.cors_origins = f"http://{HOST}:{port}"  # by default any web page on this machine could ask
    params.verbosity = _WARNINGS
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        raise Unavailable(f"llama.cpp did not start: {error}.", hint="Its log is in the data folder.") from error
    try:
        threading.Event().wait()
    finally:
        del server
