"""What a warm start costs: the benchmark's bars that do not depend on how busy the machine is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(240)
@pytest.mark.skipif(sys.platform != "linux", reason="anonymous memory is read from /proc")
def test_all_idle_processes_are_small_and_the_gateway_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "startup.py"), "--starts", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    figures, bars = result["figures"], result["bars"]
    assert figures["gateway_heavy_modules"] == 0
    assert 0 < figures["gateway_mb"] <= bars["gateway_mb"]
    assert 0 < figures["all_anonymous_mb"] <= bars["all_anonymous_mb"], done.stdout
