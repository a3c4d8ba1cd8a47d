"""Personal data in text: what is found, what must be left alone, and that a row stays consistent when it is masked."""

import itertools
import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.governance.privacy.masking import Masker
from noria.governance.privacy.patterns import find, luhn
from tests.conftest import data_set


def kinds(text: str) -> list[tuple[str, str]]:
    return [(found.kind, text[found.start : found.end]) for found in find(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to jane.doe+shop@example.co.uk.", [("EMAIL", "jane.doe+shop@example.co.uk")]),
        ("메일은 kim_1@naver.com으로 주세요", [("EMAIL", "kim_1@naver.com")]),
        ("제 번호는 010-1234-5678이에요", [("PHONE", "010-1234-5678")]),
        ("번호는010-1234-5678카드는4111-1111-1111-1111", [("PHONE", "010-1234-5678"), ("CARD", "4111-1111-1111-1111")]),
        ("01012345678로 연락 주세요", [("PHONE", "01012345678")]),
        ("사무실 02-312-3456, 집 031.987.6543", [("PHONE", "02-312-3456"), ("PHONE", "031.987.6543")]),
        ("Call +82 10-1234-5678 or (415) 555-0132", [("PHONE", "+82 10-1234-5678"), ("PHONE", "(415) 555-0132")]),
        ("my cell is 4155550132", [("PHONE", "4155550132")]),
        ("reach me at 415-555-2671 x12", [("PHONE", "415-555-2671 x12")]),
        ("card 4111 1111 1111 1111 exp 12/27", [("CARD", "4111 1111 1111 1111")]),
        ("paid with 5555555555554444", [("CARD", "5555555555554444")]),
        ("amex 3782-822463-10005", [("CARD", "3782-822463-10005")]),
        ("주민번호 900101-1234567 입니다", [("RRN", "900101-1234567")]),
        ("my ssn is 219-09-9999", [("SSN", "219-09-9999")]),
    ],
)
def test_finds(text: str, expected: list[tuple[str, str]]) -> None:
    assert kinds(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "on 2024-05-12 at 10:30",
        "from 12/05/2024 to 14.05.2024",
        "2024 05 12",
        "It costs $1,234,567.89 or 12,345,678원",
        "₩ 1500-3000",
        "order 4155552671 has not arrived",
        "order number: 415-555-2671",
        "주문번호 01012345678901",
        "tracking 1Z 999 9999999999",
        "card 4111 1111 1111 1112",  # Luhn fails
        "ISBN 978-3-16-148410-0",
        "991332-1234567",  # no such day
        "between 1500-1423 pieces",
        "version 92.0.4515.107",
        "ip 192.168.100.200",
        "me@localhost or a@b",
        "room 4155552671 of 123456789012",
        "pi is 3.14159265358979",
        "",
    ],
)
def test_leaves_alone(text: str) -> None:
    assert kinds(text) == []


def test_a_row_keeps_saying_the_same_after_masking() -> None:
    masker = Masker()
    said = masker.text("I am jane@example.com, call 010-1234-5678. Not JANE@example.com but jim@example.com")
    target = masker.text('{"name":"Call","phone":"+82 10 1234 5678","mail":"jane@example.com","n":3}')
    assert said == "I am <EMAIL_1>, call <PHONE_1>. Not <EMAIL_1> but <EMAIL_2>"
    assert json.loads(target) == {"name": "Call", "phone": "<PHONE_1>", "mail": "<EMAIL_1>", "n": 3}
    assert target == '{"name":"Call","phone":"<PHONE_1>","mail":"<EMAIL_1>","n":3}'
    assert masker.counts == {"EMAIL": 2, "PHONE": 1}


def test_what_only_its_words_give_away_is_masked_without_them_too() -> None:
    masker = Masker()
    assert masker.text("Call me on +1 555 0194 2756 when he is close") == "Call me on <PHONE_1> when he is close"
    assert (
        masker.text('{"name":"UpdateContact","phone":"+1 555 0194 2756"}')
        == '{"name":"UpdateContact","phone":"<PHONE_1>"}'
    )
    assert masker.text("Order x+1 555 0194 27569") == "Order x+1 555 0194 27569"


def test_json_stays_json_with_escapes_and_bare_numbers() -> None:
    masked = Masker().text('{"note": "first\\nkim@example.com", "card": 4111111111111111, "ok": true}')
    assert json.loads(masked) == {"note": "first\n<EMAIL_1>", "card": "<CARD_1>", "ok": True}


def test_text_without_personal_data_is_the_same_string() -> None:
    text = '{ "name" :"SearchHotel",  "on": "2024-05-12" }'
    assert Masker().text(text) is text


def test_masking_again_does_not_reuse_a_placeholder() -> None:
    assert Masker().text("<EMAIL_1> wrote to new@example.com") == "<EMAIL_1> wrote to <EMAIL_2>"


@given(st.text(max_size=200))
def test_any_text_can_be_searched_and_masked(text: str) -> None:
    found = find(text)
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))
    Masker().text(text)


@given(st.integers(10**11, 10**18))
def test_luhn_accepts_exactly_one_last_digit(number: int) -> None:
    assert sum(luhn(f"{number}{digit}") for digit in range(10)) == 1


def test_precision_and_recall_on_public_texts() -> None:
    texts = json.loads((data_set("presidio-research") / "synth_dataset_v2.json").read_text(encoding="utf-8"))
    names = {"EMAIL_ADDRESS": "EMAIL", "PHONE_NUMBER": "PHONE", "CREDIT_CARD": "CARD", "US_SSN": "SSN"}
    right, missed, wrong = Counter[str](), Counter[str](), Counter[str]()
    for entry in texts:
        gold = [s | {"kind": names[s["entity_type"]]} for s in entry["spans"] if s["entity_type"] in names]
        found = find(entry["full_text"])
        for span in gold:
            hit = [f for f in found if f.start < span["end_position"] and f.end > span["start_position"]]
            (right if any(f.kind == span["kind"] for f in hit) else missed)[span["kind"]] += 1
        for one in found:
            if not any(one.start < s["end_position"] and one.end > s["start_position"] for s in gold):
                wrong[one.kind] += 1
    recall = {kind: right[kind] / (right[kind] + missed[kind]) for kind in names.values()}
    assert recall["EMAIL"] == 1
    assert recall["CARD"] >= 0.99
    assert recall["SSN"] >= 0.99
    assert recall["PHONE"] >= 0.8  # the rest are local numbers without country or a word that says so
    assert sum(wrong.values()) <= 0.02 * sum(right.values())
