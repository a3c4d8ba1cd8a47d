"""`noria up` for real: first start, a killed process, Ctrl-C, a second start on the folder, a taken port, an orphaned gateway."""

import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.app.up import ROLES, Up, alive, eventually, two_ports


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One running installation for the tests that leave it running."""
    running = Up(tmp_path_factory.mktemp("supervisor") / "data", two_ports())
    yield running.ready()
    running.clean_up()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_the_first_start_says_what_one_needs_and_only_there(up: Up) -> None:
    said = up.said()
    secrets = [line.split()[-1] for line in said.splitlines() if line.strip().startswith(("password", "API key"))]
    assert len(secrets) == 2
    assert f"http://127.0.0.1:{up.port}/v1" in said and f"http://127.0.0.1:{up.port + 1}" in said
    for path in up.folder.rglob("*"):
        if path.is_file():
            assert not any(secret.encode() in path.read_bytes() for secret in secrets), path
    assert up.folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("role", ROLES)
def test_a_killed_process_is_started_again(up: Up, role: str) -> None:
    eventually(lambda: set(up.roles()) == set(ROLES), "set of running processes")
    killed = up.roles()[role]
    killed.kill()
    again = eventually(
        lambda: (found := up.roles().get(role)) is not None and found.pid != killed.pid and found, f"second {role}"
    )
    eventually(lambda: up.answers(up.port) and up.answers(up.port + 1), "answer of gateway and server")
    assert alive(again)
    assert f"{role} ended (SIGKILL)" in up.said()


def test_a_second_start_names_who_holds_the_folder(up: Up) -> None:
    second = Up(up.folder, two_ports())
    assert second.process.wait(20) == 1
    assert f"process {up.process.pid}" in second.said()
    assert "Traceback" not in second.said()


@pytest.mark.parametrize(("name", "offset"), [("gateway_port", 0), ("server_port", 1)])
def test_a_taken_port_is_said_before_anything_starts(folder: Path, name: str, offset: int) -> None:
    port = two_ports()
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port + offset))
        holder.listen()
        refused = Up(folder, port)
        assert refused.process.wait(20) == 1
    assert f"Port {port + offset} (setting {name})" in refused.said()
    assert "Traceback" not in refused.said()
    assert not list((folder / "logs").iterdir())


def test_ctrl_c_ends_everything(folder: Path) -> None:
    up = Up(folder, two_ports()).ready()
    started = psutil.Process(up.process.pid).children(recursive=True)
    assert len(started) >= len(ROLES)
    try:
        assert up.interrupt() < 8
        assert up.process.returncode == 0
        assert not [process for process in started if alive(process)]
        assert "has ended" in up.said()
        # and it starts again on the same folder, without another first login
        up = Up(folder, up.port).ready()
        assert "password" not in up.said()
    finally:
        up.clean_up()


def test_the_gateway_outlives_a_killed_supervisor_and_is_taken_over(folder: Path) -> None:
    up = Up(folder, two_ports()).ready()
    eventually(lambda: set(up.roles()) == set(ROLES), "set of running processes")
    roles = up.roles()
    up.process.kill()
    up.process.wait()
    for role in ("server", "store", "worker"):
        eventually(lambda role=role: not alive(roles[role]), f"end of the {role}", 5)  # type: ignore[misc]
    assert up.answers(up.port)
    again = Up(folder, up.port).ready()
    try:
        assert f"process {roles['gateway'].pid}" in again.said()
        assert alive(roles["gateway"]) and "gateway" not in again.roles()
        roles["gateway"].kill()
        eventually(lambda: "gateway" in again.roles() and again.answers(again.port), "gateway of its own")
    finally:
        again.clean_up()
    assert not up.answers(up.port)
