"""What is public of a sharing of a Spec and Key: who holds shares, how many restore, and which sharing it is."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from hashcomb.documents import parse_json, settle_types, to_record
from hashcomb.errors import HashcombError, ProtocolError
from hashcomb.keys import Key
from hashcomb.spec import Spec

__all__ = ("PublicRecord", "Sharing", "check_givers", "check_quorum", "fields_of", "new_sharing", "renewed_sharing")

MAX_HOLDERS = 64
_HEX = {"set_id": 64, "origin": 64, "key_id": 16}


class Sharing(msgspec.Struct, frozen=True, kw_only=True):
    """What is public of one sharing: every holder's share has the same.

    Parameters
    ----------
    set_id : str
        Names this sharing, 64 hexadecimal digits. Shares of two sharings cannot be put together.
    origin : str
        The `set_id` of the sharing that this one descends from by re-sharing; its own where it is the first.
        The check inside the secret holds it, and nobody can change what nobody sees.
    quorum : int
        How many holders restore: from 2 to all.
    holders : tuple of str
        Names of all holders, in order: the holder at place `i` has the polynomial's value at ``i + 1``.
    key_id : str
        Public id of the Key.
    spec : Spec
        The Spec, whole: a quorum restores it too.

    Raises
    ------
    ProtocolError
        If names or quorum cannot be, or an id has not its digits.
    SpecError
        If a field is of another type; ``path`` names it.

    Notes
    -----
    Privacy: holders are owners, who know the Spec and the id of the Key anyhow. To anybody else, a Spec may tell
    of the data that it was learned from.
    """

    set_id: str
    origin: str
    quorum: int
    holders: tuple[str, ...]
    key_id: str
    spec: Spec

    def __post_init__(self) -> None:
        settle_types(self)
        for field, digits in _HEX.items():
            if re.fullmatch(f"[0-9a-f]{{{digits}}}", getattr(self, field)) is None:
                raise ProtocolError(f"{field} must be {digits} hexadecimal digits")
        check_quorum(self.holders, self.quorum)

    @property
    def sharing(self) -> Sharing:
        """What is public alone, where this is a share."""
        return Sharing(**{field: getattr(self, field) for field in Sharing.__struct_fields__})

    def place(self, holder: str) -> int:
        """Return where the polynomial's value is a holder's share, counted from 1.

        Raises
        ------
        ProtocolError
            If it is none of the holders.
        """
        if holder not in self.holders:
            raise ProtocolError("is none of the holders", party=holder, hint=f"they are {', '.join(self.holders)}")
        return self.holders.index(holder) + 1

    def facts(self) -> dict[str, Any]:
        """Return what is public as a document, with the Spec's fingerprint."""
        facts = {field: msgspec.to_builtins(getattr(self, field)) for field in Sharing.__struct_fields__}
        return {"fingerprint": self.spec.fingerprint, **facts}

    def to_json(self) -> str:
        """Return what is public as one line of JSON: the same bytes at every holder."""
        return json.dumps(self.facts(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Sharing:
        """Read what is public of a sharing, as an owner that joins gets it from the old holders.

        Parameters
        ----------
        text : str or bytes
            What `to_json` gave.

        Raises
        ------
        ProtocolError
            If it cannot be read, or is not possible.
        """
        try:
            return Sharing(**fields_of(to_record(parse_json(text), PublicRecord)))
        except HashcombError as error:
            raise ProtocolError(f"what is public of a sharing cannot be read: {error}") from None


def new_sharing(spec: Spec, key: Key, holders: Sequence[str], quorum: int, nonce: bytes) -> Sharing:
    """Return what is public of a first sharing; its id follows from the nonce and all the rest.

    Parameters
    ----------
    spec : Spec
        The Spec.
    key : Key
        The Key; its id is all that is taken of it.
    holders : sequence of str
        Names of the holders, in the same order at every owner.
    quorum : int
        How many restore.
    nonce : bytes
        At least 16 public bytes that are the same at every owner and never used twice, such as the hash of the
        session.

    Raises
    ------
    ProtocolError
        If names, quorum or nonce cannot be.
    """
    check_quorum(holders, quorum)
    set_id = _set_id(nonce, ["first", spec.fingerprint, key.id, quorum, *holders])
    return Sharing(set_id=set_id, origin=set_id, quorum=quorum, holders=tuple(holders), key_id=key.id, spec=spec)


def _set_id(nonce: bytes, public: list[str | int]) -> str:
    if len(nonce) < 16:
        raise ProtocolError("the nonce of a sharing must have at least 16 bytes")
    body = msgspec.json.encode([nonce.hex(), *public])
    return hashlib.sha256(b"hashcomb share set 1\0" + body).hexdigest()


def renewed_sharing(old: Sharing, givers: Sequence[str], holders: Sequence[str], quorum: int, nonce: bytes) -> Sharing:
    """Return what is public of the sharing that follows an old one.

    Parameters
    ----------
    old : Sharing
        The old sharing.
    givers : sequence of str
        Old holders that take part in the re-sharing: at least the old quorum.
    holders : sequence of str
        Names of the new holders, in the same order everywhere. Some may be new, some of the old may be gone.
    quorum : int
        How many of the new holders restore.
    nonce : bytes
        At least 16 public bytes that are the same everywhere and never used twice.

    Raises
    ------
    ProtocolError
        If givers, holders, quorum or nonce cannot be.
    """
    check_quorum(holders, quorum)
    check_givers(old, givers)
    ordered = [name for name in old.holders if name in givers]
    set_id = _set_id(nonce, ["renewed", old.set_id, len(ordered), *ordered, quorum, *holders])
    return msgspec.structs.replace(old.sharing, set_id=set_id, holders=tuple(holders), quorum=quorum)


# ---------------------------------------------------------------------- what cannot be
def check_quorum(holders: Sequence[str], quorum: int) -> None:
    """Refuse holders or a quorum that no sharing can have.

    Raises
    ------
    ProtocolError
        If there are fewer than 2 or more than 64 holders, a name is not printable text of 1 to 100 characters or
        occurs twice, or the quorum is not from 2 to the number of holders.
    """
    if not 2 <= len(holders) <= MAX_HOLDERS:
        raise ProtocolError(f"a sharing has 2 to {MAX_HOLDERS} holders, not {len(holders)}")
    for name in holders:
        if not 0 < len(name) <= 100 or not name.isprintable():
            raise ProtocolError("a holder's name must be printable text of 1 to 100 characters")
        if holders.count(name) > 1:
            raise ProtocolError("occurs twice among the holders", party=name)
    if not 2 <= quorum <= len(holders):
        raise ProtocolError(
            f"a quorum of {quorum} cannot be among {len(holders)} holders",
            hint="it is from 2, or one holder alone would have the Key, to all of them",
        )


def check_givers(old: Sharing, givers: Sequence[str]) -> None:
    """Refuse old holders that cannot make a new sharing.

    Raises
    ------
    ProtocolError
        If one is no holder, is named twice, or they are fewer than the quorum.
    """
    for name in givers:
        old.place(name)
        if givers.count(name) > 1:
            raise ProtocolError("would give twice", party=name)
    if len(givers) < old.quorum:
        raise ProtocolError(
            f"{len(givers)} of {old.quorum} old holders that a re-sharing needs take part",
            hint=f"the old holders are {', '.join(old.holders)}",
        )


# ---------------------------------------------------------------------- documents
class PublicRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a document holds of a `Sharing`, the Spec not yet read."""

    set_id: str
    origin: str
    quorum: int
    holders: tuple[str, ...]
    key_id: str
    fingerprint: str
    spec: dict[str, Any]


def fields_of(record: PublicRecord) -> dict[str, Any]:
    """Return the fields of a `Sharing`.

    Raises
    ------
    SpecError
        If the Spec cannot be used.
    ProtocolError
        If its fingerprint is another than the one that stands beside it.
    """
    spec = Spec.from_json(json.dumps(record.spec))
    if spec.fingerprint != record.fingerprint:
        raise ProtocolError("the Spec is not the one that the fingerprint names")
    return {**{field: getattr(record, field) for field in Sharing.__struct_fields__}, "spec": spec}
