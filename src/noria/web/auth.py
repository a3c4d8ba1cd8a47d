"""Who is asking, and may they? The one guard in front of every API route and page.

The authenticator itself (sessions, keys, roles) is governance's; the application injects it as `app.state.authenticate`.
A route says `caller: Annotated[Caller, allow("edit")]`, and there is no route without one, except login and health.
The guard also checks the CSRF token of whoever comes with a browser's session: a form's field `csrf`, or the header
x-csrf-token.
"""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import Depends, Request

from noria.core.errors import Forbidden, Unauthenticated

Permission = Literal["view", "edit", "review", "admin", "feedback", "write_traces", "read_prompts"]
"""view: read everything of the project. edit: change data, prompts, drafts; start jobs. review: approve, roll out.
admin: people, keys, providers, settings. feedback: score an answer. write_traces: send spans.
read_prompts: fetch one version of a prompt, for applications."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated person or key, within one project."""

    kind: Literal["person", "key"]
    id: str
    name: str
    project_id: str
    role: str
    permissions: frozenset[Permission]
    csrf: str = ""
    """For a person's browser session: the token that each form must send back."""


_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

Authenticate = Callable[[Request], Awaitable[Caller | None]]


def allow(permission: Permission) -> Any:
    """A FastAPI dependency that gives the Caller, or raises Unauthenticated (401) or Forbidden (403)."""

    async def guard(request: Request) -> Caller:
        authenticate: Authenticate = request.app.state.authenticate
        caller = await authenticate(request)
        if caller is None:
            raise Unauthenticated("You are not signed in.", hint="Sign in, or send a key: Authorization: Bearer <key>.")
        request.state.caller = caller  # so that an error's page still has its navigation
        if permission not in caller.permissions:
            raise Forbidden(
                f"This needs the permission {permission!r}, which the role {caller.role!r} does not have.",
                hint="Ask an admin of the project.",
            )
        if caller.csrf and request.method not in _SAFE:
            await _check_csrf(request, caller.csrf)
        return caller

    guard.permission = permission  # type: ignore[attr-defined]
    return Depends(guard)


def permission_of(route: Any) -> Permission | None:
    """What the guard of a route wants; None when it has no guard."""
    dependant = getattr(route, "dependant", None)
    for dependency in getattr(dependant, "dependencies", ()):
        permission: Permission | None = getattr(dependency.call, "permission", None)
        if permission is not None:
            return permission
    return None


async def _check_csrf(request: Request, expected: str) -> None:
    sent = request.headers.get("x-csrf-token", "")
    kind = request.headers.get("content-type", "")
    if not sent and kind.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        field = (await request.form()).get("csrf")  # kept by the request, so the handler can read it again
        sent = field if isinstance(field, str) else ""
    if not secrets.compare_digest(sent.encode(), expected.encode()):
        raise Forbidden(
            "The request did not come from a page of this session, so nothing was changed.",
            hint="Load the page again and repeat it; scripts send the header x-csrf-token.",
            code="csrf",
        )
