"""Linear discriminants of true values and of reports, from corrected moments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import block_diag

from hashcomb.integrations.sklearn.corrected import Floats, Scores
from hashcomb.laws import TokenLaw
from hashcomb.moments import Coordinates, Moments, marginal, remove_noise

__all__ = ("discriminants",)

_LEAST = 1e-12


def discriminants(
    moments: Moments, places: Coordinates, laws: Sequence[TokenLaw], ridge: float
) -> tuple[Scores, Scores]:
    """Return what tokens of true values, and what reports, add to the scores of classes.

    Parameters
    ----------
    moments : Moments
        Of the records to learn from.
    places : Coordinates
        In which they are.
    laws : sequence of TokenLaw
        Of the columns.
    ridge : float
        In parts of the largest eigenvalue that noise alone gives the covariances.

    Returns
    -------
    tuple of Scores
        Those of true values, and those of reports.
    """
    prior = moments.weight / max(moments.weight.sum(), _LEAST)
    columns = _columns(moments, places, laws, prior)
    means = np.concatenate([column.means for column in columns], axis=1)
    center = prior @ means
    within, scale, edge = _within(moments, places, columns)
    means -= center
    clean = _solve(within, means, scale, ridge * edge, prior)
    of_clean = _scores(clean, places, places.symbols, center)
    if not any(law.randomized for law in laws):
        return of_clean, of_clean
    noisy = _solve(*_of_reports(moments, places, columns, within, means, prior), scale, ridge * edge, prior)
    return of_clean, _scores(noisy, places, places.reports, center)


class _Column(NamedTuple):
    """What a column's marginals say: means (n_classes, k - 1), and covariances of true values and of the noise."""

    means: Floats
    within: Floats
    noise: Floats
    variance: float


def _columns(moments: Moments, places: Coordinates, laws: Sequence[TokenLaw], prior: Floats) -> list[_Column]:
    each = zip(places.split(moments.means(places)), places.bases, places.reports, laws, strict=True)
    return [_column(marginal(mean, basis), basis, codes[:-1], law, prior) for mean, basis, codes, law in each]


def _column(shares: Floats, basis: Floats, codes: Floats, law: TokenLaw, prior: Floats) -> _Column:
    """Return what follows from the shares of true values, (n_classes, k)."""
    means, pooled = shares @ basis, prior @ shares
    second = (basis.T * pooled) @ basis
    reports = pooled @ law.matrix
    observed = (codes.T * (reports / max(reports.sum(), _LEAST))) @ codes
    within = second - (means.T * prior) @ means
    total = np.trace(observed - np.outer(pooled @ basis, pooled @ basis))
    return _Column(means, within, observed - second, max(float(total) / max(1, basis.shape[1]), _LEAST))


def _within(moments: Moments, places: Coordinates, columns: list[_Column]) -> tuple[Floats, Floats, float]:
    """Return covariances within classes, the scale in which their noise is even, and its largest eigenvalue."""
    scale = np.sqrt([column.variance for column in columns])[places.column]
    n_pairs = moments.n_pairs
    n_records = n_pairs if n_pairs > 0 else max(moments.weight.sum(), 1.0)
    edge = 2 * np.sqrt(len(scale) / n_records)
    both = np.outer(scale, scale)
    between = remove_noise(moments.covariances(places) / both, edge) * both
    return between + _blocks([column.within for column in columns]), scale, float(edge)


def _of_reports(
    moments: Moments, places: Coordinates, columns: list[_Column], within: Floats, means: Floats, prior: Floats
) -> tuple[Floats, Floats]:
    """Return covariances within classes and means of reports' coordinates, about the center, 0 where not reported."""
    seen = moments.pairs / max(moments.weight.sum(), _LEAST)
    share = np.diag(seen)[places.column]
    classes = (means.T * prior) @ means
    whole = within + _blocks([column.noise for column in columns]) + classes
    return seen[np.ix_(places.column, places.column)] * whole - np.outer(share, share) * classes, share * means


def _solve(within: Floats, means: Floats, scale: Floats, ridge: float, prior: Floats) -> tuple[Floats, Floats]:
    """Return weights of coordinates, (n_coordinates, n_classes), and an intercept for each class."""
    values, vectors = np.linalg.eigh(within / np.outer(scale, scale))
    inverse = 1 / (np.clip(values, 0, None) + ridge)
    weights = ((vectors * inverse) @ (vectors.T @ (means / scale).T)) / scale[:, None]
    with np.errstate(divide="ignore"):  # a class that no batch has had yet
        return weights, np.log(prior) - (means * weights.T).sum(axis=1) / 2


def _scores(solution: tuple[Floats, Floats], places: Coordinates, tables: list[Floats], center: Floats) -> Scores:
    weights, intercept = solution
    parts = zip(tables, places.split(center), places.split(weights.T), strict=True)
    scores = [(table - middle) @ own.T for table, middle, own in parts]
    for table in scores:
        table[-1] = 0.0  # what tells nothing scores as the center does
    return Scores(scores, intercept)


def _blocks(parts: list[Floats]) -> Floats:
    return np.asarray(block_diag(*parts))
