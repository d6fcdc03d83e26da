"""How far apart rows of tokens are in the comb, and a kernel for learners; no Key is needed."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashcomb import kernels
from hashcomb.columns import as_frame
from hashcomb.errors import DataError, SpecError
from hashcomb.header import TokenHeader, header_of
from hashcomb.laws import table_of
from hashcomb.placing import run_chunks
from hashcomb.scalars import number

__all__ = ("comb_distance", "comb_kernel")

Array = NDArray[Any]
Floats = NDArray[np.float64]

_CODE_BITS = 31  # of a path; an honest one of 20 levels takes 22
_NARROW = 8  # bits of a code that three steps spread one over
_THREAD_TOKENS = 1 << 17  # tokens that are worth a thread
_CHUNK_ROWS = 64  # rows whose distances a thread takes at a time


def comb_distance(A: Any, B: Any = None, *, weights: ArrayLike | None = None, n_threads: int | None = None) -> Floats:
    """Return the distance between every row of `A` and every row of `B` in the comb.

    In one feature, two paths share their nodes down to some level and part there. Their distance is the weight
    of all levels below that one: 0 for the same leaf, 1 for paths that part at the first level. The distance of
    two rows is the mean over features.

    Parameters
    ----------
    A : TokenArray or array_like of int, shape (n_rows, n_features, depth) or (n_rows, n_features)
        Paths of tokens, the coarsest level first, as ``tokens="comb"`` gives them, or tokens of one level, whose
        distance is 0 or 1. A table of paths side by side is told by its header. Of a frame with its header, the
        columns of tokens are taken, in their order.
    B : the same, shape (m_rows, ...), optional
        The other rows; those of `A` by default.
    weights : array_like of float, shape (depth,), optional
        Weight of each level, the coarsest first, not negative; only their proportions count. All equal by default.
    n_threads : int, optional
        Threads to use; by default one per core once there is work for it.

    Returns
    -------
    ndarray of float64, shape (n_rows, m_rows)
        Distances in [0, 1].

    Raises
    ------
    DataError
        If there are no rows, the shapes do not fit, or the tokens are no paths.
    FingerprintError
        If `A` and `B` were made under different Specs, Keys or salts.
    SpecError
        If the weights cannot be.

    Notes
    -----
    In each feature this is an ultrametric, d(x, z) <= max(d(x, y), d(y, z)); the mean keeps the triangle
    inequality. A missing value, and a feature that a record does not report, has a token of its own, which is
    at distance 0 from itself and 1 from all others. Of randomized tokens it is the distance of the *reports*.

    References
    ----------
    The deepest equal level of two leaves of a binary tree is the number of equal leading bits of their numbers.

    Examples
    --------
    >>> import numpy as np
    >>> paths = np.array([[[7, 70]], [[7, 71]], [[9, 90]]], dtype=np.uint64)  # one feature, two levels
    >>> comb_distance(paths)
    array([[0. , 0.5, 1. ],
           [0.5, 0. , 1. ],
           [1. , 1. , 0. ]])
    """
    first, header, names = _paths(A)
    second, other, others_names = (first[:0], header, names) if B is None else _paths(B)
    if header is not None:
        header.require_same(other)
    if B is not None and second.shape[1:] != first.shape[1:]:
        raise DataError(f"rows of shape {second.shape[1:]} beside rows of shape {first.shape[1:]}")
    if names is not None and others_names is not None and names != others_names:
        raise DataError("the two frames have other columns, or in another order", hint="select them by name, alike")
    share = _level_weights(weights, first.shape[2])
    codes, others, bits = _tree_codes(first, second, n_threads)
    return _distances(codes, codes if B is None else others, share, bits, n_threads)


def comb_kernel(
    A: Any,
    B: Any = None,
    *,
    gamma: float | None = None,
    weights: ArrayLike | None = None,
    n_threads: int | None = None,
) -> Floats:
    """Return a positive semi-definite kernel of every row of `A` with every row of `B`.

    Without `gamma`, ``1 - distance``: the share of levels, by weight, at which the rows have equal nodes. With
    it, ``exp(-gamma * distance)``, which sees interactions of features.

    Parameters
    ----------
    A, B : TokenArray or array_like of int
        As for `comb_distance`.
    gamma : float, optional
        How fast the kernel falls, at least 0.
    weights : array_like of float, shape (depth,), optional
        As for `comb_distance`.
    n_threads : int, optional
        As for `comb_distance`.

    Returns
    -------
    ndarray of float64, shape (n_rows, m_rows)
        Numbers in [0, 1], or in [exp(-gamma), 1]; 1 for equal rows.

    Raises
    ------
    DataError, FingerprintError
        As `comb_distance`.
    SpecError
        If `gamma` or the weights cannot be.

    References
    ----------
    ``1 - distance`` is the sum over features and levels of weight / n_features times "both rows are in the same
    node"; each such indicator is the scalar product of one-hot vectors, and sums with weights >= 0 of positive
    semi-definite kernels are positive semi-definite. ``exp(-gamma * distance) = exp(-gamma) * exp(gamma * (1 -
    distance))`` is a power series with coefficients >= 0 in that kernel, whose terms are so by Schur's product
    theorem (Schoelkopf and Smola, Learning with Kernels, MIT Press 2002, section 13.1).
    """
    factor = None if gamma is None else number(gamma, "gamma")
    if factor is not None and factor < 0:
        raise SpecError("must be a number of at least 0", path="gamma")
    distances = comb_distance(A, B, weights=weights, n_threads=n_threads)
    if factor is None:
        return np.subtract(1.0, distances, out=distances)
    return np.exp(np.multiply(distances, -factor, out=distances), out=distances)


# ---------------------------------------------------------------------- reading
def _paths(tokens: Any) -> tuple[Array, TokenHeader | None, tuple[str, ...] | None]:
    """Return tokens as paths, shape (n_rows, n_features, depth), their header and the names of a frame's columns."""
    header = header_of(tokens)
    frame = as_frame(tokens)
    names = None if frame is None else tuple(frame.columns)
    if names is not None and header is not None and set(header.columns) <= set(names):
        names = header.columns  # whatever is kept beside the tokens
    array = table_of(tokens, names)
    if array.ndim == 2 and array.size:
        whole = header is not None and header.tokens == "comb" and array.shape[1] == len(header.columns)
        in_order = header is not None and (names is None or names == header.columns)
        array = array.reshape(len(array), -1, header.depth if header is not None and whole and in_order else 1)
    if array.ndim != 3 or array.size == 0 or array.dtype.kind not in "ui":
        problem = "token paths are integers of shape (n_rows, n_features, depth), at least one of each"
        raise DataError(problem, hint="pass what encode gave with tokens='comb', or leaf tokens (n_rows, n_features)")
    return np.ascontiguousarray(array, dtype=np.uint64), header, names


def _level_weights(weights: ArrayLike | None, depth: int) -> Floats:
    """Return the weights of levels, the largest of them 1."""
    given = np.ones(depth) if weights is None else np.asarray(weights, dtype=np.float64)
    if given.shape != (depth,) or not np.isfinite(given).all() or (given < 0).any() or not given.any():
        problem = f"must be {depth} numbers, one for each level, none negative and one positive"
        raise SpecError(problem, path="weights")
    return np.asarray(given / given.max())


# ---------------------------------------------------------------------- paths to codes
def _tree_codes(first: Array, second: Array, n_threads: int | None) -> tuple[Array, Array, NDArray[np.int64]]:
    """Return codes of the paths of both tables, and how many bits of a code each level has.

    Trees of a comb are binary below the first level, where a missing value is one more child. Others show in the
    number of siblings, and get more bits in a second run.
    """
    bits = np.ones(first.shape[2], dtype=np.int64)
    codes, others, widest = _number(first, second, bits, n_threads)
    needed = np.array([int(n - 1).bit_length() for n in widest.tolist()], dtype=np.int64)
    bits = np.maximum(needed, 1)
    if bits.sum() > _CODE_BITS:
        problem = "the tokens are no paths of a comb: their nodes have too many children"
        raise DataError(problem, hint="pass what tokens='comb' gave, or tokens of one level as (n_rows, n_features)")
    if (bits[1:] > 1).any():
        codes, others, _ = _number(first, second, bits, n_threads)
    return codes, others, bits


def _number(
    first: Array, second: Array, bits: NDArray[np.int64], n_threads: int | None
) -> tuple[Array, Array, NDArray[np.int64]]:
    """Return codes of the paths of both tables, and the largest number of siblings of each level."""
    depth, n_rows = len(bits), len(first) + len(second)
    n_nodes = n_rows * depth + 2
    usual = n_nodes if depth == 1 else min(n_nodes, (2 << depth) + depth)
    codes, others, widest, full = _run_features(first, second, bits, usual, n_threads)
    if full:
        codes, others, widest, _ = _run_features(first, second, bits, n_nodes, n_threads)
    return codes, others, widest


def _run_features(
    first: Array, second: Array, bits: NDArray[np.int64], n_nodes: int, n_threads: int | None
) -> tuple[Array, Array, NDArray[np.int64], bool]:
    n_features, depth = first.shape[1:]
    n_rows, n_slots = len(first) + len(second), 1 << (2 * n_nodes - 1).bit_length()
    codes, others = (np.empty((len(table), n_features), dtype=np.int32) for table in (first, second))
    widest: NDArray[np.int64] = np.ones((n_features, depth), dtype=np.int64)
    full: NDArray[np.int32] = np.zeros((n_features, 1), dtype=np.int32)
    flat = [table.reshape(-1) for table in (first, second, codes, others)]

    def work(begin: int, end: int) -> None:
        keys, slots = np.empty(n_slots, dtype=np.uint64), np.empty((4, n_slots), dtype=np.int32)
        scratch = (keys, slots, np.empty((2, n_nodes), dtype=np.int32), widest[begin], full[begin])
        loops = kernels.choose((end - begin) * n_rows * depth)
        loops.tree_codes(*flat[:2], begin, end, n_features, bits, *scratch, *flat[2:])

    n_values = n_rows * n_features * depth
    threads = n_threads or max(1, min(os.cpu_count() or 1, n_values // _THREAD_TOKENS))
    run_chunks(work, n_features, n_rows * depth, -(-n_values // (4 * threads)), threads)
    return codes, others, widest.max(axis=0), bool(full.any())


# ---------------------------------------------------------------------- codes to distances
def _distances(codes: Array, others: Array, weights: Floats, bits: NDArray[np.int64], n_threads: int | None) -> Floats:
    width = int(bits.sum())
    words, columns = _pack(codes, width), np.ascontiguousarray(_pack(others, width).T).reshape(-1)
    smear = np.array([_repeat(((1 << width) - 1) >> step, width) for step in (1, 2, 4, 8, 16)], dtype=np.uint64)
    n_values, n_words = columns.size, words.shape[1]
    steps = [(weight, _repeat(_lowest_bits(bits, weights == weight), width)) for weight in np.unique(weights)]
    whole, out = float(weights.sum()) * codes.shape[1], np.zeros((len(codes), len(others)))

    def work(start: int, stop: int) -> None:
        loops = kernels.choose((stop - start) * n_values)
        sums: NDArray[np.int64] = np.empty(len(others), dtype=np.int64)
        rows, put = words[start:stop].reshape(-1), out[start:stop].reshape(-1)
        for weight, keep in steps:
            if weight > 0:
                loops.add_parted(rows, columns, n_words, smear, width > _NARROW, keep, weight, whole, sums, put)
        if len(steps) > 1:
            np.minimum(put, 1.0, out=put)  # a sum of rounded parts

    run_chunks(work, len(codes), n_values, _CHUNK_ROWS * n_values, n_threads)
    return out


def _pack(codes: Array, width: int) -> NDArray[np.uint64]:
    """Return as many codes a word as it has room for, shape (n_rows, n_words)."""
    room, n_rows = 64 // width, len(codes)
    fields = np.zeros((n_rows, -(-codes.shape[1] // room) * room), dtype=np.uint64)
    fields[:, : codes.shape[1]] = codes
    fields = fields.reshape(n_rows, -1, room) << np.arange(0, room * width, width, dtype=np.uint64)
    return np.asarray(np.bitwise_or.reduce(fields, axis=2))


def _repeat(field: int, width: int) -> np.uint64:
    """Return a word with the same bits in every field of this width."""
    return np.uint64(sum(field << place for place in range(0, 64 - width + 1, width)))


def _lowest_bits(bits: NDArray[np.int64], chosen: NDArray[np.bool_]) -> int:
    """Return a code with the lowest bit of each chosen level, which spreading sets where paths have parted."""
    return sum(1 << int(bits[level + 1 :].sum()) for level in np.flatnonzero(chosen).tolist())
