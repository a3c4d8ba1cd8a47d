"""Which project each resource of a request goes to: the key's own, or the one that the resource's attribute `noria.project` names.

The name, or the id, chooses among the projects that the key may write to (noria.governance.writing) and can do no more: whatever else is named is
refused, in the same words whether there is such a project or not. Asked once for a request, and only when one is named.
"""

from typing import Any, Final

from noria.governance import writing
from noria.stores.connect import Stores
from noria.tracing.otlp.raw import Refused
from noria.web.auth import Caller

ATTRIBUTE: Final = "noria.project"
_SHOWN: Final = 80


class WrongProject(Refused):
    """The resource names a project that the key may not write to."""


class Places:
    """Those of one request of `caller`."""

    def __init__(self, stores: Stores, caller: Caller) -> None:
        self._stores = stores
        self._caller = caller
        self._known: dict[str, str] | None = None

    def of(self, named: Any) -> str:
        """The id of the project that is named; of the caller's own when nothing is. Raises WrongProject."""
        if named is None or named == "":
            return self._caller.project_id
        if self._known is None:
            with self._stores.database.read() as connection:
                self._known = writing.writable(connection, self._caller)
        found = self._known.get(named) if isinstance(named, str) else None
        if found is None:
            raise WrongProject(f"the key may not write to a project {str(named)[:_SHOWN]!r}, which {ATTRIBUTE} names")
        return found
