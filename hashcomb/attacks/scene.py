"""The scene of attacks: the user's rows dealt to a target and to the attacker, and encoded under a fresh Key."""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashcomb.attacks.naming import AttackResult, judge
from hashcomb.channels import Channel, channels_of, reported_features
from hashcomb.channels.randomizer import Randomizer, n_slots, reports_leaves
from hashcomb.errors import DataError, WeakPrivacyWarning
from hashcomb.keys import Key
from hashcomb.placing import place
from hashcomb.spec import Spec
from hashcomb.tokens import Codebook

__all__ = ("MAX_LAW", "Scene")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_LAW = 1 << 10  # symbols of a channel whose matrix is looked at
_SPLIT_SEED = 0


class Scene:
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
        self.spec, self.channels = spec, channels_of(spec)
        self.rng = np.random.default_rng(seed)
        leaves = place(table, spec)
        if len(leaves) < 4:
            raise DataError("there are too few rows to attack some with the others", hint="pass at least 4")
        chosen = np.random.default_rng(_SPLIT_SEED).permutation(len(leaves))[:max_rows]
        target, auxiliary = np.array_split(chosen, 2)
        self.n_rows = len(leaves)
        self.target_leaves, self.auxiliary_leaves = leaves[target], leaves[auxiliary]
        self.labels = None if labels is None else _deal(labels, len(leaves), target, auxiliary)
        self._key = Key.create()
        self.target_reports = self.report(self.target_leaves)
        self.auxiliary_reports = self.report(self.auxiliary_leaves) >> self.shift
        self.tokens = self.encode(self.target_reports)

    # ------------------------------------------------------------------ the numbers of things
    @property
    def own_reports(self) -> bool:
        """Whether tokens stand for reports that are no leaves."""
        return self.channels is not None and not reports_leaves(self.channels)

    @property
    def level(self) -> int:
        """Finest level of the tokens; 0 for reports that are no leaves."""
        return 0 if self.own_reports else self.spec.levels[-1]

    @property
    def shift(self) -> int:
        """Levels between the leaf and the token."""
        return self.spec.depth - self.spec.levels[-1]

    @property
    def n_nodes(self) -> int:
        """Nodes of the level that is named."""
        return 1 << self.spec.levels[-1]

    @property
    def blank(self) -> int:
        """Number of the report that stands for a missing value or an unreported feature, before `shift`."""
        return self.spec.n_leaves if self.channels is None else n_slots(self.channels, self.spec.n_leaves)

    @property
    def target_nodes(self) -> Ints:
        """What the attacker wants to name, shape (n_rows, n_features)."""
        return self.target_leaves >> self.shift

    @property
    def auxiliary_nodes(self) -> Ints:
        """The same of the rows that the attacker knows."""
        return self.auxiliary_leaves >> self.shift

    # ------------------------------------------------------------------ what the owner does
    def report(self, leaves: NDArray[np.int32]) -> NDArray[np.int32]:
        """Send leaves through the Spec's channel with fresh randomness, as encoding does."""
        if self.channels is None:
            return leaves
        choice = self._words(leaves.shape) if self._randomizer.some else None
        return self._randomizer.reports(leaves, self._words(leaves.shape), choice)

    @cached_property
    def _randomizer(self) -> Randomizer:
        assert self.channels is not None
        spec = self.spec
        return Randomizer(self.channels, spec.used_leaves, spec.n_leaves, reported_features(spec))

    def _words(self, shape: tuple[int, ...]) -> NDArray[np.uint64]:
        return self.rng.integers(0, 1 << 64, shape, dtype=np.uint64)  # these tokens never leave: no secret is needed

    def encode(self, reports: NDArray[np.int32], round: int = 0) -> NDArray[Any]:
        """Return the tokens of reports under the fresh Key, shape (n_rows, n_features, n_levels)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", WeakPrivacyWarning)  # the report says more about it
            book = Codebook(self.spec, self._key, round=round, channels=self.channels)
        out = np.empty((*reports.shape, len(self.spec.levels)), dtype=book.dtype)
        book.tokens(np.ascontiguousarray(reports), out)
        return out

    # ------------------------------------------------------------------ what the attacker knows of the channel
    @cached_property
    def laws(self) -> list[Floats | None] | None:
        """Law of the encoded report for each symbol, by feature, shape (n_symbols, n_reports).

        None for a feature whose report is its node; None for all where a channel is too large to look at.
        """
        if self.channels is None:
            return [None] * len(self.spec.features)
        if any((channel.n_symbols or 0) > MAX_LAW for channel in self.channels):
            return None
        known = {id(channel): self._law(channel) for channel in self.channels}
        return [known[id(channel)] for channel in self.channels]

    def _law(self, channel: Channel) -> Floats:
        matrix, share = channel.matrix(), reported_features(self.spec) / len(self.spec.features)
        n_values = channel.n_reports - channel.has_missing
        law = np.zeros((len(matrix), self.blank + 1))
        law[:, :n_values] = share * matrix[:, :n_values]
        law[:, -1] = 1 - share
        if channel.has_missing:
            law[:, -1] += share * matrix[:, -1]
        nodes = np.arange(law.shape[1]) >> self.shift
        return law @ np.eye(int(nodes[-1]) + 1)[nodes] if self.shift else law

    def symbols(self, leaves: NDArray[np.int32]) -> Ints:
        """Return leaves as rows of `laws`, missing values behind the last leaf in use; without a channel, nodes."""
        if self.channels is None:
            return (leaves >> self.shift).astype(np.int64)
        return np.asarray(np.minimum(leaves, np.array(self.spec.used_leaves)), dtype=np.int64)

    def report_symbols(self, symbols: Ints) -> Ints:
        """Return fresh reports of symbols, as columns of `laws`."""
        if self.channels is None:
            return symbols
        leaves = np.where(symbols < np.array(self.spec.used_leaves), symbols, self.spec.n_leaves)
        return (self.report(leaves.astype(np.int32)) >> self.shift).astype(np.int64)

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


def _deal(labels: ArrayLike, n_rows: int, target: Ints, auxiliary: Ints) -> tuple[NDArray[Any], NDArray[Any]]:
    y = np.asarray(labels)
    if y.shape != (n_rows,):
        raise DataError("labels are needed for all rows, or for none")
    return y[target], y[auxiliary]
