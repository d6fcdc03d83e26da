"""Combs: from a value to its leaf, to the nodes above it, and back to a representative value.

Every feature has ``2**depth`` leaves. The leaf of a value is the number of inner edges that are <= it, after
clipping to the range, so an edge belongs to the leaf on its right; the node of leaf ``b`` at level ``l`` (1 is
the coarsest) is ``b >> (depth - l)``. A missing value has leaf ``2**depth``, and so a node of its own at
every level. For uniform combs the definition is ``clamp(int((x - lo) * scale))`` with
``scale = 2**depth / (hi - lo)``, all in double precision, and their edges are the doubles at which that
formula changes.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashcomb import kernels
from hashcomb.errors import DataError, SpecError
from hashcomb.order import from_keys, to_keys
from hashcomb.spec import Categorical, Feature, Quantile, Spec, Uniform

__all__ = ("Comb", "Representative", "quantile_edges")

Representative = Literal["center", "mean", "rank"]
Floats = NDArray[np.float64]

_MAX_CELLS = 1 << 16


class Comb:
    """The combs of a Spec, ready to place values.

    Parameters
    ----------
    spec : Spec
        Where the edges come from.

    Raises
    ------
    SpecError
        If features and depth together need tables of 2**31 entries or more.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        n_features, block = len(spec.features), spec.n_leaves + 1
        if n_features * (block + 1) * 4 >= 1 << 31:
            raise SpecError("too many features for this depth", path="depth", hint="lower the depth")
        self.first = (np.arange(n_features) * block).astype(np.int32)
        self.last = self.first + np.int32(spec.n_leaves)
        self._by_formula = not any(isinstance(feature, Quantile) for feature in spec.features)
        ranges = [_range(feature, spec) for feature in spec.features]
        # Two arrays of their own: a view with strides would cost the kernels their vectors.
        lo, hi = np.array([lo for lo, _ in ranges]), np.array([hi for _, hi in ranges])
        self.lo, self.hi = lo, hi
        strict = spec.outside == "error"
        self._ok_lo = lo if strict else np.full_like(lo, -np.inf)
        self._ok_hi = hi if strict else np.full_like(hi, np.inf)

    # ------------------------------------------------------------------ value -> leaf
    def arrange(self, entries: NDArray[Any]) -> NDArray[Any]:
        """Lay out a table of leaves for `lookup`.

        Parameters
        ----------
        entries : ndarray, shape (n_features, 2**depth + 1)
            Entries of the leaves; the last of a row is that of missing values.

        Returns
        -------
        ndarray, one dimension
            The entries, in the order in which the search finds leaves.
        """
        if not self._by_formula:
            entries = np.take_along_axis(entries, self._search[0], axis=1)
        return np.ascontiguousarray(entries).reshape(-1)

    def lookup(self, values: NDArray[Any], table: NDArray[Any], out: NDArray[Any]) -> NDArray[np.int32]:
        """Look up one table entry a value.

        Parameters
        ----------
        values : ndarray of float64 or float32, shape (n_rows, n_features), C order
            Categories as their positions in the list, missing values as NaN.
        table : ndarray
            What `arrange` gave.
        out : ndarray, shape (n_rows, n_features), C order
            Is filled with the entries.

        Returns
        -------
        ndarray of int32, shape (n_features,)
            How many values were missing or, with ``outside="error"``, outside the range. Their entries in
            `out` are those of missing values and of the nearest leaf.

        Raises
        ------
        DataError
            If the arrays have other shapes or orders.
        """
        if values.ndim != 2 or values.shape[1] != len(self.first) or out.shape != values.shape:
            raise DataError(f"values and out must have shape (n_rows, {len(self.first)})")
        if not (values.flags.c_contiguous and out.flags.c_contiguous and out.flags.writeable):
            raise DataError("values and out must be in C order, and out writeable")
        bad = np.zeros(len(self.first), dtype=np.int32)
        kernel = kernels.choose(values.size)
        common = (values.reshape(-1), self._ok_lo, self._ok_hi, self.last)
        if self._by_formula:
            kernel.uniform_lookup(*common, *self._formula, self.first, table, bad, out.reshape(-1))
        else:
            kernel.edges_lookup(*common, *self._search[1], table, bad, out.reshape(-1))
        return bad

    def leaves(self, values: NDArray[Any], out: NDArray[np.int32] | None = None) -> NDArray[np.int32]:
        """Return the leaf of every value.

        Parameters
        ----------
        values, out
            As for `lookup`; `out` of int32 is made where there is none.

        Returns
        -------
        ndarray of int32, shape (n_rows, n_features)
            NaN has leaf ``2**depth``.
        """
        out = np.empty(values.shape, dtype=np.int32) if out is None else out
        self.lookup(values, self.leaf_numbers, out)
        return out

    @cached_property
    def leaf_numbers(self) -> NDArray[np.int32]:
        """The table whose entries are the leaves themselves, arranged."""
        return self.arrange(np.tile(np.arange(self.spec.n_leaves + 1, dtype=np.int32), (len(self.first), 1)))

    @cached_property
    def _formula(self) -> tuple[Floats, Floats, Floats]:
        scale = [_scale(feature, self.spec.n_leaves) for feature in self.spec.features]
        return self.lo, np.array(scale), np.full(len(scale), self.spec.n_leaves - 1.0)

    @cached_property
    def _search(self) -> tuple[NDArray[np.int64], tuple[Any, ...]]:
        # Clipping lifts every value to lo at least, and so above the edges that are there.
        edges = np.where(self.edges == self.lo[:, None], -np.inf, self.edges)
        distinct, leaf_at = _merge_equal(edges)
        return leaf_at, _guide(distinct)

    # ------------------------------------------------------------------ what the leaves are
    @cached_property
    def edges(self) -> Floats:
        """Inner edges, shape (n_features, 2**depth - 1); those of a categorical feature count its list."""
        return np.stack([_edges(feature, self.spec.n_leaves) for feature in self.spec.features])

    def bounds(self, level: int | None = None) -> Floats:
        """Return the ends of all nodes of a level.

        Parameters
        ----------
        level : int, optional
            1 to the depth; the leaves by default.

        Returns
        -------
        ndarray of float64, shape (n_features, 2**level + 1)
        """
        ends = np.column_stack([self.lo, self.edges, self.hi])
        return ends[:, :: 1 << (self.spec.depth - self._level(level))]

    def _level(self, level: int | None) -> int:
        if level is None:
            return self.spec.depth
        if not 1 <= level <= self.spec.depth:
            raise SpecError(f"the level must be from 1 to {self.spec.depth}")
        return level

    def representatives(self, kind: Representative = "center", level: int | None = None) -> Floats:
        """Return the value that stands for each node.

        Parameters
        ----------
        kind : {"center", "mean", "rank"}
            Midpoint of the node's edges; agreed mean of the leaf; or ``node / (2**level - 1)``.
        level : int, optional
            Level of the nodes; the leaves by default.

        Returns
        -------
        ndarray of float64, shape (n_features, 2**level + 1)
            The last entry of a row, that of missing values, is NaN. A category stands for itself, by its
            position in the list, and beyond the list for unknown ones.

        Raises
        ------
        SpecError
            If there is no such kind or level; if means are asked for and the Spec has none, or has them for
            leaves only.
        """
        if kind not in ("center", "mean", "rank"):
            raise SpecError("a representative is 'center', 'mean' or 'rank'")
        level = self._level(level)
        rows = [self._row(index, kind, level) for index in range(len(self.first))]
        return np.column_stack([np.stack(rows), np.full(len(rows), np.nan)])

    def centers(self, index: int, sets: NDArray[np.int64]) -> Floats:
        """Return the midpoints of runs of leaves of one feature.

        Parameters
        ----------
        index : int
            The feature.
        sets : ndarray of int, shape (n_sets, 2)
            First leaf of each run, and one behind its last.

        Returns
        -------
        ndarray of float64, shape (n_sets,)
        """
        ends = self.bounds()[index]
        return _centers(ends[sets[:, 0]], ends[sets[:, 1]])

    def _row(self, index: int, kind: Representative, level: int) -> Floats:
        feature, nodes = self.spec.features[index], np.arange(1 << level, dtype=np.float64)
        if kind == "rank":
            return nodes / ((1 << level) - 1)
        if isinstance(feature, Categorical):
            return nodes * (1 << (self.spec.depth - level))
        if kind == "mean":
            return _means(feature, index, leaf=level == self.spec.depth)
        ends = self.bounds(level)[index]
        return _centers(ends[:-1], ends[1:])


def _range(feature: Feature, spec: Spec) -> tuple[float, float]:
    if isinstance(feature, Categorical):
        return 0.0, float(len(feature.categories) - (spec.unknown != "token"))
    return feature.lo, feature.hi


def _scale(feature: Feature, n_leaves: int) -> float:
    if isinstance(feature, Categorical):
        return 1.0
    return n_leaves / (feature.hi - feature.lo)


def _edges(feature: Feature, n_leaves: int) -> Floats:
    if isinstance(feature, Quantile):
        return np.array(feature.edges)
    if isinstance(feature, Categorical):
        return np.arange(1.0, n_leaves)
    return _uniform_edges(feature, n_leaves)


def _uniform_edges(feature: Uniform, n_leaves: int) -> Floats:
    """Find, for every leaf but the first, the least double that the formula puts there."""
    wanted, scale = np.arange(1, n_leaves), _scale(feature, n_leaves)
    low = np.full(n_leaves - 1, to_keys(feature.lo))
    high = np.full(n_leaves - 1, to_keys(feature.hi))
    while (low < high).any():
        middle = low + (high - low) // np.uint64(2)
        reached = ((from_keys(middle) - feature.lo) * scale).astype(np.int64) >= wanted
        high = np.where(reached, middle, high)
        low = np.where(reached, low, np.minimum(middle + np.uint64(1), high))
    return from_keys(high)


def _means(feature: Uniform | Quantile, index: int, *, leaf: bool) -> Floats:
    if feature.means is None or not leaf:
        problem = "has no agreed means" if leaf else "has agreed means of leaves only"
        raise SpecError(f"feature {feature.name!r} {problem}", path=f"features[{index}].means", hint="use 'center'")
    return np.array(feature.means)


def _centers(left: Floats, right: Floats) -> Floats:
    middle = np.clip(left / 2 + right / 2, left, right)  # halves first: the sum may overflow
    return np.where((middle >= right) & (left < right), left, middle)  # a center lies in its own leaf


# ---------------------------------------------------------------------- search by a guide table
def _merge_equal(edges: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Return the distinct edges of each row, padded with NaN, and the leaf at each number of distinct edges.

    Equal edges are one to the search; without this, a binary feature would cost as many steps as the depth.
    """
    n_features, n_edges = edges.shape
    distinct = np.full((n_features, n_edges), np.nan)
    leaf_at = np.zeros((n_features, n_edges + 2), dtype=np.int64)
    leaf_at[:, -1] = n_edges + 1  # the leaf for missing values
    for j, row in enumerate(edges):
        values, counts = np.unique(row, return_counts=True)
        distinct[j, : len(values)] = values
        leaf_at[j, 1 : len(values) + 1] = np.cumsum(counts)
    return distinct, leaf_at


def _guide(edges: Floats) -> tuple[Any, ...]:
    """Prepare the search of ``edges_lookup``: a grid of equal cells over each feature's finite edges."""
    n_features, n_edges = edges.shape
    n_cells = min(max(64, 4 * (n_edges + 1)), _MAX_CELLS)
    finite = np.isfinite(edges)
    anchor = np.where(finite, edges, np.inf).min(axis=1)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        width = np.where(finite, edges, -np.inf).max(axis=1) - anchor
        per_unit = np.where(width > 0.0, n_cells / width, 0.0)
        anchor = np.where(per_unit > 0.0, anchor, 0.0)
        cells = (edges - anchor[:, None]) * per_unit[:, None]
    clamped: Floats = np.where(cells > 0.0, np.where(cells < n_cells - 1, cells, n_cells - 1), 0.0)
    before, inside = _count_edges(clamped.astype(np.int64), ~np.isnan(edges), n_cells)
    n_steps = int(inside.max()).bit_length()
    padded = np.full((n_features, n_edges + (1 << n_steps)), np.nan)
    padded[:, :n_edges] = edges
    row = np.arange(n_features)
    guide = (before + (row * padded.shape[1])[:, None]).astype(np.uint32)
    shift = (row * (n_edges + 2) - row * padded.shape[1]).astype(np.int32)
    return anchor, per_unit, n_cells, guide.reshape(-1), padded.reshape(-1), n_steps, shift


def _count_edges(
    cells: NDArray[np.int64], real: NDArray[np.bool_], n_cells: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the edges before and inside each cell, shape (n_features, n_cells) both."""
    inside = np.stack([np.bincount(row[there], minlength=n_cells) for row, there in zip(cells, real, strict=True)])
    return np.cumsum(inside, axis=1) - inside, inside


# ---------------------------------------------------------------------- edges from data
def quantile_edges(values: ArrayLike, n_leaves: int) -> Floats:
    """Find inner edges that cut `values` into leaves of equal mass, as far as ties allow.

    The edges are the values at ranks ``i / n_leaves``. Where one value is so frequent that several of these
    ranks fall on it, it gets one leaf, and the leaves it frees go to the quantiles of the remaining values,
    again and again. So a feature with at most `n_leaves` distinct values gets one leaf a value. The same
    rule is followed in the agreement between owners (hashcomb.mpc), where it opens nothing but edges.

    Parameters
    ----------
    values : array_like of float, shape (n_values,)
        At least one value, all finite.
    n_leaves : int
        Number of leaves, at least 1.

    Returns
    -------
    ndarray of float64, shape (n_leaves - 1,)
        Non-decreasing; values of the data.

    Raises
    ------
    DataError
        If there are no values, or some are not finite.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64) + 0.0)
    if ordered.ndim != 1 or not len(ordered) or not np.isfinite(ordered).all():
        raise DataError("quantiles need one dimension of at least one value, all finite")
    starts = np.empty(0)
    while True:
        rest = ordered[~np.isin(ordered, starts)]
        has_least = len(starts) > 0 and starts[0] == ordered[0]
        free = n_leaves - 1 - (len(starts) - has_least)
        if free == 0 or len(rest) == 0:
            break
        starts = np.unique(np.concatenate([starts, rest[quantile_ranks(free, len(rest), first=has_least)]]))
    return spread(starts[1:] if has_least else starts, n_leaves, default=ordered[-1])


def quantile_ranks(free: int, n_values: int, *, first: bool) -> NDArray[np.int64]:
    """Return the ranks (from 0) of `free` quantiles, the least value among them or not."""
    if first:
        return np.arange(free) * n_values // free
    return np.arange(1, free + 1) * n_values // (free + 1)


def spread(starts: Floats, n_leaves: int, default: float) -> Floats:
    """Repeat the edges that there are so that the leaves in use lie evenly among all.

    Parameters
    ----------
    starts : ndarray of float64, shape (n_starts,)
        Increasing; the first values of all leaves but the first, ``n_starts < n_leaves``.
    n_leaves : int
        Number of leaves.
    default : float
        The edge of a feature that has only one leaf.

    Returns
    -------
    ndarray of float64, shape (n_leaves - 1,)
    """
    n_starts = len(starts)
    if n_starts == 0:
        return np.full(n_leaves - 1, default)
    place = (2 * np.arange(n_starts + 1) * (n_leaves - 1) + n_starts) // (2 * n_starts)
    return np.repeat(starts, np.diff(place))
