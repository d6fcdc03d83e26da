"""Joint matching: a leaf is known by what the other columns and the label look like there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix

from hashcomb.attacks.naming import AttackResult, check_tables, in_order, judge
from hashcomb.errors import DataError

__all__ = ("indicators", "joint_matching", "name_by_columns")

Floats = NDArray[np.float64]

N_ROUNDS = 30
MAX_PAIRS = 20_000_000


def joint_matching(
    tokens: ArrayLike,
    auxiliary: ArrayLike,
    truth: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    auxiliary_labels: ArrayLike | None = None,
    n_leaves: int | None = None,
) -> AttackResult:
    """Match tokens to leaves by how columns, and labels, go together, and count the rows that are recovered.

    The attacker of `frequency_matching`, who looks at all columns at once. From the auxiliary sample it knows
    what the other columns, the label and the frequency look like at every leaf of a column (a smooth curve, so
    that a small sample is enough). It assigns the tokens of each column to the leaves that look most alike,
    with the other columns' tokens replaced by its guesses so far, round after round. This is one attack, not
    the best one; what it recovers is a lower bound of what tokens tell.

    Parameters
    ----------
    tokens, auxiliary, truth, n_leaves
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
    seen, known, true = check_tables(tokens, auxiliary, truth)
    beside, known_beside = indicators(labels, auxiliary_labels, len(seen), len(known))
    return judge(name_by_columns(seen, known, beside, known_beside), known, true, n_leaves)


def name_by_columns(seen: NDArray[Any], known: NDArray[Any], beside: Floats, known_beside: Floats) -> NDArray[np.int64]:
    """Return the leaf that each token is named, shape (n_rows, n_features).

    Parameters
    ----------
    seen : ndarray, shape (n_rows, n_features)
        Tokens.
    known : ndarray of int, shape (n_other_rows, n_features)
        Leaves of other rows.
    beside, known_beside : ndarray, shape (n_rows, n_classes) and (n_other_rows, n_classes)
        Indicators of labels.

    Raises
    ------
    DataError
        If there are too many leaves.
    """
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
    return np.asarray(np.rint(guess * tops), dtype=np.int64)


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
        self._codes = in_order(seen)
        self._rows_of = csr_matrix((np.ones(len(seen)), (self._codes, np.arange(len(seen)))))
        shares = np.bincount(self._codes) / len(seen)
        self._n_rows = (shares * len(seen))[:, None]
        leaves = np.unique(known)
        if len(leaves) < len(shares):  # the sample has not met them all
            leaves = np.arange(max(top + 1, len(shares)))
        if len(shares) * len(leaves) * (others.shape[1] + 1) > MAX_PAIRS:
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
        squares = (mean**2).sum(axis=1)[:, None] + (expected**2).sum(axis=1)[None, :]
        apart = self._apart + squares - 2 * mean @ expected.T
        token, leaf = linear_sum_assignment(apart)
        chosen = np.zeros(len(mean))
        chosen[token] = self._leaves[leaf]
        return np.asarray(chosen[self._codes])


def indicators(labels: Any, others: Any, n_rows: int, n_others: int) -> tuple[Floats, Floats]:
    """Return a column of zeros and ones for each class, for the rows and for the auxiliary ones.

    Raises
    ------
    DataError
        If labels are not one a row of both, or have no class in common.
    """
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
