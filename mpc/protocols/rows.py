"""Agree on the number of rows of all owners together."""

from __future__ import annotations

from typing import Literal

import numpy as np

from hashcomb.errors import DataError, SpecError
from hashcomb.mpc.arithmetic.openings import negative_sums, sums
from hashcomb.mpc.arithmetic.shamir import Link

__all__ = ("ROUND_NUMBERS", "count_rows")

MAX_ROWS = 1 << 40
ROUND_NUMBERS = (*range(100), *(digits * 10**power for power in range(1, 11) for digits in range(10, 100)))


async def count_rows(link: Link, mine: int, how: Literal["rounded", "exact"]) -> int:
    """Count the rows of all owners.

    Parameters
    ----------
    link : Link
        The connections.
    mine : int
        Number of this owner's rows, up to 2**40 divided by the number of participants.
    how : {"rounded", "exact"}
        "rounded" gives the number with its first two digits, rounded down, and zeros.

    Returns
    -------
    int
        The same at every owner.

    Raises
    ------
    DataError, SpecError
        If the arguments cannot be; before anything is sent.

    Notes
    -----
    Privacy: every owner learns the result, and by taking its own rows off, that of all others together; of two
    owners, the other's. "rounded" opens no other digit: every answer of its search, "are there at least so
    many?", follows from the result.
    """
    if how not in ("rounded", "exact"):
        raise SpecError("must be 'rounded' or 'exact'", path="how")
    if mine < 0:
        raise DataError("a number of rows cannot be negative")
    if how == "exact":
        return int((await sums(link, np.array([mine], dtype=np.int64)))[0])
    low, high = 0, len(ROUND_NUMBERS)  # the last one that is reached lies in [low, high)
    for _ in range(high.bit_length()):
        middle = (low + high) // 2
        asked = np.array([mine - ROUND_NUMBERS[middle] * (link.me == link.owners[0])], dtype=np.int64)
        fewer = await negative_sums(link, asked, MAX_ROWS.bit_length() + 2)
        low, high = (low, max(middle, low + 1)) if fewer[0] else (middle, high)
    return int(ROUND_NUMBERS[low])
