"""From a Spec to the channels of its features, and from leaves to reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb.channels.channel import Channel, positive, whole
from hashcomb.errors import ChannelError, SpecError
from hashcomb.spec import Categorical, ChannelSpec, Feature, Spec

__all__ = (
    "Randomizer",
    "channels_of",
    "describe",
    "kind_of",
    "kinds",
    "n_slots",
    "register",
    "reported_features",
    "reports_leaves",
    "select",
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
        given = dict(_calibrated(cls, epsilon, n_leaves, own).to_spec().params)
    shared = {} if report_features is None else {_SHARED: whole(report_features, _SHARED, 1, 1 << 31)}
    return ChannelSpec(kind=kind, params={**given, **shared})


def _made(cls: type[Channel], params: dict[str, Any]) -> Channel:
    cls.check_names(params)
    return cls(**params)


def _calibrated(cls: type[Channel], epsilon: float, n_leaves: int, params: dict[str, Any]) -> Channel:
    return cls.for_epsilon(epsilon, n_leaves, **params)


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


def reports_leaves(channels: Sequence[Channel]) -> bool:
    """Return whether all reports are leaves, so that they are encoded as true leaves are."""
    return all(channel.reports_symbols for channel in {id(channel): channel for channel in channels}.values())


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


# ---------------------------------------------------------------------- leaves to reports
class Randomizer:
    """Sends leaves through the channels of their features.

    Parameters
    ----------
    channels : sequence of Channel
        One for each feature, as from `channels_of`.
    used : sequence of int
        How many leaves each feature can fill.
    n_leaves : int
        Leaves of a comb; the leaf of missing values has this number.
    n_reported : int
        How many features of a record are reported.
    """

    def __init__(self, channels: Sequence[Channel], used: Sequence[int], n_leaves: int, n_reported: int) -> None:
        self._channels, self._used = channels, used
        self._last = n_slots(channels, n_leaves)
        self.n_reported = n_reported
        first = channels[0]
        whole_comb = not first.has_missing or (used[0] == n_leaves and first.n_reports == self._last + 1)
        # One channel serves all features, and the numbers of its reports are the slots already.
        self._shared = all(channel is first for channel in channels) and whole_comb

    def reports(
        self, leaves: NDArray[np.int32], words: NDArray[np.uint64], choice: NDArray[np.uint64] | None
    ) -> NDArray[np.int32]:
        """Return what is reported of leaves.

        Parameters
        ----------
        leaves : ndarray of int32, shape (n_rows, n_features)
            What to randomize.
        words : ndarray of uint64, shape (n_rows, n_features)
            One secret random word each.
        choice : ndarray of uint64, shape (n_rows, n_features), or None
            Further words where only some features are reported.

        Returns
        -------
        ndarray of int32, shape (n_rows, n_features)
            Reports; `n_slots` for those that stand for missing values, and for features that are not reported.

        Notes
        -----
        Privacy: each report has its channel's epsilon; features have words of their own, so a record has at most
        the sum of them.
        """
        reported = self._channels[0].sample(leaves, words) if self._shared else self._by_feature(leaves, words)
        if choice is None:
            return reported
        return np.where(select(choice, self.n_reported), reported, np.int32(self._last))

    def _by_feature(self, leaves: NDArray[np.int32], words: NDArray[np.uint64]) -> NDArray[np.int32]:
        reported = np.empty_like(leaves)
        for j, (channel, count) in enumerate(zip(self._channels, self._used, strict=True)):
            # The symbol behind the last leaf in use stands for missing values.
            symbols = np.minimum(leaves[:, j], count)
            reports = channel.sample(np.ascontiguousarray(symbols), np.ascontiguousarray(words[:, j]))
            reported[:, j] = np.where(reports < channel.n_reports - channel.has_missing, reports, self._last)
        return reported


def n_slots(channels: Sequence[Channel], n_leaves: int) -> int:
    """Return how many numbers reports of values have, at most; that of missing values comes behind them."""
    if reports_leaves(channels):
        return n_leaves
    return max(channel.n_reports - channel.has_missing for channel in channels)


def select(words: NDArray[np.uint64], n_reported: int) -> NDArray[np.bool_]:
    """Choose features for each record, each set of `n_reported` with the same probability.

    Parameters
    ----------
    words : ndarray of uint64, shape (n_rows, n_features)
        Secret random words, used for nothing else.
    n_reported : int
        How many features of a record are reported.

    Returns
    -------
    ndarray of bool, shape (n_rows, n_features)
        True where a feature is reported.

    Notes
    -----
    Privacy: the choice does not depend on the record.
    """
    order = np.argsort(words, axis=1, kind="stable")
    chosen = np.zeros(words.shape, dtype=bool)
    np.put_along_axis(chosen, order[:, :n_reported], True, axis=1)
    return chosen
