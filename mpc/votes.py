"""Vote on a small whole number without showing who voted for what."""

from __future__ import annotations

from typing import Literal

import numpy as np

from hashcomb.mpc._fields import COUNTS
from hashcomb.mpc._shamir import Link, Shamir

__all__ = ("vote",)


async def vote(link: Link, mine: int, largest: int, rule: Literal["median", "min", "max"]) -> int:
    """Agree on a number from 1 to `largest`.

    Parameters
    ----------
    link : Link
        The connections.
    mine : int
        This owner's vote.
    largest : int
        The largest possible vote.
    rule : {"median", "min", "max"}
        The result is this order statistic of all votes; of an even number of votes the lower median.

    Returns
    -------
    int
        The same at every owner.

    Notes
    -----
    Privacy: every owner learns the winner; no vote and no tally. For every threshold it is opened whether at
    least so many votes reach it as the rule asks for, which follows from the winner.
    """
    n_owners = len(link.names)
    needed = {"max": 1, "min": n_owners, "median": n_owners // 2 + 1}[rule]
    reached = (mine >= np.arange(2, largest + 1)).astype(np.uint64)
    if not len(reached):
        return 1
    shamir = Shamir(link, COUNTS)
    count, random, zero = await shamir.deal_sum_with_masks(reached)
    # At least k votes: count (count - 1) ... (count - k + 1) is not 0.
    product = count
    for below in range(1, needed):
        product = await shamir.multiply(product, COUNTS.add(count, np.full_like(count, COUNTS.order - below)))
    return 1 + int((await shamir.nonzero(product, random, zero)).sum())
