"""The worker process: runs the jobs of all slices, and carries journals into the span store."""

import signal
import time

from noria.app import schema
from noria.app.slices import SLICES
from noria.core.settings import Settings
from noria.jobs.worker import Worker
from noria.stores.connect import Stores
from noria.tracing.tailer import Tailer


def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT."""
    stores = Stores(settings)
    worker = Worker(stores, handlers())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop.set())
    while not schema.is_current(stores.database) and not worker.stop.is_set():
        time.sleep(0.1)  # the server migrates
    tailer = Tailer(stores)
    tailer.start()
    try:
        worker.run()
    finally:
        tailer.stop()
        stores.close()


def handlers() -> dict[str, str]:
    """Every job's name with the "module:function" that does it."""
    return {name: function for part in SLICES for name, function in part.jobs.items()}
