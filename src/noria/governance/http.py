"""The JSON API of access: login, people, keys, audit."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from noria.core.errors import Forbidden
from noria.governance import audit, http_langfuse, people, projects, roles, service, sessions, writing
from noria.governance.limits import NAMES
from noria.governance.records import AuditEntry, GuestKey, KeyRow, Person, Project
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.paging import Cursor, Limit, Page

router = APIRouter(prefix="/api", tags=["access"])


class Credentials(BaseModel):
    email: str = Field(max_length=300)
    password: str = Field(max_length=1000)


class NewPerson(BaseModel):
    email: str = Field(max_length=254)
    name: str = Field("", max_length=120)
    role: str
    password: str | None = Field(None, description="Left out: one is made up and returned.")


class NewRole(BaseModel):
    role: str


class NewPassword(BaseModel):
    old: str = Field(max_length=1000)
    new: str = Field(max_length=1000)


_Limits = Annotated[dict[str, Any], Field(description=f"Any of {', '.join(NAMES)}; 0: not limited.")]


class NewKey(BaseModel):
    name: str = Field(max_length=120)
    scope: str = Field(description="call, candidate, write_traces or manage.")
    role: str = Field("", description="Of a manage key; never more than its maker's.")
    release: str = Field("", description='Of a candidate key: "assistant@2".')
    live: bool = Field(True, description="False keeps its traffic out of live figures.")
    ttl_hours: float | None = None
    limits: _Limits = Field(default_factory=dict)
    projects: list[str] = Field(
        default_factory=list,
        max_length=writing.MOST,
        description="Other projects, by name or id, that a write_traces key may write to; who asks is an admin in each, and signed in.",
    )


class NewLimits(BaseModel):
    limits: _Limits
    reason: str = Field("", max_length=2000)


class ProjectChanges(BaseModel):
    """What is left out stays."""

    limits: _Limits = Field(default_factory=dict)
    keep_span_days: int | None = Field(
        None,
        description="Days that spans and scores are kept; null: the installation's setting. Fewer days drop older ones.",
    )
    reason: str = Field("", max_length=2000)


class OtherProject(BaseModel):
    project_id: str = Field(max_length=36)


class NewOwnKey(BaseModel):
    name: str = Field(max_length=120)
    role: str = "viewer"
    ttl_hours: float | None = None


@router.post("/login")
def login(credentials: Credentials, request: Request, response: Response, stores: StoresDep) -> dict[str, Any]:
    """Start a session: sets its cookie and returns the token that changes must send as x-csrf-token."""
    refuse_other_sites(request)
    started = sessions.login(stores, credentials.email, credentials.password)
    set_cookie(response, started, secure=stores.settings.secure_cookies)
    return {"csrf": started.csrf, "expires_at": started.expires_at, **_me(started.caller)}


@router.post("/logout")
def logout(
    request: Request, response: Response, stores: StoresDep, _: Annotated[Caller, allow("view")]
) -> dict[str, bool]:
    """End the session that asks."""
    sessions.logout(stores, request.cookies.get(sessions.COOKIE, ""))
    response.delete_cookie(sessions.COOKIE)
    return {"done": True}


@router.get("/me")
def me(caller: Annotated[Caller, allow("view")]) -> dict[str, Any]:
    """Who the key or session stands for, and what they may do."""
    return _me(caller)


@router.post("/me/password")
def change_password(body: NewPassword, stores: StoresDep, caller: Annotated[Caller, allow("view")]) -> dict[str, bool]:
    """Choose another password; ends all sessions."""
    sessions.change_password(stores, caller, old=body.old, new=body.new)
    return {"done": True}


@router.post("/me/keys", status_code=201)
def create_own_key(body: NewOwnKey, stores: StoresDep, caller: Annotated[Caller, allow("view")]) -> dict[str, str]:
    """Make a manage key that acts as oneself."""
    with stores.database.begin() as connection:
        row, key = service.mint_key(
            connection,
            project_id=caller.project_id,
            name=body.name,
            scope="manage",
            role=roles.lower(roles.check_role(body.role), caller.role),
            ttl_hours=body.ttl_hours,
            actor_id=caller.id,
        )
    return {"id": row.id, "key": key, "hint": row.hint}


@router.get("/me/keys")
def list_own_keys(stores: StoresDep, caller: Annotated[Caller, allow("view")]) -> dict[str, list[KeyRow]]:
    """Keys that act as oneself."""
    with stores.database.read() as connection:
        own = service.list_keys(connection, caller.project_id)
        return {"items": [key for key in own if key.person_id == caller.id]}


@router.delete("/me/keys/{key_id}")
def revoke_own_key(
    key_id: str, stores: StoresDep, caller: Annotated[Caller, allow("view")], reason: str = ""
) -> KeyRow:
    """Stop one of one's own keys for good."""
    with stores.database.begin() as connection:
        return service.revoke_own_key(
            connection, project_id=caller.project_id, key_id=key_id, person_id=caller.id, reason=reason
        )


@router.get("/people")
def list_people(stores: StoresDep, caller: Annotated[Caller, allow("view")]) -> dict[str, list[Person]]:
    """Everybody with a role in the project."""
    with stores.database.read() as connection:
        return {"items": people.list_people(connection, caller.project_id)}


@router.post("/people", status_code=201)
def add_person(body: NewPerson, stores: StoresDep, caller: Annotated[Caller, allow("admin")]) -> dict[str, str]:
    """Create an account; the password comes back only when it was made up."""
    with stores.database.begin() as connection:
        person, password = people.add_person(
            connection,
            project_id=caller.project_id,
            email=body.email,
            name=body.name,
            role=body.role,
            password=body.password,
            actor_id=caller.id,
        )
    made_up = {} if body.password else {"password": password}
    return {"id": person.id, "email": person.email, "name": person.name, "role": person.role, **made_up}


@router.patch("/people/{person_id}")
def change_role(person_id: str, body: NewRole, stores: StoresDep, caller: Annotated[Caller, allow("admin")]) -> Person:
    """Give a person another role."""
    with stores.database.begin() as connection:
        return people.set_role(
            connection, project_id=caller.project_id, person_id=person_id, role=body.role, actor_id=caller.id
        )


@router.delete("/people/{person_id}", status_code=204)
def remove_person(
    person_id: str, stores: StoresDep, caller: Annotated[Caller, allow("admin")], reason: str = ""
) -> None:
    """Take a person's access away at once."""
    with stores.database.begin() as connection:
        people.remove_person(
            connection, project_id=caller.project_id, person_id=person_id, actor_id=caller.id, reason=reason
        )


@router.get("/keys")
def list_keys(stores: StoresDep, caller: Annotated[Caller, allow("admin")]) -> dict[str, list[KeyRow]]:
    """All keys of the project, revoked ones too; what is shown of a key is its last four characters."""
    with stores.database.read() as connection:
        return {"items": service.list_keys(connection, caller.project_id)}


@router.post("/keys", status_code=201)
def create_key(body: NewKey, stores: StoresDep, caller: Annotated[Caller, allow("admin")]) -> dict[str, str]:
    """Make a key; this answer is the only place that ever shows it."""
    with stores.database.begin() as connection:
        row, key = service.mint_key(
            connection,
            project_id=caller.project_id,
            name=body.name,
            scope=body.scope,
            role=body.role,
            release=body.release,
            live=body.live,
            ttl_hours=body.ttl_hours,
            limits=body.limits,
            projects=writing.granted(connection, caller, body.projects),
            actor_id=caller.id,
        )
    return {"id": row.id, "key": key, "hint": row.hint}


@router.patch("/keys/{key_id}")
def limit_key(key_id: str, body: NewLimits, stores: StoresDep, caller: Annotated[Caller, allow("admin")]) -> KeyRow:
    """Change what a key may use; limits that are not named stay."""
    with stores.database.begin() as connection:
        return service.limit_key(
            connection,
            project_id=caller.project_id,
            key_id=key_id,
            limits=body.limits,
            reason=body.reason,
            actor_id=caller.id,
        )


@router.delete("/keys/{key_id}")
def revoke_key(key_id: str, stores: StoresDep, caller: Annotated[Caller, allow("admin")], reason: str = "") -> KeyRow:
    """Stop a key for good."""
    with stores.database.begin() as connection:
        return service.revoke_key(
            connection, project_id=caller.project_id, key_id=key_id, actor_id=caller.id, reason=reason
        )


@router.get("/guest-keys")
def list_guest_keys(stores: StoresDep, caller: Annotated[Caller, allow("admin")]) -> dict[str, list[GuestKey]]:
    """Keys of other projects that may write traces to this one, and work."""
    with stores.database.read() as connection:
        return {"items": writing.guests(connection, caller.project_id)}


@router.delete("/guest-keys/{key_id}", status_code=204)
def withdraw_key(key_id: str, stores: StoresDep, caller: Annotated[Caller, allow("admin")], reason: str = "") -> None:
    """End that a key of another project writes to this one; in its own it works on."""
    with stores.database.begin() as connection:
        writing.withdraw(connection, project_id=caller.project_id, key_id=key_id, actor_id=caller.id, reason=reason)


@router.get("/me/projects")
def list_own_projects(stores: StoresDep, caller: Annotated[Caller, allow("view")]) -> dict[str, list[dict[str, str]]]:
    """The projects in which one has a role; for a key, its own."""
    with stores.database.read() as connection:
        if caller.kind == "person":
            mine = projects.projects_of(connection, caller.id)
        else:
            mine = [(caller.project_id, projects.get_project(connection, caller.project_id).name, caller.role)]
    return {"items": [{"id": id_, "name": name, "role": role} for id_, name, role in mine]}


@router.post("/me/project")
def switch_project(
    body: OtherProject, request: Request, stores: StoresDep, caller: Annotated[Caller, allow("view")]
) -> dict[str, bool]:
    """Go on in another of one's projects, with this session."""
    sessions.switch_project(stores, caller, request.cookies.get(sessions.COOKIE, ""), body.project_id)
    return {"done": True}


@router.get("/project")
def get_project(stores: StoresDep, caller: Annotated[Caller, allow("view")]) -> Project:
    """The project that one works in, and what all that is called in it may use together."""
    with stores.database.read() as connection:
        return projects.get_project(connection, caller.project_id)


@router.patch("/project")
def change_project(body: ProjectChanges, stores: StoresDep, caller: Annotated[Caller, allow("admin")]) -> Project:
    """Change what the whole project may use, or how long its spans stay; what is not named stays as it is."""
    where: dict[str, Any] = {"project_id": caller.project_id, "reason": body.reason, "actor_id": caller.id}
    with stores.database.begin() as connection:
        if "keep_span_days" in body.model_fields_set:
            projects.keep_project_spans(connection, days=body.keep_span_days, **where)
        return projects.limit_project(connection, limits=body.limits, **where)


@router.get("/audit")
def list_audit(
    stores: StoresDep,
    caller: Annotated[Caller, allow("view")],
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
    verb: str | None = None,
    target_kind: str | None = None,
    target_id: str | None = None,
) -> Page[AuditEntry]:
    """What happened in the project, newest first."""
    with stores.database.read() as connection:
        return audit.entries(
            connection,
            caller.project_id,
            verb=verb,
            target_kind=target_kind,
            target_id=target_id,
            limit=limit,
            cursor=cursor,
        )


def refuse_other_sites(request: Request) -> None:
    """Raise Forbidden when another site's page sends the login: its visitor would work in a stranger's account."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Forbidden("A login must come from Noria's own page.", hint="Open /login.")


def set_cookie(response: Response, started: sessions.Login, *, secure: bool) -> None:
    """Put a session into the browser."""
    response.set_cookie(
        sessions.COOKIE, started.token, expires=started.expires_at, httponly=True, samesite="lax", secure=secure
    )


def _me(caller: Caller) -> dict[str, Any]:
    return {
        "id": caller.id,
        "kind": caller.kind,
        "name": caller.name,
        "project_id": caller.project_id,
        "role": caller.role,
        "permissions": sorted(caller.permissions),
    }


router.include_router(http_langfuse.router)
