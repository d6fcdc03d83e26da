"""What releases cost together: against exact sums, brute force over all pairs of records, and dp-accounting.

``tests/vectors/accounting.json`` was written with dp-accounting 0.6.0, which cannot be installed beside the tests
(it needs attrs < 24). Each epsilon is that of the composition of these curves, ``law`` being as in this file::

    from dp_accounting.pld import pld_pmf, privacy_loss_distribution as pld

    def largest(m, epsilon):
        return max(np.maximum(row - math.exp(epsilon) * m, 0).sum(axis=1).max() for row in m)

    def curve(m, step):
        n = math.ceil(np.log(m.max(axis=0) / m.min(axis=0)).max() / step - 1e-9)
        places = np.arange(-n, n + 1)
        deltas = np.array([largest(m, i * step) for i in places[:-1]] + [0.0])
        return pld.PrivacyLossDistribution(pld_pmf.create_pmf_pessimistic_connect_dots(step, places, deltas))

    total = total.compose(curve(law(one), step).self_compose(one["times"])); total.get_epsilon_for_delta(delta)
"""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hashcomb import RandomizedResponse, Spec, Uniform
from hashcomb.channels import RQM, Geometric, LastHead, Matrix, rqm_inputs, rqm_law
from hashcomb.errors import ChannelError, SpecError
from hashcomb.privacy import (
    Budget,
    Composition,
    PrivacyReport,
    compose,
    compose_spec,
    hockey_stick,
    pure_epsilon,
    renyi,
)
from hashcomb.privacy.composition.losses import MAX_SEARCHED

Floats = NDArray[np.float64]
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "accounting.json").read_text(encoding="utf-8"))
SKEW = np.array([[0.4, 0.3, 0.2, 0.1], [0.15, 0.35, 0.1, 0.4], [0.2, 0.2, 0.5, 0.1]])
ERASED = np.array([[0.6, 0.3, 0.1, 0.0], [0.3, 0.6, 0.0, 0.1]])  # a tenth of the reports give the symbol away
FEATURES = tuple(Uniform(name=name, lo=0.0, hi=1.0) for name in "abcdef")


def wave(n_symbols: int, reach: int, epsilon: float) -> Floats:
    """Return the law of the square wave; without reach it is randomized response."""
    symbols, reports = np.arange(n_symbols)[:, None], np.arange(n_symbols + 2 * reach)
    weight = np.where((reports >= symbols) & (reports <= symbols + 2 * reach), math.exp(epsilon), 1.0)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def law(one: dict[str, Any]) -> Floats:
    """Return the matrix of a release in the file of vectors."""
    if "matrix" in one:
        return np.array(one["matrix"])
    if "wave" in one:
        return wave(*one["wave"])
    n_levels, keep, margin = one["rqm"]
    return rqm_law(rqm_inputs(n_levels, margin), n_levels, keep)


def exact_delta(n_symbols: int, each: float, times: int, epsilon: float) -> float:
    """Return delta of composed randomized response by the multinomial law of its reports."""
    weight = math.exp(each) + n_symbols - 1
    terms = []
    for ups in range(times + 1):
        for downs in range(min(ups, times - ups) + 1):
            loss, stays = (ups - downs) * each, times - ups - downs
            if loss > epsilon:
                ways = math.comb(times, ups) * math.comb(times - ups, downs) * (n_symbols - 2) ** stays
                log = math.log(ways) + ups * each - times * math.log(weight) if ways else -math.inf
                terms.append(math.exp(log) * -math.expm1(epsilon - loss))
    return math.fsum(terms)


# ---------------------------------------------------------------------- known figures
@pytest.mark.parametrize(
    ("each", "times", "reach", "n_symbols", "by_renyi", "tight"),
    [
        (0.5, 10, 0, 16, "3.171", "2.929"),
        (0.5, 10, 0, 2, "4.999", "4.999"),
        (0.5, 10, 5, 16, "4.996", "4.996"),
        (0.5, 57, 0, 16, "7.979", "7.371"),
        (0.5, 57, 0, 2, "21.84", "20.90"),
        (0.5, 57, 5, 16, "20.27", "19.33"),
        (1.0, 10, 0, 16, "7.602", "6.965"),
        (1.0, 10, 0, 2, "10.00", "10.00"),
        (1.0, 10, 4, 16, "9.999", "9.999"),
        (1.0, 57, 0, 16, "21.38", "19.90"),
        (1.0, 57, 0, 2, "51.98", "50.72"),
        (1.0, 57, 4, 16, "47.33", "45.80"),
    ],
)
def test_known_figures(each: float, times: int, reach: int, n_symbols: int, by_renyi: str, tight: str) -> None:
    """Ten and 57 features cost at delta 1e-5 what the design says, by Renyi divergences and tightly."""
    total = compose([(wave(n_symbols, reach, each), times)])
    digits = len(tight.partition(".")[2])
    assert f"{total.epsilon(1e-5, by='renyi'):.{digits}f}" == by_renyi
    assert f"{total.epsilon(1e-5):.{digits}f}" == tight


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: json.dumps(case["releases"])[:60])
def test_dp_accounting(case: dict[str, Any]) -> None:
    """Epsilon agrees with dp-accounting to 1e-8 at delta 1e-5; at larger ones its own grid is seen, below 1e-7."""
    total = compose([(law(one), one["times"]) for one in case["releases"]])
    for delta, epsilon in case["epsilons"]:
        assert total.epsilon(delta) == pytest.approx(epsilon, abs=1e-8 if delta == 1e-5 else 1e-7)


@pytest.mark.parametrize(("n_symbols", "each", "times"), [(16, 0.5, 10), (16, 1.0, 57), (2, 1.0, 57), (16, 8.0, 57)])
def test_exact_sums(n_symbols: int, each: float, times: int) -> None:
    """Delta is never below the exact multinomial sum, and above it by less than 1e-9 of itself down to 1e-40."""
    total = compose([(wave(n_symbols, 0, each), times)])
    for share in (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.99):
        exact = exact_delta(n_symbols, each, times, share * each * times)
        assert exact * (1 - 1e-13) <= total.delta(share * each * times) <= exact * (1 + 1e-9)


@pytest.mark.parametrize("delta", [1e-2, 1e-5, 1e-12, 1e-30])
def test_epsilon_is_the_least(delta: float) -> None:
    """The exact sum at epsilon is at most delta, and above delta a little below epsilon."""
    epsilon = compose([(wave(16, 0, 1.0), 57)]).epsilon(delta)
    assert exact_delta(16, 1.0, 57, epsilon) <= delta < exact_delta(16, 1.0, 57, epsilon - 1e-9)


def test_a_single_release_at_its_own_epsilon() -> None:
    """One release costs its exact epsilon with delta 0, and less with more delta."""
    channel = RandomizedResponse(1.0, 16, depth="leaf")
    total = compose([(channel, 1)])
    assert total.basic == channel.epsilon == total.epsilon(0.0)
    assert total.delta(channel.epsilon) == 0.0
    assert total.delta(0.5) == pytest.approx(hockey_stick(channel.matrix(), 0.5), rel=1e-9)


# ---------------------------------------------------------------------- brute force, and a planted defect
def brute_force(first: Floats, second: Floats, epsilon: float) -> float:
    """Return delta of two features, the largest over all ordered pairs of records."""
    return hockey_stick(np.kron(first, second), epsilon)


def test_brute_force_over_pairs_of_records() -> None:
    """With two features, delta is never below the largest divergence over all pairs of records."""
    total = compose([(SKEW, 1), (wave(3, 0, 1.0), 1)])
    for epsilon in (0.0, 0.3, 0.7, 1.1, 1.9):
        assert total.delta(epsilon) >= brute_force(SKEW, wave(3, 0, 1.0), epsilon)


def test_a_planted_defect_is_caught() -> None:
    """An accountant that looks at the two ends of the range only is below brute force, for a setting of RQM."""
    matrix = rqm_law(rqm_inputs(16, 1 / 6), 16, 0.57)
    ends = compose([(matrix[[0, -1]], 2)])
    assert (f"{pure_epsilon(matrix):.3f}", f"{pure_epsilon(matrix[[0, -1]]):.3f}") == ("11.551", "11.448")
    below = [e for e in (19.0, 21.0, 22.0, 22.9) if ends.delta(e) < 0.999 * brute_force(matrix, matrix, e)]
    assert 22.9 in below
    whole = compose([(matrix, 2)])
    assert all(whole.delta(e) >= brute_force(matrix, matrix, e) for e in (19.0, 21.0, 22.0, 22.9))


# ---------------------------------------------------------------------- what has no epsilon
def test_a_point_mass_at_infinity() -> None:
    """Where a tenth of the reports give the symbol away, delta is that of the others and what is given away."""
    total = compose([(ERASED, 3)])
    away = 1 - 0.9**3
    for epsilon in (0.0, 0.5, 1.0, 2.0):
        expected = away + 0.9**3 * exact_delta(2, math.log(2), 3, epsilon)
        assert total.delta(epsilon) == pytest.approx(expected, rel=1e-9)
        assert total.delta(epsilon) >= expected
    assert total.epsilon(away - 1e-6) == math.inf
    assert total.epsilon(away + 1e-6) < 3 * math.log(2) + 1e-9
    assert total.basic == total.renyi(2.0) == total.epsilon(0.5, by="renyi") == math.inf


def test_last_head_gives_everything_away() -> None:
    """The rule of the last head has delta 1 at every epsilon, once and together with others."""
    total = compose([(LastHead(0.5, 16), 1), (wave(16, 0, 1.0), 3)])
    assert total.delta(20.0) == 1.0
    assert total.epsilon(0.999) == math.inf


def test_one_of_several_may_give_itself_away() -> None:
    """If each round reports one of four features, one of which is given away, a quarter of the rounds tell all."""
    total = compose([(np.eye(2), 1), (wave(2, 0, 1.0), 3)], reported=1)
    assert total.delta(5.0) == pytest.approx(0.25, rel=1e-9)
    assert total.epsilon(0.2) == math.inf
    assert total.epsilon(0.3) < 1.0


# ---------------------------------------------------------------------- large things
def test_many_symbols_cost_nothing() -> None:
    """Randomized response on 2**20 symbols is composed from two laws of three columns."""
    channel = RandomizedResponse(1.0, 1 << 20, depth="leaf")
    total = compose([(channel, 57)])
    assert total.exact
    assert total.delta(3.0) == pytest.approx(exact_delta(1 << 20, channel.epsilon, 57, 3.0), rel=1e-6)


def test_too_large_to_search() -> None:
    """Where pairs cannot all be compared, binary randomized response with the same epsilon stands in."""
    matrix = np.asarray(wave(512, 1, 1.0))
    assert MAX_SEARCHED < 512**2 * 514
    total = compose([(matrix, 57)])
    assert not total.exact
    assert "exact=False" in repr(total)
    assert total.epsilon(1e-5) == pytest.approx(compose([(wave(2, 0, 1.0), 57)]).epsilon(1e-5), abs=1e-8)


def test_large_epsilons() -> None:
    """57 features at epsilon 8 have losses up to 456: the tight figure is below Renyi's, and that below the sum."""
    total = compose([(Geometric.for_epsilon(8.0, 16), 57)])
    tight, by_renyi = total.epsilon(1e-5), total.epsilon(1e-5, by="renyi")
    assert 440 < tight < by_renyi < total.basic <= 456 + 1e-9
    assert total.delta(tight) == pytest.approx(1e-5, rel=1e-6)


def test_a_thousand_million_rounds() -> None:
    """Sums of 10**9 losses fit; near the normal law, Renyi and tight figures differ by little."""
    total = compose([(RandomizedResponse(0.001, 16, depth="leaf"), 1000)], rounds=1_000_000)
    tight, by_renyi = total.epsilon(1e-6), total.epsilon(1e-6, by="renyi")
    assert 0.95 * by_renyi < tight < by_renyi < 0.001 * total.basic


def test_nothing_is_computed_before_it_is_asked_for() -> None:
    """Composing alone finds no dominating pair and transforms nothing; delta does."""
    total = compose([(RQM(0.42, 2.0, 16), 2)])
    asked = {"_blocks", "_moments"}
    assert not asked & set(vars(total))
    total.delta(1.0)
    assert asked <= set(vars(total))


# ---------------------------------------------------------------------- some features of all
def means(figures: list[float]) -> float:
    """Return the mean."""
    return math.fsum(figures) / len(figures)


def test_reported_alike() -> None:
    """If all features have one channel, s of d of them cost what s do."""
    some, all_of_three = compose([(SKEW, 7)], reported=3), compose([(SKEW, 3)])
    assert some.epsilon(1e-3) == pytest.approx(all_of_three.epsilon(1e-3), rel=1e-9)
    assert some.renyi(4.0) == pytest.approx(all_of_three.renyi(4.0), rel=1e-9)
    assert some.basic == pytest.approx(all_of_three.basic)


def test_reported_is_the_mean_over_sets() -> None:
    """Delta of two of four features is the mean over the six sets; Renyi's is that of the moments."""
    laws = [wave(4, 0, 0.5), SKEW, wave(3, 0, 2.0), SKEW]
    total = compose([(one, 1) for one in laws], reported=2)
    sets = [compose([(a, 1), (b, 1)]) for a, b in itertools.combinations(laws, 2)]
    for epsilon in (0.0, 0.5, 1.5, 2.5):
        assert total.delta(epsilon) == pytest.approx(means([one.delta(epsilon) for one in sets]), rel=1e-6)
    moments = means([math.exp(3 * one.renyi(4.0)) for one in sets])
    assert total.renyi(4.0) == pytest.approx(math.log(moments) / 3, rel=1e-9)
    assert total.basic == pytest.approx(2.0 + pure_epsilon(SKEW))


def test_reported_against_brute_force() -> None:
    """Delta is never below that of the law of (which features, their reports) over all pairs of records."""
    laws = [wave(2, 0, 0.5), SKEW[:2], wave(2, 0, 2.0)]
    record = np.ones((2, 1))
    parts = []
    for first, second in itertools.combinations(range(3), 2):
        factors = [laws[j] if j in (first, second) else record for j in range(3)]
        parts.append(np.kron(np.kron(factors[0], factors[1]), factors[2]) / 3)
    total = compose([(one, 1) for one in laws], reported=2)
    for epsilon in (0.0, 0.4, 1.0, 2.0):
        brute = hockey_stick(np.concatenate(parts, axis=1), epsilon)
        assert brute <= total.delta(epsilon) <= 1.2 * brute


def test_rounds_draw_features_anew() -> None:
    """Two rounds of one of two features cost the mean over four sequences of features."""
    laws = [wave(2, 0, 0.5), wave(2, 0, 2.0)]
    total = compose([(one, 1) for one in laws], reported=1, rounds=2)
    both = [compose([(a, 1), (b, 1)]).delta(0.7) for a in laws for b in laws]
    assert total.delta(0.7) == pytest.approx(means(both), rel=1e-8)


# ---------------------------------------------------------------------- Renyi
@pytest.mark.parametrize("alpha", [1.01, 2.0, 8.0, 500.0])
def test_renyi_adds_the_largest_of_each_order(alpha: float) -> None:
    """The Renyi divergence of a composition is the sum of those over all pairs, rounded up."""
    total = compose([(SKEW, 2), (wave(5, 0, 1.0), 3)], rounds=2)
    expected = 2 * (2 * renyi(SKEW, alpha) + 3 * renyi(wave(5, 0, 1.0), alpha))
    assert expected <= total.renyi(alpha) <= expected * (1 + 1e-8)


def test_epsilon_from_renyi_is_the_least_over_orders() -> None:
    """No order of a dense grid gives less, by the conversion of Canonne, Kamath and Steinke."""
    matrix, delta = wave(16, 0, 1.0), 1e-5
    orders = 1 + np.geomspace(0.01, 300, 3000)
    by_order = [57 * renyi(matrix, a) + math.log1p(-1 / a) - (math.log(delta) + math.log(a)) / (a - 1) for a in orders]
    epsilon = compose([(matrix, 57)]).epsilon(delta, by="renyi")
    assert min(by_order) * (1 - 1e-6) <= epsilon <= min(by_order) * (1 + 1e-9)


# ---------------------------------------------------------------------- together
def test_adding_is_composing() -> None:
    """Two compositions added cost what all of their releases do; equal rounds become one entry."""
    first, second = compose([(SKEW, 2)], rounds=3), compose([(wave(4, 0, 1.0), 1)])
    both = compose([(SKEW, 6), (wave(4, 0, 1.0), 1)])
    assert (first + second).epsilon(1e-4) == pytest.approx(both.epsilon(1e-4), rel=1e-9)
    assert [one.rounds for one in (first + first).rounds] == [6]


def test_equal_releases_are_one() -> None:
    """Equal matrices and channels are composed once, however they are listed."""
    total = compose([(SKEW, 1), (SKEW.copy(), 2), (Matrix(SKEW).on(3), 1), (Matrix(SKEW).on(3), 1)])
    assert total.rounds[0].counts == (3, 2)


def test_basic_for_any_delta() -> None:
    """With delta 0, and if asked for, epsilons are added."""
    total = compose([(wave(4, 0, 1.0), 2), (wave(4, 0, 0.5), 1)])
    assert total.epsilon(0) == total.epsilon(0.1, by="basic") == total.epsilon(0.0, by="renyi") == total.basic
    assert total.basic == pytest.approx(2.5, abs=1e-11)


def test_what_tells_nothing_costs_nothing() -> None:
    """A matrix with one law for all symbols has epsilon and delta 0."""
    total = compose([(np.full((3, 2), 0.5), 5)])
    assert (total.basic, total.epsilon(1e-9), total.delta(0.0), total.renyi(2.0)) == (0.0, 0.0, 0.0, 0.0)


# ---------------------------------------------------------------------- Specs
def spec(**params: Any) -> Spec:
    """Return a Spec of six features with randomized response."""
    channel = RandomizedResponse(1.0, depth="leaf").to_spec()
    chosen = type(channel)(kind=channel.kind, params={**channel.params, **params})
    return Spec(features=FEATURES, depth=4, channel=chosen)


def test_spec_without_channel() -> None:
    """Deterministic tokens have no composition."""
    assert compose_spec(Spec(features=FEATURES, depth=4)) is None


@pytest.mark.parametrize("tokens", ["leaf", "comb", 1, 2])
def test_a_spec_costs_what_its_report_says(tokens: Any) -> None:
    """Accountant, budget and report have one answer, for leaves, paths and tokens of coarser nodes, which tell less."""
    described = RandomizedResponse(2.0, depth="leaf").to_spec()
    made = Spec(features=FEATURES, depth=4, tokens=tokens, channel=described)
    cost, report, budget = compose_spec(made, rounds=3), PrivacyReport.of(made, rounds=3), Budget(1e3)
    assert cost is not None
    assert report.total is not None
    budget.spend(made, times=3)
    assert report.total_epsilon == pytest.approx(cost.basic, abs=1e-9)
    assert report.total.tight == pytest.approx(cost.epsilon(1e-5), abs=1e-9)
    assert budget.spent == pytest.approx(cost.basic, abs=1e-9)
    leaves = 3 * len(FEATURES) * RandomizedResponse(2.0, 16, depth="leaf").epsilon
    assert (cost.basic < leaves - 1) == (tokens in (1, 2))


def test_spec_with_channel() -> None:
    """A Spec's features are composed with the channels they have, over rounds."""
    expected = compose([(RandomizedResponse(1.0, 16, depth="leaf"), 6)], rounds=3)
    found = compose_spec(spec(), rounds=3)
    assert isinstance(found, Composition)
    assert found.epsilon(1e-4) == expected.epsilon(1e-4)


def test_spec_that_reports_some_features() -> None:
    """A Spec whose records report two of six features costs what two do."""
    found, two = compose_spec(spec(report_features=2)), compose([(RandomizedResponse(1.0, 16, depth="leaf"), 2)])
    assert isinstance(found, Composition)
    assert (found.basic, found.epsilon(1e-2)) == pytest.approx((two.basic, two.epsilon(1e-2)), rel=1e-9)


def test_spec_with_budgets_of_the_wrong_length() -> None:
    """A list of budgets must have one for each feature."""
    with pytest.raises(SpecError, match="2 budgets for 6 features"):
        compose_spec(spec(epsilon=(1.0, 2.0)))


# ---------------------------------------------------------------------- refusals
class Boasting(Matrix):
    """A channel that claims a tenth of its epsilon."""

    @property
    def epsilon(self) -> float:
        return super().epsilon / 10


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ("a channel", "a str is no release"),
        (None, "a NoneType is no release"),
        ([[0.5, 0.5], [1.0]], "a list is no release"),
        ([[True, False], [False, True]], "a list is no release"),
        ([[0.5, 0.4], [0.5, 0.5]], "sum to one"),
        ([[1.5, -0.5], [0.5, 0.5]], "below zero"),
        ([[math.nan, 1.0], [0.5, 0.5]], "finite"),
        ([0.5, 0.5], "at least one row"),
        (Spec(features=FEATURES, depth=4), "a Spec is no release"),
        (RandomizedResponse(1.0), "no number of symbols"),
        (Boasting(SKEW).on(3), "larger epsilon than the channel claims"),
    ],
)
def test_unknown_releases_are_refused(what: Any, problem: str) -> None:
    """What is neither a bound channel nor a row-stochastic matrix has no figures."""
    with pytest.raises(ChannelError, match=problem):
        compose([(what, 1)])


@pytest.mark.parametrize("releases", [SKEW, RandomizedResponse(1.0, 4), "ab", 7, [SKEW], [(SKEW, 1, 1)], []])
def test_what_is_no_list_of_releases(releases: Any) -> None:
    """Releases are a list of at least one pair."""
    with pytest.raises(ChannelError, match="releases must"):
        compose(releases)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "2", None, True])
def test_times_and_rounds_are_whole_numbers(wrong: Any) -> None:
    """Errors name the argument that is no whole number of at least 1."""
    with pytest.raises(ChannelError, match="times must"):
        compose([(SKEW, wrong)])
    with pytest.raises(ChannelError, match="rounds must"):
        compose([(SKEW, 1)], rounds=wrong)
    with pytest.raises(ChannelError, match="rounds must"):
        compose_spec(Spec(features=FEATURES, depth=4), rounds=wrong)
    if wrong is not None:
        with pytest.raises(ChannelError, match="reported must"):
            compose([(SKEW, 5)], reported=wrong)


def test_more_reported_than_there_are() -> None:
    """No more releases can be reported than are listed; too many different ones are not chosen from."""
    with pytest.raises(ChannelError, match="reported must"):
        compose([(SKEW, 2), (ERASED, 1)], reported=4)
    with pytest.raises(ChannelError, match="too many to choose from"):
        compose([(SKEW, 1 << 20), (ERASED, 1)], reported=4)


def test_what_is_no_spec() -> None:
    """Only a Spec has a composition of its own."""
    with pytest.raises(ChannelError, match="spec must be a Spec"):
        compose_spec(SKEW)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [-0.1, 1.0, math.nan, "0.5", None, True])
def test_what_is_no_delta(wrong: Any) -> None:
    """Delta is a number of at least 0 and below 1."""
    with pytest.raises(ChannelError, match="delta must"):
        compose([(SKEW, 1)]).epsilon(wrong)


@pytest.mark.parametrize("wrong", [-0.1, math.inf, math.nan, "0.5", None, True])
def test_what_is_no_epsilon_or_order(wrong: Any) -> None:
    """Epsilon is finite and not negative; an order is above 1 and finite."""
    total = compose([(SKEW, 1)])
    with pytest.raises(ChannelError, match="epsilon must"):
        total.delta(wrong)
    with pytest.raises(ChannelError, match="alpha"):
        total.renyi(wrong)


def test_what_is_no_way_to_compose() -> None:
    """There are three ways to compose."""
    with pytest.raises(ChannelError, match="by must be"):
        compose([(SKEW, 1)]).epsilon(0.1, by="pld")  # type: ignore[arg-type]


def test_only_compositions_are_added() -> None:
    """A composition and a number have no sum."""
    with pytest.raises(TypeError):
        compose([(SKEW, 1)]) + 1


@pytest.mark.parametrize("delta", [1e-9, 1e-12])
def test_many_rounds_of_some_unequal_features_are_not_below_the_truth(delta: float) -> None:
    """No rounding of means over sets becomes a mass at infinity, of either sign: delta is never negative, nor epsilon
    below that of the same features when all have the least of their epsilons."""
    budgets = [1e-3 * (1 + 0.1 * i) for i in range(6)]
    some = compose([(RandomizedResponse(e, 2), 1) for e in budgets], reported=3, rounds=10**6)
    least = compose([(RandomizedResponse(budgets[0], 2), 3)], rounds=10**6)
    assert 0.0 <= some.delta(some.basic * 0.999) < delta
    assert some.epsilon(delta) > least.epsilon(delta)
    assert delta * (1 - 1e-6) <= some.delta(some.epsilon(delta)) <= delta * (1 + 1e-6)


def test_a_rare_infinite_loss_counts_in_every_round() -> None:
    """A report that one symbol alone gives, once in a million, has delta of the chance that it occurs at all."""
    law = [[0.5, 0.5 - 1e-6, 1e-6], [0.5, 0.5, 0.0]]
    total = compose([(law, 1), ([[0.5, 0.5], [0.5, 0.5]], 1)], reported=1, rounds=1000)
    assert total.delta(700.0) >= 1 - (1 - 0.5e-6) ** 1000
    assert total.delta(700.0) == pytest.approx(1 - (1 - 0.5e-6) ** 1000, rel=1e-6)
