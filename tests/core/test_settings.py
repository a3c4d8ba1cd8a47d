"""Where settings come from, which value wins, and what is refused."""

import subprocess
import sys
from pathlib import Path

import pytest

from noria.core.errors import BadInput
from noria.core.settings import Settings, load


def test_an_option_wins_over_environment_file_and_default(tmp_path: Path) -> None:
    (tmp_path / "noria.toml").write_text("gateway_port = 1001\nserver_port = 1002\nlog_level = 'debug'\n")
    env = {"NORIA_GATEWAY_PORT": "2001", "NORIA_SERVER_PORT": "2002"}
    loaded = load(env, data=tmp_path, gateway_port=3001, server_port=None)
    assert (loaded.gateway_port, loaded.server_port, loaded.log_level) == (3001, 2002, "debug")
    assert loaded.host == Settings().host


def test_children_read_the_same_values(tmp_path: Path) -> None:
    loaded = load({}, data=tmp_path, secure_cookies=True, provider_idle_timeout=1.5, max_body_mb=3)
    assert load(loaded.environment()) == loaded


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gatway_port = 1", "gatway_port"),
        ("gateway_port = 'many'", "gateway_port"),
        ("gateway_port =", "noria.toml"),
        ("secure_cookies = 'maybe'", "secure_cookies"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "noria.toml").write_text(text)
    with pytest.raises(BadInput, match=words):
        load({}, data=tmp_path)


def test_a_broken_encoding_in_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "noria.toml").write_bytes(b"host = '\xff'")
    with pytest.raises(BadInput, match="cannot be read"):
        load({}, data=tmp_path)


def test_processes_on_this_machine_reach_a_server_that_binds_to_everything(tmp_path: Path) -> None:
    loaded = load({}, data=tmp_path, host="0.0.0.0")
    assert loaded.server_url == "http://127.0.0.1:7701"


def test_the_command_line_and_the_gateway_import_nothing_heavy() -> None:
    program = (
        "import sys, noria.app.cli\n"
        "heavy = {'sqlalchemy', 'fastapi', 'numpy', 'torch', 'chdb', 'pandas', 'pyarrow', 'alembic', 'jinja2'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.split() == []
    assert done.stderr == ""
