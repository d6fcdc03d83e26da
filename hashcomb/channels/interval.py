"""The interval channel: the true leaf's neighborhood more often, all other leaves equally often."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from hashcomb.channels.channel import Floats, positive, whole
from hashcomb.channels.of_spec import register
from hashcomb.channels.table import MAX_ENTRIES, IntegerTable, TableChannel, fit, own_sets
from hashcomb.errors import ChannelError
from hashcomb.spec import ChannelSpec

__all__ = ("Interval",)


@register
class Interval(TableChannel):
    """Report a leaf of a window around the true one, or with lower probability any other.

    The window has a fixed odd number of leaves; at the ends of the comb it is shifted in. Leaves inside are
    reported e**epsilon times as often as those outside.

    Parameters
    ----------
    epsilon : float
        Wanted epsilon of one report, in nats; positive and finite.
    n_symbols : int, optional
        Number of leaves, at least 2; `on` sets it later.
    width : {"auto"} or int, optional
        Leaves in the window, odd and below the number of leaves; by default those of the least mean squared
        error of decoding a uniform leaf to its posterior mean.

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
    differential privacy", SIGMOD 2020 (the square wave, here on the leaves themselves).

    Examples
    --------
    >>> channel = Interval(2.0).on(16)
    >>> channel.n_reports, channel.window, channel.epsilon <= 2.0
    (16, 7, True)
    """

    kind: ClassVar[str] = "interval"
    parameters: ClassVar[tuple[str, ...]] = ("epsilon", "width")

    def __init__(self, epsilon: float, n_symbols: int | None = None, *, width: Literal["auto"] | int = "auto") -> None:
        self.asked = positive(epsilon, "epsilon")
        self.width = width if width == "auto" else whole(width, "width", 1, MAX_ENTRIES)
        if self.width != "auto" and self.width % 2 == 0:
            raise ChannelError("width must be odd: as many leaves on each side of the true one")
        self._bind(n_symbols)

    def spec_for(self, n_leaves: int) -> ChannelSpec:
        """Return the part of a Spec, with the width that is best for so many leaves: all owners have the same."""
        return Interval(self.asked, width=self.on(n_leaves).window).to_spec()

    def _make_table(self, n_symbols: int) -> IntegerTable:
        if self.width == "auto":
            self.window = 1 + 2 * _best_side(n_symbols, self.asked)
        else:
            self.window = whole(self.width, "width", 1, n_symbols - 1)
        return fit(lambda epsilon: _law(n_symbols, epsilon, self.window), self.asked)

    def report_sets(self) -> NDArray[np.int64]:
        """Return the symbols that each report stands for, shape (n_reports, 2)."""
        return own_sets(self.n_reports)


def _law(n: int, epsilon: float, window: int) -> Floats:
    first = np.clip(np.arange(n) - window // 2, 0, n - window)[:, None]
    inside = (np.arange(n) >= first) & (np.arange(n) < first + window)
    low = math.exp(-epsilon)
    return np.asarray(np.where(inside, 1.0, low) / (window + (n - window) * low))


def _best_side(n: int, epsilon: float) -> int:
    """Return the leaves on each side of the window of least error.

    The posterior mean of report j needs the windows that hold j, a run of true leaves; sums over runs of
    leaves are differences of running sums, so that no matrix is made for each width.
    """
    return _least([_error(n, epsilon, 1 + 2 * side) for side in range((n - 1) // 2 + (n % 2 == 0))])


def _error(n: int, epsilon: float, window: int) -> float:
    x, low = (np.arange(n) + 0.5) / n, math.exp(-epsilon)
    starts = np.clip(np.arange(n) - window // 2, 0, n - window)
    # The windows that hold leaf j are those of the true leaves from `first` to `stop`.
    first = np.searchsorted(starts, np.arange(n) - window, side="right")
    stop = np.searchsorted(starts, np.arange(n), side="right")
    sums = np.concatenate([[0.0], np.cumsum(x)])
    mass = low * n + (1 - low) * (stop - first)
    moment = low * sums[-1] + (1 - low) * (sums[stop] - sums[first])
    scale = n * (window + (n - window) * low)
    return float((x**2).mean() - (moment**2 / mass).sum() / scale)


def _least(errors: list[float]) -> int:
    # A tie within rounding goes to the narrower window, so that two machines choose alike.
    return next(i for i, error in enumerate(errors) if error <= min(errors) + 1e-12)
