"""What one release costs by itself: its epsilon, its Renyi divergences, and the pair that dominates it."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hashcomb.channels import Channel
from hashcomb.errors import ChannelError
from hashcomb.privacy.composition.dominating import Pair, binary_pair, dominating_pair
from hashcomb.privacy.composition.tails import Block, log_sums
from hashcomb.privacy.exact import pure_epsilon, renyi

__all__ = ("MAX_SEARCHED", "Loss", "Round", "loss_of", "rounded_up")

Floats = NDArray[np.float64]

MAX_SEARCHED = 1 << 26  # symbols ** 2 * reports: what is compared at most to find a dominating pair, some seconds
_MAX_RENYI = 1 << 18  # of the same: where every order takes the largest divergence of all pairs
_ROUNDING = 1e-12  # more than the logarithm of a ratio of two doubles can be wrong
_TOLERANCE = 1e-9  # by how much a channel's epsilon may be below that of its own matrix in double precision
_SUM = 2**-51  # more than a sum and a product can be wrong, relatively


class Loss:
    """What one release costs.

    Parameters
    ----------
    epsilon : float
        Its epsilon, not below the exact one; infinity where there is none.
    rows : ndarray of float64, shape (n_symbols, n_reports), optional
        Its law, or two rows that dominate all pairs.
    pair : Pair, optional
        Its dominating pair, if `rows` is not given. Without either binary randomized response stands in.
    exact : bool, optional
        Whether the law is that of the release itself.
    searched : bool, optional
        Whether all pairs of rows are to be compared.
    """

    def __init__(
        self,
        epsilon: float,
        rows: Floats | None = None,
        pair: Pair | None = None,
        *,
        exact: bool = True,
        searched: bool = False,
    ) -> None:
        self.epsilon, self.exact, self._rows, self._pair = epsilon, exact, rows, pair
        # Only where pairs are compared can the largest Renyi divergence be below that of the dominating pair.
        self.searched = rows is not None and searched and _size(*rows.shape) <= _MAX_RENYI
        arrays = (rows,) if rows is not None else pair[:2] if pair is not None else ()
        self._key = epsilon, exact, self.searched, tuple((array.shape, array.tobytes()) for array in arrays)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Loss) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @cached_property
    def pair(self) -> Pair:
        """The two laws that dominate those of every ordered pair of symbols."""
        if self._pair is not None:
            return self._pair
        return binary_pair(self.epsilon) if self._rows is None else dominating_pair(self._rows)

    def by_pair(self) -> Loss:
        """Return the same with the dominating pair alone, which is small."""
        return Loss(self.epsilon, pair=self.pair, exact=self.exact)

    def renyi_moments(self, tilts: Floats) -> Floats:
        """Return ``tilt * RDP(1 + tilt)`` for every tilt, up to the slack of the pair."""
        if not math.isfinite(self.epsilon):
            return np.full(tilts.shape, math.inf)
        if self.searched and self._rows is not None:
            return np.array([tilt * min(renyi(self._rows, 1 + tilt), self.epsilon) for tilt in tilts])
        moments = log_sums([Block((self.pair,), (1,), 1, 1)], tilts)
        return np.minimum(moments if self.pair.infinite == 0 else math.inf, tilts * self.epsilon)


class Round(NamedTuple):
    """Rounds in each of which `chosen` of the listed releases are made, drawn without looking at the data."""

    losses: tuple[Loss, ...]
    counts: tuple[int, ...]
    chosen: int
    rounds: int

    @property
    def made(self) -> int:
        """How many releases are made in all rounds."""
        return self.chosen * self.rounds

    @property
    def is_mixed(self) -> bool:
        """Whether it matters which of the releases are made."""
        return self.chosen < sum(self.counts) and len(self.losses) > 1

    @property
    def basic(self) -> float:
        """Sum of the largest epsilons that the rounds can spend, rounded up."""
        each = sorted(zip(self.losses, self.counts, strict=True), key=lambda one: -one[0].epsilon)
        total, left = 0.0, self.chosen
        for loss, count in each:
            taken = min(count, left)
            total, left = (total + taken * loss.epsilon if taken else total), left - taken
        return rounded_up(total * self.rounds, 1 if self.made == 1 else len(each) + 2)


def loss_of(what: object) -> Loss:
    """Return what a release costs.

    Parameters
    ----------
    what : Channel or array_like
        A channel bound to its symbols, or a row-stochastic matrix of shape (n_symbols, n_reports).

    Raises
    ------
    ChannelError
        If it is neither, or a channel whose own matrix has a larger epsilon than it claims.
    """
    return _of_channel(what) if isinstance(what, Channel) else _of_matrix(_matrix(what))


def rounded_up(total: float, terms: int) -> float:
    """Return what was computed from some terms, rounded up; a single term as it is."""
    return total * (1 + terms * _SUM) if terms > 1 else total


def _of_channel(channel: Channel) -> Loss:
    if channel.n_symbols is None:
        raise ChannelError("the channel has no number of symbols yet", hint="bind it with .on(n_symbols)")
    epsilon, rows = float(channel.epsilon), channel.worst_pair()
    searched = rows is None
    if rows is None and _size(channel.n_symbols, channel.n_reports) <= MAX_SEARCHED:
        rows = channel.matrix()
    if rows is not None and not pure_epsilon(rows) <= epsilon + _TOLERANCE:
        raise ChannelError("the channel's matrix has a larger epsilon than the channel claims")
    return Loss(epsilon, rows, exact=rows is not None, searched=searched)


def _of_matrix(matrix: Floats) -> Loss:
    epsilon = pure_epsilon(matrix)
    rows = np.unique(matrix, axis=0)
    if len(rows) == 1:
        return Loss(0.0, rows)
    small = _size(*rows.shape) <= MAX_SEARCHED
    return Loss(epsilon + _ROUNDING, rows if small else None, exact=small, searched=True)


def _matrix(what: Any) -> Floats:
    try:
        matrix = np.asarray(what)
    except (TypeError, ValueError):
        matrix = np.array(None)
    if matrix.dtype.kind not in "fiu":
        kind = type(what).__name__
        raise ChannelError(f"a {kind} is no release", hint="give a channel, or a row-stochastic matrix of numbers")
    return matrix.astype(np.float64)


def _size(n_symbols: int, n_reports: int) -> int:
    return n_symbols**2 * n_reports
