"""Shamir's sharing in the field of integers modulo the prime 2**521 - 1, one secret at a time.

One element has room for a Key and a check of it, so that a share is one number. These are plain Python integers:
a sharing has a handful of them, and the vectors of `fields` would gain nothing. How long Python's integers
take depends on their values, by nanoseconds: nothing here is done at the request of a stranger.

References
----------
A. Shamir. How to share a secret. Communications of the ACM 22(11), 1979.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping

from hashcomb.errors import PartyAborted

__all__ = (
    "ELEMENT_BYTES",
    "PRIME",
    "deal",
    "element_from_bytes",
    "element_to_bytes",
    "is_element",
    "value_at",
    "weight",
)

PRIME = (1 << 521) - 1
ELEMENT_BYTES = 66


def deal(constant: int, degree: int, n_places: int) -> list[int]:
    """Draw a polynomial of at most a degree with a given value at 0; return its values at 1 to `n_places`.

    Notes
    -----
    Privacy: at any `degree` places other than 0, the values are uniform and independent of the constant.
    """
    coefficients = [constant, *(secrets.randbelow(PRIME) for _ in range(degree))]
    return [_evaluate(coefficients, place) for place in range(1, n_places + 1)]


def _evaluate(coefficients: list[int], place: int) -> int:
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * place + coefficient) % PRIME
    return value


def weight(place: int, places: Collection[int], at: int = 0) -> int:
    """Return Lagrange's coefficient of one place among `places`, for the value of the polynomial at `at`."""
    above, below = 1, 1
    for other in places:
        if other != place:
            above = above * (at - other) % PRIME
            below = below * (place - other) % PRIME
    return above * pow(below, -1, PRIME) % PRIME


def value_at(points: Mapping[int, int], at: int = 0) -> int:
    """Return the value at `at` of the polynomial of least degree through `points`, a mapping of place to value."""
    return sum(weight(place, points, at) * value for place, value in points.items()) % PRIME


# ---------------------------------------------------------------------- as bytes
def is_element(value: object) -> bool:
    """Return whether a value is a whole number from 0 to 2**521 - 2."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < PRIME


def element_to_bytes(value: int) -> bytes:
    """Return an element as 66 bytes, the highest first."""
    return value.to_bytes(ELEMENT_BYTES, "big")


def element_from_bytes(raw: bytes, *, party: str | None = None, step: str | None = None) -> int:
    """Return the element that another owner sent.

    Parameters
    ----------
    raw : bytes
        Exactly 66 bytes, the highest first.
    party, step : str, optional
        Who sent it, and at which step: for the error.

    Returns
    -------
    int
        From 0 to 2**521 - 2.

    Raises
    ------
    PartyAborted
        If there are not exactly 66 bytes, or they are no element: 2**521 - 1 or more.
    """
    if len(raw) != ELEMENT_BYTES:
        raise PartyAborted(f"sent {len(raw)} bytes where {ELEMENT_BYTES} were due", party=party, step=step)
    value = int.from_bytes(raw, "big")
    if not is_element(value):
        raise PartyAborted("sent a number that is no element of the field", party=party, step=step)
    return value
