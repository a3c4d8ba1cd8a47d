"""Finds rows that say the same: texts in, pairs of positions out. numpy and rapidfuzz; runs in jobs only.

Two steps. Candidates come from three cheap keys: the text without spaces, the same with one letter left out (short texts), and
bands of a MinHash over character trigrams. Each candidate is then proved word by word: two texts are near duplicates only if
everything in which they differ is a typo, case, spacing, punctuation or a filler word. A different number, name or other word
is a different slot value, however alike the texts look ("a table in Paris" is not "a table in Rome").

Sources: Broder, "On the resemblance and containment of documents" (1997), for MinHash; the deletion neighbourhood of
Mor and Fraenkel (1982), as in SymSpell, for short texts.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA, Levenshtein

Hashes = NDArray[np.uint64]

BANDS, ROWS = 50, 5
"""A pair of trigram Jaccard s becomes a candidate with 1 - (1 - s^5)^50: .97 at .6, .08 at .28, .0005 at .1."""
SHINGLE = 3
SHORT = 32
"""Texts up to so many letters are also looked up with one letter left out: there a typo destroys too many trigrams."""
WINDOW, LARGE_WINDOW = 64, 6
"""So far apart may two rows stand among those that share a key; in a crowd (texts of one template) only close neighbours are
compared, after sorting it by another band, which brings what is nearly the same together."""
_BATCH = 200_000
_SILENT = re.compile(r"['’`´ʼ]")
_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_KEPT = frozenset("%&#@*/\\")
FILLERS: Final = frozenset(
    """please pls plz hi hello hey thanks thx um uh uhm oh ok okay so just the a an kindly sir madam
    안녕하세요 안녕 저기 저기요 음 어 그 네 넵 좀 제발 감사합니다 고마워요 부탁드려요 부탁드립니다 혹시""".split()  # noqa: SIM905 - words to read
)
_NEGATIONS: Final = ("un", "in", "im", "il", "ir", "dis", "de", "non", "mis", "re", "pre", *"안못않없불무비미")
"""What turns a word around although it is short: never a slip."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rows that say the same, `first` < `second`; `alike` is between 0 and 1, `same_target` compares the groups."""

    first: int
    second: int
    alike: float
    same_target: bool


def normalise(text: str) -> str:
    """The text without case, punctuation and spacing of its own; words are separated by one space."""
    folded = _SILENT.sub("", unicodedata.normalize("NFKC", text).casefold())
    if not folded.isalnum():
        folded = "".join(letter if letter.isalnum() or _speaks(letter) else " " for letter in folded)
    return " ".join(folded.split()) or text.strip()


def pairs(
    texts: Sequence[str],
    targets: Hashes,
    contexts: Hashes,
    *,
    threshold: float = 0.8,
    check: Callable[[], None] = lambda: None,
) -> list[Pair]:
    """All near duplicates, in the order of `second`, then `first`.

    `targets` and `contexts` hold a hash for each row: rows of different contexts, or with different numbers in their texts,
    are never compared. Pairs with different targets are conflicts.
    """
    if len(texts) < 2:
        return []
    normal = [normalise(text) for text in texts]
    packed = [_pack(text) for text in normal]
    numbers = np.array([crc32(" ".join(_NUMBER.findall(text)).encode()) for text in texts], dtype=np.uint64)
    candidates = _candidates(packed, targets, _mix(contexts ^ numbers), check)
    frequency = Counter(word for text in normal for word in set(text.split()))
    proof = _Proof(normal, packed, frequency)
    found: list[Pair] = []
    for at in range(0, len(candidates), _BATCH):
        check()
        block = candidates[at : at + _BATCH]
        left, right = block // len(texts), block % len(texts)
        alike = process.cpdist(
            [packed[i] for i in left], [packed[j] for j in right], scorer=fuzz.ratio, score_cutoff=100 * threshold
        )
        for index in np.flatnonzero(alike >= 100 * threshold):
            i, j = int(left[index]), int(right[index])
            if proof.same(i, j):
                found.append(Pair(i, j, float(alike[index]) / 100, bool(targets[i] == targets[j])))
    found.sort(key=lambda pair: (pair.second, pair.first))
    return found


def _pack(normal: str) -> str:
    words = normal.split(" ")
    return "".join(word for word in words if word not in FILLERS) or "".join(words)


class _Proof:
    """Decides whether two texts differ in slips only."""

    def __init__(self, normal: Sequence[str], packed: Sequence[str], frequency: Counter[str]) -> None:
        self._normal, self._packed, self._frequency = normal, packed, frequency

    def same(self, i: int, j: int) -> bool:
        if self._packed[i] == self._packed[j]:
            return True
        left, right = self._normal[i].split(), self._normal[j].split()
        blocks = list(_differences(left, right))
        return len(blocks) <= max(2, min(len(left), len(right)) // 5) and all(self._slip(a, b) for a, b in blocks)

    def _slip(self, left: list[str], right: list[str]) -> bool:
        if len(left) == len(right):
            return all(a == b or self._typo(a, b) for a, b in zip(left, right, strict=True))
        a, b = (_pack(" ".join(words)) if words else "" for words in (left, right))
        if not left or not right:
            return all(word in FILLERS for word in (*left, *right))
        return a == b or _distance_within(a, b, 1)

    def _typo(self, a: str, b: str) -> bool:
        """Whether one of two words is a misspelling of the other. A word that the data uses often is none."""
        rare, common = sorted((self._frequency[a], self._frequency[b]))
        if rare > 2 and common < 50 * rare:
            return False
        strange = rare <= 2 and common >= 20
        letters = min(len(unicodedata.normalize("NFD", word)) for word in (a, b))
        if _is_hangul(a + b):
            return _distance_within(a, b, 1 if letters >= 6 else 0) or _syllable_slip(a, b, least=2 if strange else 4)
        if strange:
            return _distance_within(a, b, 0 if letters < 3 else 2 if letters >= 5 else 1)
        return _distance_within(a, b, 0 if letters <= 3 else 2 if letters >= 7 else 1)


def _distance_within(a: str, b: str, budget: int) -> bool:
    """Whether so many slips of one letter (a Hangul syllable has two or three) turn one word into the other."""
    short, long = sorted((a, b), key=len)
    if any(long in (turn + short, short + turn) for turn in _NEGATIONS) or any(letter.isdigit() for letter in a + b):
        return False
    x, y = unicodedata.normalize("NFD", a), unicodedata.normalize("NFD", b)
    return bool(budget) and OSA.distance(x, y, score_cutoff=budget) <= budget


def _syllable_slip(a: str, b: str, *, least: int) -> bool:
    """A syllable typed twice, left out (of a word of `least` others) or in its neighbour's place; none that negates."""
    short, long = sorted((a, b), key=len)
    if OSA.distance(a, b, score_cutoff=1) != 1:
        return False
    if len(short) == len(long):
        return len(short) >= 3 and sorted(a) == sorted(b)
    lost = next(iter(Counter(long) - Counter(short)))
    return lost * 2 in long or (len(short) >= least and lost not in _NEGATIONS)


def _is_hangul(word: str) -> bool:
    return any("가" <= letter <= "힣" for letter in word)


def _differences(left: list[str], right: list[str]) -> Iterator[tuple[list[str], list[str]]]:
    """The stretches of words in which two texts differ; neighbouring ones are joined."""
    a: list[str] = []
    b: list[str] = []
    for step in Levenshtein.opcodes(left, right):
        if step.tag == "equal":
            if a or b:
                yield a, b
            a, b = [], []
        else:
            a, b = a + left[step.src_start : step.src_end], b + right[step.dest_start : step.dest_end]
    if a or b:
        yield a, b


def _speaks(letter: str) -> bool:
    """Whether a sign carries meaning of its own: symbols and marks do, punctuation mostly does not."""
    return letter in _KEPT or unicodedata.category(letter)[0] in "SM"


def _candidates(
    packed: Sequence[str], targets: Hashes, contexts: Hashes, check: Callable[[], None]
) -> NDArray[np.int64]:
    """Codes first * n + second of pairs worth proving, each once."""
    codes, starts, lengths = _letters(packed)
    rows = np.arange(len(packed))
    found: NDArray[np.int64] = np.empty(0, np.int64)

    def add(keys: Hashes, of: NDArray[np.int64], second: Hashes) -> None:
        nonlocal found
        check()
        keys = _mix(keys ^ contexts[of])
        same_target = _runs(_mix(keys ^ targets[of]), of, second, len(packed))
        found = np.unique(np.concatenate([found, same_target, _runs(keys, of, second, len(packed))]))

    whole, shorter, shorter_of = _text_hashes(codes, starts, lengths)
    add(whole, rows, targets)
    of = np.concatenate([rows, shorter_of])
    add(np.concatenate([whole, shorter]), of, targets[of])
    before: Hashes | None = None
    for keys, of in _bands(codes, starts, lengths):
        add(keys, of, targets[of] if before is None else before)
        before = keys
    left, right = found // len(packed), found % len(packed)
    close = np.minimum(lengths[left], lengths[right]) * 10 >= np.maximum(lengths[left], lengths[right]) * 6
    kept: NDArray[np.int64] = found[close]
    return kept


def _letters(packed: Sequence[str]) -> tuple[Hashes, NDArray[np.int64], NDArray[np.int64]]:
    """All texts' letters as mixed 64-bit values in one array, where each text starts, and how long it is."""
    points = np.frombuffer("".join(packed).encode("utf-32-le", "replace"), dtype=np.uint32).astype(np.uint64)
    lengths = np.array([len(text) for text in packed], dtype=np.int64)
    return _mix(points + np.uint64(0x9E3779B9)), np.cumsum(lengths) - lengths, lengths


def _text_hashes(
    codes: Hashes, starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[Hashes, Hashes, NDArray[np.int64]]:
    """A polynomial hash of each text; the hashes of each short text with one letter left out, and whose they are."""
    base = pow(0x5851F42D4C957F2D, 1, 1 << 64)
    inverse = np.uint64(pow(base, -1, 1 << 64))
    longest = int(lengths.max(initial=1))
    powers = np.cumprod(np.full(longest, base, dtype=np.uint64))
    of = np.repeat(np.arange(len(lengths)), lengths)
    within = np.arange(len(codes)) - starts[of]
    prefix = np.concatenate([np.zeros(1, np.uint64), np.cumsum(codes * powers[within])])
    whole = prefix[starts + lengths] - prefix[starts]
    short = np.flatnonzero((lengths[of] <= SHORT) & (lengths[of] >= 4))
    owner = of[short]
    before = prefix[short] - prefix[starts[owner]]
    after = (prefix[starts[owner] + lengths[owner]] - prefix[short + 1]) * inverse
    return whole, before + after, owner


def _bands(
    codes: Hashes, starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> Iterator[tuple[Hashes, NDArray[np.int64]]]:
    """For each band of the MinHash: a key for each text of at least one trigram, and whose it is."""
    of = np.flatnonzero(lengths >= SHINGLE)
    if len(of) == 0:
        return
    counts = lengths[of] - SHINGLE + 1
    offsets = np.cumsum(counts) - counts
    first = np.repeat(starts[of] - offsets, counts) + np.arange(int(counts.sum()))
    grams = _mix(codes[first] * np.uint64(3) + codes[first + 1] * np.uint64(5) + codes[first + 2] * np.uint64(7))
    hashed = (grams >> np.uint64(32)).astype(np.uint32)
    random = np.random.default_rng(20_261)
    for _ in range(BANDS):
        key = np.zeros(len(of), np.uint64)
        for _ in range(ROWS):
            factor, shift = random.integers(1, 1 << 32, 2, dtype=np.uint64)
            permuted = hashed * np.uint32(factor | np.uint64(1)) + np.uint32(shift)
            permuted ^= permuted >> np.uint32(15)
            key = _mix(key ^ np.minimum.reduceat(permuted, offsets).astype(np.uint64))
        yield key, of


def _runs(keys: Hashes, of: NDArray[np.int64], second: Hashes, count: int) -> NDArray[np.int64]:
    """Codes of pairs of rows with equal keys that stand near each other when sorted by key and `second`."""
    order = np.lexsort((second, keys))
    keys, of = keys[order], of[order]
    _, which, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    window = np.where(sizes > WINDOW, LARGE_WINDOW, WINDOW)[which]
    shared = np.flatnonzero(keys[1:] == keys[:-1])
    found, distance = [np.empty(0, np.int64)], 1
    while len(shared):
        left, right = of[shared], of[shared + distance]
        apart = left != right
        left, right = left[apart], right[apart]
        found.append(np.minimum(left, right) * count + np.maximum(left, right))
        distance += 1
        shared = shared[(shared + distance < len(keys)) & (distance <= window[shared])]
        shared = shared[keys[shared] == keys[shared + distance]]
    return np.concatenate(found)


def _mix(values: Any) -> Hashes:
    """Spread every bit of each value over all 64 (the finaliser of splitmix64)."""
    mixed = values.astype(np.uint64, copy=True)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed  # type: ignore[no-any-return]
