"""What a Spec is made of: features, a channel, and the noise with which edges were found."""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec
from msgspec.structs import force_setattr as _force

from hashcomb.days import read_origin
from hashcomb.errors import SpecError
from hashcomb.scalars import category_tuple, number, number_tuple, parameter

__all__ = (
    "MAX_NOISE_PARTS",
    "MAX_NOISY_COUNTS",
    "NOISE_VARIANCES",
    "Categorical",
    "ChannelSpec",
    "EdgesNoise",
    "Feature",
    "FrozenStruct",
    "Quantile",
    "Uniform",
    "integer",
)

# What `hashcomb.privacy.NoisyCounts` can account for in seconds: a standard deviation of 8192 at most.
NOISE_VARIANCES = (2.0**-20, 2.0**26)
MAX_NOISY_COUNTS = 1 << 32
MAX_NOISE_PARTS = 1 << 16


class FrozenStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A frozen record that refuses fields it does not know."""


class Uniform(FrozenStruct, frozen=True, tag="uniform", tag_field="edges_by"):
    """A numeric feature cut into leaves of equal width.

    Parameters
    ----------
    name : str
        Column name.
    lo, hi : float
        Range; values outside are clipped or refused, as the Spec says.
    means : tuple of float, optional
        Agreed conditional mean of each leaf, ``2**depth`` values.
    origin : str, optional
        For dates, times and durations, which become numbers of days (and so are `lo`, `hi`, edges and means): a date,
        ``"2000-01-01"``, or a time without a zone, ``"2000-01-01T00:00:00"``, to count from; decoding gives dates, or
        times. ``"zero"`` for durations. A number in such a column is a number of days.
    """

    name: str
    lo: float
    hi: float
    means: tuple[float, ...] | None = None
    origin: str | None = None

    def __post_init__(self) -> None:
        _force_numbers(self, ("lo", "hi"), ("means",))
        _check_origin(self.origin)


class Quantile(FrozenStruct, frozen=True, tag="quantile", tag_field="edges_by"):
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
    origin : str, optional
        For dates, times and durations, which become numbers of days (and so are `lo`, `hi`, edges and means): a date,
        ``"2000-01-01"``, or a time without a zone, ``"2000-01-01T00:00:00"``, to count from; decoding gives dates, or
        times. ``"zero"`` for durations. A number in such a column is a number of days.
    """

    name: str
    lo: float
    hi: float
    edges: tuple[float, ...]
    means: tuple[float, ...] | None = None
    origin: str | None = None

    def __post_init__(self) -> None:
        _force_numbers(self, ("lo", "hi"), ("edges", "means"))
        _check_origin(self.origin)


class Categorical(FrozenStruct, frozen=True, tag="categorical", tag_field="edges_by"):
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


class ChannelSpec(FrozenStruct, frozen=True):
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


class EdgesNoise(FrozenStruct, frozen=True):
    """How ranges and quantile edges were found from counts over all owners, to which each added noise of its own.

    `hashcomb.privacy.NoisyCounts` says what that costs a record; the report of a Spec does.

    Parameters
    ----------
    variance : float
        Variance of the noise of each count that the owners who count as honest made together, 2**-20 to 2**26.
    n_counts : int
        How many counts the presence of one record changes at most, by one each: rounds times features.
    n_parts : int
        How many owners count as honest; each added a part of that variance, and so did all the others.

    Raises
    ------
    SpecError
        If a number is out of its range; ``path`` names it.
    """

    variance: float
    n_counts: int
    n_parts: int

    def __post_init__(self) -> None:
        _force(self, "variance", number(self.variance, "variance"))
        least, most = NOISE_VARIANCES
        if not least <= self.variance <= most:
            raise SpecError(f"must be from {least:g} to {most:g}", path="variance")
        integer(self.n_counts, 1, MAX_NOISY_COUNTS, "n_counts")
        integer(self.n_parts, 1, MAX_NOISE_PARTS, "n_parts")


def _force_numbers(feature: Any, single: tuple[str, ...], many: tuple[str, ...]) -> None:
    """Make every number a Python float, so that equal Specs have equal bytes."""
    for field in single:
        _force(feature, field, number(getattr(feature, field), field))
    for field in many:
        values = getattr(feature, field)
        if values is not None:
            _force(feature, field, number_tuple(values, field))


def _check_origin(origin: Any) -> None:
    if origin is not None:
        read_origin(origin)


def integer(value: Any, low: int, high: int, path: str) -> None:
    """Raise `SpecError` with `path` for anything but a whole number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SpecError(f"must be a whole number from {low} to {high}", path=path)
