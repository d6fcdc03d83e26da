"""A joint key that no coalition of owners short of all can predict or choose, and the salts that follow from it."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from hashcomb.errors import PartyAborted, PartyMismatch, ProtocolError
from hashcomb.keys import Key
from hashcomb.mpc.arithmetic.shamir import Link

__all__ = ("confirm", "joint_key", "round_salt")

_PART = 64


async def joint_key(link: Link, session: bytes) -> Key:
    """Draw a Key together: commit, compare the commitments, reveal, hash.

    Parameters
    ----------
    link : Link
        The connections.
    session : bytes
        Hash of everything public about this run, its nonces included.

    Returns
    -------
    Key
        The same at every owner; the commitments to it are in the transcript.

    Raises
    ------
    PartyMismatch
        If an owner sent different commitments to different owners.
    PartyAborted
        If an owner reveals another part than the one it committed to, or of another length.

    Notes
    -----
    Privacy: all owners learn the Key; nobody else learns anything, and helpers take no part. It is a hash of 64 random
    bytes from each owner, so it is unpredictable as long as one owner is honest: m - 1 of m owners can neither predict
    nor choose it. Whoever reveals last may still stop the run, which all others see and which gives no Key.
    """
    part = secrets.token_bytes(_PART)
    commitments = await link.among_owners(_commitment(session, link.me, part))
    digest = hashlib.sha256(b"hashcomb commitments 1\0" + b"".join(commitments)).digest()
    for owner, theirs in zip(link.owners, await link.among_owners(digest), strict=True):
        if theirs != digest:
            raise PartyMismatch(
                "holds other commitments: some owner told different things to different owners",
                party=link.names[owner],
                step=link.step,
            )
    link.transcript.add(link.step, *commitments)
    parts = await link.among_owners(part)
    for owner, theirs, promise in zip(link.owners, parts, commitments, strict=True):
        if len(theirs) != _PART or _commitment(session, owner, theirs) != promise:
            raise PartyAborted("revealed another part than it committed to", party=link.names[owner], step=link.step)
    return Key(hashlib.sha256(b"hashcomb joint key 1\0" + session + b"".join(parts)).digest())


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

    for owner, theirs in zip(link.owners, await link.among_owners(tag(link.me)), strict=True):
        if not hmac.compare_digest(theirs, tag(owner)):
            raise PartyMismatch("holds another result or another key", party=link.names[owner], step=link.step)


def round_salt(key: Key, transcript: bytes, round_: int) -> bytes:
    """Return the salt of a round, 32 bytes; every owner computes it for itself, without any traffic.

    Parameters
    ----------
    key : Key
        The joint Key.
    transcript : bytes
        Hash of the agreement's transcript.
    round_ : int
        Number of the round, from 0 to 2**64 - 1.

    Raises
    ------
    ProtocolError
        If the round is no such number.

    Notes
    -----
    Privacy: to everybody without the Key, salts are unpredictable and unrelated to each other (HMAC-SHA256 as a
    pseudorandom function), and no minority of owners could choose them, since none could choose the Key. Owners
    can compute the salts of all rounds ahead.
    """
    if isinstance(round_, bool) or not isinstance(round_, int) or not 0 <= round_ < 1 << 64:
        raise ProtocolError("a round is a whole number from 0 to 2**64 - 1")
    return hmac.new(key.derive("salts"), transcript + round_.to_bytes(8, "big"), "sha256").digest()
