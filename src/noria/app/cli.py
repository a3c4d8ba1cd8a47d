"""The command `noria`. Each command imports what it needs when it runs, so that the gateway stays as small as it is.

Commands of slices come from their manifests and are found by name when asked for.
"""

import logging
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from noria import __version__
from noria.core.errors import NoriaError
from noria.core.settings import Settings, load
from noria.core.slices import resolve
from noria.stores import lifeline


class Wheel(click.Group):
    """The commands of this module, then those of the slices, imported when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *sorted(_references())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (own := super().get_command(ctx, cmd_name)) is not None:
            return own
        found = [resolve(reference) for reference in _references().get(cmd_name, ())]
        if len(found) < 2:
            return found[0] if found else None
        commands = {name: command for group in found for name, command in group.commands.items()}
        return click.Group(found[-1].name, commands, help=found[-1].help)


def _references() -> dict[str, list[str]]:
    """Commands that live elsewhere: a command is called as the attribute that holds it ("…:sign_in" is sign-in, "…:import_" import).

    Groups of one name are one command; the last of them says what it is.
    """
    from noria.app.slices import SLICES

    references = [reference for part in SLICES for reference in part.commands]
    references += ["noria.app.demo.command:demo", "noria.app.tools_command:tools"]
    named: dict[str, list[str]] = {}
    for reference in references:
        named.setdefault(reference.rpartition(":")[2].rstrip("_").replace("_", "-"), []).append(reference)
    return named


def main() -> None:
    """Run the command line; errors that Noria knows are told in two sentences, without a traceback."""
    try:
        noria()
    except NoriaError as error:
        click.echo(f"noria: {error.message}", err=True)
        if error.hint:
            click.echo(f"       {error.hint}", err=True)
        sys.exit(1)


@click.group(cls=Wheel, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="noria")
def noria() -> None:
    """Noria: production traffic turns the wheel that improves the models that serve it.

    Settings come from options, from the environment (NORIA_…) and from noria.toml in the data folder.
    """


_data = click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="Data folder (default: ./noria-data)."
)


@noria.command()
@_data
@click.option("--host", help="Address to bind to (default: 127.0.0.1).")
@click.option("--port", type=click.IntRange(1, 65534), help="Port of the gateway; the server takes the next one.")
def up(data: Path | None, host: str | None, port: int | None) -> None:
    """Start all of Noria on this machine and stay until Ctrl-C."""
    from noria.app.supervisor import Supervisor

    settings = load(data=data, host=host, gateway_port=port)
    if port is not None and "NORIA_SERVER_PORT" not in os.environ and settings.server_port == Settings().server_port:
        settings = replace(settings, server_port=port + 1)
    sys.exit(Supervisor(settings).run())


def _role(name: str, text: str) -> Callable[[Callable[[Settings], None]], click.Command]:
    """A command that runs one process of Noria in the foreground."""

    def make(run: Callable[[Settings], None]) -> click.Command:
        @noria.command(name, help=text)
        @_data
        def command(data: Path | None) -> None:
            lifeline.tie_to_parent()
            settings = load(data=data)
            level = getattr(logging, settings.log_level.upper(), logging.INFO)
            logging.basicConfig(level=level, format="%(asctime)s %(name)s %(levelname)s %(message)s")
            run(settings)

        made: click.Command = command
        return made

    return make


@noria.command("gateway", help="Run the gateway alone (model calls, /v1/*).")
@_data
@click.option(
    "--workers", type=click.IntRange(1, 64), help="Processes behind one port; SIGHUP exchanges more than one."
)
def gateway(data: Path | None, workers: int | None) -> None:
    from noria.gateway.main import main as serve

    lifeline.tie_to_parent()
    serve(load(data=data, gateway_workers=workers))


@_role("server", "Run the server alone (pages, JSON API); migrates the database first.")
def server(settings: Settings) -> None:
    from noria.app.server import run

    run(settings)


@_role("store", "Run the embedded span store alone.")
def store(settings: Settings) -> None:
    from noria.stores.embedded.server import run

    run(settings)


@_role("worker", "Run one worker alone (jobs, journals).")
def worker(settings: Settings) -> None:
    from noria.app.worker import run

    run(settings)


@noria.command()
@_data
@click.option("--dry-run", is_flag=True, help="Show the statements, then take them all back.")
def migrate(data: Path | None, dry_run: bool) -> None:
    """Bring the records' database to this version of Noria."""
    from noria.app import bootstrap, schema
    from noria.stores.connect import Stores

    settings = load(data=data)
    bootstrap.make_folder(settings)
    stores = Stores(settings)
    try:
        statements = schema.migrate(stores.database, dry_run=dry_run)
    finally:
        stores.close()
    if dry_run:
        click.echo(";\n".join(statement.strip() for statement in statements))
    click.echo(f"{len(statements)} statements {'would run' if dry_run else 'ran'}; the database is at this version.")


@noria.command()
@_data
def doctor(data: Path | None) -> None:
    """Say what is missing on this machine, and how to get it."""
    from noria.app.doctor import examine

    findings = examine(load(data=data))
    for finding in findings:
        click.echo(finding.line())
    sys.exit(0 if all(finding.good or finding.optional for finding in findings) else 1)


@noria.command()
def version() -> None:
    """Print the version."""
    click.echo(__version__)


def command_tree() -> dict[str, Any]:
    """Every command by its full name ("keys mint"), for the documentation."""
    found: dict[str, Any] = {}

    def walk(command: click.Command, path: str) -> None:
        found[path] = command
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=path)
            for name in command.list_commands(context):
                if (child := command.get_command(context, name)) is not None:
                    walk(child, f"{path} {name}")

    walk(noria, "noria")
    return found
