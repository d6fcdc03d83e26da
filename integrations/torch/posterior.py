"""What a report says of the true value behind it, given how often true values occur."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb.laws import TokenLaw

__all__ = ("mixtures", "posteriors", "prior_of")

Array = NDArray[Any]
Floats = NDArray[np.float64]

_LEAST_SPREAD = 0.01  # reports that tell less are left as they are: there is nothing to enlarge
_ROUNDS = 300  # of expectation maximization; on the data of our benchmark the prior stands still long before


def prior_of(matrix: Floats, counts: NDArray[Any]) -> Floats:
    """Estimate how often true values occur from how often reports do, by maximum likelihood.

    Parameters
    ----------
    matrix : ndarray of float64, shape (n_symbols, n_reports)
        Probability of each report for each true value.
    counts : ndarray, shape (n_reports,)
        How often each report occurs.

    Returns
    -------
    ndarray of float64, shape (n_symbols,)
        Shares that sum to one; uniform if nothing was reported.

    References
    ----------
    Agrawal, Aggarwal, "On the design and quantification of privacy preserving data mining algorithms", PODS 2001:
    the expectation maximization ``prior <- prior * (matrix @ (share / (prior @ matrix)))``.
    """
    prior = np.full(len(matrix), 1 / len(matrix))
    total = counts.sum()
    if total == 0:
        return prior
    for _ in range(_ROUNDS):
        expected = prior @ matrix
        share = np.divide(counts / total, expected, out=np.zeros(len(counts)), where=expected > 0)
        prior *= matrix @ share
        prior /= prior.sum()
    return prior


def posteriors(
    columns: Sequence[Array], seen: Sequence[tuple[Array, NDArray[np.int64]]], laws: Sequence[TokenLaw]
) -> NDArray[np.float32]:
    """Return the probability of each true value behind each report, by their numbers in a vocabulary.

    Parameters
    ----------
    columns : sequence of ndarray of uint
        The vocabulary's tokens of each column, sorted; they hold all of the laws'.
    seen : sequence of (ndarray of uint, ndarray of int)
        Tokens of each column that occurred, and how often.
    laws : sequence of TokenLaw
        One for each column.

    Returns
    -------
    ndarray of float32, shape (n_columns, n_slots, n_slots)
        A row for each report. Slot 0 is that of unknown tokens, which stand for themselves.
    """
    n_slots = 1 + max(map(len, columns))
    out = np.zeros((len(columns), n_slots, n_slots), dtype=np.float32)
    for slots, known, (tokens, counts), law in zip(out, columns, seen, laws, strict=True):
        np.fill_diagonal(slots, 1.0)
        reports, symbols = (1 + np.searchsorted(known, part) for part in (law.reports, law.symbols))
        prior = prior_of(law.matrix, _counts_of(law.reports, tokens, counts))
        slots[reports] = 0.0
        slots[np.ix_(reports, symbols)] = law.posterior(prior)
        if law.blank is not None:  # says nothing of the value: every value is as likely as ever
            blank = 1 + int(np.searchsorted(known, law.blank))
            slots[blank] = 0.0
            slots[blank, symbols] = prior
    return out


def mixtures(posterior: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what makes vectors of reports and of true values from the rows of a table that is trained.

    The weaker the evidence of reports, the closer their means, and a network would drown it in the noise that training
    adds. So the table is scaled about its mean over reports, until reports differ by about 1.

    Parameters
    ----------
    posterior : ndarray of float32, shape (n_columns, n_slots, n_slots)
        From `posteriors`.

    Returns
    -------
    ndarray of float32, shape (n_columns, 2 * n_slots, n_slots)
        Vectors of reports first, then those of true values. The first are means of the second by `posterior`.
    """
    own = np.stack([_scaled(column) for column in posterior.astype(np.float64)])
    return np.concatenate([posterior @ own, own], axis=1).astype(np.float32)


def _scaled(posterior: Floats) -> Floats:
    """Return the matrix that scales the vectors of a column's true values about their mean over reports."""
    scaled = np.eye(len(posterior))
    reports = posterior[np.diag(posterior) < 1]  # a token that stands for itself needs no help
    if len(reports) == 0:
        return scaled
    mean = reports.mean(axis=0)
    spread = float(((reports - mean) ** 2).sum(axis=1).mean() ** 0.5)
    symbols = np.flatnonzero(mean)
    if spread > _LEAST_SPREAD:
        scaled[np.ix_(symbols, symbols)] += (1 / spread - 1) * (np.eye(len(symbols)) - mean[symbols])
    return scaled


def _counts_of(reports: Array, tokens: Array, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how often each report occurred."""
    place = np.minimum(np.searchsorted(tokens, reports), len(tokens) - 1)
    return np.where(tokens[place] == reports, counts[place], 0)
