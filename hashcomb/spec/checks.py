"""Whether the fields of a Spec are in their ranges and fit each other."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hashcomb.errors import SpecError, SpecVersionError
from hashcomb.spec.parts import Categorical, ChannelSpec, EdgesNoise, Quantile, Uniform, integer

if TYPE_CHECKING:
    from hashcomb.spec.spec import Spec

__all__ = ("MAX_DEPTH", "MAX_NAME", "VERSION", "can_be_cut", "check_spec", "check_version")

VERSION = 1
MAX_DEPTH = 20
MAX_NAME = 200
_MAX_DEPTH_32 = 12


def check_version(version: Any) -> None:
    """Raise `SpecVersionError` unless this library reads the version."""
    if type(version) is not int or version != VERSION:
        raise SpecVersionError(
            "was written in another version of the format",
            path="version",
            hint=f"this library reads version {VERSION}; use the library that wrote it, or a newer one",
        )


def check_spec(spec: Spec) -> None:
    """Raise `SpecError` if a field is out of its range or does not fit the others; ``path`` names it."""
    check_version(spec.version)
    integer(spec.depth, 1, MAX_DEPTH, "depth")
    _choice(spec.outside, ("clip", "error"), "outside")
    _choice(spec.missing, ("error", "token"), "missing")
    _choice(spec.unknown, ("error", "token"), "unknown")
    _choice(spec.hash, ("blake2b", "siphash", "xxh3"), "hash")
    _choice(spec.token_bits, (64, 32), "token_bits")
    if spec.token_bits == 32 and spec.depth > _MAX_DEPTH_32:
        raise SpecError(f"32-bit tokens would collide at depth {spec.depth}", path="token_bits", hint="use 64 bits")
    if spec.tokens not in ("leaf", "comb"):
        integer(spec.tokens, 1, spec.depth, "tokens")
    if spec.channel is not None and not isinstance(spec.channel, ChannelSpec):
        raise SpecError("is no ChannelSpec", path="channel", hint="pass channel.to_spec()")
    if spec.edges_noise is not None and not isinstance(spec.edges_noise, EdgesNoise):
        raise SpecError("is no EdgesNoise", path="edges_noise")
    if not isinstance(spec.features, tuple) or not spec.features:
        raise SpecError("needs a tuple of at least one feature", path="features")
    _check_names(spec.names)
    for index, feature in enumerate(spec.features):
        try:
            _check_feature(feature, spec)
        except SpecError as error:
            raise error.within(f"features[{index}]") from None


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
