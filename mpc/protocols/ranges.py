"""Agree on every feature's range without showing whose values its ends are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb.errors import DataError, ProtocolError
from hashcomb.mpc.arithmetic.openings import Somebody
from hashcomb.mpc.arithmetic.shamir import Link
from hashcomb.order import from_keys, to_keys

__all__ = ("RANGE_BITS", "agree_ranges", "from_ends", "largest", "refuse_empty", "to_ends")

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
    DataError
        If this owner's ranges are none; before anything is sent.
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
    if np.isinf([lo, hi]).any() or not (none | (lo <= hi)).all():
        raise DataError("a range needs finite ends in order, or NaN for none")
    ends = to_ends(np.where(none, 0.0, lo), np.where(none, 0.0, hi), bits)
    keys = np.where(np.concatenate([none, none]), np.uint64(0), ends)  # key 0 is below every value: it abstains
    agreed = await largest(link, keys, bits)
    refuse_empty(agreed, "no owner has a value of feature {} (counted from 0)")
    _check(agreed, keys)
    bottom, top = from_ends(agreed, bits)
    refuse_endless(bottom, top, link.step)
    return bottom, top


def to_ends(lo: NDArray[np.float64], hi: NDArray[np.float64], bits: int) -> Keys:
    """Return keys of the upper ends and of the negated lower ones, rounded up to some bits: all ends are maxima."""
    dropped = np.uint64(64 - bits)
    keys = to_keys(np.concatenate([hi, -lo]))  # min(x) = -max(-x)
    return np.asarray((keys + ((np.uint64(1) << dropped) - np.uint64(1))) >> dropped)


def from_ends(ends: Keys, bits: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return lower and upper ends from what `to_ends` made of them."""
    top, bottom = np.split(from_keys(ends << np.uint64(64 - bits)), 2)
    return -bottom + 0.0, top + 0.0


def refuse_endless(lo: NDArray[np.float64], hi: NDArray[np.float64], step: str) -> None:
    """Raise `ProtocolError` if an end is no number, which no owner's data can make of it."""
    if not (np.isfinite(lo).all() and np.isfinite(hi).all() and (lo <= hi).all()):
        problem = "the agreed range has no ends: some owner did not follow the protocol"
        raise ProtocolError(problem, step=step)


def refuse_empty(ends: Keys, problem: str) -> None:
    """Raise `ProtocolError` for the first feature one of whose ends has not been found."""
    empty = np.flatnonzero((ends == 0).reshape(2, -1).any(axis=0))
    if len(empty):
        raise ProtocolError(problem.format(int(empty[0])), hint="drop the column", step="ranges")


def _check(agreed: Keys, mine: Keys) -> None:
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
    digits = np.arange(1, 1 << DIGIT_BITS, dtype=np.uint64)
    found: NDArray[Any] = np.zeros(len(keys), dtype=np.uint64)
    asking = Somebody(link)
    await asking.prepare(len(keys) * len(digits) * (bits // DIGIT_BITS))
    for shift in range(bits - DIGIT_BITS, -1, -DIGIT_BITS):
        candidates = found[:, None] | (digits << np.uint64(shift))
        reached = await asking.ask((keys[:, None] >= candidates).reshape(-1))
        found |= reached.reshape(candidates.shape).sum(axis=1).astype(np.uint64) << np.uint64(shift)
    return found
