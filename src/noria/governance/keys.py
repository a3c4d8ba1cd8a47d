"""API keys: made once, shown once, kept as a digest. A leaf that the gateway imports.

A key carries 256 random bits, so a plain SHA-256 is enough to keep it: there is no dictionary to guess from, and the
gateway can look a digest up in a dictionary without comparing secrets.
"""

import hashlib
import secrets

PREFIX = "noria_"


def new_key() -> str:
    """A fresh key: "noria_" and 43 URL-safe characters; the last four, which people type to name it, are letters and digits."""
    while not (key := PREFIX + secrets.token_urlsafe(32))[-4:].isalnum():
        pass
    return key


def digest(key: str) -> str:
    """What is stored of a key: SHA-256, 64 hex digits."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def hint(key: str) -> str:
    """What may be shown of a key, to recognise it: its last four characters."""
    return f"…{key[-4:]}"
