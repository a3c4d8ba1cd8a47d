"""What each recipe can be told, apart from the recipe itself: the server checks parameters and must not import a trainer.

In: parameters from a request. Out: a complete configuration, or BadInput that names the wrong one.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from noria.core.errors import BadInput


@dataclass(frozen=True, slots=True)
class LoraSft:
    """All that decides the result of noria.training.recipes.lora_sft, besides the data and the base model."""

    examples: int = 672
    """Examples in one pass, drawn from the rows by the seed; all of them when there are fewer."""
    epochs: float = 1.0
    """Passes over those examples."""
    batch: int = 12
    """Examples in one step of the optimiser."""
    rank: int = 16
    """Width of the adapter (r)."""
    alpha: int = 32
    """The adapter's output is scaled by alpha / rank."""
    learning_rate: float = 1e-3
    """The highest learning rate, reached after the warm-up; then it falls to nothing along a cosine."""
    warmup: int = 6
    """Steps during which the learning rate rises."""
    clip: float = 1.0
    """The largest norm of the gradient; longer ones are shortened to it."""
    max_tokens: int = 512
    """Examples with more tokens than this are left out (and counted)."""
    vocabulary: int = 32_768
    """How many of the most frequent tokens the loss looks at, besides all that occur in the examples."""
    seed: int = 17
    """Decides the examples, their order and the adapter's first weights."""
    checkpoint_every: int = 8
    """Steps between two checkpoints."""
    threads: int = 0
    """CPU threads; 0: one for each core."""


_AT_LEAST = {"warmup": 0, "seed": 0, "threads": 0, "vocabulary": 0}
_AT_MOST = {"batch": 256, "rank": 256, "examples": 1_000_000, "epochs": 100, "max_tokens": 8192, "learning_rate": 1}

RECIPES: dict[str, type[LoraSft]] = {"lora_sft": LoraSft}
"""Configuration by the name of the recipe, which is also its module in noria.training.recipes."""


def configure(recipe: str, parameters: Mapping[str, Any]) -> LoraSft:
    """The recipe's configuration with `parameters` in place of its defaults. Raises BadInput."""
    kind = RECIPES.get(recipe)
    if kind is None:
        raise BadInput(f"There is no recipe {recipe[:80]!r}.", hint=f"One of: {', '.join(RECIPES)}.")
    known = {field.name: field for field in fields(kind)}
    for name in parameters:
        if name not in known:
            raise BadInput(f"{recipe} has no parameter {name[:80]!r}.", hint=f"It has: {', '.join(known)}.")
    return kind(**{name: _value(name, known[name].default, value) for name, value in parameters.items()})


def _value(name: str, default: Any, value: Any) -> Any:
    kind: type[int] | type[float] = type(default)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or kind(value) != value
    ):
        raise BadInput(
            f"Parameter {name} takes {'a whole number' if kind is int else 'a number'}, not {str(value)[:80]!r}."
        )
    low, high = _AT_LEAST.get(name, 1 if kind is int else 1e-9), _AT_MOST.get(name, math.inf)
    if not low <= value <= high:
        raise BadInput(f"Parameter {name} is {value}; it may be {low} to {high}.")
    return kind(value)


def as_json(config: LoraSft) -> dict[str, Any]:
    """Every parameter with its value."""
    return asdict(config)
