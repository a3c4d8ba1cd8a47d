"""Jobs that the tests run: each does one thing that a real job may do."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from noria.core.errors import BadInput
from noria.jobs.context import JobContext

HANDLERS = {
    name: f"tests.jobs.handlers:{name}"
    for name in ("count", "wait", "refuse", "crash", "die", "die_once", "stubborn", "curve", "lost_package")
}


def count(context: JobContext) -> dict[str, Any]:
    """Count to `to`, writing each number to a file in the job's folder; goes on where an earlier execution stopped."""
    path = context.work / "count"
    start = int(path.read_text()) if path.exists() else 0
    for number in range(start + 1, context.args["to"] + 1):
        path.write_text(str(number))
        context.progress(number, context.args["to"], f"at {number}")
        if number == context.args.get("pause_at") and not (context.work / "paused").exists():
            (context.work / "paused").touch()
            threading.Event().wait(60)
    return {"counted": context.args["to"], "started_at": start}


def wait(context: JobContext) -> dict[str, Any]:
    """Start a child process, note both process ids, and wait."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    Path(context.args["pids"]).write_text(f"{os.getpid()} {child.pid}")
    context.progress(1, 2, "waiting")
    threading.Event().wait(120)
    return {}


def stubborn(context: JobContext) -> dict[str, Any]:
    """Swallow the cancellation once; the next check raises it again."""
    context.progress(1, 2, "waiting")
    with contextlib.suppress(Exception):
        threading.Event().wait(60)
    context.check()
    return {"cancelled": False}


def refuse(context: JobContext) -> dict[str, Any]:
    (context.work / "uploaded").write_text("what people wrote")
    raise BadInput("Line 3 is not JSON.", hint="Correct it and import the file again.")


def crash(context: JobContext) -> dict[str, Any]:
    raise RuntimeError("the customer is called Kim")


def lost_package(context: JobContext) -> dict[str, Any]:
    import package_that_nobody_has  # type: ignore[import-not-found]  # noqa: F401

    return {}


def die(context: JobContext) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def die_once(context: JobContext) -> dict[str, Any]:
    mark = context.work / "died"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"survived": True}


def curve(context: JobContext) -> dict[str, Any]:
    for step in range(20):
        context.point(step, {"loss": 1 / (step + 1), "broken": float("nan")})
    return {}
