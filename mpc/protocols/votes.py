"""Vote on a small whole number, or on one of a few choices, without showing who voted for what."""

from __future__ import annotations

from typing import Literal

import numpy as np

from hashcomb.errors import DataError, SpecError
from hashcomb.mpc.arithmetic.openings import largest_tally, reached_by
from hashcomb.mpc.arithmetic.shamir import Link

__all__ = ("choose", "vote")


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

    Raises
    ------
    DataError, SpecError
        If the arguments cannot be; before anything is sent.

    Notes
    -----
    Privacy: every owner learns the winner; no vote and no tally. For every threshold it is opened whether at
    least so many votes reach it as the rule asks for, which follows from the winner.
    """
    if rule not in ("median", "min", "max"):
        raise SpecError("must be 'median', 'min' or 'max'", path="rule")
    if not 1 <= mine <= largest:
        raise DataError(f"a vote must be from 1 to {largest}")
    n_owners = len(link.owners)
    needed = {"max": 1, "min": n_owners, "median": n_owners // 2 + 1}[rule]
    reached = mine >= np.arange(2, largest + 1)
    return 1 + int((await reached_by(link, reached, needed)).sum()) if len(reached) else 1


async def choose(link: Link, mine: int | None, n_choices: int) -> int:
    """Find the choice with the most votes; of several with as many, the first in order.

    Parameters
    ----------
    link : Link
        The connections.
    mine : int or None
        Number of this owner's choice, from 0; None to abstain.
    n_choices : int
        How many there are, at least 1.

    Returns
    -------
    int
        The same at every owner.

    Raises
    ------
    DataError
        If there is no such choice; before anything is sent.

    Notes
    -----
    Privacy: every owner learns the winner; no vote, no tally, not who abstained. For every choice it is opened
    whether it wins, which follows from the winner.
    """
    if n_choices < 1 or not (mine is None or 0 <= mine < n_choices):
        raise DataError(f"a vote must be a whole number from 0 to {n_choices - 1}, or None")
    return await largest_tally(link, np.arange(n_choices) == mine)
