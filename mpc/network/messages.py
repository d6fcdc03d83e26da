"""The messages between owners that are not shares: the first on a connection, and the last."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence

import msgspec

from hashcomb.errors import HashcombError, PartyAborted, PartyMismatch, PartyTimeout, ProtocolError
from hashcomb.mpc.network.parties import Party

__all__ = ("ABORT", "BYE", "GREETING", "HELLO", "MAGIC", "VERSION", "Hello", "abort_error", "abort_message")

MAGIC = b"hashcomb mpc\0\0"
VERSION = 2
GREETING = struct.Struct("<14sH")  # magic and version: how the hello of every version begins
HELLO = struct.Struct("<14sH32sHHHI32s")  # then session, number, participants, threshold, features, their hash
ABORT, BYE = -(1 << 63), 1 - (1 << 63)  # labels of the messages that give up, and that end a run


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """The first message on every connection; all but the number must be the same at both ends.

    Parameters
    ----------
    session : bytes
        Hash of participants and policy, 32 bytes.
    n_features : int
        Number of features; 0 at a helper, which has none.
    features : bytes
        Hash of their names and kinds, 32 bytes.
    """

    session: bytes
    n_features: int
    features: bytes

    def pack(self, party: Party, to: int | None) -> bytes:
        """Return one participant's message to another; a helper is told nothing of features, nor is a stranger."""
        counts = (party.index, len(party.peers), party.threshold)
        features = (self.n_features, self.features) if to in party.owners else (0, bytes(32))
        return HELLO.pack(MAGIC, VERSION, self.session, *counts, *features)


class _Abort(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: str
    problem: str
    party: str | None
    step: str | None


def abort_message(error: BaseException, me: str, at: str | None = None) -> bytes:
    """Return what the other owners are told of an error: who and where (`at` a step), nothing of the data."""
    if isinstance(error, ProtocolError):
        message = _Abort(type(error).__name__, error.problem, error.party, error.step or at)
    else:
        # Another error may speak of this owner's data: say no more than that there was one.
        stopped = isinstance(error, asyncio.CancelledError | KeyboardInterrupt)
        name = type(error).__name__ if isinstance(error, HashcombError) else "an internal error"
        message = _Abort("PartyAborted", "was stopped" if stopped else f"gave up: {name}", me, at)
    return msgspec.json.encode(message)


def abort_error(message: bytes, names: Sequence[str], sender: str) -> ProtocolError:
    """Return the error that another owner tells of, as far as its message can be believed."""
    said = msgspec.json.decode(message, type=_Abort)
    kinds = {"PartyTimeout": PartyTimeout, "PartyMismatch": PartyMismatch}
    problem = "".join(c if c.isprintable() else "?" for c in said.problem[:300])
    party = said.party if said.party in (None, *names) else sender
    step = said.step if said.step is not None and said.step.isprintable() and len(said.step) < 40 else None
    return kinds.get(said.kind, PartyAborted)(f"{problem} (said by owner {sender!r})", party=party, step=step)
