"""One connection to another owner: what is put before MPyC's ``MessageExchanger``, once that is imported."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from hashcomb.errors import PartyAborted, PartyMismatch, ProtocolError
from hashcomb.mpc.network.messages import ABORT, BYE, GREETING, HELLO, MAGIC, VERSION, abort_error

__all__ = ("GREETING_S", "ExchangerMixin")

MAX_MESSAGE = 1 << 28
GREETING_S = 10.0  # how long somebody who connects may take to say who it is
HEARD_S = 0.2  # how long a reason that somebody gives may come after a connection that is lost
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
        """Say who is here, if this end dialed: the other answers once it knows to whom; called by asyncio."""
        self.transport = transport
        self.runtime.exchangers.add(self)
        self.late = self.runtime.loop.call_later(GREETING_S, self.close_unmet)
        if self.dialed and not self._is_pinned(self.peer_pid or 0):
            transport.abort()  # another participant answers at this one's address; it is told nothing
        elif self.dialed:
            self._say_hello(self.peer_pid)

    def _say_hello(self, pid: int | None) -> None:
        self.transport.write(self.runtime.hello.pack(self.runtime.party, pid))

    def data_received(self, data: Any) -> None:
        """Take what came; called by asyncio."""
        try:
            if not self.ready:
                self.bytes.extend(data)
                self._check_version()
                if len(self.bytes) < HELLO.size:
                    return
                self._greet(bytes(self.bytes[: HELLO.size]))
                data = bytes(self.bytes[HELLO.size :])
                self.bytes = bytearray()
            self._deliver(data)
        except ProtocolError as error:
            self.runtime.fail(error)
            self.transport.close()
        except asyncio.InvalidStateError:
            pass  # a message for one who has stopped waiting, because the run has failed or its time is up
        except Exception:
            # A stranger that talks nonsense is shown the door; an owner that does has broken the protocol.
            if self.ready:
                self.runtime.fail(self._broken("sent what is no message of the protocol"))
            self.transport.abort()

    def _deliver(self, data: bytes) -> None:
        super().data_received(data)  # type: ignore[misc]
        if len(self.bytes) >= 12 and int.from_bytes(self.bytes[8:12], "little") > MAX_MESSAGE:
            raise self._broken(f"announced a message of more than {MAX_MESSAGE} bytes")
        self.buffers.pop(BYE, None)
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

    def _check_version(self) -> None:
        """Raise if the other end, an owner as far as can be known, speaks another version of the protocol."""
        if len(self.bytes) < GREETING.size:
            return
        magic, version = GREETING.unpack(bytes(self.bytes[: GREETING.size]))
        if magic != MAGIC or version == VERSION:
            return
        runtime = self.runtime
        pid = self.peer_pid if self.dialed else self._known_as()
        if pid is None or not self._is_pinned(pid):
            raise ValueError("a stranger that speaks another version")
        runtime.meet(pid)
        if not self.dialed:
            self._say_hello(pid)  # so that the other end can name the versions too
        hint = "all need the same version of hashcomb"
        problem = f"speaks version {version} of the protocol, here it is {VERSION}"
        raise PartyMismatch(problem, party=runtime.party.names[pid], step="connect", hint=hint)

    def _greet(self, data: bytes) -> None:
        """Check the other end's hello; from then on it is one of the owners."""
        magic, _, session, pid, n_parties, threshold, n_features, features = HELLO.unpack(data)
        runtime, party = self.runtime, self.runtime.party
        expected = pid == self.peer_pid if self.dialed else pid < party.index
        if magic == MAGIC and not self.dialed:
            self._compare_order(pid)
        if magic != MAGIC or not expected or not self._is_pinned(pid) or runtime.parties[pid].protocol is not None:
            raise ValueError("a stranger, or a second connection of one owner")
        runtime.meet(pid)
        if not self.dialed:
            self._say_hello(pid)
        name, hello = party.names[pid], runtime.hello
        for theirs, ours, what in (
            (n_parties, len(party.peers), "owners and helpers"),
            (threshold, party.threshold, "as the threshold"),
        ):
            if theirs != ours:
                raise PartyMismatch(f"has {theirs} {what}, here there are {ours}", party=name, step="connect")
        if any(features) and party.index in party.owners:  # else one of the two takes the other for a helper
            self._compare_features(n_features, features, name)
        if session != hello.session:
            hint = "[policy] and [[peer]] of party.toml must be the same at every owner"
            raise PartyMismatch("has another policy or list of owners", party=name, step="connect", hint=hint)
        runtime.register(pid, self)
        self.peer_pid, self.ready = pid, True
        self.greeted.set_result(True)

    def _compare_order(self, pid: int) -> None:
        """Raise if an owner, known by its certificate, counts itself at another place than it has here."""
        runtime = self.runtime
        here = self._known_as()
        if here is None or here in (pid, runtime.party.index):
            return
        runtime.meet(here)
        self._say_hello(here)
        hint = "[[peer]] must have the same order at every owner"
        problem = "has another policy or list of owners, or another order of them"
        raise PartyMismatch(problem, party=runtime.party.names[here], step="connect", hint=hint)

    def _compare_features(self, n_features: int, features: bytes, name: str) -> None:
        hello = self.runtime.hello
        if n_features != hello.n_features:
            problem = f"has {n_features} features, here there are {hello.n_features}"
            raise PartyMismatch(problem, party=name, step="connect")
        if features != hello.features:
            hint = "the columns must have the same names in the same order at every owner"
            raise PartyMismatch("has other names of features", party=name, step="connect", hint=hint)

    def _known_as(self) -> int | None:
        """Return whose certificate the other end has; None if nobody's, or without TLS."""
        party = self.runtime.party
        return next(filter(self._is_pinned, range(len(party.peers))), None) if party.secure else None

    def _is_pinned(self, pid: int) -> bool:
        if not self.runtime.party.secure:
            return True
        certificate = self.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return bool(hashlib.sha256(certificate).hexdigest() == self.runtime.fingerprints[pid])

    def _has_said_all(self) -> bool:
        """Return whether nothing more is due from the other end: in the last round, its message has come."""
        came = any(isinstance(message, bytes) for message in self.buffers.values())
        return self.runtime.ending and (came or self.peer_pid not in self.runtime.due)

    def _broken(self, problem: str) -> PartyAborted:
        return PartyAborted(problem, party=self.runtime.party.names[self.peer_pid or 0], step=self.runtime.step)

    def connection_lost(self, _: Exception | None) -> None:
        """Note that the other end is gone; called by asyncio."""
        self.late.cancel()
        self.runtime.exchangers.discard(self)
        self.lost.set_result(None)
        if not self.greeted.done():
            self.greeted.set_result(False)
        if self.ready and not self.done and not self._has_said_all():
            # It may have left because of a third, whose word of it is still to be read: that names the right one.
            self.runtime.loop.call_later(HEARD_S, self.runtime.fail, self._broken("closed its connection"))
