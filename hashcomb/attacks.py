"""What somebody can do with tokens and without the Key, each as a figure beside its baseline."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix

from hashcomb.errors import DataError

__all__ = ("AttackResult", "frequency_matching", "joint_matching")

Floats = NDArray[np.float64]

N_ROUNDS = 30
MAX_PAIRS = 20_000_000


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
    """

    recovered: tuple[float, ...]
    guessed: tuple[float, ...]
    near: tuple[float, ...]


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
    seen, known, true = _checked(tokens, auxiliary, truth)
    guess = np.stack([_by_rank(seen[:, j], known[:, j]) for j in range(seen.shape[1])], axis=1)
    return _judge(guess, known, true)


def joint_matching(
    tokens: ArrayLike,
    auxiliary: ArrayLike,
    truth: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    auxiliary_labels: ArrayLike | None = None,
) -> AttackResult:
    """Match tokens to leaves by how columns, and labels, go together, and count the rows that are recovered.

    The attacker of `frequency_matching`, who looks at all columns at once. From the auxiliary sample it knows
    what the other columns, the label and the frequency look like at every leaf of a column (a smooth curve, so
    that a small sample is enough). It assigns the tokens of each column to the leaves that look most alike,
    with the other columns' tokens replaced by its guesses so far, round after round. This is one attack, not
    the best one; what it recovers is a lower bound of what tokens tell.

    Parameters
    ----------
    tokens, auxiliary, truth
        As for `frequency_matching`.
    labels : array_like, shape (n_rows,), optional
        Labels that the attacker holds beside the tokens.
    auxiliary_labels : array_like, shape (n_other_rows,), optional
        Labels of the auxiliary rows; with `labels` or not at all.

    Returns
    -------
    AttackResult

    Raises
    ------
    DataError
        If the shapes do not fit, there are no rows, or too many leaves.

    Notes
    -----
    Privacy: `truth` takes a key holder; run this where the data are.
    """
    seen, known, true = _checked(tokens, auxiliary, truth)
    beside, known_beside = _indicators(labels, auxiliary_labels, len(seen), len(known))
    tops = np.maximum(known.max(axis=0), 1)
    places = known / tops
    others = [np.delete(places, j, axis=1) for j in range(len(tops))]
    columns = [_Column(seen[:, j], known[:, j], top, others[j], known_beside) for j, top in enumerate(tops)]
    guess = np.stack([column.match(beside) for column in columns], axis=1)
    for _ in range(N_ROUNDS):
        before = guess.copy()
        for j, column in enumerate(columns):
            guess[:, j] = column.match(np.hstack([np.delete(guess, j, axis=1), beside]))
        if (guess == before).all():
            break
    return _judge(np.rint(guess * tops).astype(np.int64), known, true)


class _Column:
    """One column of the attack; its leaves are places in [0, 1].

    Parameters
    ----------
    seen : ndarray, shape (n_rows,)
        Tokens.
    known : ndarray of int, shape (n_other_rows,)
        Leaves of the sample.
    top : int
        Number of the leaf at place 1.
    others : ndarray, shape (n_other_rows, n_columns - 1)
        Places of the other columns in the sample.
    beside : ndarray, shape (n_other_rows, n_classes)
        Indicators of the labels in the sample.

    Raises
    ------
    DataError
        If there are too many tokens and leaves to match.
    """

    def __init__(self, seen: NDArray[Any], known: NDArray[Any], top: int, others: Floats, beside: Floats) -> None:
        distinct, first, places = np.unique(seen, return_index=True, return_inverse=True)
        self._codes = np.argsort(np.argsort(first))[places]  # in order of occurrence: tokens change with every Key
        self._rows_of = csr_matrix((np.ones(len(seen)), (self._codes, np.arange(len(seen)))))
        shares = np.bincount(self._codes) / len(seen)
        self._n_rows = (shares * len(seen))[:, None]
        leaves = np.unique(known)
        if len(leaves) < len(distinct):  # the sample has not met them all
            leaves = np.arange(max(top + 1, len(distinct)))
        if len(distinct) * len(leaves) * (others.shape[1] + 1) > MAX_PAIRS:
            raise DataError("too many tokens and leaves to match", hint="attack fewer columns, or a smaller depth")
        self._leaves = leaves / top
        known_shares = np.array([(known == leaf).sum() for leaf in leaves]) / len(known)
        self._apart = (shares[:, None] - known_shares[None, :]) ** 2
        curve, *_ = np.linalg.lstsq(np.vander(known / top, 4), np.hstack([others, beside]), rcond=None)
        self._expected = np.vander(self._leaves, 4) @ curve

    def match(self, looks: Floats) -> Floats:
        """Return a place for every row: that of the leaf its token looks like most.

        Parameters
        ----------
        looks : ndarray, shape (n_rows, n_columns - 1 + n_classes)
            The others' places as guessed, and the indicators; at first the indicators alone.
        """
        mean = self._rows_of @ looks / self._n_rows
        expected = self._expected[:, self._expected.shape[1] - looks.shape[1] :]
        apart = self._apart + ((mean[:, None, :] - expected[None, :, :]) ** 2).sum(axis=2)
        token, leaf = linear_sum_assignment(apart)
        chosen = np.zeros(len(mean))
        chosen[token] = self._leaves[leaf]
        return np.asarray(chosen[self._codes])


def _checked(*tables: ArrayLike) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    seen, known, true = (np.asarray(table) for table in tables)
    if seen.ndim != 2 or seen.shape != true.shape or known.ndim != 2 or known.shape[1] != seen.shape[1]:
        raise DataError("tokens, auxiliary and truth must be tables of the same columns")
    if not len(seen) or not len(known):
        raise DataError("there are no rows to attack, or none to learn from")
    return seen, known, true


def _indicators(labels: Any, others: Any, n_rows: int, n_others: int) -> tuple[Floats, Floats]:
    """Return a column of zeros and ones for each class, for the rows and for the auxiliary ones."""
    if labels is None and others is None:
        return np.empty((n_rows, 0)), np.empty((n_others, 0))
    y, known_y = np.asarray(labels), np.asarray(others)
    if y.shape != (n_rows,) or known_y.shape != (n_others,):
        raise DataError("labels are needed for all rows and all auxiliary rows, or for none")
    if y.dtype.kind not in "fiub" or known_y.dtype.kind not in "fiub":
        y, known_y = y.astype(str), known_y.astype(str)
    classes = np.intersect1d(y, known_y)
    if not len(classes):
        raise DataError("rows and auxiliary rows have no label in common")
    return (y[:, None] == classes).astype(float), (known_y[:, None] == classes).astype(float)


def _judge(guess: NDArray[Any], known: NDArray[Any], true: NDArray[Any]) -> AttackResult:
    most = np.array([_by_frequency(column)[0] for column in known.T])
    return AttackResult(
        recovered=tuple((guess == true).mean(axis=0).tolist()),
        guessed=tuple((most == true).mean(axis=0).tolist()),
        near=tuple((np.abs(guess - true) <= 1).mean(axis=0).tolist()),
    )


def _by_rank(seen: NDArray[Any], known: NDArray[Any]) -> NDArray[np.int64]:
    names = dict(zip(_by_frequency(seen).tolist(), _by_frequency(known).tolist(), strict=False))
    return np.array([names.get(token, -2) for token in seen.tolist()], dtype=np.int64)


def _by_frequency(values: NDArray[Any]) -> NDArray[Any]:
    """Return the distinct values, the most frequent first, and of equally frequent ones the first to occur."""
    distinct, first, counts = np.unique(values, return_index=True, return_counts=True)
    return distinct[np.lexsort((first, -counts))]
