"""A worker that knows evaluation's jobs, as a process: `python -m tests.evaluation.process`."""

import signal

from noria.core.settings import load
from noria.evaluation.slice import SLICE
from noria.jobs.worker import Worker
from noria.stores import lifeline
from noria.stores.connect import Stores

if __name__ == "__main__":
    lifeline.tie_to_parent()
    stores = Stores(load())
    worker = Worker(stores, dict(SLICE.jobs))
    signal.signal(signal.SIGTERM, lambda *_: worker.stop.set())
    worker.run()
    stores.close()
