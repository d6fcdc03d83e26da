"""The square wave (Li et al. 2020): a window around the true value, on an enlarged range."""

from __future__ import annotations

import functools
import math
from typing import ClassVar, Literal

import numpy as np

from hashcomb.channels.channel import Floats, positive, whole
from hashcomb.channels.of_spec import register
from hashcomb.channels.table import MAX_ENTRIES, IntegerTable, TableChannel, fit
from hashcomb.errors import ChannelError
from hashcomb.spec import ChannelSpec

__all__ = ("SquareWave",)


_MAX_LEAVES = 1 << 9
_FLAT = 0.1  # below it the best width is half the range, and rounding would choose among its neighbors


@register
class SquareWave(TableChannel):
    """Report one of the cells around the true leaf, on a range that is enlarged so that no window is cut off.

    k leaves have k + 2 b reports; leaf i reports cells i to i + 2 b each e**epsilon times as often as any other.
    Its laws differ for all leaves alike, so an unbiased code exists: means and distributions over many reports
    are estimated without bias (`unbiased_code`; decode with ``"unbiased"``).

    Parameters
    ----------
    epsilon : float
        Wanted epsilon of one report, in nats; positive and finite.
    n_symbols : int, optional
        Number of leaves, at least 2; `on` sets it later.
    reach : {"auto"} or int, optional
        Cells on each side, b; by default those of the least mean variance of the unbiased code.

    Raises
    ------
    ChannelError
        If a parameter is out of its range, or the table cannot realize epsilon.

    Notes
    -----
    Privacy: ``epsilon``-differentially private for one report, neighbors being any two values; exact.

    References
    ----------
    Z. Li, T. Wang, M. Lopuhaä-Zwakenberg, N. Li, B. Škoric, "Estimating numerical distributions under local
    differential privacy", SIGMOD 2020.

    Examples
    --------
    >>> channel = SquareWave(2.0).on(16)
    >>> channel.b, channel.n_reports, channel.epsilon <= 2.0
    (3, 22, True)
    """

    kind: ClassVar[str] = "square_wave"
    parameters: ClassVar[tuple[str, ...]] = ("epsilon", "reach")

    def __init__(self, epsilon: float, n_symbols: int | None = None, *, reach: Literal["auto"] | int = "auto") -> None:
        self.asked = positive(epsilon, "epsilon")
        self.reach = reach if reach == "auto" else whole(reach, "reach", 0, MAX_ENTRIES)
        self._bind(n_symbols)

    def _width(self, n_symbols: int) -> int:
        return n_symbols + 2 * (0 if isinstance(self.reach, str) else self.reach)

    def spec_for(self, n_leaves: int) -> ChannelSpec:
        """Return the part of a Spec, with the reach that is best for so many leaves: all owners have the same."""
        return SquareWave(self.asked, reach=self.on(n_leaves).b).to_spec()

    def _make_table(self, n_symbols: int) -> IntegerTable:
        self.b = _best_reach(n_symbols, self.asked) if isinstance(self.reach, str) else self.reach
        return fit(lambda epsilon: _law(n_symbols, epsilon, self.b), self.asked)


def _law(n: int, epsilon: float, b: int) -> Floats:
    leaves, cells = np.arange(n)[:, None], np.arange(n + 2 * b)
    inside = (cells >= leaves) & (cells <= leaves + 2 * b)
    low = math.exp(-epsilon)
    return np.asarray(np.where(inside, 1.0, low) / (2 * b + 1 + (n - 1) * low))


@functools.lru_cache
def _best_reach(n: int, epsilon: float) -> int:
    """Return the cells on each side with the least mean variance of the unbiased code.

    The variance has one valley in b up to small ripples, so a coarse search is refined around its best.
    """
    if epsilon < _FLAT:
        return n // 2
    if n > _MAX_LEAVES:
        raise ChannelError(f"the square wave is for up to {_MAX_LEAVES} leaves", hint="lower the depth")
    step, low, high = max(1, n // 16), 0, n
    while True:
        tried = list(range(low, high + 1, step))
        scores = [_variance(n, epsilon, b) for b in tried]
        best = next(b for b, score in zip(tried, scores, strict=True) if score <= min(scores) * (1 + 1e-9))
        if step == 1:
            return best
        low, high, step = max(0, best - step), min(n, best + step), max(1, step // 4)


def _variance(n: int, epsilon: float, b: int) -> float:
    """Return the second moment of the least-norm unbiased code for a uniform leaf, or infinity if there is none."""
    law, x = _law(n, epsilon, b), (np.arange(n) + 0.5) / n
    gram = (law / law.mean(axis=0)) @ law.T
    try:
        return float(x @ np.linalg.solve(gram, x))
    except np.linalg.LinAlgError:
        return math.inf
