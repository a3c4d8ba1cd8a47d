"""When the way from one answer to another is shown word by word, and how."""

import pytest

from noria.tracing import views


@pytest.mark.parametrize(
    ("given", "wanted", "edits"),
    [
        ("same", "same", [("same", "same")]),
        ("in Paris", "in Lima", [("same", "in "), ("given", "Paris"), ("wanted", "Lima")]),
        ("", "all", [("wanted", "all")]),
        ('{"a":1}', '{"a": 1}', [("same", '{\n  "a": 1\n}')]),
        ("x" * 20_001, "y", [("wanted", "y")]),
    ],
)
def test_a_correction_is_a_difference(given: str, wanted: str, edits: list[views.Edit]) -> None:
    assert views.difference(given, wanted) == edits


@pytest.mark.parametrize(
    ("given", "wanted", "alike"),
    [
        ("It takes 3 days until you see it.", "It takes 5 working days until you see it.", True),
        ("환불은 14일 안에 가능합니다.", "환불은 30일 안에 가능합니다.", True),
        ('{"name": "Cancel", "id": 3}', '{"id": 3, "name": "Refund"}', False),
        ("The capital of Korea is Seoul.", "Refunds are possible within 14 days of delivery.", False),
        ("네", "아니요", False),
        ("", "", True),
    ],
)
def test_only_texts_that_are_alike_are_worth_a_difference(given: str, wanted: str, alike: bool) -> None:
    assert views.alike(views.difference(given, wanted)) is alike
    whole = "".join(text for kind, text in views.difference(given, wanted) if kind != "given")
    assert whole == views.pretty(wanted)
    assert (views.corrected(given, wanted) == [("wanted", views.pretty(wanted))]) is not alike


def test_words_that_differ_in_a_row_are_one_change() -> None:
    assert views.difference("a b c d", "a x y d") == [
        ("same", "a "),
        ("given", "b c"),
        ("wanted", "x y"),
        ("same", " d"),
    ]
