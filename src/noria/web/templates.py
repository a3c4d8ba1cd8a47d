"""Pages: Jinja templates of all slices, rendered with who is asking and in their language."""

from typing import Any

from fastapi import Request
from starlette.responses import HTMLResponse, Response


def error_page(request: Request, document: dict[str, Any]) -> Response:
    """An error as a page."""
    from markupsafe import escape

    return HTMLResponse(f"<p>{escape(document['detail'])}</p>", document["status"])
