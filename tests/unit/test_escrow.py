"""Shares of a Spec and Key: any quorum restores, fewer know nothing, and what is wrong is refused."""

import itertools
import secrets
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashcomb import Key, Spec, Uniform
from hashcomb.errors import KeyMaterialError, PartyAborted, ProtocolError, SpecError
from hashcomb.mpc.arithmetic.prime_field import deal, value_at, weight
from hashcomb.mpc.escrow import shamir_shares as escrow
from hashcomb.mpc.escrow.shamir_shares import (
    ELEMENT_BYTES,
    PRIME,
    Share,
    Sharing,
    combine_subshares,
    element_from_bytes,
    element_to_bytes,
    joint_share,
    new_sharing,
    renewed_sharing,
    restore,
    split,
    subshares,
    zero_sharing,
)

SPEC = Spec(features=(Uniform(name="age", lo=0.0, hi=120.0),), depth=4)
OTHER_SPEC = Spec(features=(Uniform(name="age", lo=0.0, hi=100.0),), depth=4)
KEY, OTHER_KEY = Key(bytes(range(32))), Key(bytes(range(100, 132)))
NONCE, LATER = bytes(32), bytes([1] * 32)
NAMES = tuple(f"owner-{i}" for i in range(10))
SHARING = new_sharing(SPEC, KEY, NAMES[:3], 2, NONCE)

keys = st.binary(min_size=32, max_size=32).filter(lambda raw: len(set(raw)) > 1).map(Key)


def changed(share: Share, **fields: Any) -> Share:
    """Return a share with other fields."""
    return msgspec.structs.replace(share, **fields)


def jointly(key: Key, holders: Sequence[str], quorum: int) -> list[Share]:
    """Make shares as all owners do together, each from the Key and what the others dealt it."""
    sharing = new_sharing(SPEC, key, holders, quorum, NONCE)
    dealt = [zero_sharing(len(holders), quorum) for _ in holders]
    return [joint_share(key, [row[i] for row in dealt], sharing, name) for i, name in enumerate(holders)]


def renewed(givers: Sequence[Share], holders: Sequence[str], quorum: int, nonce: bytes = LATER) -> list[Share]:
    """Make new shares from old ones, as over the network."""
    names = [share.holder for share in givers]
    dealt = {share.holder: subshares(share, holders, quorum, names) for share in givers}
    old = Sharing.from_json(givers[0].to_json())
    return [
        combine_subshares({giver: row[i] for giver, row in dealt.items()}, old, name, holders, quorum, nonce)
        for i, name in enumerate(holders)
    ]


# ---------------------------------------------------------------------- any quorum restores
@pytest.mark.parametrize(("n", "quorum"), [(n, k) for n in range(2, 7) for k in range(2, n + 1)])
def test_every_quorum_restores(n: int, quorum: int) -> None:
    """All sets of as many holders as the quorum, and of more, restore Spec and Key."""
    shares = split(SPEC, KEY, NAMES[:n], quorum)
    for size in range(quorum, n + 1):
        for few in itertools.combinations(shares, size):
            assert restore(few) == (SPEC, KEY)


@pytest.mark.parametrize("quorum", range(2, 11))
def test_ten_holders(quorum: int) -> None:
    """Among ten holders, every set of every quorum restores."""
    shares = split(SPEC, KEY, NAMES, quorum)
    for few in itertools.combinations(shares, quorum):
        assert restore(few) == (SPEC, KEY)


@settings(max_examples=40)
@given(keys, st.data())
def test_any_order_of_any_quorum(key: Key, data: st.DataObject) -> None:
    """Whatever the Key, the numbers and the order in which holders come, a quorum restores."""
    n = data.draw(st.integers(2, 10))
    quorum = data.draw(st.integers(2, n))
    shares = data.draw(st.permutations(split(SPEC, key, NAMES[:n], quorum)))
    assert restore(shares[:quorum]) == (SPEC, key)


def test_sixty_four_holders() -> None:
    """The most holders there can be restore too."""
    names = [f"owner-{i}" for i in range(64)]
    assert restore(split(SPEC, KEY, names, 33)[-33:]) == (SPEC, KEY)


def test_two_sharings_have_nothing_in_common() -> None:
    """Sharing the same Key again gives other values and another set id."""
    first, second = split(SPEC, KEY, NAMES[:3], 2), split(SPEC, KEY, NAMES[:3], 2)
    assert not {share.value for share in first} & {share.value for share in second}
    assert first[0].set_id != second[0].set_id


# ---------------------------------------------------------------------- fewer know nothing
@pytest.mark.parametrize("quorum", [2, 3, 5])
def test_fewer_shares_fit_every_key(quorum: int) -> None:
    """For fixed shares of one holder less than the quorum, and any Key, there is exactly one last share that fits.

    So every Key is equally possible: a holder's coalition below the quorum has nothing to tell them apart by.
    """
    shares = split(SPEC, KEY, NAMES[:quorum], quorum)
    known = shares[:-1]
    for key in (KEY, OTHER_KEY, Key.create()):
        points = {0: escrow._seal(key, known[0])} | {share.place(share.holder): share.value for share in known}
        last = changed(shares[-1], value=value_at(points, quorum))
        assert (last.value == shares[-1].value) == (key == KEY)
        assert restore([changed(share, key_id=key.id) for share in (*known, last)]) == (SPEC, key)


MAKERS: dict[str, Callable[[int], list[Share]]] = {
    "split": lambda quorum: split(SPEC, KEY, NAMES[:5], quorum),
    "made jointly": lambda quorum: jointly(KEY, NAMES[:5], quorum),
    "renewed": lambda quorum: renewed(split(SPEC, KEY, NAMES[:3], 2), NAMES[:5], quorum),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("quorum", [2, 3, 5])
def test_fewer_shares_do_not_restore(make: Callable[[int], list[Share]], quorum: int) -> None:
    """However shares were made, the polynomial through fewer than the quorum does not lead to the Key."""
    shares = make(quorum)
    assert restore(shares[:quorum]) == (SPEC, KEY)
    for few in itertools.combinations(shares, quorum - 1):
        points = {share.place(share.holder): share.value for share in few}
        assert escrow._unseal(value_at(points), shares[0]) is None


@pytest.mark.parametrize("quorum", [2, 3, 5])
def test_what_one_giver_sends_hides_its_share(quorum: int) -> None:
    """The numbers that an old holder sends are a sharing of its weighted share, of the new quorum's degree."""
    share = split(SPEC, KEY, NAMES[:3], 2)[0]
    sent = dict(enumerate(subshares(share, NAMES[:5], quorum, NAMES[:2]), start=1))
    own = weight(1, (1, 2)) * share.value % PRIME
    for few in itertools.combinations(sent, quorum):
        assert value_at({place: sent[place] for place in few}) == own
    for few in itertools.combinations(sent, quorum - 1):
        assert value_at({place: sent[place] for place in few}) != own


def farthest(values: list[int], n_buckets: int = 64) -> float:
    """Return how many standard deviations the fullest or emptiest of equal parts of the field is from its mean."""
    counts = np.bincount([value * n_buckets // PRIME for value in values], minlength=n_buckets)
    mean = len(values) / n_buckets
    return float(np.abs(counts - mean).max() / np.sqrt(mean * (1 - 1 / n_buckets)))


@pytest.mark.statistical
@pytest.mark.parametrize("constant", [0, escrow._seal(KEY, SHARING)], ids=["zero", "key"])
def test_a_share_is_uniform(constant: int) -> None:
    """One holder's values are uniform over the field, for zero and for a Key; a lazy dealer's are not.

    False-alarm rate: a count of mean 300 is seven standard deviations from it with probability below 6e-10, by
    Chernoff's bound; with 192 counts and two constants, a right dealer fails with probability below 3e-7.
    """
    dealt = [deal(constant, 2, 3) for _ in range(19_200)]
    for place in range(3):
        assert farthest([row[place] for row in dealt]) < 7
    lazy = [(constant + secrets.randbits(512)) % PRIME for _ in range(19_200)]  # at place 1, by too short a slope
    assert farthest(lazy) > 7


# ---------------------------------------------------------------------- what is refused
def test_nothing_and_too_few_are_refused() -> None:
    """Fewer than a quorum are refused, and the error says who is there."""
    shares = split(SPEC, KEY, NAMES[:5], 3)
    with pytest.raises(KeyMaterialError, match="no shares"):
        restore([])
    with pytest.raises(KeyMaterialError, match=r"2 of 3 shares.*'owner-1', 'owner-4'"):
        restore([shares[1], shares[4]])


def test_the_same_holder_twice_is_refused() -> None:
    """One holder's share does not count twice."""
    shares = split(SPEC, KEY, NAMES[:3], 2)
    with pytest.raises(KeyMaterialError, match="'owner-1' is there twice"):
        restore([shares[1], shares[1]])


def test_shares_of_two_sharings_are_refused() -> None:
    """Shares of one Key from two sharings are not mixed, even if somebody gave them one set id."""
    first, second = split(SPEC, KEY, NAMES[:3], 2), split(SPEC, KEY, NAMES[:3], 2)
    with pytest.raises(KeyMaterialError, match="'owner-2' is of another sharing than that of 'owner-0'"):
        restore([first[0], second[2]])
    posed = changed(second[2], set_id=first[0].set_id, origin=first[0].origin)
    with pytest.raises(KeyMaterialError, match="do not fit together"):
        restore([first[0], posed])


@pytest.mark.parametrize(
    "fields",
    [
        {"quorum": 3},
        {"holders": (*NAMES[:3], "x")},
        {"key_id": OTHER_KEY.id},
        {"spec": OTHER_SPEC},
        {"origin": "0" * 64},
    ],
)
def test_shares_that_contradict_are_refused(fields: dict[str, Any]) -> None:
    """A share whose public facts are not those of the others was altered."""
    shares = split(SPEC, KEY, NAMES[:3], 2)
    with pytest.raises(KeyMaterialError, match="'owner-1' or 'owner-0' was altered"):
        restore([shares[0], changed(shares[1], **fields)])


@pytest.mark.parametrize("fields", [{"spec": OTHER_SPEC}, {"origin": "0" * 64}])
def test_a_spec_changed_in_all_shares_is_refused(fields: dict[str, Any]) -> None:
    """The check under the sharing binds the Spec: holders cannot replace it, be they all."""
    shares = [changed(share, **fields) for share in split(SPEC, KEY, NAMES[:3], 2)]
    with pytest.raises(KeyMaterialError, match="do not fit together"):
        restore(shares)


def test_an_altered_value_is_refused() -> None:
    """With just a quorum, nobody can tell whose share is wrong; the message names all, and no value."""
    shares = split(SPEC, KEY, NAMES[:3], 3)
    shares[1] = changed(shares[1], value=(shares[1].value + 1) % PRIME)
    with pytest.raises(KeyMaterialError, match=r"'owner-0', 'owner-1', 'owner-2'.*altered") as caught:
        restore(shares)
    for share in shares:
        assert str(share.value)[:20] not in str(vars(caught.value))
        assert f"{share.value:x}"[:20] not in str(vars(caught.value))


@pytest.mark.parametrize(
    ("n", "quorum", "wrong"), [(4, 3, (0,)), (4, 3, (2,)), (6, 3, (0, 4)), (6, 3, (0, 3)), (30, 12, (0,))]
)
def test_with_more_than_a_quorum_the_altered_are_named(n: int, quorum: int, wrong: tuple[int, ...]) -> None:
    """More shares than the quorum tell which of them are wrong.

    With (0, 3), the two errors cancel at 0 in the polynomial through places 1, 4 and 5: the blame is still theirs.
    """
    names = [f"owner-{i}" for i in range(n)]
    shares = split(SPEC, KEY, names, quorum)
    for i in wrong:
        shares[i] = changed(shares[i], value=(shares[i].value + 1) % PRIME)
    with pytest.raises(KeyMaterialError) as caught:
        restore(shares)
    assert caught.value.problem == f"the share of {', '.join(repr(names[i]) for i in wrong)} was altered"


@pytest.mark.parametrize(
    ("holders", "quorum"),
    [
        (NAMES[:1], 2),
        (NAMES[:3], 1),
        (NAMES[:3], 4),
        (("a", "a", "b"), 2),
        (("a", ""), 2),
        (("a", "b\n"), 2),
        (("a", "b" * 101), 2),
        ([str(i) for i in range(65)], 2),
    ],
)
def test_impossible_sharings_are_refused(holders: Sequence[str], quorum: int) -> None:
    """Names are distinct and printable, and a quorum is from two to all: with one, each holder had the Key."""
    with pytest.raises(ProtocolError):
        split(SPEC, KEY, holders, quorum)
    old = split(SPEC, KEY, NAMES[:3], 2)
    with pytest.raises(ProtocolError):
        subshares(old[0], holders, quorum, NAMES[:2])
    with pytest.raises(ProtocolError):
        combine_subshares({NAMES[0]: 1, NAMES[1]: 2}, old[0], "a", holders, quorum, LATER)


@pytest.mark.parametrize("value", [-1, PRIME, PRIME + 1, 1 << 528])
def test_a_value_outside_the_field_is_refused(value: int) -> None:
    """A share holds an element of the field, and the error does not show what else it was."""
    share = split(SPEC, KEY, NAMES[:2], 2)[0]
    with pytest.raises(KeyMaterialError, match="no element") as caught:
        Share(**{field: getattr(share, field) for field in Sharing.__struct_fields__}, holder=share.holder, value=value)
    assert str(value)[:20] not in str(caught.value) or value == -1


@pytest.mark.parametrize("fields", [{"value": True}, {"value": "1"}, {"quorum": 2.5}, {"set_id": "0"}, {"holder": "x"}])
def test_a_share_of_wrong_fields_is_refused(fields: dict[str, Any]) -> None:
    """Types, ids and the holder's name are checked wherever a share is made."""
    share = split(SPEC, KEY, NAMES[:2], 2)[0]
    with pytest.raises((ProtocolError, SpecError)):
        Share(**{field: getattr(share, field) for field in Share.__struct_fields__} | fields)


def test_a_share_does_not_show_its_value() -> None:
    """Neither str, repr nor what rich and pytest print holds the value."""
    share = split(SPEC, KEY, NAMES[:2], 2)[0]
    shown = f"{share} {share!r} {[share]} {share.__rich_repr__()} {share.sharing!r}"
    assert str(share.value) not in shown
    assert f"{share.value:x}"[:20] not in shown
    assert share.holder in shown


# ---------------------------------------------------------------------- without a dealer
@pytest.mark.parametrize(("n", "quorum"), [(2, 2), (3, 2), (4, 3), (5, 5)])
def test_joint_shares_are_a_sharing(n: int, quorum: int) -> None:
    """Shares that all owners make together restore in every quorum, as those of a dealer do."""
    shares = jointly(KEY, NAMES[:n], quorum)
    for few in itertools.combinations(shares, quorum):
        assert restore(few) == (SPEC, KEY)
    assert restore(shares) == (SPEC, KEY)


def test_joint_shares_are_those_of_a_dealer_with_the_same_polynomial() -> None:
    """The joint polynomial is the sum of the owners': its values are those of the Key plus what each dealt."""
    dealt = [zero_sharing(3, 2) for _ in range(3)]
    for place, name in enumerate(SHARING.holders):
        share = joint_share(KEY, [row[place] for row in dealt], SHARING, name)
        slope = sum(row[0] for row in dealt)  # a line through 0 has its slope as the value at 1
        assert share.value == (escrow._seal(KEY, SHARING) + slope * (place + 1)) % PRIME


def test_one_honest_owner_hides_the_key() -> None:
    """If all owners but one deal nothing but zeros, the shares of two runs still differ, and restore."""
    runs = []
    for _ in range(2):
        honest = zero_sharing(3, 2)
        runs.append([joint_share(KEY, [0, 0, honest[i]], SHARING, name) for i, name in enumerate(NAMES[:3])])
        assert restore(runs[-1][:2]) == (SPEC, KEY)
        assert all(share.value != escrow._seal(KEY, SHARING) for share in runs[-1])
    assert {share.value for share in runs[0]}.isdisjoint({share.value for share in runs[1]})


def test_an_owner_that_deals_no_zero_is_found_at_the_end() -> None:
    """Shares made with a sharing of another number than zero are refused."""
    dealt = [zero_sharing(3, 2), zero_sharing(3, 2), deal(5, 1, 3)]
    shares = [joint_share(KEY, [row[i] for row in dealt], SHARING, name) for i, name in enumerate(NAMES[:3])]
    with pytest.raises(KeyMaterialError, match="do not fit"):
        restore(shares)


@pytest.mark.parametrize("n", range(2, 8))
def test_a_sharing_of_zero_is_one(n: int) -> None:
    """It has its degree and leads to zero, from any of its places."""
    for quorum in range(2, n + 1):
        values = dict(enumerate(zero_sharing(n, quorum), start=1))
        for few in itertools.combinations(values, quorum):
            assert value_at({place: values[place] for place in few}) == 0


def test_joint_share_refuses_what_does_not_fit() -> None:
    """Another Key, a missing sharing of zero, a number outside the field and a stranger are refused."""
    with pytest.raises(KeyMaterialError, match=OTHER_KEY.id):
        joint_share(OTHER_KEY, [1, 2, 3], SHARING, NAMES[0])
    for zeros, holder in (([1, 2], NAMES[0]), ([1, 2, PRIME], NAMES[0]), ([1, 2, -1], NAMES[0]), ([1, 2, 3], "x")):
        with pytest.raises(ProtocolError):
            joint_share(KEY, zeros, SHARING, holder)


# ---------------------------------------------------------------------- re-sharing
CHANGES = {
    "nobody": (NAMES[:4], 3),
    "an owner joins": (NAMES[:5], 3),
    "an owner leaves": (NAMES[1:4], 3),
    "one joins, one leaves, lower quorum": ((*NAMES[1:4], "new"), 2),
    "one joins, one leaves, higher quorum": ((*NAMES[1:4], "new"), 4),
    "all others": (("x", "y", "z"), 2),
    "other order": ((NAMES[3], NAMES[0], NAMES[2]), 2),
}


@pytest.mark.parametrize(("holders", "quorum"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("n_givers", [3, 4])
def test_new_shares_restore(holders: Sequence[str], quorum: int, n_givers: int) -> None:
    """A quorum of old holders, or more, make shares of which every quorum of new holders restores."""
    old = split(SPEC, KEY, NAMES[:4], 3)
    shares = renewed(old[4 - n_givers :], holders, quorum)
    for few in itertools.combinations(shares, quorum):
        assert restore(few) == (SPEC, KEY)


def test_resharing_again_and_from_joint_shares() -> None:
    """New shares can be renewed in turn; the origin stays, the set id changes every time."""
    first = jointly(KEY, NAMES[:3], 2)
    second = renewed(first[:2], NAMES[1:5], 3)
    third = renewed(second[1:], NAMES[3:6], 2, nonce=bytes([2] * 32))
    assert restore(third[1:]) == (SPEC, KEY)
    assert {sets[0].origin for sets in (first, second, third)} == {first[0].set_id}
    assert len({sets[0].set_id for sets in (first, second, third)}) == 3


def test_old_and_new_shares_do_not_mix() -> None:
    """A leaver's old share is of no use together with new ones, even with the new set id written into it."""
    old = split(SPEC, KEY, NAMES[:3], 2)
    new = renewed(old[:2], NAMES[:3], 2)
    with pytest.raises(KeyMaterialError, match="another sharing"):
        restore([old[2], new[1]])
    with pytest.raises(KeyMaterialError, match="do not fit together"):
        restore([changed(old[2], set_id=new[1].set_id), new[1]])
    with pytest.raises(KeyMaterialError, match="the share of 'owner-2' was altered"):
        restore([changed(old[2], set_id=new[1].set_id), new[0], new[1]])


def test_old_shares_still_restore() -> None:
    """Re-sharing takes nothing from a quorum of old holders: they must delete, or the owners draw a new Key."""
    old = split(SPEC, KEY, NAMES[:3], 2)
    renewed(old[:2], NAMES[:2], 2)
    assert restore(old[1:]) == (SPEC, KEY)


def test_minorities_of_old_and_new_holders_know_nothing_together() -> None:
    """One old holder who is one of the new holders as well sees numbers that fit any other Key.

    Quorums are two: it knows its old share, all that it dealt, and its subshare from the other giver. For another
    Key, the other giver's old share and line through that subshare follow, and give the same view.
    """
    old = split(SPEC, KEY, NAMES[:2], 2)
    mine = old[0].value
    other_old = value_at({0: escrow._seal(OTHER_KEY, old[0]), 1: mine}, 2)
    seen = subshares(old[1], NAMES[:2], 2, NAMES[:2])[0]
    constant = weight(2, (1, 2)) * other_old % PRIME
    rest = value_at({0: constant, 1: seen}, 2)
    dealt = subshares(old[0], NAMES[:2], 2, NAMES[:2])
    posed = renewed_sharing(old[0], NAMES[:2], NAMES[:2], 2, LATER)
    values = ((dealt[0] + seen) % PRIME, (dealt[1] + rest) % PRIME)
    assert escrow._unseal(value_at(dict(enumerate(values, start=1))), posed) == OTHER_KEY


def test_holders_that_disagree_who_gives_do_not_mix() -> None:
    """The new set id follows from who gave, so that shares made under two views are told apart at once."""
    old = split(SPEC, KEY, NAMES[:3], 2)
    ids = {renewed_sharing(old[0], givers, NAMES[:3], 2, LATER).set_id for givers in (NAMES[:2], NAMES[1:3], NAMES[:3])}
    ids |= {renewed_sharing(old[0], NAMES[:2], NAMES[:3], 2, NONCE).set_id, old[0].set_id}
    ids |= {renewed_sharing(old[0], NAMES[:2], NAMES[:3], 3, LATER).set_id}
    assert len(ids) == 6
    swapped = renewed_sharing(old[0], NAMES[1::-1], NAMES[:3], 2, LATER)
    assert swapped == renewed_sharing(old[0], NAMES[:2], NAMES[:3], 2, LATER)


@pytest.mark.parametrize("givers", [NAMES[:1], NAMES[1:3], (NAMES[0], NAMES[0]), (NAMES[0], "stranger"), ()])
def test_givers_that_cannot_be(givers: Sequence[str]) -> None:
    """Givers are a quorum of the old holders, with this one among them."""
    share = split(SPEC, KEY, NAMES[:3], 2)[0]
    with pytest.raises(ProtocolError):
        subshares(share, NAMES[:2], 2, givers)


def test_combine_refuses_what_does_not_fit() -> None:
    """Too few givers, strangers, numbers outside the field and a stranger's name are refused."""
    old = split(SPEC, KEY, NAMES[:3], 2)[0].sharing
    good = {NAMES[0]: 1, NAMES[1]: 2}
    for received, holder in (
        ({NAMES[0]: 1}, "a"),
        ({NAMES[0]: 1, "x": 2}, "a"),
        ({**good, NAMES[1]: PRIME}, "a"),
        (good, "x"),
    ):
        with pytest.raises(ProtocolError):
            combine_subshares(received, old, holder, ("a", "b"), 2, LATER)
    with pytest.raises(ProtocolError, match="nonce"):
        combine_subshares(good, old, "a", ("a", "b"), 2, b"short")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"set_id": 1}', "[" * 100_000, '{"a": NaN}'])
def test_public_facts_that_cannot_be_read(text: str) -> None:
    """What a joining owner is told of a sharing is checked."""
    with pytest.raises(ProtocolError, match="cannot be read"):
        Sharing.from_json(text)


def test_public_facts_name_their_spec() -> None:
    """A Spec that is not the one of the fingerprint beside it is refused."""
    facts = split(SPEC, KEY, NAMES[:3], 2)[0].to_json()
    assert Sharing.from_json(facts).spec == SPEC
    with pytest.raises(ProtocolError, match="fingerprint"):
        Sharing.from_json(facts.replace("120.0", "121.0"))


# ---------------------------------------------------------------------- elements
@settings(max_examples=50)
@given(st.integers(0, PRIME - 1))
def test_elements_go_through_bytes(value: int) -> None:
    """An element is 66 bytes and back."""
    raw = element_to_bytes(value)
    assert len(raw) == ELEMENT_BYTES
    assert element_from_bytes(raw) == value


@pytest.mark.parametrize("raw", [b"", bytes(65), bytes(67), PRIME.to_bytes(66, "big"), b"\xff" * 66])
def test_bytes_that_are_no_element(raw: bytes) -> None:
    """Other lengths and numbers from the prime on are refused, in the name of who sent them."""
    with pytest.raises(PartyAborted, match="owner 'bob', step 'escrow'") as caught:
        element_from_bytes(raw, party="bob", step="escrow")
    assert "ff" not in str(caught.value)


@settings(max_examples=30)
@given(st.lists(st.integers(0, PRIME - 1), min_size=1, max_size=6), st.data())
def test_interpolation_is_evaluation(coefficients: list[int], data: st.DataObject) -> None:
    """From as many values as a polynomial has coefficients follows its value at any other place."""
    degree = len(coefficients)
    places = data.draw(st.lists(st.integers(1, 100), min_size=degree, max_size=degree, unique=True))
    at = data.draw(st.integers(0, 200))

    def evaluate(place: int) -> int:
        return int(sum(c * place**power for power, c in enumerate(coefficients)) % PRIME)

    assert value_at({place: evaluate(place) for place in places}, at) == evaluate(at)
