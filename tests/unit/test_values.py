"""Decoding through a channel: reports that are no leaves, posterior means and unbiased codes."""

from typing import Any

import numpy as np
import pytest

from hashcomb import Categorical, ChannelSpec, HashComb, Key, Quantile, RandomizedResponse, Spec, Uniform
from hashcomb.channels import Channel, LastHead, Matrix, RandomDepth, SquareWave
from hashcomb.errors import SpecError

pytestmark = pytest.mark.filterwarnings("ignore::hashcomb.errors.HashcombWarning")
X = Uniform(name="x", lo=0.0, hi=8.0)
Q = Quantile(name="q", lo=0.0, hi=8.0, edges=(1.0, 1.5, 2.0, 4.0, 5.0, 6.0, 7.0))
ROWS = np.random.default_rng(3).uniform(0, 8, (4000, 2))


def codec_with(channel: Channel, key: Key, **rules: Any) -> HashComb:
    """Return a codec of two features of depth 3 with a channel."""
    return HashComb(Spec(**{"features": (X, Q), "depth": 3, "channel": channel.to_spec(), **rules}), key)


def test_coarse_reports_decode_to_the_middle_of_their_leaves(key: Key) -> None:
    """A report at depth 1 stands for half of the leaves: center and rank are those of the half."""
    codec = codec_with(RandomizedResponse(1.0, depth=1), key)
    tokens = codec.encode(ROWS, seed=1)
    reports = codec.reports(tokens)
    assert set(np.unique(reports)) == {0, 1}
    assert np.array_equal(codec.decode(tokens), np.where(reports == 0, 2.0, [[6.0, 6.0]]))
    assert np.allclose(codec.decode(tokens, "rank"), np.where(reports == 0, 1.5 / 7, 5.5 / 7))


def test_posterior_is_the_mean_of_the_values_behind_a_report(key: Key) -> None:
    """With values that fill the leaves evenly, the posterior mean is the empirical mean of true centers by report."""
    rows = np.repeat(np.arange(8)[:, None] + 0.5, 2, axis=1).repeat(20_000, axis=0)
    channel = RandomizedResponse(1.0)
    codec = codec_with(channel, key, features=(X, Uniform(name="y", lo=0.0, hi=8.0)))
    tokens = codec.encode(rows, seed=2)
    values, reports = codec.decode(tokens, "posterior"), codec.reports(tokens)
    for report in range(channel.on(8).n_reports):
        of_report = reports[:, 0] == report
        assert values[of_report, 0].max() == values[of_report, 0].min()
        assert values[of_report, 0][0] == pytest.approx(rows[of_report, 0].mean(), abs=0.05)


def test_unbiased_codes_average_to_the_truth(key: Key) -> None:
    """Over many reports of one value, the unbiased decoding has its leaf's center as the mean."""
    codec = codec_with(SquareWave(2.0), key)
    rows = np.full((200_000, 2), 2.6)
    decoded = codec.decode(codec.encode(rows, seed=4), "unbiased")
    assert decoded.mean(axis=0) == pytest.approx([2.5, 3.0], abs=5 * decoded.std(axis=0).max() / np.sqrt(200_000))


def test_the_default_is_what_reports_stand_for_or_the_posterior(key: Key) -> None:
    """Nodes decode to their centers; numbers that stand for no leaves to the posterior mean."""
    tree, wave = codec_with(RandomDepth(1.0), key), codec_with(SquareWave(1.0), key)
    tokens = tree.encode(ROWS, seed=5)
    sets = RandomDepth(1.0, 8).report_sets()
    assert np.allclose(tree.decode(tokens)[:, 0], sets.mean(axis=1)[tree.reports(tokens)[:, 0]])
    tokens = wave.encode(ROWS, seed=5)
    assert np.array_equal(wave.decode(tokens), wave.decode(tokens, "posterior"))


def test_categories_and_missing_values_through_a_coarse_channel(key: Key) -> None:
    """Categories come back as categories, missing reports as missing, and numbers as their block's center."""
    colors = Categorical(name="c", categories=("red", "green", "blue"))
    codec = codec_with(RandomizedResponse(9.0, depth="auto"), key, features=(X, colors), depth=4, missing="token")
    rows = {"x": [0.1, np.nan, 7.9], "c": np.array(["red", "blue", None], dtype=object)}
    decoded = codec.decode(codec.encode(rows, seed=6))
    assert decoded[:, 1].tolist() == ["red", "blue", None]
    assert decoded[0, 0] < 1.0
    assert decoded[2, 0] > 7.0
    assert np.isnan(float(decoded[1, 0]))


def test_features_that_are_not_reported_decode_to_missing(key: Key) -> None:
    """With one of two features reported, the other is NaN, and its token is the same for all records."""
    described = RandomizedResponse(1.0, depth="leaf").to_spec()
    spec = Spec(
        features=(X, Q),
        depth=3,
        channel=ChannelSpec(kind=described.kind, params={**described.params, "report_features": 1.0}),
    )
    codec = HashComb(spec, key)
    tokens = codec.encode(ROWS, seed=7)
    left_out = np.isnan(codec.decode(tokens))
    assert (left_out.sum(axis=1) == 1).all()
    assert len(np.unique(np.asarray(tokens)[:, 0][left_out[:, 0]])) == 1
    assert [len(issued) for issued in codec.issued_tokens()] == [9, 9]


@pytest.mark.parametrize(
    ("channel", "kind", "match"),
    [
        (SquareWave(1.0), "center", "no center"),
        (SquareWave(1.0), "rank", "no rank"),
        (RandomizedResponse(1.0, depth=1), "mean", "no agreed means"),
        (RandomizedResponse(1.0, depth=1), "unbiased", "'x'.*do not tell the symbols apart"),
    ],
)
def test_what_reports_cannot_be_decoded_to(key: Key, channel: Channel, kind: Any, match: str) -> None:
    """Each impossible wish is refused by a typed error that says why."""
    codec = codec_with(channel, key)
    with pytest.raises(SpecError, match=match):
        codec.decode(codec.encode(ROWS, seed=8), kind)


def test_deterministic_tokens_have_no_posterior(key: Key) -> None:
    """Without a channel there is nothing to invert."""
    codec = HashComb(Spec(features=(X, Q), depth=3), key)
    with pytest.raises(SpecError, match="no channel"):
        codec.decode(codec.encode(ROWS), "posterior")


@pytest.mark.parametrize("kind", ["posterior", "unbiased"])
def test_true_leaves_have_no_posterior(key: Key, kind: Any) -> None:
    """`represent` is about leaves and not about reports."""
    codec = codec_with(RandomizedResponse(1.0), key)
    with pytest.raises(SpecError, match="true leaves"):
        codec.represent(np.zeros((1, 2), dtype=np.int32), kind)


def test_last_head_tokens_are_true_nodes(key: Key) -> None:
    """The paper's rule never lies: every report's run of leaves holds the true one."""
    codec = codec_with(LastHead(0.5), key, features=(X, Uniform(name="y", lo=0.0, hi=8.0)))
    reports = codec.reports(codec.encode(ROWS, seed=9))
    first, stop = LastHead(0.5, 8).report_sets()[reports].transpose(2, 0, 1)
    leaves = ROWS.astype(int)
    assert ((first <= leaves) & (leaves < stop)).all()


def test_categories_behind_reports_of_another_kind(key: Key) -> None:
    """A report that stands for no category decodes to the likeliest one, and to no mean of positions."""
    law = [[0.5, 0.4, 0.1], [0.4, 0.5, 0.1], [0.1, 0.1, 0.8], [0.05, 0.05, 0.9]]
    colors = Categorical(name="c", categories=("red", "green", "blue", "gray"))
    channel = Matrix(law)
    codec = HashComb(Spec(features=(colors,), depth=2, channel=channel.to_spec()), key)
    tokens = codec.encode(np.array([["red"], ["green"], ["blue"]] * 200, dtype=object), seed=1)
    reports, decoded = codec.reports(tokens)[:, 0], codec.decode(tokens)[:, 0]
    assert [set(decoded[reports == report]) for report in range(3)] == [{"red"}, {"green"}, {"gray"}]


def test_the_default_posterior_is_that_of_the_agreed_means(key: Key) -> None:
    """Where a Spec has means, reports that are no leaves decode to the posterior of the means."""
    means = tuple((np.arange(8) + 0.25).tolist())
    codec = codec_with(SquareWave(1.0), key, features=(Uniform(name="x", lo=0.0, hi=8.0, means=means),))
    tokens = codec.encode(ROWS[:, :1], seed=2)
    assert np.array_equal(codec.decode(tokens), codec.decode(tokens, "posterior"))
    assert codec.decode(tokens).mean() < 4.0


def test_too_many_reports_for_narrow_tokens(key: Key) -> None:
    """32 bits are refused where reports are so many that two of them would have one token."""
    channel = Matrix(np.full((2, 5000), 1 / 5000))
    colors = Categorical(name="c", categories=("red", "green"))
    with pytest.raises(SpecError, match="32 bits are too few"):
        HashComb(Spec(features=(colors,), depth=1, token_bits=32, channel=channel.to_spec()), key)
