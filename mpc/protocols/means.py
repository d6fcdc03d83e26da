"""Agree on the conditional mean of every leaf, to decode to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hashcomb.mpc.arithmetic.openings import negative_sums
from hashcomb.mpc.arithmetic.shamir import Link

__all__ = ("agree_means",)

PART_BITS = 16  # a value's place in its leaf
MAX_ROWS = 1 << 32  # of all owners together
_N_BITS = PART_BITS + MAX_ROWS.bit_length() + 4

Floats = NDArray[np.float64]


async def agree_means(
    link: Link, columns: Sequence[Floats], bounds: Sequence[Floats], least_records: int
) -> list[Floats]:
    """Find the mean of all owners' values in every leaf, as far as there are enough of them.

    Whether the mean reaches a candidate is the sign of a sum, over all owners, of the distances of the values
    from the candidate; the candidate is bisected, for all leaves of all features at once.

    Parameters
    ----------
    link : Link
        The connections.
    columns : sequence of ndarray of float64
        This owner's values of every feature, without missing ones, within the range.
    bounds : sequence of ndarray of float64, shape (n_leaves + 1,)
        Ends and inner edges of every feature.
    least_records : int
        Leaves with fewer records of all owners keep their center, at least 1.

    Returns
    -------
    list of ndarray of float64, shape (n_leaves,)
        The same at every owner; within 2**-16 of the leaf's width of the mean, or the leaf's center.

    Notes
    -----
    Privacy: every owner learns which leaves have at least so many records, and the means of those, rounded to
    a 65,536th of the leaf's width. Every answer follows from these. No count and no sum is opened. A mean over few
    records tells of each of them (over one, it is its value); there is no differential privacy.
    """
    places = [_places(values, ends) for values, ends in zip(columns, bounds, strict=True)]
    totals = np.concatenate([total for total, _ in places])
    counts = np.concatenate([count for _, count in places])
    is_first = link.me == link.owners[0]
    few = await negative_sums(link, counts - least_records * is_first, _N_BITS)
    totals, counts = np.where(few, 0, totals), np.where(few, 0, counts)
    found = np.zeros(len(totals), dtype=np.int64)
    for shift in range(PART_BITS, -1, -1):
        candidate = found + (1 << shift)
        # The rounded mean reaches the candidate: sum of (2 place - 2 candidate + 1) over all records is not negative.
        below = await negative_sums(link, 2 * totals - (2 * candidate - 1) * counts, _N_BITS)
        found = np.where(below, found, candidate)
    found = np.where(few, -1, np.minimum(found, 1 << PART_BITS))
    splits = np.cumsum([len(count) for _, count in places])[:-1]
    return [_values(part, ends) for part, ends in zip(np.split(found, splits), bounds, strict=True)]


def _places(values: Floats, ends: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sum of this owner's places within each leaf, in 2**-16 of its width, and their number."""
    n_leaves = len(ends) - 1
    leaf = np.searchsorted(ends[1:-1], values, side="right")
    left, width = ends[leaf], ends[leaf + 1] / 2 - ends[leaf] / 2  # halves: the width itself may overflow
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        part = np.where(width > 0, (values / 2 - left / 2) / width, 0.0)
    place = np.rint(np.clip(part, 0.0, 1.0) * (1 << PART_BITS)).astype(np.int64)
    total = np.zeros(n_leaves, dtype=np.int64)
    np.add.at(total, leaf, place)
    return total, np.bincount(leaf, minlength=n_leaves).astype(np.int64)


def _values(places: NDArray[np.int64], ends: Floats) -> Floats:
    """Return the values at places within leaves, the centers where there is none."""
    left, right = ends[:-1], ends[1:]
    share = np.where(places < 0, 0.5, places / (1 << PART_BITS))
    return np.clip(left * (1.0 - share) + right * share, left, right)
