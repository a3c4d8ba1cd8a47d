"""How to clean: every option with its meaning, default and limits. Light, so that the server can check them at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from noria.core.errors import BadInput


def _option(default: Any, text: str, low: float | None = None, high: float | None = None) -> Any:
    return field(default=default, metadata={"help": text, "low": low, "high": high})


@dataclass(frozen=True, slots=True)
class Options:
    """What one cleaning does. All steps are on; conflicts and outliers are reported and removed only as said here."""

    repair: bool = _option(True, "Repair broken encoding (mojibake) and write letters in one form (NFC).")
    mask: bool = _option(
        True, "Replace e-mail addresses, phone, card and resident registration numbers by placeholders."
    )
    exact: bool = _option(True, "Remove rows that say the same as an earlier row of their split.")
    near: bool = _option(
        True, "Remove rows that differ from an earlier row by a typo, case, spacing or punctuation only."
    )
    threshold: float = _option(0.8, "How alike two inputs must at least be to be near duplicates (0.5 to 1).", 0.5, 1.0)
    leakage: bool = _option(True, "Remove taught rows that also stand in test or validation.")
    remove_conflicts: bool = _option(False, "Remove train rows with the same input but different targets, too.")
    outliers: bool = _option(True, "Look for rows of unusual length.")
    report_z: float = _option(3.5, "Robust z-score of the length from which a row is reported.", 2.0, 100.0)
    remove_z: float = _option(8.0, "Robust z-score of the length from which a train row is removed.", 2.0, 1000.0)


def parse_options(given: Mapping[str, Any]) -> Options:
    """Raises BadInput that names the option and what it may be."""
    known = {entry.name: entry for entry in fields(Options)}
    for name, value in given.items():
        if name not in known:
            raise BadInput(f"There is no cleaning option {name[:80]!r}.", hint=f"Known: {', '.join(known)}.")
        wanted = type(known[name].default)
        if wanted is bool and not isinstance(value, bool):
            raise BadInput(f"The cleaning option {name} is true or false, not {value!r}.")
        if wanted is float:
            low, high = known[name].metadata["low"], known[name].metadata["high"]
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
                raise BadInput(f"The cleaning option {name} is a number between {low:g} and {high:g}.")
    options = Options(**given)
    if options.remove_z < options.report_z:
        raise BadInput("remove_z is below report_z.", hint="A row is reported before it is removed.")
    return options
