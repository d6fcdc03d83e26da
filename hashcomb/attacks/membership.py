"""Membership inference: whether a record was among those whose tokens were counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashcomb.errors import DataError

__all__ = ("MembershipResult", "advantage_bound", "infer_membership", "membership_scores")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class MembershipResult(msgspec.Struct, frozen=True, kw_only=True):
    """How well an attacker tells records that were counted from records that were not.

    Parameters
    ----------
    advantage : float
        Rate of members that are taken for members, minus that of others that are. The threshold is
        chosen on one half of the trials and measured on the other, and the other way round; 0 for guessing.
    auc : float
        Probability that a member scores above another record; 0.5 for guessing.
    bound : float
        What no attack's advantage can exceed, by the epsilon of a record: ``tanh(epsilon / 2)``; 1 without one.
    n_rows : int
        Records in a count.
    n_trials : int
        Games played, half of them with a member.
    """

    advantage: float
    auc: float
    bound: float
    n_rows: int
    n_trials: int


def advantage_bound(epsilon: float) -> float:
    """Return ``(e^epsilon - 1) / (e^epsilon + 1)``, which bounds the advantage of any attack; 1 for infinity."""
    return min(1.0, math.nextafter(math.tanh(epsilon / 2), math.inf))


def membership_scores(
    counts: Sequence[ArrayLike],
    targets: ArrayLike,
    laws: Sequence[ArrayLike | None],
    population: Sequence[ArrayLike],
) -> Floats:
    """Score records by how much likelier the counts are if they were counted.

    For one feature the score is exact: if one of `N` counted reports is the target's and the others come from the
    population, the likelihood ratio is the mean over reports `y` of ``Pr[y | target] / Pr[y]``. Features are
    taken for independent.

    Parameters
    ----------
    counts : sequence of array_like, each of shape (n_reports,)
        How often each report occurs, by feature. The attacker knows what a token stands for: it has known
        rows, or the Key.
    targets : array_like of int, shape (n_targets, n_features)
        Values of the records in question: rows of `laws`.
    laws : sequence of array_like or None, each of shape (n_symbols, n_reports)
        Law of the report for each value; None where the report is the value, without a channel.
    population : sequence of array_like, each of shape (n_reports,)
        Law of the report of a record that is not known, by feature, from auxiliary rows; positive.

    Returns
    -------
    ndarray of float, shape (n_targets,)
        Sum over features of the logarithm of the ratio; minus infinity where a report that the target must give does
        not occur.
    """
    rows = np.asarray(targets)
    score = np.zeros(len(rows))
    for j, (count, law, common) in enumerate(zip(counts, laws, population, strict=True)):
        seen = np.asarray(count, dtype=np.float64)
        excess = seen / seen.sum() / np.asarray(common)
        with np.errstate(divide="ignore"):
            score += np.log(excess[rows[:, j]] if law is None else np.asarray(law)[rows[:, j]] @ excess)
    return score


def infer_membership(
    values: ArrayLike,
    auxiliary: ArrayLike,
    report: Callable[[Ints], Ints],
    laws: Sequence[ArrayLike | None],
    *,
    n_rows: int = 100,
    n_trials: int = 400,
    epsilon: float = math.inf,
    seed: int | None = None,
) -> MembershipResult:
    """Play the game of membership on the user's own records, and measure how often an attacker wins.

    A trial draws `n_rows` records, counts their reports feature by feature, and asks about one record: a counted
    one, or another of the same table. The attacker has the counts, the values of that record, the laws of the
    channel, and an auxiliary sample for the frequencies of the population.

    Parameters
    ----------
    values : array_like of int, shape (n_records, n_features)
        Records to play with: leaves, as rows of `laws`; more than `n_rows`.
    auxiliary : array_like of int, shape (n_other_records, n_features)
        Other records of the same kind.
    report : callable
        Makes fresh reports of values: from shape (n, n_features) to the same, columns of `laws`.
    laws : sequence of array_like or None, each of shape (n_symbols, n_reports)
        As for `membership_scores`.
    n_rows : int, optional
        Records in a count.
    n_trials : int, optional
        Games to play, at least 4.
    epsilon : float, optional
        Epsilon of a whole record, for the bound.
    seed : int, optional
        Makes the choice of records repeatable.

    Returns
    -------
    MembershipResult

    Raises
    ------
    DataError
        If the shapes do not fit, or there are not more records than are counted.

    Notes
    -----
    Privacy: the bound holds for records that are replaced by any other (the neighbors of the channels), for any
    attack and any number of features, if `epsilon` covers all features of a record.

    References
    ----------
    N. Homer et al., "Resolving individuals contributing trace amounts of DNA to highly complex mixtures", PLoS
    Genetics 4 (2008).
    S. Yeom, I. Giacomelli, M. Fredrikson, S. Jha, "Privacy risk in machine learning", IEEE CSF 2018.
    P. Kairouz, S. Oh, P. Viswanath, "The composition theorem for differential privacy", ICML 2015.
    """
    own, other = np.asarray(values), np.asarray(auxiliary)
    fits = own.ndim == 2 and other.ndim == 2 and own.shape[1] == other.shape[1] == len(laws)
    if not fits or not len(other) or n_trials < 4 or not 0 < n_rows < len(own):
        raise DataError(
            "values, auxiliary and laws must have the same columns, and there must be more records than are counted",
            hint="count fewer rows",
        )
    rng = np.random.default_rng(seed)
    known = [None if law is None else np.asarray(law, dtype=np.float64) for law in laws]
    tops = np.maximum(own.max(axis=0), other.max(axis=0)) + 1
    population = [_law_of_others(other[:, j], law, int(tops[j])) for j, law in enumerate(known)]
    members = np.arange(n_trials) < n_trials // 2
    rng.shuffle(members)
    scores = np.array([_play(own, report, known, population, member, n_rows, rng) for member in members])
    return MembershipResult(
        advantage=_advantage(scores, members),
        auc=_auc(scores, members),
        bound=advantage_bound(epsilon),
        n_rows=n_rows,
        n_trials=n_trials,
    )


def _law_of_others(values: Ints, law: Floats | None, n_values: int) -> Floats:
    """Return the law of an unknown record's report; half a record more for each value, so that none is 0."""
    shares = np.bincount(values, minlength=n_values if law is None else len(law)) + 0.5
    mixed = np.asarray(shares / shares.sum() if law is None else shares / shares.sum() @ law)
    return np.where(mixed > 0, mixed, 1.0)  # a report that no value gives


def _play(
    own: Ints,
    report: Callable[[Ints], Ints],
    laws: Sequence[Floats | None],
    population: Sequence[Floats],
    member: bool,
    n_rows: int,
    rng: np.random.Generator,
) -> float:
    """Play one game, and return the attacker's score for the record that it is asked about."""
    *others, asked = rng.choice(len(own), n_rows + 1, replace=False)
    counted = [asked, *others[1:]] if member else others
    reports = np.asarray(report(own[counted]))
    counts = [np.bincount(reports[:, j], minlength=len(common)) for j, common in enumerate(population)]
    return float(membership_scores(counts, own[[asked]], laws, population)[0])


def _auc(scores: Floats, members: NDArray[np.bool_]) -> float:
    others = np.sort(scores[~members])
    below = np.searchsorted(others, scores[members], "left") + np.searchsorted(others, scores[members], "right")
    return float(below.mean() / 2 / len(others))


def _advantage(scores: Floats, members: NDArray[np.bool_]) -> float:
    """Choose the threshold on one half of the games and measure on the other, both ways: so chance does not help."""
    halves = np.arange(len(scores)) % 2 == 0
    return (_measured(scores, members, halves) + _measured(scores, members, ~halves)) / 2


def _measured(scores: Floats, members: NDArray[np.bool_], chosen: NDArray[np.bool_]) -> float:
    taken = scores >= _best_threshold(scores[chosen], members[chosen])
    inside, outside = taken[members & ~chosen], taken[~members & ~chosen]
    return float(inside.mean() - outside.mean()) if len(inside) and len(outside) else 0.0


def _best_threshold(scores: Floats, members: NDArray[np.bool_]) -> float:
    order = np.argsort(-scores, kind="stable")
    gain = np.cumsum(np.where(members[order], 1 / max(members.sum(), 1), -1 / max((~members).sum(), 1)))
    last_of_ties = np.append(scores[order][1:] != scores[order][:-1], True)
    gain = np.where(last_of_ties, gain, -np.inf)
    return float(scores[order][np.argmax(gain)]) if gain.max() > 0 else 0.0
