"""Spans and scores as dictionaries: what is empty is left out, and what comes back is what went in."""

from noria.core.records import Score, Span


def test_a_span_survives_the_way_to_json_and_back() -> None:
    span = Span(
        trace_id="a" * 32,
        span_id="b" * 16,
        project_id="p",
        name="chat",
        kind="llm",
        start_ns=1,
        end_ns=2,
        input_messages=[{"role": "user", "content": "안녕하세요"}],
        live=False,
    )
    packed = span.to_dict()
    assert "parent_id" not in packed and "tags" not in packed
    assert packed["live"] is False
    assert Span.from_dict(packed) == span


def test_a_score_of_zero_is_not_lost() -> None:
    score = Score("s", "p", "t", "quality", "user", 5, number=0.0)
    assert score.to_dict()["number"] == 0.0
    assert Score.from_dict(score.to_dict()) == score


def test_names_of_a_newer_version_are_dropped() -> None:
    packed = {**Score("s", "p", "t", "quality", "user", 5).to_dict(), "mood": "good"}
    assert Score.from_dict(packed).name == "quality"
