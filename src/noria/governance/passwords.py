"""Passwords: argon2id (RFC 9106), kept as a PHC string.

The cost (19 MiB, 6 passes, one lane: above OWASP's minimum of 19 MiB and 2) takes about 60 ms on one core and bounds what
parallel logins can use of the server's memory.
"""

import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from noria.core.errors import BadInput

_hasher = PasswordHasher(time_cost=6, memory_cost=19 * 1024, parallelism=1)
_SHORTEST, _LONGEST = 10, 200


def new_password() -> str:
    """A random password that can be typed: 20 characters, about 100 bits."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    text = "".join(secrets.choice(alphabet) for _ in range(20))
    return "-".join(text[i : i + 5] for i in range(0, 20, 5))


def hash_password(password: str) -> str:
    """The PHC string to keep. Raises BadInput for a password that is too short or too long."""
    if not _SHORTEST <= len(password) <= _LONGEST:
        raise BadInput(f"A password has {_SHORTEST} to {_LONGEST} characters.", hint="Choose another; nothing changed.")
    return _hasher.hash(password)


def verify(kept: str | None, password: str) -> bool:
    """Whether `password` is the one that was kept. Takes as long when nothing was (`kept` is None: unknown person)."""
    try:
        return _hasher.verify(kept or _decoy(), password[:_LONGEST]) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def _decoy() -> str:
    return _hasher.hash(secrets.token_hex(16))
