"""Agree on every feature's range without showing whose values its ends are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb.errors import ProtocolError
from hashcomb.mpc._fields import COUNTS
from hashcomb.mpc._shamir import Link, Shamir
from hashcomb.order import from_keys, to_keys

__all__ = ("agree_ranges", "largest")

Keys = NDArray[np.uint64]

RANGE_BITS = 24
DIGIT_BITS = 2


async def agree_ranges(
    link: Link, lo: NDArray[np.float64], hi: NDArray[np.float64], *, exact: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Agree on the least `lo` and the largest `hi` over all owners.

    Parameters
    ----------
    link : Link
        The connections.
    lo, hi : ndarray of float64, shape (n_features,)
        This owner's ranges; NaN in both where it has no value.
    exact : bool
        Open the exact doubles, or round them outward to 24 bits (sign, exponent and 12 bits of mantissa).

    Returns
    -------
    tuple of ndarray of float64, shape (n_features,) each

    Raises
    ------
    ProtocolError
        If no owner has a value of some feature; or if the result does not cover this owner's range, because
        another owner did not follow the protocol.

    Notes
    -----
    Privacy: every owner learns the result, and nothing else that does not follow from it and its own data: it
    knows whether it holds an end itself; a coalition sees the others' end where that exceeds its own. Nobody
    learns whose an end is, how many share it, or who has no values. The result is a record's value, on the grid
    rounded to 13 significant bits; numbers of few digits, such as ages, are not changed by that.
    """
    bits = 64 if exact else RANGE_BITS
    none = np.isnan(lo)
    # min(x) = -max(-x), so that all ends are maxima. Key 0 is below every value: it abstains.
    ends = np.concatenate([np.where(none, 0.0, hi), np.where(none, 0.0, -lo)])
    keys = np.where(np.concatenate([none, none]), np.uint64(0), _round_up(to_keys(ends), bits))
    agreed = await largest(link, keys, bits)
    _check(agreed, keys)
    top, bottom = np.split(from_keys(agreed << np.uint64(64 - bits)), 2)
    return -bottom + 0.0, top + 0.0


def _round_up(keys: Keys, bits: int) -> Keys:
    dropped = np.uint64(64 - bits)
    return (keys + ((np.uint64(1) << dropped) - np.uint64(1))) >> dropped


def _check(agreed: Keys, mine: Keys) -> None:
    n_features = len(agreed) // 2
    empty = np.flatnonzero((agreed == 0).reshape(2, n_features).any(axis=0))
    if len(empty):
        raise ProtocolError(
            f"no owner has a value of feature {int(empty[0])} (counted from 0)", hint="drop the column", step="ranges"
        )
    if (agreed < mine).any():
        raise ProtocolError(
            "the agreed range does not cover this owner's values: another owner did not follow the protocol",
            step="ranges",
        )


async def largest(link: Link, keys: Keys, bits: int) -> Keys:
    """Find the largest key over all owners, digit by digit from the top.

    For every possible value of the next digit the owners add up bits, "my key is at least that large", in
    shares, and open whether the sum is zero. Every such answer follows from the result.

    Parameters
    ----------
    link : Link
        The connections.
    keys : ndarray of uint64, shape (n,)
        This owner's keys, below ``2**bits``.
    bits : int
        Length of a key, a multiple of 2.

    Returns
    -------
    ndarray of uint64, shape (n,)
        The same at every owner.
    """
    shamir = Shamir(link, COUNTS)
    digits = np.arange(1, 1 << DIGIT_BITS, dtype=np.uint64)
    found: NDArray[Any] = np.zeros(len(keys), dtype=np.uint64)
    for shift in range(bits - DIGIT_BITS, -1, -DIGIT_BITS):
        candidates = found[:, None] | (digits << np.uint64(shift))
        reached = (keys[:, None] >= candidates).astype(np.uint64).reshape(-1)
        somebody = await shamir.nonzero(*await shamir.deal_sum_with_masks(reached))
        digit = somebody.reshape(candidates.shape).sum(axis=1).astype(np.uint64)
        found |= digit << np.uint64(shift)
    return found
