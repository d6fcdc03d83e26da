"""Counts over all owners, opened with noise of which every owner adds a part: what they cost one record."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from numbers import Real
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hashcomb.channels.channel import positive, whole
from hashcomb.channels.table import IntegerTable
from hashcomb.errors import ChannelError
from hashcomb.privacy.composition import Composition, compose
from hashcomb.privacy.skellam import BITS, TAIL_BITS, deficit, distance, missing, probabilities
from hashcomb.spec import MAX_NOISE_PARTS, MAX_NOISY_COUNTS, NOISE_VARIANCES

__all__ = ("Neighbors", "NoisyCounts")

Neighbors = Literal["presence", "replacement"]

_STEP = 1.01  # of the grid of variances
_ROUNDING = 1e-12  # more than a few operations can be wrong, relatively


@dataclass(frozen=True)
class NoisyCounts:
    """What counts of pooled records cost one record, if every owner adds its part of integer noise to each.

    Parameters
    ----------
    variance : float
        Variance of the noise that `n_parts` owners make together, 2**-20 to 2**26.
    n_counts : int
        How many counts the presence of one record changes at most, by one each and in the same direction: in
        histograms, rounds times features. Which ones may depend on what earlier rounds opened.
    n_parts : int
        How many owners keep their part to themselves; each draws one of variance ``variance / n_parts``.

    Raises
    ------
    ChannelError
        If a number is out of its range.

    Notes
    -----
    Privacy: holds against everybody who sees all counts, owners included, as long as `n_parts` owners draw their
    parts as `draw` does, from secret words of their own, and tell nobody. What further owners add, and whether
    they know each other's parts, does not matter.

    A part is the difference of two Poisson variables (Skellam's law), so the sum of `n_parts` parts is one of
    variance `variance`. The claim is that of the exact law P against P shifted by one, composed `n_counts` times.
    Parts are drawn from a table of integers, though, which differs from Skellam's law by a total variation
    distance tau and is lower by a factor 1 + eta at most, where it has entries; outside, the law has a tail. With
    N = ``n_counts * n_parts``, and primes for what the tables make, every set S of outcomes has

        P'(S) <= P(S) + N tau,    P(S) <= e^epsilon Q(S) + delta,    Q(S) <= (1 + eta)^N Q'(S) + N tail,

    so N ln(1 + eta) is added to epsilon, and N tau + e^epsilon N tail to delta; and to delta what was cut off the
    law for the computation. Proofs: docs/proofs/noisy_counts.md.

    References
    ----------
    N. Agarwal, P. Kairouz, Z. Liu, "The Skellam mechanism for differentially private federated learning",
    NeurIPS 2021.
    F. Valovich, F. Alda, "Computational differential privacy from lattice-based cryptography", NuTMiC 2017.

    Examples
    --------
    >>> counts = NoisyCounts(7500.0, n_counts=300, n_parts=3)
    >>> f"{counts.epsilon(1e-5):.3f} {counts.epsilon(1e-5, neighbors='replacement'):.3f}"
    '0.726 1.061'
    """

    variance: float
    n_counts: int
    n_parts: int

    def __post_init__(self) -> None:
        variance = positive(self.variance, "variance")
        least, most = NOISE_VARIANCES
        if not least <= variance <= most:
            raise ChannelError(
                f"the variance must be from {least:g} to {most:g}", hint="ask for fewer counts, or another epsilon"
            )
        object.__setattr__(self, "variance", variance)
        object.__setattr__(self, "n_counts", whole(self.n_counts, "n_counts", 1, MAX_NOISY_COUNTS))
        object.__setattr__(self, "n_parts", whole(self.n_parts, "n_parts", 1, MAX_NOISE_PARTS))

    @classmethod
    def for_epsilon(cls, epsilon: float, delta: float, n_counts: int, n_parts: int) -> NoisyCounts:
        """Return the least noise, on a grid of steps of 1 %, whose epsilon of presence is at most `epsilon`.

        Parameters
        ----------
        epsilon : float
            In nats; above 0 and below 100.
        delta : float
            Above 0 and below 1.
        n_counts, n_parts : int
            As for the class.

        Raises
        ------
        ChannelError
            If a number is out of its range, or no noise that a table holds is enough.
        """
        wanted, delta = positive(epsilon, "epsilon", below=100), positive(delta, "delta", below=1)
        low, high = _grid_end(NOISE_VARIANCES[0], math.ceil) - 1, _grid_end(NOISE_VARIANCES[1], math.floor) + 1
        index = _first_guess(wanted, delta, whole(n_counts, "n_counts", 1, MAX_NOISY_COUNTS))
        if index > high + 10:  # the guess is good to a few steps
            raise _too_little()
        # Noise at `low` is too little, at `high` enough; steps are those of epsilon ~ 1 / deviation.
        while high - low > 1:
            index = min(max(index, low + 1), high - 1)
            reached = cls(_on_grid(index), n_counts, n_parts).epsilon(delta)
            low, high = (low, index) if reached <= wanted else (index, high)
            index += math.ceil(2 * math.log(min(reached / wanted, 4.0)) / math.log(_STEP))
        if _on_grid(high) > NOISE_VARIANCES[1]:
            raise _too_little()
        return cls(_on_grid(high), n_counts, n_parts)

    # ------------------------------------------------------------------ claims
    def epsilon(self, delta: float, *, neighbors: Neighbors = "presence") -> float:
        """Return an epsilon for which all counts together are (epsilon, delta)-differentially private.

        Parameters
        ----------
        delta : float
            At least 0 and below 1.
        neighbors : {"presence", "replacement"}, optional
            Whether one record is added or removed, or replaced by any other: that changes twice as many counts.

        Returns
        -------
        float
            In nats, rounded up; infinity where none is found, as for a delta of 0, or one no larger than what the
            tables are off.

        Raises
        ------
        ChannelError
            If `delta` or `neighbors` is none of these.
        """
        if not _is_number(delta) or not 0 <= delta < 1:
            raise ChannelError("delta must be a number of at least 0 and below 1")
        total, slack = self._composed(neighbors)
        # The slack grows with epsilon, so it is counted for a larger one than what comes out.
        most = total.epsilon(delta) + 1
        room = delta - slack.of(most)
        if room <= 0:
            return math.inf
        found = math.nextafter(total.epsilon(room) + slack.shift, math.inf)
        return found if found <= most else math.inf

    def delta(self, epsilon: float, *, neighbors: Neighbors = "presence") -> float:
        """Return a delta for which all counts together are (epsilon, delta)-differentially private.

        Parameters
        ----------
        epsilon : float
            In nats; at least 0 and finite.
        neighbors : {"presence", "replacement"}, optional
            As for `epsilon`.

        Returns
        -------
        float
            Rounded up, and at most 1. What is added for the tables grows with epsilon, so that beyond an epsilon of
            about 40 this may be above the delta of a smaller epsilon, which then holds too.

        Raises
        ------
        ChannelError
            If `epsilon` or `neighbors` is none of these.
        """
        if not _is_number(epsilon) or not 0 <= epsilon < math.inf:
            raise ChannelError("epsilon must be a finite number of at least 0")
        total, slack = self._composed(neighbors)
        exact = total.delta(max(0.0, epsilon - slack.shift))
        # Below the shift, Q(S) stands for e^shift Q(S), which is more by less than this.
        more = math.expm1(min(slack.shift, 1.0)) if epsilon < slack.shift else 0.0
        return min(1.0, (exact + more + slack.of(epsilon)) * (1 + _ROUNDING))

    def _composed(self, neighbors: str) -> tuple[Composition, _Slack]:
        """Return what the counts that differ cost with exact noise, and what comes on top of that."""
        if neighbors not in ("presence", "replacement"):
            raise ChannelError("neighbors must be 'presence' or 'replacement'")
        if neighbors == "presence":
            return self._presence, self._slack(self.n_counts)
        return self._replacement, self._slack(2 * self.n_counts)

    def _slack(self, n_counts: int) -> _Slack:
        tau, eta, cut = self._off
        parts = n_counts * self.n_parts
        sure = _of_units(parts * tau + n_counts * cut)
        return _Slack(_of_units(parts * eta), sure, math.ldexp(parts, -TAIL_BITS))

    @cached_property
    def _law(self) -> list[int]:
        return probabilities(Fraction(self.variance))

    @cached_property
    def _presence(self) -> Composition:
        return compose([(_pair(self._law), self.n_counts)]).by_pairs()

    @cached_property
    def _replacement(self) -> Composition:
        return compose([(_pair(self._law), 2 * self.n_counts)]).by_pairs()

    @cached_property
    def _off(self) -> tuple[int, int, int]:
        """How far a part's table is from Skellam's law, by distance and by ratio, and what `_pair` leaves out."""
        counts = self._table.counts[0]
        return distance(counts, self._part), deficit(counts, self._part), missing(self._law) + self._law[-1]

    # ------------------------------------------------------------------ noise
    @cached_property
    def _part(self) -> list[int]:
        return probabilities(Fraction(self.variance) / self.n_parts)

    @cached_property
    def _table(self) -> IntegerTable:
        """One owner's part; entry K is that of no noise. One unit more, so that only that one is rounded down."""
        return IntegerTable(_both_sides(self._part)[None, :] + 2.0**-62)

    def draw(self, words: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Draw one owner's part of the noise.

        Parameters
        ----------
        words : ndarray of uint64
            Secret, independent and uniform, one for each count; as of `hashcomb.keys.Keystream`.

        Returns
        -------
        ndarray of int64
            What to add to the owner's own counts; shape as `words`.

        Raises
        ------
        ChannelError
            If `words` is no such array.

        Notes
        -----
        Privacy: whoever knows the words can take the part away again. Words must never be used twice.
        """
        if not isinstance(words, np.ndarray) or words.dtype != np.uint64:
            raise ChannelError("words must be an array of uint64, one word for each count")
        drawn = self._table.sample(np.zeros(words.shape, dtype=np.int32), words)
        return drawn.astype(np.int64) - (len(self._part) - 1)


def _both_sides(law: list[int]) -> NDArray[np.float64]:
    """Return the probabilities of -K to K, each rounded once."""
    side = [value / (1 << BITS) for value in law]
    return np.array(side[:0:-1] + side)


def _pair(law: list[int]) -> NDArray[np.float64]:
    """Return the law at -K + 1 to K, and the law shifted up by one: both are positive there."""
    both = _both_sides(law)
    return np.stack([both[1:], both[:-1]])


class _Slack(NamedTuple):
    """What comes on top of exact noise: `shift` to epsilon; `sure`, and `tail` times e^epsilon, to delta."""

    shift: float
    sure: float
    tail: float

    def of(self, epsilon: float) -> float:
        """Return what is added to the delta of an epsilon."""
        return (self.sure + self.tail * math.exp(epsilon)) * (1 + _ROUNDING) if epsilon < 700 else math.inf


def _of_units(units: int) -> float:
    return math.nextafter(units / (1 << BITS), math.inf)


# ---------------------------------------------------------------------- the grid of variances
def _on_grid(index: int) -> float:
    return float(f"{_STEP**index:.4g}")  # four digits, so that all machines agree on them


def _grid_end(variance: float, rounded: Any) -> int:
    return int(rounded(math.log(variance) / math.log(_STEP)))


def _too_little() -> ChannelError:
    return ChannelError(
        f"no noise of a variance up to {NOISE_VARIANCES[1]:g} is enough",
        hint="ask for fewer counts, a larger epsilon or a larger delta",
    )


def _first_guess(epsilon: float, delta: float, n_counts: int) -> int:
    """Return the place on the grid of what Gaussian noise would need, by bisection over its sensitivity.

    B. Balle, Y.-X. Wang, "Improving the Gaussian mechanism for differential privacy", ICML 2018.
    """
    low, high = 2.0**-30, 2.0**10  # shifts of all counts together, in standard deviations
    for _ in range(40):
        middle = math.sqrt(low * high)
        less, more = (math.erfc((epsilon / middle + sign * middle / 2) / math.sqrt(2)) / 2 for sign in (-1, 1))
        low, high = (low, middle) if less - math.exp(epsilon) * more > delta else (middle, high)
    return _grid_end(n_counts / low**2, round)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
