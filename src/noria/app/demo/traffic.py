"""Customers: conversations sent through the gateway with the OpenAI client, and what they think of the answers.

In: rows whose right answer is known. Out: one `Reply` each, with the release that answered. Feedback goes through the public
API with the application's own key: a value for every answer, and the right answer where the given one was wrong.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import httpx
from openai import OpenAI, OpenAIError

from noria.app.demo.data import Row, answer, question, session

AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Reply:
    """What one customer got."""

    trace_id: str
    release: str
    text: str
    right: bool
    failed: str = ""


class Application:
    """An application that uses the endpoint: its key, its client, its customers."""

    def __init__(self, *, gateway: str, server: str, key: str, endpoint: str) -> None:
        self.client = OpenAI(base_url=f"{gateway}/v1", api_key=key, max_retries=0, timeout=120.0)
        self.endpoint = endpoint
        self._feedback = httpx.Client(base_url=server, headers={"authorization": f"Bearer {key}"}, trust_env=False)
        self.failed = 0

    def close(self) -> None:
        self.client.close()
        self._feedback.close()

    def serve(self, rows: list[Row], *, moved: Callable[[int, int, str], None], first: int = 0) -> list[Reply]:
        """Let the customers of `rows` talk, a few at a time, every third one streamed; returns replies in order."""
        replies: list[Reply | None] = [None] * len(rows)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            jobs = {
                pool.submit(self._one, row, session(row, first + i), stream=(first + i) % 3 == 0): i
                for i, row in enumerate(rows)
            }
            for done, job in enumerate(as_completed(jobs), start=1):
                replies[jobs[job]] = job.result()
                moved(done, len(rows), "")
        finished = [reply for reply in replies if reply is not None]
        self.failed += sum(bool(reply.failed) for reply in finished)
        return finished

    def _one(self, row: Row, conversation: str, *, stream: bool) -> Reply:
        reply = self.ask(row, conversation, stream=stream)
        if not reply.failed:
            self.tell(reply, row)
        return reply

    def ask(self, row: Row, conversation: str, *, stream: bool = False) -> Reply:
        """What one customer gets; a failure is data, also one in the middle of a stream."""
        try:
            text, headers = (self._stream if stream else self._plain)(question(row), conversation)
        except (OpenAIError, httpx.HTTPError) as error:
            return Reply("", "", "", right=False, failed=f"{type(error).__name__}: {error}")
        release = headers.get("x-noria-release", "").rpartition("@")[2]
        return Reply(headers["x-noria-trace-id"], release, text, same(text, answer(row)))

    def _plain(self, messages: list[Any], conversation: str) -> tuple[str, Mapping[str, str]]:
        raw = self.client.chat.completions.with_raw_response.create(
            model=self.endpoint, messages=messages, extra_headers={"x-noria-session": conversation}
        )
        return raw.parse().choices[0].message.content or "", raw.headers

    def _stream(self, messages: list[Any], conversation: str) -> tuple[str, Mapping[str, str]]:
        raw = self.client.chat.completions.with_raw_response.create(
            model=self.endpoint, messages=messages, stream=True, extra_headers={"x-noria-session": conversation}
        )
        pieces = [chunk.choices[0].delta.content or "" for chunk in raw.parse() if chunk.choices]
        return "".join(pieces), raw.headers

    def tell(self, reply: Reply, row: Row) -> None:
        """Feedback: whether the answer was right, and the right one where it was not. Raises httpx.HTTPError."""
        body = {"trace_id": reply.trace_id, "name": "helpful", "value": 1.0 if reply.right else 0.0}
        if not reply.right:
            body["correction"] = answer(row)
        self._feedback.post("/api/feedback", json=body).raise_for_status()


def same(given: str, right: str) -> bool:
    """Whether two answers say the same: equal as JSON if both are, else as trimmed text."""
    try:
        return bool(json.loads(given) == json.loads(right))
    except ValueError:
        return given.strip() == right.strip()


def failures(replies: list[Reply]) -> Counter[str]:
    """What went wrong, and how often."""
    return Counter(reply.failed for reply in replies if reply.failed)


def by_release(replies: list[Reply]) -> list[dict[str, Any]]:
    """How many answers each release gave, and how many of them were right."""
    given = sorted({reply.release for reply in replies if not reply.failed})
    return [
        {
            "release": int(release),
            "answers": sum(reply.release == release for reply in replies),
            "right": sum(reply.right for reply in replies if reply.release == release),
        }
        for release in given
    ]
