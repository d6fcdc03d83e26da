"""What frames every protocol: meet, begin afresh, sign what was said, part."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec

from hashcomb.errors import PartyAborted, PartyMismatch
from hashcomb.mpc.arithmetic.openings import assist, dismiss
from hashcomb.mpc.network.identity import fingerprints, public_keys, signing_key
from hashcomb.mpc.network.messages import Hello
from hashcomb.mpc.network.parties import Party
from hashcomb.mpc.network.runtime import connect
from hashcomb.mpc.policy import Policy
from hashcomb.mpc.transcript import Signer, Transcript, TranscriptFile, public_digest, sign
from hashcomb.mpc.watch import Watch
from hashcomb.spec import VERSION as SPEC_VERSION

__all__ = ("compare", "exchange_nonces", "hold", "meet", "public_part", "sign_all", "sign_digest")

T = TypeVar("T")

_NONCE = 32
_GRACE_S = 2.0


async def hold(
    party: Party,
    policy: Policy | None,
    kinds: Sequence[Sequence[str]],
    watch: Watch,
    steps: Callable[[Any], Awaitable[T]],
    purpose: str = "agree",
) -> T:
    """Connect, let the steps run until the deadline, and close the connections, after an error too.

    Parameters
    ----------
    party : Party
        This participant's seat.
    policy : Policy or None
        What must be the same everywhere.
    kinds : sequence of pairs of str
        Names and kinds of the features; empty at a helper.
    watch : Watch
        Told of each step.
    steps : callable
        Given the connections, does the work.
    purpose : str, optional
        What the connections are for: others must be here for the same.

    Raises
    ------
    ProtocolError
        If there is no result.
    """
    secret = signing_key(party)  # before anybody waits for a signature that cannot be
    public = public_part(party, policy, purpose)
    features = hashlib.sha256(msgspec.json.encode(kinds)).digest() if kinds else bytes(32)
    watch.start("connect")
    link = await connect(party, Hello(session=public_digest(public), n_features=len(kinds), features=features))
    link.public = public | {"features": [list(pair) for pair in kinds]}
    link.signing_key, link.transcript = secret, Transcript(public_digest(link.public))
    watch.link = link
    try:
        # A helper hears of a silent owner from the others, who know which it is, when their time is up.
        patience = 0.0 if link.sees else _GRACE_S
        result: T = await link.within(steps(link), party.deadline_s + patience)
    except BaseException as error:
        await link.close(error)
        raise
    await link.close()
    return result


async def meet(party: Party, steps: Callable[[Any], Awaitable[T]], purpose: str) -> T | None:
    """Connect with the others for one or several protocols of `hashcomb.mpc.protocols` alone.

    Parameters
    ----------
    party : Party
        This participant's seat.
    steps : callable
        Given the connections, returns what is to be awaited: the same protocols in the same order at every owner.
    purpose : str
        What the meeting is for; it must be the same at all.

    Returns
    -------
    object
        What `steps` returned; None at a helper, whose `steps` are not called.

    Raises
    ------
    ProtocolError
        If there is no result; names the owner and the step.

    Notes
    -----
    Privacy: what the protocols open, as their docstrings say. Nothing is signed; what was published is compared at the
    end, so that owners who were told different things find out.

    Examples
    --------
    ``await meet(party, lambda link: count_rows(link, len(rows), "rounded"), "how many patients")``
    """
    watch = Watch(None)

    async def all_steps(link: Any) -> T | None:
        watch.start(purpose)
        await exchange_nonces(link)
        result = None
        if link.sees:
            result = await steps(link)
            await dismiss(link)
        else:
            await assist(link)
        link.ending = True
        await compare(link)
        return result

    return await hold(party, None, [], watch, all_steps, f"meet: {purpose}")


async def compare(link: Any) -> None:
    """Make sure that all owners were told the same so far.

    Raises
    ------
    PartyMismatch
        If not. Who told them different things cannot be known from it, so the error names nobody.
    """
    if not link.sees:
        return
    digest = link.transcript.digest()
    for owner, theirs in zip(link.owners, await link.among_owners(digest), strict=True):
        if theirs != digest:
            problem = f"this owner and {link.names[owner]!r} were told different things"
            raise PartyMismatch(f"{problem}: somebody did not follow the protocol", step=link.step)


def public_part(party: Party, policy: Policy | None, purpose: str = "agree") -> dict[str, Any]:
    """Return what all participants must have in common before they meet."""
    return {
        "purpose": purpose,
        "spec_version": SPEC_VERSION,
        "peers": _signers(party),
        "policy": policy.public if policy else None,
    }


def _signers(party: Party) -> list[list[str]]:
    pairs = zip(party.peers, fingerprints(party), public_keys(party), strict=True)
    return [[peer.name, peer.role, certificate, key] for peer, certificate, key in pairs]


async def exchange_nonces(link: Any) -> None:
    """Exchange random bytes, so that no two runs have one transcript and an old one cannot be replayed.

    Raises
    ------
    PartyAborted
        If somebody sends something else.
    """
    nonces = await link.exchange(secrets.token_bytes(_NONCE))
    for place, nonce in enumerate(nonces):
        if len(nonce) != _NONCE:
            raise PartyAborted("sent a nonce of another length", party=link.names[place], step=link.step)
    link.transcript.add(link.step, *nonces)


async def sign_all(link: Any, fingerprint: str, key_id: str) -> TranscriptFile:
    """Sign the transcript, check the signatures of all others, and wait until all have done so.

    Raises
    ------
    PartyMismatch
        If somebody signed something else.
    """
    digest = link.transcript.digest()
    await link.brief(digest)
    signers = await sign_digest(link, digest)
    return TranscriptFile(
        format="hashcomb transcript 2",
        public=link.public,
        steps=link.transcript.entries,
        fingerprint=fingerprint,
        key_id=key_id,
        digest=digest.hex(),
        signers=signers,
    )


async def sign_digest(link: Any, digest: bytes) -> tuple[Signer, ...]:
    """Sign a hash, check the signatures of all others under it, and wait until all have done so.

    Raises
    ------
    PartyMismatch
        If somebody signed something else, or with another key.
    """
    own = b"" if link.signing_key is None else sign(link.signing_key, digest, link.names[link.me])
    signatures = await link.exchange(own)
    signers = tuple(
        Signer(name=name, role=role, certificate=certificate, public_key=key, signature=signature.hex())
        for (name, role, certificate, key), signature in zip(link.public["peers"], signatures, strict=True)
    )
    for signer in signers:
        if signer.public_key and not signer.has_signed(digest):
            raise PartyMismatch("signed another transcript, or not with its key", party=signer.name, step=link.step)
    link.ending = True
    await link.exchange(b"")  # nobody goes and writes anything before all have seen all signatures
    return signers
