"""Cheap baselines that stand beside every model: what does the task give away without one?

In: rows with their answers to learn from. Out: a function from a row to an answer. Loaded in jobs only (scikit-learn).
majority: the answer met most often. nearest: the answer of the most similar row, by the cosine of TF-IDF over words,
word pairs and characters. linear: a linear support vector machine on the same features, where the answers are labels.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from noria.core.errors import BadInput
from noria.datasets.records import message_text
from noria.evaluation.records import BASELINES, Task
from noria.evaluation.rows import Row

Answerer = Callable[[Row], str]


def fit(kind: str, rows: Sequence[Row], task: Task) -> Answerer:
    """A baseline that has seen `rows`. Raises BadInput for an unknown kind or one that does not fit the task."""
    if kind not in BASELINES:
        raise BadInput(f"There is no baseline {kind!r}.", hint=f"One of {', '.join(BASELINES)}.")
    if kind == "linear" and task != "classification":
        raise BadInput(
            "A linear classifier needs a task with a few labels; the answers of this dataset are none.",
            hint="Use baseline:nearest or baseline:majority.",
        )
    if not rows:
        raise BadInput("There are no rows to learn a baseline from.", hint="The dataset version needs a train split.")
    return {"majority": _majority, "nearest": _nearest, "linear": _linear}[kind](rows)


def fitting(task: Task) -> tuple[str, ...]:
    """The baselines that fit a task."""
    return BASELINES if task == "classification" else tuple(kind for kind in BASELINES if kind != "linear")


def question(row: Row) -> str:
    """What a baseline reads of a row: the text of its messages, the last one last."""
    return "\n".join(message_text(message) for message in row.messages)


def _majority(rows: Sequence[Row]) -> Answerer:
    counted = Counter(row.expected for row in rows)
    most = min(counted, key=lambda answer: (-counted[answer], answer))
    return lambda _: most


def _features() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import FeatureUnion

    every_word = r"(?u)\b\w+\b"  # scikit-learn's own pattern leaves out words of one character
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=every_word)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    return FeatureUnion([("words", words), ("characters", characters)])


def _nearest(rows: Sequence[Row]) -> Answerer:
    from sklearn.preprocessing import normalize

    features = _features()
    known = normalize(features.fit_transform([question(row) for row in rows])).T.tocsr()

    def answer(row: Row) -> str:
        # Every row's vector has length 1, so the largest product is the largest cosine.
        likeness = features.transform([question(row)]) @ known
        return rows[int(likeness.toarray().argmax())].expected

    return answer


def _linear(rows: Sequence[Row]) -> Answerer:
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    labels = [row.expected for row in rows]
    if len(set(labels)) < 2:
        return _majority(rows)
    model = make_pipeline(_features(), LinearSVC(C=1.0, random_state=0))
    model.fit([question(row) for row in rows], labels)
    return lambda row: str(model.predict([question(row)])[0])
