"""Kinds of channels, and from a Spec to the channels of its features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hashcomb.channels.channel import Channel, positive, whole
from hashcomb.channels.randomizer import reports_leaves
from hashcomb.errors import ChannelError, SpecError
from hashcomb.spec import Categorical, ChannelSpec, Feature, Spec

__all__ = (
    "channels_of",
    "describe",
    "kind_of",
    "kinds",
    "register",
    "reported_features",
)

_KINDS: dict[str, type[Channel]] = {}
_SHARED = "report_features"  # the one parameter that belongs to the record and not to a channel


def register(cls: type[Channel]) -> type[Channel]:
    """Make a channel class known by its ``kind``; a decorator."""
    _KINDS[cls.kind] = cls
    return cls


def kinds() -> tuple[str, ...]:
    """Return the names of all kinds of channels."""
    return tuple(sorted(_KINDS))


def kind_of(kind: str) -> type[Channel]:
    """Return the class of a kind; raise `ChannelError` if there is none."""
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ChannelError(f"no channel is called {kind!r}", hint=f"known: {', '.join(kinds())}")
    return _KINDS[kind]


def describe(
    kind: str,
    params: dict[str, Any] | None = None,
    *,
    n_leaves: int,
    epsilon: float | Sequence[float] | None = None,
    report_features: int | None = None,
) -> ChannelSpec:
    """Return a Spec's channel by its kind, calibrated to an epsilon where its own parameters are others.

    What a solver chooses is written out, but for lists of epsilons, where it differs from feature to feature.

    Parameters
    ----------
    kind : str
        Name of a channel, for example ``"square_wave"``.
    params : dict, optional
        Parameters of the kind.
    n_leaves : int
        Leaves of the Spec's combs; some channels are solved for them.
    epsilon : float or sequence of float, optional
        Epsilon of one report, for all features or for each; for kinds that have one.
    report_features : int, optional
        How many features a record reports.

    Raises
    ------
    ChannelError
        If there is no such kind, or it cannot have these parameters.
    """
    cls, own = kind_of(kind), dict(params or {})
    if isinstance(epsilon, Sequence):
        for one in epsilon:
            positive(one, "epsilon")
        if len(epsilon) == 0:
            raise ChannelError("epsilon must have a number for each feature")
        # Made with the first budget, so that the other parameters are checked.
        given = {**_made(cls, {"epsilon": epsilon[0], **own}).to_spec().params, "epsilon": tuple(epsilon)}
    elif epsilon is None or {*cls.required} <= {"epsilon"}:
        made = _made(cls, own if epsilon is None else {**own, "epsilon": epsilon})
        given = dict(made.spec_for(n_leaves).params)
    else:
        cls.check_beside_epsilon(own)
        given = dict(cls.for_epsilon(epsilon, n_leaves, **own).to_spec().params)
    shared = {} if report_features is None else {_SHARED: whole(report_features, _SHARED, 1, 1 << 31)}
    return ChannelSpec(kind=kind, params={**given, **shared})


def _made(cls: type[Channel], params: dict[str, Any]) -> Channel:
    cls.check_names(params)
    return cls(**params)


def channels_of(spec: Spec) -> tuple[Channel, ...] | None:
    """Return the channel of every feature of a Spec, or None if its tokens are deterministic.

    Parameters
    ----------
    spec : Spec
        Its ``channel.params`` are those of the kind. ``epsilon`` may be one number for all features or a list
        with one for each, and ``report_features`` says how many features a record reports.

    Raises
    ------
    SpecError
        If the Spec names an unknown channel, gives one parameters that it cannot have, or asks for tokens
        that its reports do not have; ``path`` names the field.
    """
    if spec.channel is None:
        return None
    cls = _KINDS.get(spec.channel.kind)
    if cls is None:
        raise SpecError("is no channel that this library knows", path="channel.kind", hint=f"known: {sorted(_KINDS)}")
    reported_features(spec)
    missing = spec.missing == "token"
    known: dict[Any, Channel] = {}
    bound = []
    for feature, n_used, params in zip(spec.features, spec.used_leaves, _params(spec), strict=True):
        key = (n_used, isinstance(feature, Categorical), params.get("epsilon"))
        if key not in known:
            known[key] = _bind(cls, params, feature, n_used + missing, missing)
        bound.append(known[key])
    channels = tuple(bound)
    if spec.tokens != "leaf" and not reports_leaves(channels):
        raise SpecError(
            f"reports of {spec.channel.kind} are no leaves, and have no nodes at other levels",
            path="tokens",
            hint="use tokens='leaf', or a channel that reports leaves",
        )
    return channels


def reported_features(spec: Spec) -> int:
    """Return how many of its features each record reports: all, unless ``channel.params.report_features`` says.

    Which ones is drawn at random for each record, and does not depend on the data.

    Raises
    ------
    SpecError
        If the Spec asks for more than there are.
    """
    n_features = len(spec.features)
    asked = None if spec.channel is None else spec.channel.params.get(_SHARED)
    if asked is None:
        return n_features
    try:
        return whole(asked, _SHARED, 1, n_features)
    except ChannelError as error:
        raise SpecError(error.problem, path=f"channel.params.{_SHARED}") from None


def _params(spec: Spec) -> list[dict[str, Any]]:
    """Return the parameters of each feature's channel: lists of epsilons are dealt out."""
    assert spec.channel is not None
    params = {name: value for name, value in spec.channel.params.items() if name != _SHARED}
    epsilon = params.get("epsilon")
    if not isinstance(epsilon, tuple):
        return [params] * len(spec.features)
    if len(epsilon) != len(spec.features):
        raise SpecError(
            f"has {len(epsilon)} budgets for {len(spec.features)} features",
            path="channel.params.epsilon",
            hint="give one for all features, or a list with one for each",
        )
    return [{**params, "epsilon": one} for one in epsilon]


def _bind(cls: type[Channel], params: dict[str, Any], feature: Feature, n_symbols: int, missing: bool) -> Channel:
    ordered = not isinstance(feature, Categorical)
    try:
        channel = cls.from_params(params)
    except ChannelError as error:
        raise SpecError(error.problem, path="channel.params", hint=error.hint) from None
    try:
        return channel.on(n_symbols, missing=missing, ordered=ordered)
    except ChannelError as error:
        problem = f"does not fit feature {feature.name!r}: {error.problem}"
        raise SpecError(problem, path="channel.params", hint=error.hint) from None
