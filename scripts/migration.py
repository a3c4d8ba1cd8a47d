"""Writes the next migration from the difference between the migrations so far and the declared tables.

Usage: .venv/bin/python scripts/migration.py "what changes". Read what it wrote before you commit it. With --initial it
writes 0001 afresh (only before the first release).
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from alembic import command

from noria.app import schema
from noria.stores.sql import Database, sqlite_url


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("message", nargs="?", default="initial")
    parser.add_argument("--initial", action="store_true", help="replace all migrations by one")
    options = parser.parse_args()
    schema.declare()
    versions = schema.SCRIPTS / "versions"
    if options.initial:
        for path in versions.glob("[0-9]*_*.py"):
            path.unlink()
    number = f"{len(schema.revisions()) + 1:04d}"
    with tempfile.TemporaryDirectory() as folder:
        database = Database(sqlite_url(Path(folder) / "records.db"))
        with database.begin() as connection:
            if schema.revisions():
                schema.upgrade(connection)
            made = command.revision(schema.config(connection), options.message, autogenerate=True, rev_id=number)
        database.close()
    if made is None or isinstance(made, list):
        sys.exit("Alembic made no migration.")
    path = Path(made.path)
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "# ###" not in line))
    for ruff in (("check", "--fix", "--quiet"), ("format", "--quiet")):
        subprocess.run([sys.executable, "-m", "ruff", *ruff, made.path], check=True)
    sys.stdout.write(f"{made.path}\n")


if __name__ == "__main__":
    main()
