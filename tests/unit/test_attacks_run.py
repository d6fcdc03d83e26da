"""All attacks on the user's own rows, in one report."""

import json

import numpy as np
import pytest

from hashcomb import Categorical, ChannelSpec, HashComb, Key, RandomizedResponse, Spec, Uniform, place
from hashcomb.attacks import AttackReport, advantage_bound, frequency_matching, run_attacks
from hashcomb.attacks.scene import Scene
from hashcomb.channels import Channel, LastHead, RandomDepth, SquareWave
from hashcomb.errors import DataError

CHANNELS = (
    RandomizedResponse(1.0),
    RandomizedResponse(3.0, depth="leaf"),
    SquareWave(1.0),
    RandomDepth(1.0),
    LastHead(0.5),
)


def spec_of(n_features: int = 4, channel: Channel | None = None, **rules: object) -> Spec:
    """Return eight leaves a feature, of a bell."""
    features = tuple(Uniform(name=f"x{j}", lo=-3.0, hi=3.0) for j in range(n_features))
    described = None if channel is None else channel.to_spec()
    return Spec(**{"features": features, "depth": 3, "channel": described, **rules})  # type: ignore[arg-type]


def rows_of(n_rows: int = 300, n_features: int = 4) -> np.ndarray:
    """Return rows of columns that go together, off center."""
    rng = np.random.default_rng(0)
    return 0.4 + rng.normal(size=(n_rows, 1)) + 0.6 * rng.normal(size=(n_rows, n_features))


def figures(report: AttackReport) -> dict[tuple[str, str], float]:
    """Return what each attack achieves on each measure."""
    return {(one.attack, one.measure): one.figure for one in report.figures}


def test_attacks_on_plain_tokens() -> None:
    """Every attack that applies is there, and beats its baseline (frequencies alone misplace what they misname)."""
    rows = rows_of()
    report = run_attacks(spec_of(), rows, rows.mean(axis=1) > 0, seed=0)
    assert {one.attack for one in report.figures} == {
        "frequencies",
        "columns together",
        "known rows",
        "another round",
        "membership",
    }
    for one in report.figures:
        less = one.measure == "error of places"
        if not less or one.attack != "frequencies":
            assert (one.figure < one.baseline) if less else (one.figure > one.baseline), one
        assert one.bound is None
    assert (report.n_target, report.n_auxiliary, report.n_features, report.randomized) == (150, 150, 4, False)
    assert report.notes == ()


def test_figures_are_those_of_the_attacks() -> None:
    """What the report says of frequencies is what the attack gives on the same halves."""
    rows, spec = rows_of(), spec_of()
    scene = Scene(spec, rows, None, 0, 4000)
    again = frequency_matching(scene.tokens[..., -1], scene.auxiliary_leaves, scene.target_leaves, n_leaves=8)
    found = figures(run_attacks(spec, rows, seed=0))
    assert found["frequencies", "leaves named"] == np.mean(again.recovered)
    assert found["frequencies", "error of places"] == np.mean(again.error)


def test_tokens_are_those_of_the_codec(key: Key) -> None:
    """The scene encodes as the codec does, at every level and round."""
    rows, spec = rows_of(), spec_of(tokens="comb")
    scene = Scene(spec, rows, None, 0, 4000)
    scene._key = key
    leaves = place(rows, spec)
    for number in (0, 1):
        assert (scene.encode(leaves, round=number) == HashComb(spec, key, round=number).encode(rows)).all()


@pytest.mark.parametrize("channel", [None, RandomizedResponse(2.0)])
def test_a_seed_makes_it_repeatable_and_the_key_does_not_matter(channel: Channel | None) -> None:
    """Two reports under two fresh Keys are equal; another seed draws other noise."""
    spec, rows = spec_of(channel=channel), rows_of()
    assert run_attacks(spec, rows, seed=3) == run_attacks(spec, rows, seed=3)
    if channel is not None:
        assert run_attacks(spec, rows, seed=3) != run_attacks(spec, rows, seed=4)


@pytest.mark.filterwarnings("ignore::hashcomb.errors.WeakPrivacyWarning")
@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.kind)
def test_a_channel_blunts_the_attacks(channel: Channel) -> None:
    """With any kind of channel fewer leaves are named, fewer rows joined than without; a memo joins them again."""
    rows = rows_of()
    plain = figures(run_attacks(spec_of(), rows, seed=0))
    report = run_attacks(spec_of(channel=channel), rows, seed=0)
    noisy = figures(report)
    assert noisy["columns together", "leaves named"] < plain["columns together", "leaves named"]
    assert noisy["another round", "rows joined"] < plain["another round", "rows joined"]
    assert noisy["another round, memoized", "rows joined"] > noisy["another round", "rows joined"]
    member = report.figures[-1]
    assert member.attack == "membership"
    assert (member.bound is None) == (channel.kind == "last_head")
    assert report.randomized


def test_noise_that_tells_nothing_leaves_guessing() -> None:
    """At an epsilon near 0 the attacker names the most frequent leaf and the mean place, and joins no rows."""
    report = run_attacks(spec_of(channel=RandomizedResponse(0.001)), rows_of(600), seed=0)
    for one in report.figures:
        if one.attack in ("frequencies", "columns together"):
            assert one.figure == pytest.approx(one.baseline, abs=0.01)
    assert figures(report)["another round", "rows joined"] < 0.03
    assert abs(report.figures[-1].figure) < 0.15  # 5 standard deviations of chance
    assert report.figures[-1].bound == pytest.approx(0.002, abs=1e-4)


def test_paths_are_attacked_where_there_are_paths() -> None:
    """With tokens of all levels there is one more attack, and it beats that on leaves."""
    found = figures(run_attacks(spec_of(tokens="comb"), rows_of(), seed=0))
    assert found["paths", "error of places"] < found["frequencies", "error of places"]


@pytest.mark.parametrize("tokens", ["leaf", 2, "comb"])
def test_xxh3_is_opened(tokens: str | int) -> None:
    """One known row reads every token; without one, hints do; with a channel, reports are read."""
    for channel in (None, RandomizedResponse(3.0, depth="leaf")):
        found = figures(run_attacks(spec_of(hash="xxh3", tokens=tokens, channel=channel), rows_of(), seed=0))
        assert found["seeds of xxh3", "tokens read"] == 1.0
        assert found["xxh3, no known row", "tokens read"] > (0.9 if channel is None else 0.4)
    short = run_attacks(spec_of(hash="xxh3", tokens=tokens, token_bits=32), rows_of(), seed=0)
    assert "search_seeds_32" in short.notes[0]


@pytest.mark.parametrize("reported", [0, 1, 2])
def test_missing_values_and_categories(reported: int) -> None:
    """Tables with missing values, categories and, in each record, features that are not reported are attacked too."""
    rng = np.random.default_rng(0)
    described = ChannelSpec(kind="randomized_response", params={"epsilon": 2.0, "report_features": float(reported)})
    features = (Categorical(name="c", categories=("a", "b", "c")), Uniform(name="u", lo=0.0, hi=1.0))
    spec = Spec(features=features, depth=2, missing="token", channel=described if reported else None)
    values = rng.choice([0.1, 0.6, 0.9, np.nan], 400, p=[0.5, 0.2, 0.2, 0.1])
    table = {"u": values, "c": rng.choice(["a", "b", "c"], 400, p=[0.7, 0.2, 0.1]).astype(object)}
    report = run_attacks(spec, table, seed=0)
    assert {one.attack for one in report.figures} >= {"frequencies", "known rows", "another round", "membership"}
    named = figures(report)["frequencies", "leaves named"]
    assert named > (0.2 if reported else 0.8)
    epsilon = {0: None, 1: advantage_bound(2.0), 2: advantage_bound(4.0)}[reported]
    assert report.figures[-1].bound == (None if epsilon is None else pytest.approx(epsilon, abs=1e-6))


@pytest.mark.parametrize(
    ("channel", "rules"),
    [
        *((channel, {}) for channel in CHANNELS),
        (CHANNELS[0], {"missing": "token"}),
        (CHANNELS[1], {"missing": "token"}),
        (CHANNELS[1], {"tokens": 2}),
        (CHANNELS[1], {"tokens": 1, "missing": "token"}),
    ],
    ids=str,
)
def test_laws_are_those_of_the_reports(channel: Channel, rules: dict[str, object]) -> None:
    """What the attacker knows of the channel is what reports do (200,000 of them, within 6 standard deviations)."""
    scene = Scene(spec_of(1, channel, **rules), rows_of(8, 1), None, 0, 4000)
    assert scene.laws is not None
    law = scene.laws[0]
    assert law is not None
    n = 200_000 // len(law)
    for symbol, wanted in enumerate(law):
        reports = scene.report_symbols(np.full((n, 1), symbol))[:, 0]
        shares = np.bincount(reports, minlength=len(wanted)) / n
        assert shares == pytest.approx(wanted, abs=6 * 0.5 / np.sqrt(n))


def test_large_tables_are_cut() -> None:
    """Rows and features beyond the limits are left out, and the report says so."""
    report = run_attacks(spec_of(), rows_of(500), seed=0, max_rows=100)
    assert (report.n_target, report.n_auxiliary) == (50, 50)
    assert report.notes == ("100 of 500 rows were taken at random.",)
    wide = run_attacks(spec_of(3, depth=11, tokens="comb"), rows_of(3000, 3), seed=0)
    assert [note.split(" ")[0] for note in wide.notes] == ["The", "The", "Rows", "1000"]
    loud = run_attacks(spec_of(1, RandomizedResponse(2.0), depth=11), rows_of(100, 1), seed=0)
    assert "more than 1024 symbols" in loud.notes[0]
    assert {one.attack for one in loud.figures} == {"known rows", "another round", "another round, memoized"}


def test_what_people_and_programs_read() -> None:
    """The text has a line a figure and a sentence an attack; the JSON holds everything."""
    report = run_attacks(spec_of(channel=RandomizedResponse(1.0)), rows_of(40), seed=0)
    text = report.to_text()
    for one in report.figures:
        assert f"- {one.attack} (has {one.has}): " in " ".join(text.split())
        assert sum(line.startswith(f"  {one.attack:<23}  {one.measure:<17}") for line in text.splitlines()) == 1
    assert "no attack above 0.9" in text
    assert max(map(len, text.splitlines())) <= 95
    read = json.loads(report.to_json())
    assert [one["figure"] for one in read["figures"]] == [one.figure for one in report.figures]
    assert read["fingerprint"] == report.fingerprint


def test_too_little_is_refused() -> None:
    """Three rows, or labels for some, are no basis."""
    with pytest.raises(DataError, match="too few"):
        run_attacks(spec_of(), rows_of(3))
    with pytest.raises(DataError, match="labels"):
        run_attacks(spec_of(), rows_of(10), [0, 1])
    assert run_attacks(spec_of(), rows_of(4), seed=0).n_target == 2
