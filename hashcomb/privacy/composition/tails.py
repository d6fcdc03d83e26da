"""Tails of sums of privacy losses: logarithms of moments, and masses by the fast Fourier transform.

Rounding in a Fourier transform is as large in the far tail, where delta is read off, as it is in the middle. So
the masses are tilted first, ``p(l) e^(tilt l)``, with a tilt that moves the middle to where delta is asked for;
what is added for rounding and for the ends of the window is then small beside delta, be it 1e-5 or 1e-30.
Everything errs upwards: `Tail.log_delta` is never below the exact one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hashcomb.privacy.composition.dominating import Pair

__all__ = ("Block", "Tail", "log_sums", "mean_over_sets", "moments_bound")

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
_UNIT = 2.0**-52  # twice what one operation in double precision can be wrong, relatively
_TRANSFORM = 9.0  # what a transform can be wrong for each doubling of its length, in half units; 7 is proven
_POINTS = 1 << 20  # most points of a grid: 8 MiB, and a tenth of a second
_FINE = 2e-9  # what the grid may add to epsilon, where as many points allow it
_OUTSIDE = 1e-13  # tilted mass beyond each end of the window
_FAINT = 1e-20  # weights below it are not counted, but added
_CHUNK = 1 << 15


class Block(NamedTuple):
    """Rounds in each of which `chosen` of the releases are made, drawn anew and without looking at the data."""

    pairs: tuple[Pair, ...]
    counts: tuple[int, ...]
    chosen: int
    rounds: int

    @property
    def partial(self) -> bool:
        """Whether not all of the releases are made."""
        return self.chosen < sum(self.counts)

    @property
    def made(self) -> int:
        """How many releases are made in all rounds."""
        return self.chosen * self.rounds

    @property
    def slack(self) -> float:
        """What rounding of the pairs can have changed, in all rounds."""
        return self.made * max(pair.slack for pair in self.pairs)

    @property
    def log_finite(self) -> float:
        """Logarithm of the probability that all losses are finite."""
        with np.errstate(divide="ignore"):
            logs = [np.log1p(np.array([-min(pair.infinite * (1 + pair.slack), 1.0)])) for pair in self.pairs]
        return self.rounds * float(mean_over_sets(logs, self.counts, self.chosen)[0])


def log_sums(blocks: Sequence[Block], tilts: Floats) -> Floats:
    """Return ``ln E[e^(tilt L); L finite]`` of the sum L of all losses of all blocks, for every tilt."""
    total = np.zeros(tilts.shape)
    for block in blocks:
        logs = [_log_moments(pair, tilts) for pair in block.pairs]
        total = total + block.rounds * mean_over_sets(logs, block.counts, block.chosen)
    return total


def mean_over_sets(logs: Sequence[Floats], counts: Sequence[int], chosen: int) -> Floats:
    """Return ``ln E_S[exp(sum of the logs in S)]`` over uniformly random sets S of `chosen` of the releases.

    Parameters
    ----------
    logs : sequence of ndarray of float64, all of one shape
        One for each kind of release.
    counts : sequence of int
        How many releases of each kind there are to choose from.
    chosen : int
        Size of the sets, 1 to the sum of the counts.
    """
    if chosen == sum(counts):
        return np.asarray(sum(count * log for log, count in zip(logs, counts, strict=True)))
    if len(logs) == 1:
        return chosen * logs[0]
    *_, last = _levels(logs, counts, chosen)
    return np.asarray(last[chosen])


def moments_bound(log_moments: Floats, tilts: Floats, epsilon: float) -> Floats:
    """Return the logarithm of the bound on delta that each moment gives.

    The largest ``(1 - e^-x) e^(-tilt x)`` over x bounds delta by the moment of L - epsilon. With the Renyi order
    1 + tilt it is the conversion of C. Canonne, G. Kamath, T. Steinke, "The discrete Gaussian for differential
    privacy", NeurIPS 2020.
    """
    return np.asarray(log_moments - tilts * np.log1p(1 / tilts) - np.log1p(tilts) - tilts * epsilon)


def _log_moments(pair: Pair, tilts: Floats) -> Floats:
    if not len(pair.mass):
        return np.full(tilts.shape, -math.inf)
    exponents = tilts[:, None] * pair.loss + np.log(pair.mass)
    peak = exponents.max(axis=1)
    return np.asarray(peak + np.log(np.exp(exponents - peak[:, None]).sum(axis=1)))


def _levels(logs: Sequence[Floats], counts: Sequence[int], chosen: int) -> Iterator[Floats]:
    """Yield, for the first 0, 1, ... releases, the logarithms of the means over their sets of 0 .. chosen."""
    level = np.full((chosen + 1, *logs[0].shape), -math.inf)
    level[0] = 0.0
    yield level
    each = (log for log, count in zip(logs, counts, strict=True) for _ in range(count))
    for k, log in enumerate(each, 1):
        without, within = _shares(k, chosen)
        shape = (-1, *[1] * log.ndim)
        after = level + without.reshape(shape)
        after[1:] = np.logaddexp(after[1:], level[:-1] + within[1:].reshape(shape) + log)
        level = after
        yield level


def _shares(k: int, chosen: int) -> tuple[Floats, Floats]:
    """Return ln(1 - j / k) and ln(j / k): the k-th of k releases is not, or is, in a set of j = 0 .. chosen."""
    share = np.minimum(np.arange(chosen + 1) / k, 1.0)
    with np.errstate(divide="ignore"):
        return np.log1p(-share), np.log(share)


class Tail:
    """Delta of a composition near one place, from masses on a grid.

    Parameters
    ----------
    blocks : sequence of Block
        What is composed.
    tilt : float
        Positive; the place is where the tilted losses lie.

    Notes
    -----
    A loss between two points of the grid is split between them so that its mass under both laws stays: the curve
    stays at the points, and is above the exact one between them (connect the dots). The transform is circular:
    mass below the window comes back at its top and only raises delta; mass above it is bounded by a moment and
    added. Rounding is bounded in the norm of squares: a transform of length n is wrong by less than 9 log2(n)
    half units, relatively, and factors of modulus at most 1 add their errors.

    References
    ----------
    A. Koskela, J. Jalko, A. Honkela, "Computing tight differential privacy guarantees using FFT", AISTATS 2020.
    V. Doroshenko, B. Ghazi, P. Kamath, R. Kumar, P. Manurangsi, "Connect the dots: tighter discrete
    approximations of privacy loss distributions", PoPETs 2022.
    """

    def __init__(self, blocks: Sequence[Block], tilt: float) -> None:
        self._tilt = tilt
        self._step, blocks = _on_grid(blocks, tilt)
        self._log_moment = float(log_sums(blocks, np.array([tilt]))[0])
        low, high, self._log_above = _window(blocks, tilt)
        self._first = math.floor(low / self._step)
        self._size = _length(math.ceil(high / self._step) - self._first + 1)
        self._mass = _masses(blocks, tilt, self._step, self._first, self._size)
        made, largest = sum(block.made for block in blocks), max(_largest(block) for block in blocks)
        mixing = sum(block.rounds * sum(block.counts) for block in blocks if block.partial)
        squares = (_TRANSFORM * math.log2(self._size) * (made + 1) + 8 * (made + mixing)) * _UNIT / 2
        self._hidden = squares * _norm_of_weights(tilt, self._step, self._size) + _FAINT
        self._relative = (made * (16 + 4 * tilt * largest) + 4 * abs(self._log_moment) + 64) * _UNIT
        places = max(abs(self._first), abs(self._first + self._size)) * self._step + made * largest
        self._slack = sum(block.slack for block in blocks) + 4 * places * _UNIT

    @cached_property
    def _decays(self) -> tuple[Floats, Floats]:
        """What weights fall by from a point of the grid, up to where they are faint."""
        steps = np.arange(min(self._size, math.ceil(-math.log(_FAINT) / (self._tilt * self._step)) + 2)) * -self._step
        return np.exp(self._tilt * steps), np.exp((self._tilt + 1) * steps)

    def log_delta(self, epsilon: float) -> float:
        """Return the logarithm of a bound on ``E[1 - e^(epsilon - L); L finite]``, tight where tilted losses lie.

        A tilted mass at L = epsilon + x counts ``(1 - e^-x) e^(-tilt x)``.
        """
        epsilon -= self._slack
        slow, fast = self._decays
        begin = max(math.floor(epsilon / self._step) + 1 - self._first, 0)
        mass = self._mass[begin : begin + len(slow)]
        x = (self._first + begin) * self._step - epsilon
        falling = math.exp(-self._tilt * x) * float((mass * slow[: len(mass)]).sum())
        counted = falling - math.exp(-(self._tilt + 1) * x) * float((mass * fast[: len(mass)]).sum())
        top = (self._first + self._size - 1) * self._step - epsilon
        above = math.exp(min(self._log_above - self._tilt * max(top, 0.0), 0.0))
        sure = max(counted, 0.0) + 64 * _UNIT * falling + self._hidden + above
        log = self._log_moment - self._tilt * epsilon + math.log(sure)
        return min(log + self._relative + 4 * _UNIT * self._tilt * abs(epsilon), 0.0)


def _norm_of_weights(tilt: float, step: float, size: int) -> float:
    """Return a bound on the root of the sum of squares of ``(1 - e^-x) e^(-tilt x)`` over a grid.

    The weights rise and fall once, so the sum is at most the integral over the step and the largest square.
    """
    integral = 1 / (tilt * (2 * tilt + 1) * (2 * tilt + 2) * step)
    largest = float(moments_bound(np.zeros(1), np.array([tilt]), 0.0)[0])
    return math.sqrt(min(size, integral + math.exp(2 * largest)))


def _largest(block: Block) -> float:
    return max(float(np.abs(pair.loss).max(initial=0.0)) for pair in block.pairs)


def _on_grid(blocks: Sequence[Block], tilt: float) -> tuple[float, list[Block]]:
    """Return the coarsest step that is fine enough, and the blocks with their losses on that grid.

    Parts of the largest loss are tried, few first: the losses of randomized response and its kin fit such a grid
    exactly.
    """
    largest = max(_largest(block) for block in blocks) or 1.0
    at = np.array([max(tilt, 0.1)])
    exact, allowed = log_sums(blocks, at)[0], _FINE * at[0]
    low, high, _ = _window(blocks, tilt)
    most = _limit(blocks) * largest / max(high - low, largest)
    parts = min(1.0, most)
    while True:
        # A little longer, so that rounding puts no loss above the point that is meant to hold it.
        step = largest / parts * (1 + 64 * _UNIT)
        moved = [block._replace(pairs=tuple(_split(pair, step) for pair in block.pairs)) for block in blocks]
        excess = log_sums(moved, at)[0] - exact
        if excess <= allowed or parts >= most:
            return step, moved
        # What a grid adds grows with the square of its step.
        parts = min(parts + 1 if parts < 32 else math.ceil(1.02 * parts * math.sqrt(excess / allowed)), most)


def _limit(blocks: Sequence[Block]) -> int:
    """Return how many points a grid may have: fewer for many kinds of releases, and means over many sets."""
    kinds = sum(len(block.pairs) for block in blocks)
    mixing = sum(sum(b.counts) * b.chosen for b in blocks if b.partial and len(b.pairs) > 1)
    return _POINTS // max(kinds // 4, mixing // 64, 1)


def _split(pair: Pair, step: float) -> Pair:
    below = np.floor(pair.loss / step)
    past = np.clip(pair.loss - below * step, 0.0, step)
    up = pair.mass * (np.expm1(-past) / math.expm1(-step))
    down = pair.mass * (np.exp(-past) * np.expm1(past - step) / math.expm1(-step))
    mass, place = np.concatenate([down, up]), np.concatenate([below, below + 1])
    return pair._replace(mass=mass[mass > 0], loss=place[mass > 0] * step)


def _window(blocks: Sequence[Block], tilt: float) -> tuple[float, float, float]:
    """Return a window that holds the tilted losses, and the logarithm of a bound on the mass above it."""
    most = sum(_farthest(block) for block in blocks)
    apart = 2.0 ** np.arange(-18, 13, 0.5) / max(*map(_largest, blocks), 1e-300)
    here = log_sums(blocks, np.array([tilt]))[0]
    higher, lower = log_sums(blocks, tilt + apart) - here, log_sums(blocks, tilt - apart) - here
    high = float(((higher - math.log(_OUTSIDE)) / apart).min())
    low = float(((math.log(_OUTSIDE) - lower) / apart).max())
    if high >= most:
        return max(low, -most), most, -math.inf
    return max(low, -most), high, float((higher - apart * high).min())


def _farthest(block: Block) -> float:
    """Return what no sum of finite losses of a block exceeds in absolute value: that of the largest in each round."""
    sizes = [float(np.abs(pair.loss).max(initial=0.0)) for pair in block.pairs]
    total, left = 0.0, block.chosen
    for size, count in sorted(zip(sizes, block.counts, strict=True), reverse=True):
        total, left = total + min(count, left) * size, left - min(count, left)
    return block.rounds * total


def _length(points: int) -> int:
    """Return the least power of two, or three times one, that is no less: lengths that transform quickly."""
    power = 1 << max(points - 1, 1).bit_length()
    return 3 * power // 4 if 3 * power // 4 >= points else power


def _masses(blocks: Sequence[Block], tilt: float, step: float, first: int, size: int) -> Floats:
    """Return the tilted masses of the sum of all losses, from the window's first point on."""
    spectrum = _product(_power(_of_round(block, tilt, step, size), block.rounds) for block in blocks)
    return np.roll(np.maximum(np.fft.irfft(spectrum, size), 0.0), -(first % size))


def _of_round(block: Block, tilt: float, step: float, size: int) -> Complexes:
    """Return the spectrum of one round: a product, or the mean of the products over all sets."""
    logs = [_log_moments(pair, np.array([tilt])) for pair in block.pairs]
    each = (_spectrum(pair, tilt, log[0], step, size) for pair, log in zip(block.pairs, logs, strict=True))
    if not block.partial:
        return _product(_power(spectrum, count) for spectrum, count in zip(each, block.counts, strict=True))
    spectra = list(each)
    return _power(spectra[0], block.chosen) if len(spectra) == 1 else _mixed(spectra, logs, block)


def _spectrum(pair: Pair, tilt: float, log_moment: float, step: float, size: int) -> Complexes:
    place = np.rint(pair.loss / step).astype(np.int64) % size
    tilted = np.exp(np.log(pair.mass) + tilt * pair.loss - log_moment)
    return np.fft.rfft(np.bincount(place, weights=tilted, minlength=size))


def _mixed(spectra: list[Complexes], logs: list[Floats], block: Block) -> Complexes:
    """Return the mean of the products over all sets, part by part."""
    out = np.empty_like(spectra[0])
    for begin in range(0, len(out), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        out[part] = _mean_product([spectrum[part] for spectrum in spectra], logs, block)
    return out


def _mean_product(spectra: list[Complexes], logs: list[Floats], block: Block) -> Complexes:
    """Average over sets; each level is kept at modulus 1 at most, its scale being known from the moments."""
    each = [(s, log[0]) for s, log, count in zip(spectra, logs, block.counts, strict=True) for _ in range(count)]
    scales = [scale[:, 0] for scale in _levels(logs, block.counts, block.chosen)]
    level = np.zeros((block.chosen + 1, len(spectra[0])), dtype=np.complex128)
    level[0] = 1.0
    for k, (spectrum, log) in enumerate(each, 1):
        without, within = _shares(k, block.chosen)
        # Sets of j of the first k: enough must be left to come to the size that is chosen.
        j = slice(max(1, block.chosen - len(each) + k), min(k, block.chosen) + 1)
        less = slice(j.start - 1, j.stop - 1)
        scale = np.where(np.isfinite(scales[k]), scales[k], math.inf)[j]
        stays = np.exp(scales[k - 1][j] + without[j] - scale)[:, None]
        comes = np.exp(scales[k - 1][less] + within[j] + log - scale)[:, None]
        level[j] = stays * level[j] + comes * spectrum * level[less]
    return np.asarray(level[block.chosen])


def _product(spectra: Iterable[Complexes]) -> Complexes:
    return functools.reduce(np.multiply, spectra)


def _power(spectrum: Complexes, exponent: int) -> Complexes:
    factors = []
    while exponent:
        if exponent & 1:
            factors.append(spectrum)
        exponent >>= 1
        spectrum = spectrum * spectrum if exponent else spectrum
    return _product(factors)
