"""A child process that must not outlive its parent calls `tie_to_parent()` first thing. A leaf: standard library only.

On Linux the kernel itself kills the child when the parent's starting thread ends, whatever way it ends; elsewhere a thread
looks at the parent's process id twice a second.
"""

import ctypes
import os
import signal
import sys
import threading
import time

PARENT = "NORIA_PARENT_PID"
"""Environment variable that names the parent, so that a parent which died before the call is noticed too."""

_PR_SET_PDEATHSIG = 1


def mark(environment: dict[str, str]) -> dict[str, str]:
    """`environment` for a child of this process that will call tie_to_parent."""
    return {**environment, PARENT: str(os.getpid())}


def tie_to_parent() -> None:
    """From now on this process is killed when its parent dies. Does nothing in a process that nobody marked."""
    expected = os.environ.pop(PARENT, "")
    if not expected:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        threading.Thread(target=_watch, args=(int(expected),), name="lifeline", daemon=True).start()
    if os.getppid() != int(expected):
        os.kill(os.getpid(), signal.SIGKILL)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
