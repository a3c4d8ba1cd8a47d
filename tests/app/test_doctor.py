"""What `noria doctor` finds on a machine, and that each thing that lacks comes with a way to get it."""

import socket
import subprocess
import sys
from dataclasses import replace

import pytest

from noria.app.demo.installation import free_port
from noria.app.doctor import examine
from noria.core.settings import Settings
from tests.app.up import two_ports


def found(settings: Settings) -> dict[str, bool]:
    return {finding.what: finding.good for finding in examine(settings)}


def free(settings: Settings) -> Settings:
    port = two_ports()
    return replace(settings, gateway_port=port, server_port=port + 1, otlp_grpc_port=free_port())


def test_everything_is_looked_at(settings: Settings) -> None:
    what = " ".join(found(free(settings)))
    for word in ("Python", "memory", "local", "train", "model", "browser", "data folder", "disk", "key file", "port"):
        assert word in what


def test_whatever_lacks_has_a_hint(settings: Settings) -> None:
    assert [finding.what for finding in examine(free(settings)) if not finding.good and not finding.hint] == []


def test_a_key_file_that_others_can_read_is_found(settings: Settings) -> None:
    settings.folder.secret.write_bytes(b"x" * 32)
    settings.folder.secret.chmod(0o644)
    assert found(free(settings))["key file"] is False
    settings.folder.secret.chmod(0o600)
    assert found(free(settings))["key file"] is True


@pytest.mark.parametrize("name", ["gateway_port", "server_port", "otlp_grpc_port"])
def test_a_taken_port_is_found(settings: Settings, name: str) -> None:
    settings = free(settings)
    port = getattr(settings, name)
    assert found(settings)[f"port {port}"] is True
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        told = next(one for one in examine(settings) if one.what == f"port {port}")
        assert told.good is False and name in told.hint
        if name == "otlp_grpc_port":  # one that is off needs no port
            assert "port 0" not in found(replace(settings, otlp_grpc_port=0))


def test_the_command_says_it_and_its_status_tells(settings: Settings) -> None:
    settings = free(settings)
    done = subprocess.run(
        [sys.executable, "-m", "noria", "doctor"],
        env=settings.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ok       Python" in done.stdout
    assert done.returncode == 0, done.stdout
