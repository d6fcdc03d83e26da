"""Exact figures of a matrix, against brute force and known values, and the report of a Spec."""

import json
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from hashcomb import Categorical, PrivacyReport, RandomizedResponse, Spec, Uniform
from hashcomb.channels import channels_of
from hashcomb.errors import ChannelError
from hashcomb.privacy import hockey_stick, pure_epsilon, renyi

FEATURES = (Uniform(name="a", lo=0.0, hi=1.0), Uniform(name="b", lo=0.0, hi=1.0))


def random_matrix(n_symbols: int, n_reports: int) -> np.ndarray:
    """Return a random row-stochastic matrix."""
    matrix = np.random.default_rng(n_symbols).random((n_symbols, n_reports))
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


def test_pure_epsilon_by_brute_force() -> None:
    """The largest log ratio over all pairs of rows and all columns."""
    matrix = random_matrix(5, 7)
    pairs = [(i, j, y) for i in range(5) for j in range(5) for y in range(7)]
    assert pure_epsilon(matrix) == pytest.approx(max(math.log(matrix[i, y] / matrix[j, y]) for i, j, y in pairs))


def test_a_report_that_one_symbol_never_gives_has_no_epsilon() -> None:
    """A zero in a column that is used makes epsilon infinite; a column that is never used does not."""
    assert pure_epsilon([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]) == math.inf
    assert pure_epsilon([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]) == 0.0


@pytest.mark.parametrize("alpha", [1.5, 2.0, 8.0, 32.0])
def test_renyi_by_brute_force(alpha: float) -> None:
    """The largest Renyi divergence over ordered pairs, straight from its definition."""
    matrix = random_matrix(4, 6)
    pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
    sums = [sum(matrix[i] ** alpha * matrix[j] ** (1 - alpha)) for i, j in pairs]
    assert renyi(matrix, alpha) == pytest.approx(max(math.log(s) for s in sums) / (alpha - 1), rel=1e-9)


def test_renyi_at_extreme_orders() -> None:
    """At a huge order the divergence approaches epsilon and does not underflow; a zero makes it infinite."""
    matrix = RandomizedResponse(4.0, 16).matrix()
    assert renyi(matrix, 5000.0) == pytest.approx(4.0, abs=5e-3)
    assert renyi([[0.5, 0.5], [1.0, 0.0]], 2.0) == math.inf


def test_hockey_stick_by_brute_force() -> None:
    """Delta is the largest sum of positive parts over ordered pairs."""
    matrix, g = random_matrix(4, 6), math.exp(0.3)
    pairs = [(i, j) for i in range(4) for j in range(4)]
    expected = max(np.maximum(matrix[i] - g * matrix[j], 0).sum() for i, j in pairs)
    assert hockey_stick(matrix, 0.3) == pytest.approx(expected)
    channel = RandomizedResponse(1.0, 8)
    assert hockey_stick(channel.matrix(), channel.epsilon) == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("matrix", [[1.0], [[]], [[0.5, 0.6]], [[-0.5, 1.5]], [[math.nan, 1.0]], [[math.inf, 0.0]]])
def test_what_is_no_channel_is_refused(matrix: object) -> None:
    """Only row-stochastic matrices have figures."""
    with pytest.raises(ChannelError):
        pure_epsilon(matrix)  # type: ignore[arg-type]


@pytest.mark.parametrize("alpha", [1.0, 0.5, math.inf, math.nan])
def test_renyi_orders_that_are_none(alpha: float) -> None:
    """The order is above 1 and finite."""
    with pytest.raises(ChannelError):
        renyi([[1.0]], alpha)


# ---------------------------------------------------------------------- report
def test_report_of_a_randomized_spec() -> None:
    """Epsilon adds up over features and rounds, from the channels' exact figures."""
    spec = Spec(features=FEATURES, depth=4, channel=RandomizedResponse(2.0).to_spec())
    exact = RandomizedResponse(2.0, 16).epsilon
    report = PrivacyReport.of(spec, rounds=3)
    assert [feature.epsilon for feature in report.features] == [exact, exact]
    assert report.record_epsilon == pytest.approx(2 * exact)
    assert report.total_epsilon == pytest.approx(6 * exact)
    assert json.loads(report.to_json())["rounds"] == 3


def test_report_counts_the_symbols_of_each_feature() -> None:
    """A category list of three has randomized response over three symbols, and so its own exact epsilon."""
    features = (*FEATURES, Categorical(name="c", categories=("x", "y", "z")))
    spec = Spec(features=features, depth=4, channel=RandomizedResponse(2.0).to_spec())
    assert PrivacyReport.of(spec).features[2].epsilon == RandomizedResponse(2.0, 3).epsilon


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("missing", ["error", "token"])
def test_report_of_one_level_is_that_of_its_nodes(level: int, missing: Any) -> None:
    """Where only a coarser level is encoded, epsilon is that of the merged matrix in fractions, and not below."""
    features = (*FEATURES, Categorical(name="c", categories=("x", "y", "z", "u", "v")))
    spec = Spec(features=features, depth=4, tokens=level, missing=missing, channel=RandomizedResponse(2.0).to_spec())
    reported = zip(PrivacyReport.of(spec).features, channels_of(spec) or (), spec.used_leaves, strict=True)
    for figures, channel, n_used in reported:
        assert isinstance(channel, RandomizedResponse)
        k, unit = channel.n_symbols or 0, 1 << 32
        noise: dict[Any, int] = {}
        for j in range(k):
            node = j >> (4 - level) if j < n_used else "missing"
            n_words = -(-(j + 1) * unit // k) - -(-j * unit // k)  # how many give symbol j
            noise[node] = noise.get(node, 0) + (unit - channel.keep) * n_words
        told = channel.keep * unit if len(noise) > 1 else 0
        ratio = max(Fraction(told + least, least) for least in noise.values())
        truth = (Decimal(ratio.numerator) / ratio.denominator).ln()
        assert truth <= Decimal(figures.epsilon or 0.0) <= truth + Decimal("2e-12")


def test_large_alphabets_have_no_information_figure() -> None:
    """With too many symbols for a matrix, the epsilon is that of the report, and bits are not computed."""
    spec = Spec(features=FEATURES, depth=12, tokens=2, channel=RandomizedResponse(2.0).to_spec())
    report = PrivacyReport.of(spec)
    assert report.features[0].epsilon == RandomizedResponse(2.0, 1 << 12).epsilon
    assert report.features[0].bits is None
    assert "not computed" in report.to_text()


def test_information_of_a_token() -> None:
    """A deterministic token carries all bits of its leaf; a randomized one the mutual information."""
    plain = PrivacyReport.of(Spec(features=FEATURES, depth=4))
    assert plain.features[0].bits == 4.0
    noisy = PrivacyReport.of(Spec(features=FEATURES, depth=1, channel=RandomizedResponse(1.0).to_spec()))
    p = math.e / (1 + math.e)
    assert noisy.features[0].bits == pytest.approx(1 + p * math.log2(p) + (1 - p) * math.log2(1 - p), rel=1e-5)


def test_deterministic_tokens_claim_nothing() -> None:
    """Without a channel no epsilon is stated anywhere, and the report says so first."""
    report = PrivacyReport.of(Spec(features=FEATURES, depth=4))
    assert report.record_epsilon is None
    assert report.total_epsilon is None
    assert "no differential privacy" in report.statements[0]
    assert "no differential privacy" in report.to_text()


def test_paths_and_leaves_leak_differently() -> None:
    """The report tells whoever encodes all levels that order shows."""
    leaf = PrivacyReport.of(Spec(features=FEATURES, depth=4)).to_text()
    comb = PrivacyReport.of(Spec(features=FEATURES, depth=4, tokens="comb")).to_text()
    assert "order and distance" in comb
    assert "order and distance" not in leaf


def test_rounds_below_one() -> None:
    """There is no report for no encoding at all."""
    with pytest.raises(ValueError, match="rounds"):
        PrivacyReport.of(Spec(features=FEATURES, depth=4), rounds=0)
