"""What somebody can do with tokens and without the Key, each as a figure beside its baseline."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashcomb.errors import DataError

__all__ = ("AttackResult", "frequency_matching")


class AttackResult(msgspec.Struct, frozen=True, kw_only=True):
    """Success of an attack on each feature, beside that of guessing.

    Parameters
    ----------
    recovered : tuple of float
        Fraction of rows whose leaf the attack names, by feature.
    guessed : tuple of float
        The same for always naming the most frequent leaf, which needs no token.
    """

    recovered: tuple[float, ...]
    guessed: tuple[float, ...]


def frequency_matching(tokens: ArrayLike, auxiliary: ArrayLike, truth: ArrayLike) -> AttackResult:
    """Match tokens to leaves by frequency, feature by feature, and count the rows that are recovered.

    The attacker has no Key. It has the tokens, and an auxiliary sample of leaves: other rows of the same kind,
    and the edges. It names the most frequent token the most frequent leaf, and so on down.

    Parameters
    ----------
    tokens : array_like, shape (n_rows, n_features)
        What the attacker sees.
    auxiliary : array_like of int, shape (n_other_rows, n_features)
        Leaves of other rows.
    truth : array_like of int, shape (n_rows, n_features)
        Leaves of the rows themselves, to judge the attack.

    Returns
    -------
    AttackResult

    Raises
    ------
    DataError
        If the shapes do not fit or there are no rows.

    Notes
    -----
    Privacy: `truth` takes a key holder; run this where the data are.
    """
    seen, known, true = (np.asarray(array) for array in (tokens, auxiliary, truth))
    if seen.ndim != 2 or seen.shape != true.shape or known.ndim != 2 or known.shape[1] != seen.shape[1]:
        raise DataError("tokens, auxiliary and truth must be tables of the same columns")
    if not len(seen) or not len(known):
        raise DataError("there are no rows to attack, or none to learn frequencies from")
    pairs = [_match(seen[:, j], known[:, j], true[:, j]) for j in range(seen.shape[1])]
    recovered, guessed = zip(*pairs, strict=True)
    return AttackResult(recovered=recovered, guessed=guessed)


def _match(seen: NDArray[Any], known: NDArray[Any], true: NDArray[Any]) -> tuple[float, float]:
    leaves = _by_frequency(known)
    names = dict(zip(_by_frequency(seen).tolist(), leaves.tolist(), strict=False))
    guess = np.array([names.get(token, -1) for token in seen.tolist()])
    return float((guess == true).mean()), float((leaves[0] == true).mean())


def _by_frequency(values: NDArray[Any]) -> NDArray[Any]:
    """Return the distinct values, the most frequent first, and of equally frequent ones the first to occur."""
    distinct, first, counts = np.unique(values, return_index=True, return_counts=True)
    return distinct[np.lexsort((first, -counts))]
