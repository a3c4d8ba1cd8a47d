"""Writes the conversations that ship with Noria from scripts/conversations/: customer turns of a shop's support and the call
to make, English and Korean, in OpenAI's chat fine-tuning shape.

Deterministic: the same phrases give the same files. One line in five is kept for testing alone, so that part of the test
asks in words that training never saw. What a cleaning pipeline should find is planted on purpose: exact and near
duplicates, training copies of test rows, broken encodings, over-long rants, invented e-mail addresses, phone and card numbers.
"""

import hashlib
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "conversations"
TARGET = Path(__file__).parents[1] / "src" / "noria" / "app" / "demo" / "conversations"
SEED = 20
USES = {"train": 5, "test": 2}
FIRST = ["mia", "jonas", "sora", "liam", "hana", "noah", "jiwoo", "emma", "minjun", "olivia", "seoyeon", "ben"]
LAST = ["keller", "park", "stone", "lee", "morris", "choi", "novak", "kim", "hughes", "jung"]
OPENERS = {
    "en": ["", "", "", "Hi, ", "Hello! ", "hey ", "Good evening, ", "Excuse me, "],
    "ko": ["", "", "", "안녕하세요, ", "저기요 ", "수고하세요. "],
}
CLOSERS = {
    "en": ["", "", "", "", " Thanks!", " thank you", " Much appreciated."],
    "ko": ["", "", "", " 감사합니다", " 부탁드려요", " 고맙습니다!"],
}
RANT = {
    "en": "I have been a customer for eleven years and never had to write twice about anything until now. ",
    "ko": "십 년 넘게 이용하면서 이렇게 여러 번 문의한 적은 한 번도 없었습니다. ",
}
GREETING = re.compile(r"(hi|hello|good (morning|evening)|안녕)\b", re.IGNORECASE)
PARTICLES = {
    "이요": "요",
    "이에요": "예요",
    "이라고": "라고",
    "이랑": "랑",
    "이고": "고",
    "이": "가",
    "을": "를",
    "으로": "로",
    "은": "는",
}
"""After a final consonant: after a vowel."""
Line = tuple[str, str, str, str]
Row = dict[str, Any]


def read_phrases() -> list[Line]:
    """(call, language, what the agent said, what the customer says)."""
    lines: list[Line] = []
    call = ""
    for text in (HERE / "phrases.txt").read_text(encoding="utf-8").splitlines():
        if text.startswith("== "):
            call = text[3:].strip()
        elif text and not text.startswith("#"):
            found = re.fullmatch(r"(en|ko) (?:\[(.+?)\] )?(.+)", text)
            if found is None:
                raise SystemExit(f"phrases.txt: cannot read {text!r}")
            lines.append((call, found[1], found[2] or "", found[3]))
    return lines


def read_slots() -> dict[tuple[str, str], list[str]]:
    """Values by (language, slot)."""
    slots = {}
    for text in (HERE / "slots.txt").read_text(encoding="utf-8").splitlines():
        if text and not text.startswith("#"):
            head, _, values = text.partition(": ")
            language, _, name = head.partition(" ")
            slots[language, name] = [value.strip() for value in values.split("|")]
    return slots


def with_particles(said: str, values: dict[str, str]) -> str:
    """`said` filled in, each Korean particle in the form that the end of the value before it asks for."""
    closed_forms = {open_form: closed for closed, open_form in PARTICLES.items()}

    def fill(match: re.Match[str]) -> str:
        value, particle = values[match[1]], match[2] or ""
        last = value[-1]
        if not "가" <= last <= "힣" or not particle:
            return value + particle
        final = (ord(last) - ord("가")) % 28
        is_ro = particle in {"으로", "로"}
        closed = final != 0 and not (is_ro and final == 8)  # ㄹ takes 로
        base = closed_forms.get(particle, particle)
        return value + (base if closed else PARTICLES.get(base, particle))

    return re.sub(r"{(\w+)}(이라고|이에요|이요|이랑|이고|으로|로|이|을|은|요|라고)?(?![가-힣]{2})", fill, said).format(
        **values
    )


class Writer:
    """Makes rows; holds the one source of chance."""

    def __init__(self) -> None:
        self.chance = random.Random(SEED)
        self.slots = read_slots()
        self.sessions = 0

    def value(self, language: str, slot: str) -> str:
        """A value as a customer would say it."""
        chance = self.chance
        if slot == "order_id":
            return chance.choice(["NR-{}", "NR{}", "{}", "#{}"]).format(chance.randint(10_000, 99_999))
        if slot == "coupon":
            return chance.choice(["SPRING", "WELCOME", "THANKS", "NORI", "BACK"]) + str(
                chance.choice([5, 10, 15, 20, 25])
            )
        if slot == "email":
            person = f"{chance.choice(FIRST)}{chance.choice(['.', '_', ''])}{chance.choice(LAST)}"
            return f"{person}{chance.choice(['', '7', '88'])}@example.{chance.choice(['com', 'org', 'net'])}"
        if slot == "phone" and language == "ko":
            return f"010-{chance.randint(2000, 9999)}-{chance.randint(1000, 9999)}"
        if slot == "phone":
            return f"+1 555 01{chance.randint(0, 99):02d} {chance.randint(1000, 9999)}"
        return chance.choice(self.slots[language, slot])

    def row(self, line: Line) -> Row:
        """One customer turn with its call; the slots stand in the order of the alphabet."""
        call, language, agent, said = line
        names = re.findall(r"{(\w+)}", said)
        values = {name: self.value(language, name) for name in names}
        text = with_particles(said, values) if language == "ko" else said.format(**values)
        if not agent and not GREETING.match(text) and self.chance.random() < 0.5:
            text = self.chance.choice(OPENERS[language]) + text + self.chance.choice(CLOSERS[language])
        if self.chance.random() < 0.12:
            text = self.typo(text, set(values.values()))
        self.sessions += 1
        messages = [{"role": "assistant", "content": agent}] if agent else []
        messages.append({"role": "user", "content": text})
        target = json.dumps({"name": call, **dict(sorted(values.items()))}, ensure_ascii=False, separators=(",", ":"))
        messages.append({"role": "assistant", "content": target})
        number = f"s{self.sessions:05d}"
        return {"id": f"{number}#0", "session": number, "language": language, "messages": messages}

    def typo(self, text: str, keep: set[str]) -> str:
        """Swap, drop or double one letter, outside the values that the call needs."""
        words = text.split(" ")
        parts = {part.strip(".,!?") for value in keep for part in value.split(" ")}
        free = [i for i, word in enumerate(words) if len(word) > 3 and not any(part in word for part in parts)]
        if not free:
            return text
        i = self.chance.choice(free)
        at = self.chance.randrange(1, len(words[i]) - 1)
        word = words[i]
        words[i] = self.chance.choice(
            [
                word[:at] + word[at + 1] + word[at] + word[at + 2 :],
                word[:at] + word[at + 1 :],
                word[:at] + word[at : at + 1] + word[at:],
            ]
        )
        return " ".join(words)


def user_turn(row: Row) -> dict[str, str]:
    turn: dict[str, str] = row["messages"][-2]
    return turn


def copied(row: Row, number: str, change: Callable[[str], str] | None = None) -> Row:
    """A copy with another id, its customer turn passed through `change`."""
    copy: Row = json.loads(json.dumps(row, ensure_ascii=False))
    copy["id"], copy["session"] = f"{number}#0", number
    if change:
        user_turn(copy)["content"] = change(user_turn(copy)["content"])
    return copy


def planted(writer: Writer, train: list[Row], test: list[Row]) -> list[Row]:
    """What cleaning should find in the training rows."""
    chance = writer.chance
    rows: list[Row] = []
    for i, row in enumerate(chance.sample(train, 24)):
        rows.append(copied(row, f"d{i:03d}"))
    for i, row in enumerate(chance.sample(train, 16)):
        rows.append(
            copied(row, f"n{i:03d}", lambda text: text.rstrip(".!? ") + chance.choice(["!!", " ...", ".", " pls"]))
        )
    for i, row in enumerate(chance.sample(test, 12)):
        rows.append(copied(row, f"l{i:03d}"))
    for i, row in enumerate(chance.sample([r for r in train if r["language"] == "ko"], 8)):
        rows.append(copied(row, f"e{i:03d}", lambda text: text.encode().decode("latin-1")))
    for i, row in enumerate(chance.sample(train, 4)):
        language = str(row["language"])
        rows.append(copied(row, f"o{i:03d}", lambda text, rant=RANT[language]: rant * 24 + text))
    cards = ["4111 1111 1111 1111", "5555 5555 5555 4444", "4012-8888-8888-1881", "378282246310005"]
    for i, row in enumerate(chance.sample([r for r in train if r["language"] == "en"], 12)):
        extra = [f" My card is {chance.choice(cards)}.", f" You can reach me at {writer.value('en', 'email')}."][i % 2]
        rows.append(copied(row, f"p{i:03d}", lambda text, extra=extra: text + extra))
    return rows


def main() -> None:
    """Write train.jsonl and test.jsonl."""
    writer = Writer()
    train: list[Row] = []
    test: list[Row] = []
    for line in read_phrases():
        unseen = hashlib.sha256("|".join(line).encode()).digest()[0] % 5 == 0
        if not unseen:
            train += [writer.row(line) for _ in range(USES["train"])]
        if unseen or hashlib.sha256("|".join(line).encode()).digest()[1] % 2 == 0:
            test += [writer.row(line) for _ in range(USES["test"] if unseen else 1)]
    train += planted(writer, train, test)
    writer.chance.shuffle(train)
    writer.chance.shuffle(test)
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, rows in (("train", train), ("test", test)):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (TARGET / f"{name}.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
