"""Finds personal data in text: text in, spans out. Pure, and free of heavy imports.

Five kinds: e-mail addresses, phone numbers, payment cards, Korean resident registration numbers, US social security numbers. Each is a shape and a proof (a
checksum, a numbering plan, a real date): a shape alone would also take dates, prices and order numbers. Bare digits without any
separator prove least, so words before them decide ("order 4155…" against "call me at 4155…").

Sources: ITU-T E.164 through the phonenumbers library; ISO/IEC 7812 (Luhn, issuer ranges); the checksum of resident
registration numbers as of before October 2020, after which only date and century digit can be checked.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from operator import attrgetter
from typing import Final, Literal

Kind = Literal["EMAIL", "PHONE", "CARD", "RRN", "SSN"]

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+'-])[A-Za-z0-9][A-Za-z0-9._%+'-]{0,63}@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,5}[A-Za-z]{2,24}(?![A-Za-z0-9@-])"
)
_RRN = re.compile(r"(?<![\d-])(\d{2})(\d{2})(\d{2})(\s?[-–]\s?|)([1-8])(\d{6})(?![\d-])")
_CARD = re.compile(r"(?<![A-Za-z0-9_.,/+-])(?:\d[ -]?){11,18}\d(?![A-Za-z0-9_-])")
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
_PHONE = re.compile(
    r"(?<![A-Za-z0-9_])(?<!\d[.,/:-])(?<!\d\s[/-])(?<![₩$€£#@+])"
    r"(?:\+\s?\d|\(\+?\d|00\d|\d)[\d \u00a0().–-]{5,20}\d"
    r"(?:\s?(?:x|ext\.?|#)\s?\d{1,5})?"
    r"(?![\d@:/%₩$€£]|-\d|[.,]\d)",
    re.IGNORECASE,
)
_ABOUT_PHONES = re.compile(
    r"(?:phone|mobile|cell|tel|fax|call|dial|text me|reach|contact|whats\s?app|sms|messages to|answering at|"
    r"전화|연락|휴대|핸드폰|폰\s?번호|문자|팩스)(?:\w*\W+){0,4}$",
    re.IGNORECASE,
)
_ABOUT_CARDS = re.compile(r"(?:\bcard|\bcc\b|visa|master\s?card|amex|카드)(?:\w*\W+){0,3}$", re.IGNORECASE)
_ABOUT_OTHERS = re.compile(
    r"(?:order|invoice|tracking|ticket|ref(?:erence)?|booking|confirmation|account|case|serial|sku|isbn|version|id|no|"
    r"주문|송장|운송장|예약|접수|계좌|상품|고객)\W*(?:(?:number|code|is|no|번호|코드)\W*){0,3}(?:는|은|가|이)?\W*$",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"(?:(?:19|20)\d{2}[-./ ]{1,2}\d{1,2}[-./ ]{1,2}\d{1,2}|\d{1,2}[-./ ]{1,2}\d{1,2}[-./ ]{1,2}(?:19|20)\d{2})(?:\D.*)?$"
)
_KOREAN = re.compile(r"(?:01[016789]|02|0[3-6][1-9]|070|050\d)[-. )]{0,2}\d{3,4}[-. ]?\d{4}")
_REGIONS: Final = ("KR", "US", "GB")


@dataclass(frozen=True, slots=True)
class Found:
    """One piece of personal data: text[start:end]. `value` is what makes two spellings of it the same."""

    kind: Kind
    start: int
    end: int
    value: str


def find(text: str) -> list[Found]:
    """All personal data in `text`, in order, without overlaps; of two that overlap, the one that proves more stays."""
    if not (digits := any(letter.isdigit() for letter in text)) and "@" not in text:
        return []
    taken: list[Found] = []
    finders = (_emails, _registrations, _social_security, _cards, _phones) if digits else (_emails,)
    for finder in finders:
        free = [found for found in finder(text) if _is_free(found, taken)]  # one finder's never overlap
        if free:
            taken = sorted([*taken, *free], key=_start)
    return taken


_start = attrgetter("start")


def _is_free(found: Found, taken: list[Found]) -> bool:
    """Whether nothing that was taken, which is in order, overlaps it."""
    at = bisect_left(taken, found.end, key=_start)
    return at == 0 or taken[at - 1].end <= found.start


def luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1, annex B)."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def _emails(text: str) -> Iterator[Found]:
    if "@" in text:
        for match in _EMAIL.finditer(text):
            yield Found("EMAIL", match.start(), match.end(), match[0].casefold())


def _registrations(text: str) -> Iterator[Found]:
    for match in _RRN.finditer(text):
        year, month, day, separator, century, rest = match.groups()
        base = 1900 if century in "1256" else 2000
        try:
            date(base + int(year), int(month), int(day))
        except ValueError:
            continue
        digits = year + month + day + century + rest
        if separator or _registration_checks(digits):
            yield Found("RRN", match.start(), match.end(), digits)


def _social_security(text: str) -> Iterator[Found]:
    for match in _SSN.finditer(text):
        if not _ABOUT_OTHERS.search(text[max(0, match.start() - 40) : match.start()]):
            yield Found("SSN", match.start(), match.end(), re.sub(r"\D", "", match[0]))


def _registration_checks(digits: str) -> bool:
    total = sum(
        int(digit) * weight for digit, weight in zip(digits, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5), strict=False)
    )
    return (11 - total % 11) % 10 == int(digits[-1])


def _cards(text: str) -> Iterator[Found]:
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        grouped = len(digits) != len(match[0])
        before = text[max(0, match.start() - 40) : match.start()]
        about_cards = _ABOUT_CARDS.search(before) is not None
        if not luhn(digits) or len(set(digits)) == 1 or not (about_cards or _issued(digits)):
            continue
        if grouped and not _card_groups(match[0]):
            continue
        if not grouped and not about_cards and (len(digits) < 14 or _ABOUT_OTHERS.search(before)):
            continue
        yield Found("CARD", match.start(), match.end(), digits)


def _issued(digits: str) -> bool:
    """Whether an issuer gives out numbers of this beginning and length."""
    length, two, four = len(digits), int(digits[:2]), int(digits[:4])
    if digits[0] == "4":
        return length in {13, 16, 19}
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return length == 16
    if two in {34, 37}:
        return length == 15
    if two in {36, 38, 39} or 300 <= int(digits[:3]) <= 305:
        return length == 14
    if two in {50, 56, 57, 58, 63, 67}:
        return 13 <= length <= 19
    return length == 16 and (four == 6011 or two in {35, 62, 64, 65, 94, 95})


def _card_groups(written: str) -> bool:
    """Groups of digits as people write card numbers: 4-4-4-4, 4-6-5, 4-6-4 and the like, never singles."""
    groups = [len(group) for group in re.split(r"[ -]", written)]
    return all(size >= 3 for size in groups) and groups[0] == 4


def _phones(text: str) -> Iterator[Found]:
    for match in _PHONE.finditer(text):
        written = match[0]
        digits = re.sub(r"\D", "", written)
        before = text[max(0, match.start() - 40) : match.start()]
        if 7 <= len(digits) <= 17 and not _DATE.match(written) and _is_phone(written, before):
            yield Found("PHONE", match.start(), match.end(), _canonical(written, digits))


def _is_phone(written: str, before: str) -> bool:
    if _ABOUT_PHONES.search(before):
        # The words say so, and people write foreign and local numbers in too many ways to check them.
        return not re.search(r"\d \d(?: |$)", written) or _numbering_plan_has(written)
    if _ABOUT_OTHERS.search(before):
        return False
    if _KOREAN.fullmatch(written):
        return not written.isdigit() or written.startswith(("01", "070"))
    if written.isdigit():
        return False
    if written.startswith("+") or (written.startswith("(") and written.count("(") == 1):
        return _numbering_plan_has(written)
    return _grouped_like_a_phone(written) and _numbering_plan_has(written)


def _grouped_like_a_phone(written: str) -> bool:
    """Three or more groups with one kind of separator, the last of four digits: 415-555-0132, 020 7946 0018."""
    number = re.split(r"[xe#]", written, maxsplit=1, flags=re.IGNORECASE)[0].strip()
    groups = re.findall(r"\d+", number)
    if not 3 <= len(groups) <= 4 or len(set(re.findall(r"\D+", number))) != 1:
        return False
    return len(groups[-1]) == 4 and all(len(group) <= 4 for group in groups)


def _numbering_plan_has(written: str) -> bool:
    """Whether a country could have given this number out: any country with +, else one of ours."""
    import phonenumbers

    international = written.startswith(("+", "(+"))
    for region in (None,) if international else _REGIONS:
        try:
            number = phonenumbers.parse(written, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_possible_number(number) if international else phonenumbers.is_valid_number(number):
            return True
    return False


def _canonical(written: str, digits: str) -> str:
    """One form of a Korean number with and without its country code; other numbers by their digits."""
    return f"0{digits[2:].lstrip('0')}" if written.startswith("+") and digits.startswith("82") else digits
