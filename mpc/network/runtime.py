"""Connections between all participants, on MPyC's runtime.

MPyC's comparisons open a product that can be factored, and its ``transfer`` and ``shutdown`` unpickle what peers
send; neither is used here. What is used is `Runtime` with its parties and labels of messages, and the framing of
`MessageExchanger`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
from collections import Counter
from collections.abc import Collection, Coroutine, Sequence
from typing import Any, TypeVar

from hashcomb.errors import PartyMismatch, PartyTimeout, ProtocolError
from hashcomb.mpc.network.connection import GREETING_S, ExchangerMixin
from hashcomb.mpc.network.guard import import_mpyc, runtime_options
from hashcomb.mpc.network.identity import contexts, fingerprints
from hashcomb.mpc.network.messages import ABORT, BYE, Hello, abort_message
from hashcomb.mpc.network.parties import Party
from hashcomb.mpc.transcript import Transcript

__all__ = ("connect",)

T = TypeVar("T")

CLOSING_S = 2.0
LINGER_S = 5.0  # how long an owner that found a mismatch waits to tell those who come after


# ---------------------------------------------------------------------- connections
@functools.cache
def _classes() -> tuple[type[Any], type[Any]]:
    """Derive this module's classes from MPyC's; they exist only once it is imported."""
    mpyc = import_mpyc()
    exchanger = type("OwnerExchanger", (ExchangerMixin, mpyc.asyncoro.MessageExchanger), {})
    runtime = type("OwnerRuntime", (_RuntimeMixin, mpyc.Runtime), {"exchanger": exchanger})
    return exchanger, runtime


class _RuntimeMixin:
    """The connections of this owner to all others; implements `hashcomb.mpc.arithmetic.shamir.Link`."""

    exchanger: type[Any]
    parties: tuple[Any, ...]
    pid: int
    _program_counter: list[int]

    def __init__(self, party: Party, hello: Hello) -> None:
        mpyc = import_mpyc()
        self.party, self.hello, self.names, self.me = party, hello, party.names, party.index
        self.owners, self.sees = party.owners, party.index in party.owners
        self.helpers = tuple(pid for pid in range(len(self.names)) if pid not in self.owners)
        self.transcript = Transcript(hello.session)
        self.fingerprints = fingerprints(party)
        self.loop = asyncio.get_running_loop()
        self.step, self.n_rounds = "connect", 0
        self._n_sent, self._n_received = Counter[int](), Counter[int]()
        self.failure: ProtocolError | None = None
        self.connected: asyncio.Future[None] = self.loop.create_future()
        self.refused: dict[int, str] = {}
        self.ending = False  # once the last round has begun, those whose message has come may leave
        self.due: set[int] = set()
        self.exchangers: set[Any] = set()  # all connections, of strangers too
        self._unmet = {pid for pid in range(len(party.peers)) if pid != party.index}
        self._all_met = asyncio.Event()
        handler = self.loop.get_exception_handler()
        parties = [mpyc.Party(i, peer.host, peer.port) for i, peer in enumerate(party.peers)]
        super().__init__(party.index, parties, runtime_options(party.threshold))  # type: ignore[call-arg]
        self.loop.set_exception_handler(handler)  # the host's loop keeps the host's handler

    def meet(self, pid: int) -> None:
        """Note that an owner has come, whether or not it can take part."""
        self._unmet.discard(pid)
        if not self._unmet:
            self._all_met.set()

    def register(self, pid: int, exchanger: Any) -> None:
        """Take a connection whose other end has shown that it is an owner."""
        self.parties[pid].protocol = exchanger
        if all(peer.protocol is not None for peer in self._peers) and not self.connected.done():
            self.connected.set_result(None)

    @property
    def _peers(self) -> list[Any]:
        return [peer for peer in self.parties if peer.pid != self.pid]

    @property
    def n_bytes(self) -> int:
        """Bytes sent to all other owners."""
        return sum(peer.protocol.nbytes_sent for peer in self._peers if peer.protocol is not None)

    def fail(self, error: ProtocolError) -> None:
        """Remember the first failure, and let everything that waits end with it."""
        if self.failure is not None:
            return
        self.failure = error
        waiting = [self.connected]
        for peer in self._peers:
            if peer.protocol is not None:
                waiting += [f for f in peer.protocol.buffers.values() if isinstance(f, asyncio.Future)]
        for future in waiting:
            if not future.done():
                future.set_exception(error)
                future.exception()  # seen: asyncio need not complain of those that nobody awaits

    # ------------------------------------------------------------------ connect
    async def open(self) -> None:
        """Listen for the owners before this one, dial those behind it, wait until all have come.

        Raises
        ------
        ProtocolError
            If this owner cannot listen, one does not come in time, or one does not fit.
        """
        for peer in self.parties:
            peer.protocol = None
        server_context, client_context = contexts(self.party)
        server = await self._listen(server_context)
        dials = [asyncio.create_task(self._dial(peer, client_context)) for peer in self.parties[self.pid + 1 :]]
        until = self.loop.time() + self.party.connect_timeout_s
        try:
            async with asyncio.timeout_at(until):
                await self.connected
        except TimeoutError as error:
            if isinstance(error, ProtocolError):
                raise self._with_reasons(error) from None  # another owner ran out of time first, and said so
            self._raise_failure()
            if self.connected.cancelled():  # or the last one came in this very moment
                raise self._absent() from None
        except PartyMismatch:
            # Stay a little, so that those who come now are told rather than left to wait.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_met.wait(), min(LINGER_S, until - self.loop.time()))
            raise
        finally:
            for dial in dials:
                dial.cancel()
            if server is not None:
                await self._stop_listening(server)
            for exchanger in list(self.exchangers):
                exchanger.close_unmet()

    async def _listen(self, context: ssl.SSLContext | None) -> asyncio.Server | None:
        if self.pid == 0:
            return None
        own = self.party.peers[self.pid]
        host = self.party.listen or (None if self.party.secure else own.host)
        try:
            return await self.loop.create_server(
                lambda: self.exchanger(self), host, own.port, ssl=context, **_patience(context)
            )
        except OSError as error:
            raise ProtocolError(
                f"cannot listen on port {own.port}: {error.strerror}", party=own.name, step="connect"
            ) from None

    async def _stop_listening(self, server: asyncio.Server) -> None:
        """Close the server; not in the turn in which it accepts somebody, whose socket asyncio would then forget."""
        with contextlib.suppress(NotImplementedError):  # of loops that have no readers
            for listening in server.sockets:
                self.loop.remove_reader(listening.fileno())
        await asyncio.sleep(0)
        server.close()

    async def _dial(self, peer: Any, context: ssl.SSLContext | None) -> None:
        pause = 0.02
        while True:
            try:
                _, exchanger = await self.loop.create_connection(
                    lambda: self.exchanger(self, peer.pid), peer.host, peer.port, ssl=context, **_patience(context)
                )
                if await exchanger.greeted:
                    return
                self.refused[peer.pid] = "it closed the connection, or is no owner of this agreement"
            except ssl.SSLCertVerificationError as error:
                reason = f"its certificate is not the one in party.toml, or cannot be used ({error.verify_message})"
                self.refused[peer.pid] = reason
            except UnicodeError:
                self.refused[peer.pid] = "its host is no name of a host"
            except (OSError, EOFError) as error:
                self.refused[peer.pid] = getattr(error, "strerror", None) or type(error).__name__
            await asyncio.sleep(pause)
            pause = min(1.0, 1.5 * pause)

    def _reasons(self) -> str:
        """Say why those who are not here could not be reached from here."""
        absent = [peer.pid for peer in self._peers if peer.protocol is None]
        return "; ".join(f"{self.names[pid]}: {self.refused[pid]}" for pid in absent if pid in self.refused)

    def _with_reasons(self, error: ProtocolError) -> ProtocolError:
        """Return what another owner said, with what is known here beside it."""
        reasons = self._reasons()
        hint = f"from here, {reasons}" if reasons else error.hint
        return type(error)(error.problem, party=error.party, step=error.step, hint=hint)

    def _absent(self) -> PartyTimeout:
        absent = [peer.pid for peer in self._peers if peer.protocol is None]
        names = ", ".join(repr(self.names[pid]) for pid in absent)
        return PartyTimeout(
            f"did not connect within {self.party.connect_timeout_s:g} s (absent: {names})",
            party=self.names[absent[0]],
            step="connect",
            hint=self._reasons() or "ask whether its command is running",
        )

    # ------------------------------------------------------------------ rounds
    async def exchange(self, payloads: Sequence[bytes] | bytes) -> list[bytes]:
        """Send one message to every participant, or the same to all; return one from each, in order."""
        everybody = range(len(self.names))
        return await self._round(payloads, everybody, everybody)

    async def among_owners(self, payload: bytes) -> list[bytes]:
        """Send the same message to all owners; return one from each, in the order of `owners`. Not at a helper."""
        return await self.between_owners([payload] * len(self.owners))

    async def between_owners(self, payloads: Sequence[bytes]) -> list[bytes]:
        """Send one message to every owner, in the order of `owners`; return one from each. Not at a helper."""
        listed = [b""] * len(self.names)
        for owner, payload in zip(self.owners, payloads, strict=True):
            listed[owner] = payload
        got = await self._round(listed, self.owners, self.owners)
        return [got[owner] for owner in self.owners]

    async def publish(self, payload: bytes) -> list[bytes]:
        """Send the same message to all owners; an owner gets one from each participant, a helper nothing."""
        got = await self._round(payload, self.owners, range(len(self.names)) if self.sees else ())
        if self.sees:
            self.transcript.add(self.step, *got)
        return got

    async def brief(self, plan: bytes) -> bytes:
        """Tell the helpers what comes next; return the owners' plan, at a helper too.

        Raises
        ------
        PartyMismatch
            If two owners tell this helper different things.
        """
        if not self.helpers:
            return plan
        told = await self._round(plan, self.helpers if self.sees else (), () if self.sees else self.owners)
        if self.sees:
            return plan
        first, *others = (told[owner] for owner in self.owners)
        if any(other != first for other in others):
            problem = "tells this helper something else than another owner"
            raise PartyMismatch(problem, party=self.names[self.owners[0]], step=self.step)
        return first

    async def _round(self, payloads: Sequence[bytes] | bytes, to: Collection[int], of: Collection[int]) -> list[bytes]:
        """Send to some and receive of some; in what is returned, the others' places hold what was to be sent."""
        self._raise_failure()
        self.n_rounds += 1
        listed = [payloads] * len(self.names) if isinstance(payloads, bytes) else list(payloads)
        self.due = {peer.pid for peer in self._peers if peer.pid in of}
        for peer in self._peers:
            if peer.pid in to:
                self._number(self._n_sent, peer.pid)
                self._send_message(peer.pid, listed[peer.pid])  # type: ignore[attr-defined]
        for peer in self._peers:
            # A failure while an earlier message was awaited could not reach a future that was not there yet.
            self._raise_failure()
            if peer.pid in of:
                self._number(self._n_received, peer.pid)
                got = self._receive_message(peer.pid)  # type: ignore[attr-defined]
                listed[peer.pid] = got if isinstance(got, bytes) else await got
                self.due.discard(peer.pid)
        return listed

    def _number(self, counts: Counter[int], pid: int) -> None:
        """Give a number to the next message to or from somebody; not all take part in every round."""
        counts[pid] += 1
        self._program_counter[0] = counts[pid]

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def within(self, work: Coroutine[Any, Any, T], deadline_s: float) -> T:
        """Await the work; raise `PartyTimeout`, with who kept it waiting, when the deadline passes."""
        try:
            async with asyncio.timeout(deadline_s):
                return await work
        except TimeoutError as error:
            if isinstance(error, ProtocolError):
                raise
            silent = [p for p in self._peers if any(isinstance(f, asyncio.Future) for f in p.protocol.buffers.values())]
            party = self.names[silent[0].pid] if silent else self.names[self.me]
            raise PartyTimeout(
                f"did not answer before the deadline of {deadline_s:g} s", party=party, step=self.step
            ) from None

    async def close(self, error: BaseException | None = None) -> None:
        """End all connections; after an error, say why first."""
        label, text = (BYE, b"") if error is None else (ABORT, abort_message(error, self.party.me, self.step))
        self.failure = self.failure or ProtocolError("the run is over")
        open_connections = [peer.protocol for peer in self._peers if peer.protocol is not None]
        for exchanger in open_connections:
            exchanger.done = True
            exchanger.send(label, text)
            # After an error the other end closes, once it has read why: had we closed already, its own next
            # message would be reset, and what we said lost with it.
            if error is None:
                exchanger.transport.close()
            else:
                exchanger.buffers.clear()  # nobody awaits what still comes
        # Those who did not fit have been greeted, and are being closed: they too must read it.
        greeted = [exchanger for exchanger in self.exchangers if exchanger.transport.is_closing()]
        try:
            if last := [exchanger.lost for exchanger in {*open_connections, *greeted}]:
                await asyncio.wait(last, timeout=CLOSING_S)  # what was written is sent before the host's loop may end
        finally:  # and if the host will not wait so long, nothing stays open
            for exchanger in self.exchangers:
                exchanger.transport.abort()


def _patience(context: ssl.SSLContext | None) -> dict[str, Any]:
    """Return how long TLS may take to begin and to end; without TLS there is nothing to wait for."""
    return {} if context is None else {"ssl_handshake_timeout": GREETING_S, "ssl_shutdown_timeout": CLOSING_S}


async def connect(party: Party, hello: Hello) -> Any:
    """Connect to all other owners.

    Parameters
    ----------
    party : Party
        Who they are, and where.
    hello : Hello
        What must be the same at all of them.

    Returns
    -------
    OwnerRuntime
        A `Link`, with ``within``, ``close``, ``n_rounds`` and ``n_bytes``.

    Raises
    ------
    PartyTimeout
        If an owner does not come in time.
    PartyMismatch
        If an owner has other features, another policy or another list of owners.
    ProtocolError
        If this owner cannot listen.
    """
    runtime = _classes()[1](party, hello)
    try:
        await runtime.open()
    except BaseException as error:
        await runtime.close(error)
        raise
    return runtime
