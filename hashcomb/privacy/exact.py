"""Exact privacy of a channel's matrix, over all pairs of true symbols."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashcomb.channels.channel import positive, row_stochastic
from hashcomb.errors import ChannelError

__all__ = ("hockey_stick", "order_of", "pure_epsilon", "renyi")

Floats = NDArray[np.float64]


def pure_epsilon(matrix: ArrayLike) -> float:
    """Return the least epsilon for which the channel is epsilon-differentially private.

    Parameters
    ----------
    matrix : array_like of float, shape (n_symbols, n_reports)
        Row-stochastic.

    Returns
    -------
    float
        The largest ``ln(max_i P[i, j] / min_i P[i, j])`` over columns with a positive entry; infinity if such
        a column holds a zero.

    Raises
    ------
    ChannelError
        If the matrix is not row-stochastic.
    """
    P = row_stochastic(matrix, "a channel's matrix")
    most, least = P.max(axis=0), P.min(axis=0)
    used = most > 0
    if (least[used] == 0).any():
        return math.inf
    return float(np.log(most[used] / least[used]).max())


def renyi(matrix: ArrayLike, alpha: float) -> float:
    """Return the Renyi divergence of order `alpha` > 1, the largest over ordered pairs of symbols.

    Parameters
    ----------
    matrix : array_like of float, shape (n_symbols, n_reports)
        Row-stochastic.
    alpha : float
        Order, above 1 and finite.

    Raises
    ------
    ChannelError
        If the order or the matrix is none.

    References
    ----------
    I. Mironov, "Renyi differential privacy", CSF 2017.
    """
    alpha = order_of(alpha)
    P = row_stochastic(matrix, "a channel's matrix")
    with np.errstate(divide="ignore"):
        logs = np.log(P)
    # In log space: P**alpha underflows long before the divergence is small.
    with np.errstate(invalid="ignore"):
        terms = alpha * logs[:, None, :] + (1 - alpha) * logs[None, :, :]
    terms = np.where(P[:, None, :] > 0, terms, -np.inf)
    peak = terms.max(axis=2)
    with np.errstate(invalid="ignore"):
        total = peak + np.log(np.exp(terms - peak[:, :, None]).sum(axis=2))
    return float(np.where(np.isinf(peak), peak, total).max() / (alpha - 1))


def hockey_stick(matrix: ArrayLike, epsilon: float) -> float:
    """Return the least delta for which the channel is (epsilon, delta)-differentially private.

    Parameters
    ----------
    matrix : array_like of float, shape (n_symbols, n_reports)
        Row-stochastic.
    epsilon : float
        At least 0.

    Raises
    ------
    ChannelError
        If the matrix is not row-stochastic, or `epsilon` no number of at least 0.
    """
    if not _real(epsilon) >= 0:
        raise ChannelError("epsilon must be a number of at least 0")
    P = row_stochastic(matrix, "a channel's matrix")
    return float(max(np.maximum(row - math.exp(epsilon) * P, 0.0).sum(axis=1).max() for row in P))


def order_of(alpha: float) -> float:
    """Return a Renyi order as a float; raise `ChannelError` if it is no finite number above 1."""
    order = positive(alpha, "alpha")
    if order <= 1:
        raise ChannelError("alpha, the Renyi order, must be above 1 and finite")
    return order


def _real(value: Any) -> float:
    return float(value) if isinstance(value, Real) else math.nan
