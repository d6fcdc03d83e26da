"""The rows of every owner, and the vectors that their ranges come from: the same for both ways to agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashcomb.order import to_keys

__all__ = ("end_keys", "owner_tables")


def owner_tables(n_owners: int, n_features: int, *, n_rows: int = 6000) -> list[NDArray[np.float64]]:
    """Return every owner's rows, normal numbers of full precision; `n_rows` of all owners together."""
    rows = np.random.default_rng(0).normal(size=(n_rows, n_features))
    return np.array_split(rows, n_owners)


def end_keys(table: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return the exact 64-bit keys of the columns' maxima, then of the negated minima, shape (2 * n_features,)."""
    return to_keys(np.concatenate([table.max(axis=0), -table.min(axis=0)]))
