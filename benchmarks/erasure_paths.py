"""Every way of reading traces, asked about one person: JSON API, pages, dashboard and costs, assistants' tools, Langfuse's API, media.

In: a client of the server with an admin's key, the person's words and traces. Out: for each way, how much of the person it shows.
"""

from dataclasses import dataclass
from typing import Any, Final

from starlette.testclient import TestClient

FEW: Final = "endpoint:assistant"
"""A filter that finds the person among a few, and does not name them: pages repeat it."""


@dataclass(slots=True)
class Reader:
    """Asks for one person: `words` stand in their traces and nowhere else."""

    client: TestClient
    words: dict[str, str]
    traces: list[str]
    media: str = ""

    def seen(self) -> dict[str, int]:
        """How much each way shows; 0 everywhere when the person cannot be seen."""
        return {**self._api(), **self._pages(), **self._figures(), **self._tools(), **self._langfuse()}

    def requests(self, *, mine: bool = False) -> int:
        """Model calls of everybody, or of the person, as the dashboard counts them."""
        return int(self._whole(self._mine if mine else "")["requests"])

    @property
    def _mine(self) -> str:
        return f"user:{self.words['subject']}"

    def _api(self) -> dict[str, int]:
        some, words = self.traces[0], self.words
        return {
            "list": self._has("/api/traces", limit="500"),
            "filter": self._has("/api/traces", q=self._mine),
            "search": self._has("/api/traces", q=words["english"]),
            "search in Korean": self._has("/api/traces", q=words["korean"]),
            "tag": self._has("/api/traces", q=f"tag:{words['tag']}"),
            "attribute": self._has("/api/traces", q=f"attr.note:{words['attribute']}"),
            "opened": sum(self.client.get(f"/api/traces/{trace}").status_code == 200 for trace in self.traces),
            "outline": self.client.get(f"/api/traces/{some}/spans").text.count('"span_id"'),
            "export": self._has("/api/traces/export", q=self._mine),
            "sessions": self._has("/api/sessions"),
            "users": self._has("/api/users", q=self._mine),
            "scores": self._has("/api/scores", trace_id=some) + self._has("/api/scores"),
        }

    def _pages(self) -> dict[str, int]:
        some, few = self.traces[0], {"q": FEW}
        return {
            "page of the list": self._has("/traces", **few),
            "page of the session": self._has(f"/sessions/{self.words['session']}"),
            "page of a trace": self._has(f"/traces/{some}"),
            "page of sessions": self._has("/sessions", **few),
            "page of users": self._has("/users", **few),
            "page of scores": self._has("/scores"),
        }

    def _figures(self) -> dict[str, int]:
        """Groups are told by name; a filter for the person counts their calls."""
        mine = self._whole(self._mine)
        groups: list[dict[str, str]] = [{"q": FEW, "by": "user"}, {"q": FEW, "by": "session"}]
        pages = [{**one, "time": "30d"} for one in groups]
        return {
            "figures": sum(self._has("/api/figures", **one, steps="5") for one in groups),
            "figures of the person": mine["requests"] + mine["cost_micros"] + mine["input_tokens"],
            "dashboard": sum(self._has("/dashboard", **one) for one in pages),
            "costs": sum(self._has("/costs", **one) for one in pages),
        }

    def _tools(self) -> dict[str, int]:
        some = self.traces[0]
        return {
            "tool search": self._told("search_traces", q=self.words["english"]),
            "tool search by user": self._told("search_traces", q=self._mine),
            "tool trace": self._told("get_trace", trace_id=some),
            "tool sessions": self._told("list_sessions", q=FEW),
            "tool session": self._told("get_session", session_id=self.words["session"]),
            "tool scores": self._told("list_scores", trace_id=some),
        }

    def _langfuse(self) -> dict[str, int]:
        some = self.traces[0]
        return {
            "Langfuse traces": self._has("/api/public/traces") + self._has(f"/api/public/traces/{some}"),
            "Langfuse observations": self._has("/api/public/observations", traceId=some),
            "Langfuse scores": self._has("/api/public/v3/scores", traceId=some),
            "Langfuse sessions": self._has(f"/api/public/sessions/{self.words['session']}"),
            "media": sum(self.client.get(f"{at}/media/{self.media}").status_code == 200 for at in ("", "/api/public")),
        }

    def _whole(self, q: str) -> dict[str, Any]:
        answer = self.client.get("/api/figures", params={"q": q, "since": "2020-01-01T00:00:00Z"})
        assert answer.status_code == 200, answer.text
        whole: dict[str, Any] = answer.json()["whole"]
        return whole

    def _has(self, path: str, **params: str) -> int:
        answer = self.client.get(path, params=params)
        assert answer.status_code in {200, 404}, (path, answer.status_code, answer.text[:300])
        return self._count(answer.text) if answer.status_code == 200 else 0

    def _told(self, name: str, **arguments: str) -> int:
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
        answer = self.client.post("/mcp", json=message, headers={"accept": "application/json, text/event-stream"})
        result = answer.json()["result"]
        told = answer.text.replace(arguments.get("session_id") or "\0", "")  # it says what it was asked for
        return 0 if result["isError"] else self._count(told)

    def _count(self, text: str) -> int:
        return sum(word in text for word in (*self.words.values(), *self.traces))
