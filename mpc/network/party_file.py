"""party.toml: what all participants have in common, and what is this one's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from hashcomb.documents import parse_toml, to_record
from hashcomb.errors import ProtocolError, SpecError
from hashcomb.mpc.network.parties import Party, Peer
from hashcomb.mpc.policy import Policy

__all__ = ("Me", "load_party", "load_peers")


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
    epsilon : float, optional
        The largest epsilon of a value that this owner agrees to.
    channel, hash : str, optional
        This owner's votes, where the policy lets the owners choose.
    tls_key, sign_key : str, optional
        Paths of this owner's private keys.
    listen : str, optional
        Address to listen on.
    """

    name: str = ""
    data: str = ""
    drop: tuple[str, ...] = ()
    depth: int = 4
    epsilon: float | None = None
    channel: str | None = None
    hash: str | None = None
    tls_key: str | None = None
    sign_key: str | None = None
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
    me = replace(document.me, **{key: value for key, value in mine.items() if value is not None})
    if not me.name:
        raise ProtocolError("party.toml does not say which owner this is", hint="set me.name, or pass --me")

    def here(file: str | None) -> str | None:
        return str(Path(path).parent / file) if file else None

    party = Party(
        me=me.name,
        peers=_located(document.peer, Path(path)),
        tls_key=here(me.tls_key),
        sign_key=here(me.sign_key),
        listen=me.listen,
        connect_timeout_s=document.timeouts.connect_s,
        deadline_s=document.timeouts.deadline_s,
    )
    return party, document.policy, replace(me, data=here(me.data) or "")


def load_peers(path: str | os.PathLike[str]) -> tuple[Peer, ...]:
    """Read the participants of a party.toml, whoever this one is; same errors as `load_party`."""
    return _located(_read(Path(path)).peer, Path(path))


def _located(peers: tuple[Peer, ...], path: Path) -> tuple[Peer, ...]:
    def here(file: str | None) -> str | None:
        return str(path.parent / file) if file else None

    return tuple(replace(peer, cert=here(peer.cert), sign=here(peer.sign)) for peer in peers)


def _read(path: Path) -> _File:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SpecError(f"file {str(path)!r} cannot be read: {error.strerror}") from None
    return to_record(parse_toml(text), _File)
