"""Step processes: what is too heavy for the gateway, or a team's own, asked over HTTP (docs/steps.md).

In: a URL from a policy and a JSON question. Out: a JSON object. The decision to know: a step is never trusted. Its answer is bounded,
redirects are not followed, and every way to fail is one error, whose text says nothing of the question; who asks decides how long it
waits and what a failure means.
"""

import asyncio
from typing import Any, Final

import orjson
from yarl import URL

from noria.core.errors import BadInput, NoriaError
from noria.gateway import payload
from noria.gateway.client import Client
from noria.gateway.http1 import Response
from noria.registry.addresses import check_base_url

VERSION: Final = 1
_MOST = 4 * 1024 * 1024
_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "noria"}


class StepFailed(NoriaError):
    """A step could not be asked, or answered with something that is no answer."""

    status = 503
    code = "step_failed"


class Steps:
    """Calls to steps, over the gateway's connections."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._checked: set[str] = set()

    async def call(self, url: str, question: dict[str, Any]) -> dict[str, Any]:
        """The step's answer. Raises StepFailed; waits for ever, so call it within a time limit."""
        self._check(url)
        try:
            body = orjson.dumps({"version": VERSION, **question})
            response = await self._client.request("POST", URL(url), headers=_HEADERS, body=body, trusted=True)
        except TypeError as error:
            raise StepFailed("The request is nested too deeply for a step.") from error
        except OSError as error:
            raise StepFailed("The step could not be reached.") from error
        try:
            if response.status != 200:
                raise StepFailed(f"The step answered with status {response.status}.")
            return await _object(response)
        except OSError as error:
            raise StepFailed("The step broke off.") from error
        finally:
            response.release()

    def _check(self, url: str) -> None:
        """Policies are checked where they are saved; a snapshot is only a file."""
        if url in self._checked:
            return
        try:
            check_base_url(url, allow_private=True)
        except BadInput as error:
            raise StepFailed("The step's address may not be called.") from error
        if len(self._checked) < 1_000:
            self._checked.add(url)


async def _object(response: Response) -> dict[str, Any]:
    raw = await response.read(_MOST)
    size = len(raw)
    if size > _MOST:
        raise StepFailed(f"The step's answer is larger than {_MOST // 1_000_000} MB.")
    # Not on the loop when it is large: parsing 4 MB takes longer than a request may be held up.
    try:
        answer = payload.strict(raw) if size < 100_000 else await asyncio.to_thread(payload.strict, raw)
    except ValueError as error:
        raise StepFailed("The step's answer is no JSON.") from error
    if not isinstance(answer, dict):
        raise StepFailed("The step's answer is no JSON object.")
    return answer
