"""Which rows are trained on and which are tested: at random, or all rows of some owners."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashcomb.errors import DataError
from hashcomb.evidence.data import DataSet
from hashcomb.rows import held_out

__all__ = ("SPLITS", "seeds_of", "strangers", "trained_and_tested")

SPLITS = ("random", "owner")
OWNERS_SHARE = 0.3  # of the owners, whose rows are tested: three of ten

Mask = NDArray[np.bool_]


def strangers(n_owners: int, seed: int) -> frozenset[int]:
    """Draw the owners whose rows are tested: three of ten, at least one."""
    n_out = max(1, round(OWNERS_SHARE * n_owners))
    return frozenset(np.random.default_rng(seed).permutation(n_owners)[:n_out].tolist())


def seeds_of(data: DataSet, split: str, n_seeds: int) -> list[int]:
    """Return the seeds below `n_seeds` whose splits differ.

    Few owners can be divided in few ways. A seed that draws the same owners as an earlier one would count the
    same measurement twice, and is left out.
    """
    if split == "random":
        return list(range(n_seeds))
    n_owners = int(data.owner.max()) + 1
    first: dict[frozenset[int], int] = {}
    for seed in range(n_seeds):
        first.setdefault(strangers(n_owners, seed), seed)
    return sorted(first.values())


def trained_and_tested(data: DataSet, split: str, seed: int) -> tuple[Mask, Mask]:
    """Divide rows.

    At random, a quarter of all distinct rows is held out, the same at every owner; by owner, all rows of three
    owners of ten. Rows repeat, also between owners: each is tested once, and none that was trained on.

    Parameters
    ----------
    data : DataSet
        All rows.
    split : {"random", "owner"}
        How to divide.
    seed : int
        Which of the splits.

    Returns
    -------
    tuple of ndarray of bool, shape (n_rows,)
        Rows to train on, and rows to test with.

    Raises
    ------
    DataError
        If nothing is left to test, or rows of one class alone are left to train on.
    """
    if split == "random":
        out = held_out(data.X, seed)
    else:
        out = np.isin(data.owner, list(strangers(int(data.owner.max()) + 1, seed)))
    new = np.flatnonzero(out & ~np.isin(data.row, data.row[~out]))
    test = np.zeros(len(data.X), dtype=bool)
    test[new[np.unique(data.row[new], return_index=True)[1]]] = True
    if not test.any() or len(np.unique(data.y[~out])) < 2:
        problem = f"split {split!r} with seed {seed} of {data.name!r} leaves no new row to test, or one class to train"
        raise DataError(problem, hint="there are too few rows, or owners who hold the same rows")
    return ~out, test
