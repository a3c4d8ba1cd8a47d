"""`noria journal`: look into the journals of a data folder, also while they are written. Nothing is changed."""

from pathlib import Path

import click
import orjson

from noria.core.settings import load
from noria.stores.journal import Frame, frames, is_written, segments


@click.group()
def journal() -> None:
    """Look at records that are on their way to the span store."""


@journal.command()
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Data folder (default: ./noria-data).")
@click.option("--writer", default="", help="Only this writer's records: gateway, server.")
def cat(data: Path | None, writer: str) -> None:
    """Print every record that is still there, one JSON object a line, and the state of each segment to stderr."""
    root = load(data=data).folder.journal
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    for folder in folders:
        if writer and folder.name != writer:
            continue
        for path in segments(folder):
            written = is_written(path)
            content = path.read_bytes()
            state = "being written" if written else "complete"
            click.echo(f"{folder.name}/{path.name}: {len(content):,} bytes, {state}", err=True)
            for piece in frames(content, 0, final=not written):
                if isinstance(piece, Frame):
                    for record in piece.records:
                        click.echo(orjson.dumps(record).decode())
                else:
                    click.echo(f"  bytes {piece.start} to {piece.end} are damaged", err=True)
