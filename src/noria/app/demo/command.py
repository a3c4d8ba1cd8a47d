"""`noria demo`: options in, a played story and a report out; Noria stays up afterwards unless `--stop`."""

import signal
import time
from dataclasses import replace
from pathlib import Path

import click

from noria.app.bootstrap import prepare
from noria.app.demo.data import Source, choose
from noria.app.demo.installation import Installation, Login, free_port, fresh_folder, stopping
from noria.app.demo.report import tables, write_report
from noria.app.demo.screen import Screen
from noria.app.demo.story import Story
from noria.core.errors import NoriaError
from noria.core.settings import Settings, load

TRAFFIC = 96
"""Training rows held back to play the customers."""


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Folder with train and test files, JSONL or CSV.")
@click.option("--examples", type=click.IntRange(min=1), default=672, show_default=True, help="Training examples.")
@click.option(
    "--rows", type=click.IntRange(min=1), default=200, show_default=True, help="Test rows of each evaluation."
)
@click.option(
    "--intents", type=click.IntRange(min=2), default=12, show_default=True, help="Labels to use of a CSV with many."
)
@click.option("--report", type=click.Path(path_type=Path), help="Folder for report.html and report.json.")
@click.option(
    "--port",
    type=click.IntRange(1, 65534),
    help="Port of the gateway; the server takes the next one. Default: free ones.",
)
@click.option("--stop", is_flag=True, help="End when done instead of staying up.")
def demo(
    *, data: Path | None, examples: int, rows: int, intents: int, report: Path | None, port: int | None, stop: bool
) -> None:
    """Play one trip through the whole loop on a data folder of its own."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # being ended also ends what was started
    screen = Screen()
    settings = _settings(port)
    try:
        source = choose(data, intents=intents, traffic=TRAFFIC, cache=settings.data.parent / "downloads")
        _greet(screen, settings, source)
        _play(screen, settings, source, examples=examples, rows=rows, report=report, stop=stop)
    except NoriaError as error:
        kept = f"What was done until then is kept in {settings.data}." if settings.data.exists() else ""
        raise click.ClickException("\n".join(filter(None, (error.message, error.hint, kept)))) from error


def _settings(port: int | None) -> Settings:
    root = load().data
    gateway = port or free_port()
    return replace(
        load(data=fresh_folder(root)), gateway_port=gateway, server_port=gateway + 1 if port else free_port()
    )


def _greet(screen: Screen, settings: Settings, source: Source) -> None:
    screen.console.print("[bold]Noria: one trip through the whole loop[/bold]")
    screen.say(
        f"Data: {source.name} (licence: {source.licence}); {len(source.train)} training and {len(source.test)} test rows,"
    )
    screen.say(f"and {len(source.traffic)} conversations held back to play live customers.")
    for line in source.refused[:5]:
        screen.say(f"left out: {line}")
    if len(source.refused) > 5:
        screen.say(f"left out: {len(source.refused) - 5} more lines")
    screen.say(f"Data folder: {settings.data}")


def _play(
    screen: Screen, settings: Settings, source: Source, *, examples: int, rows: int, report: Path | None, stop: bool
) -> None:
    began = time.monotonic()
    first = prepare(settings)
    if first is None:
        raise NoriaError(f"{settings.data} has been used before.", hint="Run the demo again; it takes a fresh folder.")
    admin = Login(first.email, first.password)
    installation = Installation(settings)
    with stopping(installation, always=stop):
        screen.step("Start")
        screen.say(f"Gateway and server are ready after {installation.start():.1f} s.")
        story = Story(installation, source, screen, examples=examples, rows=rows)
        story.began = began
        story.play(admin)
        tables(screen, story.record)
        folder = write_report(report or settings.data / "report", story.record)
        screen.console.print(f"\nReport: {folder / 'report.html'}")
        if not stop:
            _invite(screen, settings, [admin, *story.people])
            installation.wait()
    if not story.record["gate"]["passed"]:
        raise SystemExit(1)


def _invite(screen: Screen, settings: Settings, logins: list[Login]) -> None:
    screen.console.print(f"\n[bold]Open {settings.server_url}/endpoints/assistant[/bold] and sign in as one of")
    for login in logins:
        screen.say(f"{login.email:<22} {login.password}")
    screen.say(f"The gateway is at {settings.gateway_url}/v1. Press Ctrl-C to stop everything.")
