"""The scene of attacks: the user's rows dealt to a target and to the attacker, and encoded under a fresh Key."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashcomb.attacks.naming import AttackResult, judge
from hashcomb.attacks.scheme import Scheme
from hashcomb.errors import DataError, WeakPrivacyWarning
from hashcomb.keys import Key
from hashcomb.placing import place
from hashcomb.spec import Spec
from hashcomb.tokens import Codebook

__all__ = ("Scene", "halves")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SPLIT_SEED = 0


class Scene(Scheme):
    """Rows of a target and of the attacker, and how they are encoded.

    Parameters
    ----------
    spec : Spec
        The combs, the channel, the kind of tokens.
    table : table
        The user's rows.
    labels : array_like, optional
        Labels that are sent in the clear.
    seed : int, optional
        Makes the channel's randomness repeatable.
    max_rows : int
        How many rows to take, at most.

    Raises
    ------
    DataError
        If there are fewer than four rows, or labels are not one a row.
    """

    def __init__(self, spec: Spec, table: Any, labels: ArrayLike | None, seed: int | None, max_rows: int) -> None:
        super().__init__(spec, seed)
        leaves = place(table, spec)
        if len(leaves) < 4:
            raise DataError("there are too few rows to attack some with the others", hint="pass at least 4")
        target, auxiliary = halves(len(leaves), max_rows)
        self.n_rows = len(leaves)
        self.target_leaves, self.auxiliary_leaves = leaves[target], leaves[auxiliary]
        self.labels = None if labels is None else _deal(labels, len(leaves), target, auxiliary)
        self._key = Key.create()
        self.target_reports = self.report(self.target_leaves)
        self.auxiliary_reports = self.report(self.auxiliary_leaves) >> self.shift
        self.tokens = self.encode(self.target_reports)

    # ------------------------------------------------------------------ what the attacker wants and has
    @property
    def target_nodes(self) -> Ints:
        """What the attacker wants to name, shape (n_rows, n_features)."""
        return self.target_leaves >> self.shift

    @property
    def auxiliary_nodes(self) -> Ints:
        """The same of the rows that the attacker knows."""
        return self.auxiliary_leaves >> self.shift

    # ------------------------------------------------------------------ what the owner does
    def encode(self, reports: NDArray[np.int32], round: int = 0, dataset: str = "") -> NDArray[Any]:
        """Return the tokens of reports under the fresh Key, shape (n_rows, n_features, n_levels)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", WeakPrivacyWarning)  # the report says more about it
            book = Codebook(self.spec, self._key, dataset=dataset, round=round, channels=self.channels)
        out = np.empty((*reports.shape, len(self.spec.levels)), dtype=book.dtype)
        book.tokens(np.ascontiguousarray(reports), out)
        return out

    def judge_reports(self, named: Ints) -> AttackResult:
        """Judge an attack that names reports: with a channel, it then names the likeliest node behind each.

        Parameters
        ----------
        named : ndarray of int, shape (n_rows, n)
            Reports of the first `n` features, as numbers of nodes where they are leaves; `UNNAMED` where there
            is none.
        """
        n = named.shape[1]
        truth = self.auxiliary_nodes[:, :n], self.target_nodes[:, :n]
        if self.channels is None or self.laws is None:
            return judge(named, *truth, self.n_nodes)
        read = [self._read(j, law, named[:, j]) for j, law in enumerate(self.laws[:n]) if law is not None]
        guess, places = (np.stack(columns, axis=1) for columns in zip(*read, strict=True))
        return judge(guess, *truth, self.n_nodes, places)

    def _read(self, j: int, law: Floats, named: Ints) -> tuple[Ints, Floats]:
        """Return the likeliest node behind each report, and its mean place, by the frequencies of the other rows."""
        prior = np.bincount(self.symbols(self.auxiliary_leaves)[:, j], minlength=len(law)) + 0.5
        together = np.column_stack([prior, prior[:, None] * law])  # the first column: no report is named
        n_used = self.spec.used_leaves[j]
        leaves = np.where(np.arange(len(law)) < n_used, np.arange(len(law)), self.spec.n_leaves)
        nodes, node_of = np.unique(leaves >> self.shift, return_inverse=True)
        together = np.eye(len(nodes))[node_of.reshape(-1)].T @ together
        present = together * (nodes < self.n_nodes)[:, None]
        mean = ((nodes + 0.5) / self.n_nodes) @ present / np.maximum(present.sum(axis=0), np.finfo(float).tiny)
        column = np.where((named < 0) | (named >= law.shape[1]), -1, named) + 1
        return nodes[together.argmax(axis=0)][column], mean[column]


def halves(n_rows: int, max_rows: int) -> tuple[Ints, Ints]:
    """Return which rows of a table are attacked, and which the attacker has: always the same."""
    chosen = np.random.default_rng(_SPLIT_SEED).permutation(n_rows)[:max_rows]
    target, auxiliary = np.array_split(chosen, 2)
    return target, auxiliary


def _deal(labels: ArrayLike, n_rows: int, target: Ints, auxiliary: Ints) -> tuple[NDArray[Any], NDArray[Any]]:
    y = np.asarray(labels)
    if y.shape != (n_rows,):
        raise DataError("labels are needed for all rows, or for none")
    return y[target], y[auxiliary]
