"""How fast the law of a sum changes with one input: from laws at grid points to those of all values between them.

A value between two grid points is rounded to one of them at random, without bias, so its law is linear between the
grid points. ``docs/proofs/sums.md`` proves for such a family, for x in cell A of the grid and x' in cell B, that

    D_a(x, x') <= ln(1 + a (a - 1) / 2 * J[A, B] * (x - x')**2) / (a - 1),

where J[A, B] is the largest of ``u sum_y e**2 / r + v sum_y e**2 p**(b - 2) r**(1 - b)`` over the laws p at the ends of
A and r at the ends of B, and the slopes e in A, in B, and on average in between. Here (u, v, b) is (2/3, 1/3, a), or
(1 - (a - 2) / 3, (a - 2) / 3, 3) for 2 < a < 3.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hashcomb.privacy.sums.powers import UNIT

__all__ = ("log_slopes", "per_squared_distance", "refined", "steepest")

Floats = NDArray[np.float64]

_EXPONENT = 600.0  # nats; doubles reach to about 700
_MINOR = 70.0  # nats below the likeliest value: all such values together are bounded, not summed one by one
_PAD = 1e-3  # more than a sum of logarithms can be wrong
_LEAST = 1e-40  # more than underflow can take from a sum here
_CELLS = 24


def refined(matrix: Floats, inputs: Floats) -> tuple[Floats, Floats]:
    """Return laws and inputs on a finer grid: smaller cells give a tighter bound.

    Parameters
    ----------
    matrix : ndarray of float64, shape (n_inputs, n_values)
        Laws at the grid points.
    inputs : ndarray of float64, shape (n_inputs,)
        The grid points, increasing; at least two.

    Returns
    -------
    tuple of ndarray of float64, shapes (n_points, n_values) and (n_points,)
        The grid points among them.
    """
    pieces = -(-_CELLS // (len(inputs) - 1))
    parts = np.arange(pieces)[:, None] / pieces
    laws = [(1 - parts) * low + parts * high for low, high in pairwise(matrix)]
    points = [(1 - parts[:, 0]) * low + parts[:, 0] * high for low, high in pairwise(inputs)]
    return np.concatenate([*laws, matrix[-1:]]), np.concatenate([*points, inputs[-1:]])


def steepest(matrix: Floats, inputs: Floats) -> float:
    """Return the largest Fisher information of the input at a grid point, for reports alone."""
    used = matrix[:, matrix[0] > 0]
    changes = (np.diff(used, axis=0) / np.diff(inputs)[:, None]) ** 2
    return float(max((changes / used[:-1]).sum(axis=1).max(), (changes / used[1:]).sum(axis=1).max()))


def per_squared_distance(log_slopes: Floats, divergences: Floats, alpha: float, inputs: Floats) -> float:
    """Return a bound of ``D_a(x, x') / (x - x')**2`` over all pairs of values.

    Parameters
    ----------
    log_slopes : ndarray of float64, shape (n_inputs - 1, n_inputs - 1)
        Logarithms of J.
    divergences : ndarray of float64, shape (n_inputs, n_inputs)
        Bounds of the divergences of ordered pairs of grid points.
    alpha : float
        Order, above 1.
    inputs : ndarray of float64, shape (n_inputs,)
        The grid points, increasing.
    """
    apart = np.maximum(np.maximum(inputs[None, :-1] - inputs[1:, None], inputs[:-1, None] - inputs[None, 1:]), 0.0)
    squares = apart**2
    beside = squares == 0
    squares[beside] = 1.0
    corners = np.maximum(divergences[:-1], divergences[1:])
    corners = np.maximum(corners[:, :-1], corners[:, 1:])  # divergence is largest at corners of a pair of cells
    with np.errstate(over="ignore"):  # then the corners tell more
        rise = alpha / 2 * np.exp(log_slopes)
        far = np.minimum(np.log1p((alpha - 1) * rise * squares) / (alpha - 1), corners) / squares
    return float(np.where(beside, rise, far).max())


def log_slopes(logs: Floats, error: float, alpha: float, inputs: Floats) -> Floats:
    """Return the logarithms of J, rounded up.

    Parameters
    ----------
    logs : ndarray of float64, shape (n_inputs, n_values)
        Logarithms of the laws at the grid points, all finite.
    error : float
        By how much they are off at most.
    alpha : float
        Order, above 1.
    inputs : ndarray of float64, shape (n_inputs,)
        The grid points, increasing; at least two.

    Returns
    -------
    ndarray of float64, shape (n_inputs - 1, n_inputs - 1)
        For cells of the first and of the second value.
    """
    return _Slopes(logs, error, alpha, inputs).candidates()


class _Slopes:
    """The sums for the laws under one noise, relative to the largest of the laws at each value."""

    def __init__(self, logs: Floats, error: float, alpha: float, inputs: Floats) -> None:
        order = 3.0 if 2 < alpha < 3 else alpha
        self._share = (alpha - 2) / 3 if 2 < alpha < 3 else 1 / 3
        tops = logs.max(axis=0)
        gaps, places = tops - logs, tops - tops.max()
        rounding = 8 * UNIT * (logs.shape[1] + (order + 2) * (float(np.abs(logs).max()) + 2))
        self._margin = float(tops.max()) + (2 * order + 2) * error + rounding
        self._error, self._inputs = 2 * error + 1e-15, inputs
        widest = gaps.max(axis=0)
        # Whatever the slope and the two laws, a value adds at most this to J.
        most = places + max(1.0, order - 1) * widest - 2 * math.log(float(np.diff(inputs).min()))
        near = (most >= -_MINOR) & ((order + 2) * widest <= _EXPONENT)
        self._rest = float(np.logaddexp.reduce(most[~near], initial=-np.inf)) + _PAD
        gaps, places = gaps[:, near], places[near]
        self._laws, self._inverse, self._below = np.exp(-gaps), np.exp(gaps), np.exp((order - 1) * gaps)
        # What would underflow is rounded up to exp(-700), times at most exp(600).
        self._plain = np.exp(np.maximum(places, -700.0))
        self._tilted = np.exp(np.maximum(places - (order - 2) * gaps, -700.0))

    def candidates(self) -> Floats:
        n_cells = len(self._inputs) - 1
        largest = np.zeros((n_cells, n_cells))
        for cell in range(n_cells):
            self._beside(cell, largest)
        for low in range(1, n_cells):
            self._between(low, largest)
        with np.errstate(divide="ignore"):
            return np.asarray(np.logaddexp(np.log(largest + _LEAST), self._rest) + self._margin)

    def _squares(self, low: int, high: slice) -> Floats:
        """Return squared slopes from one grid point to higher ones, rounded up."""
        change = np.abs(self._laws[high] - self._laws[low]) + self._error * (self._laws[high] + self._laws[low])
        return np.asarray((change / (self._inputs[high] - self._inputs[low])[:, None]) ** 2)

    def _sum(self, chi: Floats, product: Floats) -> Floats:
        return (1 - self._share) * chi + self._share * product

    def _beside(self, cell: int, largest: Floats) -> None:
        """Take the slope of a cell, for all pairs of it and another."""
        squares, ends = self._squares(cell, slice(cell + 1, cell + 2))[0], [cell, cell + 1]
        chi = (self._plain * squares) @ self._inverse.T
        first = self._sum(chi, (self._tilted[ends] * squares) @ self._below.T).max(axis=0)
        second = self._sum(chi[ends], (self._tilted * squares) @ self._below[ends].T).max(axis=1)
        largest[cell] = np.maximum(largest[cell], _of_cells(first))
        largest[:, cell] = np.maximum(largest[:, cell], _of_cells(second))

    def _between(self, low: int, largest: Floats) -> None:
        """Take the mean slope from one grid point to higher ones, for the cells that end there and begin there."""
        n, lower = len(self._inputs), [low - 1, low]
        squares = self._squares(low, slice(low + 1, n - 1))
        if not len(squares):
            return
        plain = squares * self._plain
        chi = plain @ self._inverse[lower].T
        cells = slice(low + 1, n - 1)
        for upper in (slice(low + 1, n - 1), slice(low + 2, n)):
            above = self._sum(chi, (squares * self._tilted[upper]) @ self._below[lower].T).max(axis=1)
            chi_above = (plain * self._inverse[upper]).sum(axis=1)[:, None]
            below = self._sum(chi_above, (squares * self._below[upper]) @ self._tilted[lower].T).max(axis=1)
            largest[cells, low - 1] = np.maximum(largest[cells, low - 1], above)
            largest[low - 1, cells] = np.maximum(largest[low - 1, cells], below)


def _of_cells(at_points: Floats) -> Floats:
    return np.maximum(at_points[:-1], at_points[1:])
