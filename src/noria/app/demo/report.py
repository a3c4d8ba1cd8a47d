"""The demo's result: tables on the terminal, report.json for programs, report.html for people.

In: the record that the story gathered. report.json is that record; its first-level names are a promise (docs/demo.md).
"""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from noria import __version__
from noria.app.demo.screen import Screen
from noria.core.errors import Unavailable
from noria.evaluation.records import METRICS
from noria.web import charts

Record = dict[str, Any]

BASELINES = {
    "majority": "The most frequent answer",
    "nearest": "The answer of the nearest training row (TF-IDF)",
    "linear": "A linear classifier",
}


def tables(screen: Screen, record: Record) -> None:
    """Print what was measured, who beat whom, and where one answer comes from."""
    title = METRICS[record["releases"][0]["metric"]].title
    columns = ["", title, "valid", "n", "p50 ms", "p95 ms", "tokens", "CPU s"]
    lines = [*(dict(b, name=f"baseline {b['name']}") for b in record["baselines"]), *record["releases"]]
    screen.table(
        "What was measured on held-out rows (95 % intervals; tokens of a prompt)",
        columns,
        [_row(line) for line in lines],
    )
    screen.console.print()
    screen.say(against_release_1(record))
    screen.say(against_baselines(record))
    training = record["training"]
    screen.say(
        f"Failed requests: {record['failed_requests']}. Fallbacks: {record['fallbacks']}. "
        f"Training: {training['cpu_seconds']:.0f} CPU s. All: {record['cpu_seconds']:.0f} CPU s, {record['seconds']:.0f} s."
    )
    screen.console.print("\n[bold]Where one answer comes from[/bold]")
    for sentence in record["answer"]["lineage"]:
        screen.say(sentence)


def measured(name: str, evaluation: Record, metric: str) -> Record:
    """One line of `baselines` or `releases` out of an evaluation; None stands where nothing was measured."""
    main = evaluation["metrics"][metric]
    other = {key: (evaluation["metrics"].get(key) or {}).get("value") for key in ("exact_match", "valid")}
    return {
        "name": name,
        "n": evaluation["n"],
        "metric": metric,
        "score": main["value"],
        "score_low": main["low"],
        "score_high": main["high"],
        "exact": other["exact_match"],
        "valid": other["valid"],
        "p50_ms": evaluation["latency"].get("p50_ms"),
        "p95_ms": evaluation["latency"].get("p95_ms"),
        "prompt_tokens_mean": evaluation["tokens"].get("prompt_mean"),
        "cpu_seconds": evaluation.get("cpu_seconds"),
        "evaluation": evaluation["id"],
    }


def against_release_1(record: Record) -> str:
    """A sentence on the gate: how much better release 2 is, how sure that is, and what became of it."""
    first, second = (next(r for r in record["releases"] if r["name"] == f"release {number}") for number in (1, 2))
    figures = f"{METRICS[second['metric']].title} {second['score']:.3f} against {first['score']:.3f} of release 1"
    if (p_value := record["gate"]["p_value"]) is not None:
        figures += f" (p = {p_value:.2g}, paired test on the same rows)"
    if record["gate"]["passed"]:
        return f"Release 2 passed its gate: {figures}."
    return f"Release 2 did not pass its gate, so release 1 goes on serving: {figures}."


def against_baselines(record: Record) -> str:
    """A sentence on release 2 beside the best cheap baseline that says so plainly when the baseline wins."""
    tuned = next(r for r in record["releases"] if r["name"] == "release 2")
    best = max(record["baselines"], key=lambda line: line["score"])
    found = best["against_release_2"]
    figures = (
        f"{best['score']:.3f} against {tuned['score']:.3f} of release 2 (p = {found['p_value']:.2g}, {found['test']})"
    )
    title = BASELINES.get(best["name"], best["name"])
    if found["verdict"] == "better":
        return f"{title} wins: {figures}, at a fraction of the cost. For this task, use it."
    if found["verdict"] == "worse":
        return f"The best cheap baseline, {title[0].lower()}{title[1:]}, loses: {figures}."
    if best["score"] >= tuned["score"]:
        return f"{title} is ahead, though these rows do not prove it: {figures}, at a fraction of the cost. For this task, use it."
    return f"{title} does as well, as far as these rows can tell: {figures}, at a fraction of the cost."


def _row(line: Record) -> list[str]:
    return [
        line["name"],
        f"{line['score']:.3f} ({line['score_low']:.2f}–{line['score_high']:.2f})",
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
    environment = Environment(loader=PackageLoader("noria.app.demo", "."), autoescape=True)
    page = environment.get_template("report.html").render(
        record=record,
        css=(files("noria.web") / "static" / "noria.css").read_text(encoding="utf-8"),
        verdict=[against_release_1(record), against_baselines(record)],
        metric=METRICS[record["releases"][0]["metric"]],
        titles=BASELINES,
        answers=sum(arm["answers"] for part in record["traffic"] for arm in part["arms"]) + record["failed_requests"],
        charts=_loss(record["training"]["losses"]),
        version=__version__,
    )
    (folder / "report.html").write_text(page, encoding="utf-8")
    return folder


def _loss(losses: list[float]) -> dict[str, str]:
    """The curve in both themes; empty where it cannot be drawn, its last value stands beside it in words."""
    rows = [{"step": step, "loss": loss} for step, loss in enumerate(losses, 1)]
    spec = charts.line(charts.thin(rows), x="step", y="loss", x_title="step", y_title="loss", zero=True)
    themes: tuple[charts.Theme, ...] = ("light", "dark")
    try:
        return {theme: charts.to_svg(spec, theme=theme, width=420) for theme in themes} if rows else {}
    except Unavailable:
        return {}
