"""MiniJinja templates that only put values in, as templates of ours; everything that computes is refused with its line."""

import re
from typing import Final

from noria.core.errors import BadInput

_TAG: Final = re.compile(r"\{\{(.*?)\}\}|\{%(.*?)%\}|\{#.*?#\}", re.DOTALL)
_VARIABLE: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")


def converted(template: str) -> str:
    """The template in our words. Raises BadInput that says in which line it does more than put a value in."""
    at, parts = 0, []
    for tag in _TAG.finditer(template):
        parts.append(template[at : tag.start()])
        at = tag.end()
        line = template.count("\n", 0, tag.start()) + 1
        if tag[2] is not None:
            words = tag[2].strip("-+ \n\t").split()
            raise BadInput(f"line {line} has a {{% {words[0] if words else ''} %}}")
        if tag[1] is not None:
            name = tag[1].strip()
            if not _VARIABLE.fullmatch(name):
                raise BadInput(f"line {line} computes something in {{{{ }}}}: only names of variables are taken over")
            parts.append(f"{{{{{name}}}}}")
    parts.append(template[at:])
    return "".join(parts)
