"""What one token of one feature releases: its law, and the figures that follow from the law alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hashcomb.channels import Channel, channels_of
from hashcomb.privacy.exact import hockey_stick, pure_epsilon
from hashcomb.spec import Categorical, Spec

__all__ = (
    "CURVE",
    "MAX_MATRIX",
    "MAX_SEARCHED",
    "Release",
    "added_up",
    "error",
    "information",
    "release_of",
    "releases_of",
)

Floats = NDArray[np.float64]

MAX_MATRIX = 1 << 22  # entries of a matrix that is looked at as a whole: 32 MiB
MAX_SEARCHED = 1 << 9  # rows of a matrix of which all pairs are compared
CURVE = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # epsilons at which a channel without any is described
_ROUNDING = 1e-12  # more than sums of so many doubles and a logarithm can be wrong: a claim is not below the truth


@dataclass(frozen=True)
class Release:
    """One token of one feature.

    Parameters
    ----------
    law : Channel, ndarray of shape (n_symbols, n_reports), or None
        What the token tells at most: the channel, or its matrix with the reports merged that give one token.
        None for deterministic tokens.
    epsilon : float
        Epsilon of the token, rounded up by at most 1e-12; infinity where none holds.
    exact : bool
        Whether `epsilon` is the least one; otherwise it is that of the leaf's report, a bound.
    n_symbols, n_tokens : int
        Different true symbols, that of missing values among them, and different tokens.
    bits : float or None
        Mutual information of token and symbol for a uniform symbol; None where the matrix is too large.
    error : float or None
        Mean squared error of decoding the token to the posterior mean, for a value uniform on [0, 1] that is cut
        into leaves of equal width; None for categories, and where the matrix is too large.
    deltas : tuple of (epsilon, delta)
        Where epsilon is infinite: the least delta at the epsilons of `CURVE`.
    """

    law: Channel | Floats | None
    epsilon: float
    exact: bool
    n_symbols: int
    n_tokens: int
    bits: float | None
    error: float | None
    deltas: tuple[tuple[float, float], ...] = ()


@lru_cache(maxsize=2)  # report, costs and figures of one Spec ask for the same
def releases_of(spec: Spec) -> tuple[Release, ...]:
    """Return what one token of each feature releases; features with one channel and comb share one.

    Raises
    ------
    SpecError
        If the Spec names an unknown channel, or gives one parameters that it cannot have.
    """
    channels = channels_of(spec) or (None,) * len(spec.features)
    shift = spec.depth - spec.levels[-1]
    known: dict[tuple[int, int, bool], Release] = {}
    releases = []
    for feature, n_used, channel in zip(spec.features, spec.used_leaves, channels, strict=True):
        is_ordered = not isinstance(feature, Categorical)
        key = id(channel), n_used, is_ordered
        if key not in known:
            known[key] = (
                _plain(spec, n_used, shift, is_ordered)
                if channel is None
                else release_of(channel, n_used, is_ordered=is_ordered, shift=shift)
            )
        releases.append(known[key])
    return tuple(releases)


def _plain(spec: Spec, n_used: int, shift: int, is_ordered: bool) -> Release:
    whole, rest = divmod(n_used, 1 << shift)
    sizes = np.array([1 << shift] * min(1, whole) + [rest] * (rest > 0) + [1] * (spec.missing == "token"))
    times = np.array([whole] * min(1, whole) + [1] * (len(sizes) - min(1, whole)))
    shares = sizes / (sizes * times).sum()
    return Release(
        law=None,
        epsilon=math.inf,
        exact=True,
        n_symbols=int((sizes * times).sum()),
        n_tokens=int(times.sum()),
        bits=abs(float((times * shares * np.log2(shares)).sum())),  # no minus sign before a zero
        error=1 / (12 * whole**2) if is_ordered else None,
    )


def release_of(channel: Channel, n_used: int, *, is_ordered: bool, shift: int = 0) -> Release:
    """Return what one report of a channel releases, or the node `shift` levels above the reported leaf.

    Parameters
    ----------
    channel : Channel
        Bound to `n_used` symbols, and perhaps one for missing values behind them.
    n_used : int
        Leaves that the feature can fill.
    is_ordered : bool
        Whether they are the leaves of a comb; categories are not.
    shift : int, optional
        Levels between the leaf and what becomes a token; above 0 only for reports that are leaves.
    """
    n_symbols, n_reports = channel.n_symbols or 0, channel.n_reports
    if n_symbols * n_reports > MAX_MATRIX:
        blank = channel.has_missing
        n_tokens = ((n_reports - blank - 1) >> shift) + 1 + blank
        return Release(channel, channel.epsilon, shift == 0, n_symbols, n_tokens, None, None)
    matrix = channel.matrix()
    law: Channel | Floats = channel
    epsilon = channel.epsilon
    if shift:
        matrix = _merged(matrix, n_used, shift)
        epsilon = min(pure_epsilon(matrix) + _ROUNDING, epsilon)
        rows = np.unique(matrix, axis=0)  # leaves of one node often have one law
        law = rows if len(rows) <= MAX_SEARCHED else channel
    return Release(
        law=law,
        epsilon=epsilon,
        exact=True,
        n_symbols=n_symbols,
        n_tokens=matrix.shape[1],
        bits=information(matrix),
        error=error(matrix, n_used) if is_ordered else None,
        deltas=_curve(channel, matrix) if math.isinf(epsilon) else (),
    )


def _merged(matrix: Floats, n_used: int, shift: int) -> Floats:
    """Add up the reports that have one node `shift` levels above the leaf; missing values have their own."""
    reports = np.arange(matrix.shape[1])
    nodes = np.where(reports < n_used, reports >> shift, -1)
    _, node_of = np.unique(nodes, return_inverse=True)
    return np.asarray(matrix @ np.eye(node_of.max() + 1)[node_of])


def _curve(channel: Channel, matrix: Floats) -> tuple[tuple[float, float], ...]:
    """Return the least delta at the epsilons of `CURVE`, or nothing where there are too many pairs to compare."""
    pair = channel.worst_pair() if matrix.shape[1] == channel.n_reports else None
    rows = np.unique(matrix, axis=0) if pair is None else pair
    if len(rows) > MAX_SEARCHED:
        return ()
    return tuple((epsilon, min(1.0, hockey_stick(rows, epsilon) + _ROUNDING)) for epsilon in CURVE)


def added_up(epsilons: Iterable[float], n_reported: int, rounds: int = 1) -> float:
    """Return the sum of the largest `n_reported` epsilons, rounded up: what a record that reports so many costs."""
    largest = sorted(epsilons, reverse=True)[:n_reported]
    if any(math.isinf(epsilon) for epsilon in largest):
        return math.inf
    exact = rounds * sum(map(Fraction, largest), Fraction())
    near = float(exact)
    return near if Fraction(near) >= exact else math.nextafter(near, math.inf)


# ---------------------------------------------------------------------- what is left to learn from
def information(matrix: Floats) -> float:
    """Return the mutual information of symbol and report for a uniform symbol, in bits."""
    ratio = np.divide(matrix, matrix.mean(axis=0), out=np.ones_like(matrix), where=matrix > 0)
    return max(0.0, float((matrix * np.log2(ratio)).sum() / len(matrix)))


def error(matrix: Floats, n_values: int) -> float:
    """Return the mean squared error of decoding to the posterior mean, for a value uniform on [0, 1].

    Parameters
    ----------
    matrix : ndarray, shape (n_symbols, n_reports)
        Law of the reports; symbols behind the first `n_values` stand for missing values, and do not occur.
    n_values : int
        Leaves of equal width.
    """
    centers = (np.arange(n_values) + 0.5) / n_values
    law = matrix[:n_values]
    mass, moment = law.mean(axis=0), (centers - 0.5) @ law / n_values
    explained = np.divide(moment**2, mass, out=np.zeros_like(mass), where=mass > 0).sum()
    return max(0.0, 1 / 12 - float(explained))  # the width of the leaves counts: their values are not told apart
