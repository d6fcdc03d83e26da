"""What of an owner's own data makes the result poor: said to that owner, and to nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hashcomb.mpc.own_data import OwnData
from hashcomb.spec import Categorical, Quantile, Spec, Uniform

__all__ = ("advise",)

_MOST = 0.99  # of an owner's values
_STRETCHED = 0.01  # of the agreed range
_FEW = 20


def advise(data: OwnData, spec: Spec) -> tuple[str, ...]:
    """Return sentences about columns that this owner may want to look at.

    Parameters
    ----------
    data : OwnData
        This owner's rows.
    spec : Spec
        What was agreed on.

    Notes
    -----
    Privacy: computed from this owner's rows and the Spec alone, after the agreement, and sent nowhere. A sentence
    names a column and no value.
    """
    said = [sentence for feature in spec.features for sentence in _of_feature(feature, data, spec)]
    if data.n_rows < _FEW:
        said.append(f"you have only {data.n_rows} row(s): what the others learn tells much about them")
    return tuple(said)


def _of_feature(feature: Uniform | Quantile | Categorical, data: OwnData, spec: Spec) -> Iterator[str]:
    if isinstance(feature, Categorical):
        if feature.name in data.categories and not data.categories[feature.name]:
            yield f"column {feature.name!r}: you have no category of it"
        return
    values = data.numbers[feature.name]
    if len(values) == 0:
        yield f"column {feature.name!r}: you have no value of it"
        return
    if feature.lo == feature.hi:
        yield f"column {feature.name!r}: all values of all owners are equal; it tells a model nothing"
    elif len(values) > 1 and values.min() == values.max():
        yield f"column {feature.name!r}: all your values are equal; is that right?"
    yield from _of_range(feature, values)
    if isinstance(feature, Uniform):
        yield from _of_leaves(feature, values, spec.n_leaves)


def _of_range(feature: Uniform | Quantile, values: NDArray[np.float64]) -> Iterator[str]:
    outside = np.count_nonzero((values < feature.lo) | (values > feature.hi))
    if outside:
        yield f"column {feature.name!r}: {outside} of your values lie outside the agreed range"
    width = feature.hi / 2 - feature.lo / 2  # halves: the width itself may overflow
    ordered = np.sort(values)
    cut = max(int(len(values) * (1 - _MOST) / 2), min(1, len(values) // _FEW))
    low, high = ordered[cut], ordered[-1 - cut]
    narrow = width > 0 and (high / 2 - low / 2) < _STRETCHED * width
    least, largest = ordered[0], ordered[-1]
    # Ends are rounded outward: this owner sets one if its own is as near as rounding is.
    near = 5e-4 * max(abs(feature.lo), abs(feature.hi))
    for end, agreed, which in ((least, feature.lo, "smallest"), (largest, feature.hi, "largest")):
        far = max(abs(end / 2 - low / 2), abs(end / 2 - high / 2)) > (1 - _STRETCHED) * width / 2
        if narrow and far and abs(end / 2 - agreed / 2) <= near / 2:
            yield (
                f"column {feature.name!r}: your {which} value sets the agreed range, and nearly all of your values "
                "lie in less than 1 % of it; is it a code for a missing value, or in another unit?"
            )


def _of_leaves(feature: Uniform, values: NDArray[np.float64], n_leaves: int) -> Iterator[str]:
    ends = np.linspace(0.0, 1.0, n_leaves + 1)[1:-1]
    leaves = np.searchsorted(feature.lo * (1 - ends) + feature.hi * ends, values)
    if np.bincount(leaves).max() >= _MOST * len(values) and values.min() < values.max():
        yield f"column {feature.name!r}: nearly all your values share one leaf; quantile edges would tell them apart"
