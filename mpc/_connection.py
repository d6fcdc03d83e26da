"""One connection to another owner: what is put before MPyC's ``MessageExchanger``, once that is imported."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from hashcomb.errors import PartyAborted, PartyMismatch, ProtocolError
from hashcomb.mpc._messages import ABORT, BYE, HELLO, MAGIC, abort_error

__all__ = ("GREETING_S", "ExchangerMixin")

MAX_MESSAGE = 1 << 28
GREETING_S = 10.0  # how long somebody who connects may take to say who it is
MAX_AHEAD = 4  # messages that an owner may be ahead of us; rounds are in step, so more is no protocol


class ExchangerMixin:
    """One connection: checks who is there before anything else, then exchanges labelled messages."""

    runtime: Any
    transport: Any
    buffers: dict[int, Any]
    peer_pid: int | None
    bytes: Any

    def __init__(self, runtime: Any, peer_pid: int | None = None) -> None:
        super().__init__(runtime, peer_pid)  # type: ignore[call-arg]
        self.dialed = peer_pid is not None
        self.ready = self.done = False
        self.greeted: asyncio.Future[bool] = runtime.loop.create_future()
        self.lost: asyncio.Future[None] = runtime.loop.create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.runtime.exchangers.add(self)
        self.late = self.runtime.loop.call_later(GREETING_S, self.close_unmet)
        transport.write(self.runtime.hello.pack(self.runtime.party))

    def data_received(self, data: Any) -> None:
        try:
            if not self.ready:
                self.bytes.extend(data)
                if len(self.bytes) < HELLO.size:
                    return
                self._greet(bytes(self.bytes[: HELLO.size]))
                data = bytes(self.bytes[HELLO.size :])
                self.bytes = bytearray()
            self._deliver(data)
        except ProtocolError as error:
            self.runtime.fail(error)
            self.transport.close()
        except Exception:
            # A stranger that talks nonsense is shown the door; an owner that does has broken the protocol.
            if self.ready:
                self.runtime.fail(self._broken("sent what is no message of the protocol"))
            self.transport.abort()

    def _deliver(self, data: bytes) -> None:
        super().data_received(data)  # type: ignore[misc]
        if len(self.bytes) >= 12 and int.from_bytes(self.bytes[8:12], "little") > MAX_MESSAGE:
            raise self._broken(f"announced a message of more than {MAX_MESSAGE} bytes")
        self.done = self.done or self.buffers.pop(BYE, None) is not None
        abort = self.buffers.pop(ABORT, None)
        if abort is not None:
            names = self.runtime.party.names
            raise abort_error(abort, names, names[self.peer_pid or 0])
        if sum(isinstance(waiting, bytes) for waiting in self.buffers.values()) > MAX_AHEAD:
            raise self._broken("ran ahead of the protocol")

    def close_unmet(self) -> None:
        """Close the connection if its other end has not shown that it is an owner."""
        if not self.ready:
            self.transport.close()

    def _greet(self, data: bytes) -> None:
        """Check the other end's hello; from then on it is one of the owners."""
        magic, session, pid, n_owners, threshold, n_features, features = HELLO.unpack(data)
        runtime, party = self.runtime, self.runtime.party
        expected = pid == self.peer_pid if self.dialed else pid < party.index
        if magic != MAGIC or not expected or not self._is_pinned(pid) or runtime.parties[pid].protocol is not None:
            raise ValueError("a stranger, or a second connection of one owner")
        runtime.meet(pid)
        name, hello = party.names[pid], runtime.hello
        for theirs, ours, what in (
            (n_owners, len(party.peers), "owners"),
            (threshold, party.threshold, "as the threshold"),
            (n_features, hello.n_features, "features"),
        ):
            if theirs != ours:
                raise PartyMismatch(f"has {theirs} {what}, here there are {ours}", party=name, step="connect")
        if features != hello.features:
            hint = "the columns must have the same names in the same order at every owner"
            raise PartyMismatch("has other names of features", party=name, step="connect", hint=hint)
        if session != hello.session:
            hint = "[policy] and [[peer]] of party.toml must be the same at every owner"
            raise PartyMismatch("has another policy or list of owners", party=name, step="connect", hint=hint)
        runtime.register(pid, self)
        self.peer_pid, self.ready = pid, True
        self.greeted.set_result(True)

    def _is_pinned(self, pid: int) -> bool:
        if not self.runtime.party.secure:
            return True
        certificate = self.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return bool(hashlib.sha256(certificate).hexdigest() == self.runtime.fingerprints[pid])

    def _broken(self, problem: str) -> PartyAborted:
        return PartyAborted(problem, party=self.runtime.party.names[self.peer_pid or 0], step=self.runtime.step)

    def connection_lost(self, _: Exception | None) -> None:
        self.late.cancel()
        self.runtime.exchangers.discard(self)
        self.lost.set_result(None)
        if not self.greeted.done():
            self.greeted.set_result(False)
        if self.ready and not self.done:
            self.runtime.fail(self._broken("closed its connection"))
