"""Micro-dollars as people read them."""

import pytest

from noria.core import money


@pytest.mark.parametrize(
    ("micros", "whole", "short"),
    [
        (0, "0.00", "0.00"),
        (125, "0.000125", "0.000125"),
        (9_999, "0.009999", "0.009999"),
        (872_853, "0.872853", "0.8729"),
        (999_999, "0.999999", "1.00"),
        (50_000, "0.05", "0.05"),
        (1_234_567_890, "1,234.56789", "1,234.57"),
    ],
)
def test_dollars(micros: int, whole: str, short: str) -> None:
    assert money.dollars(micros) == whole
    assert money.sum_of(micros) == short
