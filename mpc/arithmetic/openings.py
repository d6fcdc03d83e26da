"""The few things that owners open together. Every protocol is made of these, and a helper sees no more of it.

Before each of them the owners tell the helpers which one it is and its sizes. So whoever writes a protocol
thinks of owners alone, and a helper needs to know nothing of the protocol.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hashcomb.errors import PartyAborted, ProtocolError
from hashcomb.mpc.arithmetic.circuits import at_least, sign_of_sum, undefeated
from hashcomb.mpc.arithmetic.fields import BITS, COUNTS
from hashcomb.mpc.arithmetic.shamir import Link, Shamir

__all__ = ("Somebody", "assist", "dismiss", "largest_tally", "negative_sums", "reached_by", "somebody", "sums")

Array = NDArray[Any]

SIGNS = 1 << 14  # signs that are computed at once
PIECE = 1 << 16  # masks in a message
MAX_SIZE = 1 << 26  # more than any protocol here asks for at once


class _Plan(msgspec.Struct, frozen=True, array_like=True):
    what: str
    step: str
    sizes: tuple[int, ...]


async def negative_sums(link: Link, mine: NDArray[np.int64], n_bits: int) -> NDArray[np.bool_]:
    """Open, for each of n sums over the owners, whether it is negative; and nothing else.

    Parameters
    ----------
    link : Link
        The connections.
    mine : ndarray of int64, shape (n,)
        This owner's terms.
    n_bits : int
        Length in which the sums have a two's complement, at most 63.

    Raises
    ------
    ProtocolError
        If what is opened is no bit: some owner did not follow the protocol.
    """
    answers = []
    # Piece by piece: a message stays small, and the event loop turns between two of them.
    for start in range(0, max(len(mine), 1), SIGNS):
        piece = mine[start : start + SIGNS]
        await _brief(link, "negative_sums", len(piece), n_bits)
        answers.append(await _negative_sums(link, piece, n_bits))
    return np.concatenate(answers)


async def _negative_sums(link: Link, mine: NDArray[np.int64], n_bits: int) -> NDArray[np.bool_]:
    shamir = Shamir(link, BITS)
    opened = await shamir.open(await sign_of_sum(shamir, mine, n_bits))
    if (opened > 1).any():
        problem = "an answer is neither yes nor no: some owner did not follow the protocol"
        raise ProtocolError(problem, step=link.step)
    return np.asarray(opened == 1)


class Somebody:
    """Opens, for each of n questions, whether some owner says yes; and not who, nor how many.

    Parameters
    ----------
    link : Link
        The connections.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._random = self._zero = np.empty(0, dtype=np.uint64)

    async def prepare(self, count: int) -> None:
        """Deal the masks of so many questions ahead: all that will be asked. Each is used once."""
        await _brief(self._link, "prepare", count)
        await self.prepare_masks(count)

    async def prepare_masks(self, count: int) -> None:
        """Deal masks; owners come by `prepare`, helpers at their word."""
        shamir = Shamir(self._link, COUNTS)
        dealt = [await shamir.masks(size) for size in _pieces(count)] or [(self._random, self._zero)]
        self._random, self._zero = (np.concatenate(kind) for kind in zip(*dealt, strict=True))

    async def ask(self, mine: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Ask n questions, shape (n,)."""
        await _brief(self._link, "ask", len(mine))
        return await self.answer(mine)

    async def answer(self, mine: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Answer n questions; owners come by `ask`, helpers at their word.

        Raises
        ------
        ProtocolError
            If fewer masks are left than that.
        """
        shamir, n = Shamir(self._link, COUNTS), len(mine)
        if n > len(self._random):
            raise ProtocolError("more is asked than was prepared", step=self._link.step)
        random, zero = self._random[:n], self._zero[:n]
        self._random, self._zero = self._random[n:], self._zero[n:]
        return await shamir.nonzero(await shamir.deal_sum(mine.astype(np.uint64)), random, zero)


async def somebody(link: Link, mine: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Open, for each of n questions, whether some owner says yes; and not who, nor how many. Shape (n,)."""
    asking = Somebody(link)
    await asking.prepare(len(mine))
    return await asking.ask(mine)


def _pieces(count: int) -> list[int]:
    """Cut a number into pieces that are not too large for a message."""
    return [min(PIECE, count - start) for start in range(0, count, PIECE)]


async def reached_by(link: Link, mine: NDArray[np.bool_], needed: int) -> NDArray[np.bool_]:
    """Open, for each of n questions, whether at least `needed` owners say yes; and nothing else. Shape (n,)."""
    await _brief(link, "reached_by", len(mine), needed)
    return await _reached_by(link, mine, needed)


async def _reached_by(link: Link, mine: NDArray[np.bool_], needed: int) -> NDArray[np.bool_]:
    shamir = Shamir(link, COUNTS)
    count = await shamir.deal_sum(mine.astype(np.uint64))
    return await shamir.nonzero(await at_least(shamir, count, needed), *await shamir.masks(len(mine)))


async def largest_tally(link: Link, mine: NDArray[np.bool_]) -> int:
    """Open which of n choices has the most votes, the first of several, from this owner's ballot; and nothing else."""
    await _brief(link, "largest_tally", len(mine))
    return int(np.argmax(await _largest_tally(link, mine)))


async def _largest_tally(link: Link, mine: NDArray[np.bool_]) -> NDArray[np.bool_]:
    shamir = Shamir(link, COUNTS)
    tally = await shamir.deal_sum(mine.astype(np.uint64))
    return await shamir.nonzero(await undefeated(shamir, tally, len(link.owners)), *await shamir.masks(len(mine)))


async def sums(link: Link, mine: NDArray[np.int64]) -> NDArray[np.int64]:
    """Open n sums over the owners, of absolute value below 2**60; and nothing else. Shape (n,)."""
    await _brief(link, "sums", len(mine))
    return await _sums(link, mine)


async def _sums(link: Link, mine: NDArray[np.int64]) -> NDArray[np.int64]:
    shamir = Shamir(link, COUNTS)
    in_field = np.where(mine < 0, mine + COUNTS.order, mine).astype(np.uint64)
    opened = (await shamir.open(await shamir.deal_sum(in_field))).astype(np.int64)
    return np.where(opened > COUNTS.order // 2, opened - COUNTS.order, opened)


# ---------------------------------------------------------------------- helpers
async def _brief(link: Link, what: str, *sizes: int) -> None:
    await link.brief(msgspec.json.encode(_Plan(what, link.step, sizes)))


async def dismiss(link: Link) -> None:
    """Tell the helpers that this was all."""
    await _brief(link, "end")


async def assist(link: Link) -> None:
    """Help, as a participant without data, until the owners say that this was all.

    Parameters
    ----------
    link : Link
        The connections.

    Raises
    ------
    PartyAborted
        If the owners ask for something unheard of.

    Notes
    -----
    Privacy: a helper sees shares, which are random to it, and is told the kind and the sizes of what is opened,
    never the answer. From the sizes it learns how many features there are, the agreed depth, how many edges are
    still looked for after each pass (so how many coincide), how many beginnings of categories there are at each
    length (so how many categories, and how long), and whether values are rounded. Together with one owner more
    than the threshold allows, it could read everything.
    """
    asking = Somebody(link)
    bodies: dict[str, tuple[int, Callable[..., Awaitable[Any]] | None]] = {  # how many sizes it has, and what is done
        "negative_sums": (2, lambda n, n_bits: _negative_sums(link, np.zeros(n, dtype=np.int64), n_bits)),
        "prepare": (1, asking.prepare_masks),
        "ask": (1, lambda n: asking.answer(np.zeros(n, dtype=bool))),
        "reached_by": (2, lambda n, needed: _reached_by(link, np.zeros(n, dtype=bool), needed)),
        "largest_tally": (1, lambda n: _largest_tally(link, np.zeros(n, dtype=bool))),
        "sums": (1, lambda n: _sums(link, np.zeros(n, dtype=np.int64))),
        "end": (0, None),
    }
    while True:
        message = await link.brief(b"")
        try:
            plan = msgspec.json.decode(message, type=_Plan)
            n_sizes, body = bodies[plan.what]
        except (msgspec.DecodeError, KeyError):
            plan, n_sizes = _Plan("", "", ()), 1
        if (
            len(plan.sizes) != n_sizes
            or not plan.step.isprintable()
            or any(not 0 <= size < MAX_SIZE for size in plan.sizes)
        ):
            owner = link.names[link.owners[0]]
            raise PartyAborted("asks a helper for what is no part of the protocol", party=owner, step=link.step)
        link.step = plan.step
        if body is None:
            return
        await body(*plan.sizes)
