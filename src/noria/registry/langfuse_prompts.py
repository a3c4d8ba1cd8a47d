"""Prompts as Langfuse's clients make and read them, kept as prompts of ours.

A name that cannot be one here gets a name like it, and is kept beside it as `known_as`; both find the prompt. Their templates know
only {{variable}} and leave everything else between braces as it stands, so what is no variable is kept as text. The label `latest`
is the newest version by itself, and a placeholder for messages is our entry of role messages.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, or_, select, update

from noria.core.errors import BadInput, NotFound
from noria.governance import audit
from noria.registry import prompts, tables
from noria.registry.naming import number_of
from noria.registry.records import Prompt, PromptVersion
from noria.stores.connect import Stores
from noria.web.langfuse import check_known_as, slug

LATEST: Final = "latest"
_LITERAL: Final = '{{"{{"}}'
_NAME: Final = re.compile(r"\s*[^\W\d][\w-]*(?:\.[\w-]+)*\s*")
_REFERENCE: Final = "@@@langfusePrompt:"
_MOST_TAGS: Final = 50


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A version as it is given: text, or messages with placeholders among them."""

    name: str
    prompt: str | Sequence[Mapping[str, Any]]
    labels: Sequence[str] = ()
    tags: Sequence[str] | None = None
    """None leaves the tags as they are."""
    config: Mapping[str, Any] | None = None
    note: str = ""


def add(connection: Connection, *, project_id: str, actor_id: str, new: NewVersion) -> tuple[Prompt, PromptVersion]:
    """Save the next version, of a prompt that is made when there is none, and let the labels name it. Raises BadInput."""
    prompt = _find(connection, project_id, new.name)
    if prompt is None:
        name = slug(check_known_as(new.name, "prompt"))
        prompt = prompts.create_prompt(
            connection,
            project_id=project_id,
            name=name,
            known_as="" if name == new.name else new.name,
            tags=_checked_tags(new.tags or ()),
            actor_id=actor_id,
        )
    elif new.tags is not None:
        _set_tags(connection, prompt, _checked_tags(new.tags), actor_id)
    is_text = isinstance(new.prompt, str)
    version = prompts.add_prompt_version(
        connection,
        project_id=project_id,
        name=prompt.name,
        format="text" if is_text else "chat",
        template=_ours(new.prompt) if isinstance(new.prompt, str) else "",
        messages=[] if isinstance(new.prompt, str) else [_our_message(one) for one in new.prompt],
        config=dict(new.config or {}),
        note=new.note,
        actor_id=actor_id,
    )
    _label(connection, prompt, version.number, new.labels, actor_id)
    return find(connection, project_id, new.name), version


def label(
    connection: Connection, *, project_id: str, actor_id: str, name: str, version: int, labels: Sequence[str]
) -> tuple[Prompt, PromptVersion]:
    """Let these labels name the version, beside those that do already. Raises NotFound, BadInput."""
    prompt = find(connection, project_id, name)
    found = prompts.find_prompt_version(connection, project_id, f"{prompt.name}@{version}")
    _label(connection, prompt, found.number, labels, actor_id)
    return find(connection, project_id, name), found


def find(connection: Connection, project_id: str, name: str) -> Prompt:
    """By the name that its platform gave it, or by ours. Raises NotFound."""
    found = _find(connection, project_id, name)
    if found is None:
        raise NotFound(
            f"There is no prompt {name[:80]!r}.", hint="GET /api/public/v2/prompts lists those that there are."
        )
    return found


def find_version(
    connection: Connection, project_id: str, name: str, *, version: int | None = None, named: str = ""
) -> tuple[Prompt, PromptVersion]:
    """Of this number or label; neither: production. Raises NotFound."""
    prompt = find(connection, project_id, name)
    reference = str(version) if version is not None else named or "production"
    if reference == LATEST and version is None:
        reference = str(prompt.latest)
    if number_of(reference) is None and reference not in prompt.labels:
        raise NotFound(
            f"The prompt {name[:80]!r} has no version with the label {reference[:40]!r}.",
            hint=f"Its labels: {', '.join([*prompt.labels, LATEST])}.",
        )
    return prompt, prompts.find_prompt_version(connection, project_id, f"{prompt.name}@{reference}")


def list_page(
    stores: Stores, project_id: str, *, page: int, limit: int, name: str = "", label: str = "", tag: str = ""
) -> tuple[list[dict[str, Any]], int]:
    """What there is of each prompt, by name, and how many prompts there are on all pages."""
    table = tables.prompts
    query = select(table.c.id, table.c.name, table.c.tags).where(table.c.project_id == project_id)
    if name:
        query = query.where(or_(table.c.known_as == name, table.c.name == name))
    if label and label != LATEST:
        query = query.where(
            table.c.id.in_(select(tables.prompt_labels.c.prompt_id).where(tables.prompt_labels.c.label == label))
        )
    with stores.database.read() as connection:
        rows = connection.execute(query.order_by(table.c.name)).all()
        fitting = [
            row for row in rows if not tag or tag in row.tags
        ]  # tags are JSON, which the two engines search unlike
        versions = tables.prompt_versions
        with_version = set(
            connection.execute(select(versions.c.prompt_id).where(versions.c.project_id == project_id)).scalars()
        )
        fitting = [row for row in fitting if row.id in with_version]
        shown = fitting[(page - 1) * limit : page * limit]
        return [_about(connection, project_id, row.name) for row in shown], len(fitting)


def as_theirs(prompt: Prompt, version: PromptVersion) -> dict[str, Any]:
    """The version in their words."""
    labels = [name for name, number in prompt.labels.items() if number == version.number]
    if version.number == prompt.latest:
        labels.append(LATEST)
    text = version.format == "text"
    return {
        "type": "text" if text else "chat",
        "name": prompt.known_as or prompt.name,
        "version": version.number,
        "prompt": _theirs(version.template) if text else [_their_message(one) for one in version.messages],
        "config": version.config,
        "labels": labels,
        "tags": prompt.tags,
        "commitMessage": version.note or None,
        "resolutionGraph": None,
    }


def _find(connection: Connection, project_id: str, name: str) -> Prompt | None:
    table = tables.prompts
    wanted = or_(table.c.known_as == name, table.c.name == name)
    query = select(table.c.name).where(table.c.project_id == project_id, wanted)
    found = connection.execute(query.order_by(table.c.known_as.desc()).limit(1)).scalar() if name else None
    return None if found is None else prompts.find_prompt(connection, project_id, found)


def _about(connection: Connection, project_id: str, name: str) -> dict[str, Any]:
    prompt = prompts.find_prompt(connection, project_id, name)
    newest = prompts.find_prompt_version(connection, project_id, f"{name}@{prompt.latest}")
    return {
        "name": prompt.known_as or prompt.name,
        "type": newest.format,
        "versions": list(range(1, prompt.latest + 1)),
        "labels": [*prompt.labels, LATEST],
        "tags": prompt.tags,
        "lastUpdatedAt": newest.created_at,
        "lastConfig": newest.config,
    }


def _label(connection: Connection, prompt: Prompt, version: int, labels: Sequence[str], actor_id: str) -> None:
    for one in dict.fromkeys(labels):
        if one != LATEST:
            prompts.set_label(
                connection,
                project_id=prompt.project_id,
                name=prompt.name,
                label=one,
                version=version,
                actor_id=actor_id,
            )


def _set_tags(connection: Connection, prompt: Prompt, tags: list[str], actor_id: str) -> None:
    if tags == prompt.tags:
        return
    table = tables.prompts
    here = (table.c.id == prompt.id) & (table.c.project_id == prompt.project_id)
    connection.execute(update(table).where(here).values(tags=tags))
    audit.record(
        connection,
        project_id=prompt.project_id,
        actor_id=actor_id,
        verb="prompt.tags",
        target_kind="prompt",
        target_id=prompt.id,
        details={"name": prompt.name, "tags": len(tags)},
    )


def _checked_tags(tags: Sequence[str]) -> list[str]:
    if len(tags) > _MOST_TAGS or not all(0 < len(tag) <= 100 and tag.isprintable() for tag in tags):
        raise BadInput(f"A prompt has at most {_MOST_TAGS} tags of 1 to 100 characters.")
    return list(dict.fromkeys(tags))


def _our_message(message: Mapping[str, Any]) -> dict[str, str]:
    if message.get("type") == "placeholder":
        return {"role": "messages", "name": str(message.get("name", "messages"))}
    content = message.get("content")
    if not isinstance(content, str):
        raise BadInput("The content of a prompt's message is text.", hint="Variables are written {{name}}.")
    return {"role": str(message.get("role", "")), "content": _ours(content)}


def _their_message(message: Mapping[str, str]) -> dict[str, str]:
    if message["role"] == "messages":
        return {"type": "placeholder", "name": message.get("name", "messages")}
    return {"role": message["role"], "content": _theirs(message.get("content", ""))}


def _ours(text: str) -> str:
    """Their template as ours: what stands between braces and is no variable becomes text that is meant."""
    if _REFERENCE in text:
        raise BadInput(
            "A prompt that takes in another prompt by a reference cannot be kept here.",
            hint="Write the other prompt's text in its place.",
        )
    parts: list[str] = []
    at = 0
    while (start := text.find("{{", at)) >= 0:
        end = text.find("}}", start)
        end = len(text) if end < 0 else end + 2
        tag = text[start:end]
        parts += [text[at:start], tag if _NAME.fullmatch(tag[2:-2]) else tag.replace("{{", _LITERAL)]
        at = end
    return "".join([*parts, text[at:]])


def _theirs(template: str) -> str:
    return template.replace(_LITERAL, "{{")
