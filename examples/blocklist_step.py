"""A step process in plain Python: it refuses what a list of words forbids, and hides them in answers.

    python examples/blocklist_step.py --port 7790 --words swordfish,hunter2

A guardrail {"kind": "step", "when": "both", "options": {"url": "http://127.0.0.1:7790/"}} asks it. The protocol: docs/steps.md.
"""

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MOST_BYTES = 20_000_000


def judge(question: dict[str, Any], words: list[str]) -> dict[str, Any]:
    """What a step says: {"verdict": "pass" | "refuse" | "flag", …}, and other messages when it changes them."""
    said = json.dumps(question.get("messages"), ensure_ascii=False).lower()
    if question.get("when") == "before":
        hits = sum(word in said for word in words)
        if hits:
            return {"verdict": "refuse", "reason": "It speaks of something secret.", "details": {"words": hits}}
        return {"verdict": "pass"}
    answer = [hidden(message, words) for message in question.get("answer") or []]
    return {"verdict": "pass", "answer": answer} if answer != question.get("answer") else {"verdict": "pass"}


def hidden(message: dict[str, Any], words: list[str]) -> dict[str, Any]:
    """The message with every word of the list replaced."""
    content = message.get("content")
    if not isinstance(content, str):
        return message
    for word in words:
        content = content.replace(word, "█" * len(word))
    return {**message, "content": content}


class Handler(BaseHTTPRequestHandler):
    """One POST is one question."""

    protocol_version = "HTTP/1.1"  # keeps connections, which is most of what a question costs
    words: list[str]

    def do_GET(self) -> None:
        """For whoever wants to know that it is up."""
        self.send_response(204)
        self.end_headers()

    def do_POST(self) -> None:
        length = min(int(self.headers.get("Content-Length") or 0), MOST_BYTES)
        answer = json.dumps(judge(json.loads(self.rfile.read(length)), self.words)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: object) -> None:
        """Nothing is logged: questions hold what people wrote."""


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, default=7790)
    options.add_argument("--words", default="")
    given = options.parse_args()
    Handler.words = [word.lower() for word in given.words.split(",") if word]
    ThreadingHTTPServer(("127.0.0.1", given.port), Handler).serve_forever()
