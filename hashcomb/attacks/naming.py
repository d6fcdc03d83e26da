"""How attacks that name leaves are judged: beside guessing, feature by feature."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashcomb.errors import DataError

__all__ = ("UNNAMED", "AttackResult", "by_frequency", "check_tables", "in_order", "judge")

Floats = NDArray[np.float64]

UNNAMED = -2  # no leaf, and next to none


class AttackResult(msgspec.Struct, frozen=True, kw_only=True):
    """Success of an attack on each feature, beside that of guessing.

    Parameters
    ----------
    recovered : tuple of float
        Fraction of rows whose leaf the attack names, by feature.
    guessed : tuple of float
        The same for always naming the most frequent leaf, which needs no token.
    near : tuple of float
        Fraction of rows whose leaf the attack names or misses by one.
    error : tuple of float
        Mean squared error of the place that the attack names; leaf `i` of `n` is at ``(i + 1/2) / n``. Missing
        values have no place and do not count.
    spread : tuple of float
        The same for always naming the mean place of the auxiliary sample: the variance, without any token.
    """

    recovered: tuple[float, ...]
    guessed: tuple[float, ...]
    near: tuple[float, ...]
    error: tuple[float, ...]
    spread: tuple[float, ...]


def judge(
    guess: NDArray[Any], known: NDArray[Any], true: NDArray[Any], n_leaves: int | None, places: Floats | None = None
) -> AttackResult:
    """Compare the leaves that an attack names with the true ones.

    Parameters
    ----------
    guess : ndarray of int, shape (n_rows, n_features)
        Named leaves, `UNNAMED` where there is none.
    known : ndarray of int, shape (n_other_rows, n_features)
        Leaves of the auxiliary sample, which guessing goes by.
    true : ndarray of int, shape (n_rows, n_features)
        True leaves.
    n_leaves : int, optional
        Leaves of a comb, as many as occur by default; larger numbers stand for missing values.
    places : ndarray of float, shape (n_rows, n_features), optional
        Named places in [0, 1], by default the centers of the named leaves.
    """
    most = np.array([by_frequency(column)[0] for column in known.T])
    n = int(max(known.max(), true.max())) + 1 if n_leaves is None else n_leaves
    mean = _mean((known + 0.5) / n, known < n)
    named = (guess >= 0) & (guess < n)
    wanted = np.where(named, (guess + 0.5) / n, mean) if places is None else places
    truth, counted = (true + 0.5) / n, true < n
    return AttackResult(
        recovered=_tuple((guess == true).mean(axis=0)),
        guessed=_tuple((most == true).mean(axis=0)),
        near=_tuple((np.abs(guess - true) <= 1).mean(axis=0)),
        error=_tuple(_mean((wanted - truth) ** 2, counted)),
        spread=_tuple(_mean((mean - truth) ** 2, counted)),
    )


def _mean(values: Floats, counted: NDArray[np.bool_]) -> Floats:
    """Return the mean of each column over the rows that count, 0 where none does."""
    return np.asarray((values * counted).sum(axis=0) / np.maximum(counted.sum(axis=0), 1))


def _tuple(values: Floats) -> tuple[float, ...]:
    return tuple(values.tolist())


def check_tables(
    tokens: ArrayLike, auxiliary: ArrayLike, truth: ArrayLike, n_dimensions: int = 2
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the three tables of an attack as arrays.

    Raises
    ------
    DataError
        If they are no tables of the same columns, or one has no rows.
    """
    seen, known, true = (np.asarray(table) for table in (tokens, auxiliary, truth))
    fits = seen.ndim == n_dimensions and known.ndim == 2 and seen.shape[:2] == true.shape
    if not fits or known.shape[1] != seen.shape[1]:
        raise DataError("tokens, auxiliary and truth must be tables of the same columns")
    if not len(seen) or not len(known):
        raise DataError("there are no rows to attack, or none to learn from")
    return seen, known, true


def by_frequency(values: NDArray[Any]) -> NDArray[Any]:
    """Return the distinct values, the most frequent first, and of equally frequent ones the first to occur."""
    distinct, first, counts = np.unique(values, return_index=True, return_counts=True)
    return distinct[np.lexsort((first, -counts))]


def in_order(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return numbers for values, in order of first occurrence: tokens themselves change with every Key."""
    _, first, places = np.unique(values, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[places.reshape(-1)], dtype=np.int64)
