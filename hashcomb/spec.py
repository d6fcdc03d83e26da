"""The Spec: what the owners agree on, and may publish among themselves.

A Spec holds the combs (public to the owners) and the rules of encoding. It holds no key material and no
salt. Its canonical bytes are the same on every machine; their SHA-256 is the fingerprint that is stamped on
everything encoded under it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Literal, NoReturn

import msgspec
import tomli_w
from msgspec.structs import force_setattr as _force

from hashcomb.documents import parse_json, parse_toml, to_record, without_none
from hashcomb.errors import SpecError, SpecVersionError
from hashcomb.scalars import category_tuple, number, number_tuple, parameter

__all__ = ("Categorical", "ChannelSpec", "Feature", "Quantile", "Spec", "Uniform")

VERSION = 1
MAX_DEPTH = 20
MAX_NAME = 200
_MAX_DEPTH_32 = 12

TokenKind = Literal["leaf", "comb"] | int


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A frozen record that refuses fields it does not know."""


class Uniform(_Struct, frozen=True, tag="uniform", tag_field="edges_by"):
    """A numeric feature cut into leaves of equal width.

    Parameters
    ----------
    name : str
        Column name.
    lo, hi : float
        Range; values outside are clipped or refused, as the Spec says.
    means : tuple of float, optional
        Agreed conditional mean of each leaf, ``2**depth`` values.
    """

    name: str
    lo: float
    hi: float
    means: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        _force_numbers(self, ("lo", "hi"), ("means",))


class Quantile(_Struct, frozen=True, tag="quantile", tag_field="edges_by"):
    """A numeric feature cut at given inner edges, as a rule quantiles.

    Parameters
    ----------
    name : str
        Column name.
    lo, hi : float
        Range; values outside are clipped or refused, as the Spec says.
    edges : tuple of float
        ``2**depth - 1`` non-decreasing inner edges within ``[lo, hi]``. An edge belongs to the leaf on its
        right. Equal edges make empty leaves.
    means : tuple of float, optional
        Agreed conditional mean of each leaf, ``2**depth`` values.
    """

    name: str
    lo: float
    hi: float
    edges: tuple[float, ...]
    means: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        _force_numbers(self, ("lo", "hi"), ("edges", "means"))


class Categorical(_Struct, frozen=True, tag="categorical", tag_field="edges_by"):
    """A feature with an agreed list of categories, one leaf each.

    Parameters
    ----------
    name : str
        Column name.
    categories : tuple of str, or tuple of int
        Distinct categories, all text or all whole numbers, at most ``2**depth`` of them
        (one fewer where unknown ones get a leaf).
    """

    name: str
    categories: tuple[str | int, ...]

    def __post_init__(self) -> None:
        _force(self, "categories", category_tuple(self.categories))


Feature = Uniform | Quantile | Categorical


class ChannelSpec(_Struct, frozen=True):
    """A channel by its name and parameters; ``hashcomb.channels`` makes the channel from it.

    Parameters
    ----------
    kind : str
        Name of the channel, for example ``"randomized_response"``.
    params : dict
        Its parameters: numbers, strings or lists of numbers.
    """

    kind: str
    params: dict[str, bool | float | str | tuple[float, ...]] = {}

    def __post_init__(self) -> None:
        params = {key: parameter(value, f"params.{key}") for key, value in self.params.items()}
        _force(self, "params", _FrozenDict(params))

    def __hash__(self) -> int:
        return hash((self.kind, tuple(sorted(self.params.items(), key=lambda item: item[0]))))


class _FrozenDict(dict[str, Any]):
    """A dictionary that stays as it is, as a frozen Spec must."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("the parameters of a channel cannot be changed; make a new ChannelSpec")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> Any:
        return dict, (dict(self),)  # copies and pickles are frozen again by the ChannelSpec they belong to


class Spec(_Struct, frozen=True):
    """What the owners agree on: combs, and the rules of encoding.

    Parameters
    ----------
    features : tuple of Uniform, Quantile or Categorical
        The columns, in the order in which they are encoded.
    depth : int
        Levels of the comb, 1 to 20; every feature has ``2**depth`` leaves.
    outside : {"clip", "error"}
        What to do with values outside a feature's range. Infinities are outside.
    missing : {"error", "token"}
        Refuse missing values (NaN, None), or give them a node of their own.
    unknown : {"error", "token"}
        Refuse categories that are not in the list, or give them one leaf of their own.
    hash : {"blake2b", "siphash", "xxh3"}
        The keyed hash family. The first two are pseudorandom functions, xxh3 is not.
    token_bits : {64, 32}
        Width of a token.
    tokens : {"leaf", "comb"} or int
        Which nodes become tokens: the leaf, every level (coarsest first), or one level.
    channel : ChannelSpec, optional
        The randomizer of leaves; none leaves the tokens deterministic.
    version : int
        Version of this format.

    Raises
    ------
    SpecError
        If a field is out of its range or does not fit the others; ``path`` names it.
    SpecVersionError
        If `version` is not one that this library reads.

    Examples
    --------
    >>> spec = Spec(features=(Uniform(name="age", lo=0.0, hi=120.0),), depth=4)
    >>> spec.fingerprint[:16]
    'a40214b549057953'
    """

    features: tuple[Feature, ...]
    depth: int
    outside: Literal["clip", "error"] = "clip"
    missing: Literal["error", "token"] = "error"
    unknown: Literal["error", "token"] = "error"
    hash: Literal["blake2b", "siphash", "xxh3"] = "blake2b"
    token_bits: Literal[64, 32] = 64
    tokens: TokenKind = "leaf"
    channel: ChannelSpec | None = None
    version: int = VERSION

    def __post_init__(self) -> None:
        _check_spec(self)

    def __repr__(self) -> str:
        return f"Spec({len(self.features)} features, depth={self.depth}, fingerprint={self.fingerprint[:16]})"

    # ------------------------------------------------------------------ what it is
    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(feature.name for feature in self.features)

    @property
    def n_leaves(self) -> int:
        """Leaves of a comb, the one for missing values not counted."""
        return 1 << self.depth

    @property
    def used_leaves(self) -> tuple[int, ...]:
        """Leaves that each feature can fill: all for numbers, as many as there are categories otherwise."""
        extra = self.unknown == "token"
        return tuple(len(f.categories) + extra if isinstance(f, Categorical) else self.n_leaves for f in self.features)

    @property
    def levels(self) -> tuple[int, ...]:
        """Levels that are encoded, coarsest first; level `depth` is the leaf."""
        if self.tokens == "comb":
            return tuple(range(1, self.depth + 1))
        return (self.depth if self.tokens == "leaf" else int(self.tokens),)

    def canonical_bytes(self) -> bytes:
        """Return the bytes that are hashed: JSON, sorted keys, shortest round-trip floats, ASCII."""
        document = msgspec.to_builtins(self)
        return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical bytes, 64 hexadecimal digits."""
        return hashlib.sha256(b"hashcomb spec 1\0" + self.canonical_bytes()).hexdigest()

    # ------------------------------------------------------------------ reading and writing
    def to_json(self) -> str:
        """Return the Spec as JSON text, indented for people."""
        return json.dumps(msgspec.to_builtins(self), indent=2, allow_nan=False)

    def to_toml(self) -> str:
        """Return the Spec as TOML text, for people to read and edit."""
        return tomli_w.dumps(without_none(msgspec.to_builtins(self)))

    @classmethod
    def from_json(cls, text: str | bytes) -> Spec:
        """Read a Spec from JSON.

        Parameters
        ----------
        text : str or bytes
            JSON text of at most 64 MiB.

        Raises
        ------
        SpecError
            If the text is no JSON, repeats a key, nests too deep or is no valid Spec.
        """
        return cls._from_document(parse_json(text))

    @classmethod
    def from_toml(cls, text: str | bytes) -> Spec:
        """Read a Spec from TOML; same errors as `from_json`."""
        return cls._from_document(parse_toml(text))

    @classmethod
    def _from_document(cls, document: Any) -> Spec:
        if isinstance(document, dict):
            _check_version(document.get("version", VERSION))
        return to_record(document, cls)

    @staticmethod
    def json_schema() -> dict[str, Any]:
        """Return the JSON Schema (draft 2020-12) of a Spec."""
        schema = msgspec.json.schema(Spec)
        for definition in schema["$defs"].values():
            definition.pop("description", None)  # docstrings, whose wording is no part of the format
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "hashcomb Spec 1", **schema}


def _force_numbers(feature: Any, single: tuple[str, ...], many: tuple[str, ...]) -> None:
    """Make every number a Python float, so that equal Specs have equal bytes."""
    for field in single:
        _force(feature, field, number(getattr(feature, field), field))
    for field in many:
        values = getattr(feature, field)
        if values is not None:
            _force(feature, field, number_tuple(values, field))


# ---------------------------------------------------------------------- validation
def _check_version(version: Any) -> None:
    if type(version) is not int or version != VERSION:
        raise SpecVersionError(
            "was written in another version of the format",
            path="version",
            hint=f"this library reads version {VERSION}; use the library that wrote it, or a newer one",
        )


def _check_spec(spec: Spec) -> None:
    _check_version(spec.version)
    _integer(spec.depth, 1, MAX_DEPTH, "depth")
    _choice(spec.outside, ("clip", "error"), "outside")
    _choice(spec.missing, ("error", "token"), "missing")
    _choice(spec.unknown, ("error", "token"), "unknown")
    _choice(spec.hash, ("blake2b", "siphash", "xxh3"), "hash")
    _choice(spec.token_bits, (64, 32), "token_bits")
    if spec.token_bits == 32 and spec.depth > _MAX_DEPTH_32:
        raise SpecError(f"32-bit tokens would collide at depth {spec.depth}", path="token_bits", hint="use 64 bits")
    if spec.tokens not in ("leaf", "comb"):
        _integer(spec.tokens, 1, spec.depth, "tokens")
    if spec.channel is not None and not isinstance(spec.channel, ChannelSpec):
        raise SpecError("is no ChannelSpec", path="channel", hint="pass channel.to_spec()")
    if not isinstance(spec.features, tuple) or not spec.features:
        raise SpecError("needs a tuple of at least one feature", path="features")
    _check_names(spec.names)
    for index, feature in enumerate(spec.features):
        try:
            _check_feature(feature, spec)
        except SpecError as error:
            raise error.within(f"features[{index}]") from None


def _integer(value: Any, low: int, high: int, path: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SpecError(f"must be a whole number from {low} to {high}", path=path)


def _choice(value: Any, allowed: tuple[Any, ...], path: str) -> None:
    if type(value) is not type(allowed[0]) or value not in allowed:
        raise SpecError(f"must be one of {', '.join(map(repr, allowed))}", path=path)


def _check_names(names: Iterable[Any]) -> None:
    seen: set[str] = set()
    for index, name in enumerate(names):
        path = f"features[{index}].name"
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
            raise SpecError(f"must be printable text of 1 to {MAX_NAME} characters", path=path)
        if name in seen:
            raise SpecError("occurs twice", path=path, hint="names tell columns apart")
        seen.add(name)


def _check_feature(feature: Any, spec: Spec) -> None:
    if isinstance(feature, Categorical):
        _check_categories(feature.categories, spec)
        return
    if not isinstance(feature, Uniform | Quantile):
        raise SpecError("is no Uniform, Quantile or Categorical")
    if isinstance(feature, Uniform):
        _check_uniform(feature, spec.n_leaves)
    else:
        _check_edges(feature, spec.n_leaves)
    if feature.means is not None:
        _length(feature.means, spec.n_leaves, "means")


def _length(values: tuple[float, ...], wanted: int, path: str) -> None:
    if len(values) != wanted:
        raise SpecError(f"must hold exactly {wanted} numbers for this depth", path=path)


def _check_uniform(feature: Uniform, n_leaves: int) -> None:
    if not feature.lo < feature.hi:
        raise SpecError("lo must be below hi", path="lo", hint="a constant feature needs a Quantile comb or a margin")
    if not can_be_cut(feature.lo, feature.hi, n_leaves):
        raise SpecError(
            f"the range cannot be cut into {n_leaves} leaves of equal width in double precision",
            path="hi",
            hint="widen or narrow the range, lower the depth, or use a Quantile comb",
        )


def can_be_cut(lo: float, hi: float, n_leaves: int) -> bool:
    """Return whether a range can be cut into leaves of equal width in double precision."""
    width = hi - lo
    # Below two units in the last place a leaf, neighboring edges coincide and the formula is no comb.
    wide = width >= 2.0 * n_leaves * max(math.ulp(lo), math.ulp(hi))
    return lo < hi and wide and math.isfinite(width) and math.isfinite(n_leaves / width)


def _check_edges(feature: Quantile, n_leaves: int) -> None:
    if not feature.lo <= feature.hi:
        raise SpecError("lo must not be above hi", path="lo")
    _length(feature.edges, n_leaves - 1, "edges")
    for index, (left, right) in enumerate(pairwise((feature.lo, *feature.edges, feature.hi))):
        if not left <= right:
            raise SpecError(
                "edges must not decrease and must lie within [lo, hi]",
                path=f"edges[{min(index, n_leaves - 2)}]",
            )


def _check_categories(categories: tuple[str | int, ...], spec: Spec) -> None:
    room = spec.n_leaves - (spec.unknown == "token")
    if not 0 < len(categories) <= room:
        raise SpecError(f"must hold 1 to {room} categories at this depth", path="categories", hint="raise the depth")
