"""Path matching: paths of tokens are the comb itself, up to which child of a node is the left one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashcomb.attacks.naming import AttackResult, check_tables, in_order, judge
from hashcomb.errors import DataError

__all__ = ("MAX_LEVELS", "name_paths", "path_matching")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_LEVELS = 10  # every pair of nodes of a level is compared: 2**20 of them at this depth


def path_matching(tokens: ArrayLike, auxiliary: ArrayLike, truth: ArrayLike) -> AttackResult:
    """Match paths of tokens to the nodes of the comb by frequency, and count the rows that are recovered.

    The attacker of `frequency_matching`, with the tokens of all levels (``tokens="comb"``). Equal tokens at a
    level are the same node, so paths show the whole tree but for one bit a node: which of its two children is
    the left one. Of all these ways to lay the tree on the comb, the attacker takes the most likely one, with
    the shares of the children as the auxiliary sample has them. It takes one pass over pairs of nodes, level
    by level from the leaves up, and one down.

    Parameters
    ----------
    tokens : array_like, shape (n_rows, n_features, depth)
        What the attacker sees, the coarsest level first.
    auxiliary : array_like of int, shape (n_other_rows, n_features)
        Leaves of other rows; ``2**depth`` for missing values.
    truth : array_like of int, shape (n_rows, n_features)
        Leaves of the rows themselves, to judge the attack.

    Returns
    -------
    AttackResult

    Raises
    ------
    DataError
        If the shapes do not fit, there are no rows, more levels than `MAX_LEVELS`, or tokens that are no paths.

    Notes
    -----
    Privacy: `truth` takes a key holder; run this where the data are.
    """
    seen, known, true = check_tables(tokens, auxiliary, truth, n_dimensions=3)
    return judge(name_paths(seen, known), known, true, 1 << seen.shape[2])


def name_paths(seen: NDArray[Any], known: NDArray[Any]) -> Ints:
    """Return the leaf that each path is named, shape (n_rows, n_features), ``2**depth`` for missing values.

    Raises
    ------
    DataError
        If there are more levels than `MAX_LEVELS`, or tokens that are no paths.
    """
    n_levels = seen.shape[2]
    if n_levels > MAX_LEVELS:
        raise DataError("too many levels to match", hint=f"attack combs of at most {MAX_LEVELS} levels")
    return np.stack([_name_column(seen[:, j], known[:, j], n_levels) for j in range(seen.shape[1])], axis=1)


class _Layout(NamedTuple):
    """A way to lay paths on the comb, and how likely it is."""

    score: float
    leaves: Ints


def _name_column(paths: NDArray[Any], known: Ints, n_levels: int) -> Ints:
    top, n_leaves = in_order(paths[:, 0]), 1 << n_levels
    absent = [top == code for code in range(top.max() + 1)] if (known >= n_leaves).any() or top.max() > 1 else []
    # Missing values have a path of their own, which the attacker cannot tell from a lonely leaf but by frequency.
    guesses = [np.zeros(len(top), dtype=bool), *(one for one in absent if len(np.unique(paths[one, -1])) == 1)]
    guesses = [gone for gone in guesses if len(np.unique(top[~gone])) <= 2]
    if not guesses:
        raise DataError("tokens of a feature are no paths: a node has three children", hint="pass tokens='comb'")
    return max((_lay(paths, gone, known, n_levels) for gone in guesses), key=lambda layout: layout.score).leaves


def _lay(paths: NDArray[Any], gone: NDArray[np.bool_], known: Ints, n_levels: int) -> _Layout:
    """Lay paths on the comb, with some of them taken for missing values."""
    leaves = np.full(len(paths), 1 << n_levels)
    numbers, present = _number(paths[~gone]), known[known < 1 << n_levels]
    share = (len(known) - len(present) + 0.5) / (len(known) + 1)
    score = gone.sum() * np.log(share) + (~gone).sum() * np.log(1 - share)
    counts = np.bincount(numbers, minlength=1 << n_levels)
    likelihood, places = _most_likely(counts, np.bincount(present, minlength=1 << n_levels))
    leaves[~gone] = places[numbers]
    return _Layout(float(score + likelihood), leaves)


def _number(paths: NDArray[Any]) -> Ints:
    """Return a number for each leaf, by its path: the children of a node are numbered in order of occurrence.

    Raises
    ------
    DataError
        If a node has more than two children.
    """
    numbers = np.zeros(len(paths), dtype=np.int64)
    for tokens in paths.T:
        code, n_codes = in_order(tokens), len(tokens) + 1
        pair = numbers * n_codes + code
        distinct, place = np.unique(pair, return_inverse=True)
        parent = distinct // n_codes
        rank = np.arange(len(distinct)) - np.searchsorted(parent, parent)
        if len(rank) and (rank.max() > 1 or len(distinct) > code.max() + 1):
            raise DataError("tokens of a feature are no paths", hint="pass what tokens='comb' gave")
        numbers = 2 * numbers + rank[place.reshape(-1)]
    return numbers


def _most_likely(counts: Ints, known: Ints) -> tuple[float, Ints]:
    """Return the log-likelihood of the best layout, and the leaf of the comb for each number, shape (2**depth,).

    ``score[u, v]`` is that of the tree below node `u` laid on the tree below node `v` of the comb.
    """
    score: Floats = np.zeros((len(counts), len(counts)))
    flips = []
    while len(counts) > 1:
        laid = score + counts[:, None] * _log_shares(known)[None, :]
        children = laid.reshape(len(counts) // 2, 2, len(counts) // 2, 2)
        straight = children[:, 0, :, 0] + children[:, 1, :, 1]
        crossed = children[:, 0, :, 1] + children[:, 1, :, 0]
        flips.append(crossed > straight)
        score = np.maximum(straight, crossed)
        counts, known = counts.reshape(-1, 2).sum(axis=1), known.reshape(-1, 2).sum(axis=1)
    places = np.zeros(1, dtype=np.int64)
    for flip in reversed(flips):
        crossed_here = flip[np.arange(len(places)), places].astype(np.int64)
        places = (2 * places[:, None] + np.stack([crossed_here, 1 - crossed_here], axis=1)).reshape(-1)
    return float(score[0, 0]), places


def _log_shares(known: Ints) -> Floats:
    """Return the logarithm of each node's share of its parent; half a row more for each, so that none is 0."""
    pairs = known.reshape(-1, 2) + 0.5
    return np.asarray(np.log(pairs / pairs.sum(axis=1, keepdims=True)).reshape(-1))
