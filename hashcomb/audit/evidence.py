"""What counts of reports prove about a channel: bounds that hold for every sample size, none of them asymptotic.

Everything here works on counts and laws alone; `hashcomb.audit.drawing` draws them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import betaincinv, ndtri, rel_entr

__all__ = ("Event", "best_event", "epsilon_bound", "features_apart", "places_apart", "score_tables", "unlikely")

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_SURPRISE = 0.01
_MAX_PAIRED = 32


class Event(NamedTuple):
    """Two symbols, a set of reports that tells them apart, and how to share out the draws between them."""

    first: int
    second: int
    reports: NDArray[np.bool_]
    share: float


# ---------------------------------------------------------------------- epsilon from below
def epsilon_bound(hits: Counts, draws: Counts, alpha: float) -> float:
    """Return a lower bound on epsilon from how often two symbols hit an event that was chosen before.

    Parameters
    ----------
    hits, draws : ndarray of int, shape (2,)
        Reports in the event, and reports in all, of the first and of the second symbol.
    alpha : float
        The bound is above the truth with at most this probability.

    Returns
    -------
    float
        ``ln(low / high)`` of the Clopper-Pearson bounds of both shares, at least 0.

    References
    ----------
    C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits", Biometrika 26 (1934).
    Z. Ding, Y. Wang, G. Wang, D. Zhang, D. Kifer, "Detecting violations of differential privacy", CCS 2018.
    """
    low = betaincinv(hits[0], draws[0] - hits[0] + 1, alpha / 2) if hits[0] else 0.0
    high = betaincinv(hits[1] + 1, draws[1] - hits[1], 1 - alpha / 2) if hits[1] < draws[1] else 1.0
    return max(0.0, math.log(float(low) / float(high))) if low > 0 else 0.0


def best_event(counts: Counts, law: Floats, n_draws: Floats, alpha: float) -> Event | None:
    """Choose the pair of symbols and the event from which most epsilon is to be proved.

    Parameters
    ----------
    counts : ndarray of int, shape (n_symbols, n_reports)
        Reports of a pilot; they must not be used again to prove anything about the event.
    law : ndarray of float, shape (n_symbols, n_reports)
        What the channel states. It is believed for the choice except where a count is no chance, so that noise in
        few draws does not decide where nothing is wrong.
    n_draws : ndarray of float, shape (n_symbols, n_symbols)
        Draws to come, if this is the pair.
    alpha : float
        As for `epsilon_bound`.

    Returns
    -------
    Event or None
        None if the pilot has fewer than two symbols, or there are no draws to come for the best pair.

    Notes
    -----
    For a given pair the best events are those above a threshold of the likelihood ratio (Neyman and Pearson).
    """
    drawn = counts.sum(axis=1)
    symbols = np.flatnonzero(drawn)
    if len(symbols) < 2:
        return None
    totals = drawn[symbols, None]
    is_chance = unlikely(counts[symbols], totals, law[symbols]) * counts[symbols].size > _SURPRISE
    shares: Floats = np.where(is_chance, law[symbols], counts[symbols] / totals)
    half = n_draws[np.ix_(symbols, symbols)] / 2
    chosen = _promising(shares, half, alpha)
    found = max((_best_of(shares, i, chosen, half, alpha) for i in chosen), key=lambda one: one[0])
    _, i, j, reports = found
    if half[i, j] == 0:
        return None
    return Event(int(symbols[i]), int(symbols[j]), reports, _share(shares[i, reports].sum(), shares[j, reports].sum()))


def _promising(shares: Floats, half: Floats, alpha: float) -> NDArray[np.int64]:
    """Return the symbols that are highest or lowest where a single report proves most, or all if there are few."""
    if len(shares) <= _MAX_PAIRED:
        return np.arange(len(shares))
    top, bottom = shares.argmax(axis=0), shares.argmin(axis=0)
    columns = np.arange(shares.shape[1])
    worth = _worth(shares[top, columns], shares[bottom, columns], half[top, bottom], alpha)
    best = np.argsort(-worth, kind="stable")
    ranked = np.column_stack([top[best], bottom[best]]).ravel()
    _, first = np.unique(ranked, return_index=True)
    return np.asarray(ranked[np.sort(first)[:_MAX_PAIRED]])


def _best_of(
    shares: Floats, i: int, others: NDArray[np.int64], half: Floats, alpha: float
) -> tuple[float, int, int, NDArray[np.bool_]]:
    """Return the best event of one symbol against all others, and what it is worth."""
    others = others[others != i]
    mine, theirs = np.broadcast_to(shares[i], (len(others), shares.shape[1])), shares[others]
    ratio = np.divide(mine, theirs, out=np.full(mine.shape, np.inf), where=theirs > 0)
    order = np.argsort(-np.where(mine > 0, ratio, -1.0), axis=1, kind="stable")
    low = np.take_along_axis(mine, order, axis=1).cumsum(axis=1)
    high = np.take_along_axis(theirs, order, axis=1).cumsum(axis=1)
    worth = _worth(low, high, half[i, others][:, None], alpha)
    row, length = np.unravel_index(worth.argmax(), worth.shape)
    reports = np.zeros(shares.shape[1], dtype=bool)
    reports[order[row, : length + 1]] = True
    return float(worth[row, length]), i, int(others[row]), reports


def _worth(low: Floats, high: Floats, half: Floats, alpha: float) -> Floats:
    """Return about what `epsilon_bound` will be with so many draws for each of the pair."""
    z, n = -float(ndtri(alpha / 2)), np.maximum(half, 1e-9)
    proved = low - z * np.sqrt(np.maximum(low * (1 - low), 0) / n)
    allowed = high + z * np.sqrt(high / n) + z**2 / n
    return np.asarray(np.log(np.maximum(proved, 1e-300) / allowed))


def _share(low: float, high: float) -> float:
    """Return the part of the draws that the first symbol gets: the errors of both logarithms add up."""
    spreads = [math.sqrt((1 - p) / p) for p in (min(max(p, 1e-9), 1 - 1e-9) for p in (low, high))]
    mine, theirs = (math.pow(spread, 2 / 3) for spread in spreads)
    return min(max(mine / (mine + theirs), 0.05), 0.95)


# ---------------------------------------------------------------------- goodness of fit
def unlikely(counts: NDArray[Any], totals: NDArray[Any], law: NDArray[Any]) -> Floats:
    """Bound the probability of counts at least so far from their means, one by one.

    Parameters
    ----------
    counts, totals : ndarray of int
        How many of how many draws hit; shapes that broadcast.
    law : ndarray of float
        The mean probability of a hit.

    Returns
    -------
    ndarray of float
        Two-sided, at most 1. Not below the probability itself where draws are independent, even if their
        probabilities differ about the mean, and where they exclude each other, as features do when some of a
        record's are chosen.

    References
    ----------
    W. Hoeffding, "Probability inequalities for sums of bounded random variables", JASA 58 (1963), theorem 1.
    """
    share = counts / np.maximum(totals, 1)
    law = np.clip(law, 0.0, 1.0)
    entropy = rel_entr(share, law) + rel_entr(1 - share, 1 - law)
    return np.asarray(np.minimum(1.0, 2 * np.exp(-totals * np.maximum(entropy, 0.0))))


# ---------------------------------------------------------------------- independence
def score_tables(law: Floats) -> tuple[Floats, Floats]:
    """Return scores of reports with mean 0 for every symbol, to be correlated.

    Parameters
    ----------
    law : ndarray of float, shape (n_symbols, n_reports)
        Row-stochastic.

    Returns
    -------
    scores : ndarray, shape (2, n_symbols, n_reports)
        Whether the report is in the likeliest half, and whether its number is odd, less the mean. Two reports
        from one random word agree in the first if both are true, and in the second if both are noise.
    variances : ndarray, shape (2, n_symbols)
    """
    order = np.argsort(-law, axis=1, kind="stable")
    ordered = np.take_along_axis(law, order, axis=1)
    likely = np.zeros_like(law)
    np.put_along_axis(likely, order, (ordered.cumsum(axis=1) - ordered < 0.5).astype(float), axis=1)
    odd = np.broadcast_to(np.arange(law.shape[1]) % 2.0, law.shape)
    marks = np.stack([likely, odd])
    means = np.clip((law * marks).sum(axis=2), 0.0, 1.0)
    return marks - means[:, :, None], means * (1 - means)


def places_apart(scores: Floats, variances: Floats) -> tuple[float, int]:
    """Test whether scores at some distance from each other go together, at every distance there is.

    Parameters
    ----------
    scores, variances : ndarray of float, shape (n,)
        Independent scores with mean 0, within [-1, 1], and their variances.

    Returns
    -------
    p_value : float
        Over all distances; a bound, as in `unlikely`.
    distance : int
        The most conspicuous one.

    Notes
    -----
    Products at one distance fall in two classes of independent ones; Bernstein's inequality holds for each, and
    the inequality of Cauchy and Schwarz joins them.

    References
    ----------
    S. Boucheron, G. Lugosi, P. Massart, "Concentration inequalities", 2013, theorem 2.10.
    """
    size = next_fast_len(2 * len(scores), real=True)
    spectrum = rfft(scores, size, workers=2)
    sums = np.abs(irfft(np.abs(spectrum) ** 2, size, workers=2)[1 : len(scores)])
    exponents = _bernstein(sums, 2 * float((variances**2).sum()), 2 * float(np.abs(scores).max() ** 2))
    distance = int(exponents.argmax())
    return _corrected(float(exponents[distance]), len(exponents)), distance + 1


def features_apart(scores: Floats, variances: Floats) -> tuple[float, tuple[int, int]]:
    """Test whether the scores of two columns go together within rows, for every pair of columns.

    Parameters
    ----------
    scores, variances : ndarray of float, shape (n_rows, n_columns)
        As for `places_apart`; at least two columns.

    Returns
    -------
    p_value : float
        Over all pairs; a bound.
    pair : (int, int)
        The most conspicuous one.
    """
    pairs = np.triu_indices(scores.shape[1], 1)
    sums = np.abs((scores.T @ scores)[pairs])
    exponents = _bernstein(sums, (variances.T @ variances)[pairs], float(np.abs(scores).max() ** 2))
    worst = int(exponents.argmax())
    return _corrected(float(exponents[worst]), len(exponents)), (int(pairs[0][worst]), int(pairs[1][worst]))


def _bernstein(sums: Floats, variance: Any, largest: float) -> Floats:
    """Return minus the logarithm of Bernstein's bound for sums of independent products."""
    scale = 2 * variance + 2 / 3 * largest * sums
    return np.asarray(np.divide(sums**2, scale, out=np.zeros_like(sums), where=scale > 0))


def _corrected(exponent: float, n_compared: int) -> float:
    return min(1.0, 2 * n_compared * math.exp(-exponent))
