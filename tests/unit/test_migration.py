"""Migrated tokens are those that encoding the values again would give, or the migration says that they are not."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray

from hashcomb import Categorical, Comb, HashComb, Key, Migration, Quantile, RandomizedResponse, Spec, Uniform, migration
from hashcomb.channels import describe
from hashcomb.errors import DataError, FingerprintError, SpecError
from hashcomb.header import header_of
from hashcomb.spec import ChannelSpec

OLD, NEW = Key(bytes(range(32))), Key(bytes(range(1, 33)))
REFUSED = "refused"

CHANNELS = [
    describe("randomized_response", {"depth": "leaf"}, n_leaves=4, epsilon=1.0),
    describe("randomized_response", {"depth": 1}, n_leaves=4, epsilon=1.0),
    describe("randomized_response", {"depth": "leaf"}, n_leaves=4, epsilon=1.0, report_features=1),
    describe("geometric", n_leaves=4, epsilon=1.0),
    describe("square_wave", n_leaves=4, epsilon=1.0),
    describe("rqm", {"keep": 0.4, "margin": 1.0, "n_levels": 8}, n_leaves=4),
]


def uniform(depth: int = 2, lo: float = 0.0, hi: float = 1.0, **rules: Any) -> Spec:
    """Return a Spec of one uniform feature."""
    return Spec(features=(Uniform(name="a", lo=lo, hi=hi),), depth=depth, **rules)


def two_uniform(**rules: Any) -> Spec:
    """Return a Spec of two uniform features."""
    return Spec(features=(Uniform(name="a", lo=0.0, hi=1.0), Uniform(name="b", lo=-1.0, hi=1.0)), depth=2, **rules)


def colors(*categories: str, depth: int = 2, **rules: Any) -> Spec:
    """Return a Spec of one categorical feature."""
    return Spec(features=(Categorical(name="color", categories=categories),), depth=depth, **rules)


# ---------------------------------------------------------------------- other keys and salts
@pytest.mark.parametrize("tokens", ["leaf", "comb", 2])
@pytest.mark.parametrize("salts", [{}, {"dataset": "2027"}, {"round": 3}])
def test_another_key_or_salt_is_exact(tokens: Any, salts: Any, table: NDArray[Any], learn: Callable[..., Spec]) -> None:
    """Under another Key or other salts each token is the one of its row, for every kind of tokens."""
    spec = learn(table, depth=4, tokens=tokens, missing="token")
    table[3, 1] = np.nan
    old, new = HashComb(spec, OLD), HashComb(spec, NEW if not salts else OLD, **salts)
    moved = Migration(old, new)
    assert moved.exact
    got = moved.apply(old.encode(table))
    assert (got == new.encode(table)).all()
    assert got.header == new.header


@pytest.mark.parametrize("rules", [{"hash": "siphash"}, {"token_bits": 32}, {"tokens": "comb"}, {"tokens": 1}])
def test_another_hash_width_or_level_is_exact(rules: Any) -> None:
    """Tokens of leaves become those of another hash, width, coarser level or all levels."""
    old, new = HashComb(uniform(), OLD), HashComb(replace(uniform(), **rules), NEW)
    rows = np.linspace(-0.5, 1.5, 41)[:, None]
    assert (Migration(old, new).apply(old.encode(rows)) == new.encode(rows)).all()


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.kind)
def test_reports_stay_what_they_are(channel: ChannelSpec) -> None:
    """Every report of every kind of channel becomes the token of the same report, under a header that says so."""
    spec = two_uniform(channel=channel)
    old, new = HashComb(spec, OLD), HashComb(replace(spec, hash="siphash"), NEW)
    reports = old.encode(np.random.default_rng(0).random((400, 2)))
    moved = Migration(old, new)
    got = moved.apply(reports)
    assert (new.reports(got) == old.reports(reports)).all()
    assert (moved.exact, got.header) == (True, new.header)


def test_reports_of_leaves_that_hold_no_value_stay_what_they_are() -> None:
    """A report may name an empty leaf, which is brought along like any other."""
    feature = Quantile(name="a", lo=0.0, hi=2.0, edges=(1.0, 1.0, 1.0))
    spec = Spec(features=(feature,), depth=2, channel=CHANNELS[0])
    old, new = HashComb(spec, OLD), HashComb(spec, NEW)
    reports = old.encode(np.zeros((400, 1)))
    assert len(np.unique(old.reports(reports))) == 4
    assert (new.reports(Migration(old, new).apply(reports)) == old.reports(reports)).all()


def test_migrated_reports_are_those_that_a_memo_key_repeats() -> None:
    """Records that a memo key knows have, under another shared Key, the report that migration gives."""
    spec, memo = uniform(channel=CHANNELS[0]), Key(bytes(range(2, 34)))
    old, new = HashComb(spec, OLD), HashComb(spec, NEW)
    rows, ids = np.random.default_rng(0).random((50, 1)), range(50)
    reports = old.encode(rows, record_ids=ids, memo_key=memo)
    assert (Migration(old, new).apply(reports) == new.encode(rows, record_ids=ids, memo_key=memo)).all()


def test_reports_may_go_to_a_coarser_level() -> None:
    """The node above a report is what the channel and a coarser level give."""
    fine = uniform(channel=CHANNELS[0])
    old, new = HashComb(fine, OLD), HashComb(replace(fine, tokens=1), NEW)
    reports = old.encode(np.random.default_rng(0).random((100, 1)))
    assert (new.reports(Migration(old, new).apply(reports)) == old.reports(reports) >> 1).all()


# ---------------------------------------------------------------------- what is not what the header would say
@pytest.mark.parametrize(
    "new",
    [
        uniform(),
        uniform(3, channel=CHANNELS[0]),
        uniform(hi=2.0, channel=CHANNELS[0]),
        uniform(outside="error", channel=CHANNELS[0]),
        uniform(missing="token", channel=CHANNELS[0]),
        uniform(channel=CHANNELS[1]),
        uniform(channel=replace(CHANNELS[0], params={"epsilon": 2.0, "depth": "leaf"})),
    ],
)
def test_reports_go_to_no_other_channel_or_leaves(new: Spec) -> None:
    """Reports are refused by a Spec whose channel, or whose leaves, are others; and its tokens are not made of them."""
    codecs = HashComb(uniform(channel=CHANNELS[0]), OLD), HashComb(new, NEW)
    for old, to in (codecs, codecs[::-1]):
        with pytest.raises(SpecError, match="same channel on the same leaves"):
            Migration(old, to)


def test_reports_go_to_no_finer_level_and_no_other_order_of_categories() -> None:
    """Reports of a coarse level are none of the leaves, and those of categories none of another list of them."""
    coarse = uniform(channel=CHANNELS[0], tokens=1)
    lists = [colors(*names, channel=CHANNELS[0]) for names in (("red", "green"), ("green", "red"))]
    for old, new in ((coarse, replace(coarse, tokens="leaf")), lists):
        with pytest.raises(SpecError, match="no finer level"):
            Migration(HashComb(old, OLD), HashComb(new, NEW))


def test_reports_moved_to_another_comb_would_not_be_reports_of_its_channel() -> None:
    """Why they are refused: randomized response on 4 leaves, joined to 2, is not randomized response on 2."""
    law = RandomizedResponse(1.0, depth="leaf").on(4).matrix()
    joined = law.reshape(4, 2, 2).sum(axis=2)[::2]
    assert np.abs(joined - RandomizedResponse(1.0, depth="leaf").on(2).matrix()).max() > 0.05


@pytest.mark.parametrize("channel", [CHANNELS[0], CHANNELS[4]], ids=["randomized_response", "square_wave"])
def test_tokens_past_the_channel_are_refused(channel: ChannelSpec) -> None:
    """Tokens of true values never come out under the header of reports."""
    old, new = (HashComb(uniform(channel=channel), key) for key in (OLD, NEW))
    with pytest.raises(FingerprintError, match="past the channel"):
        Migration(old, new).apply(old.encode_clean(np.array([[0.5]])))


@pytest.mark.parametrize("channel", [None, CHANNELS[0]], ids=["none", "randomized_response"])
def test_tokens_without_a_header_get_none(channel: ChannelSpec | None) -> None:
    """Of what has no header it is not known whether it is a report, and no header says so."""
    old, new = (HashComb(uniform(channel=channel), key) for key in (OLD, NEW))
    bare = np.asarray(old.encode(np.array([[0.5], [0.9]])))
    assert header_of(Migration(old, new).apply(bare)) is None


# ---------------------------------------------------------------------- other leaves, by brute force
def places(spec: Spec, values: NDArray[np.float64]) -> list[Any]:
    """Return what encoding gives for each value alone: its token, or that it is refused."""
    codec = HashComb(spec, NEW)
    found: list[Any] = []
    for value in values:
        try:
            found.append(codec.encode(np.array([[value]])).tobytes())
        except DataError:
            found.append(REFUSED)
    return found


def turning_points(*specs: Spec) -> NDArray[np.float64]:
    """Return a value from every interval on which both Specs encode alike: cuts, ends, and the doubles beside them."""
    at = np.unique(np.concatenate([Comb(spec).bounds()[0] for spec in specs]))
    near = [at, np.nextafter(at, -np.inf), np.nextafter(at, np.inf)]
    return np.concatenate([*near, [-np.inf, np.inf]])


def check_against_brute_force(before: Spec, after: Spec) -> bool:
    """Compare a migration with encoding every turning point again; return whether it is exact."""
    values = turning_points(before, after)
    kept = np.array([place != REFUSED for place in places(before, values)])
    values = values[kept]
    old, new = HashComb(before, OLD), HashComb(after, NEW)
    tokens = old.encode(values[:, None])
    wanted, nodes = places(after, values), old.reports(tokens)[:, 0]
    goes = {node: {place for place, own in zip(wanted, nodes, strict=True) if own == node} for node in {*nodes}}
    moved = Migration(old, new)
    (feature,) = moved.report
    several = {node for node, where in goes.items() if len(where) > 1}
    assert (feature.tokens, feature.straddling) == (len(goes), len(several))
    assert feature.refused == sum(where == {REFUSED} for where in goes.values())
    for token, node, place in zip(tokens, nodes, wanted, strict=True):
        if node in several:
            continue
        try:
            assert moved.apply(token[None], approximate=True).tobytes() == place
        except DataError:
            assert place == REFUSED
    return moved.exact


@st.composite
def numeric(draw: st.DrawFn) -> Spec:
    """Draw a Spec of one feature, whose cuts are often those of another one."""
    depth = draw(st.integers(1, 3))
    outside: Any = draw(st.sampled_from(["clip", "error"]))
    tokens = draw(st.sampled_from(["leaf", "comb", *range(1, depth + 1)]))
    n_cuts = (1 << depth) - 1
    cuts = sorted(draw(st.lists(st.integers(0, 6), min_size=n_cuts + 2, max_size=n_cuts + 2)))
    if draw(st.booleans()):
        feature: Any = Uniform(name="a", lo=float(cuts[0]), hi=cuts[-1] + 1.0)
    else:
        inner = tuple(map(float, cuts[1:-1]))
        feature = Quantile(name="a", lo=float(cuts[0]), hi=float(cuts[-1]), edges=inner)
    return Spec(features=(feature,), depth=depth, outside=outside, tokens=tokens)


@given(numeric(), numeric())
@settings(max_examples=100)
def test_exact_is_what_brute_force_finds(before: Spec, after: Spec) -> None:
    """Over all intervals of doubles: leaves straddle, are refused or go where encoding again says they do."""
    check_against_brute_force(before, after)


@given(numeric())
@settings(max_examples=40)
def test_the_same_leaves_are_exact(spec: Spec) -> None:
    """Whatever the Spec, another Key is exact."""
    assert check_against_brute_force(spec, spec)


def test_brute_force_notices_a_planted_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration that forgets the values clipped into the end leaves is caught."""
    before, after = uniform(1), uniform(1, hi=1.0, lo=-1.0, outside="error")
    check_against_brute_force(before, after)
    real = migration._of_numbers
    monkeypatch.setattr(migration, "_of_numbers", lambda old, new, j: real(replace(old, outside="error"), new, j))
    with pytest.raises(AssertionError):
        check_against_brute_force(before, after)


def test_every_other_cut_taken_out_is_exact() -> None:
    """A comb of half the leaves, whose cuts the old one has, takes all tokens exactly."""
    assert check_against_brute_force(uniform(4), uniform(3))
    assert not check_against_brute_force(uniform(3), uniform(4))


# ---------------------------------------------------------------------- approximate
def test_an_inexact_migration_is_refused_unless_asked_for() -> None:
    """The refusal names the feature and how many tokens straddle, and no cut."""
    old, new = HashComb(uniform(), OLD), HashComb(uniform(hi=1.25), NEW)
    moved = Migration(old, new)
    assert (moved.exact, moved.report[0].straddling, moved.report[0].share) == (False, 3, 0.75)
    with pytest.raises(SpecError, match="of 'a': 3 of 4") as refused:
        moved.apply(old.encode(np.array([[0.5]])))
    assert "0.5" not in str(refused.value)


@pytest.mark.parametrize("means", [None, (0.01, 0.3, 0.55, 0.95)])
def test_approximate_tokens_are_those_of_what_stands_for_the_leaf(means: Any) -> None:
    """An approximate migration encodes what the old tokens decode to: agreed means, else centers."""
    before = Spec(features=(Uniform(name="a", lo=0.0, hi=1.0, means=means),), depth=2)
    old, new = HashComb(before, OLD), HashComb(uniform(3, hi=1.25), NEW)
    tokens = old.encode(np.linspace(0, 1, 33)[:, None])
    assert (Migration(old, new).apply(tokens, approximate=True) == new.encode(old.decode(tokens))).all()


# ---------------------------------------------------------------------- categories, missing values
@pytest.mark.parametrize(
    ("before", "after", "straddling", "refused"),
    [
        (colors("r", "g"), colors("g", "b", "r"), 0, 0),
        (colors("r", "g"), colors("g"), 0, 1),
        (colors("r", "g"), colors("g", unknown="token"), 0, 0),
        (colors("r", "g", unknown="token"), colors("g", "r", unknown="token"), 0, 0),
        (colors("r", "g", unknown="token"), colors("g", "r"), 0, 1),
        (colors("r", "g", unknown="token"), colors("g", "r", "b", unknown="token"), 1, 0),
        (colors("r", "g", "b", "y", tokens=1), colors("r", "g", "b", "y"), 2, 0),
        (colors("r", "g", "b", "y", tokens=1), colors("b", "y", "r", "g", tokens=1), 0, 0),
        (colors("r", "g", "b", "y"), colors("y", "r", "g", "b", "x", depth=3, tokens=1), 0, 0),
    ],
)
def test_categories_by_brute_force(before: Spec, after: Spec, straddling: int, refused: int) -> None:
    """Categories go where encoding them again says, whatever the lists, their order and the rule for unknown ones."""
    old, new = HashComb(before, OLD), HashComb(after, NEW)
    moved = Migration(old, new)
    assert (moved.report[0].straddling, moved.report[0].refused) == (straddling, refused)
    for color in ["r", "g", "b", "y", "other"]:
        row = {"color": np.array([color], dtype=object)}
        try:
            token = old.encode(row)
        except DataError:
            continue
        try:
            wanted = new.encode(row)
        except DataError:
            if not straddling:
                with pytest.raises(DataError, match="refuses"):
                    moved.apply(token)
            continue
        if not straddling:
            assert (moved.apply(token) == wanted).all()


def test_missing_values_keep_their_token_or_are_refused() -> None:
    """A missing value is one under the new Spec, or an error that names column and row."""
    old = HashComb(uniform(missing="token"), OLD)
    tokens = old.encode(np.array([[0.5], [np.nan]]))
    kept, refusing = (HashComb(uniform(missing=rule), NEW) for rule in ("token", "error"))
    assert (Migration(old, kept).apply(tokens) == kept.encode(np.array([[0.5], [np.nan]]))).all()
    with pytest.raises(DataError, match="column 'a', row 1"):
        Migration(old, refusing).apply(tokens)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (uniform(), colors("r")),
        (uniform(), Spec(features=(Uniform(name="z", lo=0.0, hi=1.0),), depth=2)),
        (uniform(), two_uniform()),
        (colors("1"), Spec(features=(Categorical(name="color", categories=(1,)),), depth=2)),
        (
            Spec(features=(Uniform(name="a", lo=0.0, hi=1.0, origin="2000-01-01"),), depth=2),
            Spec(features=(Uniform(name="a", lo=0.0, hi=1.0, origin="2001-01-01"),), depth=2),
        ),
    ],
)
def test_other_features_are_refused(before: Spec, after: Spec) -> None:
    """Numbers do not become categories, text not numbers, and days are counted from one date."""
    for old, new in itertools.permutations((before, after)):
        with pytest.raises(SpecError, match="features"):
            Migration(HashComb(old, OLD), HashComb(new, NEW))


# ---------------------------------------------------------------------- tables and errors
@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_frames_stay_frames(library: str) -> None:
    """A frame of tokens gives one of its library, with the new header where it has a place for it, and its index."""
    old, new = HashComb(two_uniform(tokens="comb"), OLD), HashComb(two_uniform(), NEW)
    values = np.random.default_rng(0).random((5, 2))
    frame = pd.DataFrame(values, columns=["a", "b"], index=list("vwxyz"))
    made: Any = {"pandas": frame, "polars": pl.from_pandas(frame), "pyarrow": pa.table(dict(frame))}[library]
    got = Migration(old, new).apply(old.encode(made))
    assert type(got) is type(made)
    assert (np.column_stack([np.asarray(got[name]) for name in ("a", "b")]) == new.encode(values)).all()
    assert header_of(got) == (None if library == "polars" else new.header)
    if library == "pandas":
        assert got.index.tolist() == list("vwxyz")


def test_tokens_of_others_are_refused() -> None:
    """Unknown tokens are a DataError that names their place, and headers of another Key a FingerprintError."""
    old, new = (HashComb(uniform(), key) for key in (OLD, NEW))
    moved = Migration(old, new)
    with pytest.raises(DataError, match="column 'a', row 0"):
        moved.apply(np.array([[12345]], dtype=np.uint64))
    with pytest.raises(FingerprintError, match="another Key"):
        moved.apply(new.encode(np.array([[0.5]])))


def test_nothing_of_the_keys_is_shown() -> None:
    """The repr names public ids alone."""
    shown = repr(Migration(HashComb(uniform(), OLD), HashComb(uniform(hi=1.25), NEW)))
    assert "1 of 1 features inexact" in shown
    assert bytes(OLD).hex()[:16] not in shown


def test_deep_combs_are_migrated() -> None:
    """Combs whose tokens are hashed as they occur go the same way."""
    old, new = HashComb(uniform(14), OLD), HashComb(uniform(13, hash="siphash"), NEW)
    rows = np.random.default_rng(0).random((50, 1))
    moved = Migration(old, new)
    assert moved.exact
    assert (moved.apply(old.encode(rows)) == new.encode(rows)).all()
