"""`noria prices`: what a million tokens cost, as this installation knows it, and where it has it from."""

from pathlib import Path

import click

from noria.core.settings import load
from noria.registry.prices import Price, table


@click.command()
@click.argument("model", required=False, default="")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Data folder (default: ./noria-data).")
@click.option("--sources", is_flag=True, help="Say under each price where it is published, and when that was read.")
def prices(model: str, data: Path | None, sources: bool) -> None:
    """Show prices of a million tokens; with MODEL only those of providers and models with this in their name.

    A file prices.toml in the data folder goes before what Noria knows (docs/prices.md).
    """
    rows = table(load(data=data).folder.prices).search(model)
    if not rows:
        click.echo(f"No price is known for {model!r}: releases of it cost 0 until you say what it costs.")
        return
    click.echo(f"{'provider/model':<40} {'input':>9} {'cached':>9} {'write':>9} {'1 h':>9} {'output':>9}  version")
    for row in rows:
        click.echo(_line(row))
        if sources:
            click.echo(_source(row))


def _line(row: Price) -> str:
    amounts = (
        row.input_micros,
        row.cached_micros,
        row.cache_write_micros,
        row.cache_write_1h_micros,
        row.output_micros,
    )
    shown = " ".join(f"{_dollars(amount):>9}" for amount in amounts)
    longer = ""
    if (long := row.long_prompts) is not None:
        longer = f"; above {long.above:,} tokens x{long.input_percent / 100:g} in, x{long.output_percent / 100:g} out"
    return f"{f'{row.provider}/{row.model}':<40} {shown}  {row.version}{longer}"


def _source(row: Price) -> str:
    told = f", told by {' and '.join(row.told_by)}" if row.told_by else ""
    note = f"\n    {row.note}" if row.note else ""
    return f"    {row.source or 'this installation'}{f', read {row.read}' if row.read else ''}{told}{note}"


def _dollars(micros: int | None) -> str:
    return "-" if micros is None else f"${micros / 1_000_000:.6g}"
