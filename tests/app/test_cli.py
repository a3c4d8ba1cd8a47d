"""The command line: what one sees who asks for help, or makes a mistake."""

import subprocess
import sys
from pathlib import Path

from noria.core.settings import Settings


def run(*words: str, settings: Settings) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "noria", *words], env=settings.environment(), capture_output=True, text=True, check=False
    )


def test_help_names_every_command(settings: Settings) -> None:
    said = run("--help", settings=settings).stdout
    for command in ("up", "gateway", "server", "store", "worker", "doctor", "migrate", "version", "demo"):
        assert f"\n  {command} " in said


def test_a_mistake_in_the_settings_is_two_sentences(settings: Settings) -> None:
    (settings.data / "noria.toml").write_text("gatway_port = 1")
    done = run("up", settings=settings)
    assert done.returncode == 1
    assert done.stderr.startswith("noria: noria.toml: there is no setting named 'gatway_port'")
    assert "Traceback" not in done.stderr


def test_migrating_can_be_tried_first(settings: Settings) -> None:
    tried = run("migrate", "--dry-run", settings=settings)
    assert "CREATE TABLE jobs" in tried.stdout
    assert "-- span store, step 1:" in tried.stdout and "CREATE TABLE IF NOT EXISTS spans" in tried.stdout
    assert not list(settings.data.iterdir())
    assert not run("migrate", settings=settings).stdout.startswith("0 statements")
    again = run("migrate", settings=settings).stdout
    assert "0 statements ran" in again and "The span store does not run" in again
    assert "-- records: nothing to do" in run("migrate", "--dry-run", settings=settings).stdout


def test_a_data_folder_that_cannot_be_used_is_named(settings: Settings) -> None:
    file: Path = settings.data / "file"
    file.touch()
    done = run("up", "--data", str(file / "below"), settings=settings)
    assert done.returncode == 1
    assert "cannot be used" in done.stderr and "--data" in done.stderr
