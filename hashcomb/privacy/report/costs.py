"""What privacy costs: error and information of a token at other epsilons, and with other channels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from hashcomb.channels import Channel, RandomizedResponse, channels_of, kind_of, kinds, reported_features
from hashcomb.errors import ChannelError
from hashcomb.privacy.release import Release, added_up, release_of, releases_of
from hashcomb.spec import Categorical, Spec

__all__ = ("FACTORS", "MAX_COMPARED", "MAX_NODES", "PLAIN_EPSILONS", "Cost", "compared_feature", "costs", "what_if")

FACTORS = (0.25, 0.5, 1.0, 2.0)
PLAIN_EPSILONS = (0.5, 1.0, 2.0, 4.0)  # where the Spec has no epsilon to start from
# Leaves on which other channels are compared, at most; finer combs hardly change what they show. Most channels need
# a table, which takes long to make; randomized response needs none.
MAX_COMPARED, MAX_NODES = 1 << 5, 1 << 10
_CALIBRATED = {"epsilon", "margin", "theta", "first", "stop", "weights", "report_features"}


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one value costs under a channel: the epsilon spent, and what is left of the value.

    Parameters
    ----------
    kind : str
        The channel.
    own : bool
        Whether it is the Spec's own kind of channel, with its depth.
    now : bool
        Whether it is what the Spec says now.
    factor : float or None
        Of the Spec's own kind: how many times the epsilon of now.
    asked : float or None
        The epsilon of a value that was asked for; None for what the Spec says now.
    epsilon : float or None
        Exact epsilon of one value, in nats; None where none holds.
    record_epsilon : float or None
        What a record costs at most (basic composition), if the epsilon of every value is changed in the same
        proportion, or for another kind if all features have this channel. None where that is not so simple.
    error : float or None
        Mean squared error of decoding one token to its posterior mean, for a value uniform on [0, 1]. Without
        any token it is 1/12. None for categories.
    bits : float or None
        Bits that a token carries about its symbol, for a uniform symbol.
    n_symbols, n_tokens : int
        Different true symbols on which that was computed, and different tokens.
    """

    kind: str
    own: bool
    now: bool
    factor: float | None
    asked: float | None
    epsilon: float | None
    record_epsilon: float | None
    error: float | None
    bits: float | None
    n_symbols: int
    n_tokens: int


def what_if(spec: Spec, *, others: bool = False) -> tuple[Cost, ...]:
    """Return what one value costs now, and what it would cost at a quarter, half and twice the epsilon.

    The value is one of a numeric feature where there is one, else one of the longest list of categories.

    Parameters
    ----------
    spec : Spec
        What is asked about.
    others : bool, optional
        Whether to add the other kinds of channel that fit the feature.

    Returns
    -------
    tuple of Cost
        The Spec's own kind first, by epsilon; then the others, kind by kind.

    Raises
    ------
    SpecError
        If the Spec's channel is unknown or does not fit.
    """
    feature = _Feature.of(spec)
    release = feature.release
    kind = spec.channel.kind if spec.channel else "none"
    now = _as_cost(kind, release, _finite(feature.record_epsilon), own=True, factor=1.0)
    own = [now, *_own(feature)]
    own.sort(key=lambda cost: math.inf if cost.epsilon is None else cost.epsilon)
    wanted = PLAIN_EPSILONS if now.epsilon is None else [factor * now.epsilon for factor in FACTORS]
    shown = {(cost.kind, cost.error, cost.bits) for cost in own}
    more = costs(spec, wanted) if others else ()
    return (*own, *(cost for cost in more if (cost.kind, cost.error, cost.bits) not in shown))


def costs(spec: Spec, epsilons: Sequence[float]) -> tuple[Cost, ...]:
    """Return what one value costs under each kind of channel that fits, at each of some epsilons.

    Parameters
    ----------
    spec : Spec
        Its first numeric feature is looked at, or its longest list of categories; its own channel is not.
    epsilons : sequence of float
        Wanted epsilons, in nats. A channel that cannot have one is left out there.

    Returns
    -------
    tuple of Cost
        Kind by kind, each by epsilon. Channels that need a table are compared on at most `MAX_COMPARED` leaves,
        randomized response on `MAX_NODES`, whatever the Spec has.

    Raises
    ------
    SpecError
        If the Spec's channel is unknown or does not fit.
    """
    feature = _Feature.of(spec)
    found = []
    for kind in map(kind_of, kinds()):
        small = feature.on_fewer_leaves(MAX_NODES if kind is RandomizedResponse else MAX_COMPARED)
        small = feature if small is None and kind is RandomizedResponse else small
        if small is not None:
            found += [cost for epsilon in epsilons for cost in _other(small, kind, epsilon)]
    return tuple(found)


def _other(feature: _Feature, kind: type[Channel], epsilon: float) -> Iterator[Cost]:
    """Yield the cost of a kind of channel at an epsilon, or nothing where there is no such channel."""
    channel = _made(feature, kind, epsilon, {})
    if channel is not None:
        release = release_of(channel, feature.n_used, is_ordered=feature.is_ordered)
        yield _as_cost(kind.kind, release, feature.record_of(release.epsilon), asked=epsilon)


def compared_feature(spec: Spec) -> str | None:
    """Return the name of the feature that `what_if` is about; None where all features are alike."""
    releases = releases_of(spec)
    if all(release is releases[0] for release in releases):
        return None
    return spec.names[_standing_for(spec)]


def _standing_for(spec: Spec) -> int:
    sizes = [release.n_symbols for release in releases_of(spec)]
    return min(range(len(sizes)), key=lambda j: (isinstance(spec.features[j], Categorical), -sizes[j]))


@dataclass(frozen=True)
class _Feature:
    """The feature that stands for all: the first numeric one, or that of the most categories."""

    spec: Spec
    release: Release
    channel: Channel | None
    n_used: int
    is_ordered: bool
    record_epsilon: float
    all_alike: bool

    @classmethod
    def of(cls, spec: Spec) -> _Feature:
        releases, bound, index = releases_of(spec), channels_of(spec), _standing_for(spec)
        return cls(
            spec=spec,
            release=releases[index],
            channel=bound[index] if bound else None,
            n_used=spec.used_leaves[index],
            is_ordered=not isinstance(spec.features[index], Categorical),
            record_epsilon=added_up((release.epsilon for release in releases), reported_features(spec)),
            all_alike=all(release is releases[0] for release in releases),
        )

    def on_fewer_leaves(self, most: int) -> _Feature | None:
        """Return the feature on a comb of so many leaves at most; None if its symbols are too many and no comb."""
        if self.n_used <= most:
            return self
        return replace(self, n_used=most) if self.is_ordered else None

    def record_of(self, epsilon: float) -> float | None:
        """Return what a record costs if every value costs `epsilon`, where one channel fits all features."""
        n_reported = reported_features(self.spec)
        return added_up([epsilon] * n_reported, n_reported) if self.all_alike else None


def _own(feature: _Feature) -> Iterator[Cost]:
    """Yield the Spec's own kind of channel at the other factors, with what else it is told."""
    spec, channel = feature.spec, feature.channel
    if channel is None or spec.channel is None or math.isinf(channel.epsilon):
        return
    kept = {name: value for name, value in spec.channel.params.items() if name not in _CALIBRATED}
    if channel.kind == RandomizedResponse.kind:
        kept = {"depth": "leaf", **kept}  # a Spec without a depth reports leaves
    shift = spec.depth - spec.levels[-1]
    for factor in FACTORS:
        wanted = factor * channel.epsilon
        made = _made(feature, type(channel), wanted, kept) if factor != 1.0 else None
        if made is not None:
            release = release_of(made, feature.n_used, is_ordered=feature.is_ordered, shift=shift)
            # Factors are powers of two, so this product is exact; the node's epsilon has no such proportion.
            record = None if shift else factor * feature.record_epsilon
            yield _as_cost(made.kind, release, record, own=True, factor=factor, asked=wanted)


def _made(feature: _Feature, kind: type[Channel], epsilon: float, parameters: Mapping[str, Any]) -> Channel | None:
    """Return the channel of a kind with an epsilon on the symbols of a feature; None if there is none."""
    n_used, missing = feature.n_used, feature.spec.missing == "token"
    try:
        channel = kind.for_epsilon(epsilon, n_used, **parameters)
        channel = channel.on(n_used + missing, missing=missing, ordered=feature.is_ordered)
        return channel if math.isfinite(channel.epsilon) else None
    except ChannelError:
        return None


def _as_cost(
    kind: str,
    release: Release,
    record_epsilon: float | None,
    *,
    own: bool = False,
    factor: float | None = None,
    asked: float | None = None,
) -> Cost:
    return Cost(
        kind=kind,
        own=own,
        now=factor == 1.0,
        factor=factor,
        asked=asked,
        epsilon=_finite(release.epsilon),
        record_epsilon=record_epsilon,
        error=release.error,
        bits=release.bits,
        n_symbols=release.n_symbols,
        n_tokens=release.n_tokens,
    )


def _finite(epsilon: float) -> float | None:
    return epsilon if math.isfinite(epsilon) else None
