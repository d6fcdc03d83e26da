"""Value -> leaf -> table entry, and leaf -> path of tokens.

All arrays are flat and C-contiguous, whole rows of ``n_features`` values. Indices are unsigned, because a
signed one that might be negative costs the loop its vectors. A table has one block a feature, with the
entries of leaves 0 .. n_leaves - 1 and then that of the leaf for missing values; ``first[j]`` is where block
``j`` begins and ``last[j]`` where its entry for missing values is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hashcomb.kernels.jit import kernel, prefetch

Array = np.ndarray[Any, np.dtype[Any]]
u32, u64, i32, f64 = np.uint32, np.uint64, np.int32, np.float64

# Stores to memory that is not in the cache wait for it to be read first. Asking ahead hides most of that.
ROWS_AHEAD = 4
VALUES_AHEAD = 64
LINE = 8  # 64-bit words


@kernel
def uniform_lookup(
    values: Array,
    ok_lo: Array,
    ok_hi: Array,
    last: Array,
    lo: Array,
    scale: Array,
    top: Array,
    first: Array,
    table: Array,
    bad: Array,
    out: Array,
) -> None:
    """Look up the leaf ``clamp(int((x - lo) * scale), 0, top)`` of every value; count values not in ``[ok_lo, ok_hi]``.

    The count is per feature (``bad``), with no branch and no sum across a row in the loop: both would cost
    the loop its vectors. A NaN is in no range, so it is always counted.
    """
    n_features = lo.size
    index = np.empty(n_features, np.int32)
    ahead = u64(ROWS_AHEAD * n_features)
    start = u64(0)
    for _ in range(values.size // n_features):
        for j in range(0, n_features, LINE):
            prefetch(values, start + ahead + u64(j), False)
            prefetch(out, start + ahead + u64(j), True)
        for j in range(n_features):
            x = f64(values[start + u64(j)])
            bad[j] += i32(not ((x >= ok_lo[j]) & (x <= ok_hi[j])))
            q = (x - lo[j]) * scale[j]
            # In this order a NaN becomes 0 before the conversion, which would be undefined for it.
            q = q if q > 0.0 else 0.0
            q = q if q < top[j] else top[j]
            leaf = i32(q) + first[j]
            index[j] = leaf if x == x else last[j]
        for j in range(n_features):
            out[start + u64(j)] = table[u32(index[j])]
        start += u64(n_features)


@kernel
def edges_lookup(
    values: Array,
    ok_lo: Array,
    ok_hi: Array,
    last: Array,
    anchor: Array,
    per_unit: Array,
    n_cells: int,
    guide: Array,
    edges: Array,
    n_steps: int,
    shift: Array,
    table: Array,
    bad: Array,
    out: Array,
) -> None:
    """Look up the leaf of every value, the number of edges that are <= x.

    A guide over ``n_cells`` equal cells gives the first edge of the value's cell; a binary search of
    ``n_steps`` steps, one step for a whole row at a time and without a branch, finds the edge within the
    cell. ``guide`` and the search count in ``edges``, whose rows are padded with NaN (never <= x);
    ``shift[j]`` turns such a position into an index of the table.
    """
    n_features = anchor.size
    position = np.empty(n_features, np.uint32)
    row = np.empty(n_features, np.float64)
    top = f64(n_cells - 1)
    ahead = u64(ROWS_AHEAD * n_features)
    start = u64(0)
    for _ in range(values.size // n_features):
        for j in range(0, n_features, LINE):
            prefetch(values, start + ahead + u64(j), False)
            prefetch(out, start + ahead + u64(j), True)
        for j in range(n_features):
            x = f64(values[start + u64(j)])
            row[j] = x
            bad[j] += i32(not ((x >= ok_lo[j]) & (x <= ok_hi[j])))
            q = (x - anchor[j]) * per_unit[j]
            q = q if q > 0.0 else 0.0
            q = q if q < top else top
            position[j] = u32(i32(q) + i32(j) * i32(n_cells))
        for j in range(n_features):
            position[j] = guide[position[j]]
        half = u32(1) << u32(n_steps) >> u32(1)
        while half > u32(0):
            for j in range(n_features):
                p = position[j]
                position[j] = p + (half if edges[p + half - u32(1)] <= row[j] else u32(0))
            half >>= u32(1)
        for j in range(n_features):
            leaf = i32(position[j]) + shift[j]
            out[start + u64(j)] = table[u32(leaf if row[j] == row[j] else last[j])]
        start += u64(n_features)


@kernel
def lookup(leaves: Array, first: Array, table: Array, out: Array) -> None:
    """Look up the table entry of every leaf."""
    n_features = first.size
    ahead = u64(ROWS_AHEAD * n_features)
    start = u64(0)
    for _ in range(leaves.size // n_features):
        for j in range(0, n_features, LINE):
            prefetch(out, start + ahead + u64(j), True)
        for j in range(n_features):
            out[start + u64(j)] = table[u32(leaves[start + u64(j)] + first[j])]
        start += u64(n_features)


@kernel
def paths(leaves: Array, first: Array, offset: Array, shift: Array, table: Array, out: Array) -> None:
    """Look up the entries of every leaf's nodes, from the coarsest level to the leaf.

    Block ``j`` of the table begins at ``first[j]`` and holds level after level; the node of a leaf at level
    ``l`` is entry ``offset[l] + (leaf >> shift[l])`` of it.
    """
    n_features, n_levels = first.size, offset.size
    start = u64(0)
    put = u64(0)
    for _ in range(leaves.size // n_features):
        for j in range(n_features):
            prefetch(out, put + u64(VALUES_AHEAD * n_levels), True)
            leaf = leaves[start + u64(j)]
            for level in range(n_levels):
                node = first[j] + offset[level] + (leaf >> shift[level])
                out[put] = table[u32(node)]
                put += u64(1)
        start += u64(n_features)
