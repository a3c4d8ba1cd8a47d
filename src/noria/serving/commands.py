"""The command that runs one local engine; the keeper starts it, people rarely do."""

from pathlib import Path

import click

from noria.core.settings import load
from noria.stores import lifeline


@click.command()
@click.option("--model", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Model file (GGUF).")
@click.option("--adapter", type=click.Path(dir_okay=False, path_type=Path), help="LoRA adapter (GGUF) on top of it.")
@click.option("--port", required=True, type=click.IntRange(1, 65535), help="Port on loopback.")
@click.option("--name", default="local", help="Name by which /v1/models lists it.")
def engine(model: Path, adapter: Path | None, port: int, name: str) -> None:
    """Run one local engine (llama.cpp) alone, on loopback."""
    lifeline.tie_to_parent()
    from noria.serving.engine import serve

    serve(load(), model=model, adapter=adapter, port=port, name=name)
