"""Nothing is lost while the server is away or a process dies, and the application never waits for it."""

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import noria_client
from noria_client import span
from noria_client.spool import DiskSpool, Request
from noria_client.statistics import Statistics, Tally
from tests.client.conftest import Configure, waiting
from tests.client.receiver import Receiver, receiving

Run = Callable[..., "subprocess.Popen[str]"]

WRITE = """
import sys, time, noria_client
noria_client.configure(batch_seconds=0.02, timeout=2)
for number in range(int(sys.argv[2])):
    with noria_client.span(f"{sys.argv[1]} {number}"):
        pass
    if number % 50 == 49:
        time.sleep(0.01)
"""
PUT_AND_WAIT = (
    WRITE + "noria_client.client.current().recorder.force_flush()\nprint('put', flush=True)\nsys.stdin.read()\n"
)
"""Everything is in the spool when it says so."""


def steps(count: int, name: str = "step") -> None:
    for number in range(count):
        with span(f"{name} {number}"):
            pass


def test_a_server_that_is_away_gets_everything_in_order_when_it_is_back(
    receiver: Receiver, configure: Configure, tmp_path: Path
) -> None:
    with receiving() as away:
        port = away.port
    provider = configure(url=f"http://127.0.0.1:{port}")
    began = time.monotonic()
    for batch in range(5):
        steps(100, f"batch {batch}")
        provider.force_flush()
    assert time.monotonic() - began < 5
    assert not noria_client.flush(0.2)
    assert noria_client.statistics().waiting == 500
    assert len(waiting(tmp_path)) >= 5
    with receiving(port) as back:
        assert noria_client.flush()
        assert [seen.name for seen in back.spans] == [f"batch {b} {n}" for b in range(5) for n in range(100)]
    assert noria_client.statistics() == Statistics(sent=500)
    assert waiting(tmp_path) == []


@pytest.mark.parametrize("status", [401, 403, 404, 429, 503])
def test_what_the_server_cannot_take_now_waits(status: int, receiver: Receiver, configure: Configure) -> None:
    receiver.status = status
    configure()
    steps(3)
    assert not noria_client.flush(0.3)
    receiver.status = 200
    assert noria_client.flush()
    assert len(receiver.spans) == 3


def test_what_is_refused_for_good_is_counted_and_holds_nothing_up(
    receiver: Receiver, configure: Configure, tmp_path: Path
) -> None:
    receiver.statuses = {"/v1/traces": 400}
    configure()
    steps(2)
    assert noria_client.feedback("a" * 32, value=1)
    assert noria_client.flush()
    assert noria_client.statistics() == Statistics(sent=1, refused=2)
    receiver.statuses, receiver.rejected = {}, 1
    steps(3)
    assert noria_client.flush()
    assert noria_client.statistics() == Statistics(sent=3, refused=3)
    receiver.statuses = {"/v1/traces": 500}
    steps(1)
    while noria_client.statistics().refused < 4:
        noria_client.flush(0.5)
    assert noria_client.statistics() == Statistics(sent=3, refused=4)


def test_a_key_that_may_not_do_one_thing_still_does_the_other(receiver: Receiver, configure: Configure) -> None:
    receiver.statuses = {"/api/feedback": 403}
    configure()
    noria_client.feedback("a" * 32, label="good", correction="물")
    steps(2)
    assert not noria_client.flush(0.5)
    receiver.wait(lambda: len(receiver.spans) == 2)
    receiver.statuses = {}
    assert noria_client.flush()
    [(path, judged)] = receiver.posts
    assert path == "/api/feedback"
    assert len(judged.pop("key")) == 32
    assert judged == {"trace_id": "a" * 32, "name": "feedback", "label": "good", "correction": "물"}


def test_feedback_that_says_nothing_is_left_out(receiver: Receiver, configure: Configure) -> None:
    configure()
    assert not noria_client.feedback("no", value=1)
    assert not noria_client.feedback("a" * 32)
    assert not noria_client.feedback("a" * 32, value=float("nan"))
    assert noria_client.flush()
    assert receiver.requests == 0


def test_a_killed_process_leaves_all_that_was_put_to_the_next(run: Run, receiver: Receiver, tmp_path: Path) -> None:
    with receiving() as away:
        port = away.port
    url = f"http://127.0.0.1:{port}"
    first = run(PUT_AND_WAIT, url, "a", "1000")
    assert first.stdout is not None
    assert first.stdout.readline() == "put\n"
    first.kill()
    assert first.wait() == -signal.SIGKILL
    first.communicate()
    assert waiting(tmp_path)
    with receiving(port) as back:
        second = run(WRITE + "assert noria_client.flush(20)", url, "b", "10")
        second.communicate(timeout=60)
        assert second.returncode == 0
        names = [seen.name for seen in back.spans]
    assert names[:1000] == [f"a {number}" for number in range(1000)]
    assert sorted(names[1000:]) == sorted(f"b {number}" for number in range(10))
    assert waiting(tmp_path) == []


def test_processes_that_share_a_spool_and_are_killed_lose_and_tear_nothing(
    run: Run, receiver: Receiver, tmp_path: Path
) -> None:
    with receiving() as away:
        port = away.port
    url = f"http://127.0.0.1:{port}"
    processes = [run(PUT_AND_WAIT, url, name, "500") for name in "abc"]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "put\n"
    with receiving(port) as back:
        back.wait(lambda: len(back.spans) > 200)
        processes[0].kill()
        back.wait(lambda: len({seen.span_id for seen in back.spans}) == 1500)
        for process in processes:
            process.kill()
            process.communicate()
        counts = Counter(seen.span_id for seen in back.spans)
        again = sum(counts.values()) - len(counts)
        assert again <= 512, "at most the request that was under way is sent again"
        assert {seen.name for seen in back.spans} == {f"{name} {n}" for name in "abc" for n in range(500)}


def test_killed_while_it_writes_the_spool_stays_sound(run: Run, tmp_path: Path) -> None:
    with receiving() as away:
        url = f"http://127.0.0.1:{away.port}"
    for round_number in range(5):
        before = len(waiting(tmp_path))
        process = run(WRITE, url, f"r{round_number}", "100000000")
        while len(waiting(tmp_path)) < before + 3:
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
        process.communicate()
    [folder] = (tmp_path / "spool").iterdir()
    tally = Tally()
    spool = DiskSpool(folder, 10**9, tally)
    names = spool.names()
    assert len(names) >= 15
    assert all(spool.read(name) is not None for name in names)
    assert tally.read(0) == Statistics()


def test_a_process_that_ends_waits_shortly_and_leaves_the_rest(run: Run, tmp_path: Path) -> None:
    with receiving() as away:
        url = f"http://127.0.0.1:{away.port}"
    began = time.monotonic()
    process = run(WRITE, url, "a", "10")
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert time.monotonic() - began < 20
    assert waiting(tmp_path)


def test_the_oldest_go_first_when_the_spool_is_full(tmp_path: Path) -> None:
    tally = Tally()
    spool = DiskSpool(tmp_path, 3_500, tally)
    for number in range(5):
        spool.put(Request(f"/{number}", {}, os.urandom(1000), items=7))
    kept = [spool.read(name) for name in spool.names()]
    assert [request.path for request in kept if request] == ["/2", "/3", "/4"]
    assert tally.read(spool.waiting()) == Statistics(dropped=14, waiting=21)


def test_a_torn_file_is_left_out_and_counted(tmp_path: Path) -> None:
    tally = Tally()
    spool = DiskSpool(tmp_path, 10**6, tally)
    spool.put(Request("/a", {"x": "y"}, b"body", items=3))
    spool.put(Request("/b", {}, b"", items=1))
    torn, whole = spool.names()
    (tmp_path / torn).write_bytes((tmp_path / torn).read_bytes()[:-1])
    assert spool.read(torn) is None
    assert spool.read(whole) == Request("/b", {}, b"", items=1)
    assert (spool.names(), tally.read(0).dropped) == ([whole], 3)


def test_one_at_a_time_delivers(tmp_path: Path) -> None:
    first, second = (DiskSpool(tmp_path, 10**6, Tally()) for _ in range(2))
    with first.turn() as mine, second.turn() as also:
        assert (mine, also) == (True, False)
    with second.turn() as mine:
        assert mine


def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(
    receiver: Receiver, configure: Configure, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    configure(spool=tmp_path / "file")
    steps(4)
    assert noria_client.flush()
    assert len(receiver.spans) == 4


def test_a_folder_that_goes_away_comes_back(receiver: Receiver, configure: Configure, tmp_path: Path) -> None:
    configure()
    steps(1)
    assert noria_client.flush()
    for path in sorted((tmp_path / "spool").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    steps(1, "again")
    assert noria_client.flush()
    assert {seen.name for seen in receiver.spans} == {"step 0", "again 0"}


def test_children_of_a_fork_record_too(run: Run, receiver: Receiver) -> None:
    code = """
import os, warnings, noria_client
warnings.simplefilter("ignore", DeprecationWarning)
noria_client.configure(batch_seconds=0.02)
with noria_client.span("parent"):
    pass
child = os.fork()
if not child:
    with noria_client.span("child"):
        pass
    assert noria_client.flush()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert noria_client.flush()
"""
    process = run(code, receiver.url)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert {seen.name for seen in receiver.spans} == {"parent", "child"}


def test_the_environment_is_enough(run: Run, receiver: Receiver) -> None:
    code = """
import noria_client
from opentelemetry import trace
with noria_client.span("ours"):
    with trace.get_tracer("other").start_as_current_span("theirs"):
        pass
"""
    process = run(code, receiver.url)
    process.communicate(timeout=60)
    assert process.returncode == 0
    receiver.wait(lambda: len(receiver.spans) == 2)
    assert receiver.named("theirs").parent_id == receiver.named("ours").span_id
