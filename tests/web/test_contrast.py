"""The design tokens: contrast of at least WCAG 2.2 AA in both themes, and no value invented below them."""

import re

import pytest

from noria.web import charts, i18n, templates

TEXT = ("text", "dim", "faint", "accent", "good", "warn", "bad")
SOFT = ("accent", "good", "warn", "bad")


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(c * 2 for c in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(first: str, second: str) -> float:
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read(theme: charts.Theme) -> None:
    tokens = charts.tokens(theme)
    pairs = [(text, ground) for text in TEXT for ground in ("bg", "panel")]
    pairs += [(tone, f"{tone}-soft") for tone in SOFT]
    pairs += [("on-accent", "accent"), ("text", "accent-soft"), ("text", "line"), ("dim", "accent-soft")]
    weak = {pair: round(c, 2) for pair in pairs if (c := _contrast(tokens[pair[0]], tokens[pair[1]])) < 4.5}
    assert weak == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_fields_and_marks_can_be_seen(theme: charts.Theme) -> None:
    tokens = charts.tokens(theme)
    pairs = [(mark, ground) for mark in ("edge", *SOFT) for ground in ("bg", "panel")]
    weak = {pair: round(c, 2) for pair in pairs if (c := _contrast(tokens[pair[0]], tokens[pair[1]])) < 3}
    assert weak == {}


def test_no_colour_is_invented_below_the_tokens() -> None:
    css = (templates.STATIC / "noria.css").read_text(encoding="utf-8")
    below = css[css.index("/* Page */") :]
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(", below) == []
    for path in sorted(i18n.ROOT.glob("*/templates/**/*.html")):
        text = path.read_text(encoding="utf-8")
        assert " style=" not in text, f"{path.name}: the content security policy refuses style attributes"
        assert not re.search(r"\son\w+=", text), f"{path.name}: the content security policy refuses inline handlers"
