"""Laws of sums of many independent reports, as logarithms whose error is bounded.

The ends of such a law lie hundreds of orders of magnitude below a double's smallest number, and large Renyi orders
read them. So laws are kept as logarithms; products are formed block by block, where doubles reach.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ("UNIT", "LogLaw", "Powers", "convolve")

Floats = NDArray[np.float64]

UNIT = 2.0**-52  # twice what one operation on doubles can err by, relative to its result
_DEPTH = 1000.0  # nats below the largest entry: what is less likely is left out at both ends, and accounted for
_BLOCK = 256
_RANGE = 300.0  # nats that a block may span: products of entries of two blocks are far from underflow


@dataclass(frozen=True)
class LogLaw:
    """Logarithms of a measure on consecutive integers that is nowhere above the law it stands for.

    Parameters
    ----------
    logs : ndarray of float64, shape (n,)
        Of the entries; where the first of them lies does not matter here.
    error : float
        The logarithms are off by at most this, in nats.
    lost : float
        Logarithm of the probability that was left out, rounded up; minus infinity for none.
    """

    logs: Floats
    error: float
    lost: float


def convolve(left: LogLaw, right: LogLaw, *, depth: float = _DEPTH) -> LogLaw:
    """Return the law of the sum of two independent integers.

    Parameters
    ----------
    left, right : LogLaw
        Their laws.
    depth : float, optional
        Ends of the result that lie so many nats below its largest entry are left out.
    """
    logs = np.full(len(left.logs) + len(right.logs) - 1, -np.inf)
    times = np.zeros(len(logs), dtype=np.int64)
    others = list(_blocks(right.logs))
    for start, block in _blocks(left.logs):
        for other_start, other in others:
            part = _product(block, other)
            here = slice(start + other_start, start + other_start + len(part))
            logs[here] = np.logaddexp(logs[here], part)
            times[here] += 1
    largest = np.abs(logs[logs > -np.inf]).max()
    rounding = UNIT * (_BLOCK + 2 * _RANGE + 16 + 3 * (times.max() + 1) * (largest + 2))
    return _trimmed(
        LogLaw(logs, left.error + right.error + rounding, float(np.logaddexp(left.lost, right.lost))), depth
    )


def _product(block: Floats, other: Floats) -> Floats:
    top, other_top = block.max(), other.max()
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.convolve(np.exp(block - top), np.exp(other - other_top))) + (top + other_top))


def _blocks(logs: Floats) -> Iterator[tuple[int, Floats]]:
    """Yield positions and parts of an array that span at most `_RANGE` nats, zeros not counted."""
    start = 0
    while start < len(logs):
        block = logs[start : start + _BLOCK]
        low = np.minimum.accumulate(np.where(block > -np.inf, block, np.inf))
        wide = np.maximum.accumulate(block) - low > _RANGE
        block = block[: int(wide.argmax()) if wide.any() else len(block)]
        if block.max() > -np.inf:
            yield start, block
        start += len(block)


def _trimmed(law: LogLaw, depth: float) -> LogLaw:
    kept = np.flatnonzero(law.logs > law.logs.max() - depth)
    first, end = kept[0], kept[-1] + 1
    out = np.logaddexp.reduce(np.concatenate([law.logs[:first], law.logs[end:]]), initial=-np.inf)
    lost = float(np.logaddexp(law.lost, out + law.error)) + 1e-3  # for rounding
    return LogLaw(law.logs[first:end], law.error, lost)


class Powers:
    """Laws of sums of n independent draws of one noise, each computed once.

    Parameters
    ----------
    noise : ndarray of float64, shape (n_values,)
        Law of one draw, up to a factor.
    depth : float, optional
        As for `convolve`.
    """

    def __init__(self, noise: Floats, *, depth: float = _DEPTH) -> None:
        with np.errstate(divide="ignore"):
            logs = np.log(noise / noise.sum())
        error = UNIT * (len(noise) + 4 + np.abs(logs[logs > -np.inf]).max())
        self._depth = depth
        self._squares = [LogLaw(logs, float(error), -np.inf)]
        self._known = {0: LogLaw(np.zeros(1), 0.0, -np.inf)}

    def at(self, n: int) -> LogLaw:
        """Return the law of the sum of `n` draws."""
        if n not in self._known:
            start = max(known for known in self._known if known <= n)
            law, missing = self._known[start], n - start
            for bit in range(missing.bit_length()):
                if missing >> bit & 1:
                    law = convolve(law, self._square(bit), depth=self._depth)
            self._known[n] = law
        return self._known[n]

    def _square(self, bit: int) -> LogLaw:
        while len(self._squares) <= bit:
            last = self._squares[-1]
            self._squares.append(convolve(last, last, depth=self._depth))
        return self._squares[bit]
