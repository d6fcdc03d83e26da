"""Who takes part, and where."""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import Literal

import msgspec

from hashcomb.documents import settle_types
from hashcomb.errors import ProtocolError, TooFewParties

__all__ = ("Party", "Peer", "free_ports")

MAX_OWNERS = 64


class Peer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One participant, as all the others know it.

    Parameters
    ----------
    name : str
        A name, printable and unique.
    host : str
        Host name or address, IPv4 or IPv6.
    port : int
        Port on which it listens.
    cert : str, optional
        Path of its certificate, PEM. The certificate itself is the identity; its issuer and names do not matter.
    role : {"owner", "helper"}
        Whether it holds data. A helper computes with the owners and gets neither Spec nor Key.
    sign : str, optional
        Path of its Ed25519 public key for the transcript, PEM, where that of the certificate is of another kind.
    """

    name: str
    host: str
    port: int
    cert: str | None = None
    role: Literal["owner", "helper"] = "owner"
    sign: str | None = None

    def __post_init__(self) -> None:
        settle_types(self)


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """One participant's seat at the table.

    Parameters
    ----------
    me : str
        Its name among the peers.
    peers : tuple of Peer
        All participants, in the same order at each of them; at least three, and at least two of them owners.
    tls_key : str, optional
        Path of its private key, PEM. Required unless all hosts are loopback.
    sign_key : str, optional
        Path of its Ed25519 private key for the transcript, PEM, where its peer has a ``sign``.
    listen : str, optional
        Address to listen on; by default that of a loopback host, else all.
    connect_timeout_s : float
        How long to wait for the others to come, in seconds.
    deadline_s : float
        How long the agreement may then take, in seconds.

    Raises
    ------
    TooFewParties
        If there are fewer than three participants, or fewer than two owners.
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
    sign_key: str | None = None
    listen: str | None = None
    connect_timeout_s: float = 60.0
    deadline_s: float = 300.0

    def __post_init__(self) -> None:
        settle_types(self)
        _check_peers(self.peers)
        if self.me not in self.names:
            raise ProtocolError("is not among the peers", party=self.me, hint=f"they are {', '.join(self.names)}")
        if not 0 < self.connect_timeout_s < float("inf") or not 0 < self.deadline_s < float("inf"):
            raise ProtocolError("timeouts must be positive and finite")
        _check_security(self)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all participants, in order."""
        return tuple(peer.name for peer in self.peers)

    @property
    def index(self) -> int:
        """Place of this participant among all."""
        return self.names.index(self.me)

    @property
    def owners(self) -> tuple[int, ...]:
        """Places of those who hold data."""
        return tuple(place for place, peer in enumerate(self.peers) if peer.role == "owner")

    @property
    def threshold(self) -> int:
        """How many may put together what they see and still learn nothing of the others: the largest minority."""
        return (len(self.peers) - 1) // 2

    @property
    def secure(self) -> bool:
        """Whether the connections are encrypted and authenticated by TLS 1.3."""
        return self.tls_key is not None


def _check_peers(peers: tuple[Peer, ...]) -> None:
    n_owners = sum(peer.role == "owner" for peer in peers)
    if n_owners < 2:
        raise TooFewParties(f"{n_owners} owners with data have nothing to agree on", hint="find another one")
    if len(peers) < 3:
        raise TooFewParties(
            "two participants cannot hide anything from each other: with a threshold of zero every share is the "
            "secret itself, and two-party protocols (oblivious transfer, garbled circuits) are not provided",
            hint="find a third owner, or a third participant without data: a [[peer]] with role = 'helper'",
        )
    if len(peers) > MAX_OWNERS:
        raise ProtocolError(f"more than {MAX_OWNERS} participants", hint="let some of them compute for the others")
    names, places = [peer.name for peer in peers], [(peer.host, peer.port) for peer in peers]
    for peer in peers:
        if not peer.name or not peer.name.isprintable() or len(peer.name) > 100:
            raise ProtocolError("a participant's name must be printable text of 1 to 100 characters")
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
    if party.peers[party.index].sign and not party.sign_key:
        raise ProtocolError("has no private key to sign with", party=party.me, hint="set sign_key")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def free_ports(count: int) -> list[int]:
    """Find free ports on loopback, below those that the system gives to outgoing connections.

    Raises
    ------
    ProtocolError
        If there are not as many.
    """
    ports: list[int] = []
    # From a place of this process's own: a port that another one has just found free is not taken yet.
    start = 10_000 + os.getpid() % 66 * 300 + int.from_bytes(os.urandom(2), "big") % 300
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
