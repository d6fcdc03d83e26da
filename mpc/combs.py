"""From what was agreed to a Spec; and whether there can be one, before anything of the data is opened."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from hashcomb.channels import describe
from hashcomb.codec import check_usable
from hashcomb.comb import Comb
from hashcomb.errors import ChannelError, SpecError
from hashcomb.mpc.network.parties import Party
from hashcomb.mpc.policy import NO_CHANNEL, Policy, Votes
from hashcomb.mpc.protocols.noisy_quantiles import ROUNDS
from hashcomb.spec import Categorical, ChannelSpec, EdgesNoise, Feature, Quantile, Spec, Uniform, can_be_cut

if TYPE_CHECKING:
    from hashcomb.privacy import NoisyCounts

__all__ = ("Ranges", "Rules", "bounds_of", "check_trial", "noise_of", "spec_of", "trial_rules", "with_means")

Floats = NDArray[np.float64]

_LARGEST = np.finfo(np.float64).max


class Rules(NamedTuple):
    """What the votes decided."""

    depth: int
    channel: str | None = None
    epsilon: float | None = None
    hash: str | None = None


class Ranges(NamedTuple):
    """Ranges of the numeric features, and inner edges where they are no multiples of the width."""

    lo: Floats
    hi: Floats
    edges: Floats | None = None


def spec_of(
    kinds: Sequence[Sequence[str]],
    ranges: Ranges,
    categories: Mapping[str, tuple[str | int, ...]],
    rules: Rules,
    policy: Policy,
    noise: NoisyCounts | None = None,
) -> Spec:
    """Return the Spec.

    Parameters
    ----------
    kinds : sequence of pairs of str
        Names and kinds of all features, in order.
    ranges : Ranges
        Of the numeric features, in order.
    categories : mapping of str to tuple
        Of the others.
    rules : Rules
        What was voted for.
    policy : Policy
        All else.
    noise : NoisyCounts, optional
        The noise with which ranges and edges were found.

    Raises
    ------
    SpecError
        If these make no Spec.
    """
    numeric = iter(_numeric([name for name, kind in kinds if kind == "numeric"], ranges, rules.depth, policy))
    features: tuple[Feature, ...] = tuple(
        next(numeric) if kind == "numeric" else Categorical(name=name, categories=categories[name])
        for name, kind in kinds
    )
    return Spec(
        features=features,
        depth=rules.depth,
        outside=policy.outside,
        missing=policy.missing,
        unknown=policy.unknown,
        hash=rules.hash or policy.hash,  # type: ignore[arg-type]
        token_bits=policy.token_bits,
        tokens=policy.tokens,
        channel=_channel(rules, policy),
        edges_noise=_stated(noise),
    )


def _stated(noise: NoisyCounts | None) -> EdgesNoise | None:
    if noise is None:
        return None
    return EdgesNoise(variance=noise.variance, n_counts=noise.n_counts, n_parts=noise.n_parts)


def _numeric(names: Sequence[str], ranges: Ranges, depth: int, policy: Policy) -> list[Feature]:
    lo, hi, edges = ranges
    if policy.margin:
        with np.errstate(over="ignore"):
            pad = policy.margin * hi - policy.margin * lo
            lo, hi = np.clip(lo - pad, -_LARGEST, _LARGEST), np.clip(hi + pad, -_LARGEST, _LARGEST)
    ends = list(zip(names, lo, hi, strict=True))
    if edges is not None:
        return [Quantile(name=n, lo=a, hi=b, edges=tuple(row)) for (n, a, b), row in zip(ends, edges, strict=True)]
    # A feature that is constant, or nearly so, has no width to cut; it gets a comb with a single leaf in use.
    return [
        Uniform(name=name, lo=a, hi=b)
        if can_be_cut(float(a), float(b), 1 << depth)
        else Quantile(name=name, lo=a, hi=b, edges=(b,) * ((1 << depth) - 1))
        for name, a, b in ends
    ]


def _channel(rules: Rules, policy: Policy) -> ChannelSpec | None:
    if rules.channel is None:
        return policy.channel
    if rules.channel == NO_CHANNEL:
        return None
    # Only leaves have nodes at all levels.
    params = {"depth": "leaf"} if rules.channel == "randomized_response" and policy.tokens != "leaf" else {}
    try:
        return describe(rules.channel, params, n_leaves=1 << rules.depth, epsilon=rules.epsilon)
    except ChannelError as error:
        raise SpecError(error.problem, path="channel", hint=error.hint) from None


# ---------------------------------------------------------------------- before anything is opened
def check_trial(
    kinds: Sequence[Sequence[str]], policy: Policy, rules: Rules, categories: Mapping[str, tuple[str | int, ...]]
) -> None:
    """Raise `SpecError` if these names, policy and rules make no Spec, whatever the data that is not known yet."""
    n_numeric = sum(kind == "numeric" for _, kind in kinds)
    none = np.zeros(n_numeric)
    room = (1 << rules.depth) - (policy.unknown == "token")
    stand_ins = {name: ("a", "b")[: max(1, room)] for name in policy.categorical}
    check_usable(spec_of(kinds, Ranges(none, none + 1), {**stand_ins, **categories}, rules, policy))


def trial_rules(policy: Policy, votes: Votes) -> list[Rules]:
    """Return what the votes may decide, as far as this owner can tell: its own depth, each channel."""
    # The least depth that has the level which is to be encoded, if that is larger.
    least = policy.tokens if isinstance(policy.tokens, int) else 1
    depth = min(policy.depth_max, max(votes.depth, least))
    epsilon = 1.0 if votes.epsilon is None else votes.epsilon
    return [Rules(depth, channel, epsilon) for channel in policy.channels] or [Rules(depth)]


def noise_of(party: Party, policy: Policy, n_numeric: int) -> NoisyCounts | None:
    """Return the noise of noisy edges: that of all owners but as many as may collude has the policy's epsilon."""
    if policy.edges != "noisy" or n_numeric == 0:
        return None
    n_parts = max(1, len(party.owners) - party.threshold)
    return _calibrated(policy.edges_epsilon, policy.edges_delta, ROUNDS * n_numeric, n_parts)


@functools.lru_cache(maxsize=16)  # seconds of work, the same for all owners of one program
def _calibrated(epsilon: float, delta: float, n_counts: int, n_parts: int) -> NoisyCounts:
    # Only here: hashcomb.privacy imports SciPy, which takes a second and 40 MB that others need not spend.
    from hashcomb.privacy import NoisyCounts  # noqa: PLC0415

    try:
        return NoisyCounts.for_epsilon(epsilon, delta, n_counts, n_parts)
    except ChannelError as error:
        raise SpecError(error.problem, path="edges_epsilon", hint=error.hint) from None


# ---------------------------------------------------------------------- means
def bounds_of(spec: Spec) -> list[Floats]:
    """Return ends and inner edges of the numeric features."""
    bounds = Comb(spec).bounds()
    return [row for row, feature in zip(bounds, spec.features, strict=True) if not isinstance(feature, Categorical)]


def with_means(spec: Spec, means: Sequence[Floats]) -> Spec:
    """Return the Spec with the means of the leaves of its numeric features."""
    given = iter(means)
    features = tuple(
        feature if isinstance(feature, Categorical) else replace(feature, means=tuple(next(given).tolist()))
        for feature in spec.features
    )
    return replace(spec, features=features)
