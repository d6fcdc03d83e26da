"""What is audited: features that share a channel, what they are given, what is stated of them, what came out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb.audit.evidence import Event, best_event, score_tables
from hashcomb.channels import Channel, channels_of, reported_features
from hashcomb.comb import Comb
from hashcomb.errors import SpecError
from hashcomb.placing import place
from hashcomb.privacy.release import release_of
from hashcomb.spec import Categorical, Spec

__all__ = ("Subject", "subjects_of")

Array = NDArray[Any]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_MAX_MATRIX = 1 << 25  # entries: 256 MiB, enough for a report of every leaf at depth 12
_MAX_CELLS = 1 << 20
_MAX_SYMBOLS = 1 << 10
_MIN_DRAWS = 16  # of each symbol in the pilot
_GOLDEN = 0.6180339887498949  # its multiples, modulo 1, are spread evenly


class Subject:
    """The features that share a channel.

    Parameters
    ----------
    spec : Spec
        Their Spec.
    positions : sequence of int
        Where they stand in it.
    channel : Channel
        Theirs.
    n_pilot : int
        Reports in the pilot. They are spread over all symbols, or over as many as they suffice for.

    Raises
    ------
    SpecError
        If the channel's matrix is too large to be looked at.

    Attributes
    ----------
    symbols : ndarray of int
        Those that reports are drawn of, in order; everything below counts along them.
    values : list of ndarray
        For each feature a value that lies in each symbol, or in another where the feature has none.
    law : ndarray, shape (n_symbols, n_seen)
        Stated probability of all that can be seen; the last column may be that of nothing.
    counts : ndarray of int, shape (n_symbols, n_seen)
        What was seen.
    hits, draws : ndarray of int, shape (2,)
        Of the pair, once it is chosen: reports in the event, and reports in all.
    """

    def __init__(self, spec: Spec, positions: Sequence[int], channel: Channel, n_pilot: int) -> None:
        self.positions, self.channel = np.array(positions), channel
        self.names = tuple(spec.names[j] for j in positions)
        n_symbols, used = channel.n_symbols or 0, spec.used_leaves[positions[0]]
        if n_symbols * channel.n_reports > _MAX_MATRIX:
            raise SpecError(
                f"gives {n_symbols} symbols {channel.n_reports} different reports, too many to audit",
                path="channel",
                hint="audit the same channel at a lower depth",
            )
        self._shift, self._share = spec.depth - spec.levels[-1], reported_features(spec) / len(spec.features)
        is_ordered = not isinstance(spec.features[positions[0]], Categorical)
        self.claim = release_of(channel, used, is_ordered=is_ordered, shift=self._shift).epsilon
        most = max(2, min(n_pilot // _MIN_DRAWS, _MAX_SYMBOLS, _MAX_CELLS // channel.n_reports))
        self._choose_values(spec, _evenly(np.arange(n_symbols), most), most)
        self._state_law()
        self.event: Event | None = None
        n_features, (n_chosen, n_seen) = len(positions), self.law.shape
        self.counts: Ints = np.zeros((n_chosen, n_seen), dtype=np.int64)
        self.by_feature: Ints = np.zeros((n_features, n_seen), dtype=np.int64)
        self.given: Ints = np.zeros((n_features, n_chosen), dtype=np.int64)
        self.near_truth: Ints = np.zeros(n_features, dtype=np.int64)
        self.hits, self.draws = np.zeros((2, 2), dtype=np.int64)

    # ------------------------------------------------------------------ what is given
    def _choose_values(self, spec: Spec, wanted: Ints, most: int) -> None:
        offered = [_values(spec, j, wanted) for j in self.positions]
        lies_in = [_symbols(spec, j, values) for j, values in zip(self.positions, offered, strict=True)]
        symbols = _evenly(np.unique(lies_in), most)
        lost = [leaves[0] for leaves in lies_in if not np.isin(leaves, symbols).any()]
        self.symbols: Ints = np.unique([*symbols, *lost]).astype(np.int64)
        self.values, index = [], []
        for values, leaves in zip(offered, lies_in, strict=True):
            chosen = _cover(leaves, self.symbols)
            self.values.append(values[chosen])
            index.append(np.searchsorted(self.symbols, leaves[chosen]))
        self._index: Ints = np.stack(index)

    def plan(self, rows: Ints) -> Ints:
        """Return which of its values each feature has in rows with these numbers, shape (n_rows, n_features)."""
        places, n_values = np.arange(len(self.positions)), len(self.symbols)
        if self.event is None:
            return np.asarray((rows[:, None] + places * max(1, n_values // len(places))) % n_values)
        is_first = (rows[:, None] + places) * _GOLDEN % 1 < self.event.share
        return np.where(is_first, self.event.first, self.event.second)

    # ------------------------------------------------------------------ what is stated
    def _state_law(self) -> None:
        """State the law of what is seen: a node may stand for several reports, and not all features are reported."""
        matrix = self.channel.matrix()[self.symbols]
        n_values = self.channel.n_reports - self.channel.has_missing
        seen = self._share * np.add.reduceat(matrix[:, :n_values], np.arange(0, n_values, 1 << self._shift), axis=1)
        blank = self._share * matrix[:, n_values:].sum(axis=1) + (1 - self._share)
        self._n_values = seen.shape[1]
        has_blank = self.channel.has_missing or self._share < 1
        self.law: Floats = np.column_stack([seen, blank]) if has_blank else seen
        # What a symbol makes likelier than the others do: with a wrong constant all of it is wrong the same way.
        self.near = self.law > self.law.mean(axis=0) * (1 + 1e-9)
        self._scores, self._variances = score_tables(
            _visible(self.law, self._n_values) if self._share < 1 else self.law
        )

    # ------------------------------------------------------------------ what came out
    def _read(self, plan: Ints, reports: Array) -> tuple[Ints, Ints]:
        symbols = self._index[np.arange(len(self.positions)), plan]
        return symbols, np.where(reports < 0, self._n_values, reports).astype(np.int64)

    def tally(self, plan: Ints, reports: Array) -> None:
        """Count reports by symbol and by feature; both arrays of shape (n_rows, n_features)."""
        symbols, seen = self._read(plan, reports)
        places = np.broadcast_to(np.arange(len(self.positions)), symbols.shape)
        self.counts += _table(symbols, seen, self.counts.shape)
        self.by_feature += _table(places, seen, self.by_feature.shape)
        self.given += _table(places, symbols, self.given.shape)
        self.near_truth += self.near[symbols, seen].sum(axis=0)
        if self.event is not None:
            self._tally_pair(self.event, symbols, seen)

    def _tally_pair(self, event: Event, symbols: Ints, seen: Ints) -> None:
        # Of a feature with only one of the two, reports would be compared with those of other features.
        pair = [event.first, event.second]
        has_both = (self._index[:, pair] == pair).all(axis=1)
        is_hit = event.reports[seen[:, has_both]]
        for k, symbol in enumerate(pair):
            is_drawn = symbols[:, has_both] == symbol
            self.draws[k] += is_drawn.sum()
            self.hits[k] += (is_drawn & is_hit).sum()

    def score(self, plan: Ints, reports: Array) -> tuple[Floats, Floats]:
        """Return scores to be correlated, and their variances, both of shape (2, n_rows, n_features)."""
        symbols, seen = self._read(plan, reports)
        scores, variances = self._scores[:, symbols, seen], self._variances[:, symbols]
        if self._share < 1:
            # Which features of a record are reported hangs together, as it should; what they report may not.
            unreported = seen == self._n_values
            scores, variances = np.where(unreported, 0.0, scores), np.where(unreported, 0.0, variances)
        return scores, variances

    def appearance(self, plan: Ints, reports: Array) -> tuple[Floats, Floats]:
        """Return whether each report was seen, less its mean, and the variances, both of shape (n_rows, n_features)."""
        symbols, seen = self._read(plan, reports)
        mean = np.clip(self.law[:, : self._n_values].sum(axis=1), 0.0, 1.0)[symbols]
        return (seen < self._n_values) - mean, mean * (1 - mean)

    def choose_event(self, n_draws: int, alpha: float) -> None:
        """Choose pair and event by what was counted so far; draws to come of all features are shared out to them."""
        has = (self.given > 0).astype(np.float64)
        self.event = best_event(self.counts, self.law, n_draws * (has.T @ has) / len(has), alpha)


def _evenly(items: Ints, most: int) -> Ints:
    """Return at most so many of the items, the first and the last among them."""
    if len(items) <= most:
        return items
    return np.asarray(items[np.unique(np.linspace(0, len(items) - 1, most).astype(int))])


def _cover(leaves: Ints, symbols: Ints) -> Ints:
    """Return for each symbol the place of a value in it, or of one in another symbol where there is none."""
    good = np.flatnonzero(np.isin(leaves, symbols))
    chosen = good[np.arange(len(symbols)) % len(good)]
    chosen[np.searchsorted(symbols, leaves[good])] = good
    return chosen


def _visible(law: Floats, n_values: int) -> Floats:
    """Return the law of the reports that are seen, given that they are."""
    seen = law.copy()
    seen[:, n_values:] = 0.0
    seen[:, 0] += seen.sum(axis=1) == 0  # never seen, and never scored
    return np.asarray(seen / seen.sum(axis=1, keepdims=True))


def _values(spec: Spec, index: int, symbols: Ints) -> Array:
    """Return a value for every symbol of a feature, as a column of a table holds it."""
    feature = spec.features[index]
    if not isinstance(feature, Categorical):
        return np.asarray(Comb(_alone(spec, index)).representatives("center")[0, symbols])
    values: list[Any] = [*feature.categories, *([_unlisted(feature)] if spec.unknown == "token" else []), None]
    column = np.empty(len(symbols), dtype=object)
    column[:] = [values[symbol] for symbol in symbols]
    return column


def _unlisted(feature: Categorical) -> str | int:
    if isinstance(feature.categories[0], str):
        return "".join(map(str, feature.categories)) + "?"  # longer than any
    return max(map(int, feature.categories)) + 1


def _symbols(spec: Spec, index: int, values: Array) -> Ints:
    """Return the symbols in which values lie: between equal edges there are none."""
    leaves = place({spec.names[index]: values}, _alone(spec, index))[:, 0]
    return np.minimum(leaves, spec.used_leaves[index]).astype(np.int64)


def _alone(spec: Spec, index: int) -> Spec:
    return Spec(features=(spec.features[index],), depth=spec.depth, missing=spec.missing, unknown=spec.unknown)


def _table(rows: Ints, columns: Ints, shape: tuple[int, ...]) -> Ints:
    flat = np.bincount((rows * shape[1] + columns).reshape(-1), minlength=shape[0] * shape[1])
    return flat.reshape(shape)


def subjects_of(spec: Spec, feature: str | None, n_pilot: int) -> list[Subject]:
    """Return the features of a Spec in groups that share a channel.

    Parameters
    ----------
    spec : Spec
        With a channel.
    feature : str or None
        Name of a feature that is to be a group of its own, the first one.
    n_pilot : int
        Reports of a group in the pilot.

    Raises
    ------
    SpecError
        If there is no channel, or no such feature.
    """
    channels = channels_of(spec)
    if channels is None:
        raise SpecError("is missing, and there is no epsilon to audit", path="channel", hint="choose a channel")
    if feature is not None and feature not in spec.names:
        raise SpecError("do not include the one that was asked for", path="features", hint="look at the Spec's names")
    groups: dict[Any, list[int]] = {}
    for j, name in sorted(enumerate(spec.names), key=lambda item: item[1] != feature):
        key = "alone" if name == feature else (id(channels[j]), spec.used_leaves[j])
        groups.setdefault(key, []).append(j)
    return [Subject(spec, group, channels[group[0]], n_pilot) for group in groups.values()]
