"""A worker with the jobs of these tests, as a process: `python -m tests.jobs.process`."""

import signal

from noria.core.settings import load
from noria.jobs.worker import Worker
from noria.stores import lifeline
from noria.stores.connect import Stores
from tests.jobs.handlers import HANDLERS

if __name__ == "__main__":
    lifeline.tie_to_parent()
    stores = Stores(load())
    worker = Worker(stores, HANDLERS)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop.set())
    worker.run()
    stores.close()
