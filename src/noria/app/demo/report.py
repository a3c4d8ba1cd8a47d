"""The demo's result: tables on the terminal, report.json for programs, report.html for people.

In: the record that the story gathered. report.json is that record; its first-level names are a promise (docs/demo.md).
"""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from noria.app.demo.screen import Screen

Record = dict[str, Any]


def tables(screen: Screen, record: Record) -> None:
    """Print what was measured, who beat whom, and where one answer comes from."""
    metric = record["releases"][0]["metric"].replace("_", " ")
    columns = ["", metric, "95 % interval", "valid", "n", "p50 ms", "p95 ms", "prompt tokens", "CPU s"]
    lines = [*(dict(b, name=f"baseline {b['name']}") for b in record["baselines"]), *record["releases"]]
    screen.table("What was measured on the same held-out rows", columns, [_row(line) for line in lines])
    p_value = record["gate"].get("p_value")
    screen.say("")
    screen.say(f"Release 2 against release 1: p = {p_value:.4g}, paired test on the same rows." if p_value else "")
    if best := better_baseline(record):
        screen.say(best)
    training = record["training"]
    screen.say(
        f"Failed requests: {record['failed_requests']}. Fallbacks: {record['fallbacks']}. "
        f"Training: {training['cpu_seconds']:.0f} CPU s. All: {record['cpu_seconds']:.0f} CPU s, {record['seconds']:.0f} s."
    )
    screen.console.print("\n[bold]Where one answer comes from[/bold]")
    for sentence in record["answer"]["lineage"]:
        screen.say(sentence)


def better_baseline(record: Record) -> str:
    """A sentence that says so plainly when a cheap baseline is as good as the tuned model; empty when none is."""
    tuned = next((r for r in record["releases"] if r["name"] == "release 2"), None)
    best = max(record["baselines"], key=lambda b: b["score"], default=None)
    if tuned is None or best is None or best["score"] < tuned["score"]:
        return ""
    verb = "wins" if best["score_low"] > tuned["score"] else "is as good"
    return (
        f"The {best['name']} baseline {verb}: {best['score']:.3f} against {tuned['score']:.3f} of release 2, "
        "at a fraction of the cost. For this task, use it."
    )


def _row(line: Record) -> list[str]:
    return [
        line["name"],
        _figure(line["score"], ".3f"),
        f"{_figure(line['score_low'], '.2f')} to {_figure(line['score_high'], '.2f')}",
        _figure(line["valid"], ".3f"),
        str(line["n"]),
        _figure(line["p50_ms"], ",.0f"),
        _figure(line["p95_ms"], ",.0f"),
        _figure(line["prompt_tokens_mean"], ",.0f"),
        _figure(line["cpu_seconds"], ",.0f"),
    ]


def _figure(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def write_report(folder: Path, record: Record) -> Path:
    """report.json and a report.html that needs nothing else, in `folder`; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    css = (files("noria.web") / "static" / "noria.css").read_text(encoding="utf-8")
    environment = Environment(loader=PackageLoader("noria.app.demo", "."), autoescape=True)
    page = environment.get_template("report.html").render(record=record, css=css, verdict=better_baseline(record))
    (folder / "report.html").write_text(page, encoding="utf-8")
    return folder
