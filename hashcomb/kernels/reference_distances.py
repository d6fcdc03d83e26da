"""The kernels of distances in NumPy; see ``reference``."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

__all__ = ("add_parted", "tree_codes")


def tree_codes(
    first: Array, second: Array, begin: int, end: int, n_features: int, shifts: Array, keys: Array, slots: Array,
    places: Array, widest: Array, full: Array, out: Array, other: Array,
) -> None:  # fmt: skip
    """Give every path of the features from `begin` to `end` a code; the scratch is not needed."""
    del keys, slots, places, full
    shape = (-1, n_features, shifts.size)
    paths = np.concatenate([first.reshape(shape), second.reshape(shape)])
    n_first = out.size // n_features
    for feature in range(begin, end):
        found = _codes_of(paths[:, feature], shifts, widest)
        out.reshape(-1, n_features)[:, feature] = found[:n_first]
        other.reshape(-1, n_features)[:, feature] = found[n_first:]


def _codes_of(paths: Array, shifts: Array, widest: Array) -> Array:
    codes = group = np.zeros(len(paths), dtype=np.int64)
    for level, shift in enumerate(shifts.tolist()):
        distinct, token = np.unique(paths[:, level], return_inverse=True)
        pair = group * len(distinct) + token.reshape(-1)
        node, first, group = np.unique(pair, return_index=True, return_inverse=True)
        group = group.reshape(-1)
        parent = node // len(distinct)
        rank = np.empty(len(node), dtype=np.int64)
        rank[np.lexsort((first, parent))] = np.arange(len(node)) - np.searchsorted(parent, parent)
        codes = (codes << shift) | rank[group]
        widest[level] = max(widest[level], rank.max() + 1)
    return codes.astype(np.int32)


def add_parted(
    words: Array, others: Array, n_words: int, smear: Array, wide: bool, keep: int, weight: float, whole: float,
    sums: Array, out: Array,
) -> None:  # fmt: skip
    """Add to ``out[i, k]`` the weight, over the whole, of each level at which paths have parted."""
    columns, put = others.reshape(n_words, sums.size), out.reshape(-1, sums.size)
    for i, row in enumerate(words.reshape(-1, n_words)):
        differs = row[:, None] ^ columns
        for step, mask in enumerate(smear[: 5 if wide else 3]):
            differs |= (differs >> np.uint64(1 << step)) & mask
        put[i] += weight * np.bitwise_count(differs & np.uint64(keep)).sum(axis=0, dtype=np.int64) / whole
