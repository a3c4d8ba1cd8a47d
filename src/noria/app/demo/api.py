"""A small client of Noria's JSON API for the demo: signs in as a person, waits for jobs, turns problems into errors."""

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from noria.core.errors import NoriaError, Unavailable

Json = dict[str, Any]


class ApiError(NoriaError):
    """The server refused a request; message and hint are its own words."""


class Api:
    """One signed-in person. All methods raise ApiError with what the server said."""

    def __init__(self, base_url: str, email: str, password: str) -> None:
        self.email = email
        self._http = httpx.Client(base_url=base_url, timeout=60.0, trust_env=False)
        self._http.headers["x-csrf-token"] = self.post("/api/login", email=email, password=password)["csrf"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        return self._call("GET", path, params={k: v for k, v in query.items() if v is not None})

    def post(self, path: str, **body: Any) -> Any:
        return self._call("POST", path, json=body)

    def patch(self, path: str, **body: Any) -> Any:
        return self._call("PATCH", path, json=body)

    def delete(self, path: str) -> Any:
        return self._call("DELETE", path)

    def upload(self, path: str, files: list[Path], **fields: str) -> Any:
        """POST a multipart form with `files`."""
        opened = [("files", (file.name, file.open("rb"), "application/octet-stream")) for file in files]
        try:
            return self._call("POST", path, files=opened, data=fields, timeout=600.0)
        finally:
            for _, (_, stream, _) in opened:
                stream.close()

    def all(self, path: str, **query: Any) -> list[Json]:
        """Every item of a paged list."""
        items: list[Json] = []
        cursor = None
        while True:
            page = self.get(path, cursor=cursor, limit=200, **query)
            items += page["items"]
            cursor = page["next"]
            if not cursor:
                return items

    def wait(self, job_id: str, watch: Callable[[Json], None] | None = None) -> Json:
        """The result of a job once it is done; `watch` sees it about twice a second. Raises ApiError when it failed."""
        while True:
            job: Json = self.get(f"/api/jobs/{job_id}")
            if watch:
                watch(job)
            if job["state"] == "done":
                return job
            if job["state"] in {"failed", "cancelled"}:
                error = job.get("error") or {}
                raise ApiError(
                    error.get("message") or f"the job {job['name']} was {job['state']}", hint=error.get("hint", "")
                )
            time.sleep(0.4)

    def _call(self, method: str, path: str, **options: Any) -> Any:
        try:
            response = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise Unavailable(
                f"The server did not answer {method} {path}: {error}", hint="See logs/server.log."
            ) from error
        if response.is_success:
            return response.json() if response.content else None
        try:
            problem = response.json()
        except ValueError:
            problem = {"detail": response.text[:300]}
        raise ApiError(
            f"{method} {path} answered {response.status_code}: {problem.get('detail') or problem.get('title')}",
            hint=problem.get("hint", ""),
            code=problem.get("code"),
        )
