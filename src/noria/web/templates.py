"""Pages: Jinja templates of all slices, rendered with who is asking and in their language.

`render(request, caller, "datasets/list.html", rows=rows)` finds `src/noria/datasets/templates/list.html`. What every
template may use without being given it (`_`, `can`, `csrf`, `number`, …) belongs to one rendering and is kept in a context
variable, so that macros can be imported plainly and still speak the right language.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode, urlsplit

import orjson
from fastapi import Request
from jinja2 import Environment, FileSystemLoader, PrefixLoader, StrictUndefined, pass_context
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from noria.core import money
from noria.core.slices import Action, Nav, On, Slice
from noria.web import charts, i18n
from noria.web.auth import Caller, Permission

STATIC: Final[Path] = Path(__file__).parent / "static"
GROUPS: Final[tuple[str, ...]] = ("", "Improve", "Serve", "Govern")
"""Groups of the navigation, in order; others follow."""

TONES: Final[dict[str, str]] = {
    "ready": "good",
    "serving": "good",
    "primary": "good",
    "passed": "good",
    "done": "good",
    "approved": "good",
    "ok": "good",
    "active": "good",
    "running": "warn",
    "queued": "warn",
    "starting": "warn",
    "canary": "warn",
    "shadow": "warn",
    "undecided": "warn",
    "waiting": "warn",
    "expired": "warn",
    "failed": "bad",
    "error": "bad",
    "rejected": "bad",
    "revoked": "bad",
    "draft": "",
    "evaluated": "",
    "retired": "",
    "cancelled": "",
}
"""What colour a state has. A state that is not listed is neutral."""

_NOTICE = "notice"


class Pages:
    """The templates, navigation and static files of one application."""

    def __init__(self, slices: Sequence[Slice]) -> None:
        self.environment = _environment()
        self.nav = _navigation(slices)
        self.actions = [action for part in slices for action in part.actions]
        entries = [entry for _, group in self.nav for entry in group]
        self.first_path = entries[0].path if entries else "/login"
        self._paths = sorted((entry.path for entry in entries), key=len, reverse=True)

    def entry_of(self, path: str) -> str:
        """The navigation entry that a page belongs to: the longest path that starts it; "" for none."""
        inside = (p for p in self._paths if path == p or (p != "/" and path.startswith(f"{p}/")))
        return next(inside, "")


@dataclass(frozen=True, slots=True)
class _Rendering:
    """What is the same throughout one page."""

    request: Request
    caller: Caller | None
    words: i18n.Words


_now: ContextVar[_Rendering] = ContextVar("noria_rendering")


def render(request: Request, caller: Caller | None, name: str, /, *, status: int = 200, **context: Any) -> HTMLResponse:
    """The page `name` ("slice/file.html"). `caller` is None on the few pages for strangers."""
    answer = HTMLResponse(to_html(request, caller, name, **context), status)
    answer.headers["vary"] = "cookie, accept-language"
    if request.cookies.get(_NOTICE):
        answer.delete_cookie(_NOTICE)
    return answer


def to_html(request: Request, caller: Caller | None, name: str, /, **context: Any) -> str:
    """The same as text."""
    pages: Pages = request.app.state.pages
    words = i18n.words(i18n.of_request(request))
    token = _now.set(_Rendering(request, caller, words))
    try:
        return pages.environment.get_template(name).render(
            caller=caller,
            lang=words.language,
            languages=i18n.LANGUAGES,
            nav=pages.nav,
            here_in_nav=pages.entry_of(request.url.path),
            notice=unquote(request.cookies.get(_NOTICE, "")) if caller else "",
            **context,
        )
    finally:
        _now.reset(token)


def see_other(path: str, notice: str = "") -> Response:
    """After a form: go to `path`, whose page says `notice` once (English; translated when the catalogue has it)."""
    answer = RedirectResponse(path, 303)
    if notice:
        answer.set_cookie(_NOTICE, quote(notice[:500]), max_age=30, httponly=True, samesite="lax")
    return answer


def error_page(request: Request, document: dict[str, Any]) -> Response:
    """An error as a page: what happened, what to do, and the way back."""
    caller: Caller | None = getattr(request.state, "caller", None)
    context = {"problem": document, "back": way_back(request)}
    return render(request, caller, "web/error.html", status=document["status"], **context)


def way_back(request: Request) -> str:
    """Path of the page that led here, "/" when there was none or it was not ours."""
    target = request.query_params.get("next") or request.headers.get("referer", "")
    parts = urlsplit(target)
    if parts.netloc and parts.netloc != request.url.netloc:
        return "/"
    return local_path(parts.path + (f"?{parts.query}" if parts.query else ""))


def local_path(target: str) -> str:
    """`target` if it is a path on this server, else "/": what follows a login must not lead elsewhere."""
    plain = target.isascii() and target.isprintable() and "\\" not in target
    return target if plain and target.startswith("/") and not target.startswith("//") else "/"


def _environment() -> Environment:
    folders = {path.parent.name: FileSystemLoader(path) for path in sorted(i18n.ROOT.glob("*/templates"))}
    environment = Environment(
        loader=PrefixLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {
        "_": _spoken("__call__"),
        "_n": _spoken("plural"),
        "can": _can,
        "actions": _actions,
        "csrf": _csrf,
        "asset": asset,
        "here": _here,
        "vega_version": charts.engine_version,
        "chart_rows": charts.rows_of,
        "with_query": _with_query,
        "tone": lambda state: TONES.get(state, ""),
    }
    for name in ("number", "percent", "moment", "ago", "duration", "exact"):
        environment.filters[name] = pass_context(_filter(name))
    environment.filters |= {"bytes": _bytes, "pretty": _pretty, "script_json": _script_json, "iso": datetime.isoformat}
    environment.filters["sum_of"] = lambda micros: f"${money.sum_of(micros)}"
    environment.filters["dollars"] = lambda micros: f"${money.dollars(micros)}"
    return environment


def _spoken(method: str) -> Callable[..., str]:
    """A method of the Words of whichever page is being rendered."""

    def speak(*values: Any, **named: Any) -> str:
        return str(getattr(_now.get().words, method)(*values, **named))

    return speak


def _filter(method: str) -> Callable[..., str]:
    """The same as a filter that Jinja does not work out while compiling, when it is some other page's language."""
    speak = _spoken(method)
    return lambda _context, *values, **named: speak(*values, **named)


def _can(permission: Permission) -> bool:
    caller = _now.get().caller
    return caller is not None and permission in caller.permissions


def _actions(on: On) -> list[Action]:
    """What whoever looks at this page may do with such a thing, as the slices' manifests list it."""
    now = _now.get()
    pages: Pages = now.request.app.state.pages
    return [one for one in pages.actions if on in one.on and now.caller and one.permission in now.caller.permissions]


def _csrf() -> str:
    caller = _now.get().caller
    return caller.csrf if caller is not None else ""


def _with_query(**changes: Any) -> str:
    """The address of this page with parts of its query replaced; None and "" leave a part out."""
    request = _now.get().request
    query = dict(request.query_params) | changes
    text = urlencode({key: value for key, value in query.items() if value not in (None, "")})
    return f"{request.url.path}?{text}" if text else request.url.path


def _here() -> str:
    """Path and query of this page, for `?next=`; after a form, the page that the form was on."""
    request = _now.get().request
    if request.method != "GET":
        return quote(way_back(request), safe="")
    return quote(request.url.path + (f"?{request.url.query}" if request.url.query else ""), safe="")


def _script_json(value: Any) -> Markup:
    """JSON that cannot end the <script type="application/json"> around it."""
    return Markup(orjson.dumps(value, default=str).decode().replace("<", "\\u003c"))  # noqa: S704 - no "<" is left


def _bytes(size: float) -> str:
    """A size in decimal units: 241 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _pretty(value: Any) -> str:
    """JSON over several lines; text that is JSON is laid out, other text stays."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return str(value)
    return orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode()


@cache
def asset(name: str) -> str:
    """The address of a static file, with a digest of its content, so that browsers may keep it for good."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def _navigation(slices: Sequence[Slice]) -> list[tuple[str, list[Nav]]]:
    groups: dict[str, list[Nav]] = {}
    for part in slices:
        for entry in part.nav:
            groups.setdefault(entry.group, []).append(entry)
    order = [*GROUPS, *sorted(groups.keys() - set(GROUPS))]
    return [(name, sorted(groups[name], key=lambda e: (e.order, e.title))) for name in order if name in groups]
