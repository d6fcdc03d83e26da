"""The kernels in NumPy: the same signatures, the same bytes, no compiler."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from hashcomb.kernels.reference_distances import add_parted, tree_codes

Array = np.ndarray[Any, np.dtype[Any]]

__all__ = (
    "add_parted",
    "add_runs",
    "edges_lookup",
    "find_leaves",
    "find_reports",
    "lookup",
    "merge_counts",
    "pack_tokens",
    "paths",
    "randomized_response",
    "siphash_words",
    "table_reports",
    "tree_codes",
    "uniform_lookup",
)

_CHUNK = 1 << 16  # values worked on at a time, so that temporaries stay in the cache


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
    """Look up the leaf ``clamp(int((x - lo) * scale), 0, top)`` of every value."""
    for rows, put in _rows(lo.size, values, out):
        x = rows.astype(np.float64)
        bad += (~((x >= ok_lo) & (x <= ok_hi))).sum(axis=0).astype(bad.dtype)
        with np.errstate(invalid="ignore", over="ignore"):
            q = (x - lo) * scale
            q = np.where(q > 0.0, q, 0.0)
            q = np.where(q < top, q, top)
        index = np.where(x == x, q.astype(np.int32) + first, last)
        put[...] = table[index]


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
    """Look up the leaf of every value, the number of edges that are <= x."""
    n_features = anchor.size
    width = edges.size // n_features
    for rows, put in _rows(n_features, values, out):
        x = rows.astype(np.float64)
        bad += (~((x >= ok_lo) & (x <= ok_hi))).sum(axis=0).astype(bad.dtype)
        for j in range(n_features):
            own = edges[j * width : (j + 1) * width]
            own = own[own == own]  # without the padding
            leaf = j * width + np.searchsorted(own, x[:, j], side="right")
            put[:, j] = table[np.where(x[:, j] == x[:, j], leaf + shift[j], last[j])]


def lookup(leaves: Array, first: Array, table: Array, out: Array) -> None:
    """Look up the table entry of every leaf."""
    for rows, put in _rows(first.size, leaves, out):
        put[...] = table[rows + first]


def paths(leaves: Array, first: Array, offset: Array, shift: Array, table: Array, out: Array) -> None:
    """Look up the entries of every leaf's nodes, from the coarsest level to the leaf."""
    rows = leaves.reshape(-1, first.size)
    put = out.reshape(rows.shape[0], first.size, offset.size)
    for level in range(offset.size):
        put[:, :, level] = table[first + offset[level] + (rows >> shift[level])]


def find_leaves(tokens: Array, n_features: int, width: int, mask: int, keys: Array, nodes: Array, out: Array) -> None:
    """Find the node of every token, or -1."""
    home = np.arange(n_features, dtype=np.int64) * width
    for rows, put in _rows(n_features, tokens, out):
        slot = home + (rows & rows.dtype.type(mask)).astype(np.int64)
        while (probing := (nodes[slot] >= 0) & (keys[slot] != rows)).any():
            slot += probing
        put[...] = nodes[slot]


def randomized_response(leaves: Array, words: Array, keep: int, n_symbols: int, out: Array) -> None:
    """Keep a leaf if the high half of its word is below ``keep``; else report ``low half * n_symbols >> 32``."""
    low = words & np.uint64(0xFFFFFFFF)
    other = (low * np.uint64(n_symbols)) >> np.uint64(32)
    out[...] = np.where((words >> np.uint64(32)) < np.uint64(keep), leaves, other.astype(np.int32))


def table_reports(symbols: Array, words: Array, bits: int, thresholds: Array, aliases: Array, out: Array) -> None:
    """Draw a report for every symbol from its row of a table (Walker's aliases)."""
    mask = np.uint64((1 << (62 - bits)) - 1)
    slot = (words >> np.uint64(64 - bits)).astype(np.int32)
    at = (symbols << bits) + slot
    below = ((words >> np.uint64(2)) & mask) < thresholds[at]
    out[...] = np.where(below, slot, aliases[at])


def siphash_words(words: Array, key: Array, out: Array) -> None:
    """Hash every word, taken as eight bytes in little-endian order, under the 128-bit key of two words."""
    length = np.uint64(0x0800000000000000)
    a = np.full_like(words, key[0] ^ np.uint64(0x736F6D6570736575))
    b = np.full_like(words, key[1] ^ np.uint64(0x646F72616E646F6D))
    c = np.full_like(words, key[0] ^ np.uint64(0x6C7967656E657261))
    d = (key[1] ^ np.uint64(0x7465646279746573)) ^ words
    for block in (words, length):
        if block is length:
            d = d ^ length
        a, b, c, d = _sip_round(*_sip_round(a, b, c, d))
        a = a ^ block
    c = c ^ np.uint64(0xFF)
    for _ in range(4):
        a, b, c, d = _sip_round(a, b, c, d)
    out[...] = a ^ b ^ c ^ d


_LOW = np.uint64(255)


def pack_tokens(tokens: Array, first: int, out: Array) -> None:
    """Put the tokens of coordinates from ``first`` on side by side, with their clients' numbers in the lowest bits."""
    numbers = np.arange(len(tokens), dtype=np.uint64)
    out[...] = (tokens[:, first : first + len(out)].T & ~_LOW) | numbers


def add_runs(packed: Array, weights: Array, distinct: Array, out: Array, sums: Array) -> None:
    """Add up the weights of equal tokens in each sorted row of packed ones."""
    column = np.repeat(np.arange(packed.shape[0]), packed.shape[1])
    tokens = packed.reshape(-1)
    _add_equal(column, tokens & ~_LOW, weights[(tokens & _LOW).astype(np.int64)], distinct, out, sums)


def merge_counts(
    distinct: Array,
    tokens: Array,
    sums: Array,
    other_distinct: Array,
    other_tokens: Array,
    other_sums: Array,
    out_distinct: Array,
    out: Array,
    out_sums: Array,
) -> None:
    """Merge two counts of the same coordinates, each in order of tokens within a coordinate."""
    columns = np.arange(distinct.size)
    column = np.concatenate([np.repeat(columns, distinct), np.repeat(columns, other_distinct)])
    both, weights = np.concatenate([tokens, other_tokens]), np.concatenate([sums, other_sums])
    order = np.lexsort((both, column))
    _add_equal(column[order], both[order], weights[order], out_distinct, out, out_sums)


def _add_equal(column: Array, tokens: Array, weights: Array, distinct: Array, out: Array, sums: Array) -> None:
    """Add up the weights of neighbors with the same column and token."""
    first = np.ones(tokens.size, dtype=bool)
    first[1:] = (column[1:] != column[:-1]) | (tokens[1:] != tokens[:-1])
    starts = np.flatnonzero(first)
    distinct[...] = np.bincount(column[starts], minlength=distinct.size)
    out[: starts.size] = tokens[starts]
    sums[: starts.size] = np.add.reduceat(weights, starts)


def find_reports(
    key: Array, first: int, bits: int, n_reports: int, near: Array, distinct: Array, tokens: Array, out: Array
) -> None:
    """Find the report of every token, or -1."""
    candidates = np.arange(n_reports, dtype=np.uint64)
    starts = np.concatenate([[0], np.cumsum(distinct)]).astype(np.int64)
    step = min(max(1, _CHUNK // n_reports), int(_LOW) + 1)
    for start in range(0, distinct.size, step):
        stop = min(start + step, distinct.size)
        words = (np.arange(first + start, first + stop, dtype=np.uint64) << np.uint64(bits))[:, None] | candidates
        hashes = np.empty_like(words)
        siphash_words(words, key, hashes)
        # The lowest bits, which no token has, say of which coordinate a hash is, so that all can be sorted together.
        rows = np.arange(stop - start, dtype=np.uint64)
        known = ((hashes & ~_LOW) | rows[:, None]).reshape(-1)
        order, own = np.argsort(known), slice(starts[start], starts[stop])
        wanted = tokens[own] | np.repeat(rows, distinct[start:stop])
        place = order[np.minimum(np.searchsorted(known, wanted, sorter=order), known.size - 1)]
        out[own] = np.where(known[place] == wanted, place % n_reports, -1)


def _sip_round(a: Array, b: Array, c: Array, d: Array) -> tuple[Array, Array, Array, Array]:
    a = a + b
    b = _rotate(b, 13) ^ a
    a = _rotate(a, 32)
    c = c + d
    d = _rotate(d, 16) ^ c
    a = a + d
    d = _rotate(d, 21) ^ a
    c = c + b
    b = _rotate(b, 17) ^ c
    return a, b, _rotate(c, 32), d


def _rotate(x: Array, bits: int) -> Array:
    return (x << np.uint64(bits)) | (x >> np.uint64(64 - bits))


def _rows(n_features: int, source: Array, target: Array) -> Iterator[tuple[Array, Array]]:
    rows, put = source.reshape(-1, n_features), target.reshape(-1, n_features)
    step = max(1, _CHUNK // n_features)
    for start in range(0, len(rows), step):
        yield rows[start : start + step], put[start : start + step]
