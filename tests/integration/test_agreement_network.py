"""What reaches an owner over the network: TLS with pinned certificates, strangers, garbage and pickles."""

import asyncio
import datetime
import pickle  # noqa: TID251 sent as garbage, to see it refused
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from hashcomb.errors import PartyAborted, PartyTimeout, ProtocolError
from hashcomb.mpc import Party, agree
from hashcomb.mpc.network.messages import HELLO, MAGIC, VERSION, Hello, abort_error, abort_message
from hashcomb.mpc.network.runtime import _classes, connect

Seats = Callable[..., list[Party]]
TABLE = np.arange(12.0).reshape(4, 3)


def certificate(folder: Path, name: str, days: int = 1, passphrase: bytes = b"") -> tuple[str, str]:
    """Write a self-signed certificate, valid for some days from yesterday, and its private key, PEM."""
    private = Ed25519PrivateKey.generate()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=days))
        .sign(private, None)
    )
    pem = serialization.Encoding.PEM
    cert, key = folder / f"{name}.cert.pem", folder / f"{name}.key.pem"
    cert.write_bytes(signed.public_bytes(pem))
    lock = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    key.write_bytes(private.private_bytes(pem, serialization.PrivateFormat.PKCS8, lock))
    key.chmod(0o600)
    return str(cert), str(key)


@pytest.fixture
def secured(seats: Seats, tmp_path: Path) -> Callable[..., list[Party]]:
    """Return a function that seats owners with a certificate each."""

    def seat(n_owners: int, **options: Any) -> list[Party]:
        parties = seats(n_owners, **options)
        files = [certificate(tmp_path, party.me) for party in parties]
        peers = tuple(replace(peer, cert=cert) for peer, (cert, _) in zip(parties[0].peers, files, strict=True))
        return [replace(party, peers=peers, tls_key=key) for party, (_, key) in zip(parties, files, strict=True)]

    return seat


def try_all(parties: list[Party]) -> list[Any]:
    """Let owners agree, and return what became of each."""

    async def owners() -> list[Any]:
        return await asyncio.gather(*[agree(party, TABLE) for party in parties], return_exceptions=True)

    return asyncio.run(owners())


def test_agreement_over_tls(secured: Seats) -> None:
    """Owners with pinned certificates agree over TLS 1.3."""
    results = try_all(secured(3))
    assert len({result.transcript for result in results}) == 1


def test_another_certificate_is_not_let_in(secured: Seats, tmp_path: Path) -> None:
    """An owner whose certificate is not the pinned one never gets in, and the others name it."""
    parties = secured(3, connect_timeout_s=2.0)
    cert, key = certificate(tmp_path, "mallory")
    forged = tuple(replace(peer, cert=cert) if peer.name == "owner-0" else peer for peer in parties[0].peers)
    errors = try_all([replace(parties[0], peers=forged, tls_key=key), *parties[1:]])
    assert all(isinstance(error, ProtocolError) for error in errors), errors
    assert all(isinstance(error, PartyTimeout) and error.party == "owner-0" for error in errors[1:])


def test_an_owner_cannot_pose_as_another(secured: Seats) -> None:
    """With owner 1's certificate nobody is taken for owner 0."""
    parties = secured(3, connect_timeout_s=2.0)
    first, second, third = parties[0].peers
    swapped = (replace(first, cert=second.cert), replace(second, cert=first.cert), third)
    errors = try_all([replace(parties[0], peers=swapped, tls_key=parties[1].tls_key), *parties[1:]])
    assert all(isinstance(error, ProtocolError) for error in errors), errors


def test_a_key_that_does_not_fit_the_certificate(secured: Seats) -> None:
    """A private key of another certificate is refused before anything is sent, and the message shows none of it."""
    parties = secured(3, connect_timeout_s=1.0)
    with pytest.raises(ProtocolError, match="private key"):
        asyncio.run(agree(replace(parties[0], tls_key=parties[1].tls_key), TABLE))


def test_certificates_that_cannot_do(secured: Seats, tmp_path: Path) -> None:
    """An expired certificate, one of two owners, a file with two and an encrypted key are refused before connecting."""
    party = secured(3, connect_timeout_s=1.0)[0]
    expired, _ = certificate(tmp_path, "expired", days=-1)
    locked, key = certificate(tmp_path, "locked", passphrase=b"secret")
    first, second, third = party.peers
    both = tmp_path / "both.pem"
    both.write_bytes(Path(second.cert or "").read_bytes() + Path(third.cert or "").read_bytes())
    for changed, match in (
        (replace(party, peers=(first, replace(second, cert=expired), third)), "expired"),
        (replace(party, peers=(first, replace(second, cert=third.cert), third)), "another owner's certificate"),
        (replace(party, peers=(first, replace(second, cert=str(both)), third)), "exactly one certificate"),
        (replace(party, peers=(replace(first, cert=locked), second, third), tls_key=key), "encrypted"),
    ):
        with pytest.raises(ProtocolError, match=match):
            asyncio.run(agree(changed, TABLE))


GARBAGE = {
    "http": b"GET / HTTP/1.0\r\n\r\n" * 10,
    "zeros": bytes(200),
    "short": b"hashcomb",
    "pickle": pickle.dumps({"a": 1}) * 20,
    "hello of nobody": HELLO.pack(MAGIC, VERSION, bytes(32), 9, 3, 1, 3, bytes(32)),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_strangers_are_shown_the_door(seats: Seats, garbage: bytes) -> None:
    """A stranger that sends garbage to a listening owner changes nothing: the owners agree."""

    async def owners() -> list[Any]:
        parties = seats(3)
        listening = [asyncio.create_task(agree(party, TABLE)) for party in parties[1:]]
        for peer in parties[0].peers[1:]:
            await _knock(peer.port, garbage)
        return await asyncio.gather(agree(parties[0], TABLE), *listening)

    assert len({result.transcript for result in asyncio.run(owners())}) == 1


async def _knock(port: int, data: bytes) -> None:
    """Connect as soon as somebody listens, and send."""
    for _ in range(200):
        try:
            stranger = socket.create_connection(("127.0.0.1", port), timeout=1)
        except OSError:
            await asyncio.sleep(0.01)
            continue
        stranger.sendall(data)
        await asyncio.sleep(0.05)
        stranger.close()
        return
    pytest.fail("nobody listened")


def connected_pair(seats: Seats, hostile: Callable[[Any], None]) -> list[Any]:
    """Let owner 2 do something hostile right after it is connected; return what became of all."""
    runtime = _classes()[1]
    opened = runtime.open

    async def open_and_attack(self: Any) -> None:
        await opened(self)
        if self.me == 2:
            hostile(self)

    async def owners() -> list[Any]:
        parties = seats(3, deadline_s=5.0)
        return await asyncio.gather(*[agree(party, TABLE) for party in parties], return_exceptions=True)

    runtime.open = open_and_attack
    try:
        return asyncio.run(owners())
    finally:
        runtime.open = opened


def flood(self: Any) -> None:
    """Send messages of rounds that nobody has reached."""
    for label in range(1000, 1009):
        self.parties[0].protocol.send(label, b"x")


def repeat(self: Any) -> None:
    """Send the first message twice."""
    for _ in range(2):
        self.parties[0].protocol.send(1, bytes(32))


HOSTILE: dict[str, Callable[[Any], None]] = {
    "pickle as a message": lambda self: self.parties[0].protocol.transport.write(pickle.dumps(object) * 50),
    "pickle as a payload": lambda self: self.parties[0].protocol.send(1, pickle.dumps([0] * 100)),
    "a huge message": lambda self: self.parties[0].protocol.transport.write(bytes(8) + b"\xff" * 4),
    "messages nobody asked for": flood,
    "the same message twice": repeat,
    "closing the connection": lambda self: self.parties[0].protocol.transport.abort(),
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_an_owner_that_breaks_the_protocol_is_named(seats: Seats, hostile: Callable[[Any], None]) -> None:
    """Garbage, pickles and surplus messages from a connected owner end the run at once, and name it."""
    errors = connected_pair(seats, hostile)
    assert all(isinstance(error, ProtocolError) for error in errors), errors
    assert not any(isinstance(error, PartyTimeout) for error in errors)
    assert errors[0].party == "owner-2"


def test_what_an_owner_is_told_of_anothers_error() -> None:
    """The last message names culprit and step, shows nothing of data, and cannot put control characters on a screen."""
    names = ["a", "b", "c"]
    told = abort_error(abort_message(PartyAborted("closed its connection", party="c", step="edges"), "a"), names, "a")
    assert (told.party, told.step) == ("c", "edges")
    private = abort_error(abort_message(ValueError("SECRET 42"), "a"), names, "a")
    assert "SECRET" not in str(private)
    assert private.party == "a"
    nasty = abort_error(abort_message(ProtocolError("\x1b[2J" * 500, party="mallory"), "a"), names, "b")
    assert "\x1b" not in str(nasty)
    assert nasty.party == "b"


def test_what_an_owner_says_last_is_heard(seats: Seats) -> None:
    """An owner that sends its next message before it has read why another gave up still learns the cause."""

    async def owners() -> Any:
        hello = Hello(session=bytes(32), n_features=3, features=bytes(32))
        alice, bob, carol = await asyncio.gather(*[connect(party, hello) for party in seats(3)])
        to_bob = alice.parties[1].protocol
        to_bob.transport.pause_reading()
        cause = PartyAborted("closed its connection", party="owner-2", step="connect")
        leaving = asyncio.create_task(bob.close(cause))
        await asyncio.sleep(0.2)
        for label in range(3):  # the first write after a reset still succeeds
            to_bob.send(label, bytes(64))
            await asyncio.sleep(0.05)
        to_bob.transport.resume_reading()
        with pytest.raises(PartyAborted) as caught:
            await alice.exchange(b"")
        await asyncio.gather(leaving, alice.close(caught.value), carol.close())
        return caught.value

    assert asyncio.run(owners()).party == "owner-2"


def test_an_owner_that_may_not_wait_leaves_nothing_open(seats: Seats) -> None:
    """If the host cancels an owner that is telling others of an error, its connections are closed all the same."""

    async def owners() -> list[bool]:
        hello = Hello(session=bytes(32), n_features=3, features=bytes(32))
        alice, bob, carol = await asyncio.gather(*[connect(party, hello) for party in seats(3)])
        for one in (alice, carol):  # who do not read, and so do not close
            one.parties[1].protocol.transport.pause_reading()
        transports = [peer.protocol.transport for peer in bob.parties if peer.pid != bob.pid]
        leaving = asyncio.create_task(bob.close(PartyAborted("gave up", party="owner-1")))
        await asyncio.sleep(0.1)
        still_open = [not transport.is_closing() for transport in transports]
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        closed = [transport.is_closing() for transport in transports]
        await asyncio.gather(alice.close(), carol.close())
        return still_open + closed

    assert asyncio.run(owners()) == [True] * 4
