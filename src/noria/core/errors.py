"""Everything that Noria refuses or cannot do, as one tree.

NoriaError
├── BadInput            400  the request or the file says something that cannot be used
│   └── TooLarge        413
├── Unauthenticated     401  no key or session, or one that is not valid (any more)
├── Forbidden           403  known caller, missing permission
├── NotFound            404
├── Conflict            409  the thing is not in a state that allows this
├── Limited             429
└── Unavailable         503  a part of Noria or something it needs is not there now
    ├── ProviderFailed  502  the model provider answered with an error or with garbage
    └── TimedOut        504

Each error carries a stable machine `code`, an HTTP `status`, a `message` that says what happened and what was kept, and
a `hint` that says what to do. They are mapped to problem+json in one place (noria.web.problems) and to the
OpenAI shape in one place (noria.gateway.shapes). Neither message nor hint ever holds a key or a person's data.
"""

from typing import Any


class Sentence(str):
    """English text that was made of a template and values, so that a page can say it in another language.

    `Sentence("There is no field {name!r}.", name="modle")` is the text "There is no field 'modle'."; `noria.web.i18n` translates `template`
    and puts `values` into the translation. Without values the text is taken as it is.
    """

    template: str
    values: dict[str, Any]

    def __new__(cls, template: str, /, **values: Any) -> "Sentence":
        made = super().__new__(cls, template.format_map(values) if values else template)
        made.template, made.values = template, values
        return made


class NoriaError(Exception):
    """Base of all errors that a user may see. `message` ends without a period only if it is a fragment."""

    status = 500
    code = "internal"

    def __init__(self, message: str, *, hint: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code


class BadInput(NoriaError):
    status = 400
    code = "bad_input"


class TooLarge(BadInput):
    status = 413
    code = "too_large"


class Unauthenticated(NoriaError):
    status = 401
    code = "unauthenticated"


class Forbidden(NoriaError):
    status = 403
    code = "forbidden"


class NotFound(NoriaError):
    status = 404
    code = "not_found"


class Conflict(NoriaError):
    status = 409
    code = "conflict"


class Limited(NoriaError):
    status = 429
    code = "limited"


class Unavailable(NoriaError):
    status = 503
    code = "unavailable"


class ProviderFailed(Unavailable):
    status = 502
    code = "provider_failed"


class TimedOut(Unavailable):
    status = 504
    code = "timed_out"
