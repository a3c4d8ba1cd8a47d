"""Sealing secrets at rest: AES-256-GCM under a key file with mode 600. A leaf that the gateway imports."""

import base64
import hmac
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from noria.core.errors import NoriaError

_NONCE = 12


class Unsealable(NoriaError):
    """The sealed text is damaged, or was sealed under another key file or for another purpose."""

    code = "unsealable"


class Sealer:
    """Seals and unseals short texts. `purpose` is bound to the text: what was sealed for one cannot be opened as another."""

    def __init__(self, key_file: Path) -> None:
        self._cipher = AESGCM(_load_or_create(key_file))

    def seal(self, text: str, *, purpose: str) -> str:
        """base64 of nonce and ciphertext."""
        nonce = os.urandom(_NONCE)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, text.encode(), purpose.encode())).decode()

    def unseal(self, sealed: str, *, purpose: str) -> str:
        """The text. Raises Unsealable."""
        try:
            raw = base64.b64decode(sealed, validate=True)
            return self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], purpose.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise Unsealable(
                "A sealed secret cannot be opened.",
                hint="Restore the data folder's secret.key, or enter the secret again.",
            ) from error


def derived(key_file: Path, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose; who has it learns nothing of the key file. Raises Unsealable, OSError."""
    return hmac.digest(_load_or_create(key_file), f"derived:{purpose}".encode(), "sha256")


def _load_or_create(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            raise Unsealable(f"{path.name} can be read by others.", hint=f"chmod 600 {path}") from None
        key = path.read_bytes()
        if len(key) != 32:
            raise Unsealable(f"{path.name} is not a key file.", hint="Restore it from your backup.") from None
        return key
    with os.fdopen(descriptor, "wb") as file:
        key = os.urandom(32)
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key
