"""Agree on quantile edges over the union of all owners' records, by secure bisection.

(Aggarwal, Mishra and Pinkas, "Secure computation of the k-th ranked element", EUROCRYPT 2004.)

For a candidate q, every owner knows how many of its own records lie at or below it. Whether the sum over all
owners reaches the rank that is looked for is the sign of a sum of numbers that each owner has in the clear; the
sign is computed on shared bits with a carry-save adder, and opened. All edges of all features are searched at
the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hashcomb.comb import spread
from hashcomb.errors import DataError
from hashcomb.mpc.arithmetic.openings import negative_sums
from hashcomb.mpc.arithmetic.shamir import Link
from hashcomb.order import from_keys, to_keys

__all__ = ("agree_edges",)

Array = NDArray[Any]

GRID_BITS = 24
MAX_ROWS = 1 << 32  # of all owners together


async def agree_edges(
    link: Link,
    columns: Sequence[NDArray[np.float64]],
    lo: NDArray[np.float64],
    hi: NDArray[np.float64],
    n_leaves: int,
    *,
    exact: bool,
) -> NDArray[np.float64]:
    """Agree on the inner edges that `hashcomb.quantile_edges` would find in all owners' values together.

    Parameters
    ----------
    link : Link
        The connections.
    columns : sequence of ndarray of float64
        This owner's values of every feature, without missing ones; in any order, any number of them.
    lo, hi : ndarray of float64, shape (n_features,)
        The agreed ranges.
    n_leaves : int
        Number of leaves.
    exact : bool
        Open exact values, or the cells of a grid of at most 2**24 cells that they lie in.

    Returns
    -------
    ndarray of float64, shape (n_features, n_leaves - 1)
        The same at every owner.

    Raises
    ------
    DataError
        If this owner has more records than can be counted.

    Notes
    -----
    Privacy: every owner learns the pooled values (exactly, or their cells) at the ranks ``i / n_leaves``, each as
    often as it occurs there. Where some coincide, it learns whether the least of them is the least value of all,
    and the values at equidistant ranks among the records at none of those found so far, as long as there are
    leaves left. Nothing else is opened: no number of records, no other value, and not whose a value is. How
    often a value occurs among the ranks tells its share of the records, to within ``1 / n_leaves``: with more
    leaves than records, a count. With at least as many leaves as distinct values, all of them are opened.
    These are statistics of records without differential privacy.
    """
    search = _Search(link, columns, lo, hi, n_leaves, exact)
    starts: list[Array] = [np.empty(0, dtype=np.uint64) for _ in columns]
    has_least = np.zeros(len(columns), dtype=bool)
    unfinished = list(range(len(columns)))
    while unfinished:
        has_least[unfinished] = await search.is_least(unfinished, starts)
        free = [n_leaves - 1 - (len(starts[j]) - int(has_least[j])) for j in unfinished]
        open_ends = [_Gap(j, n, bool(has_least[j])) for j, n in zip(unfinished, free, strict=True) if n > 0]
        unfinished = []
        for gap, cells in zip(open_ends, await search.quantiles(open_ends, starts), strict=True):
            if len(cells):  # else no records are left: every distinct value has its leaf
                starts[gap.feature] = np.unique(np.concatenate([starts[gap.feature], cells]))
                unfinished.append(gap.feature)
    edges = [search.values(j, starts[j][int(has_least[j]) :]) for j in range(len(columns))]
    return np.stack([spread(found, n_leaves, hi[j]) for j, found in enumerate(edges)])


class _Gap(NamedTuple):
    """Leaves of a feature that have no start yet."""

    feature: int
    n_free: int
    has_least: bool

    def ranks(self) -> tuple[Array, int]:
        """Return numerators and denominator of the ranks to look up; see `hashcomb.comb.quantile_ranks`."""
        if self.has_least:
            return np.arange(self.n_free), self.n_free
        return np.arange(1, self.n_free + 1), self.n_free + 1


class _Search:
    """The side of this owner in the bisections: its values as sorted cells of the agreed grids."""

    def __init__(self, link: Link, columns: Sequence[Array], lo: Array, hi: Array, n_leaves: int, exact: bool) -> None:
        self._link = link
        self._n_bits = (MAX_ROWS * n_leaves).bit_length() + 2
        self._base = to_keys(lo)
        span = to_keys(hi) - self._base
        keep = 64 if exact else GRID_BITS
        self._drop = np.array([max(0, int(width).bit_length() - keep) for width in span], dtype=np.uint64)
        self._n_cells = [int(cells) + 1 for cells in span >> self._drop]
        keyed = zip(columns, self._base, self._drop, strict=True)
        self._cells = [np.sort((to_keys(values) - base) >> drop) for values, base, drop in keyed]
        if max(map(len, self._cells)) * len(link.names) >= MAX_ROWS:
            raise DataError(f"more records than {MAX_ROWS // len(link.names)}", hint="agree on a sample of them")

    def values(self, feature: int, cells: Array) -> Array:
        """Return the least value of each cell."""
        return from_keys(self._base[feature] + (cells << self._drop[feature]))

    async def is_least(self, features: Sequence[int], starts: Sequence[Array]) -> Array:
        """Open, for every feature, whether no record lies below its first start."""
        asked = [place for place, j in enumerate(features) if len(starts[j])]
        below = [np.searchsorted(self._cells[features[place]], starts[features[place]][0]) for place in asked]
        answer = np.zeros(len(features), dtype=bool)
        if asked:
            answer[asked] = await self._is_at_most_zero(np.array(below, dtype=np.int64))
        return answer

    async def quantiles(self, gaps: Sequence[_Gap], starts: Sequence[Array]) -> list[Array]:
        """Find, for every gap, the cells at equidistant ranks among the records that are not yet at a start."""
        if not gaps:
            return []
        own = [self._cells[gap.feature] for gap in gaps]
        rest = [cells[~np.isin(cells, starts[gap.feature])] for cells, gap in zip(own, gaps, strict=True)]
        ends = np.cumsum([gap.n_free for gap in gaps])[:-1]
        n_cells = [self._n_cells[gap.feature] for gap in gaps]
        found = np.zeros(sum(gap.n_free for gap in gaps), dtype=np.uint64)
        for step in range(max(n_cells).bit_length() - 1, -1, -1):
            candidates = np.split(found | np.uint64((1 << step) - 1), ends)
            lacking = [_lacking(*parts) for parts in zip(gaps, rest, candidates, strict=True)]
            too_few = await self._is_at_most_zero(np.concatenate(lacking))
            found |= too_few.astype(np.uint64) << np.uint64(step)
        return [cells[cells < n] for cells, n in zip(np.split(found, ends), n_cells, strict=True)]

    async def _is_at_most_zero(self, mine: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Open whether the sums of all owners' numbers are at most 0: the sign of the sum minus one."""
        mine = mine - (self._link.me == self._link.owners[0])
        return await negative_sums(self._link, mine, self._n_bits)


def _lacking(gap: _Gap, cells: Array, candidates: Array) -> NDArray[np.int64]:
    """Return this owner's part of what must exceed 0 for enough records to lie at or below a candidate."""
    ranks, denominator = gap.ranks()
    count = np.searchsorted(cells, candidates, side="right").astype(np.int64)
    lacking: NDArray[np.int64] = denominator * count - ranks * len(cells)
    return lacking
