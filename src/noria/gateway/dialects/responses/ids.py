"""Ids of responses: which ones Noria made, and where those that a provider made lead back to.

`resp_` + 32 hex digits is an answer made here by translation: the digits are a UUIDv7, so the id alone tells when it was
made and in which folder it is kept. `resp_at_` + base64url of "release, newline, the provider's id" is an answer that a
provider keeps: the id is all the state that GET, DELETE and previous_response_id need, whichever worker gets them, and it is
read back without a table. The decision to know: such an id is not a secret and carries no right. Whoever reads one checks
that its release belongs to the key's project before the provider is asked.
"""

import base64
import binascii
import re
from dataclasses import dataclass

from noria.core.errors import BadInput
from noria.core.ids import new_id
from noria.gateway.dialects.base import Json

_OWN = re.compile(r"resp_([0-9a-f]{12}7[0-9a-f]{19})", re.ASCII)
_NATIVE = "resp_at_"
_TEXT = re.compile(r"[\x21-\x7e]+", re.ASCII)
_IN_PATH = re.compile(r"[A-Za-z0-9_.~:-]+", re.ASCII)
_MOST_CHARS = 1024


@dataclass(frozen=True, slots=True)
class Native:
    """A response that a provider keeps, and the release through which it was made."""

    release: str
    original: str


def new_response_id() -> str:
    return "resp_" + new_id().replace("-", "")


def own_part(response_id: str) -> str | None:
    """The 32 digits of an id that Noria made; None for any other text."""
    match = _OWN.fullmatch(response_id)
    return match[1] if match else None


def made_ms(own: str) -> int:
    """When an answer was made (`own` from own_part), in milliseconds since 1970."""
    return int(own[:12], 16)


def native_id(release: str, original: str) -> str:
    """The id that a caller sees for a provider's `original`. Idempotent: an id that is already ours stays as it is."""
    if native_of(original) is not None or not _TEXT.fullmatch(release) or not original:
        return original
    raw = f"{release}\n{original}".encode("utf-8", "replace")
    return _NATIVE + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def native_of(response_id: str) -> Native | None:
    """The inverse of native_id; None for what it never made. `original` holds nothing that would leave a URL's path."""
    encoded = response_id.removeprefix(_NATIVE)
    if encoded == response_id or not encoded.isascii() or len(encoded) > _MOST_CHARS:
        return None
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    release, newline, original = raw.partition("\n")
    if not newline or not _TEXT.fullmatch(release) or not _IN_PATH.fullmatch(original) or original.strip(".") == "":
        return None
    return Native(release, original)


def rewrapped(answer: Json, release: str) -> Json:
    """A provider's answer, or one event of its stream, with ids that lead back here; the same object where there is none."""
    if isinstance(inner := answer.get("response"), dict):
        return {**answer, "response": rewrapped(inner, release)}
    changed = {
        name: native_id(release, value)
        for name in ("id", "previous_response_id")
        if answer.get("object") == "response" and isinstance(value := answer.get(name), str)
    }
    return {**answer, **changed} if changed else answer


def unwrapped(body: Json) -> tuple[Json, str]:
    """A request for a provider that keeps responses: previous_response_id as that provider knows it, and the release it binds.

    The body as it is and "" when it continues nothing. Raises BadInput for an id that no provider made.
    """
    previous = body.get("previous_response_id")
    if previous is None:
        return body, ""
    native = native_of(previous) if isinstance(previous, str) else None
    if native is None:
        raise BadInput('"previous_response_id" names no response that this provider keeps.')
    return {**body, "previous_response_id": native.original}, native.release


def tail(response_id: str) -> str:
    """What the ids of a response's items are made of, so that they are stable and need no state."""
    return own_part(response_id) or "0" * 32
