"""Two languages: nothing is left untranslated, and numbers and times read the way their readers write them."""

import ast
import json
from datetime import timedelta

import pytest
from fastapi import Request

from noria.app.slices import SLICES
from noria.core import clock
from noria.governance import roles
from noria.web import i18n, templates

EXTRA = [
    *templates.TONES,
    *templates.GROUPS[1:],
    *roles.ROLES,
    *roles.SCOPES,
    *(entry.title for part in SLICES for entry in part.nav),
    *(action.title for part in SLICES for action in part.actions),
]


@pytest.mark.parametrize("folder", sorted(p.parent.name for p in i18n.ROOT.glob("*/templates")))
def test_every_string_has_korean(folder: str) -> None:
    missing = i18n.missing_translations()
    assert {name: texts for name, texts in missing.items() if name.startswith(f"{folder}/")} == {}


def test_words_from_code_have_korean() -> None:
    assert i18n.missing_translations(EXTRA).get("", []) == []


def test_sentences_with_values_have_korean() -> None:
    """What noria.core.errors.Sentence is made of, wherever it is raised."""
    found = []
    for path in i18n.ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Sentence":
                found += [str(one.value) for one in node.args if isinstance(one, ast.Constant)]
    assert len(found) > 20
    assert i18n.missing_translations(found).get("", []) == []


def test_no_two_slices_translate_the_same_words_differently() -> None:
    said: dict[str, set[str]] = {}
    for path in i18n.ROOT.glob("*/templates/ko.json"):
        for text, korean in json.loads(path.read_text(encoding="utf-8")).items():
            said.setdefault(text, set()).add(korean)
    assert {text: korean for text, korean in said.items() if len(korean) > 1} == {}


def test_translations_keep_their_placeholders() -> None:
    import string

    def names(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert {k: v for k, v in i18n.catalogue().items() if names(k) != names(v)} == {}


@pytest.mark.parametrize(
    ("header", "cookie", "language"),
    [
        ("", "", "en"),
        ("ko-KR,ko;q=0.9,en-US;q=0.8", "", "ko"),
        ("en-US,en;q=0.9,ko;q=0.8", "", "en"),
        ("fr,ko;q=0.5", "", "ko"),
        ("ko", "en", "en"),
        ("en", "ko", "ko"),
        ("q=;;,,ko;q=x", "xx", "ko"),
    ],
)
def test_language_of_a_request(header: str, cookie: str, language: str) -> None:
    headers = [(b"accept-language", header.encode()), (b"cookie", f"lang={cookie}".encode())]
    assert i18n.of_request(Request({"type": "http", "headers": headers})) == language


def test_numbers() -> None:
    english, korean = i18n.words("en"), i18n.words("ko")
    assert english.number(12418) == "12,418" and english.number(0.7049, 2) == ".70" and english.number(None) == "–"
    assert english.number(-0.5, 1) == "-.5" and english.number(1.25, 1) == "1.2"
    assert english.percent(0.25) == "25 %" and korean.percent(0.25) == "25%"
    assert english.plural("{n} row", "{n} rows", 1) == "1 row"
    assert english.plural("{n} row", "{n} rows", 1200) == "1,200 rows"
    assert korean.plural("{n} person", "{n} people", 1) == "1명"


def test_times() -> None:
    english, korean, now = i18n.words("en"), i18n.words("ko"), clock.now()
    assert english.ago(now - timedelta(minutes=14)) == "14 minutes ago"
    assert korean.ago(now - timedelta(minutes=14)) == "14분 전"
    assert english.ago(now - timedelta(hours=1, minutes=5)) == "1 hour ago"
    assert english.ago(now + timedelta(days=2)) == "in 2 days" and korean.ago(now + timedelta(days=2)) == "2일 후"
    assert english.ago(now - timedelta(minutes=59, seconds=40)) == "1 hour ago"
    assert english.ago(now - timedelta(hours=23, minutes=40)) == "1 day ago"
    assert english.ago(now - timedelta(hours=23, minutes=20)) == "23 hours ago"
    assert english.ago(now) == "just now" and korean.ago(now) == "방금"
    assert english.duration(0.0123) == "12 ms" and english.duration(200) == "3 min 20 s"
    assert korean.duration(7500) == "2시간 5분"
    assert [english.exact(n) for n in (0.9, 2.75, 90, 600, 86_400)] == [
        "900 ms",
        "2.75 s",
        "1 min 30 s",
        "10 min",
        "1 day",
    ]
    assert korean.exact(7_290) == "2시간 1분 30초" and english.exact(2_592_000) == "30 days"
    assert korean.moment(now.replace(2026, 11, 24, 4, 5)) == "2026년 11월 24일 04:05 UTC"
