"""The keeper with real engines: started, started again, drained, ended with whoever started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from noria.core.settings import Settings
from noria.serving.keeper import EngineKeeper
from tests.serving.model_files import base_model
from tests.serving.running import statuses, text, tick_until, wanted


def test_an_engine_that_cannot_start_is_failed_with_a_reason(settings: Settings) -> None:
    keeper = EngineKeeper(settings)
    snapshot = wanted(broken=(settings.data / "absent.gguf", None))
    try:
        tick_until(keeper, snapshot, lambda: statuses(settings)["broken"]["state"] == "failed")
        assert "absent.gguf" in statuses(settings)["broken"]["error"]
    finally:
        keeper.stop()
    assert statuses(settings) == {}


def test_what_an_earlier_supervisor_wrote_is_gone(settings: Settings) -> None:
    settings.folder.run.mkdir(parents=True)
    settings.folder.engines.write_text('{"old": {"url": "http://127.0.0.1:1", "state": "ready"}}')
    EngineKeeper(settings)
    assert statuses(settings) == {}


@pytest.mark.model
def test_restarts_what_died_and_drains_what_nobody_wants(settings: Settings) -> None:
    keeper = EngineKeeper(settings, drain=1.0)
    snapshot = wanted(base=(base_model(), None))
    try:
        tick_until(keeper, snapshot, lambda: statuses(settings)["base"]["state"] == "ready")
        first = statuses(settings)["base"]
        os.kill(first["pid"], signal.SIGKILL)
        tick_until(keeper, snapshot, lambda: statuses(settings)["base"]["state"] != "ready")
        tick_until(keeper, snapshot, lambda: statuses(settings)["base"]["state"] == "ready")
        second = statuses(settings)["base"]
        assert second["pid"] != first["pid"]
        assert text(second["url"], "One, two,")

        began = time.monotonic()
        tick_until(keeper, wanted(), lambda: statuses(settings) == {}, longest=4.0)
        assert time.monotonic() - began >= 1.0, "it must drain first"
        assert not psutil.pid_exists(second["pid"])
    finally:
        keeper.stop()


@pytest.mark.model
def test_engines_die_with_their_supervisor(settings: Settings) -> None:
    program = (
        "import time; from noria.core.settings import load; from noria.serving.keeper import EngineKeeper;"
        "from tests.serving.running import wanted; from pathlib import Path; import sys\n"
        "keeper = EngineKeeper(load())\n"
        "while True: keeper.tick(wanted(base=(Path(sys.argv[1]), None))); time.sleep(0.1)"
    )
    supervisor = subprocess.Popen(
        [sys.executable, "-c", program, str(base_model())],
        env={**os.environ, **settings.environment()},
        cwd=Path(__file__).parents[2],
    )
    try:
        pid = _wait_for_pid(settings)
    finally:
        supervisor.kill()
        supervisor.wait()
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the engine outlived its supervisor"
        time.sleep(0.05)


def _wait_for_pid(settings: Settings) -> int:
    deadline = time.monotonic() + 60
    while True:
        if settings.folder.engines.exists() and (found := statuses(settings)) and found["base"]["state"] == "ready":
            return int(found["base"]["pid"])
        assert time.monotonic() < deadline, "the engine did not become ready"
        time.sleep(0.05)
