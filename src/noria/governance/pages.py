"""Pages of access: login, one's own account, people, keys, audit.

Forms answer with a redirect, except where something is shown once (a key, a made-up password): that is in the answer to the
form itself and nowhere else.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from noria.core.errors import Limited, Unauthenticated
from noria.governance import allowances, audit, people, projects, roles, service, sessions, writing
from noria.governance.http import refuse_other_sites, set_cookie
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep
from noria.web.paging import Cursor, Limit
from noria.web.templates import local_path, render, see_other

router = APIRouter()

Text = Annotated[str, Form(max_length=1000)]
Short = Annotated[str, Form(max_length=40)]
Viewer = Annotated[Caller, allow("view")]
Admin = Annotated[Caller, allow("admin")]


class LimitFields:
    """The five fields of a form for limits, as a dependency; an empty one (or a missing one, which is the same) is 0."""

    def __init__(
        self,
        *,
        requests_per_minute: Short = "",
        tokens_per_minute: Short = "",
        concurrent: Short = "",
        day_dollars: Short = "",
        month_dollars: Short = "",
    ) -> None:
        self.changes = allowances.from_fields(
            {
                "requests_per_minute": requests_per_minute,
                "tokens_per_minute": tokens_per_minute,
                "concurrent": concurrent,
                "day_dollars": day_dollars,
                "month_dollars": month_dollars,
            }
        )


Limiting = Annotated[LimitFields, Depends()]


@router.get("/login")
def login_page(request: Request, next: str = "/") -> Response:
    """The door."""
    return render(request, None, "governance/login.html", next=local_path(next), email="", error="")


@router.post("/login")
def login(
    request: Request, stores: StoresDep, email: Text, password: Text, next: Annotated[str, Form()] = "/"
) -> Response:
    """Start a session and go where one was going."""
    refuse_other_sites(request)
    try:
        started = sessions.login(stores, email, password)
    except (Unauthenticated, Limited) as error:
        again = {"next": local_path(next), "email": email, "error": error.message}
        return render(request, None, "governance/login.html", status=error.status, **again)
    answer = RedirectResponse(local_path(next), 303)
    set_cookie(answer, started, secure=stores.settings.secure_cookies)
    return answer


@router.post("/logout")
def logout(request: Request, stores: StoresDep, _: Viewer) -> Response:
    """End the session."""
    sessions.logout(stores, request.cookies.get(sessions.COOKIE, ""))
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(sessions.COOKIE)
    return answer


@router.get("/settings")
def account_page(request: Request, stores: StoresDep, caller: Viewer) -> Response:
    """One's own account: language, password, keys."""
    with stores.database.read() as connection:
        return _account(request, caller, connection)


@router.post("/settings/my-project")
def switch_project(request: Request, stores: StoresDep, caller: Viewer, project_id: Short) -> Response:
    """Go on in another of one's projects."""
    sessions.switch_project(stores, caller, request.cookies.get(sessions.COOKIE, ""), project_id)
    return RedirectResponse("/", 303)


@router.post("/settings/password")
def change_password(stores: StoresDep, caller: Viewer, old: Text, new: Text) -> Response:
    """Choose another password; every session ends, this one too."""
    sessions.change_password(stores, caller, old=old, new=new)
    return RedirectResponse("/login", 303)


@router.post("/settings/my-keys")
def make_own_key(
    request: Request, stores: StoresDep, caller: Viewer, name: Text, role: Text, *, hours: Text = ""
) -> Response:
    """Make a key that acts as oneself; it is shown in this answer only."""
    with stores.database.begin() as connection:
        row, key = service.mint_key(
            connection,
            project_id=caller.project_id,
            name=name,
            scope="manage",
            role=roles.lower(roles.check_role(role), caller.role),
            ttl_hours=_hours(hours),
            actor_id=caller.id,
        )
        return _account(request, caller, connection, fresh={"name": row.name, "value": key})


@router.post("/settings/my-keys/{key_id}/revoke")
def revoke_own_key(key_id: str, stores: StoresDep, caller: Viewer, reason: Text = "") -> Response:
    """Stop one of one's own keys."""
    with stores.database.begin() as connection:
        service.revoke_own_key(
            connection, project_id=caller.project_id, key_id=key_id, person_id=caller.id, reason=reason
        )
    return see_other("/settings", "The key is revoked.")


@router.get("/settings/people")
def people_page(request: Request, stores: StoresDep, caller: Viewer) -> Response:
    """Who is in the project."""
    with stores.database.read() as connection:
        return _people(request, caller, connection)


@router.post("/settings/people")
def add_person(
    request: Request, stores: StoresDep, caller: Admin, email: Text, role: Text, *, name: Text = ""
) -> Response:
    """Create an account; its password is shown in this answer only."""
    with stores.database.begin() as connection:
        made, password = people.add_person(
            connection, project_id=caller.project_id, email=email, name=name, role=role, actor_id=caller.id
        )
        return _people(request, caller, connection, fresh={"name": made.email, "value": password})


@router.post("/settings/people/{person_id}/role")
def change_role(person_id: str, stores: StoresDep, caller: Admin, role: Text) -> Response:
    """Give somebody another role."""
    with stores.database.begin() as connection:
        people.set_role(connection, project_id=caller.project_id, person_id=person_id, role=role, actor_id=caller.id)
    return see_other("/settings/people", "The role is changed.")


@router.post("/settings/people/{person_id}/password")
def reset_password(request: Request, person_id: str, stores: StoresDep, caller: Admin) -> Response:
    """Give somebody a new password, shown in this answer only; their sessions end."""
    with stores.database.begin() as connection:
        person = people.get_person(connection, caller.project_id, person_id)
        password = people.set_password(
            connection, project_id=caller.project_id, person_id=person_id, actor_id=caller.id
        )
        return _people(request, caller, connection, fresh={"name": person.email, "value": password})


@router.post("/settings/people/{person_id}/remove")
def remove_person(person_id: str, stores: StoresDep, caller: Admin, reason: Text) -> Response:
    """Take somebody's access away."""
    with stores.database.begin() as connection:
        people.remove_person(
            connection, project_id=caller.project_id, person_id=person_id, actor_id=caller.id, reason=reason
        )
    return see_other("/settings/people", "The person has no access any more.")


@router.get("/settings/keys")
def keys_page(request: Request, stores: StoresDep, caller: Admin) -> Response:
    """All keys of the project."""
    with stores.database.read() as connection:
        return _keys(request, caller, connection)


@router.post("/settings/keys")
def make_key(
    request: Request,
    stores: StoresDep,
    caller: Admin,
    name: Text,
    scope: Text,
    *,
    release: Text = "",
    hours: Text = "",
    projects: Annotated[list[str] | None, Form()] = None,
    limits: Limiting,
) -> Response:
    """Make a key for a program; it is shown in this answer only."""
    with stores.database.begin() as connection:
        row, key = service.mint_key(
            connection,
            project_id=caller.project_id,
            name=name,
            scope=scope,
            release=release.strip(),
            ttl_hours=_hours(hours),
            limits=limits.changes,
            projects=writing.granted(connection, caller, projects or ()),
            actor_id=caller.id,
        )
        return _keys(request, caller, connection, fresh={"name": row.name, "value": key})


@router.post("/settings/keys/{key_id}/limits")
def limit_key(key_id: str, stores: StoresDep, caller: Admin, limits: Limiting, reason: Text = "") -> Response:
    """Change what a key may use."""
    with stores.database.begin() as connection:
        service.limit_key(
            connection,
            project_id=caller.project_id,
            key_id=key_id,
            limits=limits.changes,
            reason=reason,
            actor_id=caller.id,
        )
    return see_other("/settings/keys", "The limits of the key are changed.")


@router.post("/settings/guest-keys/{key_id}/withdraw")
def withdraw_key(key_id: str, stores: StoresDep, caller: Admin, reason: Text = "") -> Response:
    """End that a key of another project writes here."""
    with stores.database.begin() as connection:
        writing.withdraw(connection, project_id=caller.project_id, key_id=key_id, actor_id=caller.id, reason=reason)
    return see_other("/settings/keys", "The key writes here no more.")


@router.post("/settings/limits")
def limit_project(stores: StoresDep, caller: Admin, limits: Limiting, reason: Text = "") -> Response:
    """Change what the whole project may use."""
    with stores.database.begin() as connection:
        projects.limit_project(
            connection, project_id=caller.project_id, limits=limits.changes, reason=reason, actor_id=caller.id
        )
    return see_other("/settings/keys", "The limits of the project are changed.")


@router.get("/settings/project")
def project_page(request: Request, stores: StoresDep, caller: Admin) -> Response:
    """How long the project's spans stay."""
    with stores.database.read() as connection:
        found = projects.get_project(connection, caller.project_id)
    days = stores.settings.keep_span_days
    return render(request, caller, "governance/project.html", project=found, installation_days=days, fresh=None)


@router.post("/settings/project/keep-spans")
def keep_spans(stores: StoresDep, caller: Admin, days: Short = "", reason: Text = "") -> Response:
    """Keep spans for so many days; empty: as long as the installation's setting says."""
    with stores.database.begin() as connection:
        projects.keep_project_spans(
            connection,
            project_id=caller.project_id,
            days=projects.days(days),
            reason=reason,
            actor_id=caller.id,
        )
    return see_other("/settings/project", "How long spans stay is changed.")


@router.post("/settings/keys/{key_id}/revoke")
def revoke_key(key_id: str, stores: StoresDep, caller: Admin, reason: Text = "") -> Response:
    """Stop a key for good."""
    with stores.database.begin() as connection:
        service.revoke_key(connection, project_id=caller.project_id, key_id=key_id, actor_id=caller.id, reason=reason)
    return see_other("/settings/keys", "The key is revoked.")


@router.get("/audit")
def audit_page(
    request: Request,
    stores: StoresDep,
    caller: Viewer,
    *,
    verb: str = "",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """What happened in the project."""
    with stores.database.read() as connection:
        page = audit.entries(connection, caller.project_id, verb=verb or None, limit=limit, cursor=cursor)
    return render(request, caller, "governance/audit.html", page=page, verb=verb)


def _account(request: Request, caller: Caller, connection: Connection, fresh: dict[str, str] | None = None) -> Response:
    own = [key for key in service.list_keys(connection, caller.project_id) if key.person_id == caller.id]
    return render(
        request,
        caller,
        "governance/account.html",
        keys=own,
        project=projects.get_project(connection, caller.project_id),
        mine=projects.projects_of(connection, caller.id) if caller.kind == "person" else [],
        state=service.key_state,
        roles=[role for role in roles.ROLES if roles.lower(role, caller.role) == role],
        fresh=fresh,
    )


def _people(request: Request, caller: Caller, connection: Connection, fresh: dict[str, str] | None = None) -> Response:
    listed = people.list_people(connection, caller.project_id)
    return render(request, caller, "governance/people.html", people=listed, roles=roles.ROLES, fresh=fresh)


def _keys(request: Request, caller: Caller, connection: Connection, fresh: dict[str, str] | None = None) -> Response:
    context: dict[str, Any] = {"keys": service.list_keys(connection, caller.project_id), "fresh": fresh}
    context["names"] = {p.id: p.name for p in people.list_people(connection, caller.project_id)}
    context["state"] = service.key_state
    context["project"] = projects.get_project(connection, caller.project_id)
    context["fields"] = allowances.to_fields
    context["guests"] = writing.guests(connection, caller.project_id)
    mine = writing.admin_of(connection, caller.id) if caller.kind == "person" else []
    context["others"] = [one for one in mine if one[0] != caller.project_id]
    return render(request, caller, "governance/keys.html", **context)


def _hours(text: str) -> float | None:
    return service.hours(text) if text.strip() else None
