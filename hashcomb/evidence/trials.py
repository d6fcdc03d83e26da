"""Trials of one way to train, and the choice among several within the training rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from hashcomb.errors import ChannelError
from hashcomb.evidence.fold import Fold

__all__ = ("Epsilons", "Tested", "Trial", "best")


Epsilons = tuple[float | None, float | None]  # of a feature and of a record


class Tested(NamedTuple):
    """What came of a trial.

    Attributes
    ----------
    accuracy : float
        Share of the test rows that were named rightly.
    epsilons : callable
        Computes the exact epsilon of a feature and that of a record; for what was chosen alone, as it takes time.
    """

    accuracy: float
    epsilons: Callable[[], Epsilons]


Trial = Callable[[Fold, int], Tested]


def best(trials: Sequence[Trial], fold: Fold, seed: int) -> Tested:
    """Choose a trial on three quarters of the training rows, tested on the rest, and return what it makes of the fold.

    Trials whose channel cannot be, or cannot be undone, on these rows are left out.

    Parameters
    ----------
    trials : sequence of callable
        Each trains on the training rows of a fold, and is scored on its test rows.
    fold : Fold
        Rows.
    seed : int
        Of the choice and of the trials.

    Raises
    ------
    ChannelError
        If no trial is left.
    """
    if len(trials) == 1:
        return trials[0](fold, seed)
    inner = _inner(fold, seed)
    scores: list[tuple[float, Trial]] = []
    for trial in trials:
        try:
            scores.append((trial(inner, seed + 1000).accuracy, trial))
        except ChannelError as error:
            refused = error
    if not scores:
        raise refused
    return max(scores, key=lambda one: one[0])[1](fold, seed)


def _inner(fold: Fold, seed: int) -> Fold:
    order = np.random.default_rng(seed).permutation(len(fold.y))
    test, train = np.split(order, [len(order) // 4])
    return Fold(fold.X[train], fold.y[train], fold.X[test], fold.y[test])
