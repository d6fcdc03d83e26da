"""Learn a Spec from one owner's data alone, where there is nobody to agree with."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from hashcomb.channels import Channel
from hashcomb.columns import category_items, named_columns, numbers_of
from hashcomb.comb import Comb, quantile_edges
from hashcomb.errors import DataDependentSpecWarning, DataError, SpecError
from hashcomb.spec import MAX_DEPTH, Categorical, ChannelSpec, Feature, Quantile, Spec, Uniform
from hashcomb.spec.parts import integer

__all__ = ("learn_spec",)


def learn_spec(
    table: Any,
    *,
    depth: int = 4,
    edges: Literal["quantile", "uniform"] = "quantile",
    margin: float = 0.0,
    names: Sequence[str] | None = None,
    categorical: Collection[str] | Mapping[str, Sequence[Any]] = (),
    origins: Mapping[str, str] | None = None,
    means: bool = False,
    channel: Channel | ChannelSpec | None = None,
    **rules: Any,
) -> Spec:
    """Learn the combs of a Spec from data.

    Parameters
    ----------
    table : array_like of shape (n_rows, n_features), a mapping of columns, or a data frame
        The data. Missing values are left out of account.
    depth : int, optional
        Levels of the comb.
    edges : {"quantile", "uniform"}, optional
        Leaves of equal mass (see `quantile_edges`) or of equal width. A constant feature always gets a
        quantile comb: it has no width.
    margin : float, optional
        Enlarge every range by this part of its width on both sides, at least 0.
    names : sequence of str, optional
        Column names of an array; ``x0``, ``x1``, ... by default.
    categorical : collection of str, or mapping of str to sequence, optional
        Categorical columns; their categories are learned, or given by the mapping.
    origins : mapping of str to str, optional
        What the dates, times or durations of a column are counted from, in days: ``{"admitted": "2000-01-01"}``; see
        `hashcomb.Uniform`.
    means : bool, optional
        Learn the conditional mean of every leaf as well.
    channel : Channel or ChannelSpec, optional
        Randomizer of leaves.
    **rules
        Further fields of `Spec`: ``outside``, ``missing``, ``unknown``, ``hash``, ``token_bits``, ``tokens``.

    Returns
    -------
    Spec

    Raises
    ------
    DataError
        If a column has no finite value, holds infinities or is not numeric.
    SpecError
        If a parameter cannot be, or a range cannot be cut.

    Warns
    -----
    DataDependentSpecWarning
        Always: edges are values of the data.

    Notes
    -----
    Privacy: ranges, edges, categories and means are values of these data, and no channel covers them. Among
    several owners, agree on a Spec with ``hashcomb.mpc`` instead.
    """
    warnings.warn(
        "the Spec is learned from these data: its ranges and edges are values of them; between owners, agree on "
        "one with hashcomb.mpc",
        DataDependentSpecWarning,
        stacklevel=2,
    )
    integer(depth, 1, MAX_DEPTH, "depth")  # before edges by the million
    if edges not in ("quantile", "uniform"):
        raise SpecError("must be 'quantile' or 'uniform'", path="edges")
    if not 0 <= margin < np.inf:
        raise SpecError("must be a finite number of at least 0", path="margin")
    titles, columns = _titles(table, names)
    starts = origins or {}
    for name in (*categorical, *starts):
        if name not in titles:
            raise DataError("is missing", column=name, hint="name categorical columns and origins as the table does")
        if name in categorical and name in starts:
            raise DataError("is categorical, and so has no origin", column=name)
    features = [
        _categorical(values, name, categorical)
        if name in categorical
        else _numeric(values, name, depth, edges, margin, means, starts.get(name))
        for name, values in zip(titles, columns, strict=True)
    ]
    described = channel.spec_for(1 << depth) if isinstance(channel, Channel) else channel
    return Spec(features=tuple(features), depth=depth, channel=described, **rules)


def _titles(table: Any, names: Sequence[str] | None) -> tuple[list[str], list[Any]]:
    found, listed = named_columns(table)
    if not listed or len(listed[0]) == 0:
        raise DataError("there are no rows or no columns to learn from")
    titles = found if names is None else list(names)
    if len(titles) != len(listed):
        raise DataError(f"{len(listed)} columns, but {len(titles)} names")
    return titles, listed


def _categorical(values: Any, name: str, wanted: Any) -> Categorical:
    if isinstance(wanted, Mapping):
        return Categorical(name=name, categories=tuple(wanted[name]))
    items, missing = category_items(values)
    try:
        found = {item for item, gone in zip(items, missing, strict=True) if not gone}
        # Data frames without a type for missing integers turn them to floats; truth is 0 and 1.
        whole = {int(item) if isinstance(item, bool | float) and float(item).is_integer() else item for item in found}
        return Categorical(name=name, categories=tuple(sorted(whole)))
    except TypeError:
        hint = "make the categories all text, or all whole numbers"
        raise DataError("mixes text and numbers, or holds neither", column=name, hint=hint) from None


def _numeric(values: Any, name: str, depth: int, edges: str, margin: float, means: bool, origin: str | None) -> Feature:
    numbers = numbers_of(values, name, origin=origin).astype(np.float64)
    numbers = numbers[~np.isnan(numbers)]
    if len(numbers) == 0:
        raise DataError("has no value to learn a range from", column=name, hint="drop the column")
    if np.isinf(numbers).any():
        raise DataError("holds infinities, which have no range", column=name, hint="replace or drop them")
    lo, hi = numbers.min(), numbers.max()
    pad = margin * (hi - lo) if margin else 0.0
    lo, hi = lo - pad, hi + pad
    feature: Feature
    if edges == "uniform" and lo < hi:
        feature = Uniform(name=name, lo=lo, hi=hi, origin=origin)
    else:
        cuts = tuple(quantile_edges(numbers, 1 << depth))
        feature = Quantile(name=name, lo=lo, hi=hi, edges=cuts, origin=origin)
    return _with_means(feature, numbers, depth) if means else feature


def _with_means(feature: Feature, numbers: NDArray[np.float64], depth: int) -> Feature:
    comb = Comb(Spec(features=(feature,), depth=depth))
    leaves = comb.leaves(numbers.reshape(-1, 1))[:, 0]
    centers = comb.representatives("center")[0, :-1]
    counts = np.bincount(leaves, minlength=len(centers))
    # Parts of the mean's distance from the center: no sum overflows, and an empty leaf keeps its center.
    parts = (numbers - centers[leaves]) / counts[leaves]
    mean = centers + np.bincount(leaves, weights=parts, minlength=len(centers))
    least, most = np.full(len(centers), np.inf), np.full(len(centers), -np.inf)
    np.minimum.at(least, leaves, numbers)
    np.maximum.at(most, leaves, numbers)
    inside = np.clip(mean, least, most)  # rounding must not take a mean out of its leaf
    return replace(feature, means=tuple(np.where(counts > 0, inside, centers).tolist()))
