"""Roles and scopes, and what each may do. The only table of permissions."""

from typing import Final

from noria.core.errors import BadInput
from noria.web.auth import Permission

ROLES: Final[tuple[str, ...]] = ("viewer", "editor", "reviewer", "admin")
"""From least to most."""

SCOPES: Final[tuple[str, ...]] = ("call", "candidate", "write_traces", "manage")

_OF_ROLE: Final[dict[str, frozenset[Permission]]] = {
    "viewer": frozenset({"view", "read_prompts"}),
    "editor": frozenset({"view", "read_prompts", "edit", "feedback", "write_traces"}),
    "reviewer": frozenset({"view", "read_prompts", "edit", "review", "feedback", "write_traces"}),
    "admin": frozenset({"view", "read_prompts", "edit", "review", "admin", "feedback", "write_traces"}),
}

_OF_SCOPE: Final[dict[str, frozenset[Permission]]] = {
    "call": frozenset({"feedback", "read_prompts"}),
    "candidate": frozenset({"feedback"}),
    "write_traces": frozenset({"write_traces", "feedback", "read_prompts"}),
}


def of_role(role: str) -> frozenset[Permission]:
    """What a person or manage key with `role` may do; nothing for a role that is not known."""
    return _OF_ROLE.get(role, frozenset())


def of_scope(scope: str, role: str) -> frozenset[Permission]:
    """What a key may do."""
    return of_role(role) if scope == "manage" else _OF_SCOPE.get(scope, frozenset())


def lower(first: str, second: str) -> str:
    """The role that may do less."""
    return min(first, second, key=ROLES.index)


def check_role(role: str) -> str:
    """`role`. Raises BadInput when it is none."""
    if role not in ROLES:
        raise BadInput(f"There is no role {role!r}.", hint=f"One of {', '.join(ROLES)}.")
    return role


def check_scope(scope: str) -> str:
    """`scope`. Raises BadInput when it is none."""
    if scope not in SCOPES:
        raise BadInput(f"There is no scope {scope!r}.", hint=f"One of {', '.join(SCOPES)}.")
    return scope
