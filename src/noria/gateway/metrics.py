"""Figures for Prometheus, under OpenTelemetry's names for generative AI (semantic conventions 1.38, `gen_ai.*`).

In: the span of every request. Out: `/metrics` in Prometheus's text format, for the series of the caller's own project. The
decision to know: series are labelled by endpoint, release and what was served, never by key, session or person, so that
their number stays small and nobody's data is in them. With several workers each keeps its figures in a file, and whichever is
asked adds them up.
"""

import os
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from noria.core.records import Span

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
# Bucket bounds as the conventions advise them.
_SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_FIRST: Final = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_EACH: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_TOKENS: Final = tuple(float(4**power) for power in range(14))
_OPERATIONS: Final = {"chat.completions": "chat", "completions": "text_completion", "embeddings": "embeddings"}


class Metrics:
    """The figures of this process; one for the process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        make: dict[str, Any] = {"labelnames": _LABELS, "registry": self._registry}
        self._duration = Histogram(
            "gen_ai_server_request_duration_seconds", "From request to last byte.", buckets=_SECONDS, **make
        )
        self._first = Histogram(
            "gen_ai_server_time_to_first_token_seconds", "From request to first byte.", buckets=_FIRST, **make
        )
        self._each = Histogram(
            "gen_ai_server_time_per_output_token_seconds", "After the first byte.", buckets=_EACH, **make
        )
        self._tokens = Histogram(
            "gen_ai_client_token_usage",
            "Tokens of a request, by gen_ai_token_type.",
            labelnames=(*_LABELS, "gen_ai_token_type"),
            buckets=_TOKENS,
            registry=self._registry,
        )
        self._cost = Counter("noria_cost_micros", "Micro-dollars.", **make)
        self._cached = Counter("noria_cache_hits", "Requests answered from the cache.", **make)
        self._fallbacks = Counter("noria_fallbacks", "Requests that another release answered.", **make)
        self._under_way = Gauge(
            "noria_requests_under_way", "Requests now.", registry=self._registry, multiprocess_mode="livesum"
        )
        self._children = lru_cache(maxsize=4096)(self._make_children)

    def begin(self) -> None:
        self._under_way.inc()

    def end(self) -> None:
        self._under_way.dec()

    def count(self, span: Span) -> None:
        """Take note of one request."""
        seconds = (span.end_ns - span.start_ns) / 1e9
        series = self._children(
            span.project_id,
            span.endpoint,
            str(span.requested_release or ""),
            span.arm,
            _OPERATIONS.get(span.name, span.name),
            span.provider,
            span.requested_model if span.endpoint else "",
            span.served_model,
            span.error_type,
        )
        series.duration.observe(seconds)
        if span.first_token_ns:
            first = (span.first_token_ns - span.start_ns) / 1e9
            series.first.observe(first)
            if span.streamed and span.output_tokens > 1:
                series.each.observe((seconds - first) / (span.output_tokens - 1))
        if span.input_tokens or span.output_tokens:
            series.input.observe(span.input_tokens)
            series.output.observe(span.output_tokens)
        if span.cost_micros:
            series.cost.inc(span.cost_micros)
        if span.cache_hit:
            series.cached.inc()
        if span.release and span.release != span.requested_release:
            series.fallbacks.inc()

    def text(self, project_id: str) -> bytes:
        """What Prometheus reads: the project's series, and those of the process."""
        return generate_latest(_OfProject(self._source(), project_id))

    def _source(self) -> CollectorRegistry:
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return self._registry
        merged = CollectorRegistry()
        MultiProcessCollector(merged)  # type: ignore[no-untyped-call]
        return merged

    def _make_children(self, *labels: str) -> "_Series":
        return _Series(self, labels)


class _Series:
    """The children of one set of labels, looked up once."""

    __slots__ = ("cached", "cost", "duration", "each", "fallbacks", "first", "input", "output")

    def __init__(self, of: Metrics, labels: tuple[str, ...]) -> None:
        self.duration = of._duration.labels(*labels)
        self.first = of._first.labels(*labels)
        self.each = of._each.labels(*labels)
        self.input = of._tokens.labels(*labels, "input")
        self.output = of._tokens.labels(*labels, "output")
        self.cost = of._cost.labels(*labels)
        self.cached = of._cached.labels(*labels)
        self.fallbacks = of._fallbacks.labels(*labels)


class _OfProject:
    """A registry's families without the series of other projects."""

    def __init__(self, registry: CollectorRegistry, project_id: str) -> None:
        self._registry = registry
        self._project_id = project_id

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            family.samples = [
                sample
                for sample in family.samples
                if sample.labels.get("project", self._project_id) == self._project_id
            ]
            yield family
