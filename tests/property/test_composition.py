"""Composition of any small channels: never below brute force, monotone, consistent, and the same in any order."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hashcomb.privacy import compose, hockey_stick, pure_epsilon, renyi
from hashcomb.privacy.composition.dominating import dominating_pair
from hashcomb.privacy.composition.enumerated import enumerated
from hashcomb.privacy.composition.tails import Block, Tail, log_sums, moments_bound

Floats = NDArray[np.float64]

epsilons = st.floats(0.0, 2.5)
deltas = st.sampled_from([0.3, 1e-2, 1e-5, 1e-9])


@st.composite
def laws(draw: st.DrawFn, *, zeros: bool = False) -> Floats:
    """Draw a row-stochastic matrix of up to three symbols and four reports; numbers drawn one by one are too plain."""
    shape = draw(st.integers(2, 3)), draw(st.integers(2, 4))
    spread = draw(st.sampled_from([0.3, 1.0, 5.0, 50.0]))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    matrix = rng.dirichlet(np.full(shape[1], spread), shape[0]) + 1e-3
    if zeros and draw(st.booleans()):
        matrix[:, 1:] *= rng.random((shape[0], shape[1] - 1)) > 0.2
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


def within(first: float, second: float) -> bool:
    """Return whether a figure is not above another by more than rounding."""
    return first <= second * (1 + 1e-9) + 1e-12


@given(laws(zeros=True), epsilons)
@settings(max_examples=100)
def test_the_pair_has_the_curve_of_all_pairs(law: Floats, epsilon: float) -> None:
    """The dominating pair's hockey-stick divergence is the largest over all pairs, at every epsilon, to rounding."""
    pair = dominating_pair(law)
    delta = pair.infinite - float((pair.mass * np.expm1(np.minimum(epsilon - pair.loss, 0.0))).sum())
    assert delta == pytest.approx(hockey_stick(law, epsilon), rel=1e-12, abs=1e-15)
    assert pair.mass.sum() + pair.infinite == pytest.approx(1.0, abs=1e-14)


@given(laws(zeros=True), laws(zeros=True), epsilons)
@settings(max_examples=60)
def test_never_below_brute_force(first: Floats, second: Floats, epsilon: float) -> None:
    """Delta of two features is not below the largest divergence over all ordered pairs of records."""
    total = compose([(first, 1), (second, 1)])
    assert total.delta(epsilon) >= hockey_stick(np.kron(first, second), epsilon) * (1 - 1e-12) - 1e-15


@given(laws(zeros=True), laws(), deltas)
@settings(max_examples=60)
def test_epsilon_is_safe(first: Floats, second: Floats, delta: float) -> None:
    """At the epsilon that is given for a delta, no pair of records has a larger divergence than that delta."""
    epsilon = compose([(first, 1), (second, 1)]).epsilon(delta)
    if math.isfinite(epsilon):
        assert hockey_stick(np.kron(first, second), epsilon) <= delta * (1 + 1e-12)


@given(st.lists(laws(zeros=True), min_size=2, max_size=3), epsilons)
@settings(max_examples=40)
def test_reported_is_never_below_brute_force(each: list[Floats], epsilon: float) -> None:
    """Where one of the features is drawn and reported, delta is not below that of (which, report) for any records."""
    total = compose([(law, 1) for law in each], reported=1)
    brute = math.fsum(hockey_stick(law, epsilon) for law in each) / len(each)
    assert total.delta(epsilon) >= brute * (1 - 1e-12) - 1e-15


@given(laws(), st.integers(1, 40), deltas)
@settings(max_examples=12)
def test_epsilon_and_delta_agree(law: Floats, times: int, delta: float) -> None:
    """Delta at the epsilon of a delta is that delta or less, and epsilon comes back."""
    total = compose([(law, times)])
    epsilon = total.epsilon(delta)
    back = total.delta(epsilon)
    assert back <= delta * (1 + 1e-7)
    if back > 0:
        assert total.epsilon(back) <= epsilon + 1e-7


@given(st.lists(st.tuples(laws(), st.integers(1, 12)), min_size=1, max_size=3), deltas)
@settings(max_examples=20)
def test_tight_renyi_basic(releases: list[tuple[Floats, int]], delta: float) -> None:
    """Tight composition costs at most what Renyi's does, and that at most the sum of epsilons."""
    total = compose(releases)
    assert 0 <= total.epsilon(delta) <= total.epsilon(delta, by="renyi") <= total.basic
    assert within(total.basic, math.fsum(times * (pure_epsilon(law) + 1e-12) for law, times in releases))


@given(st.permutations([0, 1, 2]), st.lists(laws(zeros=True), min_size=3, max_size=3), epsilons, st.booleans())
@settings(max_examples=25)
def test_order_does_not_matter(order: list[int], each: list[Floats], epsilon: float, some: bool) -> None:
    """Releases cost the same in any order, listed once or several times, all of them or some."""
    releases = [(law, times) for law, times in zip(each, (1, 4, 3), strict=True)]
    split = [(each[i], 1) for i in order for _ in range((1, 4, 3)[i])]
    reported = 5 if some else None
    first, second = compose(releases, reported=reported), compose(split, reported=reported)
    assert second.delta(epsilon) == pytest.approx(first.delta(epsilon), rel=1e-8, abs=1e-12)
    assert second.basic == pytest.approx(first.basic)


@given(laws(zeros=True), st.floats(0.0, 1.0), st.integers(1, 3), epsilons)
@settings(max_examples=40)
def test_more_noise_never_costs_more(law: Floats, kept: float, times: int, epsilon: float) -> None:
    """Replacing reports by uniform ones with some probability lowers delta, epsilon and Renyi's figure."""
    n_reports = law.shape[1]
    noisy = kept * law + (1 - kept) / n_reports
    plain, blurred = compose([(law, times)]), compose([(noisy, times)])
    assert within(blurred.delta(epsilon), plain.delta(epsilon))
    assert within(blurred.epsilon(1e-3), plain.epsilon(1e-3) + 1e-9)
    assert within(blurred.renyi(3.0), plain.renyi(3.0) + 1e-9)


@given(laws(), st.integers(1, 3), epsilons)
@settings(max_examples=40)
def test_more_releases_never_cost_less(law: Floats, times: int, epsilon: float) -> None:
    """One release more costs at least as much, and fewer features of the same cost at most as much."""
    few, more = compose([(law, times)]), compose([(law, times + 1)])
    assert within(few.delta(epsilon), more.delta(epsilon))
    assert within(compose([(law, times + 1)], reported=times).delta(epsilon), more.delta(epsilon))


@given(laws(zeros=True), st.floats(1.01, 50.0))
@settings(max_examples=40)
def test_renyi_is_never_below_all_pairs(law: Floats, alpha: float) -> None:
    """The Renyi divergence is not below that of any pair, and above the largest by rounding only."""
    exact, found = renyi(law, alpha), compose([(law, 1)]).renyi(alpha)
    assert found == exact == math.inf or exact <= found + 1e-13 <= exact + 1e-9 * (1 + exact)


@given(st.lists(laws(zeros=True), min_size=2, max_size=3), st.sampled_from([0.05, 0.5, 2.0, 11.3]), epsilons)
@settings(max_examples=20)
def test_transforms_against_all_sums(each: list[Floats], tilt: float, epsilon: float) -> None:
    """Masses on a grid give at least what all sums of losses one by one do, and little more with the best tilt."""
    pairs = tuple(dominating_pair(law) for law in each)
    tilts = np.exp2(np.arange(-8.0, 8.0))
    for chosen, rounds in ((1, 1), (1, 2), (len(pairs), 1)):
        blocks = [Block(pairs, (1,) * len(pairs), chosen, rounds)]
        best = float(tilts[moments_bound(log_sums(blocks, tilts), tilts, epsilon).argmin()])
        sums = enumerated(blocks)
        assert sums is not None
        exact = math.exp(sums.log_delta(epsilon))
        assert math.exp(Tail(blocks, tilt).log_delta(epsilon)) >= exact * (1 - 1e-12) - 1e-12
        assert math.exp(Tail(blocks, best).log_delta(epsilon)) == pytest.approx(exact, rel=1e-3, abs=1e-9)
