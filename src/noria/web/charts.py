"""Charts: one Vega-Lite definition for the page, for reports and for the terminal.

`line`, `intervals` and `bars` return Vega-Lite specs as plain dictionaries, checked against Altair's schema by the tests:
importing Altair itself would cost the server 40 MB for good. Colours are the tokens of noria.css, written `var(--accent)`:
in the page they follow light and dark by themselves, `to_svg` puts their values in. Vega's engine runs in the browser, or
in a short-lived child process (noria.web.vega), never in the server.
"""

import hashlib
import re
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from noria.core.errors import Unavailable

Spec = dict[str, Any]
Row = Mapping[str, Any]
Theme = Literal["light", "dark"]

SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"
SERIES: Final[tuple[str, ...]] = ("var(--accent)", "var(--warn)", "var(--good)", "var(--bad)", "var(--edge)")
"""Colours of series, in order: the first is what the chart is about."""

_NAME: Final = 14
"""Pixels of a name in the legend."""
_CSS = Path(__file__).parent / "static" / "noria.css"
_making = threading.Lock()

_CONFIG: Final[Spec] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "domain": False,
        "ticks": False,
        "gridColor": "var(--line)",
        "labelColor": "var(--dim)",
        "titleColor": "var(--dim)",
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "labelPadding": 6,
        "tickCount": 5,
    },
    "axisX": {"grid": False},
    "legend": {"labelColor": "var(--dim)", "title": None, "orient": "top", "labelFontSize": 11, "symbolStrokeWidth": 2},
}


def line(
    rows: Sequence[Row],
    *,
    x: str,
    y: str,
    series: str | None = None,
    x_title: str = "",
    y_title: str = "",
    time: bool = False,
    zero: bool = False,
    height: int = 160,
    colours: Sequence[str] = SERIES,
) -> Spec:
    """Curves over a number or (`time`: ISO 8601 text) a moment; `series` names the column that tells them apart.

    `colours` are those of the series, in the order in which they first appear.
    """
    horizontal: Spec = {"field": x, "type": "temporal" if time else "quantitative", "title": x_title or None}
    if not time:
        horizontal["scale"] = {"nice": False, "zero": False}
        if rows and all(isinstance(row[x], int) for row in rows):
            steps = max(row[x] for row in rows) - min(row[x] for row in rows)
            horizontal["axis"] = {"tickCount": max(1, min(5, steps)), "format": ",d"}  # whole steps, each once
    encoding: Spec = {
        "x": horizontal,
        "y": {"field": y, "type": "quantitative", "title": y_title or None, "scale": {"zero": zero}},
        "tooltip": [{"field": name, "type": _kind(rows, name, time and name == x)} for name in _names(x, y, series)],
    }
    if series:
        names = list(dict.fromkeys(str(row[series]) for row in rows))
        chosen = [colours[min(i, len(colours) - 1)] for i in range(len(names))]
        scale = {"domain": names, "range": chosen}
        encoding["color"] = {"field": series, "type": "nominal", "scale": scale, "legend": _legend(names)}
        height += _NAME * max(len(names) - 3, 0)  # on a narrow page names stand below each other
    mark: Spec = {"type": "line", "strokeWidth": 2, "point": len(rows) < 25, "clip": True}
    if not series:
        mark["color"] = SERIES[0]
        mark["point"] = {"color": SERIES[0], "size": 30} if len(rows) < 25 else False
    return _spec(rows, {"mark": mark, "encoding": encoding}, height)


def intervals(
    rows: Sequence[Row],
    *,
    label: str,
    value: str,
    low: str,
    high: str,
    tone: str | None = None,
    title: str = "",
    domain: tuple[float, float] = (0, 1),
) -> Spec:
    """A dot on its interval for each row, on one scale; `tone` names a column with a token: "accent", "good", "faint"…"""
    names = list(dict.fromkeys(str(row[label]) for row in rows))
    vertical = {"field": label, "type": "nominal", "title": None, "sort": names, "axis": {"labelLimit": 260}}
    scale = {"domain": list(domain), "nice": False}
    colour: Spec = {"value": SERIES[0]}
    if tone:
        tones = list(dict.fromkeys(str(row[tone]) for row in rows))
        colours = [f"var(--{'edge' if t == 'faint' else t})" for t in tones]
        colour = {"field": tone, "type": "nominal", "scale": {"domain": tones, "range": colours}, "legend": None}
    tooltip = [{"field": name, "type": _kind(rows, name)} for name in (label, value, low, high)]
    shared = {"y": vertical, "color": colour, "tooltip": tooltip}
    start = {"field": low, "type": "quantitative", "scale": scale, "title": title or None}
    span = {
        "mark": {"type": "rule", "strokeWidth": 3},
        "encoding": {**shared, "x": start, "x2": {"field": high}},
    }
    dot = {
        "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
        "encoding": {**shared, "x": {"field": value, "type": "quantitative", "scale": scale}},
    }
    return _spec(rows, {"layer": [span, dot]}, {"step": 28})


def bars(rows: Sequence[Row], *, label: str, value: str, title: str = "") -> Spec:
    """A horizontal bar for each row, in the order given."""
    names = list(dict.fromkeys(str(row[label]) for row in rows))
    encoding = {
        "y": {"field": label, "type": "nominal", "title": None, "sort": names, "axis": {"labelLimit": 260}},
        "x": {"field": value, "type": "quantitative", "title": title or None},
        "tooltip": [{"field": name, "type": _kind(rows, name)} for name in (label, value)],
    }
    mark = {"type": "bar", "color": SERIES[0], "height": {"band": 0.6}}
    return _spec(rows, {"mark": mark, "encoding": encoding}, {"step": 24})


def _legend(names: Sequence[str]) -> Spec:
    """As many names in a row as there is room for."""
    widest = max((sum(11 if letter > "\u2e80" else 6.5 for letter in name) for name in names), default=0)
    return {"columns": {"expr": f"max(1, floor(width / {min(widest, 160) + 30:.0f}))"}}


def thin(rows: Sequence[Row], most: int = 400) -> list[Row]:
    """At most about `most` rows, evenly chosen, with the first and the last: what a page needs of a long curve."""
    step = max(1, -(-len(rows) // most))
    return [row for number, row in enumerate(rows) if number % step == 0 or number == len(rows) - 1]


@dataclass(frozen=True, slots=True)
class Table:
    """A chart's data for those who read it as a table."""

    columns: list[str]
    rows: list[list[str]]


def rows_of(spec: Spec, most: int = 60) -> Table:
    """The data of a spec as text."""
    rows = thin(spec.get("data", {}).get("values", []), most)
    columns = list(rows[0]) if rows else []
    return Table(columns, [[_cell(row.get(name)) for name in columns] for row in rows])


def to_svg(spec: Spec, *, theme: Theme = "light", width: int = 640) -> str:
    """The chart as an SVG document, for reports. Raises Unavailable when the renderer fails."""
    fixed = {**spec, "width": width} if spec.get("width") == "container" else spec
    text = re.sub(r"var\(--([\w-]+)\)", lambda m: tokens(theme)[m[1]], orjson.dumps(fixed).decode())
    return _child("svg", text.encode()).decode()


def bundle(folder: Path) -> Path:
    """The charts' JavaScript (Vega, Vega-Lite, Vega-Embed) in `folder`; the first call makes it, in about two seconds."""
    path = folder / f"vega-{engine_version()}.js"
    with _making:
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(".part")
            temporary.write_bytes(_child("bundle", b""))
            temporary.replace(path)
    return path


@cache
def engine_version() -> str:
    """What the bundle's file and address carry, so that browsers fetch a new one after an upgrade."""
    return hashlib.sha256(version("vl-convert-python").encode()).hexdigest()[:12]


@cache
def tokens(theme: Theme) -> dict[str, str]:
    """The custom properties of noria.css: name (without dashes) to value."""
    light, _, rest = _CSS.read_text(encoding="utf-8").partition("@media (prefers-color-scheme:dark)")
    found = dict(re.findall(r"--([\w-]+):([^;]+);", light[: light.index("}")]))
    if theme == "dark":
        found |= dict(re.findall(r"--([\w-]+):([^;]+);", rest[: rest.index("}")]))
    return found


def _spec(rows: Sequence[Row], body: Spec, height: int | Spec) -> Spec:
    return {
        "$schema": SCHEMA,
        "data": {"values": [dict(row) for row in rows]},
        "width": "container",
        "height": height,
        "autosize": {"type": "fit" if isinstance(height, int) else "fit-x", "contains": "padding"},
        "config": _CONFIG,
        **body,
    }


def _names(*names: str | None) -> list[str]:
    return [name for name in names if name]


def _kind(rows: Sequence[Row], name: str, time: bool = False) -> str:
    if time:
        return "temporal"
    return "quantitative" if rows and isinstance(rows[0].get(name), int | float) else "nominal"


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "–" if value is None else str(value)


def _child(verb: str, data: bytes) -> bytes:
    command = [sys.executable, "-m", "noria.web.vega", verb]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=120, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise Unavailable("A chart could not be drawn.", hint="The figures are in the table beside it.") from error
    return done.stdout
