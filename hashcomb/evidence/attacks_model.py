"""Membership in a model: whether a record was trained on, told from the model's loss on it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline

from hashcomb.attacks.scene import Scene
from hashcomb.errors import DataError
from hashcomb.integrations.sklearn import TokenOneHot

__all__ = ("advantage_from_loss", "on_raw_rows", "on_tokens")

N_TREES = 100
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


def advantage_from_loss(members: Floats, others: Floats) -> float:
    """Return how far the rates of right and wrong alarms are apart, for whoever knows the mean loss in training.

    Parameters
    ----------
    members, others : ndarray, shape (n_members,) and (n_others,)
        Loss of the model on records that it was trained on, and on others.

    Returns
    -------
    float
        A record is taken for a member if the loss on it is at most the members' mean. 0 is guessing, 1 certainty.

    Raises
    ------
    DataError
        If there are no members or no others.

    References
    ----------
    S. Yeom, I. Giacomelli, M. Fredrikson, S. Jha, "Privacy risk in machine learning", IEEE CSF 2018, adversary 2.
    """
    if not len(members) or not len(others):
        raise DataError("members and others are needed to tell them apart", hint="there are too few distinct rows")
    threshold = members.mean()
    return float((members <= threshold).mean() - (others <= threshold).mean())


def on_raw_rows(X: Floats, y: NDArray[Any], trained: Ints, members: Ints, others: Ints, seed: int) -> float:
    """Train a random forest on raw rows, and return the advantage.

    Parameters
    ----------
    X : ndarray, shape (n_rows, n_features)
        Rows.
    y : ndarray, shape (n_rows,)
        Labels.
    trained, members, others : ndarray of int
        Numbers of the rows that are trained on, of those of them that the attacker asks about, and of others.
    seed : int
        Of the forest.
    """
    forest = _forest(seed).fit(X[trained], y[trained])
    return advantage_from_loss(*(_loss(forest, X[rows], y[rows]) for rows in (members, others)))


def on_tokens(scene: Scene, trained: Mask, members: Mask, others: Mask, seed: int) -> float:
    """Train a random forest on one-hot tokens of the target, and return the advantage.

    The attacker knows a record and has somebody encode it: without a channel's noise where its reports are leaves,
    for that is nearest to what was trained on; otherwise by a fresh report. Reports stand for their tokens, one for
    one: a forest draws columns by their order, which would change with every Key.

    Parameters
    ----------
    scene : Scene
        With labels.
    trained, members : ndarray of bool, shape (n_target,)
        Which target rows are trained on, and about which of them the attacker asks.
    others : ndarray of bool, shape (n_auxiliary,)
        Which auxiliary rows it asks about besides.
    seed : int
        Of the forest.

    Raises
    ------
    DataError
        If the scene has no labels.
    """
    if scene.labels is None:
        raise DataError("there are no labels to train on")
    y, other_y = scene.labels
    reports = (scene.target_reports[trained] >> scene.shift).astype(np.uint64)
    forest = make_pipeline(TokenOneHot(), _forest(seed)).fit(reports, y[trained])
    inside = _loss(forest, _asked(scene, scene.target_leaves[members]), y[members])
    outside = _loss(forest, _asked(scene, scene.auxiliary_leaves[others]), other_y[others])
    return advantage_from_loss(inside, outside)


def _asked(scene: Scene, leaves: NDArray[np.int32]) -> NDArray[Any]:
    return ((scene.report(leaves) if scene.own_reports else leaves) >> scene.shift).astype(np.uint64)


def _forest(seed: int) -> RandomForestClassifier:
    return RandomForestClassifier(N_TREES, random_state=seed)


def _loss(model: Any, rows: NDArray[Any], y: NDArray[Any]) -> Floats:
    """Return the logarithmic loss on each row.

    A label that no tree names has the probability of half a tree: a single infinite loss would lift the members' mean,
    and so the threshold, above all others.
    """
    place = np.searchsorted(model.classes_, y).clip(max=len(model.classes_) - 1)
    told = model.predict_proba(rows)[np.arange(len(y)), place] * (model.classes_[place] == y)
    return np.asarray(-np.log(np.maximum(told, 0.5 / N_TREES)))
