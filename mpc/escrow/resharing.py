"""Shares of the Key over the connections: made by all owners together, and made anew when owners come and go."""

from __future__ import annotations

import hashlib
from typing import Any

from hashcomb.errors import PartyMismatch, ProtocolError
from hashcomb.keys import Key
from hashcomb.mpc.escrow.shamir_shares import (
    Share,
    combine_subshares,
    element_from_bytes,
    element_to_bytes,
    joint_share,
    new_sharing,
    subshares,
    zero_sharing,
)
from hashcomb.mpc.escrow.sharing import Sharing, check_quorum
from hashcomb.mpc.network import session
from hashcomb.mpc.network.parties import Party
from hashcomb.mpc.watch import Progress, Watch
from hashcomb.spec import Spec

__all__ = ("RESHARE_STEPS", "reshare", "share_key")

RESHARE_STEPS = ("connect", "nonces", "holders", "reshare", "confirm")
"""Names of the steps of re-sharing, in order."""


async def share_key(link: Any, spec: Spec, key: Key, quorum: int) -> Share:
    """Make shares of the joint Key, one for each owner, without a dealer.

    Parameters
    ----------
    link : Link
        The connections.
    spec : Spec
        The agreed Spec.
    key : Key
        The joint Key, which all owners have.
    quorum : int
        How many owners will restore it.

    Returns
    -------
    Share
        This owner's.

    Raises
    ------
    ProtocolError
        If the quorum cannot be, or an owner sends what is no element of the field.

    Notes
    -----
    Privacy: every owner learns its own share and nothing of another's. Helpers and whoever aggregates get none: shares
    are dealt to owners alone.
    """
    names = [link.names[owner] for owner in link.owners]
    sharing = new_sharing(spec, key, names, quorum, link.transcript.digest())
    dealt = [element_to_bytes(value) for value in zero_sharing(len(names), quorum)]
    got = await link.between_owners(dealt)
    zeros = [element_from_bytes(raw, party=name, step=link.step) for raw, name in zip(got, names, strict=True)]
    return joint_share(key, zeros, sharing, link.names[link.me])


async def reshare(party: Party, share: Share | None, quorum: int, *, progress: Progress | None = None) -> Share:
    """Make new shares, for the owners of `party`, from those of a quorum of old holders.

    Parameters
    ----------
    party : Party
        This owner's seat among the new holders: all peers that are owners. Old holders that are among them, as many
        as the old quorum or more, give; an owner that leaves is simply not listed.
    share : Share or None
        This owner's old share; None for one that joins.
    quorum : int
        How many of the new holders restore.
    progress : callable, optional
        Called with the name of each step of `RESHARE_STEPS` as it begins.

    Returns
    -------
    Share
        This owner's share of the new sharing, with the same Spec and Key inside.

    Raises
    ------
    PartyMismatch
        If owners hold shares of different sharings, or ask for different quorums.
    ProtocolError
        If too few old holders take part, or there is no result for another reason; names the owner and the step.

    Notes
    -----
    Privacy: nobody sees the Key or another's share, and nobody needs the Key. An owner that joins learns the Spec.
    An owner that leaves still knows what it knew: delete old shares, and agree on a new Key if it must not read what
    is encoded from now on.
    """
    if party.index not in party.owners:
        raise ProtocolError("is a helper, and helpers get no share", party=party.me)
    if share is not None and share.holder != party.me:
        raise ProtocolError(f"the share is that of {share.holder!r}", party=party.me, hint="use your own")
    if len(party.owners) != len(party.peers):
        raise ProtocolError("re-sharing needs no helpers", hint="list owners alone")
    check_quorum(party.names, quorum)
    watch = Watch(progress)
    run = _Resharing(party, share, quorum, watch)
    return await session.hold(party, None, [], watch, run.all_steps, purpose=f"reshare {quorum}")


class _Resharing:
    """One owner's way through the re-sharing."""

    def __init__(self, party: Party, share: Share | None, quorum: int, watch: Watch) -> None:
        self.party, self.share, self.quorum, self.watch = party, share, quorum, watch

    async def all_steps(self, link: Any) -> Share:
        """Go through all steps."""
        self.watch.start("nonces")
        await session.exchange_nonces(link)
        self.watch.start("holders")
        old, givers = await self._old_holders(link)
        self.watch.start("reshare")
        names = list(link.names)
        dealt = subshares(self.share, names, self.quorum, givers) if self.share else [0] * len(names)
        got = await link.exchange([element_to_bytes(value) for value in dealt])
        received = {
            name: element_from_bytes(raw, party=name, step=link.step)
            for name, raw in zip(names, got, strict=True)
            if name in givers
        }
        nonce = link.transcript.digest()
        new = combine_subshares(received, old, self.party.me, names, self.quorum, nonce)
        self.watch.start("confirm")
        link.transcript.add("result", new.set_id.encode(), new.key_id.encode())
        await session.sign_digest(link, link.transcript.digest())
        return new

    async def _old_holders(self, link: Any) -> tuple[Sharing, list[str]]:
        """Tell the others of the sharing whose share this owner holds; return it and who holds one."""
        mine = b"" if self.share is None else self.share.sharing.to_json().encode()
        told = await link.exchange(mine)
        link.transcript.add(link.step, *(hashlib.sha256(text).digest() for text in told))
        givers = [name for name, text in zip(link.names, told, strict=True) if text]
        if not givers:
            raise ProtocolError("nobody has an old share", step=link.step, hint="pass the old shares of a quorum")
        first = next(text for text in told if text)
        for name, text in zip(link.names, told, strict=True):
            if text and text != first:
                raise PartyMismatch("holds a share of another sharing", party=name, step=link.step)
        old = _sharing(first, givers[0], link.step)
        if len(givers) < old.quorum:
            problem = f"{len(givers)} of {old.quorum} old holders that a re-sharing needs take part"
            raise ProtocolError(problem, step=link.step, hint=f"the old holders are {', '.join(old.holders)}")
        return old, givers


def _sharing(text: bytes, party: str, step: str) -> Sharing:
    try:
        return Sharing.from_json(text)
    except ProtocolError:
        raise ProtocolError("describes no sharing", party=party, step=step) from None
