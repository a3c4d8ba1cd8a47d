"""Prompts: names, immutable versions, movable labels, and what changed between two versions.

A template is compiled when it is saved, so that one that cannot be rendered never becomes a version.
"""

import difflib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from noria.core import checks, clock, ids
from noria.core.errors import BadInput, Conflict, NotFound
from noria.governance import audit
from noria.registry import tables
from noria.registry.naming import check_label, check_name, number_of, split_reference
from noria.registry.records import Prompt, PromptVersion
from noria.registry.snapshot import PromptEntry
from noria.registry.templates import compile_text
from noria.stores.connect import Stores
from noria.web import paging

_ROLES = ("system", "developer", "user", "assistant", "messages")
_MOST_CHARS = 1_000_000
_MOST_CONFIG = 100_000


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line: kind "same", "add" or "del"; `a` and `b` are its line numbers in either version, 0 where it is not."""

    kind: str
    a: int
    b: int
    text: str


def create_prompt(
    connection: Connection,
    *,
    project_id: str,
    name: str,
    description: str = "",
    known_as: str = "",
    tags: Sequence[str] = (),
    actor_id: str,
) -> Prompt:
    """Make a prompt without versions. Raises BadInput, or Conflict when the name is taken."""
    check_name(name, "prompt")
    prompt_id = ids.new_id()
    try:
        with connection.begin_nested():
            connection.execute(
                insert(tables.prompts).values(
                    id=prompt_id,
                    project_id=project_id,
                    name=name,
                    known_as=known_as,
                    description=description.strip()[:2000],
                    tags=list(tags),
                    author_id=actor_id,
                    created_at=clock.now(),
                )
            )
    except IntegrityError as error:
        raise Conflict(f"There is a prompt {name!r} already.", hint="Add a version to it.") from error
    _audit(connection, project_id, prompt_id, "prompt.create", actor_id=actor_id, details={"name": name})
    return find_prompt(connection, project_id, name)


def list_prompts(stores: Stores, project_id: str, *, limit: int = 50, cursor: str | None = None) -> paging.Page[Prompt]:
    """By name."""
    query = _prompts(project_id)
    if after := paging.decode(cursor, str):
        query = query.where(tables.prompts.c.name > after[0])
    with stores.database.read() as connection:
        rows = connection.execute(query.order_by(tables.prompts.c.name).limit(limit + 1)).mappings().all()
        labels = _labels(connection, [row["id"] for row in rows])
    found = [Prompt(**row, labels=labels.get(row["id"], {})) for row in rows]
    return paging.cut(found, limit, lambda prompt: [prompt.name])


def find_prompt(connection: Connection, project_id: str, name: str) -> Prompt:
    """By name. Raises NotFound."""
    row = connection.execute(_prompts(project_id).where(tables.prompts.c.name == name)).mappings().first()
    if row is None:
        raise NotFound(f"There is no prompt {name[:80]!r}.", hint="GET /api/prompts lists those that there are.")
    return Prompt(**row, labels=_labels(connection, [row["id"]]).get(row["id"], {}))


def add_prompt_version(
    connection: Connection,
    *,
    project_id: str,
    name: str,
    format: str,  # the field's own word
    template: str = "",
    messages: Sequence[dict[str, str]] = (),
    config: dict[str, Any] | None = None,
    note: str = "",
    actor_id: str,
) -> PromptVersion:
    """Save the next version. Raises BadInput (with line and column) for a template that cannot be rendered."""
    entry = _checked(name, format, template, messages)
    prompt = find_prompt(connection, project_id, name)
    # Two authors at once wait for each other here, so that numbers stay without gaps.
    connection.execute(select(tables.prompts.c.id).where(tables.prompts.c.id == prompt.id).with_for_update())
    table = tables.prompt_versions
    latest = select(func.coalesce(func.max(table.c.number), 0)).where(table.c.prompt_id == prompt.id)
    number = connection.execute(latest).scalar_one() + 1
    version_id = ids.new_id()
    connection.execute(
        insert(table).values(
            id=version_id,
            project_id=project_id,
            prompt_id=prompt.id,
            number=number,
            format=entry.format,
            template=entry.template,
            messages=entry.messages,
            config=checks.json_object(config or {}, "config", _MOST_CONFIG),
            note=note.strip()[:2000],
            author_id=actor_id,
            created_at=clock.now(),
        )
    )
    details = {"name": name, "version": number}
    _audit(connection, project_id, prompt.id, "prompt.version", actor_id=actor_id, details=details)
    return get_prompt_version(connection, project_id, version_id)


def prompt_versions(stores: Stores, project_id: str, name: str) -> list[PromptVersion]:
    """All versions, newest first. Raises NotFound."""
    with stores.database.read() as connection:
        prompt = find_prompt(connection, project_id, name)
        query = _versions(project_id).where(tables.prompt_versions.c.prompt_id == prompt.id)
        rows = connection.execute(query.order_by(tables.prompt_versions.c.number.desc())).mappings()
        return [PromptVersion(**row) for row in rows]


def get_prompt_version(connection: Connection, project_id: str, version_id: str) -> PromptVersion:
    """By id. Raises NotFound."""
    query = _versions(project_id).where(tables.prompt_versions.c.id == version_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound("There is no such prompt version.")
    return PromptVersion(**row)


def find_prompt_version(connection: Connection, project_id: str, reference: str) -> PromptVersion:
    """The version that "call@2" or "call@production" names. Raises BadInput, NotFound."""
    name, version = split_reference(reference, "@", example="call@2")
    prompt = find_prompt(connection, project_id, name)
    number = number_of(version) or prompt.labels.get(version)
    if number is None:
        known = ", ".join(prompt.labels) or "none"
        raise NotFound(f"The prompt {name!r} has no label {version[:40]!r}.", hint=f"Its labels: {known}.")
    query = _versions(project_id).where(
        tables.prompt_versions.c.prompt_id == prompt.id, tables.prompt_versions.c.number == number
    )
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"The prompt {name!r} has no version {number}.", hint=f"Its latest is {prompt.latest}.")
    return PromptVersion(**row)


def set_label(connection: Connection, *, project_id: str, name: str, label: str, version: int, actor_id: str) -> Prompt:
    """Let `label` name a version. Releases keep the version that they were made with."""
    check_label(label)
    found = find_prompt_version(connection, project_id, f"{name}@{version}")
    before = find_prompt(connection, project_id, name).labels.get(label)
    table = tables.prompt_labels
    here = (table.c.prompt_id == found.prompt_id) & (table.c.label == label)
    values = {"version_id": found.id, "moved_at": clock.now()}
    if connection.execute(update(table).where(here).values(values)).rowcount == 0:
        connection.execute(
            insert(table).values(prompt_id=found.prompt_id, label=label, project_id=project_id, **values)
        )
    details = {"label": label, "from": before, "to": version}
    _audit(connection, project_id, found.prompt_id, "prompt.label", actor_id=actor_id, details=details)
    return find_prompt(connection, project_id, name)


def entry_of(version: PromptVersion) -> PromptEntry:
    """The version as gateway and training render it."""
    return PromptEntry(
        name=version.prompt,
        version=version.number,
        format="text" if version.format == "text" else "chat",
        template=version.template,
        messages=version.messages,
    )


def as_text(version: PromptVersion) -> str:
    """The version as people compare it: the template, or one block a message."""
    if version.format == "text":
        return version.template
    return "\n\n".join(f"[{part['role']}]\n{part.get('content', '')}".rstrip() for part in version.messages)


def diff(connection: Connection, project_id: str, name: str, a: str, b: str) -> dict[str, Any]:
    """What changed from version `a` to `b` (numbers or labels): a unified diff as text, and every line for pages."""
    first = find_prompt_version(connection, project_id, f"{name}@{a}")
    second = find_prompt_version(connection, project_id, f"{name}@{b}")
    old, new = as_text(first).splitlines(), as_text(second).splitlines()
    titles = (f"{name}@{first.number}", f"{name}@{second.number}")
    lines = diff_lines(old, new)
    return {
        "a": first.number,
        "b": second.number,
        "unified": "\n".join(difflib.unified_diff(old, new, *titles, lineterm="")),
        "lines": [asdict(line) for line in lines],
        "added": sum(line.kind == "add" for line in lines),
        "removed": sum(line.kind == "del" for line in lines),
    }


def diff_lines(old: Sequence[str], new: Sequence[str]) -> list[DiffLine]:
    """Every line of both, in reading order."""
    lines: list[DiffLine] = []
    for tag, a, a_end, b, b_end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            lines += [DiffLine("same", a + i + 1, b + i + 1, text) for i, text in enumerate(old[a:a_end])]
            continue
        lines += [DiffLine("del", a + i + 1, 0, text) for i, text in enumerate(old[a:a_end])]
        lines += [DiffLine("add", 0, b + i + 1, text) for i, text in enumerate(new[b:b_end])]
    return lines


def _checked(name: str, format_: str, template: str, messages: Sequence[dict[str, str]]) -> PromptEntry:
    if format_ == "text":
        if messages or not template.strip():
            raise BadInput('A prompt of format "text" has a template and no messages.', hint="Or use format chat.")
        texts = [template]
    elif format_ == "chat":
        if template or not messages:
            raise BadInput('A prompt of format "chat" has messages and no template.', hint="Or use format text.")
        texts = [_message_text(message) for message in messages]
    else:
        raise BadInput(f"There is no prompt format {format_[:40]!r}.", hint="One of chat, text.")
    if sum(map(len, texts)) > _MOST_CHARS:
        raise BadInput(f"The prompt is longer than {_MOST_CHARS:,} characters.", hint="Say it shorter.")
    for text in texts:
        compile_text(text)
    kept = [{k: v for k, v in message.items() if k in {"role", "content", "name"}} for message in messages]
    return PromptEntry(name, 0, "text" if format_ == "text" else "chat", template, kept)


def _message_text(message: dict[str, str]) -> str:
    role, content = message.get("role"), message.get("content", "")
    if role not in _ROLES:
        raise BadInput(
            f"A prompt's message cannot have the role {str(role)[:40]!r}.", hint=f"One of {', '.join(_ROLES)}."
        )
    if not isinstance(content, str):
        raise BadInput("The content of a prompt's message is text.", hint="Variables are written {{name}}.")
    if role == "messages" and content:
        raise BadInput("The entry of role messages stands for the caller's messages and has no content of its own.")
    return content


def _prompts(project_id: str) -> Select[Any]:
    version = tables.prompt_versions
    latest = (
        select(func.coalesce(func.max(version.c.number), 0))
        .where(version.c.prompt_id == tables.prompts.c.id)
        .scalar_subquery()
    )
    return select(tables.prompts, latest.label("latest")).where(tables.prompts.c.project_id == project_id)


def _versions(project_id: str) -> Select[Any]:
    version = tables.prompt_versions
    columns = [c for c in version.c if c.name != "project_id"]
    joined = version.join(tables.prompts, tables.prompts.c.id == version.c.prompt_id)
    return (
        select(*columns, tables.prompts.c.name.label("prompt"))
        .select_from(joined)
        .where(version.c.project_id == project_id)
    )


def _labels(connection: Connection, prompt_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    label, version = tables.prompt_labels, tables.prompt_versions
    query = (
        select(label.c.prompt_id, label.c.label, version.c.number)
        .select_from(label.join(version, version.c.id == label.c.version_id))
        .where(label.c.prompt_id.in_(prompt_ids))
        .order_by(label.c.label)
    )
    found: dict[str, dict[str, int]] = {}
    for row in connection.execute(query):
        found.setdefault(row.prompt_id, {})[row.label] = row.number
    return found


def _audit(connection: Connection, project_id: str, prompt_id: str, verb: str, **values: Any) -> None:
    audit.record(connection, project_id=project_id, verb=verb, target_kind="prompt", target_id=prompt_id, **values)
