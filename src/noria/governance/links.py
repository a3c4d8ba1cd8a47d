"""Links by which anybody may give feedback on one answer, for a while, without a secret. A leaf that the gateway imports.

A link carries project, trace and the hour in which it ends, and a keyed BLAKE2b over the three under a key that is derived from the
data folder's: who has a link can neither change it nor make another.
"""

import hashlib
import hmac
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from noria.core.errors import Forbidden
from noria.governance import sealing

PATH: Final = "/api/feedback/signed/"
_PURPOSE: Final = "feedback links"
_HOUR: Final = 3600
_TOKEN: Final = re.compile(r"([0-9a-f]{8})([0-9a-f]{32})([0-9a-f]{32})([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Link:
    """What a link allows feedback on."""

    project_id: str
    trace_id: str


class Links:
    """Makes and reads links of one data folder. Raises Unsealable or OSError when its key cannot be used."""

    def __init__(self, key_file: Path, *, base_url: str, hours: int) -> None:
        self._key = sealing.derived(key_file, _PURPOSE)
        self._before = f"{base_url.rstrip('/')}{PATH}"
        self._hours = hours
        self._hour = 0
        self._heads: dict[str, str] = {}

    def url(self, project_id: str, trace_id: str) -> str:
        """A link to the trace that lasts for `hours` and up to one more."""
        hour = int(time.time()) // _HOUR
        if hour != self._hour:
            self._hour, self._heads = hour, {}
        head = self._heads.get(project_id)
        if head is None:
            head = self._heads[project_id] = f"{hour + self._hours + 1:08x}{project_id.replace('-', '')}"
        text = head + trace_id
        return self._before + text + self._mark(text)

    def read(self, token: str) -> Link:
        """What the end of a link says. Raises Forbidden when it is not ours or no longer good."""
        found = _TOKEN.fullmatch(token)
        if found is None or not hmac.compare_digest(self._mark(token[:72]), found[4]):
            raise Forbidden("This feedback link is not one of ours.", hint="Use the whole header x-noria-feedback-url.")
        if int(found[1], 16) * _HOUR <= time.time():
            raise Forbidden("This feedback link has expired.", hint="Ask for feedback sooner after the answer.")
        return Link(str(UUID(found[2])), found[3])

    def _mark(self, text: str) -> str:
        return hashlib.blake2b(text.encode(), key=self._key, digest_size=16).hexdigest()
