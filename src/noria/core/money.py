"""Money is kept in whole micro-dollars; people type and read dollars."""

from decimal import Decimal
from typing import Final

from noria.core.errors import BadInput

_MICROS: Final = 1_000_000
_MOST: Final = 10**15


def micros(text: str) -> int:
    """Dollars as somebody typed them ("$1,200.50"), in micro-dollars; "" is 0. Raises BadInput."""
    plain = text.strip().removeprefix("$").replace(",", "").strip()
    if not plain:
        return 0
    try:
        amount = Decimal(plain) * _MICROS
    except ArithmeticError:
        amount = Decimal(-1)
    if not amount.is_finite() or not 0 <= amount <= _MOST or amount != amount.to_integral_value():
        raise BadInput(
            f"{text.strip()[:40]!r} is not an amount of dollars.", hint="Like 12.50, with at most six decimals."
        )
    return int(amount)


def sum_of(amount: int) -> str:
    """As `dollars`, but of a dollar or more only the cents, of a cent or more four decimals: a sum that people compare."""
    if amount >= _MICROS:
        return f"{amount / _MICROS:,.2f}"
    return dollars(round(amount, -2) if amount >= _MICROS // 100 else amount)


def dollars(amount: int) -> str:
    """Micro-dollars as dollars, with the decimals that they need and at least two: 1,200.50, 0.000125."""
    whole, rest = divmod(amount, _MICROS)
    decimals = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{whole:,}.{decimals}"
