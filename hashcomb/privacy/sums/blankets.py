"""Blankets: noise that every report of a channel contains, whatever its symbol, up to a shift of its own.

If ``P[x, j] >= weight * sum_k W[x, k] noise[j - k]`` with ``sum_k W[x, k] = 1`` for every symbol x, then a report is,
with probability `weight`, a shift that depends on x plus noise that does not. Any such pair gives a valid claim; what
is searched for here only makes it tighter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array

__all__ = ("Blanket", "Cover", "find_blankets")

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_FOLLOWED = (1.0, 0.75, 0.5, 0.25, 0.0)  # shifts follow the means of the rows so far
_ROUNDS = 12
_GAIN = 1e-4  # of weight, below which a further round is not worth it
_MAX_PROGRAM = 1 << 19  # entries of a linear program
_STEEP = 1e9  # a shift or value that could have less than a billionth of the weight is left out of a program
_ROUNDING = 1e-12  # more than sums of so many doubles can be wrong


@dataclass(frozen=True)
class Blanket:
    """Noise that is in every report with the same probability.

    Parameters
    ----------
    weight : float
        That probability, rounded down; below 1.
    noise : ndarray of float64, shape (n_values,)
        Its law, on consecutive integers.
    """

    weight: float
    noise: Floats

    @property
    def variance(self) -> float:
        """Variance of the noise."""
        values = np.arange(len(self.noise))
        return float(self.noise @ values**2 - (self.noise @ values) ** 2)


def find_blankets(matrix: Floats) -> tuple[Blanket, ...]:
    """Return blankets of a channel, none of them worse than another in both weight and noise.

    Parameters
    ----------
    matrix : ndarray of float64, shape (n_symbols, n_reports)
        Row-stochastic; all rows positive in the same columns.

    Returns
    -------
    tuple of Blanket
        Empty where no two rows can be shifted so that all overlap.
    """
    found = [cover.blanket() for cover in _covers(matrix) if cover.weight > 0]
    strength = [(blanket.weight, blanket.weight * blanket.variance) for blanket in found]
    worse = {
        i for i, (weight, noise) in enumerate(strength) for j, other in enumerate(strength) if j != i
        if weight <= other[0] and noise <= other[1] and ((weight, noise) != other or j < i)
    }  # fmt: skip
    return tuple(blanket for i, blanket in enumerate(found) if i not in worse)


def _covers(matrix: Floats) -> Iterator[Cover]:
    means = matrix @ np.arange(matrix.shape[1])
    seen: set[tuple[int, ...]] = set()
    for part in _FOLLOWED:
        shifts = np.rint(part * (means - means[0])).astype(np.int64)
        if part == 1.0:
            shifts = _climbed(matrix, shifts)
        shifts -= shifts.min()
        if tuple(shifts.tolist()) not in seen:
            seen.add(tuple(shifts.tolist()))
            yield _refined(Cover.of_shifts(matrix, shifts))


@dataclass(frozen=True)
class Cover:
    """Noise, and for each row weights of its shifts, whose convolution is nowhere above the row.

    Parameters
    ----------
    matrix : ndarray of float64, shape (n_symbols, n_reports)
        The rows.
    noise : ndarray of float64, shape (n_values,)
        Sums to one; empty if nothing is covered.
    shifted : ndarray of float64, shape (n_symbols, n_shifts)
        Weight of each shift of the noise in each row.
    """

    matrix: Floats
    noise: Floats
    shifted: Floats

    @property
    def weight(self) -> float:
        """How much of the noise every row holds."""
        return float(self.shifted.sum(axis=1).min()) if self.noise.size else 0.0

    @classmethod
    def of_shifts(cls, matrix: Floats, shifts: Integers) -> Cover:
        """Give every row one shift: the noise is what all rows share once they are shifted back."""
        shared = _aligned(matrix, shifts).min(axis=0)
        used = np.flatnonzero(shared)
        if not used.size:
            return cls(matrix, np.zeros(0), np.zeros((len(matrix), 1)))
        noise = shared[used[0] : used[-1] + 1]
        shifted = np.zeros((len(matrix), matrix.shape[1] - len(noise) + 1))
        shifted[np.arange(len(matrix)), used[0] - (shifts.max() - shifts)] = noise.sum()
        return cls(matrix, noise / noise.sum(), shifted)

    def fitted(self, noise: Floats, shifted: Floats) -> Cover:
        """Return noise and shifts scaled to just fit under the rows: a program's answer may exceed them a little."""
        noise, shifted = np.maximum(noise, 0.0), np.maximum(shifted, 0.0)
        covered = np.stack([np.convolve(row, noise) for row in shifted])
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = np.where(covered > 0, covered / self.matrix, 0.0).max()
        if not (0 < excess < np.inf and shifted.sum(axis=1).min() > 0):
            return self
        return Cover(self.matrix, noise / noise.sum(), shifted * (noise.sum() / excess))

    def blanket(self) -> Blanket:
        """Return the noise and its weight, rounded down."""
        return Blanket(self.weight * (1 - _ROUNDING), self.noise)


def _aligned(matrix: Floats, shifts: Integers) -> Floats:
    """Shift rows back: entry j of row x is ``matrix[x, j + shifts[x] - shifts.max()]``, zero outside."""
    n_symbols, n_reports = matrix.shape
    out = np.zeros((n_symbols, n_reports + int(shifts.max() - shifts.min())))
    for row, start, into in zip(matrix, shifts.max() - shifts, out, strict=True):
        into[start : start + n_reports] = row
    return out


def _climbed(matrix: Floats, shifts: Integers) -> Integers:
    """Change shifts by one, of one row or of all from one on, as long as the rows share more."""
    n_symbols = len(matrix)
    ranges = [*((x, x + 1) for x in range(n_symbols)), *((x, n_symbols) for x in range(1, n_symbols - 1))]
    best, improved = _aligned(matrix, shifts).min(axis=0).sum(), True
    while improved:
        improved = False
        for first, end in ranges:
            for step in (-1, 1):
                trial = shifts.copy()
                trial[first:end] += step
                shared = _aligned(matrix, trial).min(axis=0).sum()
                if shared > best + _ROUNDING:
                    best, shifts, improved = shared, trial, True
    return shifts


def _refined(cover: Cover) -> Cover:
    """Let rows mix several shifts, then fit the noise to the mixtures, in turn: two linear programs."""
    if cover.weight == 0 or cover.matrix.size * max(cover.shifted.shape[1], cover.noise.size) > _MAX_PROGRAM:
        return cover
    best = cover
    for _ in range(_ROUNDS):
        before = best.weight
        # New shifts often weigh no more than the old ones, but let the noise grow after them.
        cover = _reshaped(_spread(cover))
        best = cover if cover.weight > best.weight else best
        if best.weight - before < _GAIN:
            break
    return best


def _spread(cover: Cover) -> Cover:
    """Give each row the shifts under which it holds the most of the noise."""
    ratios = _over(_toeplitz(cover.noise, cover.matrix.shape[1])[None], cover.matrix)
    n_symbols, n_reports, n_shifts = ratios.shape
    allowed = ratios.max(axis=1) <= _STEEP
    row, report, shift = np.nonzero((ratios > 0) & allowed[:, None, :])
    places = row * n_reports + report, row * n_shifts + shift
    size = n_symbols * n_reports, n_symbols * n_shifts
    shifted = _program(csr_array((ratios[row, report, shift], places), shape=size), allowed.ravel())
    return cover.fitted(cover.noise, shifted.reshape(n_symbols, n_shifts))


def _reshaped(cover: Cover) -> Cover:
    """Find the noise of which all rows hold the most, with the shifts they have."""
    mixtures = cover.shifted / cover.shifted.sum(axis=1, keepdims=True)
    n_reports = cover.matrix.shape[1]
    ratios = _over(np.stack([_toeplitz(mixture, n_reports) for mixture in mixtures]), cover.matrix)
    allowed = ratios.max(axis=(0, 1)) <= _STEEP
    ratios = np.where(allowed, ratios, 0.0).reshape(-1, len(allowed))
    return cover.fitted(_program(csr_array(ratios), allowed), mixtures)


def _toeplitz(kernel: Floats, n_reports: int) -> Floats:
    """Return the matrix whose column k is the kernel, shifted by k."""
    out = np.zeros((n_reports, n_reports - len(kernel) + 1))
    for shift, column in enumerate(out.T):
        column[shift : shift + len(kernel)] = kernel
    return out


def _over(covering: Floats, matrix: Floats) -> Floats:
    """Return what share of each entry one unit of each variable covers; infinity where there is no entry."""
    out = np.zeros((*matrix.shape, covering.shape[2]))
    with np.errstate(divide="ignore"):
        return np.divide(covering, matrix[:, :, None], out=out, where=covering > 0)


def _program(shares: csr_array, allowed: NDArray[np.bool_]) -> Floats:
    """Maximize the sum of non-negative variables, those not allowed being zero, that cover at most every entry."""
    bounds = np.stack([np.zeros(len(allowed)), np.where(allowed, np.inf, 0.0)], axis=1)
    limits = np.ones(shares.shape[0])
    solved = linprog(-np.ones(len(allowed)), A_ub=shares, b_ub=limits, bounds=bounds, method="highs")
    return np.zeros(len(allowed)) if solved.x is None else np.asarray(solved.x)
