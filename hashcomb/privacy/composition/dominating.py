"""Two laws whose privacy loss dominates that of every pair of symbols of a channel: the hockey-stick envelope."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ("Pair", "binary_pair", "dominating_pair")

Floats = NDArray[np.float64]
_UNIT = 2.0**-52  # twice what one operation in double precision can be wrong, relatively


class Pair(NamedTuple):
    """The privacy loss of one release, as masses.

    Attributes
    ----------
    mass : ndarray of float64, shape (n,)
        Probability of each finite loss, positive.
    loss : ndarray of float64, shape (n,)
        Finite losses in nats.
    infinite : float
        Probability of an infinite loss.
    slack : float
        What rounding can have changed: the exact curve at epsilon is at most ``1 + slack`` times that of these
        masses at ``epsilon - slack``.
    """

    mass: Floats
    loss: Floats
    infinite: float
    slack: float


def dominating_pair(rows: Floats) -> Pair:
    """Return the losses whose hockey-stick curve is the largest over all ordered pairs of rows, at every epsilon.

    Parameters
    ----------
    rows : ndarray of float64, shape (n_symbols, n_reports)
        Row-stochastic.

    Notes
    -----
    Whoever must tell row i from row j accepts i on some set of reports: that has probability x under row i and y
    under row j, and delta(epsilon) of the pair is the largest x - e^epsilon y over its sets. Over all pairs it is
    the largest over all points (y, x), so over the corners of their upper convex hull; and the edges of that hull
    are the reports of two laws with just this curve, an edge (dy, dx) with loss ln(dx / dy). Nothing is put on a
    grid. Only the reports that speak for row i are needed (dx > dy): with every pair there is its reverse, so the
    loss -l has e^-l times the mass of l.

    Sums start at the largest loss, so that corners have small relative errors, also where masses are tiny. A
    relative error s of both coordinates moves the curve by a factor 1 + s and epsilon by 2 s: `Pair.slack`.

    References
    ----------
    Y. Zhu, J. Dong, Y.-X. Wang, "Optimal accounting of differential privacy via characteristic function",
    AISTATS 2022 (dominating pairs compose).
    """
    distinct = np.unique(rows, axis=0)
    x, y = np.zeros(1), np.zeros(1)
    for i in range(len(distinct) - 1):
        x, y = _hull(x, y, *_corners(distinct[i], distinct[i + 1 :]))
    infinite, up, down = min(float(x[0]), 1.0), np.diff(x), np.diff(y)
    # The hull is its own mirror image in the line x + y = 1: it is cut there, and the other half made from this.
    before = np.clip((1 - x[:-1] - y[:-1]) / (up + down), 0.0, 1.0)
    telling = (up > down) & (before > 0)
    up, down = (up * before)[telling], (down * before)[telling]
    loss = np.log(up) - np.log(down)
    rest = 1.0 - infinite - math.fsum(up) - math.fsum(down)
    mass = np.concatenate([down[::-1], [max(rest, 0.0)], up])
    losses = np.concatenate([-loss[::-1], [0.0], loss])
    # A sum of n masses is wrong by n units at most; the hull's comparisons by a few more for each of its passes.
    rounding = (rows.shape[1] + 64) * _UNIT + float(np.abs(distinct.sum(axis=1) - 1).max())
    return Pair(mass[mass > 0], losses[mass > 0], infinite, 4 * rounding)


def binary_pair(epsilon: float) -> Pair:
    """Return the losses of binary randomized response, which dominate every channel with that epsilon."""
    other = math.exp(-epsilon) / (1 + math.exp(-epsilon))
    return dominating_pair(np.array([[1 - other, other], [other, 1 - other]]))


def _corners(row: Floats, others: Floats) -> tuple[Floats, Floats]:
    """Return the points (x, y) of the best sets for `row` against each of `others`, and of the reverse."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(row > 0, row / others, 0.0)  # 0 / 0: no report, whatever its place
    order = np.argsort(-ratio, axis=1)
    mine, theirs = row[order], np.take_along_axis(others, order, axis=1)
    against = mine[:, ::-1], theirs[:, ::-1]
    x = np.concatenate([mine.cumsum(axis=1), against[1].cumsum(axis=1)], axis=None)
    y = np.concatenate([theirs.cumsum(axis=1), against[0].cumsum(axis=1)], axis=None)
    return x, y


def _hull(x: Floats, y: Floats, new_x: Floats, new_y: Floats) -> tuple[Floats, Floats]:
    """Return the corners of the upper hull of an earlier hull and new points, by increasing y."""
    above = new_x > np.interp(new_y, y, x)
    x, y = np.concatenate([x, new_x[above]]), np.concatenate([y, new_y[above]])
    order = np.lexsort((-x, y))
    x, y = x[order], y[order]
    higher = np.concatenate([[True], x[1:] > np.maximum.accumulate(x)[:-1]])
    x, y = x[higher], y[higher]
    while True:  # a point on or below the line through its neighbors is no corner, whatever else goes with it
        slope = np.diff(x) / np.diff(y)
        corner = np.concatenate([[True], slope[:-1] > slope[1:], [True]]) if len(x) > 1 else np.ones(len(x), bool)
        if corner.all():
            return x, y
        x, y = x[corner], y[corner]
