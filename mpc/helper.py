"""The third participant of two owners: it computes with them, has no data, and gets neither Spec nor Key."""

from __future__ import annotations

from typing import Any

from hashcomb.errors import PartyAborted, ProtocolError
from hashcomb.mpc.arithmetic.openings import assist
from hashcomb.mpc.network import session
from hashcomb.mpc.network.parties import Party
from hashcomb.mpc.policy import Policy
from hashcomb.mpc.watch import Progress, Watch

__all__ = ("HELPER_STEPS", "help_owners")

HELPER_STEPS = ("connect", "nonces", "help", "confirm")
"""Names of a helper's steps, in order."""


async def help_owners(party: Party, policy: Policy | None = None, *, progress: Progress | None = None) -> str:
    """Help the owners to agree, as a participant without data.

    Parameters
    ----------
    party : Party
        This helper's seat.
    policy : Policy, optional
        The same as at every owner.
    progress : callable, optional
        Called with the name of each step of `HELPER_STEPS` as it begins.

    Returns
    -------
    str
        Hash of the owners' transcript, 64 hexadecimal digits; this helper has signed it.

    Raises
    ------
    ProtocolError
        If the owners reach no agreement; see `agree` for its kinds.

    Notes
    -----
    Privacy: the helper learns who the owners are, the policy, the hash of the transcript, and the sizes that
    `hashcomb.mpc.arithmetic.openings.assist` lists. It gets no answer that is opened, no Spec, no Key, no name of a
    feature but those in the policy. It must not collude: together with one of two owners it can read everything that
    the other put in.
    """
    if party.index in party.owners:
        raise ProtocolError(
            "is an owner", party=party.me, hint="use hashcomb.mpc.agree, or give the peer role 'helper'"
        )
    watch = Watch(progress)
    return await session.hold(party, policy or Policy(), [], watch, lambda link: _help(link, watch))


async def _help(link: Any, watch: Watch) -> str:
    watch.start("nonces")
    await session.exchange_nonces(link)
    watch.start("help")
    await assist(link)
    watch.start("confirm")
    digest = await link.brief(b"")
    if len(digest) != 32:
        raise PartyAborted("sent no hash of a transcript", party=link.names[link.owners[0]], step=link.step)
    await session.sign_digest(link, digest)
    return str(digest.hex())
