"""Randomized response at a depth that is drawn first: the repaired form of the paper's rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hashcomb.channels.channel import Floats, positive
from hashcomb.channels.of_spec import register
from hashcomb.channels.table import IntegerTable, TableChannel, fit, levels_of, tree_sets
from hashcomb.errors import ChannelError

__all__ = ("RandomDepth",)


@register
class RandomDepth(TableChannel):
    """Draw a depth from a public law, then report the true node there by randomized response.

    The depth does not depend on the data, so epsilon is that of the randomized response, whatever the law. The
    last-head rule of the paper draws a depth and then reports the true node, which protects nothing
    (`LastHead`); this is its repair. Decoded to the posterior mean, no law has less error than the best single
    depth.

    Parameters
    ----------
    epsilon : float
        Wanted epsilon of one report, in nats; positive and finite.
    n_symbols : int, optional
        Number of leaves, a power of two; `on` sets it later.
    weights : sequence of float, optional
        Public weight of each depth, from 1 to that of the leaves; all equal by default.

    Raises
    ------
    ChannelError
        If a parameter is out of its range, or there are not as many weights as depths.

    Notes
    -----
    Reports are numbered by depth, the nodes of a depth in order: node n of depth d is ``2**d - 2 + n``.

    Privacy: ``epsilon``-differentially private for one report, neighbors being any two values; exact.

    References
    ----------
    Hash-Comb, arXiv 2406.19418 (the rule that this repairs).

    Examples
    --------
    >>> channel = RandomDepth(1.0).on(8)
    >>> channel.n_reports, channel.epsilon <= 1.0
    (14, True)
    """

    kind: ClassVar[str] = "random_depth"
    parameters: ClassVar[tuple[str, ...]] = ("epsilon", "weights")

    def __init__(self, epsilon: float, n_symbols: int | None = None, *, weights: Sequence[float] | None = None) -> None:
        self.asked = positive(epsilon, "epsilon")
        self.weights = None if weights is None else _weights(weights)
        self._bind(n_symbols)

    def _width(self, n_symbols: int) -> int:
        return 2 * n_symbols - 2

    def _make_table(self, n_symbols: int) -> IntegerTable:
        levels = levels_of(n_symbols, self.kind)
        weights = np.full(levels, 1 / levels) if self.weights is None else np.array(self.weights)
        weights = weights / weights.max()  # first, so that the sum cannot overflow
        weights = weights / weights.sum()
        if len(weights) != levels:
            raise ChannelError(f"there are {len(weights)} weights for {levels} depths", hint="give one for each depth")
        return fit(lambda epsilon: _law(levels, epsilon, weights), self.asked)

    def report_sets(self) -> NDArray[np.int64]:
        """Return the symbols that each report stands for, shape (n_reports, 2)."""
        return tree_sets(levels_of(self._bound(), self.kind))


def _law(levels: int, epsilon: float, weights: Floats) -> Floats:
    leaves, low = np.arange(1 << levels), math.exp(-epsilon)
    blocks = []
    for depth, weight in enumerate(weights, start=1):
        true = (leaves >> (levels - depth))[:, None] == np.arange(1 << depth)
        blocks.append(weight * np.where(true, 1.0, low) / (1 + ((1 << depth) - 1) * low))
    return np.hstack(blocks)


def _weights(weights: Any) -> tuple[float, ...]:
    try:
        listed = np.asarray(None if isinstance(weights, str) else weights, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ChannelError("weights must be a list of numbers") from None
    if listed.ndim != 1 or not np.isfinite(listed).all() or (listed < 0).any() or not listed.any():
        raise ChannelError("weights must be finite, not negative, and not all zero")
    return tuple(listed.tolist())
