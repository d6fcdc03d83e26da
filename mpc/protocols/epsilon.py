"""Agree on an epsilon: the strictest owner decides, and nobody learns which one that is."""

from __future__ import annotations

import numpy as np

from hashcomb.errors import DataError, ProtocolError
from hashcomb.mpc.arithmetic.shamir import Link
from hashcomb.mpc.protocols.ranges import largest
from hashcomb.order import from_keys, to_keys

__all__ = ("strictest",)

_BITS = 64


async def strictest(link: Link, mine: float | None) -> float | None:
    """Find the least epsilon that an owner names.

    Parameters
    ----------
    link : Link
        The connections.
    mine : float or None
        The largest epsilon that this owner agrees to, positive; None to abstain.

    Returns
    -------
    float or None
        The same at every owner, exactly as the strictest one wrote it; None if all abstain.

    Raises
    ------
    DataError
        If this is no epsilon; before anything is sent.
    ProtocolError
        If the result is above `mine`, because another owner did not follow the protocol.

    Notes
    -----
    Privacy: every owner learns the result, and so whether it is its own; not whose it is, how many named it, who
    abstained, nor any other owner's. An answer of the search, "does somebody ask for at most this?", follows from
    the result.
    """
    if mine is not None and not 0 < mine < float("inf"):
        raise DataError("an epsilon must be a finite number above 0")
    key = np.zeros(1, dtype=np.uint64) if mine is None else to_keys([-mine])
    agreed = await largest(link, key, _BITS)
    if not agreed[0]:
        return None
    if agreed[0] < key[0]:
        problem = "the agreed epsilon is above this owner's: another owner did not follow the protocol"
        raise ProtocolError(problem, step=link.step)
    return float(-from_keys(agreed)[0])
