"""An owner that does not fit, does not follow the protocol, or is silent: what the others find, and whom they name."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from hashcomb import Key, Spec, Uniform
from hashcomb.errors import DataError, PartyAborted, PartyMismatch, PartyTimeout, ProtocolError
from hashcomb.mpc import RESHARE_STEPS, Party, Peer, Policy, agree, help_owners, local, reshare, split
from hashcomb.mpc.arithmetic.openings import assist
from hashcomb.mpc.network.messages import ABORT, BYE, abort_error, abort_message
from hashcomb.mpc.network.runtime import _classes

Seats = Callable[..., list[Party]]
Attack = Callable[[Any, int, bytes, int], bytes | None]
Attacked = Callable[..., list[Any]]
TABLE = np.arange(12.0).reshape(4, 3)
SHORT = Policy(edges="uniform")
PATIENT_S = 60.0  # the deadline of an owner that is not to give up before the others


async def outcomes(runs: Sequence[Any]) -> list[Any]:
    """Return what became of owners, errors too; none may take for ever."""
    async with asyncio.timeout(PATIENT_S / 2):
        return await asyncio.gather(*runs, return_exceptions=True)


@pytest.fixture
def attacked(seats: Seats, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Attacked:
    """Return a function that lets three participants agree, one of whom attacks the two others; it gives their errors.

    The attack is called with the attacker's connections, to whom a message goes, the message and the number of its
    round in the step, from 1; it returns what is sent in its place, None for nothing.
    """

    def run(
        attack: Attack,
        policy: Policy = SHORT,
        *,
        attacker: int = 2,
        n_helpers: int = 0,
        tls: bool = False,
        table: Any = TABLE,
        work: Callable[[Party], Any] | None = None,
    ) -> list[Any]:
        runtime = _classes()[1]
        send, begun = runtime._send_message, dict[str, int]()

        def take_part(party: Party) -> Any:
            return agree(party, table, policy) if party.index in party.owners else help_owners(party, policy)

        def hostile_send(self: Any, pid: int, message: bytes) -> None:
            if self.party.index == attacker:
                first = begun.setdefault(self.step, self.n_rounds)
                changed = attack(self, pid, message, self.n_rounds - first + 1)
                if changed is None:
                    return
                message = changed
            send(self, pid, message)

        async def owners() -> list[Any]:
            limits = {"connect_timeout_s": 20.0, "deadline_s": 2.0}
            parties = local.seats(3, str(tmp_path), **limits) if tls else seats(3 - n_helpers, n_helpers, **limits)
            parties[attacker] = replace(parties[attacker], deadline_s=PATIENT_S)
            runs = [asyncio.ensure_future((work or take_part)(party)) for party in parties]
            hostile = runs.pop(attacker)
            try:
                return await outcomes(runs)
            finally:
                hostile.cancel()
                await asyncio.gather(hostile, return_exceptions=True)

        monkeypatch.setattr(runtime, "_send_message", hostile_send)
        return asyncio.run(owners())

    return run


def instead(step: str, round_: int, change: Callable[[bytes], bytes | None], *, to: Sequence[int] = (0, 1)) -> Attack:
    """Return an attack that changes the messages of one round."""

    def attack(link: Any, pid: int, message: bytes, number: int) -> bytes | None:
        return change(message) if (link.step, number) == (step, round_) and pid in to else message

    return attack


def flipped(message: bytes) -> bytes:
    """Return a message with one bit of every byte changed."""
    return bytes(byte ^ 0x40 for byte in message)


# ---------------------------------------------------------------------- somebody who does not fit
def let_in(peers: tuple[Peer, ...]) -> tuple[Peer, ...]:
    """Add an owner."""
    return (*peers, Peer(name="dave", host="127.0.0.1", port=peers[-1].port + 1))


OTHER_LISTS: dict[str, tuple[Callable[[tuple[Peer, ...]], tuple[Peer, ...]], str]] = {
    "one more": (let_in, "has 4 owners and helpers, here there are 3"),
    "another name": (lambda p: (replace(p[0], name="dave"), *p[1:]), "another policy or list of owners"),
    "another role": (lambda p: (replace(p[0], role="helper"), *p[1:]), "another policy or list of owners"),
    "another order": (lambda p: (p[1], p[0], p[2]), "another policy or list of owners"),
}


@pytest.mark.parametrize(("change", "said"), OTHER_LISTS.values(), ids=OTHER_LISTS)
def test_another_list_of_owners(seats: Seats, change: Callable[[Any], Any], said: str) -> None:
    """Whoever has another list is named, before anything private is sent."""

    async def owners() -> list[Any]:
        parties = seats(3, connect_timeout_s=2.0)
        parties[2] = replace(parties[2], peers=change(parties[2].peers))
        return await outcomes([agree(party, TABLE) for party in parties])

    *errors, own = asyncio.run(owners())
    assert isinstance(own, ProtocolError)
    for error in errors:
        assert isinstance(error, PartyMismatch)
        assert (error.party, error.step) == ("owner-2", "connect")
        assert said in str(error)


def test_another_certificate_of_a_third(tmp_path: Path) -> None:
    """Whoever has another certificate of a third owner is named by both, though that one does not get through to it."""

    async def owners() -> list[Any]:
        (tmp_path / "old").mkdir()
        parties = local.seats(3, str(tmp_path), connect_timeout_s=2.0)
        old = local.seats(3, str(tmp_path / "old"))[0].peers[1].cert
        first, second, third = parties[2].peers
        parties[2] = replace(parties[2], peers=(first, replace(second, cert=old), third))
        return await outcomes([agree(party, TABLE) for party in parties])

    *errors, own = asyncio.run(owners())
    assert isinstance(own, ProtocolError)
    for error in errors:
        assert isinstance(error, PartyMismatch), error
        assert (error.party, error.step) == ("owner-3", "connect")


def test_another_kind_of_column(seats: Seats) -> None:
    """Kinds of columns follow from the policy, so whoever takes a column for categories alone is named."""
    table = {"age": [1.0, 2.0], "ward": [1, 2]}

    async def owners() -> list[Any]:
        parties, policies = seats(3, connect_timeout_s=10.0), [Policy(), Policy(), Policy(categorical=("ward",))]
        return await outcomes([agree(party, table, policy) for party, policy in zip(parties, policies, strict=True)])

    for error in asyncio.run(owners())[:2]:
        assert isinstance(error, PartyMismatch)
        assert (error.party, error.step) == ("owner-2", "connect")


def test_rows_that_cannot_take_part(seats: Seats) -> None:
    """An owner with text where numbers are due is told the column and the row; the others wait for it, and name it."""
    frame = {"age": [1.0, 2.0], "ward": [3.0, 4.0]}

    async def owners() -> list[Any]:
        parties, tables = seats(3, connect_timeout_s=1.0), [frame, frame, frame | {"ward": ["SECRET", "4"]}]
        return await outcomes([agree(party, table) for party, table in zip(parties, tables, strict=True)])

    *errors, own = asyncio.run(owners())
    assert isinstance(own, DataError)
    assert (own.column, own.row) == ("ward", 0)
    for error in errors:
        assert isinstance(error, PartyTimeout)
        assert (error.party, error.step) == ("owner-2", "connect")
    assert not any("SECRET" in str(error) for error in (own, *errors))


def test_an_owner_whose_own_program_fails(seats: Seats) -> None:
    """An owner that gives up in the middle for a reason of its own is named with the step, its reason is not told."""

    def progress(step: str) -> None:
        if step == "ranges":
            raise ValueError("SECRET")

    async def owners() -> list[Any]:
        first, second, third = seats(3, connect_timeout_s=20.0)
        return await outcomes([agree(first, TABLE), agree(second, TABLE), agree(third, TABLE, progress=progress)])

    *errors, own = asyncio.run(owners())
    assert isinstance(own, ValueError)
    for error in errors:
        assert isinstance(error, PartyAborted)
        assert (error.party, error.step) == ("owner-2", "ranges")
        assert "SECRET" not in str(error)


def test_an_owner_that_listens_and_says_nothing(tmp_path: Path) -> None:
    """A machine that takes connections and never shows a certificate is an owner that did not come."""

    async def owners() -> list[Any]:
        parties = local.seats(3, str(tmp_path), connect_timeout_s=1.0)
        with socket.create_server(("127.0.0.1", parties[2].peers[2].port)):
            return await outcomes([agree(party, TABLE) for party in parties[:2]])

    for error in asyncio.run(owners()):
        assert isinstance(error, PartyTimeout)
        assert (error.party, error.step) == ("owner-3", "connect")


# ---------------------------------------------------------------------- whoever sends something wrong is named
WRONG: dict[str, tuple[Attack, Policy, type[ProtocolError], str, str]] = {
    "a nonce too short": (instead("nonces", 1, lambda _: b"x"), SHORT, PartyAborted, "nonces", "another length"),
    "too many votes": (instead("depth", 1, lambda m: m + m), SHORT, PartyAborted, "depth", "bytes where"),
    "shares of another length": (
        instead("ranges", 1, lambda _: b"12345"),
        SHORT,
        PartyAborted,
        "ranges",
        "5 bytes where",
    ),
    "half an element": (instead("ranges", 2, lambda m: m[:-1]), SHORT, PartyAborted, "ranges", "bytes where"),
    "no share": (instead("edges", 3, lambda _: b""), Policy(), PartyAborted, "edges", "sent 0 bytes where"),
    "other commitments": (instead("key", 3, flipped), SHORT, PartyMismatch, "key", "holds other commitments"),
    "a key part it did not commit to": (instead("key", 4, flipped), SHORT, PartyAborted, "key", "than it committed to"),
    "half a key part": (instead("key", 4, lambda m: m[:32]), SHORT, PartyAborted, "key", "than it committed to"),
    "no element of the field": (
        instead("escrow", 1, lambda m: b"\xff" * len(m)),
        Policy(edges="uniform", escrow=2),
        PartyAborted,
        "escrow",
        "no element of the field",
    ),
    "another result": (
        instead("confirm", 1, flipped),
        SHORT,
        PartyMismatch,
        "confirm",
        "another result or another key",
    ),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_an_owner_that_sends_something_wrong(attacked: Attacked, wrong: Any) -> None:
    """Whoever sends what cannot be is named, with the step, by both others."""
    attack, policy, kind, step, said = wrong
    for error in attacked(attack, policy):
        assert isinstance(error, kind)
        assert (error.party, error.step) == ("owner-2", step)
        assert said in str(error)


@pytest.mark.parametrize("change", [flipped, lambda _: b"", lambda m: m[:-1]], ids=["wrong", "none", "short"])
def test_a_wrong_signature(attacked: Attacked, change: Callable[[bytes], bytes]) -> None:
    """Whoever does not sign the transcript with its key is named, and there is no agreement."""
    for error in attacked(instead("confirm", 2, change), tls=True):
        assert isinstance(error, PartyMismatch)
        assert (error.party, error.step) == ("owner-3", "confirm")


def test_an_owner_that_lies_about_another(attacked: Attacked) -> None:
    """What an owner says of another is told as its word."""

    def accuse(link: Any, pid: int, message: bytes, number: int) -> bytes | None:
        if link.step != "ranges":
            return message
        link.parties[pid].protocol.send(ABORT, abort_message(PartyAborted("lied", party=f"owner-{1 - pid}"), "me"))
        return None

    for error in attacked(accuse):
        assert isinstance(error, PartyAborted)
        assert str(error).endswith("(said by owner 'owner-2')")


# ---------------------------------------------------------------------- nobody can know who it was
def test_inputs_that_are_no_bits(attacked: Attacked) -> None:
    """Shares of something else than 0 and 1 show when an answer is neither yes nor no. A share is random to who gets
    it, and the answer is one of all shares together, so nobody is named."""
    for error in attacked(instead("edges", 1, flipped), Policy()):
        assert type(error) is ProtocolError or isinstance(error, PartyAborted)
        assert error.step == "edges"
        assert "an answer is neither yes nor no: some owner did not follow the protocol" in str(error)


def test_an_error_that_names_nobody_is_told_so() -> None:
    """Where an owner does not know who it was, it does not name itself to the others."""
    error = ProtocolError("an answer is neither yes nor no", step="edges")
    told = abort_error(abort_message(error, "alice"), ["alice", "bob", "carol"], "alice")
    assert (told.party, told.step) == (None, "edges")
    assert str(told).endswith("(said by owner 'alice')")


@pytest.mark.parametrize(
    ("attack", "step"),
    [
        (instead("nonces", 1, flipped, to=[0]), "depth"),
        (instead("rows", 2, flipped, to=[0]), "key"),
        (instead("depth", 4, flipped, to=[0]), "depth"),
        (instead("key", 2, flipped, to=[0]), "key"),
    ],
    ids=["nonce", "number of rows", "depth", "commitment"],
)
def test_different_things_told_to_different_owners(attacked: Attacked, attack: Attack, step: str) -> None:
    """Where two owners were told different things, all refuse before there is a Key, and after the votes before
    anything of the data is opened. Either can only see that the other holds something else, so the error does not
    say that the other broke the protocol."""
    for error in attacked(attack, Policy(edges="uniform", rows="exact")):
        assert isinstance(error, PartyMismatch), error
        assert error.step == step
        assert "told different things" in str(error)


# ---------------------------------------------------------------------- silence
def withheld(link: Any, pid: int, message: bytes, number: int) -> bytes | None:
    """Send nothing more."""
    return None if link.step == "ranges" else message


def deaf(link: Any, pid: int, message: bytes, number: int) -> bytes | None:
    """Read nothing more, so that what the others send piles up in buffers."""
    if link.step == "ranges":
        link.parties[pid].protocol.transport.pause_reading()
    return message


def half(link: Any, pid: int, message: bytes, number: int) -> bytes | None:
    """Send the head of a message that never ends, and nothing more."""
    if link.step == "ranges" and number == 1:
        link.parties[pid].protocol.transport.write(link._program_counter[0].to_bytes(8, "little") + b"\0\0\1\0half")
    return withheld(link, pid, message, number)


def parted(link: Any, pid: int, message: bytes, number: int) -> bytes | None:
    """Say goodbye as after an agreement."""
    if link.step == "ranges" and number == 1:
        link.parties[pid].protocol.send(BYE, b"")
    return withheld(link, pid, message, number)


@pytest.mark.parametrize("attack", [withheld, deaf, half])
def test_an_owner_that_falls_silent(attacked: Attacked, attack: Attack) -> None:
    """Whatever it does not do any more, the others wait for the deadline and name it and the step."""
    table = np.random.default_rng(0).normal(size=(4, 200))  # messages of half a megabyte
    for error in attacked(attack, table=table):
        assert isinstance(error, PartyTimeout)
        assert (error.party, error.step) == ("owner-2", "ranges")
        assert "deadline of 2 s" in str(error)


def test_an_owner_that_parts_too_early(attacked: Attacked) -> None:
    """Whoever ends its run in the middle, as one does after an agreement, is named, at the deadline at the latest."""
    for error in attacked(parted):
        assert isinstance(error, PartyTimeout | PartyAborted)
        assert (error.party, error.step) == ("owner-2", "ranges")


def test_an_owner_that_is_silent_to_one(attacked: Attacked) -> None:
    """Owner 1, which gets nothing, names the silent one; so does owner 0 if it is told in time. Its own view is that
    it has the silent one's message and waits for owner 1, and it cannot know why that does not go on."""
    errors = attacked(instead("ranges", 2, lambda _: None, to=[1]))
    assert all(isinstance(error, PartyTimeout) and error.step == "ranges" for error in errors)
    assert errors[0].party in ("owner-1", "owner-2")


# ---------------------------------------------------------------------- a helper, and re-sharing
def test_a_helper_that_is_told_two_things(attacked: Attacked) -> None:
    """A helper to whom one of two owners says something else ends the run for all. It cannot know which of the two."""
    attack = instead("depth", 1, lambda m: m.replace(b"reached_by", b"sums"), to=[2])
    for error in attacked(attack, attacker=1, n_helpers=1):
        assert isinstance(error, PartyMismatch)
        assert "tells this helper something else than another owner" in str(error)
        assert error.step is not None


@pytest.mark.parametrize("plan", [b"", b"[]", b'["sums","x",[-1]]', b'["sums","x",[]]', b'["open","x",[1]]'], ids=str)
def test_a_helper_that_is_asked_for_what_is_unheard_of(plan: bytes) -> None:
    """What the owners ask of a helper is checked before it sends anything."""

    class Asking:
        names, owners, me, threshold, step, sees = ("a", "b", "h"), (0, 1), 2, 1, "help", False

        async def brief(self, _: bytes) -> bytes:
            return plan

    with pytest.raises(PartyAborted, match="asks a helper for what is no part of the protocol") as caught:
        asyncio.run(assist(Asking()))  # type: ignore[arg-type]
    assert caught.value.step == "help"


def test_a_silent_owner_where_there_is_a_helper(attacked: Attacked) -> None:
    """An owner that falls silent before it opens its share is named by the helper too, which gets no opening and waits
    for what the other owner, kept waiting itself, asks of it next."""

    def frozen(link: Any, pid: int, message: bytes, number: int) -> bytes | None:
        if link.step == "nonces" or (link.step == "depth" and number < 5):  # a plan, the votes, a product, masks
            return message
        link.parties[pid].protocol.transport.pause_reading()
        return None

    other, helper = attacked(frozen, attacker=1, n_helpers=1)
    assert isinstance(other, PartyTimeout)
    assert isinstance(helper, PartyTimeout)
    assert (other.party, helper.party) == ("owner-1", "owner-1")


def test_a_helper_that_sends_something_wrong(attacked: Attacked) -> None:
    """A helper that breaks the protocol is named as any other participant."""
    for error in attacked(instead("ranges", 1, lambda _: b"12345"), n_helpers=1):
        assert isinstance(error, PartyAborted)
        assert (error.party, error.step) == ("helper-0", "ranges")


def resharing(names: Sequence[str] = ("owner-0", "owner-1", "owner-2"), quorum: int = 2) -> Callable[[Party], Any]:
    """Return what lets old holders of some names, and newcomers of others, make new shares."""
    shares = split(
        Spec(features=(Uniform(name="age", lo=0.0, hi=90.0),), depth=3), Key(bytes(range(32))), names, quorum
    )
    given = {share.holder: share for share in shares}
    return lambda party: reshare(party, given.get(party.me), 2)


def dying(step: str) -> Attack:
    """Return what breaks off all connections as a step begins."""

    def attack(link: Any, pid: int, message: bytes, number: int) -> bytes | None:
        if link.step != step:
            return message
        link.parties[pid].protocol.transport.abort()
        return None

    return attack


@pytest.mark.parametrize("step", RESHARE_STEPS[1:])
def test_an_owner_that_dies_while_shares_are_made_anew(attacked: Attacked, step: str) -> None:
    """At each step the others name it, and get no share."""
    for error in attacked(dying(step), work=resharing()):
        assert isinstance(error, PartyAborted)
        assert error.party == "owner-2"
        assert error.step in RESHARE_STEPS[RESHARE_STEPS.index(step) - 1 :][:2]


@pytest.mark.parametrize(
    ("attack", "kind", "said"),
    [
        (instead("holders", 1, lambda m: m[:-1] + b" "), PartyMismatch, "holds a share of another sharing"),
        (instead("reshare", 1, lambda m: b"\xff" * len(m)), PartyAborted, "no element of the field"),
        (instead("reshare", 1, lambda m: m[:-1]), PartyAborted, "bytes"),
    ],
    ids=["another sharing", "no element", "half an element"],
)
def test_wrong_messages_while_shares_are_made_anew(
    attacked: Attacked, attack: Attack, kind: type[ProtocolError], said: str
) -> None:
    """Whoever sends what cannot be is named, with the step."""
    for error in attacked(attack, work=resharing()):
        assert isinstance(error, kind)
        assert error.party == "owner-2"
        assert error.step in ("holders", "reshare")
        assert said in str(error)


def test_too_few_old_holders(seats: Seats) -> None:
    """Where a quorum of old holders is not there, all are told who they were, and the step."""

    async def owners() -> list[Any]:
        work = resharing(("owner-0", "owner-1", "dave", "erin"), 3)
        return await outcomes([work(party) for party in seats(3, connect_timeout_s=20.0)])

    for error in asyncio.run(owners()):
        assert isinstance(error, ProtocolError)
        assert "2 of 3 old holders" in str(error)
        assert "owner-0, owner-1, dave, erin" in str(error)
        assert error.step in ("holders", "reshare")
