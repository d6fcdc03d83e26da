"""Two finite fields, vectorized: integers modulo 2**61 - 1, and GF(2**8).

The first counts: sums of owners' bits, tests for zero with a false answer once in 2**61. The second computes
with bits, where exclusive or is addition and costs nothing. Both are plain NumPy, because MPyC's own field
arrays hold Python objects and are some fifty times slower.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ("BITS", "COUNTS", "Field", "lagrange_at_zero")

Array = NDArray[Any]


class Field(Protocol):
    """A finite field whose elements are unsigned integers of one NumPy type."""

    order: int
    dtype: np.dtype[Any]

    def add(self, a: Array, b: Array) -> Array:
        """Add elementwise."""

    def multiply(self, a: Array, b: Array) -> Array:
        """Multiply elementwise."""

    def scale(self, a: Array, factor: int) -> Array:
        """Multiply by one public element."""

    def sum(self, a: Array) -> Array:
        """Add along the first axis."""

    def reduce(self, a: Array) -> Array:
        """Bring any integers of the type into the field."""

    def random(self, shape: tuple[int, ...]) -> Array:
        """Draw uniform elements from the operating system."""

    def inverse(self, a: int) -> int:
        """Return the inverse of one element."""

    def times(self, a: int, b: int) -> int:
        """Multiply two elements."""

    def minus(self, a: int, b: int) -> int:
        """Subtract two elements."""


class _Mersenne61:
    """Integers modulo the prime p = 2**61 - 1, as uint64."""

    order = (1 << 61) - 1
    dtype = np.dtype("<u8")
    _SMALL = 8
    _p, _1, _30, _31, _61 = np.uint64(order), np.uint64(1), np.uint64(30), np.uint64(31), np.uint64(61)
    _low31, _low30 = np.uint64((1 << 31) - 1), np.uint64((1 << 30) - 1)

    def reduce(self, a: Array) -> Array:
        a = (a & self._p) + (a >> self._61)
        return np.asarray(np.minimum(a, a - self._p))  # below p, the difference wraps around and is large

    def add(self, a: Array, b: Array) -> Array:
        total = a + b
        return np.asarray(np.minimum(total, total - self._p))

    def multiply(self, a: Array, b: Array) -> Array:
        a_high, a_low = a >> self._31, a & self._low31  # below 2**30, 2**31
        b_high, b_low = b >> self._31, b & self._low31
        middle = a_high * b_low + a_low * b_high  # below 2**62
        # a b = a_high b_high 2**62 + middle 2**31 + a_low b_low, where 2**61 = 1: four terms below 2**64 in sum.
        high = (a_high * b_high) << self._1
        return self.reduce(high + (middle >> self._30) + ((middle & self._low30) << self._31) + a_low * b_low)

    def scale(self, a: Array, factor: int) -> Array:
        if factor < self._SMALL:  # most weights are: the product stays below 2**64
            return self.reduce(a * np.uint64(factor))
        if self.order - factor < self._SMALL:
            return self.reduce((self._p - a) * np.uint64(self.order - factor))
        return self.multiply(a, np.uint64(factor))  # type: ignore[arg-type]

    def sum(self, a: Array) -> Array:
        total: Array = functools.reduce(self.add, a)
        return total

    def random(self, shape: tuple[int, ...]) -> Array:
        # 61 random bits; only 0 has two of them, itself and p, a bias of 2**-61.
        raw = np.frombuffer(secrets.token_bytes(8 * int(np.prod(shape))), dtype="<u8").reshape(shape)
        return self.reduce(raw & self._p)

    def inverse(self, a: int) -> int:
        return pow(a, -1, self.order)

    def times(self, a: int, b: int) -> int:
        return a * b % self.order

    def minus(self, a: int, b: int) -> int:
        return (a - b) % self.order


class _Binary8:
    """GF(2**8) with the polynomial x**8 + x**4 + x**3 + x + 1, as uint8."""

    order = 256
    dtype = np.dtype("u1")

    @functools.cached_property
    def _table(self) -> Array:
        """The product of any two elements, shape (256, 256)."""
        products = np.zeros((256, 256), dtype=np.uint8)
        power = np.arange(256, dtype=np.uint16)  # a x**i
        for bit in range(8):
            chosen = (np.arange(256) >> bit) & 1
            products ^= (power[:, None] * chosen[None, :]).astype(np.uint8)
            power = (power << np.uint16(1)) ^ np.where(power & 0x80, np.uint16(0x11B), np.uint16(0))
        return products

    @functools.cached_property
    def _flat(self) -> Array:
        return self._table.reshape(-1)

    def reduce(self, a: Array) -> Array:
        return a

    def add(self, a: Array, b: Array) -> Array:
        return np.asarray(a ^ b)

    def multiply(self, a: Array, b: Array) -> Array:
        return np.asarray(self._flat.take((a.astype(np.uint16) << np.uint16(8)) | b))

    def scale(self, a: Array, factor: int) -> Array:
        return np.asarray(self._table[factor].take(a))

    def sum(self, a: Array) -> Array:
        return np.asarray(np.bitwise_xor.reduce(a, axis=0))

    def random(self, shape: tuple[int, ...]) -> Array:
        return np.frombuffer(secrets.token_bytes(int(np.prod(shape))), dtype=np.uint8).reshape(shape)

    def inverse(self, a: int) -> int:
        return int(np.flatnonzero(self._table[a] == 1)[0])

    def times(self, a: int, b: int) -> int:
        return int(self._table[a, b])

    def minus(self, a: int, b: int) -> int:
        return a ^ b


COUNTS: Field = _Mersenne61()
BITS: Field = _Binary8()


def lagrange_at_zero(field: Field, points: Sequence[int]) -> list[int]:
    """Return the weights with which values at `points` give the value at 0 of their polynomial."""
    weights = []
    for i, x in enumerate(points):
        above = below = 1
        for j, other in enumerate(points):
            if i != j:
                above = field.times(above, field.minus(0, other))
                below = field.times(below, field.minus(x, other))
        weights.append(field.times(above, field.inverse(below)))
    return weights
