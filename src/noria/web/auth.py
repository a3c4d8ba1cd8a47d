"""Who is asking, and may they? The one guard in front of every API route and page.

The authenticator itself (sessions, keys, roles) is governance's; the application injects it as `app.state.authenticate`.
A route says `caller: Annotated[Caller, allow("edit")]`, and there is no route without one, except login and health.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import Depends, Request

from noria.core.errors import Forbidden, Unauthenticated

Permission = Literal["view", "edit", "review", "admin", "feedback", "write_traces"]
"""view: read everything of the project. edit: change data, prompts, drafts; start jobs. review: approve, roll out.
admin: people, keys, providers, settings. feedback: score an answer. write_traces: send spans."""


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


Authenticate = Callable[[Request], Awaitable[Caller | None]]


def allow(permission: Permission) -> Any:
    """A FastAPI dependency that gives the Caller, or raises Unauthenticated (401) or Forbidden (403)."""

    async def guard(request: Request) -> Caller:
        authenticate: Authenticate = request.app.state.authenticate
        caller = await authenticate(request)
        if caller is None:
            raise Unauthenticated("You are not signed in.", hint="Sign in, or send a key: Authorization: Bearer <key>.")
        if permission not in caller.permissions:
            raise Forbidden(
                f"This needs the permission {permission!r}, which the role {caller.role!r} does not have.",
                hint="Ask an admin of the project.",
            )
        return caller

    return Depends(guard)
