"""Exact figures of a matrix, against brute force and known values, and the report of a Spec."""

import json
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from hashcomb import Categorical, ChannelSpec, PrivacyReport, RandomizedResponse, Spec, Uniform
from hashcomb.channels import Geometric, LastHead, Matrix, channels_of
from hashcomb.errors import ChannelError
from hashcomb.privacy import compose_spec, hockey_stick, pure_epsilon, renyi, spec_for_total
from hashcomb.privacy.release import added_up, error, releases_of
from hashcomb.privacy.report.costs import what_if
from hashcomb.privacy.report.wording import small, upward

FEATURES = (Uniform(name="a", lo=0.0, hi=1.0), Uniform(name="b", lo=0.0, hi=1.0))
LEAF = RandomizedResponse(1.0, depth="leaf")
NOISY = Spec(features=FEATURES, depth=3, channel=RandomizedResponse(1.0).to_spec())


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
    matrix = RandomizedResponse(4.0, 16, depth="leaf").matrix()
    assert renyi(matrix, 5000.0) == pytest.approx(4.0, abs=5e-3)
    assert renyi([[0.5, 0.5], [1.0, 0.0]], 2.0) == math.inf


def test_hockey_stick_by_brute_force() -> None:
    """Delta is the largest sum of positive parts over ordered pairs."""
    matrix, g = random_matrix(4, 6), math.exp(0.3)
    pairs = [(i, j) for i in range(4) for j in range(4)]
    expected = max(np.maximum(matrix[i] - g * matrix[j], 0).sum() for i, j in pairs)
    assert hockey_stick(matrix, 0.3) == pytest.approx(expected)
    channel = RandomizedResponse(1.0, 8, depth="leaf")
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
    spec = Spec(features=FEATURES, depth=4, channel=RandomizedResponse(2.0, depth="leaf").to_spec())
    exact = RandomizedResponse(2.0, 16, depth="leaf").epsilon
    report = PrivacyReport.of(spec, rounds=3)
    assert [feature.epsilon for feature in report.features] == [exact, exact]
    assert report.record_epsilon == pytest.approx(2 * exact)
    assert report.total_epsilon == pytest.approx(6 * exact)
    assert json.loads(report.to_json())["rounds"] == 3


def test_report_counts_the_symbols_of_each_feature() -> None:
    """A category list of three has randomized response over three symbols, and so its own exact epsilon."""
    features = (*FEATURES, Categorical(name="c", categories=("x", "y", "z")))
    spec = Spec(features=features, depth=4, channel=RandomizedResponse(2.0, depth="leaf").to_spec())
    assert PrivacyReport.of(spec).features[2].epsilon == RandomizedResponse(2.0, 3, depth="leaf").epsilon


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("missing", ["error", "token"])
def test_report_of_one_level_is_that_of_its_nodes(level: int, missing: Any) -> None:
    """Where only a coarser level is encoded, epsilon is that of the merged matrix in fractions, and not below."""
    features = (*FEATURES, Categorical(name="c", categories=("x", "y", "z", "u", "v")))
    spec = Spec(
        features=features,
        depth=4,
        tokens=level,
        missing=missing,
        channel=RandomizedResponse(2.0, depth="leaf").to_spec(),
    )
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
    spec = Spec(features=FEATURES, depth=12, tokens=2, channel=RandomizedResponse(2.0, depth="leaf").to_spec())
    report = PrivacyReport.of(spec)
    assert report.features[0].epsilon == RandomizedResponse(2.0, 1 << 12, depth="leaf").epsilon
    assert report.features[0].bits is None
    assert "not computed" in report.to_text()


def test_information_of_a_token() -> None:
    """A deterministic token carries all bits of its leaf; a randomized one the mutual information."""
    plain = PrivacyReport.of(Spec(features=FEATURES, depth=4))
    assert plain.features[0].bits == 4.0
    noisy = PrivacyReport.of(Spec(features=FEATURES, depth=1, channel=RandomizedResponse(1.0, depth="leaf").to_spec()))
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


def test_tokens_of_a_level_are_counted_where_no_matrix_is_made() -> None:
    """A deep comb whose tokens stand for 16 nodes has 16 different tokens, and the report says so."""
    spec = Spec(features=FEATURES, depth=13, tokens=4, channel=RandomizedResponse(2.0, depth="leaf").to_spec())
    assert PrivacyReport.of(spec).features[0].n_tokens == 16


def test_rounds_below_one() -> None:
    """There is no report for no encoding at all."""
    with pytest.raises(ValueError, match="rounds"):
        PrivacyReport.of(Spec(features=FEATURES, depth=4), rounds=0)


@pytest.mark.parametrize("rounds", [1.5, True, "2", -1])
def test_rounds_that_are_none(rounds: Any) -> None:
    """Rounds are counted: fractions, truth values and text are refused as ours."""
    with pytest.raises(ChannelError, match="rounds"):
        PrivacyReport.of(NOISY, rounds=rounds)


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-5, math.nan, math.inf, True, "1e-5"])
def test_deltas_that_are_none(delta: Any) -> None:
    """Delta lies strictly between 0 and 1, and is a number."""
    with pytest.raises(ChannelError, match="delta"):
        PrivacyReport.of(NOISY, delta=delta)


# ---------------------------------------------------------------------- records
def test_a_record_costs_what_the_accountant_says() -> None:
    """Basic, Renyi and tight epsilon of 57 features are the known ones, in this order (privacy.md, section 4)."""
    features = tuple(Uniform(name=f"x{j}", lo=0.0, hi=1.0) for j in range(57))
    record = PrivacyReport.of(Spec(features=features, depth=4, channel=LEAF.to_spec())).record
    assert record is not None
    assert record.exact
    assert record.basic == pytest.approx(57.0, abs=1e-6)
    assert record.renyi == pytest.approx(21.38, abs=0.01)
    assert record.tight == pytest.approx(19.90, abs=0.01)


@pytest.mark.parametrize(("rounds", "delta"), [(1, 1e-5), (4, 1e-3)])
def test_record_and_rounds_are_those_of_the_composition(rounds: int, delta: float) -> None:
    """What the report prints is what `compose_spec` computes, at the delta and for the rounds asked for."""
    report = PrivacyReport.of(NOISY, rounds=rounds, delta=delta)
    composed = compose_spec(NOISY, rounds=rounds)
    assert composed is not None
    assert report.total is not None
    assert report.total.tight == pytest.approx(composed.epsilon(delta), rel=1e-9)
    assert report.total.renyi == pytest.approx(composed.epsilon(delta, by="renyi"), rel=1e-9)
    assert report.total_epsilon == pytest.approx(composed.basic, rel=1e-9)


def test_a_record_that_reports_some_features_costs_the_dearest_of_them() -> None:
    """With s of d features, basic composition is the sum of the s largest epsilons, whichever are drawn."""
    features = (*FEATURES, Uniform(name="c", lo=0.0, hi=1.0))
    params: dict[str, Any] = {"epsilon": (0.5, 2.0, 1.0), "report_features": 2, "depth": "leaf"}
    spec = Spec(features=features, depth=3, channel=ChannelSpec(kind="randomized_response", params=params))
    report = PrivacyReport.of(spec)
    assert report.n_reported == 2
    assert report.record_epsilon == pytest.approx(3.0, abs=1e-6)
    assert "2 of its 3 features" in report.to_text()


def test_sums_are_not_below_the_exact_sum() -> None:
    """A record's epsilon is at least the sum of its features' in fractions, and the next double below is not."""
    epsilons = [0.1, 0.2, 0.3, 1e-17]
    exact = sum(map(Fraction, epsilons), Fraction())
    total = added_up(epsilons, 4)
    assert Fraction(math.nextafter(total, 0.0)) < exact <= Fraction(total)
    assert added_up([1.0, math.inf], 1) == math.inf
    assert added_up([3.0, 1.0, 2.0], 2, 5) == 25.0


@pytest.mark.parametrize("value", [1.0, 1.00001, 1.23451, 2.0000000001, 0.12345678, 57.0, 1e-9])
def test_what_is_printed_is_not_below_what_is_computed(value: float) -> None:
    """Figures are rounded up in print, and by less than one unit of the last digit."""
    assert Decimal(value) <= Decimal(upward(value)) < Decimal(value) + Decimal("0.0001")
    assert Decimal(value / 1e5) <= Decimal(small(value / 1e5)) <= Decimal(value / 1e5) * Decimal("1.01")


# ---------------------------------------------------------------------- without epsilon
def test_a_channel_without_epsilon_has_its_delta_curve() -> None:
    """For the paper's rule the report gives the exact deltas of one value, and claims no epsilon for the record."""
    spec = Spec(features=FEATURES, depth=3, channel=LastHead(0.3).to_spec())
    report = PrivacyReport.of(spec)
    matrix = LastHead(0.3).on(8).matrix()
    for epsilon, delta in report.features[0].deltas:
        brute = max(np.maximum(a - math.exp(epsilon) * b, 0).sum() for a in matrix for b in matrix)
        assert brute <= delta == pytest.approx(min(1.0, brute), abs=1e-11)
    assert len(report.features[0].deltas) == 7
    assert report.record_epsilon is None
    assert report.record is not None
    assert report.record.deltas[0][1] == 1.0
    assert "no epsilon" in report.to_text()


def test_a_small_zero_is_told_from_a_large_epsilon() -> None:
    """A matrix with one zero has no epsilon; its delta at a large epsilon is the probability behind the zero."""
    channel = Matrix([[0.98, 0.02], [1.0, 0.0]])
    report = PrivacyReport.of(Spec(features=FEATURES[:1], depth=1, channel=channel.to_spec()))
    assert report.features[0].epsilon is None
    assert report.features[0].deltas[-1] == pytest.approx((16.0, 0.02), abs=1e-9)
    assert report.record is not None
    assert report.record.tight is None
    loose = PrivacyReport.of(Spec(features=FEATURES[:1], depth=1, channel=channel.to_spec()), delta=0.05).record
    assert loose is not None
    assert loose.tight is not None  # at a delta above that probability, an epsilon holds after all


def test_too_many_pairs_are_said() -> None:
    """Where a channel is too large to compare all pairs, the record's figures are marked as bounds."""
    spec = Spec(features=FEATURES, depth=9, channel=Geometric(2.0).to_spec())
    report = PrivacyReport.of(spec)
    assert report.record is not None
    assert not report.record.exact
    assert "far too high" in report.to_text()
    assert report.record_epsilon == pytest.approx(4.0, abs=1e-6)


# ---------------------------------------------------------------------- what it costs
@pytest.mark.parametrize("n_values", [1, 3, 8])
def test_error_by_integration(n_values: int) -> None:
    """The error of decoding is that of a fine grid of values, each with the posterior mean of its report."""
    matrix = random_matrix(n_values + 1, 5)
    x = (np.arange(n_values * 400) + 0.5) / (n_values * 400)
    law = matrix[(x * n_values).astype(int)]
    decoded = (x @ law) / law.sum(axis=0)
    wanted = (law * (x[:, None] - decoded) ** 2).sum() / len(x)
    assert error(matrix, n_values) == pytest.approx(wanted, abs=1e-6)


def test_half_the_epsilon_costs_what_the_formula_says() -> None:
    """At a quarter, half, once and twice the epsilon, errors are those of two nodes in closed form."""
    spec = Spec(features=FEATURES, depth=4, channel=RandomizedResponse(1.0).to_spec())
    costs = what_if(spec)
    assert [cost.factor for cost in costs] == [0.25, 0.5, 1.0, 2.0]
    assert [cost.now for cost in costs] == [False, False, True, False]
    for cost in costs:
        assert cost.factor is not None
        kept = math.tanh(cost.factor / 2)
        assert cost.error == pytest.approx((1 - kept**2 * (1 - 1 / 4)) / 12, rel=1e-6)
        assert cost.record_epsilon == pytest.approx(2 * cost.factor, rel=1e-6)


def test_no_alternative_costs_more_epsilon_than_asked() -> None:
    """Every other channel stays within the epsilon of its column, and the optimal one has the least error."""
    spec = Spec(features=FEATURES, depth=3, channel=RandomizedResponse(1.0).to_spec())
    others = [cost for cost in what_if(spec, others=True) if not cost.own]
    assert {"interval", "square_wave", "optimal", "rqm", "geometric"} <= {cost.kind for cost in others}
    assert all(cost.epsilon <= cost.asked for cost in others if cost.epsilon and cost.asked)
    for asked in {cost.asked for cost in others}:
        errors = {cost.kind: cost.error or 0.0 for cost in others if cost.asked == asked}
        assert min(errors.values()) >= errors["optimal"] - 1e-6


def test_leaves_at_the_wrong_depth_are_shown_to_cost_more() -> None:
    """A Spec that reports leaves is compared with randomized response at its best depth, which errs less."""
    costs = what_if(Spec(features=FEATURES, depth=6, channel=LEAF.to_spec()), others=True)
    own = next(cost for cost in costs if cost.now)
    best = next(cost for cost in costs if cost.kind == own.kind and not cost.own and cost.asked == own.epsilon)
    assert (best.error or 1.0) < 0.9 * (own.error or 0.0)


def test_categories_have_no_error() -> None:
    """Where all features are lists, only channels without order are compared, by bits alone."""
    lists = (Categorical(name="c", categories=("x", "y", "z")), Categorical(name="d", categories=(1, 2)))
    costs = what_if(Spec(features=lists, depth=2, channel=RandomizedResponse(1.0).to_spec()), others=True)
    assert all(cost.error is None and cost.bits is not None for cost in costs)
    assert {cost.n_symbols for cost in costs} == {3}
    assert {cost.kind for cost in costs} == {"randomized_response"}


def test_missing_values_are_no_values() -> None:
    """A token for missing values costs a symbol, and error is that of values that are there."""
    spec = Spec(features=FEATURES, depth=2, missing="token", channel=LEAF.to_spec())
    feature = PrivacyReport.of(spec).features[0]
    matrix = channels_of(spec)[0].matrix()  # type: ignore[index]
    x = (np.arange(4) + 0.5) / 4
    explained = ((x - 0.5) @ matrix[:4] / 4) ** 2 / (matrix[:4].mean(axis=0))
    assert feature.n_symbols == 5
    assert feature.error == pytest.approx(1 / 12 - explained.sum(), rel=1e-9)
    assert all(cost.n_symbols == 5 for cost in what_if(spec))


def test_deterministic_specs_see_what_a_channel_would_cost() -> None:
    """Without a channel, the report compares channels at usual epsilons and claims nothing for now."""
    report = PrivacyReport.of(Spec(features=FEATURES, depth=3), others=True)
    now, *others = report.what_if
    assert now.epsilon is None
    assert now.bits == 3.0
    assert {cost.asked for cost in others} == {0.5, 1.0, 2.0, 4.0}
    assert "Error of other channels" in report.to_text()


def test_deep_combs_of_many_features_share_their_figures() -> None:
    """Sixty features of a million leaves each are one release, looked at once; only k-RR at leaves has no bits."""
    features = tuple(Uniform(name=f"x{j}", lo=0.0, hi=1.0) for j in range(60))
    spec = Spec(features=features, depth=20, channel=RandomizedResponse(2.0).to_spec())
    assert len({id(release) for release in releases_of(spec)}) == 1
    report = PrivacyReport.of(spec)
    assert report.features[59].bits == pytest.approx(0.473, abs=1e-3)
    assert PrivacyReport.of(Spec(features=features, depth=20, channel=LEAF.to_spec())).features[0].bits is None


# ---------------------------------------------------------------------- for people
def test_text_answers_the_questions_in_short_lines() -> None:
    """The text holds every epsilon, the cost of half, who learns what and what is assumed, in lines of 100 at most."""
    text = PrivacyReport.of(NOISY, rounds=3, others=True).to_text()
    for words in ("one value", "3 rounds", "tight", "half", "Key", "Neighbors", "seed", "square wave"):
        assert words in text
    assert max(map(len, text.splitlines())) <= 100


def test_json_holds_all_that_the_text_does() -> None:
    """The JSON has the figures of record and rounds, the costs, and the sentences."""
    report = json.loads(PrivacyReport.of(NOISY, rounds=3, delta=1e-6).to_json())
    assert report["delta"] == 1e-6
    assert set(report["total"]) == {"basic", "renyi", "tight", "deltas", "exact"}
    assert len(report["what_if"]) == 4
    assert {report["neighbors"], report["key_holder"], report["outsider"]} <= set(report["statements"])
    assert len(report["assumptions"]) == 4


def test_what_another_epsilon_costs_names_the_feature_where_they_differ() -> None:
    """With an epsilon for each feature, the costs say whose they are; with one for all they need not."""
    channel = ChannelSpec(kind="randomized_response", params={"epsilon": (1.0, 2.0)})
    report = PrivacyReport.of(Spec(features=FEATURES, depth=4, channel=channel))
    assert report.compared == "a"
    assert "Features differ: all of this but the record is about 'a'." in report.to_text()
    alike = PrivacyReport.of(Spec(features=FEATURES, depth=4, channel=RandomizedResponse(1.0).to_spec()))
    assert alike.compared is None


def test_a_channel_whose_pairs_are_too_many_to_compare_still_has_no_epsilon() -> None:
    """Where no delta is computed either, the report does not speak of an epsilon that encoding would cost again."""
    law = np.full((1024, 1024), 1 / 1023) - np.eye(1024) / 1023
    spec = Spec(features=FEATURES[:1], depth=10, channel=Matrix(law).to_spec())
    said = PrivacyReport.of(spec).statements
    assert any("This channel has no epsilon" in sentence for sentence in said)
    assert not any("costs its epsilon again" in sentence for sentence in said)


def test_the_spec_for_a_total_among_few_that_can_be() -> None:
    """Where a channel refuses most epsilons, one that fits is found; where none fits, the reason is said."""

    def spec_of(epsilon: float) -> Spec:
        if not 0.40 < epsilon < 0.55:
            raise ChannelError("cannot be realized")
        channel = RandomizedResponse(epsilon, depth="leaf").to_spec()
        return Spec(features=FEATURES, depth=4, channel=channel)

    cost = compose_spec(spec_for_total(spec_of, 1.0))
    assert cost is not None
    assert 0.99 < cost.basic <= 1.0
    with pytest.raises(ChannelError, match="cannot be realized"):
        spec_for_total(spec_of, 0.1)
    with pytest.raises(ChannelError, match="no epsilon of a value fits"):
        spec_for_total(lambda epsilon: Spec(features=FEATURES, depth=4), 1.0)
