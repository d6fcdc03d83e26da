"""Tokens from one Spec, Key and salts to others, by those who have both Keys.

A token of the old Spec stands for the set of values that it encodes to this token. Where all of them get one and the
same token under the new Spec, or are refused there alike, the migrated token is the one that encoding the value again
would give. Where a cut of the new Spec goes through that set, only the value could tell, and nobody has it any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from hashcomb.columns import refuse_where
from hashcomb.comb import Comb, Representative
from hashcomb.errors import FingerprintError, SpecError
from hashcomb.header import header_of
from hashcomb.reading import tokens_like
from hashcomb.spec import Categorical, Feature, Spec

if TYPE_CHECKING:
    from hashcomb.codec import HashComb

__all__ = ("FeatureMigration", "Migration")

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

_REFUSED = -1  # among nodes in order: what the new Spec refuses, or refuses for being too low
_MISSING, _NONE = -1, -2  # among numbers of reports: a missing value, as in `HashComb.reports`, and what has none
_HIGHEST = np.iinfo(np.int32).max


@dataclass(frozen=True)
class FeatureMigration:
    """What becomes of the tokens of one feature.

    Parameters
    ----------
    column : str
        Name of the feature.
    tokens : int
        How many tokens of the old Spec stand for values of it; with a channel, for reports.
    straddling : int
        How many of them stand for values that have different tokens under the new Spec.
    refused : int
        How many of the others stand for values that the new Spec refuses, all of them.
    """

    column: str
    tokens: int
    straddling: int
    refused: int

    @property
    def share(self) -> float:
        """Share of the tokens that straddle a cut, from 0 to 1."""
        return self.straddling / self.tokens


class Migration:
    """Bring tokens made under one Spec, Key and salts to others.

    Parameters
    ----------
    old : HashComb
        What the tokens were made with, salts included.
    new : HashComb
        What they are to be as if made with.

    Attributes
    ----------
    report : tuple of FeatureMigration
        What becomes of each feature.

    Raises
    ------
    SpecError
        If the Specs have other features, or count the dates of a feature from another day; if one has a channel, and
        the other has not the same channel on the same leaves.

    Notes
    -----
    Whether it is exact is decided on all doubles: every value that has a token under the old Spec. Reports of a channel
    are brought along one by one, and only to a Spec with the same channel on the same leaves: a report of one comb,
    moved to another, would no longer have the law that the new header names.

    Privacy: migrated tokens are computed from tokens alone, without new randomness, so reports keep their epsilon and
    nothing is spent. Whoever has old and migrated tokens of the same rows can match them, row by row; with one of the
    two Keys beside them, that opens the same tokens under the other, in all rows, as if these rows had been encoded
    twice. This object holds both Keys.

    Examples
    --------
    >>> import numpy as np
    >>> from hashcomb import HashComb, Key, Spec, Uniform
    >>> spec = Spec(features=(Uniform(name="age", lo=0.0, hi=120.0),), depth=4)
    >>> old, new = HashComb(spec, Key.create()), HashComb(spec, Key.create())
    >>> rows = np.array([[41.0], [90.0]])
    >>> migration = Migration(old, new)
    >>> migration.exact, bool((migration.apply(old.encode(rows)) == new.encode(rows)).all())
    (True, True)
    """

    def __init__(self, old: HashComb, new: HashComb) -> None:
        self._old, self._new = old, new
        _check_features(old.spec, new.spec)
        if old.spec.channel is None and new.spec.channel is None:
            moved = [_by_values(old.spec, new.spec, j) for j in range(len(old.spec.features))]
            self._nodes: Ints | None = np.stack([column.nodes for column in moved], axis=1)
            self.report = tuple(column.report for column in moved)
        else:
            _check_channels(old.spec, new.spec)
            self._nodes, self.report = None, _same_reports(old)

    @property
    def exact(self) -> bool:
        """Whether every token becomes the one of its value, or with a channel of its report, under the new Spec."""
        return not any(feature.straddling for feature in self.report)

    def __repr__(self) -> str:
        ends = " to ".join(
            f"{codec.spec.fingerprint[:8]}/{codec.header.key_id[:8]}" for codec in (self._old, self._new)
        )
        count = sum(feature.straddling > 0 for feature in self.report)
        return f"Migration({ends}, {'exact' if self.exact else f'{count} of {len(self.report)} features inexact'})"

    def apply(self, tokens: Any, *, approximate: bool = False) -> Any:
        """Return tokens as the new Spec, Key and salts would have them.

        Parameters
        ----------
        tokens : ndarray or data frame
            What `HashComb.encode` of the old gave, in whole or some of its rows; of a frame the token columns.
        approximate : bool, optional
            Where the values of a token have different tokens under the new Spec, take the one of what stands for the
            leaf: its agreed mean where the Spec has one, else its center; for categories the first of them. The header
            does not tell such tokens from exact ones.

        Returns
        -------
        TokenArray, ndarray or data frame
            Of the same kind, with the new header where the tokens carry one. What has no header gets none: whether
            such tokens are reports or those of true values is not known.

        Raises
        ------
        SpecError
            If the migration is not exact, and is not to be approximate.
        DataError
            If a token was not issued under the old Spec, Key and salts, or the new Spec refuses the value.
        FingerprintError
            If the tokens' header says that they were made under others, or past the old Spec's channel.

        Notes
        -----
        Privacy: as for the class; the index of a pandas frame stays as it is.
        """
        if not (self.exact or approximate):
            self._refuse_inexact()
        header = header_of(tokens)
        self._check_channel(header)
        moved = self._new.tokens_of(self._move(self._old.reports(tokens)))
        ours = self._new.header
        return tokens_like(tokens, moved, ours.columns, None if header is None else ours)

    def _move(self, reports: Ints) -> Ints:
        """Return the numbers under the new Spec of nodes or reports; -1, for what is missing, is behind all nodes."""
        if self._nodes is None:
            return reports >> np.int32(self._old.spec.levels[-1] - self._new.spec.levels[-1])
        nodes = np.take_along_axis(self._nodes, reports, axis=0)
        hint = "leave the row out, or take a Spec that has a place for it"
        refuse_where(nodes == _NONE, self._new.spec.names, "the new Spec refuses the value of this token", hint)
        return nodes

    def _refuse_inexact(self) -> None:
        worst = max(self.report, key=lambda feature: feature.share)
        n_features = sum(feature.straddling > 0 for feature in self.report)
        raise SpecError(
            f"tokens of {n_features} of {len(self.report)} features straddle cuts of the new Spec, most of all those "
            f"of {worst.column!r}: {worst.straddling} of {worst.tokens}",
            path="features",
            hint="encode the rows again, or pass approximate=True to go by what stands for a leaf",
        )

    def _check_channel(self, header: Any) -> None:
        self._old.header.require_same(header)
        if header is None or (header.channel is None) == (self._old.spec.channel is None):
            return
        problem = "tokens of true values, made past the channel of their Spec, are to be migrated"
        raise FingerprintError(problem, hint="encode the rows again with HashComb.encode_clean; their owner has them")


# ---------------------------------------------------------------------- what can be migrated at all
def _check_features(old: Spec, new: Spec) -> None:
    if old.names != new.names:
        raise SpecError("tokens are migrated between Specs of the same features, in the same order", path="features")
    for j, pair in enumerate(zip(old.features, new.features, strict=True)):
        if len({_kind(feature) for feature in pair}) > 1:
            problem = f"{old.names[j]!r} has other values: numbers or categories, text, or days since another date"
            raise SpecError(problem, path=f"features[{j}]", hint="encode the rows again")


def _kind(feature: Feature) -> Any:
    """Return what the values of two features must have in common."""
    return type(feature.categories[0]) if isinstance(feature, Categorical) else ("number", feature.origin)


def _check_channels(old: Spec, new: Spec) -> None:
    """Raise `SpecError` where reports would get another law than the new header names, or true leaves that of reports.

    Also leaves that hold no value must be the same, since reports name them too.
    """
    rules = ("channel", "depth", "outside", "missing", "unknown")
    same = all(getattr(old, rule) == getattr(new, rule) for rule in rules)
    if not (same and new.levels[-1] <= old.levels[-1] and _cuts(old) == _cuts(new)):
        raise SpecError(
            "tokens with a channel on either side are migrated only between Specs with the same channel on the same "
            "leaves, and to no finer level",
            path="channel",
            hint="encode the rows again, which costs the channel's epsilon again",
        )


def _cuts(spec: Spec) -> list[Any]:
    """Return what says which leaf each value of each feature has."""
    ends = Comb(spec).bounds().tolist()
    return [f.categories if isinstance(f, Categorical) else row for f, row in zip(spec.features, ends, strict=True)]


# ---------------------------------------------------------------------- from numbers to numbers
class _Moved(NamedTuple):
    """What becomes of one feature, and the new node, as `HashComb.reports` has it, for each old one.

    The last is that of missing values.
    """

    report: FeatureMigration
    nodes: Ints


def _same_reports(old: HashComb) -> tuple[FeatureMigration, ...]:
    """Return that every report stays what it is."""
    levels = len(old.spec.levels)
    finest = old.issued_tokens()[levels - 1 :: levels]
    return tuple(FeatureMigration(name, len(own), 0, 0) for name, own in zip(old.spec.names, finest, strict=True))


def _by_values(old: Spec, new: Spec, index: int) -> _Moved:
    """Follow the values of each leaf of a feature to the nodes of the new Spec's finest tokens."""
    spans = (_of_categories if isinstance(old.features[index], Categorical) else _of_numbers)(old, new, index)
    group = 1 << (old.depth - old.levels[-1])
    filled, low, high = (part.reshape(-1, group) for part in (spans.filled, spans.low, spans.high))
    least = np.where(filled, low, _HIGHEST).min(axis=1)
    most = np.where(filled, high, _REFUSED).max(axis=1)
    there = filled.any(axis=1)
    straddling = there & (least != most)
    nodes = np.where(straddling, spans.instead, least)
    refused = ~there | (nodes < 0) | (nodes >= 1 << new.levels[-1])
    missing = _MISSING if old.missing == new.missing == "token" else _NONE
    counts = (int(part.sum()) for part in (there, straddling, there & refused & ~straddling))
    moved = np.append(np.where(refused, _NONE, nodes), missing).astype(np.int32)
    return _Moved(FeatureMigration(old.names[index], *counts), moved)


class _Spans(NamedTuple):
    """Where the values of each old leaf go under the new Spec, in nodes of its finest tokens; shape (n_leaves,)."""

    filled: NDArray[np.bool_]  # whether any value has this leaf
    low: Ints  # the lowest node that one has; -1 for what is refused, or refused for being too low
    high: Ints  # the highest one; the number of nodes for what is refused for being too high
    instead: Ints  # of what stands for each old node, where its values have several; shape (n_nodes,)


def _of_numbers(old: Spec, new: Spec, index: int) -> _Spans:
    before, after = (Comb(replace(spec, features=(spec.features[index],), channel=None)) for spec in (old, new))
    edges = before.edges[0]
    first = np.concatenate([before.lo, edges])
    last = np.concatenate([np.nextafter(edges, -np.inf), before.hi])
    filled = first <= last
    if old.outside == "clip":
        first[np.argmax(filled)], last[-1] = -np.inf, np.inf
    level = old.levels[-1]
    kind: Representative = "mean" if level == old.depth and old.features[index].means is not None else "center"  # type: ignore[union-attr]
    instead = before.representatives(kind, level)[0, :-1]
    return _Spans(filled, *(_nodes(after, values) for values in (first, last, instead)))


def _nodes(comb: Comb, values: Floats) -> Ints:
    """Return the nodes of the finest tokens of numbers; those that are refused have numbers beyond all nodes."""
    spec = comb.spec
    nodes: Ints = comb.leaves(values[:, None])[:, 0] >> (spec.depth - spec.levels[-1])
    if spec.outside == "error":
        nodes[values < comb.lo] = _REFUSED
        nodes[values > comb.hi] = 1 << spec.levels[-1]
    return nodes


def _of_categories(old: Spec, new: Spec, index: int) -> _Spans:
    before, after = (cast(Categorical, spec.features[index]).categories for spec in (old, new))
    unknown = len(after) if new.unknown == "token" else _REFUSED
    place = {category: leaf for leaf, category in enumerate(after)}
    low = np.full(old.n_leaves, unknown, dtype=np.int32)
    low[: len(before)] = [place.get(category, unknown) for category in before]
    high, instead = low.copy(), low
    if old.unknown == "token":  # behind the others: it stands for those new categories too that the old list lacks
        unlisted = [unknown, *(leaf for category, leaf in place.items() if category not in before)]
        low, instead = low.copy(), low
        low[len(before)], high[len(before)] = min(unlisted), max(unlisted)
    shift = new.depth - new.levels[-1]
    filled = np.arange(old.n_leaves) < old.used_leaves[index]
    return _Spans(filled, low >> shift, high >> shift, instead[:: 1 << (old.depth - old.levels[-1])] >> shift)
