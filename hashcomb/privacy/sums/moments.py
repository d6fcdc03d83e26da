"""Renyi moments of one report that hides under the noise of others: the inner part of `hashcomb.privacy.sums.client`.

All figures are upper bounds: what doubles may have got wrong is added, and what is left out is replaced by more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from hashcomb.channels import Channel
from hashcomb.errors import ChannelError
from hashcomb.privacy.exact import pure_epsilon
from hashcomb.privacy.sums.blankets import Blanket
from hashcomb.privacy.sums.powers import UNIT, LogLaw, Powers
from hashcomb.privacy.sums.slopes import log_slopes, steepest

__all__ = ("HiddenReport", "matrix_of", "pair_moments", "under_noise")

Floats = NDArray[np.float64]

_EXPONENT = 600.0  # nats; doubles reach to about 700
_MINOR = 50.0  # nats below the likeliest value: all such values together are bounded, not summed one by one
_PAD = 1e-3  # more than a sum of logarithms can be wrong
_SPARED = 1e-6  # how much a figure may grow because numbers of noises are not looked at one by one
_STEP_BITS = 8  # numbers of noises are grouped by their first so many binary digits
_MAX_CHUNK = 1 << 21


class HiddenReport:
    """One report of a channel, in a sum with those of others who each add the blanket's noise at random.

    Parameters
    ----------
    matrix : ndarray of float64, shape (n_symbols, n_reports)
        Row-stochastic; all rows positive in the same columns.
    n_others : int
        How many others there are, at least 0.
    blanket : Blanket or None
        What their reports contain; None for no noise at all.
    """

    def __init__(self, matrix: Floats, n_others: int, blanket: Blanket | None) -> None:
        self._matrix = matrix
        self._n_others = n_others
        self._powers = Powers(np.ones(1) if blanket is None else blanket.noise)
        self._groups = _groups(n_others, blanket.weight) if blanket and n_others else [(0, 0.0)]

    def of(self, matrix: Floats) -> HiddenReport:
        """Return a report of other laws under the same noise."""
        other = copy(self)
        other._matrix = matrix
        return other

    def log_moments(self, alpha: float) -> Floats:
        """Return ``ln E[(p / q)**alpha]`` over q for all ordered pairs of symbols, shape (n_symbols, n_symbols)."""
        alone = pair_moments(*under_noise(self._matrix, self._powers.at(0)), alpha)

        def at(n: int) -> Floats:
            law = self._powers.at(n)
            return np.logaddexp(pair_moments(*under_noise(self._matrix, law), alpha), law.lost + alone)

        return self._mixed(alone, at, min(1.0, float(alone.max())))

    def log_slopes(self, alpha: float, inputs: Floats) -> Floats:
        """Return the logarithms of J of `hashcomb.privacy.sums.slopes`, for the inputs of the rows."""
        alone = log_slopes(*under_noise(self._matrix, self._powers.at(0)), alpha, inputs)

        def at(n: int) -> Floats:
            law = self._powers.at(n)
            return np.logaddexp(log_slopes(*under_noise(self._matrix, law), alpha, inputs), law.lost + alone)

        return self._mixed(alone, at, steepest(self._matrix, inputs))

    def _mixed(self, alone: Floats, at: Callable[[int], Floats], scale: float) -> Floats:
        """Add up a figure over the number of noises, which none of the numbers makes larger than a smaller one."""
        floor = math.log(_SPARED * max(scale, np.finfo(np.float64).tiny) / (self._n_others + 1))
        total, last = np.full(alone.shape, -np.inf), alone
        for n, weight in self._groups:
            if n > 0 and (weight + last > np.maximum(floor, total + math.log(_SPARED))).any():
                last = at(n)
            total = np.logaddexp(total, weight + last)
        return total


def _groups(n_others: int, weight: float) -> list[tuple[int, float]]:
    """Group the numbers of noises; return the least of each group and the logarithm of its probability."""
    starts, step = [0], 1
    while starts[-1] + step <= n_others:
        starts.append(starts[-1] + step)
        step = 1 << max(0, starts[-1].bit_length() - 1 - _STEP_BITS)
    n = np.arange(n_others + 1)
    factorials = gammaln(n + 1.0)
    parts = factorials + factorials[::-1], n * -math.log(weight), n[::-1] * -math.log1p(-weight)
    losses = parts[0] + parts[1] + parts[2]
    masses = factorials[-1] - losses
    masses += UNIT * (8 * (factorials[-1] + losses + 1) + 2 * step * np.abs(masses))
    return list(zip(starts, np.logaddexp.reduceat(masses, starts).tolist(), strict=True))


def under_noise(matrix: Floats, noise: LogLaw) -> tuple[Floats, float]:
    """Add a report to noise.

    Parameters
    ----------
    matrix : ndarray of float64, shape (n_symbols, n_reports)
        Row-stochastic; all rows positive in the same columns, by at least 1e-280 if the noise has two values.
    noise : LogLaw
        What the report is added to.

    Returns
    -------
    tuple of ndarray of float64, shape (n_symbols, n_sums), and float
        Logarithms of the laws of the sum where they are positive, and by how much those are off at most.
    """
    used = np.flatnonzero(matrix[0])
    width, edge = len(noise.logs) + matrix.shape[1] - 1, np.full(matrix.shape[1] - 1, -np.inf)
    padded = np.concatenate([edge, noise.logs, edge])
    # Entry y of the sum is made of noise y - j and report j, which stands at y + n_reports - 1 - j here.
    windows = np.lib.stride_tricks.sliding_window_view(padded, matrix.shape[1])[:, ::-1]
    step = max(1, _MAX_CHUNK // len(used))
    parts = [_weighed(matrix[:, used], windows[start : start + step][:, used]) for start in range(0, width, step)]
    logs = np.concatenate(parts, axis=1)
    largest = float(np.abs(logs).max())
    return logs, noise.error + UNIT * (matrix.shape[1] + 760 + 4 * (largest + 1))


def _weighed(matrix: Floats, windows: Floats) -> Floats:
    tops = windows.max(axis=1)
    some = tops > -np.inf
    likely = np.exp(windows[some] - tops[some, None])
    return np.asarray(np.log(matrix @ likely.T) + tops[some])


def pair_moments(logs: Floats, error: float, alpha: float) -> Floats:
    """Return ``ln sum_y p(y)**alpha q(y)**(1 - alpha)``, rounded up, for all ordered pairs of laws.

    Parameters
    ----------
    logs : ndarray of float64, shape (n_laws, n_values)
        Logarithms of the laws; minus infinity where there is no probability.
    error : float
        By how much the finite ones are off at most.
    alpha : float
        Order, above 1.
    """
    tops = logs.max(axis=0)
    logs, tops = logs[:, tops > -np.inf], tops[tops > -np.inf]
    gaps = tops - logs
    widest = gaps.max(axis=0)
    most = tops + (alpha - 1) * widest  # bounds what a value adds to any of the sums, and their logarithms are about 0
    minor, near = most < tops.max() - _MINOR, alpha * widest <= _EXPONENT
    rest = float(np.logaddexp.reduce(most[minor], initial=-np.inf)) + _PAD
    total = np.logaddexp(_near_moments(gaps[:, near & ~minor], tops[near & ~minor], alpha), rest)
    if not (near | minor).all():
        total = np.logaddexp(total, _far_moments(logs[:, ~near & ~minor], alpha))
    largest = float(np.abs(logs[logs > -np.inf]).max())
    rounding = UNIT * (logs.shape[1] + 8 * alpha * (largest + 2))
    return np.asarray(total + (2 * alpha - 1) * error + rounding)


def _near_moments(gaps: Floats, tops: Floats, alpha: float) -> Floats:
    """Sum over values where one product of matrices reaches; what would underflow is rounded up to exp(-700)."""
    if not tops.size:
        return np.full((len(gaps), len(gaps)), -np.inf)
    left = np.exp(np.maximum(tops - tops.max() - alpha * gaps, -700.0))
    return np.asarray(np.log(left @ np.exp((alpha - 1) * gaps).T) + tops.max())


def _far_moments(logs: Floats, alpha: float) -> Floats:
    """Sum over values pair by pair, in logarithms."""
    return np.stack([_moments_of(row, logs, alpha) for row in logs])


def _moments_of(row: Floats, logs: Floats, alpha: float) -> Floats:
    used = row > -np.inf
    terms = alpha * row[used] + (1 - alpha) * logs[:, used]
    peaks = terms.max(axis=1, initial=-np.inf)
    peaks = np.where(np.isfinite(peaks), peaks, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(terms - peaks[:, None]).sum(axis=1)) + peaks)


def matrix_of(channel: Channel | ArrayLike) -> Floats:
    """Return the matrix of a channel, or check one.

    Parameters
    ----------
    channel : Channel or array_like of float, shape (n_symbols, n_reports)
        A channel bound to its symbols, or a row-stochastic matrix.

    Raises
    ------
    ChannelError
        If it is neither.
    """
    try:
        matrix = np.asarray(channel.matrix() if isinstance(channel, Channel) else channel, dtype=np.float64)
    except (TypeError, ValueError) as error:
        if isinstance(error, ChannelError):
            raise
        raise ChannelError("channel must be a channel bound to its symbols, or a matrix of numbers") from None
    pure_epsilon(matrix)  # refuses what is not row-stochastic
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))
