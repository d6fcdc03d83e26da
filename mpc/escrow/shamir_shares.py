"""Escrow of a Spec and Key between owners: any quorum of them restores what a lost owner held.

The Key and a check of it are one element of a field, which is shared as Shamir does. There are three ways to shares:

- `split`: an owner that has the Key deals them to all. It has seen all shares.
- `zero_sharing` and `joint_share`: all owners have the Key, from the agreement, and make the shares together. Nobody
  sees another's share, and no dealer has to be trusted to forget.
- `subshares` and `combine_subshares`: the holders of an old sharing make a new one, for other holders or another
  quorum. Nobody needs the Key for it, and nobody sees it.

Notes
-----
Privacy: holders are owners. The aggregator and helpers never get a share; these functions cannot know who is who, and
the protocol of the agreement enforces it. Fewer holders than the quorum learn nothing of the Key beyond its public id,
with any computing power; whoever holds a quorum of shares holds the Key.

All this is for owners that follow the protocol and are curious: an owner that deals wrong numbers learns nothing by
it, but makes shares that do not restore, which `restore` finds, and nothing before it.

References
----------
A. Shamir. How to share a secret. Communications of the ACM 22(11), 1979.
A. Herzberg, S. Jarecki, H. Krawczyk, M. Yung. Proactive secret sharing, or: how to cope with perpetual leakage.
CRYPTO 1995.
Y. Desmedt, S. Jajodia. Redistributing secret shares to new access structures and its applications. Technical report
ISSE TR-97-01, George Mason University, 1997.
"""

from __future__ import annotations

import hashlib
import itertools
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence

from hashcomb.errors import KeyMaterialError, ProtocolError
from hashcomb.keys import Key
from hashcomb.mpc.arithmetic.prime_field import (
    ELEMENT_BYTES,
    PRIME,
    deal,
    element_from_bytes,
    element_to_bytes,
    is_element,
    value_at,
    weight,
)
from hashcomb.mpc.escrow.shares import Share, save_shares
from hashcomb.mpc.escrow.sharing import Sharing, check_givers, check_quorum, new_sharing, renewed_sharing
from hashcomb.spec import Spec

__all__ = (
    "ELEMENT_BYTES",
    "PRIME",
    "Share",
    "Sharing",
    "combine_subshares",
    "element_from_bytes",
    "element_to_bytes",
    "joint_share",
    "new_sharing",
    "renewed_sharing",
    "restore",
    "save_shares",
    "split",
    "subshares",
    "zero_sharing",
)

_HALF = 32  # bytes of the Key, and of its check
_MOST_TRIES = 1000  # sets of holders that are tried to find out whose share is wrong


# ---------------------------------------------------------------------- by one owner, and back
def split(spec: Spec, key: Key, holders: Sequence[str], quorum: int) -> list[Share]:
    """Share a Spec and Key between holders.

    Parameters
    ----------
    spec : Spec
        The Spec; every share has it whole.
    key : Key
        The Key.
    holders : sequence of str
        Their names: distinct, 2 to 64.
    quorum : int
        How many of them restore: from 2 to all.

    Returns
    -------
    list of Share
        One for each holder, in order.

    Raises
    ------
    ProtocolError
        If names or quorum cannot be.

    Notes
    -----
    Privacy: whoever calls this sees all shares. Give each to its holder by a way that nobody else reads, and delete it
    here. A holder learns nothing of the Key beyond its public id; a quorum of them learns it whole.

    References
    ----------
    A. Shamir. How to share a secret. Communications of the ACM 22(11), 1979.

    Examples
    --------
    >>> from hashcomb import Uniform
    >>> spec, key = Spec(features=(Uniform(name="age", lo=0.0, hi=120.0),), depth=4), Key.create()
    >>> alice, bob, carol = split(spec, key, ("alice", "bob", "carol"), quorum=2)
    >>> restore([carol, alice]) == (spec, key)
    True
    """
    sharing = new_sharing(spec, key, holders, quorum, secrets.token_bytes(32))
    values = deal(_seal(key, sharing), quorum - 1, len(sharing.holders))
    return [_share(sharing, holder, value) for holder, value in zip(sharing.holders, values, strict=True)]


def restore(shares: Iterable[Share]) -> tuple[Spec, Key]:
    """Restore a Spec and Key from the shares of a quorum.

    Parameters
    ----------
    shares : iterable of Share
        As many holders' shares of one sharing as its quorum, or more.

    Returns
    -------
    tuple of Spec and Key

    Raises
    ------
    KeyMaterialError
        If they are too few, of different sharings, twice one holder's, or altered. The message names the holders.
        With more shares than the quorum, it names those that contradict the most others; with just a quorum, nobody
        can tell. One holder alone cannot throw the blame on others, several together can.

    Notes
    -----
    Privacy: whoever calls this learns the Key.
    """
    shares = list(shares)
    sharing = _common(shares)
    misfits = list(shares)
    for few in _quorums(shares, sharing.quorum):
        points = {sharing.place(share.holder): share.value for share in few}
        key = _unseal(value_at(points), sharing)
        if key is None:
            continue
        # The Key is right, and yet wrong shares may have canceled out: only the most agreement tells whose they are.
        others = [share for share in shares if value_at(points, sharing.place(share.holder)) != share.value]
        if not others:
            return sharing.spec, key
        misfits = min(misfits, others, key=len)
    raise _misfit(shares, misfits, sharing)


def _misfit(shares: Sequence[Share], misfits: Sequence[Share], sharing: Sharing) -> KeyMaterialError:
    """Return the error that names shares which were altered, as far as can be known."""
    if len(misfits) < len(shares):
        return KeyMaterialError(f"the share of {_names(misfits)} was altered", hint="leave it out: the others restore")
    more = "" if len(shares) > sharing.quorum else "; with another holder's share, the message names the wrong one"
    return KeyMaterialError(
        f"the shares of {_names(shares)} do not fit together: one of them or more were altered",
        hint=f"take copies from the holders' backups{more}",
    )


def _common(shares: Sequence[Share]) -> Sharing:
    """Return what is public of all the shares; refuse shares that are too few or do not belong together."""
    if not shares:
        raise KeyMaterialError("there are no shares to restore from")
    first, sharing, holders = shares[0], shares[0].sharing, [share.holder for share in shares]
    for share in shares:
        if share.set_id != sharing.set_id:
            raise KeyMaterialError(
                f"the share of {share.holder!r} is of another sharing than that of {first.holder!r}",
                hint="all shares must have one set id; hashcomb share inspect shows it",
            )
        if share.sharing != sharing:
            raise KeyMaterialError(f"the share of {share.holder!r} or {first.holder!r} was altered: they contradict")
        if holders.count(share.holder) > 1:
            raise KeyMaterialError(f"the share of {share.holder!r} is there twice")
    if len(shares) < sharing.quorum:
        raise KeyMaterialError(
            f"{len(shares)} of {sharing.quorum} shares that restore are there: of {_names(shares)}",
            hint=f"the holders are {', '.join(sharing.holders)}",
        )
    return sharing


def _quorums(shares: list[Share], quorum: int) -> Iterator[Sequence[Share]]:
    """Yield sets of a quorum: neighbors first, which leave out each share once, so that a single wrong one is found."""
    for first in range(len(shares)):
        yield (shares + shares)[first : first + quorum]
    yield from itertools.islice(itertools.combinations(shares, quorum), _MOST_TRIES)


def _names(shares: Iterable[Share]) -> str:
    return ", ".join(repr(share.holder) for share in shares)


def _share(sharing: Sharing, holder: str, value: int) -> Share:
    fields = {field: getattr(sharing, field) for field in Sharing.__struct_fields__}
    return Share(**fields, holder=holder, value=value)


# ---------------------------------------------------------------------- what is shared
def _seal(key: Key, sharing: Sharing) -> int:
    """Return the Key with its check as one element, below 2**512."""
    return int.from_bytes(bytes(key) + _check(bytes(key), sharing), "big")


def _unseal(element: int, sharing: Sharing) -> Key | None:
    """Return the Key inside an element; None where the check does not match, as after wrong shares."""
    if element >> (16 * _HALF):
        return None
    raw = element.to_bytes(2 * _HALF, "big")
    if not secrets.compare_digest(raw[_HALF:], _check(raw[:_HALF], sharing)):
        return None
    return Key(raw[:_HALF])


def _check(secret: bytes, sharing: Sharing) -> bytes:
    """Return a hash of a Key that goes under the sharing with it, and binds Key, Spec and origin together."""
    public = bytes.fromhex(sharing.origin) + bytes.fromhex(sharing.spec.fingerprint)
    return hashlib.sha256(b"hashcomb share check 1\0" + public + secret).digest()


# ---------------------------------------------------------------------- by all owners together
def zero_sharing(n_holders: int, quorum: int) -> list[int]:
    """Share zero: every owner does, and sends the element at place `i` to holder `i` alone.

    Parameters
    ----------
    n_holders : int
        How many holders there are: 2 to 64.
    quorum : int
        How many will restore: from 2 to all.

    Returns
    -------
    list of int
        The values at 1 to `n_holders` of a random polynomial of degree ``quorum - 1`` whose value at 0 is 0.

    Raises
    ------
    ProtocolError
        If the quorum cannot be.

    Notes
    -----
    Privacy: it depends on no data and on no Key.
    """
    check_quorum([str(place) for place in range(n_holders)], quorum)
    return deal(0, quorum - 1, n_holders)


def joint_share(key: Key, zeros_received: Sequence[int], sharing: Sharing, holder: str) -> Share:
    """Make a holder's share from the Key and what all owners dealt it by `zero_sharing`.

    Parameters
    ----------
    key : Key
        The Key, which every owner has at this point.
    zeros_received : sequence of int
        One element from every owner, its own among them.
    sharing : Sharing
        What is public, the same at every owner: `new_sharing` with a public nonce.
    holder : str
        Whose share this will be.

    Returns
    -------
    Share

    Raises
    ------
    ProtocolError
        If there is not one element from every holder, or the holder is none of them.
    KeyMaterialError
        If it is another Key than that of the sharing.

    Notes
    -----
    Privacy: the shares together are those of a polynomial that is uniform as long as one owner is honest, and owners
    see only what was dealt to them: nobody learns another's share, unless all other owners tell what they dealt. An
    owner that deals no sharing of zero learns nothing by it, and makes shares that do not restore.
    """
    if key.id != sharing.key_id:
        raise KeyMaterialError(f"the Key is {key.id}, and that of the sharing {sharing.key_id}")
    if len(zeros_received) != len(sharing.holders):
        raise ProtocolError(f"{len(zeros_received)} of {len(sharing.holders)} sharings of zero are there", party=holder)
    return _share(sharing, holder, _sum([_seal(key, sharing), *zeros_received], holder))


def _sum(elements: Iterable[int], holder: str) -> int:
    elements = list(elements)
    if not all(map(is_element, elements)):
        raise ProtocolError("was sent a number that is no element of the field", party=holder)
    return sum(elements) % PRIME


# ---------------------------------------------------------------------- from an old sharing to a new one
def subshares(share: Share, new_holders: Sequence[str], new_quorum: int, givers: Sequence[str]) -> list[int]:
    """Share an old holder's own share, weighted, between new holders.

    Parameters
    ----------
    share : Share
        The old holder's share.
    new_holders : sequence of str
        Names of the new holders.
    new_quorum : int
        How many of them will restore.
    givers : sequence of str
        All old holders that take part, this one among them; the same at every giver.

    Returns
    -------
    list of int
        One element for each new holder, in order, to be sent to it alone.

    Raises
    ------
    ProtocolError
        If this holder is not among the givers, they are fewer than the old quorum, or names or quorum cannot be.

    Notes
    -----
    Privacy: fewer new holders than the new quorum, even together with fewer old holders than the old quorum, learn
    nothing of the Key or of another's old share. A quorum of either learns the Key.

    References
    ----------
    Y. Desmedt, S. Jajodia. Redistributing secret shares to new access structures and its applications. 1997.
    """
    check_quorum(new_holders, new_quorum)
    check_givers(share, givers)
    if share.holder not in givers:
        raise ProtocolError("is not among those who give", party=share.holder)
    part = weight(share.place(share.holder), [share.place(name) for name in givers])
    return deal(part * share.value % PRIME, new_quorum - 1, len(new_holders))


def combine_subshares(
    received: Mapping[str, int], old: Sharing, holder: str, new_holders: Sequence[str], new_quorum: int, nonce: bytes
) -> Share:
    """Make a new holder's share from what the old holders gave it by `subshares`.

    Parameters
    ----------
    received : mapping of str to int
        The element that each giver sent.
    old : Sharing
        What is public of the old sharing: from the own old share, or as all givers told alike (`Sharing.from_json`).
    holder : str
        Whose share this will be.
    new_holders : sequence of str
        Names of the new holders, in the same order everywhere.
    new_quorum : int
        How many of them restore.
    nonce : bytes
        At least 16 public bytes that are the same everywhere and never used twice.

    Returns
    -------
    Share
        Of the new sharing, whose id is another: old and new shares cannot be put together.

    Raises
    ------
    ProtocolError
        If the givers are fewer than the old quorum, or names, quorum, nonce or an element cannot be.

    Notes
    -----
    Privacy: nobody sees the Key, and a new share tells nothing of old ones. But an owner that leaves still knows what
    it knew: a quorum of old shares restores the Key as ever. So every old share must be deleted, backups too; and if
    the leaver must not read tokens of tomorrow, the owners need a new Key. All new shares that restore must be there
    before the old are deleted.

    References
    ----------
    A. Herzberg, S. Jarecki, H. Krawczyk, M. Yung. Proactive secret sharing. CRYPTO 1995.
    """
    sharing = renewed_sharing(old, list(received), new_holders, new_quorum, nonce)
    return _share(sharing, holder, _sum(received.values(), holder))
