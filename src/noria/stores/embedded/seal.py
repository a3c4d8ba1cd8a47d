"""The key under which the span store's files are sealed: read from outside the data folder, never written into it.

In: settings (`seal_key_file`) or the environment (NORIA_SEAL_KEY), 64 hex digits. Out: the environment variable that the engine's
configuration names. Beside the sealed files lies a mark that tells a wrong key from a right one before the engine meets a garbled file.
"""

import hashlib
import hmac
import os
import re
from pathlib import Path
from typing import Final

from noria.core.errors import Conflict
from noria.core.settings import Settings

KEY: Final = "NORIA_SEAL_KEY"
MARK: Final = "sealed.key"
_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")


def prepare(settings: Settings) -> bool:
    """Put the key where the engine looks for it; whether the store is sealed. Raises Conflict for a key that does not fit."""
    folder = settings.folder.spans
    mark = folder / MARK
    if not settings.seal_spans:
        if mark.exists():
            raise Conflict(
                "The span store is sealed, and the setting seal_spans is off.",
                hint="Turn seal_spans on and give its key; nothing was changed.",
            )
        return False
    key = _key(settings)
    if not mark.exists() and any((folder / name).exists() for name in ("store", "data", "metadata")):
        raise Conflict(
            "The span store already has files that are not sealed, so seal_spans cannot be turned on.",
            hint="Seal from the first start: move the folder 'spans' away; traces in it are not taken over.",
        )
    known = hmac.new(bytes.fromhex(key), b"noria span store", hashlib.sha256).hexdigest()
    if not mark.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = mark.with_suffix(".new")
        temporary.write_text(known)
        temporary.replace(mark)
    elif not hmac.compare_digest(mark.read_text(), known):
        raise Conflict(
            "The key of seal_spans is not the one under which the span store was sealed.",
            hint="Give the first key again; without it the store cannot be read by anybody.",
        )
    os.environ[KEY] = key
    return True


def _key(settings: Settings) -> str:
    if settings.seal_key_file:
        path = Path(settings.seal_key_file).expanduser()
        if path.resolve().is_relative_to(settings.data.resolve()):
            raise Conflict("seal_key_file lies in the data folder.", hint="Keep the key where backups of it do not go.")
        try:
            if path.stat().st_mode & 0o077:
                raise Conflict("The file of seal_key_file can be read by others.", hint="chmod 600")
            text = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Conflict(
                "The file of seal_key_file cannot be read.", hint="openssl rand -hex 32 makes a key."
            ) from error
    else:
        text = os.environ.get(KEY, "").strip()
    if not _HEX.fullmatch(text):
        raise Conflict(
            "seal_spans is on and there is no key of 64 hex digits.",
            hint=f"Make one with `openssl rand -hex 32`; give its file as seal_key_file, or itself as {KEY}.",
        )
    return text
