"""Tokens of many clients at many coordinates: counted without a key, and found again with it."""

from __future__ import annotations

from typing import Any

import numpy as np

from hashcomb.kernels.hashes import siphash
from hashcomb.kernels.jit import kernel

Array = np.ndarray[Any, np.dtype[Any]]
u64, i64 = np.uint64, np.int64

LOW = (1 << 8) - 1  # bits of a token that are zero, and have room for the number of a client
_LINE = 8  # tokens of a cache line
_BATCH = 32  # candidates hashed together, so that the compiler uses vector registers


@kernel
def pack_tokens(tokens: Array, first: int, out: Array) -> None:
    """Put the tokens of coordinates from ``first`` on side by side, with their clients' numbers in the lowest bits.

    Of ``tokens``, shape (n_clients, n), each column becomes a row of ``out``, shape (n_rows, n_clients).
    """
    n_rows, n_clients = out.shape
    for begun in range(0, n_rows, _LINE):
        stop = min(begun + _LINE, n_rows)
        for client in range(n_clients):
            for j in range(begun, stop):
                out[u64(j), u64(client)] = (tokens[u64(client), u64(first + j)] & ~u64(LOW)) | u64(client)


@kernel
def add_runs(packed: Array, weights: Array, distinct: Array, out: Array, sums: Array) -> None:
    """Add up the weights of equal tokens in each sorted row of packed ones.

    Row j yields the next ``distinct[j]`` tokens of ``out`` and their ``sums``, in order. There are no branches to
    predict: every step writes, and what is not the last of a run is written over.
    """
    n_rows, n_clients = packed.shape
    flat = packed.reshape(-1)
    at, end = u64(0), i64(-1)
    for j in range(n_rows):
        begun, total, last = end, i64(0), u64(LOW)  # which is no token
        for _ in range(n_clients):
            token, weight = flat[at] & ~u64(LOW), weights[flat[at] & u64(LOW)]
            new = token != last
            end += i64(new)
            total = weight if new else total + weight
            out[u64(end)] = token
            sums[u64(end)] = total
            last = token
            at += u64(1)
        distinct[j] = end - begun


@kernel
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
    a, b, end = u64(0), u64(0), u64(0)
    for j in range(distinct.size):
        begun = end
        a_end, b_end = a + u64(distinct[j]), b + u64(other_distinct[j])
        while a < a_end or b < b_end:
            if b == b_end or (a < a_end and tokens[a] < other_tokens[b]):
                out[end] = tokens[a]
                out_sums[end] = sums[a]
                a += u64(1)
            elif a == a_end or other_tokens[b] < tokens[a]:
                out[end] = other_tokens[b]
                out_sums[end] = other_sums[b]
                b += u64(1)
            else:
                out[end] = tokens[a]
                out_sums[end] = sums[a] + other_sums[b]
                a += u64(1)
                b += u64(1)
            end += u64(1)
        out_distinct[j] = end - begun


@kernel
def find_reports(  # noqa: C901 one loop, compiled as a whole
    key: Array, first: int, bits: int, n_reports: int, near: Array, distinct: Array, tokens: Array, out: Array
) -> None:
    """Find the report of every token, or -1: hash candidates, from ``near`` outwards, until all are found.

    Coordinate ``first + j`` has the next ``distinct[j]`` tokens, in order; the token of report r there is SipHash-2-4
    of ``(first + j) << bits | r``, without its lowest eight bits.
    """
    hashes = np.empty(_BATCH, dtype=np.uint64)
    seen = np.empty(64, dtype=np.uint64)  # one bit for the highest 12 bits of each token
    key_0, key_1 = key[0], key[1]
    begun = u64(0)
    for j in range(distinct.size):
        count = u64(distinct[j])
        seen[:] = u64(0)
        for k in range(count):
            out[begun + u64(k)] = -1
            top = tokens[begun + u64(k)] >> u64(52)
            seen[top >> u64(6)] |= u64(1) << (top & u64(63))
        left, word = count, u64(first + j) << u64(bits)
        low = max(0, min(near[j] - _BATCH // 2, n_reports - _BATCH))
        high = low
        while left > u64(0) and (low > 0 or high < n_reports):
            # The next batch lies on the side that is nearer, as far as there are candidates.
            if high < n_reports and (low == 0 or high - near[j] <= near[j] - low):
                start, stop = high, min(high + _BATCH, n_reports)
                high = stop
            else:
                start, stop = max(low - _BATCH, 0), low
                low = start
            for t in range(_BATCH):
                hashes[t] = siphash(key_0, key_1, word | u64(start + t)) & ~u64(LOW)
            for t in range(stop - start):
                token = hashes[t]
                top = token >> u64(52)
                if (seen[top >> u64(6)] >> (top & u64(63))) & u64(1):
                    # Tokens are spread evenly: where one should stand is near where it stands.
                    at = begun + (((token >> u64(32)) * count) >> u64(32))
                    while at > begun and tokens[at] > token:
                        at -= u64(1)
                    while at < begun + count - u64(1) and tokens[at] < token:
                        at += u64(1)
                    if tokens[at] == token and out[at] < 0:
                        out[at] = start + t
                        left -= u64(1)
        begun += count
