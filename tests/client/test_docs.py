"""The examples in the client's documentation run as they stand."""

import re
from pathlib import Path
from typing import Any

import noria_client
from tests.client.conftest import Configure
from tests.client.receiver import Receiver

ROOT = Path(__file__).parents[2]


def examples(path: str) -> str:
    """All Python blocks of a page, as one program; the one line that configures is the test's own."""
    text = (ROOT / path).read_text(encoding="utf-8")
    program = "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.S | re.M))
    return re.sub(r"^noria\.configure\(url=.*$", "", program, flags=re.M)


def test_the_page_runs_as_it_stands(receiver: Receiver, configure: Configure) -> None:
    provider = configure()

    def again(**settings: Any) -> bool:
        configure(provider=provider, **settings)
        return True

    program = examples("docs/client.md").replace("noria.configure(", "again(")
    exec(compile(program, "client.md", "exec"), {"again": again})
    assert noria_client.flush()
    by_name = {seen.name: seen for seen in receiver.spans}
    assert set(by_name) == {"search", "find", "answer", "chat support", "ask"}
    assert by_name["find"].parent_id == by_name["answer"].span_id
    assert by_name["answer"].attributes["session.id"] == "conversation-7"
    assert by_name["chat support"].attributes["gen_ai.prompt.name"] == "support"
    assert [judged["trace_id"] for _, judged in receiver.posts] == [by_name["ask"].trace_id] * 2


def test_the_readme_runs_as_it_stands(receiver: Receiver, configure: Configure) -> None:
    configure()
    names: dict[str, Any] = {}
    exec(compile(examples("client/README.md"), "README.md", "exec"), names)
    assert names["answer"]("?") == "You have 30 days."
    assert noria_client.flush()
    assert receiver.named("chat support").parent_id == receiver.named("answer").span_id
