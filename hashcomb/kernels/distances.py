"""Paths of tokens -> codes that keep the tree -> at which level the paths of two rows part."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.extending import intrinsic

from hashcomb.kernels.jit import inlined, kernel

__all__ = ("add_parted", "tree_codes")

Array = np.ndarray[Any, np.dtype[Any]]
i32 = np.int32
i64 = np.int64
u64 = np.uint64
_ODD = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio, which spreads node numbers over the slots


@inlined
def _slot(token: Any, parent: Any, n_slots: int) -> Any:
    return i64(((token ^ (u64(parent) * u64(_ODD))) * u64(_ODD)) >> u64(32)) & (n_slots - 1)


@inlined
def _child(token: Any, parent: Any, shift: Any, keys: Array, slots: Array, places: Array, count: Array) -> Any:
    """Return the child of a node that has this token, a new one if there is none yet; -1 if all places are taken."""
    slot = _slot(token, parent, keys.size)
    while slots[0, slot] >= 0 and (slots[0, slot] != parent or keys[slot] != token):
        slot = (slot + 1) & (keys.size - 1)
    if slots[0, slot] >= 0:
        return i64(slots[1, slot])
    node = i64(count[0])
    if node == places.shape[1]:
        return i64(-1)
    count[0] += 1
    keys[slot], slots[0, slot], slots[1, slot] = token, parent, node
    places[0, node] = (places[0, parent] << shift) | places[1, parent]
    places[1, parent] += 1
    places[1, node] = 0
    return node


@inlined
def _grow(
    tokens: Array, feature: int, n_features: int, shifts: Array, keys: Array, slots: Array, places: Array,
    count: Array, widest: Array, out: Array,
) -> Any:  # fmt: skip
    depth, stride = shifts.size, i64(n_features) * shifts.size
    slots[2, :] = -1
    for row in range(tokens.size // stride):
        start = i64(row) * stride + i64(feature) * depth
        # Most paths occurred before: where the row that had this leaf last has the same path, its node is known.
        met = _slot(u64(tokens[start + depth - 1]), 0, keys.size)
        level = 0
        if slots[2, met] >= 0:
            before = i64(slots[2, met]) * stride + i64(feature) * depth
            while level < depth and tokens[start + level] == tokens[before + level]:
                level += 1
        node = i64(slots[3, met])
        if level < depth:
            node = i64(0)
            for l in range(depth):  # noqa: E741
                parent = node
                node = _child(u64(tokens[start + l]), parent, shifts[l], keys, slots, places, count)
                if node < 0:
                    return
                widest[l] = max(widest[l], places[1, parent])
            slots[2, met], slots[3, met] = row, node
        out[i64(row) * n_features + feature] = places[0, node]


@kernel
def tree_codes(
    first: Array, second: Array, begin: int, end: int, n_features: int, shifts: Array, keys: Array, slots: Array,
    places: Array, widest: Array, full: Array, out: Array, other: Array,
) -> None:  # fmt: skip
    """Give every path of the features from `begin` to `end` a code: the numbers of its nodes among their siblings.

    Children are numbered in order of occurrence, through the rows of `first` and then of `second`. A code has
    ``shifts[level]`` bits for each level behind the first, which stands above all of them; `widest` takes the
    largest number of siblings by level, for the caller to see whether they fit. Scratch: `keys`, a power of two,
    and as many `slots` (parent, node, row of a path, its node), of which fewer are taken than there are `places`
    (code, number of children) for nodes; if there are not enough of these, `full` counts the feature.
    """
    count = np.empty(1, dtype=np.int64)
    for feature in range(begin, end):
        slots[0, :] = -1
        places[0, 0], places[1, 0], count[0] = 0, 0, 1
        _grow(first, feature, n_features, shifts, keys, slots, places, count, widest, out)
        _grow(second, feature, n_features, shifts, keys, slots, places, count, widest, other)
        full[0] += count[0] >= places.shape[1]


def _ctpop(typing_context: Any, value: Any) -> Any:  # noqa: ARG001 numba passes it
    """Count the bits of a word, for which processors have an instruction on whole vectors."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.ctpop(arguments[0])

    return numba.types.int64(value), generate


def _count_bits(word: Any) -> int:
    """Stand in for the instruction where nothing is compiled."""
    return int(word).bit_count()


_n_bits = _count_bits if numba.config.DISABLE_JIT else intrinsic(_ctpop)


@inlined
def _parted(word: Any, other: Any, smear: Any, wide: Any, keep: Any) -> Any:
    differs = word ^ other
    differs |= (differs >> u64(1)) & smear[0]
    differs |= (differs >> u64(2)) & smear[1]
    differs |= (differs >> u64(4)) & smear[2]
    if wide:
        differs |= (differs >> u64(8)) & smear[3]
        differs |= (differs >> u64(16)) & smear[4]
    return _n_bits(differs & keep)


@kernel
def add_parted(
    words: Array, others: Array, n_words: int, smear: Array, wide: bool, keep: int, weight: float, whole: float,
    sums: Array, out: Array,
) -> None:  # fmt: skip
    """Add to ``out[i, k]`` the weight, over the whole, of each level of each feature at which two paths have parted.

    A word holds the codes of several features. Where two codes differ, the highest bit that does is spread over
    all bits below it: ``smear[s]`` says which bits of a word may take what stands 1, 2, 4, 8 and 16 bits above
    them (the last two if `wide`), and `keep` which bits count, one for each level. `words` has the words of a row
    side by side, `others` the rows of a word; four words at a time halve the traffic to `sums`, one row of sums.
    """
    n_others = u64(sums.size)
    masks = (u64(smear[0]), u64(smear[1]), u64(smear[2]), u64(smear[3]), u64(smear[4]))
    keep_bits = u64(keep)
    fours = n_words - n_words % 4
    for i in range(words.size // n_words):
        sums[:] = 0
        own = i64(i) * n_words
        for j in range(0, fours, 4):
            a, b, c, d = words[own + j], words[own + j + 1], words[own + j + 2], words[own + j + 3]
            at_a = u64(j) * n_others
            at_b, at_c, at_d = at_a + n_others, at_a + u64(2) * n_others, at_a + u64(3) * n_others
            for k in range(sums.size):
                low = _parted(a, others[at_a + u64(k)], masks, wide, keep_bits)
                low += _parted(b, others[at_b + u64(k)], masks, wide, keep_bits)
                high = _parted(c, others[at_c + u64(k)], masks, wide, keep_bits)
                high += _parted(d, others[at_d + u64(k)], masks, wide, keep_bits)
                sums[k] += low + high
        for j in range(fours, n_words):
            a, at_a = words[own + j], u64(j) * n_others
            for k in range(sums.size):
                sums[k] += _parted(a, others[at_a + u64(k)], masks, wide, keep_bits)
        start = u64(i) * n_others
        for k in range(sums.size):
            out[start + u64(k)] += weight * sums[k] / whole
