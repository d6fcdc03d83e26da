"""A joint key that no owner, and no coalition short of all, can predict or choose."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from hashcomb.errors import PartyAborted, PartyMismatch
from hashcomb.keys import Key
from hashcomb.mpc._shamir import Link

__all__ = ("confirm", "joint_key")

_PART = 64


async def joint_key(link: Link, session: bytes) -> tuple[Key, bytes]:
    """Draw a Key together: commit, compare the commitments, reveal, hash.

    Parameters
    ----------
    link : Link
        The connections.
    session : bytes
        Hash of everything public about this run, its nonces included.

    Returns
    -------
    tuple of Key and bytes
        The Key, and the hash of all commitments, which is public.

    Raises
    ------
    PartyMismatch
        If an owner sent different commitments to different owners.
    PartyAborted
        If an owner reveals another part than the one it committed to, or of another length.

    Notes
    -----
    Privacy: all owners learn the Key; nobody else learns anything. It is a hash of 64 random bytes from each
    owner, so it is unpredictable as long as one owner is honest. Whoever reveals last may still stop the run.
    """
    part = secrets.token_bytes(_PART)
    commitments = await link.exchange(_commitment(session, link.me, part))
    digest = hashlib.sha256(b"hashcomb commitments 1\0" + b"".join(commitments)).digest()
    for owner, theirs in enumerate(await link.exchange(digest)):
        if theirs != digest:
            raise PartyMismatch(
                "holds other commitments: some owner told different things to different owners",
                party=link.names[owner],
                step=link.step,
            )
    parts = await link.exchange(part)
    for owner, theirs in enumerate(parts):
        if len(theirs) != _PART or _commitment(session, owner, theirs) != commitments[owner]:
            raise PartyAborted("revealed another part than it committed to", party=link.names[owner], step=link.step)
    return Key(hashlib.sha256(b"hashcomb joint key 1\0" + session + b"".join(parts)).digest()), digest


def _commitment(session: bytes, owner: int, part: bytes) -> bytes:
    return hashlib.sha256(b"hashcomb commitment 1\0" + session + owner.to_bytes(2, "big") + part).digest()


async def confirm(link: Link, key: Key, transcript: bytes) -> None:
    """Make sure that all owners hold the same Key and the same transcript.

    Raises
    ------
    PartyMismatch
        If one holds others; its name is in the error.
    """
    secret = key.derive("confirm")

    def tag(owner: int) -> bytes:
        return hmac.new(secret, transcript + owner.to_bytes(2, "big"), "sha256").digest()

    for owner, theirs in enumerate(await link.exchange(tag(link.me))):
        if not hmac.compare_digest(theirs, tag(owner)):
            raise PartyMismatch("holds another result or another key", party=link.names[owner], step=link.step)
