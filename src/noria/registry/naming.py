"""Names that people choose, and references to versions: "call@2", "call@production", "calls-lora:1"."""

import re

from noria.core.errors import BadInput

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LABEL = re.compile(r"[a-z][a-z0-9._-]{0,39}")


def check_name(name: str, what: str) -> str:
    """`name`. Raises BadInput unless it can name a `what` ("endpoint")."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name[:80]!r} cannot be the name of {'an' if what[0] in 'aeiou' else 'a'} {what}.",
            hint="Up to 64 of a-z, 0-9, point, hyphen and underscore, beginning with a letter or digit.",
        )
    return name


def check_label(label: str) -> str:
    """`label`. Raises BadInput unless it can be a prompt's label."""
    if not _LABEL.fullmatch(label):
        raise BadInput(
            f"{label[:80]!r} cannot be a label.",
            hint="Up to 40 of a-z, 0-9, point, hyphen and underscore, beginning with a letter.",
        )
    return label


def split_reference(reference: str, sign: str, *, example: str) -> tuple[str, str]:
    """("call", "2") of "call@2". Raises BadInput."""
    name, found, version = reference.rpartition(sign)
    if not (found and name and version):
        raise BadInput(f"{reference[:80]!r} names no version.", hint=f"Like {example!r}.")
    return name, version


def number_of(version: str) -> int | None:
    """The number that `version` is, or None when it is a label."""
    return int(version) if version.isascii() and version.isdecimal() and len(version) < 10 else None


def check_reason(reason: str) -> str:
    """`reason` without white space around it. Raises BadInput when nothing is left."""
    text = reason.strip()
    if not text:
        raise BadInput("Say why: this change wants a reason.", hint="It is kept in the audit for whoever asks later.")
    if len(text) > 2000:
        raise BadInput("The reason is longer than 2,000 characters.", hint="Say it shorter.")
    return text
