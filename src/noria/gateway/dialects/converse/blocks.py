"""Content of chat messages as Converse's content blocks.

The decisions to know: bytes are base64 in JSON, as in all of AWS's REST-JSON services; only data URLs and `s3://` addresses can be
told. A mark `cache_control` on a part becomes a cache point after it. Blank texts are left out, because Converse refuses them.
"""

import hashlib
import re
from typing import Any, Final

from noria.core.errors import BadInput
from noria.gateway.dialects import values
from noria.gateway.dialects.base import Json

_FORMATS: Final = {
    "image": {"png": "png", "jpeg": "jpeg", "jpg": "jpeg", "gif": "gif", "webp": "webp"},
    "audio": {
        **{name: name for name in ("mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "m4a", "mpeg", "webm", "pcm")},
        "x-wav": "wav",
        "x-aac": "x-aac",
    },
    "video": {
        **{name: name for name in ("mp4", "webm", "flv", "mpeg", "mkv", "mov")},
        "quicktime": "mov",
        "x-matroska": "mkv",
        "3gpp": "three_gp",
    },
    "document": {
        "pdf": "pdf",
        "csv": "csv",
        "html": "html",
        "plain": "txt",
        "markdown": "md",
        "msword": "doc",
        "vnd.ms-excel": "xls",
        "vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
        "vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    },
}
_FOREIGN_NAME = re.compile(r"[^A-Za-z0-9()\[\]-]+")
_FOREIGN_ID = re.compile(r"[^a-zA-Z0-9_-]")
_MOST_ID = 64


def blocks(content: Any, where: str) -> list[Json]:
    told: list[Json] = []
    for kind, part, here in values.parts(content, where):
        if kind in ("text", "refusal"):
            if part[kind].strip():
                told.append({"text": part[kind]})
        else:
            told.append(_media(kind, part, here))
        told += cache_point(part)
    return told


def cache_point(marked: Json) -> list[Json]:
    """What a mark for a prompt cache becomes, [] where there is none."""
    mark = values.obj(marked.get("cache_control"))
    if not mark:
        return []
    ttl = {"ttl": mark["ttl"]} if mark.get("ttl") in ("5m", "1h") else {}
    return [{"cachePoint": {"type": "default", **ttl}}]


def tool_id(value: Any, where: str) -> str:
    """Ids of other providers hold characters that Bedrock refuses, or are too long; call and result change alike."""
    if not isinstance(value, str) or not value:
        raise BadInput(f'"{where}" must be text.')
    told = _FOREIGN_ID.sub("_", value)
    if len(told) <= _MOST_ID:
        return told
    return f"{told[:40]}_{hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()[:20]}"


def _media(kind: str, part: Json, where: str) -> Json:
    mime, data, address = values.media(kind, part, where)
    general, _, special = mime.partition("/")
    name = general if general in ("image", "audio", "video") else "document"
    form = _FORMATS[name].get(special.lower())
    if kind == "image_url" and name != "image":
        name, form = "image", None
    if form is None:
        raise BadInput(f'"{where}" is of a type that the provider behind this endpoint does not read.', hint=mime[:100])
    if data:
        source: Json = {"bytes": data}
    elif address.startswith("s3://"):
        source = {"s3Location": {"uri": address}}
    else:
        raise BadInput(f'"{where}" must hold its data: the provider fetches no addresses.', hint="Send a data: URL.")
    told: Json = {"format": form, "source": source}
    if name == "document":
        title = values.text(values.obj(part.get("file")).get("filename")).rpartition(".")[0]
        told["name"] = _FOREIGN_NAME.sub(" ", title).strip()[:200] or "document"
    return {name: told}
