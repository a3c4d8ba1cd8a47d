"""The server as one value: every slice's API and pages behind the guard, static files, errors, headers.

What comes in is the list of slices, the stores and the authenticator (governance's; injected so that web knows no people).
A route without a guard is found by `unguarded` and fails a test; nothing is public but what `PUBLIC` lists.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute
from starlette.staticfiles import StaticFiles

from noria import __version__
from noria.core.slices import Slice, resolve
from noria.stores.connect import Stores
from noria.web import actions, i18n, mcp, problems, templates
from noria.web.auth import Authenticate, Caller, allow, permission_of
from noria.web.boundary import Boundary

PUBLIC: Final[frozenset[str]] = frozenset(
    {"/healthz", "/static", "/static/vega.js", "/lang/{code}", "/login", "/api/login", "/api/feedback/signed/{token}"}
    | {"/api/public/health", "/api/public/media/{media_id}/content/{project_id}/{token}"}
)
"""Paths that anybody may ask for: they show nothing of any project. Links of feedback and media are their own permission."""

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_kit = APIRouter()


def create(
    slices: Sequence[Slice], stores: Stores, authenticate: Authenticate, *, lifespan: Lifespan | None = None
) -> FastAPI:
    """The ASGI application of the server process; `lifespan` is for what the process runs beside it."""
    app = FastAPI(
        title="Noria", version=__version__, docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan
    )
    app.state.stores = stores
    app.state.authenticate = authenticate
    app.state.pages = templates.Pages(slices)
    app.state.slices = tuple(slices)
    app.add_middleware(Boundary, max_body_mb=stores.settings.max_body_mb, max_upload_mb=stores.settings.max_upload_mb)
    problems.install(app)
    app.include_router(_kit)
    app.include_router(mcp.router)
    for part in slices:
        if part.http:
            app.include_router(resolve(part.http))
        if part.pages:
            app.include_router(resolve(part.pages), include_in_schema=False)
        for action in part.actions:
            app.include_router(actions.routes(action), include_in_schema=False)
    app.mount("/static", StaticFiles(directory=templates.STATIC), name="static")
    app.add_api_route("/", _first_page, include_in_schema=False)  # the last: a slice's own comes before it
    return app


def unguarded(app: FastAPI) -> list[str]:
    """Paths that anybody can reach though `PUBLIC` does not list them; there must be none."""
    return sorted({r.path or "?" for r in _routes(app.routes) if permission_of(r) is None and r.path not in PUBLIC})


def guarded(app: FastAPI) -> dict[tuple[str, str], str]:
    """What each (method, path) wants."""
    return {
        (method, route.path or "?"): permission
        for route in _routes(app.routes)
        if (permission := permission_of(route)) is not None
        for method in route.methods or ()
    }


def _routes(routes: Sequence[BaseRoute]) -> Iterator[RouteContext]:
    yield from iter_route_contexts(routes)


@_kit.get("/healthz", include_in_schema=False)
async def health() -> dict[str, str]:
    """Whether the process answers; says nothing about what it holds."""
    return {"status": "ok", "version": __version__}


@_kit.get("/api/public/health", include_in_schema=False)
async def langfuse_health() -> dict[str, str]:
    """The same where Langfuse's clients ask."""
    return {"status": "OK", "version": __version__}


@_kit.get("/api/openapi.json", include_in_schema=False)
def openapi(request: Request, _: Annotated[Caller, allow("view")]) -> Response:
    """The JSON API, described."""
    document: dict[str, Any] = request.app.openapi()
    document.setdefault("components", {})["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"key": []}]
    return JSONResponse(document)


@_kit.get("/lang/{code}", include_in_schema=False)
def language(request: Request, code: str) -> Response:
    """Choose the language of pages, and go back to where one was."""
    answer = RedirectResponse(templates.way_back(request), 303)
    if code in i18n.LANGUAGES:
        answer.set_cookie("lang", code, max_age=365 * 86_400, httponly=True, samesite="lax")
    return answer


@_kit.get("/static/vega.js", include_in_schema=False)
async def vega(request: Request) -> Response:
    """The charts' JavaScript, made once for each version of Noria and kept in the data folder."""
    from noria.web import charts

    stores: Stores = request.app.state.stores
    path = await asyncio.to_thread(charts.bundle, stores.settings.folder.run)
    return FileResponse(path, media_type="text/javascript")


def _first_page(request: Request, _: Annotated[Caller, allow("view")]) -> Response:
    pages: templates.Pages = request.app.state.pages
    return RedirectResponse(pages.first_path, 303)
