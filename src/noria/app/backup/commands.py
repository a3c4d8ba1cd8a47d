"""`noria backup` and `noria restore`."""

from pathlib import Path

import click

from noria.core.settings import load


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Data folder (default: ./noria-data).")
@click.option("--without-secret", is_flag=True, help="Leave out secret.key; keep it elsewhere.")
@click.option("--without-records", is_flag=True, help="Leave out the records, when they are in PostgreSQL.")
def backup(target: Path, data: Path | None, *, without_secret: bool, without_records: bool) -> None:
    """Back up all of Noria to TARGET, while it runs.

    TARGET is a folder, where later backups add only what is new, or a new file that ends in .tar.
    """
    from noria.app.backup.take import take

    settings = load(data=data)
    taken = take(settings, target, secret=not without_secret, records=not without_records)
    made = taken.manifest
    click.echo(
        f"Backup {made.made_at} in {target}: {len(made.files):,} files, {_size(made.bytes)},"
        f" of which {_size(taken.added)} are new; {taken.seconds:.1f} s."
    )
    if made.secret:
        click.echo(
            "It holds secret.key: whoever has this backup can open the provider keys in it. Keep it as safe as the"
            " data folder, or use --without-secret."
        )
    else:
        click.echo("It does not hold secret.key. Keep that file elsewhere: without it no provider key can be opened.")
    if settings.spans_url:
        click.echo("Spans are in ClickHouse and not in this backup: run BACKUP there (docs/clickhouse.md).")
    if settings.database_url:
        click.echo("Records are in PostgreSQL and not in this backup: keep the dump that you made beside it.")


@click.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="A new folder to restore to.")
@click.option("--at", default="", help="The time of a backup, or its start, like 20261126; default: the newest.")
@click.option("--list", "listing", is_flag=True, help="Show the backups in SOURCE and do nothing.")
def restore(source: Path, data: Path | None, at: str, *, listing: bool) -> None:
    """Make a data folder of a backup; every byte is checked against its hash first."""
    from noria.app.backup import restore as restoring

    if listing:
        for made in restoring.backups(source):
            secret = "with secret.key" if made.secret else "without secret.key"
            click.echo(
                f"{made.made_at}  Noria {made.version}  {len(made.files):,} files  {_size(made.bytes)}  {secret}"
            )
        return
    if data is None:
        raise click.UsageError("Name the new folder: --data FOLDER.")
    made = restoring.restore(source, data.absolute(), at)
    click.echo(f"Restored {len(made.files):,} files of {made.made_at} to {data}. Start it: noria up --data {data}")
    if not made.secret:
        click.echo(f"The backup has no secret.key: put yours at {data}/secret.key (mode 600) before you start.")


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"
