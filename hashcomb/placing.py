"""Rows to leaves, or to what a table holds for them: checked, in chunks, over threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb import kernels
from hashcomb.columns import Columns
from hashcomb.comb import Comb
from hashcomb.errors import DataError
from hashcomb.spec import Spec

__all__ = ("CHUNK_VALUES", "look_up", "place", "run_chunks")

Array = NDArray[Any]

CHUNK_VALUES = 1 << 15  # a chunk's leaves and random words stay in the second-level cache
_THREAD_VALUES = 1 << 20  # below a million values a thread, starting it costs more than it saves


def place(table: Any, spec: Spec, entries: Array | None = None) -> Array:
    """Return the leaf of every value, or the entry of a table for that leaf; no Key is needed.

    Parameters
    ----------
    table : array_like of shape (n_rows, n_features), a mapping of columns, or a data frame
        As for `HashComb.encode`.
    spec : Spec
        Where the edges are.
    entries : ndarray, shape (n_features, 2**depth + 1), optional
        What to look up, for example ``Comb(spec).representatives("rank")``; the leaves by default.

    Returns
    -------
    ndarray, shape (n_rows, n_features)
        int32 leaves, ``2**depth`` for missing values, or entries of their own type.

    Raises
    ------
    DataError
        If the table does not fit the Spec.

    Notes
    -----
    Privacy: leaves and their representatives are for the owner; nothing here is hashed or randomized.
    """
    columns, comb = Columns(table, spec), Comb(spec)
    arranged = comb.leaf_numbers if entries is None else comb.arrange(entries)
    out = np.empty((columns.n_rows, len(spec.features)), dtype=arranged.dtype)

    def work(start: int, stop: int) -> None:
        look_up(comb, columns.block(start, stop), arranged, out[start:stop], start)

    run_chunks(work, columns.n_rows, len(spec.features), CHUNK_VALUES << 5, None)
    return out


def look_up(comb: Comb, values: Array, entries: Array, out: Array, first_row: int) -> None:
    """Look up a block of values; raise `DataError` for the first that the Spec refuses.

    Parameters
    ----------
    comb : Comb
        Where the edges are.
    values : ndarray, shape (n_rows, n_features)
        As for `Comb.lookup`.
    entries : ndarray
        What to look up, as `Comb.arrange` gives it.
    out : ndarray, shape (n_rows, n_features)
        Is filled.
    first_row : int
        Number of the block's first row, for the error.
    """
    bad = comb.lookup(values, entries, out)
    if not bad.any() or (comb.spec.missing == "token" and comb.spec.outside == "clip"):
        return
    missing = np.isnan(values) & (comb.spec.missing == "error")
    outside = ((values < comb.lo) | (values > comb.hi)) & (comb.spec.outside == "error")
    if not (missing | outside).any():
        return
    row, column = np.argwhere(missing | outside)[0]
    problem, hint = (
        ("a missing value (NaN)", "fill it, or make a Spec with missing='token'")
        if missing[row, column]
        else ("a value outside the agreed range", "correct the row, or make a Spec with outside='clip'")
    )
    raise DataError(problem, column=comb.spec.names[column], row=first_row + int(row), hint=hint)


def run_chunks(
    work: Callable[[int, int], None], n_rows: int, n_features: int, chunk_values: int, n_threads: int | None
) -> None:
    """Do the work in chunks of rows, over threads where that pays; errors come in the order of rows.

    Parameters
    ----------
    work : callable
        Called with the first row of a chunk and the one behind its last.
    n_rows, n_features : int
        Size of the whole.
    chunk_values : int
        Values of a chunk.
    n_threads : int, optional
        Threads to use; by default one per core once there is work for it.
    """
    n_values = n_rows * n_features
    kernels.choose(n_values)  # tells it the whole size, so that a large first call is compiled from its start
    rows = max(1, chunk_values // n_features)
    chunks = [(start, min(start + rows, n_rows)) for start in range(0, n_rows, rows)]
    wanted = n_threads if n_threads is not None else min(os.cpu_count() or 1, n_values // _THREAD_VALUES)
    if wanted <= 1 or len(chunks) == 1:
        for start, stop in chunks:
            work(start, stop)
        return
    # A pool of its own for every call: a global one would hang in a forked child.
    with ThreadPoolExecutor(wanted, thread_name_prefix="hashcomb") as pool:
        for _ in pool.map(lambda chunk: work(*chunk), chunks):
            pass
