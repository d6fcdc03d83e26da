"""What several releases of one record cost together: basic, Renyi and tight composition."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cached_property
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashcomb.channels import Channel, reported_features
from hashcomb.channels.channel import whole
from hashcomb.crossing import crossing
from hashcomb.errors import ChannelError
from hashcomb.privacy.composition.enumerated import Enumerated, enumerated
from hashcomb.privacy.composition.losses import Loss, Round, loss_of, rounded_up
from hashcomb.privacy.composition.tails import Block, Tail, log_sums, mean_over_sets, moments_bound
from hashcomb.privacy.exact import order_of
from hashcomb.privacy.release import releases_of
from hashcomb.spec import Spec

__all__ = ("MAX_MIXED", "MAX_TIMES", "Composition", "compose", "compose_spec")

Floats = NDArray[np.float64]

MAX_TIMES = 1 << 40
MAX_MIXED = 1 << 12  # releases that are not all alike and of which only some are made in a round

_ROUNDING = 1e-12  # more than a few operations with logarithms can be wrong
_KEPT = 2  # tails are up to 100 MiB each


class Composition:
    """What several releases of one record cost together.

    Made by `compose` and `compose_spec`; two are added with ``+`` for what they cost together.

    Attributes
    ----------
    basic : float
        Sum of the exact epsilons, in nats; infinity where one has none. Of features of which each round reports
        s, that of the s largest.
    rounds : tuple of Round
        What is composed.
    exact : bool
        False where a channel has too many symbols to compare all pairs, and binary randomized response with its
        epsilon stands in for it: `epsilon` and `delta` are then bounds that may be far from tight.

    Notes
    -----
    Privacy: neighbors are any two records. Releases have randomness of their own, given the record. Which ones
    there are, and how many, is fixed without looking at reports; for basic epsilons that does not matter. All
    figures hold against anybody, key holders included, and are rounded up: never below the exact ones for the
    channels' matrices. The tight figures are those of the pair that dominates all ordered pairs of symbols,
    feature by feature; where one pair of symbols attains the largest hockey-stick divergence at every epsilon
    they are the exact ones, else an upper bound.

    References
    ----------
    C. Dwork, A. Roth, "The algorithmic foundations of differential privacy", 2014 (basic).
    I. Mironov, "Renyi differential privacy", CSF 2017.
    A. Koskela, J. Jalko, A. Honkela, "Computing tight differential privacy guarantees using FFT", AISTATS 2020.
    Y. Zhu, J. Dong, Y.-X. Wang, "Optimal accounting of differential privacy via characteristic function",
    AISTATS 2022.

    Examples
    --------
    >>> from hashcomb.channels import RandomizedResponse
    >>> total = compose([(RandomizedResponse(1.0, 16, depth="leaf"), 57)])
    >>> f"{total.basic:.2f} {total.epsilon(1e-5, by='renyi'):.2f} {total.epsilon(1e-5):.2f}"
    '57.00 21.38 19.90'
    """

    def __init__(self, rounds: tuple[Round, ...]) -> None:
        if any(one.is_mixed and sum(one.counts) > MAX_MIXED for one in rounds):
            raise ChannelError(f"some of more than {MAX_MIXED} different releases are too many to choose from")
        self.rounds = rounds
        self._tails: dict[float, Tail] = {}
        self.basic = rounded_up(math.fsum(one.basic for one in rounds), len(rounds))
        self.exact = all(loss.exact for one in rounds for loss in one.losses)

    def __add__(self, other: object) -> Composition:
        if not isinstance(other, Composition):
            return NotImplemented
        rounds: dict[Round, int] = {}
        for one in self.rounds + other.rounds:
            alike = one._replace(rounds=1)
            rounds[alike] = rounds.get(alike, 0) + one.rounds
        return Composition(tuple(one._replace(rounds=times) for one, times in rounds.items()))

    def by_pairs(self) -> Composition:
        """Return the same from dominating pairs alone, which are small; Renyi figures may be a little larger."""
        return Composition(
            tuple(one._replace(losses=tuple(loss.by_pair() for loss in one.losses)) for one in self.rounds)
        )

    def __repr__(self) -> str:
        made = sum(one.made for one in self.rounds)
        return f"Composition({made} releases, basic={self.basic:.6g}{'' if self.exact else ', exact=False'})"

    def epsilon(self, delta: float, *, by: Literal["tight", "renyi", "basic"] = "tight") -> float:
        """Return an epsilon for which all releases together are (epsilon, delta)-differentially private.

        Parameters
        ----------
        delta : float
            At least 0 and below 1. With 0, epsilon is the basic one, however it is asked for.
        by : {"tight", "renyi", "basic"}, optional
            How to compose: by the whole curve of each release, by Renyi divergences, or by adding epsilons.

        Returns
        -------
        float
            In nats; infinity where no epsilon has such a delta.

        Raises
        ------
        ChannelError
            If `delta` or `by` is none of these.
        """
        if not _is_number(delta) or not 0 <= delta < 1:
            raise ChannelError("delta must be a number of at least 0 and below 1")
        if by not in ("tight", "renyi", "basic"):
            raise ChannelError("by must be 'tight', 'renyi' or 'basic'")
        if by == "basic" or delta == 0 or self.basic == 0:
            return self.basic
        return self._by_renyi(float(delta)) if by == "renyi" else self._tight(float(delta))

    def delta(self, epsilon: float) -> float:
        """Return a delta for which all releases together are (epsilon, delta)-differentially private.

        Parameters
        ----------
        epsilon : float
            In nats; at least 0 and finite.

        Raises
        ------
        ChannelError
            If `epsilon` is negative or not finite.
        """
        if not _is_number(epsilon) or not 0 <= epsilon < math.inf:
            raise ChannelError("epsilon must be a finite number of at least 0")
        if epsilon >= self.basic:
            return 0.0
        if self._infinite >= 1:
            return 1.0
        bounds = moments_bound(self._moments, self._tilts, float(epsilon))
        log_delta = self._tail(int(bounds.argmin())).log_delta(float(epsilon))
        if self._searched and math.isfinite(self.basic):
            log_delta = min(log_delta, self._least_over_orders(lambda moments, t: moments_bound(moments, t, epsilon)))
        return min(1.0, self._infinite + math.exp(log_delta) * (1 + _ROUNDING))

    def renyi(self, alpha: float) -> float:
        """Return the Renyi divergence of order `alpha`: the largest of each release, added up.

        Parameters
        ----------
        alpha : float
            Order, above 1 and finite.

        Returns
        -------
        float
            In nats; infinity where a release has no epsilon. Releases of many symbols (beyond 64 with as many
            reports) without a known worst pair have that of the dominating pair, which is not below.

        Raises
        ------
        ChannelError
            If the order is none.
        """
        tilt = np.array([order_of(alpha) - 1])
        return math.inf if math.isinf(self.basic) else min(self.basic, float(self._renyi_moments(tilt)[0] / tilt[0]))

    # ------------------------------------------------------------------ Renyi
    def _renyi_moments(self, tilts: Floats) -> Floats:
        """Return ``tilt * RDP(1 + tilt)`` for every tilt, rounded up."""
        total = np.zeros(tilts.shape)
        for one in self.rounds:
            logs = [loss.renyi_moments(tilts) for loss in one.losses]
            slack = one.made * max(loss.pair.slack for loss in one.losses)
            total = total + one.rounds * mean_over_sets(logs, one.counts, one.chosen) + slack * (1 + 2 * tilts)
        return total * (1 + _ROUNDING)

    @cached_property
    def _coarse(self) -> tuple[Floats, Floats]:
        """Orders, less 1, four an octave, and their moments."""
        tilts = _tilts(self.rounds, per_octave=4)
        return tilts, self._renyi_moments(tilts)

    def _least_over_orders(self, bound: Callable[[Floats, Floats], Floats]) -> float:
        """Return the least bound that an order gives, on ever finer grids around the best; none of them is wrong."""
        tilts, moments = self._coarse
        while True:
            bounds = bound(moments, tilts)
            best = int(bounds.argmin())
            low, high = tilts[max(best - 1, 0)], tilts[min(best + 1, len(tilts) - 1)]
            if high - low < 1e-4 * low:
                return float(bounds[best] + _ROUNDING * (1 + abs(bounds[best])))
            tilts = np.geomspace(low, high, 17)
            moments = self._renyi_moments(tilts)

    def _by_renyi(self, delta: float) -> float:
        if not math.isfinite(self.basic):
            return math.inf
        least = self._least_over_orders(lambda moments, t: (moments_bound(moments, t, 0.0) - math.log(delta)) / t)
        return _between(least, self.basic)

    # ------------------------------------------------------------------ tight
    @cached_property
    def _blocks(self) -> tuple[Block, ...]:
        return tuple(
            Block(tuple(loss.pair for loss in one.losses), one.counts, one.chosen, one.rounds) for one in self.rounds
        )

    @cached_property
    def _infinite(self) -> float:
        """Probability that some loss is infinite."""
        if all(pair.infinite == 0 for block in self._blocks for pair in block.pairs):
            return 0.0  # exactly: rounding must not make it a little more or less
        finite = sum(block.log_finite for block in self._blocks)
        rounding = sum(block.rounds * (sum(block.counts) + 8) for block in self._blocks) * 2**-52
        return min(1.0, max(0.0, -math.expm1(finite)) * (1 + _ROUNDING) + rounding)

    @property
    def _searched(self) -> bool:
        """Whether Renyi's figures can be less: of several pairs, none dominates at all orders and all epsilons."""
        return any(loss.searched for one in self.rounds for loss in one.losses)

    @cached_property
    def _tilts(self) -> Floats:
        return _tilts(self.rounds, per_octave=2)

    @cached_property
    def _moments(self) -> Floats:
        return log_sums(self._blocks, self._tilts)

    @cached_property
    def _enumerated(self) -> Enumerated | None:
        return enumerated(self._blocks)

    def _tail(self, index: int) -> Tail | Enumerated:
        if self._enumerated is not None:
            return self._enumerated
        tilt = float(self._tilts[index])
        if tilt not in self._tails:
            if len(self._tails) == _KEPT:
                del self._tails[next(iter(self._tails))]
            self._tails[tilt] = Tail(self._blocks, tilt)
        return self._tails[tilt]

    def _tight(self, delta: float) -> float:
        room = delta - self._infinite
        if room <= 0:
            return self.basic
        wanted = math.log(room) - _ROUNDING
        bounds = (moments_bound(self._moments, self._tilts, 0.0) - wanted) / self._tilts
        tail = self._tail(int(bounds.argmin()))
        slack = sum(block.slack for block in self._blocks)
        high = _between(float(bounds.min()) * (1 + _ROUNDING) + 2 * slack, self.basic)
        if self._searched:
            high = min(high, self._by_renyi(delta))
        tolerance = _ROUNDING * max(1.0, high)
        return crossing(lambda epsilon: tail.log_delta(epsilon) - wanted, 0.0, high, tolerance)


def compose(
    releases: Iterable[tuple[Channel | ArrayLike, int]], *, reported: int | None = None, rounds: int = 1
) -> Composition:
    """Compose releases of one record.

    Parameters
    ----------
    releases : iterable of (channel or matrix, times)
        What is released, and how many times with fresh randomness: channels bound to their symbols, or
        row-stochastic matrices of shape (n_symbols, n_reports).
    reported : int, optional
        How many of the releases each round makes; all by default. Which ones is drawn uniformly at random for
        each record and round, does not depend on the data, and may be public. One that is listed with `times`
        counts as so many.
    rounds : int, optional
        How many times all of that happens, at least 1.

    Returns
    -------
    Composition
        Nothing is computed before it is asked for, except the epsilons.

    Raises
    ------
    ChannelError
        If something is neither a channel that is bound to its symbols nor a row-stochastic matrix, or a number is
        out of its range.

    Examples
    --------
    >>> from hashcomb.channels import RandomizedResponse
    >>> age, place = RandomizedResponse(1.0, 16, depth="leaf"), RandomizedResponse(2.0, 64, depth="leaf")
    >>> total = compose([(age, 1), (place, 2)], rounds=4)
    >>> f"{total.basic:.2f} {total.epsilon(1e-6, by='renyi'):.2f} {total.epsilon(1e-6):.2f}"
    '20.00 14.78 13.86'
    """
    counts: dict[Loss, int] = {}
    known: dict[int, tuple[object, Loss]] = {}
    for item in _listed(releases):
        what, times = _two(item)
        if id(what) not in known:
            known[id(what)] = what, loss_of(what)
        loss = known[id(what)][1]
        counts[loss] = counts.get(loss, 0) + whole(times, "times", 1, MAX_TIMES)
    listed = sum(counts.values())
    if not listed:
        raise ChannelError("releases must name at least one release")
    chosen = listed if reported is None else whole(reported, "reported", 1, listed)
    return Composition((Round(tuple(counts), tuple(counts.values()), chosen, whole(rounds, "rounds", 1, MAX_TIMES)),))


def compose_spec(spec: Spec, *, rounds: int = 1) -> Composition | None:
    """Compose the tokens of one record under a Spec.

    Parameters
    ----------
    spec : Spec
        What is asked about. Tokens of nodes above the leaf cost what their nodes tell, paths what their leaves do.
    rounds : int, optional
        How many times the same record is encoded, at least 1.

    Returns
    -------
    Composition or None
        None for deterministic tokens, for which no epsilon holds.

    Raises
    ------
    ChannelError
        If `spec` is no Spec, or `rounds` no whole number of at least 1.
    SpecError
        If the Spec's channel is unknown or does not fit.
    """
    if not isinstance(spec, Spec):
        raise ChannelError("spec must be a Spec", hint="compose takes channels and matrices")
    whole(rounds, "rounds", 1, MAX_TIMES)
    laws = [release.law for release in releases_of(spec) if release.law is not None]
    return compose([(law, 1) for law in laws], reported=reported_features(spec), rounds=rounds) if laws else None


def _tilts(rounds: tuple[Round, ...], *, per_octave: int) -> Floats:
    """Return Renyi orders, less 1, from nearly 1 to where only the largest loss counts."""
    epsilons = [loss.epsilon for one in rounds for loss in one.losses if loss.epsilon < math.inf]
    largest = min(max(epsilons, default=1.0), 700.0)
    octaves = math.ceil(math.log2(4096 / max(largest, 1e-9)))
    return np.asarray(2.0 ** np.arange(-16, octaves + 1 / per_octave, 1 / per_octave))


# ---------------------------------------------------------------------- arguments
def _listed(releases: Any) -> list[Any]:
    if isinstance(releases, Channel | Spec | str | bytes) or not isinstance(releases, Iterable):
        raise ChannelError("releases must be a list of pairs (channel or matrix, times)")
    return list(releases)


def _two(item: Any) -> tuple[Any, Any]:
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise ChannelError("releases must be a list of pairs (channel or matrix, times)")
    return item[0], item[1]


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _between(epsilon: float, largest: float) -> float:
    return min(max(epsilon, 0.0), largest)
