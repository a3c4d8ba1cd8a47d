"""Pieces of content: Anthropic's blocks as chat's parts, and back.

In: one block or part. Out: one part or block. The decision to know: text looks the same in both; images and base64
documents have a word in both; every other block (documents by URL or file id, search results, what server tools left) stays as
it is and comes back unchanged, and fields such as `cache_control` stay beside the words they belong to.
"""

from typing import Any

from noria.core.errors import BadInput
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.messages import lenient

_NO_WORD = ("input_audio", "audio")


def to_part(block: Json) -> Json:
    """A checked block as a part of a chat message."""
    kind, source = block.get("type"), block.get("source")
    if kind not in ("image", "document") or not isinstance(source, dict):
        return block
    extras = lenient.without(block, "type", "source", "title")
    if kind == "image" and (url := _url(source)):
        return {"type": "image_url", "image_url": {"url": url}, **extras}
    if kind == "document" and source.get("type") == "base64" and (url := _url(source)):
        name = lenient.text(block.get("title")) or "document.pdf"
        return {"type": "file", "file": {"filename": name, "file_data": url}, **extras}
    return block


def _url(source: Json) -> str:
    """Where an image or document is, or the whole of it as a data URL; "" for what only Anthropic can resolve."""
    if source.get("type") == "url":
        return lenient.text(source.get("url"))
    data, media = source.get("data"), source.get("media_type")
    if source.get("type") == "base64" and isinstance(data, str) and isinstance(media, str):
        return f"data:{media};base64,{data}"
    return ""


def to_blocks(content: Any, where: str) -> list[Json]:
    """A chat message's content as blocks; empty texts, which Anthropic refuses, are left out."""
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise BadInput(f'"{where}" must be text or a list of parts.')
    told = (_block(part, f"{where}[{index}]") for index, part in enumerate(content))
    return [block for block in told if block.get("text") != ""]


def _block(part: Any, where: str) -> Json:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str):
        raise BadInput(f'"{where}" must be an object with a "type".')
    if kind == "text":
        if not isinstance(part.get("text"), str):
            raise BadInput(f'"{where}.text" must be text.')
        return part  # type: ignore[no-any-return]
    if kind == "refusal":
        return {"type": "text", "text": lenient.text(part.get("refusal"))}
    if kind == "image_url":
        return _image(part, where)
    if kind == "file":
        return _document(part, where)
    if kind in _NO_WORD:
        raise BadInput(f'"{where}" is audio, which this endpoint\'s provider does not take.')
    return part  # type: ignore[no-any-return]


def _image(part: Json, where: str) -> Json:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    if not isinstance(url, str) or not url:
        raise BadInput(f'"{where}.image_url.url" must be a URL.')
    source = _data(url, f"{where}.image_url.url") if url.startswith("data:") else {"type": "url", "url": url}
    return {"type": "image", "source": source, **lenient.without(part, "type", "image_url")}


def _document(part: Json, where: str) -> Json:
    file = part.get("file")
    data = file.get("file_data") if isinstance(file, dict) else None
    if not isinstance(file, dict) or not isinstance(data, str):
        raise BadInput(
            f'"{where}.file.file_data" must hold the file as a data URL.',
            hint="A file id means nothing to another provider.",
        )
    told = {"type": "document", "source": _data(data, f"{where}.file.file_data")}
    if isinstance(file.get("filename"), str) and file["filename"]:
        told["title"] = file["filename"]
    return {**told, **lenient.without(part, "type", "file")}


def _data(url: str, where: str) -> Json:
    head, comma, data = url.partition(",")
    media, semicolon, _ = head.removeprefix("data:").partition(";")
    if not head.startswith("data:") or not comma or not semicolon or not head.endswith(";base64"):
        raise BadInput(f'"{where}" must look like data:<media type>;base64,<data>.')
    return {"type": "base64", "media_type": media, "data": data}
