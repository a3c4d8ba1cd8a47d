"""Responses that were made here by translation, kept so that they can be fetched, deleted and continued.

In: a response and the full list of items that led to it. Out: the same, to keys of the same project, for 30 days. One file a
response below Folder.responses, mode 600, put in place by a rename, so several gateway workers share the folder without a
lock. The decision to know: an id that Noria made is a UUIDv7, so its day and its place are read from the id itself; nothing is
looked up, an id of another form never becomes a path, and a purge removes whole days by their names.

A conversation is continued by its last file alone: each holds all items before it. Nothing is synced to the disk: a killed
process loses nothing that was acknowledged, a power cut may lose the last seconds. Calls block for a file's read or write.
"""

import os
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noria.core.errors import BadInput, NotFound, TooLarge
from noria.gateway import payload
from noria.gateway.dialects import openai
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.responses.ids import made_ms, own_part
from noria.gateway.dialects.responses.input import is_sealed
from noria.gateway.failures import NotReady

KEEP_DAYS = 30
_DAY_MS = 86_400_000
_AHEAD_MS = 600_000
"""Clocks of two machines may differ by so much; an id that is made later than that was never made."""

MOST_BYTES = 32_000_000
"""A conversation is continued up to this size of its last file."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One response with the items that led to it, oldest first, as the caller sent them."""

    response: Json
    items: list[Json]

    def conversation(self) -> list[Json]:
        """The items that a next request has before its own. Its instructions are not among them: they do not carry over."""
        output: list[Json] = self.response["output"]
        return [*self.items, *output]


class ResponseStore:
    """The responses of one data folder. `now` gives seconds since 1970."""

    def __init__(
        self, folder: Path, *, keep_days: int = KEEP_DAYS, most_bytes: int = MOST_BYTES, now: Any = time.time
    ) -> None:
        self._folder = folder
        self._keep_days = keep_days
        self._most_bytes = most_bytes
        self._now = now

    def keep(self, project_id: str, response: Json, items: list[Json], *, subject: str = "") -> None:
        """Keeps it unless it says `store: false`; `subject` is whose it is, for erasing. Raises NotReady when the disk does not take it."""
        if response.get("store") is False:
            return
        path = self._path(str(response["id"]))
        if path is None:
            raise ValueError("only responses with an id of our own are kept")
        whose = {"subject": subject} if subject else {}
        data = openai.encoded({"project": project_id, **whose, "response": response, "items": items})
        try:
            for folder in (self._folder, path.parent.parent, path.parent):
                folder.mkdir(mode=0o700, exist_ok=True)
            _replace(path, data)
        except OSError as error:
            raise NotReady(
                "The answer could not be kept.", hint='Send "store": false, or make room on the disk.'
            ) from error

    def get(self, project_id: str, response_id: str) -> Kept:
        """Raises NotFound: unknown, deleted, expired, or of another project, which are all one to a stranger."""
        path = self._live_path(response_id)
        try:
            kept = payload.tolerant(path.read_bytes()) if path else None
        except (OSError, ValueError):
            kept = None
        if not kept or kept["project"] != project_id:
            raise _unknown(response_id)
        return Kept(kept["response"], kept["items"])

    def delete(self, project_id: str, response_id: str) -> Json:
        """Unlinks it at once; what a DELETE answers. Raises NotFound as `get` does."""
        self.get(project_id, response_id)
        path = self._path(response_id)
        try:
            if path:
                path.unlink()
        except OSError as error:
            raise _unknown(response_id) from error
        return {"id": response_id, "object": "response", "deleted": True}

    def continued(self, project_id: str, body: Json) -> Json:
        """A request whose `input` holds its whole conversation; the same object when it continues none.

        Raises BadInput for a previous response that is not there, TooLarge when the conversation has outgrown its bound.
        """
        previous = body.get("previous_response_id")
        if previous is None:
            return body
        previous = previous if isinstance(previous, str) else ""
        path = self._path(previous)
        try:
            size = path.stat().st_size if path else 0
            kept = self.get(project_id, previous)
        except (OSError, NotFound) as error:
            raise BadInput(
                '"previous_response_id" names no response that is kept here.',
                hint=f"Responses are kept for {self._keep_days} days unless store is false.",
                code="previous_response_not_found",
            ) from error
        if size > self._most_bytes:
            raise TooLarge("The conversation is too long to be continued.", hint="Begin a new one with its summary.")
        return {**body, "input": kept.conversation() + items_of(body)}

    def purge(self) -> int:
        """Removes the days that are over; how many they were. Cheap: one look at the folder's names."""
        last = int(self._now() * 1000) // _DAY_MS - self._keep_days - 1
        over = [day for day in self._days() if day <= last]
        for day in over:
            shutil.rmtree(self._folder / str(day), ignore_errors=True)
        return len(over)

    def _days(self) -> list[int]:
        try:
            names = [path.name for path in self._folder.iterdir()]
            return [int(name) for name in names if name.isascii() and name.isdigit()]
        except FileNotFoundError:
            return []

    def _path(self, response_id: str) -> Path | None:
        own = own_part(response_id)
        if own is None:
            return None
        return self._folder / str(made_ms(own) // _DAY_MS) / own[-2:] / f"{own}.json"

    def _live_path(self, response_id: str) -> Path | None:
        own = own_part(response_id)
        if own is None:
            return None
        age = int(self._now() * 1000) - made_ms(own)
        return self._path(response_id) if -_AHEAD_MS <= age < self._keep_days * _DAY_MS else None


def items_of(body: Json) -> list[Json]:
    """A request's `input` as a list of items; a lone text is a message of the user."""
    asked = body.get("input")
    if isinstance(asked, str):
        return [{"type": "message", "role": "user", "content": asked}]
    return asked if isinstance(asked, list) else []


def portable(items: list[Json]) -> list[Json]:
    """Items of a kept conversation for a Responses provider that never saw them: without our ids and what only we added.

    A provider looks up the ids that it is told, and knows thoughts only by their encrypted text; others stay here.
    """
    told = [
        {name: value for name, value in item.items() if name not in ("id", "status") or "encrypted_content" in item}
        for item in items
        if item.get("type") != "reasoning" or (item.get("encrypted_content") and not is_sealed(item))
    ]
    return [{**item, "content": _parts(item["content"])} if "content" in item else item for item in told]


def _parts(content: Any) -> Any:
    if not isinstance(content, list):
        return content
    return [{k: v for k, v in part.items() if k != "logprobs"} if isinstance(part, dict) else part for part in content]


def _replace(path: Path, data: bytes) -> None:
    """Whole or not at all; readable by us alone from its first byte on."""
    unfinished = path.with_name(f".{path.stem}.{secrets.token_hex(4)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _unknown(response_id: str) -> NotFound:
    return NotFound(f"There is no response {response_id[:80]!r}.", hint="It may have been deleted, or be too old.")
