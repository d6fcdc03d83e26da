"""Agree on ranges that leave out a few wild values at each end: secure k-th ranked values.

(Aggarwal, Mishra and Pinkas, "Secure computation of the k-th ranked element", EUROCRYPT 2004.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hashcomb.errors import DataError, ProtocolError, SpecError
from hashcomb.mpc.arithmetic.openings import negative_sums
from hashcomb.mpc.arithmetic.shamir import Link
from hashcomb.mpc.protocols.ranges import RANGE_BITS, from_ends, refuse_empty, to_ends

__all__ = ("agree_robust_ranges",)

Keys = NDArray[np.uint64]


async def agree_robust_ranges(
    link: Link,
    columns: Sequence[NDArray[np.float64]],
    rank: int,
    of: Literal["records", "owners"],
    *,
    exact: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Agree on the k-th smallest and the k-th largest value of every feature.

    Parameters
    ----------
    link : Link
        The connections.
    columns : sequence of ndarray of float64
        This owner's values of every feature, without missing ones, finite.
    rank : int
        k: so many less one values are left out at each end, at most 2**20.
    of : {"records", "owners"}
        What is ranked: all records' values, or every owner's own least and largest, so that k - 1 owners
        cannot stretch a range, however many wild values they have.
    exact : bool
        Open the exact doubles, or round them outward to 24 bits.

    Returns
    -------
    tuple of ndarray of float64, shape (n_features,) each

    Raises
    ------
    DataError, SpecError
        If the arguments cannot be; before anything is sent.
    ProtocolError
        If there are too few values for this rank.

    Notes
    -----
    Privacy: every owner learns the result: values of records at two ranks, exactly or rounded to 13 significant
    bits, without differential privacy. It learns nothing of the values beyond them but that there are k - 1 at
    most, and knows of its own whether they are. Every answer of the search, "do at least k values reach this
    candidate?", follows from the result.
    """
    if rank < 1 or of not in ("records", "owners"):
        raise SpecError("the rank must be at least 1, of 'records' or of 'owners'", path="rank")
    if not all(np.isfinite(column).all() for column in columns):
        raise DataError("a range needs finite values", hint="leave out missing ones")
    bits = 64 if exact else RANGE_BITS
    own = [_ends(column, bits, of) for column in columns]
    sides = [ends for side in (0, 1) for ends in (pair[side] for pair in own)]
    found: Keys = np.zeros(len(sides), dtype=np.uint64)
    n_bits = (rank * len(link.owners)).bit_length() + 2
    for shift in range(bits - 1, -1, -1):
        candidates = found | (np.uint64(1) << np.uint64(shift))
        reached = [len(keys) - np.searchsorted(keys, c) for keys, c in zip(sides, candidates, strict=True)]
        lacking = np.minimum(np.array(reached, dtype=np.int64), rank) - rank * (link.me == link.owners[0])
        too_few = await negative_sums(link, lacking, n_bits)
        found = np.where(too_few, found, candidates)
    refuse_empty(found, f"there are fewer than {rank} values of feature {{}} (counted from 0)")
    lo, hi = from_ends(found, bits)
    if (lo > hi).any():
        index = int(np.flatnonzero(lo > hi)[0])
        raise ProtocolError(f"there are fewer than {2 * rank - 1} values of feature {index}", step=link.step)
    return lo, hi


def _ends(column: NDArray[np.float64], bits: int, of: str) -> tuple[Keys, Keys]:
    """Return this owner's sorted keys that count at the upper and at the lower end."""
    top, bottom = np.split(to_ends(column, column, bits), 2)
    if of == "owners" and len(column):
        top, bottom = top.max(keepdims=True), bottom.max(keepdims=True)
    return np.sort(top), np.sort(bottom)
