"""Whole agreements: everything at once, helpers, votes, escrow, the transcript, noisy edges, the local run."""

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pytest
from msgspec.structs import replace

from hashcomb import Categorical, ChannelSpec, HashComb, Quantile
from hashcomb.errors import DataError, HashcombError, KeyMaterialError, PartyMismatch, ProtocolError, SpecError
from hashcomb.mpc import Agreement, Party, Policy, TranscriptFile, agree, help_owners, local, reshare, restore
from hashcomb.mpc.protocols.noisy_quantiles import ROUNDS

Agreed = Callable[..., list[Agreement]]
Seats = Callable[..., list[Party]]

EVERYTHING: dict[str, Any] = {
    "rows": "rounded",
    "means": 3,
    "escrow": 2,
    "categorical": ("ward",),
    "categories": {"blood": ("0", "A", "AB", "B")},
    "channels": ("none", "randomized_response"),
    "hashes": ("blake2b", "siphash"),
    "range_rank": 2,
    "missing": "token",
}


def frame(n: int = 60, seed: int = 0) -> pd.DataFrame:
    """Return patients of two wards."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "ward": rng.choice(["east", "west"], n),
            "age": rng.integers(20, 90, n).astype(float),
            "blood": rng.choice(["0", "A"], n),
            "dose": rng.exponential(size=n),
        }
    )


@pytest.fixture(scope="module")
def everything() -> list[Agreement]:
    """Let three owners agree on everything that there is, over TLS."""
    ballots = [
        {"depth": 3, "epsilon": 2.0, "channel": "randomized_response", "hash": "siphash"},
        {"depth": 3, "epsilon": 0.5, "channel": "randomized_response"},
        {"depth": 5, "channel": "none", "hash": "siphash"},
    ]
    return local.run(frame(), 3, Policy(**EVERYTHING), votes=ballots, progress=False)


def test_all_that_can_be_agreed_on(everything: list[Agreement]) -> None:
    """One run settles rows, votes, categories, robust ranges, edges, means, key and shares, the same at all owners."""
    first = everything[0]
    assert len({(a.spec.fingerprint, a.key, a.transcript) for a in everything}) == 1
    assert (first.spec.depth, first.spec.hash, first.n_rows) == (3, "siphash", 60)
    assert first.spec.channel is not None
    assert first.spec.channel.kind == "randomized_response"
    ward, age, blood, dose = first.spec.features
    assert isinstance(ward, Categorical)
    assert isinstance(blood, Categorical)
    assert isinstance(age, Quantile)
    assert isinstance(dose, Quantile)
    assert (ward.categories, blood.categories) == (("east", "west"), ("0", "A", "AB", "B"))
    ages = np.sort(frame()["age"])
    assert (age.lo, age.hi) == (ages[1], ages[-2])
    assert dose.means is not None
    assert tuple(first.seconds) == Policy(**EVERYTHING).steps


def test_the_channel_has_the_strictest_epsilon(everything: list[Agreement]) -> None:
    """The channel that won is calibrated to the least epsilon that an owner named."""
    from hashcomb.channels import channels_of

    channels = channels_of(everything[0].spec)
    assert channels is not None
    assert 0.45 < max(channel.epsilon for channel in channels) <= 0.5


def test_salts_are_common(everything: list[Agreement]) -> None:
    """Owners have the same salt for every round, without speaking again."""
    salts = [[a.salt(round_) for round_ in range(3)] for a in everything]
    assert salts[0] == salts[1] == salts[2]
    assert len(set(salts[0])) == 3


def test_a_quorum_restores(everything: list[Agreement]) -> None:
    """Any two of three shares give Spec and Key back; one does not."""
    shares = [a.share for a in everything if a.share is not None]
    for pair in itertools.combinations(shares, 2):
        assert restore(pair) == (everything[0].spec, everything[0].key)
    with pytest.raises(KeyMaterialError):
        restore(shares[:1])


# ---------------------------------------------------------------------- transcript
def test_the_transcript_is_evidence(everything: list[Agreement]) -> None:
    """All owners keep the same document; it verifies against the keys that one knows and the Spec that one holds."""
    records = [a.record for a in everything]
    assert records[0] == records[1] == records[2]
    record = TranscriptFile.from_json(records[0].to_json())
    record.verify({s.name: s.public_key for s in record.signers}, everything[0].spec.fingerprint)
    assert [entry.step for entry in record.steps if entry.n_messages][-1] == "result"


def tampered(record: TranscriptFile) -> dict[str, TranscriptFile]:
    """Change each part of a transcript in turn."""
    first, *others = record.signers
    step, *steps = record.steps
    other = "00" * 32
    return {
        "policy": replace(record, public=record.public | {"policy": {}}),
        "feature": replace(record, public=record.public | {"features": []}),
        "step": replace(record, steps=(replace(step, digest=other), *steps)),
        "count": replace(record, steps=(replace(step, n_messages=9), *steps)),
        "a step less": replace(record, steps=tuple(steps)),
        "fingerprint": replace(record, fingerprint=other),
        "key id": replace(record, key_id="0" * 16),
        "digest": replace(record, digest=other),
        "no signature": replace(record, signers=(replace(first, signature=""), *others)),
        "another's signature": replace(record, signers=(replace(first, signature=others[0].signature), *others)),
        "another key": replace(record, signers=(replace(first, public_key=other), *others)),
        "a signer less": replace(record, signers=tuple(others)),
        "another order": replace(record, signers=(*others, first)),
    }


def test_every_change_is_found(everything: list[Agreement]) -> None:
    """Whatever is changed in a transcript, it does not verify any more."""
    for name, changed in tampered(everything[0].record).items():
        with pytest.raises(PartyMismatch):
            changed.verify()
        assert changed != everything[0].record, name


def test_other_keys_or_another_spec_are_found(everything: list[Agreement]) -> None:
    """A sound transcript is refused where its keys are not the known ones, or its Spec is not ours."""
    record = everything[0].record
    known = {s.name: s.public_key for s in record.signers}
    with pytest.raises(PartyMismatch, match="another key"):
        record.verify(known | {"owner-2": "11" * 32})
    with pytest.raises(PartyMismatch, match="other owners"):
        record.verify({"owner-1": known["owner-1"]})
    with pytest.raises(PartyMismatch, match="another Spec"):
        record.verify(known, "22" * 32)


def test_a_transcript_without_certificates_is_unsigned(agreed: Agreed) -> None:
    """On loopback without TLS nobody signs, and verification says so rather than pass."""
    record = agreed([np.eye(3)] * 3)[0].record
    with pytest.raises(PartyMismatch, match="has not signed"):
        record.verify()


def test_no_transcript(tmp_path: Path) -> None:
    """What is no transcript is refused by the field that is wrong."""
    with pytest.raises(SpecError):
        TranscriptFile.from_json("{}")
    with pytest.raises(SpecError):
        TranscriptFile.from_json(tmp_path.name)


# ---------------------------------------------------------------------- helpers
def with_helper(seats: Seats, policy: Policy, tables: list[Any]) -> tuple[list[Agreement], str]:
    """Let two owners agree with a helper."""

    async def all_three() -> Any:
        first, second, third = seats(2, 1, connect_timeout_s=20.0)
        work = [agree(first, tables[0], policy), agree(second, tables[1], policy), help_owners(third, policy)]
        return await asyncio.gather(*work)

    *owners, helped = asyncio.run(all_three())
    return owners, helped


def test_two_owners_and_a_helper(seats: Seats) -> None:
    """Two owners agree on what their pooled data give; the helper holds the hash of the transcript, and no more."""
    rows = np.random.default_rng(0).normal(size=(80, 3))
    policy = Policy(precision="exact", rows="exact", escrow=2, means=2)
    (first, second), helped = with_helper(seats, policy, np.array_split(rows, 2))
    assert first.spec == second.spec
    assert first.key == second.key
    assert helped == first.transcript == second.transcript
    assert first.n_rows == 80
    feature = first.spec.features[0]
    assert isinstance(feature, Quantile)
    assert (feature.lo, feature.hi) == (rows[:, 0].min(), rows[:, 0].max())
    assert first.share is not None
    assert first.share.holders == ("owner-0", "owner-1")


def test_roles_are_not_mixed_up(seats: Seats) -> None:
    """A helper cannot agree, and an owner cannot help."""
    owner, _, helper = seats(2, 1, connect_timeout_s=0.01)
    with pytest.raises(ProtocolError, match="is a helper"):
        asyncio.run(agree(helper, np.eye(3)))
    with pytest.raises(ProtocolError, match="is an owner"):
        asyncio.run(help_owners(owner))


# ---------------------------------------------------------------------- noisy edges
def test_noisy_edges(agreed: Agreed) -> None:
    """Leaves have about equal mass, all owners find the same, two runs find different edges, the Spec says how."""
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.normal(size=20000), rng.integers(0, 3, 20000), 1.6e9 + rng.integers(0, 10**6, 20000)])
    policy = {"edges": "noisy", "edges_epsilon": 2.0}
    first, second = (agreed(np.array_split(rows, 3), **policy) for _ in range(2))
    assert len({a.spec.fingerprint for a in first}) == 1
    assert first[0].spec.fingerprint != second[0].spec.fingerprint
    noise = first[0].spec.edges_noise
    assert noise is not None
    assert (noise.n_counts, noise.n_parts) == (3 * ROUNDS, 2)
    for feature, column, most in zip(first[0].spec.features, rows.T, (0.08, 0.4, 0.12), strict=True):
        assert isinstance(feature, Quantile)
        mass = np.bincount(np.searchsorted(feature.edges, column, side="right"), minlength=16) / len(column)
        assert mass.max() < most


def test_every_owner_adds_noise(seats: Seats, monkeypatch: pytest.MonkeyPatch) -> None:
    """No count leaves an owner without its part of the noise, with the variance that the Spec states.

    False-alarm rate: below 1e-6 (a sum of 1,000 squares of noise within a fifth of its mean, six standard deviations).
    """
    from hashcomb.mpc.protocols import noisy_quantiles

    parts: list[np.ndarray] = []
    sums = noisy_quantiles.sums  # type: ignore[attr-defined]

    async def noting(link: Any, mine: np.ndarray) -> Any:
        parts.append(mine)
        return await sums(link, mine)

    monkeypatch.setattr(noisy_quantiles, "sums", noting)
    # All values lie in one bin of 128, so all other counts are noise alone.
    tables = [np.full((400, 9), 5.0)] * 3

    async def owners() -> Any:
        policy = Policy(edges="noisy")
        work = [agree(party, table, policy) for party, table in zip(seats(3), tables, strict=True)]
        return await asyncio.gather(*work)

    noise = asyncio.run(owners())[0].spec.edges_noise
    for first in parts[:3]:  # the first round at each owner
        counts = first.reshape(9, -1)
        alone = np.delete(counts, np.argmax(counts.sum(axis=0)), axis=1)
        assert alone.size > 1000
        assert abs(np.mean(alone.astype(float) ** 2) / (noise.variance / noise.n_parts) - 1) < 0.3


def test_noisy_edges_with_wild_values(agreed: Agreed) -> None:
    """A few values that are far away do not make the range endless, nor does a margin."""
    rng = np.random.default_rng(0)
    column = np.where(rng.random(20000) < 0.02, 9e12, rng.lognormal(size=20000))[:, None]
    for margin in (0.0, 0.5):
        results = agreed(np.array_split(column, 3), edges="noisy", edges_epsilon=4.0, margin=margin)
        feature = results[0].spec.features[0]
        assert isinstance(feature, Quantile)
        assert 9e12 <= feature.hi < 1e80


def test_noise_that_hides_all_records(agreed: Agreed) -> None:
    """Too few rows for the budget: every owner is told which feature, and what to do."""
    with pytest.raises(ProtocolError, match="numeric feature 0"):
        agreed([np.arange(5.0)[:, None]] * 3, edges="noisy", edges_epsilon=0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"edges": "noisy", "means": 3},
        {"edges": "noisy", "rows": "exact"},
        {"edges": "noisy", "range_rank": 2},
        {"edges": "noisy", "edges_epsilon": 0.0},
        {"edges": "noisy", "edges_delta": 1.0},
        {"channels": ("unheard-of",)},
        {"channels": ("rqm", "rqm")},
        {"hashes": ("md5",)},
        {"categorical": ("a",), "categories": {"a": ("x",)}},
        {"categories": {"a": ("x", "x")}},
        {"range_rank": 0},
        {"escrow": 65},
        {"escrow": 1},
        {"edges": "noisy", "range_of": "owners"},
        {"edges": "noisy", "edges_epsilon": 100.0},
    ],
    ids=str,
)
def test_policies_that_contradict_themselves(wrong: dict[str, Any]) -> None:
    """What cannot be, or would open without noise what noise should hide, is refused by name."""
    with pytest.raises(SpecError) as caught:
        Policy(**wrong)
    assert caught.value.path


@pytest.mark.parametrize(
    "votes",
    [{"channel": "rqm"}, {"epsilon": 1.0}, {"hash": "siphash"}, {"depth": 0}, {"depth": True}, {"epsilon": -1.0}],
    ids=str,
)
def test_votes_that_nobody_asked_for(seats: Seats, votes: dict[str, Any]) -> None:
    """A vote on what the policy settles, or for what cannot be, is refused before connecting."""
    with pytest.raises(SpecError, match="votes"):
        asyncio.run(agree(seats(3, connect_timeout_s=0.01)[0], np.eye(3), **votes))


def test_nobody_names_an_epsilon(agreed: Agreed) -> None:
    """Where a channel wins and no owner named an epsilon, there is no agreement."""
    with pytest.raises(ProtocolError, match="no owner named an epsilon"):
        agreed([np.eye(3)] * 3, ballots=[{"channel": "rqm"}] * 3, channels=("none", "rqm"))


def test_owners_may_choose_no_channel(agreed: Agreed) -> None:
    """If most ask for deterministic tokens, there is no channel, whatever epsilon others name."""
    ballots = [{"channel": "none"}, {"channel": "none"}, {"channel": "rqm", "epsilon": 1.0}]
    assert agreed([np.eye(3)] * 3, ballots=ballots, channels=("none", "rqm"))[0].spec.channel is None


# ---------------------------------------------------------------------- categories
def test_categories_from_all_owners(agreed: Agreed) -> None:
    """A category that one owner alone has is in the Spec, and every owner can encode all rows."""
    frames = [frame(seed=i)[["ward", "age"]] for i in range(3)]
    frames[2].loc[0, "ward"] = "hospice"
    results = agreed(frames, categorical=("ward",))
    feature = results[0].spec.features[0]
    assert isinstance(feature, Categorical)
    assert feature.categories == ("east", "hospice", "west")
    tokens = [HashComb(a.spec, a.key).encode(frames[2]) for a in results]
    assert (tokens[0] == tokens[1]).all(axis=None)


@pytest.mark.parametrize(
    ("policy", "column", "match"),
    [
        ({"categorical": ("b",)}, ["x", "y", "z"], "missing here"),
        ({"categories": {"a": ("x",)}}, ["x", "SECRET", "x"], "not in the policy's list"),
        ({"categorical": ("a",)}, ["x", 1, "x"], "mixes text and numbers"),
        ({"categorical": ("a",)}, [1, 1 << 60, 2], "below 2\\*\\*53"),
        ({"categorical": ("a",)}, ["x", "\ud800SECRET", "x"], "neither text nor"),
        ({"categorical": ("a",)}, ["x", "SECRET" * 50, "x"], "longer than 200 bytes"),
        ({"categorical": ("a",)}, ["x", None, "x"], "missing value"),
        ({}, ["x", "y", "SECRET"], "is no number"),
    ],
)
def test_categories_that_are_refused_at_home(seats: Seats, policy: Any, column: list[Any], match: str) -> None:
    """Columns that do not go with the policy are refused before connecting, and no value is in the message."""
    table = pd.DataFrame({"a": pd.Series(column, dtype=object)})
    with pytest.raises(DataError, match=match) as caught:
        asyncio.run(agree(seats(3, connect_timeout_s=0.01)[0], table, Policy(**policy)))
    assert "SECRET" not in str(caught.value)


def test_categories_through_a_channel(agreed: Agreed) -> None:
    """Categories that are agreed on go together with randomized response, fixed or voted for."""
    frames = [frame(seed=i)[["ward", "age"]] for i in range(3)]
    ballots = [{"channel": "randomized_response", "epsilon": 1.0}] * 3
    spec = agreed(frames, ballots=ballots, categorical=("ward",), channels=("randomized_response",))[0].spec
    assert spec.channel is not None
    assert isinstance(spec.features[0], Categorical)


def test_a_single_category_and_a_channel_end_before_ranges(seats: Seats) -> None:
    """Where the union turns out to fit no channel, nothing of the numeric columns is opened."""
    steps: list[str] = []
    table = pd.DataFrame({"ward": ["east"] * 3, "age": [1.0, 2.0, 3.0]})
    policy = Policy(categorical=("ward",), channel=ChannelSpec(kind="randomized_response", params={"epsilon": 1.0}))

    async def owners() -> Any:
        work = [agree(party, table, policy, progress=steps.append) for party in seats(3)]
        return await asyncio.gather(*work, return_exceptions=True)

    assert all(isinstance(error, HashcombError) for error in asyncio.run(owners()))
    assert "ranges" not in steps


def test_a_category_that_vanishes_is_missed(seats: Seats, monkeypatch: pytest.MonkeyPatch) -> None:
    """If others cancel a category of an owner out of the union, that owner finds out."""
    from hashcomb.mpc.protocols import categories

    has = categories._has
    monkeypatch.setattr(categories, "_has", lambda own, prefix: has(own, prefix) and not prefix.startswith("737a"))
    tables = [pd.DataFrame({"ward": [ward]}) for ward in ("a", "b", "z")]

    async def owners() -> Any:
        work = [agree(p, t, Policy(categorical=("ward",))) for p, t in zip(seats(3), tables, strict=True)]
        return await asyncio.gather(*work, return_exceptions=True)

    with pytest.raises(ProtocolError, match="missing from categorical column 0"):
        raise asyncio.run(owners())[2]


# ---------------------------------------------------------------------- re-sharing
def test_an_owner_leaves_and_another_joins(everything: list[Agreement], tmp_path: Path) -> None:
    """Two old holders give new shares to themselves and two others; old and new shares do not mix."""
    shares = [a.share for a in everything if a.share is not None]
    parties = local.seats(4, str(tmp_path), connect_timeout_s=20.0)
    old = [shares[0], shares[1], None, None]

    async def owners() -> Any:
        return await asyncio.gather(*[reshare(p, share, 3) for p, share in zip(parties, old, strict=True)])

    new = asyncio.run(owners())
    for trio in itertools.combinations(new, 3):
        assert restore(trio) == (everything[0].spec, everything[0].key)
    with pytest.raises(KeyMaterialError):
        restore(new[:2])
    with pytest.raises(KeyMaterialError, match="another sharing"):
        restore([new[0], new[1], shares[2]])


def test_too_few_old_holders(everything: list[Agreement], tmp_path: Path) -> None:
    """One old holder of a quorum of two cannot make new shares, and all are told."""
    parties = local.seats(3, str(tmp_path), connect_timeout_s=20.0)

    async def owners() -> Any:
        old = [everything[0].share, None, None]
        work = [reshare(p, share, 2) for p, share in zip(parties, old, strict=True)]
        return await asyncio.gather(*work, return_exceptions=True)

    errors = asyncio.run(owners())
    assert all(isinstance(error, ProtocolError) for error in errors), errors


# ---------------------------------------------------------------------- on this machine
def test_a_notebook_runs_owners_on_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    """Inside a running event loop, five owners agree over TLS; nothing is printed where nobody looks."""

    async def cell() -> list[Agreement]:
        return local.run(frame()[["age", "dose"]], owners=5, rows="exact")

    results = asyncio.run(cell())
    assert [a.n_rows for a in results] == [60] * 5
    results[0].record.verify()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["pandas", "polars", "mapping", "array", "tables"])
def test_tables_of_every_kind_are_dealt(kind: str) -> None:
    """One table is dealt to the owners, several are theirs; the result is the same."""
    table = frame()[["age", "dose"]]
    data: Any = {
        "pandas": table,
        "polars": pl.from_pandas(table),
        "mapping": {name: table[name].to_numpy() for name in table},
        "array": table.to_numpy(),
        "tables": [table[:1], table[1:30], table[30:]],
    }[kind]
    result = local.run(data, precision="exact", progress=False)
    ends = [(f.lo, f.hi) for f in result[0].spec.features if isinstance(f, Quantile)]
    assert ends == [(table[name].min(), table[name].max()) for name in table]
    assert len(result) == 3


def test_what_cannot_be_dealt() -> None:
    """Too few rows, another number of tables or votes, and a policy beside its fields are refused."""
    for wrong in (
        {"data": np.eye(2)},
        {"data": [np.eye(3)] * 3, "owners": 4},
        {"data": np.eye(3), "votes": [{}]},
        {"data": np.eye(3), "policy": Policy(), "rows": "exact"},
    ):
        with pytest.raises(DataError):
            local.run(**wrong, progress=False)


def test_the_cause_comes_first() -> None:
    """If one owner's data stop the run, its own error is raised, not what the others were told."""
    tables = [np.eye(3), np.array([[np.nan, 1.0, 1.0]]), np.eye(3)]
    with pytest.raises(DataError, match="missing value"):
        local.run(tables, progress=False)


# ---------------------------------------------------------------------- advice
def test_notes_on_own_data(agreed: Agreed) -> None:
    """An owner is told of its own columns what may spoil the result, and of nobody else's; no value is shown."""
    rng = np.random.default_rng(0)
    tables = [np.column_stack([rng.normal(size=300), np.full(300, 3.0), rng.normal(size=300)]) for _ in range(3)]
    tables[1][:, 2] = 5.0
    tables[2][7, 0] = 999_999.0
    one, two, three = (a.notes for a in agreed(tables))
    assert [note for note in one if "'x1'" not in note] == []
    assert any("'x2': all your values are equal" in note for note in two)
    assert any("'x0': your largest value sets the agreed range" in note for note in three)
    assert all("'x1': all values of all owners are equal" in notes[0] for notes in (one, two[:1], three[1:]))
    assert "999" not in " ".join(three)


def test_notes_on_values_outside_and_absent(agreed: Agreed) -> None:
    """Values that a robust range leaves out, columns without values, and few rows are said to their owner."""
    tables = [np.array([[1.0, np.nan]] * 5), np.array([[2.0, 1.0], [50.0, 2.0]] * 3), np.array([[0.0, 3.0]] * 30)]
    first, second, third = (a.notes for a in agreed(tables, missing="token", range_rank=4, precision="exact"))
    assert any("you have no value of it" in note for note in first)
    assert any("3 of your values lie outside" in note for note in second)
    assert any("you have only 5 row" in note for note in first)
    assert not any("row(s)" in note for note in third)


def test_agreements_do_not_show_keys(everything: list[Agreement]) -> None:
    """The text form of an agreement has neither the Key nor the value of a share."""
    text = repr(everything[0])
    assert bytes(everything[0].key).hex() not in text
    share = everything[0].share
    assert share is not None
    assert f"{share.value:x}" not in text
    assert str(share.value) not in text
    assert bytes(everything[0].key).hex() not in msgspec.json.encode(everything[0].record).decode()
