"""Figures for Prometheus, under OpenTelemetry's names for generative AI (semantic conventions 1.38, `gen_ai.*`).

In: the record of every request's span. Out: `/metrics` in Prometheus's text format, for the series of the caller's own project. The
decisions to know: series are labelled by endpoint, release and what was served, never by key, session or person, so that their
number stays small and nobody's data is in them. Counting is a few additions, because it is on the path of every request; with
several workers each writes its figures to a file once a second, and whichever is asked adds them up.
"""

import contextlib
import os
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
_LABELS: Final = (
    "project",
    "noria_endpoint",
    "noria_release",
    "noria_arm",
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "gen_ai_response_model",
    "error_type",
)
_MOST_SERIES: Final = 2_000
"""Sets of labels; what comes beyond is counted under empty models, which providers and callers choose."""
_OPERATIONS: Final = {
    "chat.completions": "chat",
    "messages": "chat",
    "responses": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
}


@dataclass(frozen=True, slots=True)
class _Metric:
    """One histogram (`bounds`) or counter, and what it adds up."""

    name: str
    help: str
    bounds: tuple[float, ...] = ()
    label: str = ""
    """One more label with this value, as `name="value"`."""

    @property
    def size(self) -> int:
        """Numbers that one series takes: a count for each bucket and the one beyond, and the sum."""
        return len(self.bounds) + 2 if self.bounds else 1


# Bucket bounds as the conventions advise them.
_SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_FIRST: Final = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_EACH: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_TOKENS: Final = tuple(float(4**power) for power in range(14))
_USAGE: Final = "gen_ai_client_token_usage"
_DURATION = _Metric("gen_ai_server_request_duration_seconds", "From request to last byte.", _SECONDS)
_TO_FIRST = _Metric("gen_ai_server_time_to_first_token_seconds", "From request to first byte.", _FIRST)
_PER_TOKEN = _Metric("gen_ai_server_time_per_output_token_seconds", "After the first byte.", _EACH)
_INPUT = _Metric(_USAGE, "Tokens of a request.", _TOKENS, 'gen_ai_token_type="input"')
_OUTPUT = _Metric(_USAGE, "Tokens of a request.", _TOKENS, 'gen_ai_token_type="output"')
_COST = _Metric("noria_cost_micros_total", "Micro-dollars.")
_CACHED = _Metric("noria_cache_hits_total", "Requests answered from the cache.")
_FALLBACKS = _Metric("noria_fallbacks_total", "Requests that another release answered.")
_METRICS: Final = (_DURATION, _TO_FIRST, _PER_TOKEN, _INPUT, _OUTPUT, _COST, _CACHED, _FALLBACKS)
_STARTS: Final = {
    metric.name + metric.label: sum(one.size for one in _METRICS[:place]) for place, metric in enumerate(_METRICS)
}
_SIZE: Final = sum(metric.size for metric in _METRICS)
_AT_DURATION, _AT_FIRST, _AT_EACH, _AT_INPUT, _AT_OUTPUT, _AT_COST, _AT_CACHED, _AT_FALLBACKS = _STARTS.values()

Series = list[float]
"""All numbers of one set of labels, metric after metric."""


class Metrics:
    """The figures of this process. `folder`: where several workers leave theirs for one another; None when there is one."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._series: dict[tuple[str, ...], Series] = {}
        self._changed = False

    def count(self, span: Mapping[str, Any]) -> None:
        """Take note of one request, by the record of its span."""
        get = span.get
        series = self._of(span)
        begun = span["start_ns"]
        seconds = (span["end_ns"] - begun) / 1e9
        _observe(series, _AT_DURATION, _SECONDS, seconds)
        if first_ns := get("first_token_ns"):
            first = (first_ns - begun) / 1e9
            _observe(series, _AT_FIRST, _FIRST, first)
            tokens = get("output_tokens", 0)
            if tokens > 1 and get("streamed"):
                _observe(series, _AT_EACH, _EACH, (seconds - first) / (tokens - 1))
        read, written = get("input_tokens", 0), get("output_tokens", 0)
        if read or written:
            _observe(series, _AT_INPUT, _TOKENS, read)
            _observe(series, _AT_OUTPUT, _TOKENS, written)
        series[_AT_COST] += get("cost_micros", 0)
        if get("cache_hit"):
            series[_AT_CACHED] += 1
        if (release := get("release")) and release != get("requested_release"):
            series[_AT_FALLBACKS] += 1
        self._changed = True

    def share(self) -> None:
        """Leave this process's figures where the other workers find them; cheap when nothing has changed."""
        if self._folder is None or not self._changed:
            return
        self._changed = False
        path = self._folder / f"{os.getpid()}.json"
        temporary = path.with_suffix(".new")
        temporary.write_bytes(orjson.dumps([[labels, series] for labels, series in self._series.items()]))
        temporary.replace(path)

    def text(self, project_id: str) -> bytes:
        """What Prometheus reads: the project's series."""
        found = {labels: series for labels, series in self._all().items() if labels[0] == project_id}
        lines: list[str] = []
        told = ""
        for metric in _METRICS:
            if metric.name != told:
                told = metric.name
                kind = "histogram" if metric.bounds else "counter"
                lines += [f"# HELP {told} {metric.help}", f"# TYPE {told} {kind}"]
            start = _STARTS[metric.name + metric.label]
            for labels, series in found.items():
                lines += _lines(metric, labels, series[start : start + metric.size])
        return "\n".join([*lines, ""]).encode()

    def _of(self, span: Mapping[str, Any]) -> Series:
        get = span.get
        endpoint = get("endpoint", "")
        labels = (
            span["project_id"],
            endpoint,
            str(get("requested_release") or ""),
            get("arm", ""),
            _OPERATIONS.get(span["name"], ""),
            get("provider", ""),
            get("requested_model", "") if endpoint else "",
            get("served_model", ""),
            get("error_type", ""),
        )
        series = self._series.get(labels)
        if series is None:
            if len(self._series) >= _MOST_SERIES:
                labels = (*labels[:6], "", "", labels[8])
            series = self._series.setdefault(labels, [0.0] * _SIZE)
        return series

    def _all(self) -> dict[tuple[str, ...], Series]:
        """This process's figures, and those that other workers have left."""
        if self._folder is None:
            return self._series
        self.share()
        added: dict[tuple[str, ...], Series] = {}
        for path in self._folder.glob("*.json"):
            with contextlib.suppress(FileNotFoundError):
                for labels, series in orjson.loads(path.read_bytes()):
                    sums = added.setdefault(tuple(labels), [0.0] * _SIZE)
                    sums[:] = [one + other for one, other in zip(sums, series, strict=True)]
        return added


def _observe(series: Series, start: int, bounds: tuple[float, ...], value: float) -> None:
    series[start + bisect_left(bounds, value)] += 1
    series[start + len(bounds) + 1] += value


def _lines(metric: _Metric, labels: tuple[str, ...], numbers: Series) -> Iterable[str]:
    said = ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(_LABELS, labels, strict=True))
    said += f",{metric.label}" if metric.label else ""
    if not metric.bounds:
        if numbers[0]:
            yield f"{metric.name}{{{said}}} {numbers[0]:.0f}"
        return
    *counts, total = numbers
    if not any(counts):
        return
    below = 0.0
    for bound, count in zip((*metric.bounds, None), counts, strict=True):
        below += count
        yield f'{metric.name}_bucket{{{said},le="{"+Inf" if bound is None else f"{bound:g}"}"}} {below:.0f}'
    yield f"{metric.name}_sum{{{said}}} {total:.9g}"
    yield f"{metric.name}_count{{{said}}} {below:.0f}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
