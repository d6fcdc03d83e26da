"""The channel of least error among all with the same epsilon, for a public prior: a linear program."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashcomb.channels.channel import Floats, numbers, positive, whole
from hashcomb.channels.of_spec import register
from hashcomb.channels.table import IntegerTable, TableChannel, fit
from hashcomb.errors import ChannelError

__all__ = ("Optimal",)

_MAX_LEAVES = 128
_USED = 1e-9


@register
class Optimal(TableChannel):
    """Report one of a set of runs of leaves, chosen by a linear program for a public prior.

    Among channels of one epsilon the extreme ones have columns that take two values, a and a e**epsilon, and for
    squared error the larger one stands on a run of leaves. `solve` finds the runs and their weights with the
    least expected error for the prior; they are the channel's parameters, so that all owners have the same.

    Parameters
    ----------
    epsilon : float
        Wanted epsilon of one report, in nats; positive and finite.
    first, stop : sequence of int
        First leaf of each run, and one behind its last.
    weights : sequence of float
        Weight of each run, positive.
    n_symbols : int, optional
        Number of leaves, for which the program was solved; `on` sets it later.

    Raises
    ------
    ChannelError
        If the runs and weights are no channel.

    Notes
    -----
    Privacy: ``epsilon``-differentially private for one report, neighbors being any two values; exact. The prior
    must be public: it must not be computed from the records that are encoded.

    References
    ----------
    P. Kairouz, S. Oh, P. Viswanath, "Extremal mechanisms for local differential privacy", JMLR 17 (2016).

    Examples
    --------
    >>> channel = Optimal.for_epsilon(1.0, 8)
    >>> channel.n_reports, round(channel.expected_error() + 1 / (12 * 8**2), 4)
    (2, 0.07)
    """

    kind: ClassVar[str] = "optimal"
    parameters: ClassVar[tuple[str, ...]] = ("epsilon", "first", "stop", "weights")
    required: ClassVar[tuple[str, ...]] = parameters
    beside: ClassVar[tuple[str, ...]] = ("prior", "values")

    def __init__(
        self,
        epsilon: float,
        first: Sequence[int],
        stop: Sequence[int],
        weights: Sequence[float],
        n_symbols: int | None = None,
    ) -> None:
        self.asked = positive(epsilon, "epsilon")
        self.first, self.stop = _wholes(first, "first"), _wholes(stop, "stop")
        if not isinstance(weights, Sequence) or not len(self.first) == len(self.stop) == len(weights) > 0:
            raise ChannelError("first, stop and weights must be as many, one for each run of leaves")
        self.weights = tuple(positive(weight, "a weight") for weight in weights)
        if not all(a < b for a, b in zip(self.first, self.stop, strict=True)):
            raise ChannelError("every run of leaves must stop behind its first leaf")
        self._bind(n_symbols)

    @classmethod
    def for_epsilon(
        cls,
        epsilon: float,
        n_symbols: int,
        *,
        prior: ArrayLike | None = None,
        values: ArrayLike | None = None,
        **parameters: Any,
    ) -> Self:
        """Solve the linear program for the channel of least expected squared error.

        Parameters
        ----------
        epsilon : float
            In nats; positive and finite.
        n_symbols : int
            Number of leaves, 2 to 128.
        prior : array_like of float, shape (n_symbols,), optional
            Public probability of each leaf; uniform by default.
        values : array_like of float, shape (n_symbols,), optional
            Value of each leaf, increasing; the centers of equal cells of [0, 1] by default.
        **parameters
            None further.

        Returns
        -------
        Optimal
            With its runs and weights.

        Raises
        ------
        ChannelError
            If a parameter is out of its range, or the program has no solution in double precision.
        """
        cls.check_beside_epsilon(parameters)
        asked, n = positive(epsilon, "epsilon"), whole(n_symbols, "n_symbols", 2, _MAX_LEAVES)
        weights = _distribution(prior, n)
        x = _places(values, n)
        first, stop = (a.ravel() for a in np.meshgrid(np.arange(n), np.arange(1, n + 1), indexing="ij"))
        first, stop = first[first < stop], stop[first < stop]
        used, theta = _solve(_columns(n, asked, first, stop), weights, x)
        return cls(asked, first[used].tolist(), stop[used].tolist(), theta.tolist(), n)

    def _width(self, _: int) -> int:
        return len(self.first)

    def _make_table(self, n_symbols: int) -> IntegerTable:
        if max(self.stop) > n_symbols or min(self.first) < 0:
            raise ChannelError(f"its runs of leaves go beyond the {n_symbols} leaves here", hint="solve it for them")
        law = _columns(n_symbols, self.asked, np.array(self.first), np.array(self.stop)) * np.array(self.weights)
        if np.abs(law.sum(axis=1) - 1).max() > 1e-6:
            raise ChannelError(
                f"its weights are not those of a channel on {n_symbols} leaves", hint="solve it for them"
            )
        return fit(lambda epsilon: self._law(n_symbols, epsilon), self.asked)

    def _law(self, n_symbols: int, epsilon: float) -> Floats:
        columns = _columns(n_symbols, epsilon, np.array(self.first), np.array(self.stop)) * np.array(self.weights)
        return np.asarray(columns / columns.sum(axis=1, keepdims=True))

    def report_sets(self) -> NDArray[np.int64]:
        """Return the symbols that each report stands for, shape (n_reports, 2)."""
        return np.column_stack([self.first, self.stop])


def _columns(n: int, epsilon: float, first: NDArray[Any], stop: NDArray[Any]) -> Floats:
    leaves = np.arange(n)[:, None]
    # Divided by e**epsilon: that is large, and a weight takes any scale.
    return np.where((leaves >= first) & (leaves < stop), 1.0, math.exp(-epsilon))


def _solve(columns: Floats, prior: Floats, x: Floats) -> tuple[NDArray[Any], Floats]:
    """Return the columns that the best channel uses, and their weights."""
    from scipy.optimize import linprog

    m0, m1, m2 = prior @ columns, (prior * x) @ columns, (prior * x**2) @ columns
    cost = m2 - np.divide(m1**2, m0, out=np.zeros_like(m0), where=m0 > 0)
    found = linprog(cost, A_eq=columns, b_eq=np.ones(len(columns)), bounds=(0, None), method="highs")
    if not found.success:
        raise ChannelError("the linear program has no solution here", hint="choose a smaller epsilon")
    used = np.flatnonzero(found.x > _USED)
    # A basis found in floating point: solved again, so that rows sum to one as exactly as doubles can.
    theta, *_ = np.linalg.lstsq(columns[:, used], np.ones(len(columns)), rcond=None)
    if (theta <= 0).any():
        theta = found.x[used]
    return used, np.asarray(theta)


def _places(values: ArrayLike | None, n: int) -> Floats:
    """Return the values from 0 to 1: the program's tolerances are absolute, and no unit changes its solution."""
    x = np.arange(n, dtype=np.float64) if values is None else numbers(values)
    if x.shape != (n,) or not np.isfinite(x).all() or not (np.diff(x) > 0).all():
        raise ChannelError(f"values must be {n} increasing numbers")
    x = x / max(abs(x[0]), abs(x[-1]))  # first, so that the range cannot overflow
    return np.asarray((x - x[0]) / (x[-1] - x[0]))


def _distribution(prior: ArrayLike | None, n: int) -> Floats:
    weights = np.full(n, 1 / n) if prior is None else numbers(prior)
    if weights.shape != (n,) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.sum() > 0:
        raise ChannelError(f"prior must be {n} numbers, none below zero")
    return np.asarray(weights / weights.sum())


def _wholes(values: Any, name: str) -> tuple[int, ...]:
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise ChannelError(f"{name} must be a list of whole numbers")
    return tuple(whole(value, name, 0, _MAX_LEAVES) for value in values)
