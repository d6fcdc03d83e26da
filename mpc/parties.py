"""Who takes part, where, and how the connections are secured; party.toml."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from hashcomb.documents import parse_toml, settle_types, to_record
from hashcomb.errors import ProtocolError, SpecError, TooFewParties
from hashcomb.mpc.policy import Policy

__all__ = ("Me", "Party", "Peer", "free_ports", "load_party")

MAX_OWNERS = 64


class Peer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One owner, as all the others know it.

    Parameters
    ----------
    name : str
        A name, printable and unique.
    host : str
        Host name or address, IPv4 or IPv6.
    port : int
        Port on which the owner listens.
    cert : str, optional
        Path of the owner's certificate, PEM. The certificate itself is the identity; its issuer and names do
        not matter.
    """

    name: str
    host: str
    port: int
    cert: str | None = None

    def __post_init__(self) -> None:
        settle_types(self)


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """One owner's seat at the table.

    Parameters
    ----------
    me : str
        This owner's name among the peers.
    peers : tuple of Peer
        All owners, in the same order at every owner; at least three.
    tls_key : str, optional
        Path of this owner's private key, PEM. Required unless all hosts are loopback.
    listen : str, optional
        Address to listen on; by default that of a loopback host, else all.
    connect_timeout_s : float
        How long to wait for the others to come, in seconds.
    deadline_s : float
        How long the agreement may then take, in seconds.

    Raises
    ------
    TooFewParties
        If there are fewer than three owners.
    ProtocolError
        If names or ports clash, or TLS is missing between hosts.
    SpecError
        If a field is of another type; ``path`` names it.

    Notes
    -----
    Privacy: without TLS, every user and program of this machine can pose as an owner or listen in.
    """

    me: str
    peers: tuple[Peer, ...]
    tls_key: str | None = None
    listen: str | None = None
    connect_timeout_s: float = 60.0
    deadline_s: float = 300.0

    def __post_init__(self) -> None:
        settle_types(self)
        _check_peers(self.peers)
        if self.me not in self.names:
            raise ProtocolError("is not among the peers", party=self.me, hint=f"they are {', '.join(self.names)}")
        if not self.connect_timeout_s > 0 or not self.deadline_s > 0:
            raise ProtocolError("timeouts must be positive")
        _check_security(self)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all owners, in order."""
        return tuple(peer.name for peer in self.peers)

    @property
    def index(self) -> int:
        """Place of this owner among all."""
        return self.names.index(self.me)

    @property
    def threshold(self) -> int:
        """How many owners may put together what they see and still learn nothing: the largest minority."""
        return (len(self.peers) - 1) // 2

    @property
    def secure(self) -> bool:
        """Whether the connections are encrypted and authenticated by TLS 1.3."""
        return self.tls_key is not None

    @property
    def digest(self) -> bytes:
        """SHA-256 of the public list of owners, with their certificates, 32 bytes."""
        public = list(zip(self.names, self.fingerprints(), strict=True))
        return hashlib.sha256(b"hashcomb owners 1\0" + msgspec.json.encode(public)).digest()

    def fingerprints(self) -> list[str]:
        """Return the SHA-256 of every owner's certificate.

        Raises
        ------
        ProtocolError
            If one cannot be read, has expired, or is another owner's as well.
        """
        found = [_fingerprint(peer.cert) if peer.cert else "" for peer in self.peers]
        for peer, fingerprint in zip(self.peers, found, strict=True):
            if fingerprint and found.count(fingerprint) > 1:
                raise ProtocolError("has another owner's certificate", party=peer.name)
        return found

    def contexts(self) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
        """Return TLS contexts for listening and for dialing, or two None on loopback without TLS."""
        if self.tls_key is None:
            return None, None
        return self._context(ssl.PROTOCOL_TLS_SERVER), self._context(ssl.PROTOCOL_TLS_CLIENT)

    def _context(self, side: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(side)
        context.check_hostname = False  # the pinned certificate is the identity, wherever it answers from
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a pinned certificate needs no issuer
        try:
            context.load_cert_chain(self.peers[self.index].cert or "", self.tls_key, password=_no_passphrase)
            for peer in self.peers:
                context.load_verify_locations(cafile=peer.cert)
        except (OSError, ssl.SSLError) as error:
            raise ProtocolError(
                f"a certificate or the private key cannot be used: {error.strerror or type(error).__name__}",
                party=self.me,
                hint="they must be PEM files, and the key must belong to this owner's certificate",
            ) from None
        return context


def _check_peers(peers: tuple[Peer, ...]) -> None:
    if len(peers) < 3:
        raise TooFewParties(
            f"{len(peers)} owners cannot hide anything from each other: with two, the result minus one's own "
            "data is the other's",
            hint="find a third owner",
        )
    if len(peers) > MAX_OWNERS:
        raise ProtocolError(f"more than {MAX_OWNERS} owners", hint="let some of them compute for the others")
    names, places = [peer.name for peer in peers], [(peer.host, peer.port) for peer in peers]
    for peer in peers:
        if not peer.name or not peer.name.isprintable() or len(peer.name) > 100:
            raise ProtocolError("an owner's name must be printable text of 1 to 100 characters")
        if not 0 < peer.port < 65536:
            raise ProtocolError("the port must be from 1 to 65535", party=peer.name)
        if names.count(peer.name) > 1:
            raise ProtocolError("occurs twice among the peers", party=peer.name)
        if places.count((peer.host, peer.port)) > 1:
            raise ProtocolError("has another owner's host and port", party=peer.name)


def _check_security(party: Party) -> None:
    places = [peer.host for peer in party.peers] + [party.listen or "localhost"]
    certified = [peer.cert is not None for peer in party.peers]
    if party.tls_key is None and not all(map(_is_loopback, places)):
        raise ProtocolError(
            "shares would cross the network in the clear", hint="give every peer a cert, and this owner a tls_key"
        )
    if party.tls_key is None and any(certified):
        raise ProtocolError(
            "there are certificates, but this owner has no private key", party=party.me, hint="set tls_key"
        )
    if party.tls_key is not None and not all(certified):
        raise ProtocolError("has no certificate", party=party.names[certified.index(False)])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _fingerprint(path: str) -> str:
    try:
        (certificate,) = x509.load_pem_x509_certificates(Path(path).read_bytes())
    except (OSError, ValueError):
        hint = "it must be a PEM file with exactly one certificate"
        raise ProtocolError(f"the certificate {path!r} cannot be read", hint=hint) from None
    if certificate.not_valid_after_utc < datetime.now(UTC):
        raise ProtocolError(f"the certificate {path!r} has expired", hint="let its owner make a new one")
    return certificate.fingerprint(SHA256()).hex()


def _no_passphrase() -> str:
    raise ProtocolError("the private key is encrypted", hint="decrypt it for this run: nobody may be there to ask")


# ---------------------------------------------------------------------- party.toml
class Me(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The part of party.toml that is this owner's own, table ``[me]``.

    Parameters
    ----------
    name : str
        This owner's name among the peers.
    data : str
        Path of this owner's rows, CSV or Parquet.
    drop : tuple of str
        Columns of the file that take no part, such as the label.
    depth : int
        This owner's vote on the depth.
    tls_key : str, optional
        Path of this owner's private key.
    listen : str, optional
        Address to listen on.
    """

    name: str = ""
    data: str = ""
    drop: tuple[str, ...] = ()
    depth: int = 4
    tls_key: str | None = None
    listen: str | None = None


class _Timeouts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    connect_s: float = 60.0
    deadline_s: float = 300.0


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    peer: tuple[Peer, ...]
    policy: Policy = msgspec.field(default_factory=Policy)
    timeouts: _Timeouts = msgspec.field(default_factory=_Timeouts)
    me: Me = msgspec.field(default_factory=Me)


def load_party(path: str | os.PathLike[str], **mine: Any) -> tuple[Party, Policy, Me]:
    """Read party.toml; paths in it are relative to it.

    Parameters
    ----------
    path : path
        TOML with tables ``[[peer]]``, ``[policy]``, ``[timeouts]`` and ``[me]``. The first three are the same
        at every owner.
    **mine
        Fields of `Me` that take the place of those in the file, where they are not None.

    Raises
    ------
    SpecError
        If the file cannot be read or holds unknown fields or wrong types; ``path`` names them.
    ProtocolError
        If the owners in it cannot make an agreement.
    """
    document = _read(Path(path))
    me = msgspec.structs.replace(document.me, **{key: value for key, value in mine.items() if value is not None})
    if not me.name:
        raise ProtocolError("party.toml does not say which owner this is", hint="set me.name, or pass --me")
    base = Path(path).parent
    peers = tuple(
        msgspec.structs.replace(peer, cert=str(base / peer.cert) if peer.cert else None) for peer in document.peer
    )
    party = Party(
        me=me.name,
        peers=peers,
        tls_key=str(base / me.tls_key) if me.tls_key else None,
        listen=me.listen,
        connect_timeout_s=document.timeouts.connect_s,
        deadline_s=document.timeouts.deadline_s,
    )
    return party, document.policy, msgspec.structs.replace(me, data=str(base / me.data) if me.data else "")


def _read(path: Path) -> _File:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SpecError(f"file {str(path)!r} cannot be read: {error.strerror}") from None
    return to_record(parse_toml(text), _File)


def free_ports(count: int) -> list[int]:
    """Find free ports on loopback, below those that the system gives to outgoing connections.

    Raises
    ------
    ProtocolError
        If there are not as many.
    """
    ports: list[int] = []
    start = 10_000 + int.from_bytes(os.urandom(2), "big") % 20_000
    for port in range(start, 32_768):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise ProtocolError("no free ports on loopback")
