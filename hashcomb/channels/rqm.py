"""The randomized quantization mechanism (Youn et al. 2023): rounding to levels that are kept at random."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from hashcomb.channels.channel import Floats, numbers, positive, whole
from hashcomb.channels.of_spec import register
from hashcomb.channels.table import IntegerTable, TableChannel
from hashcomb.crossing import crossing
from hashcomb.errors import ChannelError

__all__ = ("RQM", "rqm_inputs", "rqm_law")

_MAX_LEVELS = 1 << 10
_MAX_MARGIN = 1e6
_LARGE = 1e3  # stands for an infinite epsilon where a root is searched for


@register
class RQM(TableChannel):
    """Round the value without bias to one of the nearest levels that a random draw has kept.

    m levels span the range and a margin on both sides. The outermost two are always kept, the others with
    probability q each; the value is rounded to the nearest kept level below or above, at random and without
    bias. Meant for sums over many clients, where its noise adds up; a single report is weakly private.

    Parameters
    ----------
    keep : float
        Probability q of keeping a level, above 0 and below 1.
    margin : float
        What the range is enlarged by on each side, as a part of its width (the paper's Delta / (hi - lo)).
    n_symbols : int, optional
        Number of leaves, at least 2; leaf i stands for i / (n_symbols - 1) of the range. `on` sets it later.
    n_levels : int, optional
        Number of levels m, at least 2; as many as leaves by default.

    Raises
    ------
    ChannelError
        If a parameter is out of its range.

    Notes
    -----
    Privacy: `epsilon` is the largest over all pairs of leaves, and exact; it is not always attained at the
    ends of the range.

    References
    ----------
    Y. Youn, Z. Hu, J. Ziani, J. Abernethy, "Randomized quantization is all you need for differential privacy in
    federated learning", 2023, arXiv 2306.11913.

    Examples
    --------
    >>> round(RQM(0.42, 0.5).on(8).epsilon, 3)
    3.0
    """

    kind: ClassVar[str] = "rqm"
    parameters: ClassVar[tuple[str, ...]] = ("keep", "margin", "n_levels")
    required: ClassVar[tuple[str, ...]] = ("keep", "margin")
    beside: ClassVar[tuple[str, ...]] = ("keep", "n_levels")

    def __init__(
        self, keep: float, margin: float, n_symbols: int | None = None, *, n_levels: int | None = None
    ) -> None:
        self.keep = positive(keep, "keep", below=1.0)
        self.margin = positive(margin, "margin", below=math.inf)
        self.n_levels = None if n_levels is None else whole(n_levels, "n_levels", 2, _MAX_LEVELS)
        self._bind(n_symbols)

    def _width(self, n_symbols: int) -> int:
        return self.n_levels or n_symbols

    def _make_table(self, n_symbols: int) -> IntegerTable:
        n_levels = self.n_levels or whole(n_symbols, "the number of levels", 2, _MAX_LEVELS)
        places = (np.arange(n_symbols) / (n_symbols - 1) + self.margin) / (1 + 2 * self.margin) * (n_levels - 1)
        return IntegerTable(rqm_law(places, n_levels, self.keep))

    @classmethod
    def for_epsilon(cls, epsilon: float, n_symbols: int, *, keep: float = 0.42, **parameters: Any) -> Self:
        """Return an RQM with a narrow margin whose exact epsilon is at most `epsilon`, by bisection on the margin.

        Parameters
        ----------
        epsilon : float
            In nats; positive and finite.
        n_symbols : int
            Number of leaves.
        keep : float, optional
            Probability of keeping a level.
        **parameters
            As for the class: ``n_levels``.

        Raises
        ------
        ChannelError
            If no margin is wide enough.
        """
        wanted = positive(epsilon, "epsilon")
        cls.check_beside_epsilon(parameters)

        def excess(log_margin: float) -> float:
            return min(cls(keep, math.exp(log_margin), n_symbols, **parameters).epsilon - wanted, _LARGE)

        widest = math.log(_MAX_MARGIN)
        if excess(widest) > 0:
            raise ChannelError("no margin of RQM makes epsilon so small here", hint="choose a larger epsilon")
        return cls(keep, math.exp(crossing(excess, -widest, widest, 1e-13)), n_symbols, **parameters)


def rqm_inputs(n_levels: int, margin: float) -> Floats:
    """Return the inputs whose laws span those of all values: both ends of the range, and the levels inside it.

    Parameters
    ----------
    n_levels : int
        Number of levels.
    margin : float
        As for `RQM`.

    Returns
    -------
    ndarray of float64, shape (n_inputs,)
        In units of levels, from 0 to ``n_levels - 1``.
    """
    low = margin / (1 + 2 * margin) * (n_levels - 1)
    high = (1 + margin) / (1 + 2 * margin) * (n_levels - 1)
    return np.concatenate([[low], np.arange(math.floor(low) + 1, math.ceil(high)), [high]])


def rqm_law(places: ArrayLike, n_levels: int, keep: float) -> Floats:
    """Return the law of the reported level for values at some places.

    Parameters
    ----------
    places : array_like of float, shape (n_values,)
        Values in units of levels, from 0 to ``n_levels - 1``.
    n_levels : int
        Number of levels.
    keep : float
        Probability of keeping a level that is not one of the outermost.

    Returns
    -------
    ndarray of float64, shape (n_values, n_levels)
        Row-stochastic.

    Raises
    ------
    ChannelError
        If a place is not from the first level to the last.
    """
    inputs = numbers(places)
    if not ((inputs >= 0) & (inputs <= n_levels - 1)).all():
        raise ChannelError(f"places are numbers from 0 to {n_levels - 1}")
    return np.stack([_row(float(t), n_levels, keep) for t in inputs])


def _row(t: float, m: int, q: float) -> Floats:
    kept = np.full(m, q)
    kept[[0, -1]] = 1.0
    j = min(int(t), m - 2)  # the value lies between levels j and j + 1
    below, above = np.arange(j + 1), np.arange(j + 1, m)
    nearest_below = kept[below] * (1 - q) ** (j - below)
    nearest_above = kept[above] * (1 - q) ** (above - j - 1)
    pair = nearest_below[:, None] * nearest_above
    up = (t - below)[:, None] / (above - below[:, None])
    return np.concatenate([(pair * (1 - up)).sum(axis=1), (pair * up).sum(axis=0)])
