"""The worker process: runs the jobs of all slices, and carries journals into the span store."""

import logging
import signal
import time

from noria.app import schema
from noria.app.slices import SLICES
from noria.core.errors import NoriaError
from noria.core.settings import Settings
from noria.governance.service import projects
from noria.jobs.worker import Worker
from noria.serving import package
from noria.stores.connect import Stores
from noria.tracing.tailer import Tailer

logger = logging.getLogger("noria.worker")


def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT."""
    stores = Stores(settings)
    worker = Worker(stores, handlers())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop.set())
    while not _installed(stores) and not worker.stop.is_set():
        time.sleep(0.1)  # the server migrates and makes the first project
    register_packaged_model(stores)
    tailer = Tailer(stores)
    tailer.start()
    try:
        worker.run()
    finally:
        tailer.stop()
        stores.close()


def _installed(stores: Stores) -> bool:
    """Whether the server has done what it does at a first start."""
    if not schema.is_current(stores.database):
        return False
    with stores.database.read() as connection:
        return bool(projects(connection))


def register_packaged_model(stores: Stores) -> None:
    """Make the model of the extra `local` known to every project, if it is installed; joins its file at the first start."""
    with stores.database.read() as connection:
        known = projects(connection)
    for project_id in known:
        try:
            package.ensure_base(stores, project_id)
        except (NoriaError, OSError) as error:
            logger.error("the packaged model cannot be used: %s", error)


def handlers() -> dict[str, str]:
    """Every job's name with the "module:function" that does it."""
    return {name: function for part in SLICES for name, function in part.jobs.items()}
