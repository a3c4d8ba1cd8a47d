"""The first start, and every other one: the data folder, the records' database at this version, and an admin.

Comes out: the first admin's login, once in the life of an installation; it is printed and kept nowhere.
"""

import json
import logging
import os
import subprocess
import sys
from dataclasses import asdict

from noria.app import schema
from noria.app.process import HELLO, describe
from noria.core.errors import Unavailable
from noria.core.settings import Settings
from noria.governance import service as governance
from noria.governance.records import FirstLogin
from noria.governance.sealing import Unsealable, derived
from noria.stores.connect import Stores

logger = logging.getLogger("noria.server")


def make_folder(settings: Settings) -> None:
    """Create the data folder for its owner alone."""
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in (settings.folder.run, settings.folder.logs, settings.folder.work):
        path.mkdir(exist_ok=True, mode=0o700)


def prepare(settings: Settings) -> FirstLogin | None:
    """Do all that a first start does; the login if this was it."""
    make_folder(settings)
    stores = Stores(settings)
    try:
        return prepare_stores(stores)
    finally:
        stores.close()


def prepare_stores(stores: Stores) -> FirstLogin | None:
    """Migrate if there is anything to migrate, and make the first admin if there is none."""
    if not schema.is_current(stores.database):
        _migrate_apart(stores.settings)
    return governance.bootstrap(stores)


def _migrate_apart(settings: Settings) -> None:
    """In a process of its own: Alembic would stay in the memory of this one."""
    done = subprocess.run(
        [sys.executable, "-m", "noria", "migrate"],
        env={**os.environ, **settings.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Unavailable(
            f"The database could not be brought to this version:\n{(done.stderr or done.stdout)[-2000:]}",
            hint="Nothing was changed: a migration is one transaction.",
        )


def make_key(settings: Settings) -> None:
    """Make the key file before the gateway looks for it. One that cannot be used is no reason not to start; it is told."""
    try:
        derived(settings.folder.secret, "start")
    except (Unsealable, OSError) as error:
        logger.error("the data folder's secret.key cannot be used: %s", error)


def tell(first: FirstLogin | None) -> None:
    """Hand the login to the supervisor, or to whoever sits at this terminal."""
    descriptor = os.environ.pop(HELLO, "")
    if descriptor:
        with os.fdopen(int(descriptor), "w", encoding="utf-8") as pipe:
            if first is not None:
                pipe.write(json.dumps(asdict(first)))
    elif first is not None:
        print(describe(first.email, first.password, first.key), flush=True)
