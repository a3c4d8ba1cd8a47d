"""Charts: the specs are valid Vega-Lite, their engine stays out of the server, reports get an SVG."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from noria.web import charts, templates

LOSS = [{"step": i, "value": 3 / (i + 1), "curve": c} for i in range(30) for c in ("loss", "validation")]
SCORES = [
    {"name": "release 2", "value": 0.70, "low": 0.66, "high": 0.74, "tone": "good"},
    {"name": "nearest row", "value": 0.28, "low": 0.24, "high": 0.33, "tone": "faint"},
]
TRAFFIC = [{"minute": f"2026-11-24T04:{m:02}:00Z", "requests": m} for m in range(10)]

SPECS = {
    "loss": charts.line(LOSS, x="step", y="value", series="curve", x_title="step"),
    "traffic": charts.line(TRAFFIC, x="minute", y="requests", time=True, zero=True),
    "scores": charts.intervals(SCORES, label="name", value="value", low="low", high="high", tone="tone"),
    "plain": charts.intervals(SCORES, label="name", value="value", low="low", high="high", title="field F1"),
    "counts": charts.bars([{"word": "a", "n": 3}, {"word": "b", "n": 9}], label="word", value="n"),
    "empty": charts.line([], x="step", y="value"),
}


@pytest.mark.parametrize("name", SPECS)
def test_specs_are_valid(name: str) -> None:
    import altair

    spec = SPECS[name]
    chart: Any = altair.LayerChart if "layer" in spec else altair.Chart
    chart.from_dict({k: v for k, v in spec.items() if k != "$schema"}, validate=True)


def test_svg_for_reports() -> None:
    svg = charts.to_svg(SPECS["scores"])
    assert svg.startswith("<svg") and "release 2" in svg
    assert charts.tokens("light")["good"] in svg and "var(--" not in svg
    assert charts.tokens("dark")["good"] in charts.to_svg(SPECS["scores"], theme="dark")


def test_bundle_is_made_once(tmp_path: Path) -> None:
    path = charts.bundle(tmp_path / "run")
    first = path.stat().st_mtime_ns
    assert path.stat().st_size > 500_000
    assert charts.bundle(tmp_path / "run").stat().st_mtime_ns == first
    assert [p.name for p in (tmp_path / "run").iterdir()] == [path.name]


def test_long_curves_are_thinned_with_both_ends() -> None:
    rows = [{"step": i} for i in range(10_001)]
    thinned = charts.thin(rows, 400)
    assert len(thinned) <= 402 and thinned[0] == rows[0] and thinned[-1] == rows[-1]
    assert charts.thin(rows[:3]) == rows[:3]


def test_data_as_a_table() -> None:
    table = charts.rows_of(SPECS["scores"])
    assert table.columns[:2] == ["name", "value"] and table.rows[0][:2] == ["release 2", "0.7"]


def test_a_spec_cannot_leave_its_script_element() -> None:
    text = str(templates._script_json({"a": "</script><script>"}))
    assert "<" not in text and "\\u003c/script>" in text


def test_the_server_starts_without_heavy_libraries() -> None:
    heavy = "{'numpy', 'pandas', 'pyarrow', 'altair', 'vl_convert', 'scipy', 'sklearn', 'torch', 'chdb', 'openai'}"
    program = f"""
import sys
from noria.app.slices import SLICES
from noria.core.slices import resolve
from noria.governance import service
from noria.web import application, charts
for part in SLICES:
    for reference in (part.http, part.pages):
        if reference:
            resolve(reference)
found = {heavy} & sys.modules.keys()
sys.exit(", ".join(sorted(found)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
