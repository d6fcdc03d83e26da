"""The paper's rule: the true ancestor at the depth of the last head. It has no finite epsilon."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hashcomb.channels.channel import positive, whole
from hashcomb.channels.of_spec import register
from hashcomb.channels.table import IntegerTable, TableChannel, levels_of, tree_sets

__all__ = ("LastHead",)


@register
class LastHead(TableChannel):
    """Toss a coin for every depth, and report the true node at the depth of the last head.

    The rule of the Hash-Comb paper, for comparison. Every report is true, only more or less fine, so two values
    whose paths part before the reported depth are told apart with certainty: no epsilon is finite, and
    ``shared_delta`` says how often. `RandomDepth` is the repair.

    Parameters
    ----------
    heads : float
        Probability p of a head, above 0 and below 1. Tosses without any head are repeated.
    n_symbols : int, optional
        Number of leaves, a power of two; `on` sets it later.

    Raises
    ------
    ChannelError
        If a parameter is out of its range.

    Notes
    -----
    Privacy: none in the sense of differential privacy; `epsilon` is infinite. At every epsilon, delta is the
    probability that the reported depth is beyond the one where two paths part.

    References
    ----------
    Hash-Comb, arXiv 2406.19418.

    Examples
    --------
    >>> channel = LastHead(0.5).on(64)
    >>> channel.epsilon, round(channel.shared_delta(0), 6), round(channel.shared_delta(3), 4)
    (inf, 1.0, 0.8889)
    """

    kind: ClassVar[str] = "last_head"
    parameters: ClassVar[tuple[str, ...]] = ("heads",)
    required: ClassVar[tuple[str, ...]] = ("heads",)

    def __init__(self, heads: float, n_symbols: int | None = None) -> None:
        self.heads = positive(heads, "heads", below=1.0)
        self._bind(n_symbols)

    def _width(self, n_symbols: int) -> int:
        return 2 * n_symbols - 2

    def _make_table(self, n_symbols: int) -> IntegerTable:
        levels, leaves = levels_of(n_symbols, self.kind), np.arange(n_symbols)
        some = -math.expm1(levels * math.log1p(-self.heads))  # that any toss is a head
        law = np.zeros((n_symbols, 2 * n_symbols - 2))
        for depth in range(1, levels + 1):
            last = self.heads * (1 - self.heads) ** (levels - depth) / some
            law[leaves, (1 << depth) - 2 + (leaves >> (levels - depth))] = last
        return IntegerTable(law)

    def shared_delta(self, shared: int) -> float:
        """Return delta, at every epsilon, for two values whose paths are the same down to depth `shared`.

        Parameters
        ----------
        shared : int
            From 0, for values in different halves, to one less than the depth of the leaves.

        Returns
        -------
        float
            The probability that the reported depth is beyond `shared`: that of the sampler's integers, rounded up.

        Raises
        ------
        ChannelError
            If there is no such depth.
        """
        levels = levels_of(self._bound(), self.kind)
        depth = whole(shared, "shared", 0, levels - 1)
        units = sum(self._filled().counts[0].tolist())
        beyond = sum(self._filled().counts[0, (2 << depth) - 2 :].tolist())
        return min(1.0, math.nextafter(beyond / units, math.inf))

    def report_sets(self) -> NDArray[np.int64]:
        """Return the symbols that each report stands for, shape (n_reports, 2)."""
        return tree_sets(levels_of(self._bound(), self.kind))
