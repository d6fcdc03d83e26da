"""The law of every channel, against the papers' formulas written down once more, and the figures of the design."""

import contextlib
import math
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binom

from hashcomb.channels import (
    RQM,
    Channel,
    Geometric,
    Interval,
    LastHead,
    Matrix,
    Optimal,
    PoissonBinomial,
    RandomDepth,
    RandomizedResponse,
    SquareWave,
    describe,
    kinds,
    rqm_inputs,
    rqm_law,
)
from hashcomb.errors import ChannelError
from hashcomb.privacy import hockey_stick, pure_epsilon, renyi


def spread(n_leaves: int) -> float:
    """Return the variance of a uniform value within its leaf, which a leaf's center does not have."""
    return 1 / (12 * n_leaves**2)


def with_leaves(channel: Channel, n_leaves: int) -> float:
    """Return the mean squared error of a uniform value in [0, 1], decoded to the posterior mean."""
    return channel.on(n_leaves).expected_error() + spread(n_leaves)


# ---------------------------------------------------------------------- randomized response at a depth
@pytest.mark.parametrize(
    ("aim", "switches"),
    [
        ("error", [2.769, 5.069, 7.201, 9.294, 11.377, 13.457]),
        ("information", [0.82, 2.25, 3.37, 4.36, 5.28, 6.16]),
    ],
)
def test_the_depth_changes_at_the_design_s_epsilons(aim: Any, switches: list[float]) -> None:
    """Between one switch and the next the automatic depth is the same, and one deeper behind each."""
    digit = 0.001 if aim == "error" else 0.01
    for depth, switch in enumerate(switches, start=1):
        for epsilon, expected in ((switch - digit, depth), (switch + digit, depth + 1)):
            channel = RandomizedResponse(epsilon, aim=aim).on(1 << 8)
            assert channel.n_reports == 1 << expected


@pytest.mark.parametrize(
    ("depth", "epsilon", "expected", "best"),
    [(3, 1.0, 0.0700, 1), (4, 2.0, 0.0471, 1), (6, 4.0, 0.0157, 2), (8, 8.0, 0.0012, 4)],
)
def test_randomized_response_at_its_best_depth(depth: int, epsilon: float, expected: float, best: int) -> None:
    """The figures of the design, to the last digit; the closed form is that of the matrix."""
    channel = RandomizedResponse(epsilon).on(1 << depth)
    assert channel.n_reports == 1 << best
    assert with_leaves(channel, 1 << depth) == pytest.approx(expected, abs=5e-5)
    n = 1 << best
    kept = math.expm1(epsilon) / (math.exp(epsilon) + n - 1)
    assert with_leaves(channel, 1 << depth) == pytest.approx((1 - kept**2 * (1 - n**-2)) / 12, abs=1e-7)


@pytest.mark.parametrize("aim", ["error", "information"])
@pytest.mark.parametrize("epsilon", [0.3, 1.5, 4.0])
def test_the_best_depth_is_the_best_of_all(aim: Any, epsilon: float) -> None:
    """No other depth has less error, or more information, by the matrices themselves."""

    def score(channel: Channel) -> float:
        if aim == "error":
            return channel.expected_error()
        law = channel.matrix()
        return -float((law * np.log(law / law.mean(axis=0))).sum() / len(law))

    scores = [score(RandomizedResponse(epsilon, depth=depth).on(64)) for depth in range(1, 7)]
    assert score(RandomizedResponse(epsilon, aim=aim).on(64)) == min(scores)


def test_missing_values_and_categories_are_symbols_of_their_own() -> None:
    """A coarser depth leaves the symbol of missing values alone, and categories are not joined."""
    channel = RandomizedResponse(1.0).on(17, missing=True)
    assert channel.n_reports == 3
    assert channel.report_sets().tolist() == [[0, 8], [8, 16], [16, 17]]
    assert np.allclose(channel.matrix()[[0, 8, 16]], RandomizedResponse(1.0, 3, depth="leaf").matrix())
    assert RandomizedResponse(1.0).on(16, ordered=False).n_reports == 16


@pytest.mark.parametrize("channel", [RandomizedResponse(1.0, depth="leaf"), RandomizedResponse(3.0, depth=2)])
@pytest.mark.parametrize("missing", [False, True])
def test_the_worst_pair_dominates_every_pair(channel: RandomizedResponse, missing: bool) -> None:
    """At every order and every epsilon, positive or negative, no pair of symbols is told apart better."""
    bound = channel.on(16 + missing, missing=missing)
    matrix, pair = bound.matrix(), bound.worst_pair()
    for alpha in (1.1, 2.0, 32.0):
        assert renyi(matrix, alpha) <= renyi(pair, alpha) * (1 + 1e-9)
    for epsilon in np.linspace(0, 3, 13):
        assert hockey_stick(matrix, epsilon) <= hockey_stick(pair, epsilon) + 1e-15
    assert hockey_stick(pair, 0.5) == pytest.approx(hockey_stick(matrix, 0.5), abs=1e-8)


# ---------------------------------------------------------------------- interval, square wave, geometric
@pytest.mark.parametrize(
    ("depth", "epsilon", "expected"), [(3, 1.0, 0.0729), (4, 2.0, 0.0496), (6, 4.0, 0.0164), (8, 8.0, 0.0012)]
)
def test_interval_of_the_best_width(depth: int, epsilon: float, expected: float) -> None:
    """The figures of the design, to the last digit."""
    assert with_leaves(Interval(epsilon), 1 << depth) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("n", [5, 8, 16])
def test_interval_law(n: int) -> None:
    """A window of exactly `width` leaves, shifted in at the ends, is likelier; the best width is the best."""
    for width in range(1, n, 2):
        law = Interval(1.5, n, width=width).matrix()
        for i in range(n):
            start = min(max(i - width // 2, 0), n - width)
            row = [math.exp(1.5) if start <= j < start + width else 1.0 for j in range(n)]
            assert np.allclose(law[i], np.array(row) / sum(row), atol=1e-12)
    errors = [Interval(1.5, n, width=width).expected_error() for width in range(1, n, 2)]
    assert Interval(1.5, n).expected_error() == pytest.approx(min(errors), abs=1e-14)


@pytest.mark.parametrize(("n", "reach"), [(5, 0), (8, 2), (16, 3)])
def test_square_wave_law(n: int, reach: int) -> None:
    """k inputs, k + 2b outputs, e**epsilon on outputs i to i + 2b, over (2b + 1) e**epsilon + k - 1."""
    law, e = SquareWave(1.5, n, reach=reach).matrix(), math.exp(1.5)
    for i, j in product(range(n), range(n + 2 * reach)):
        assert law[i, j] == pytest.approx(
            (e if i <= j <= i + 2 * reach else 1) / ((2 * reach + 1) * e + n - 1), abs=1e-12
        )


@pytest.mark.parametrize(("depth", "epsilon", "expected"), [(3, 1.0, 0.0739), (4, 2.0, 0.0560), (6, 4.0, 0.0419)])
def test_square_wave_of_the_paper_s_width(depth: int, epsilon: float, expected: float) -> None:
    """With the width that Li et al. give, the errors of the design (its first figure reads .0740)."""
    e = math.exp(epsilon)
    reach = math.floor((epsilon * e - e + 1) / (2 * e * (e - 1 - epsilon)) * (1 << depth))
    assert with_leaves(SquareWave(epsilon, reach=reach), 1 << depth) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("n", "epsilon"), [(8, 1.0), (16, 2.0), (33, 4.0)])
def test_square_wave_of_the_best_width(n: int, epsilon: float) -> None:
    """The automatic width has the least mean variance of the unbiased code among all widths."""
    x = (np.arange(n) + 0.5) / n

    def variance(channel: SquareWave) -> float:
        code, law = channel.unbiased_code(x), channel.matrix()
        assert np.allclose(law @ code, x, atol=1e-9)
        return float((law @ code**2).mean())

    best = SquareWave(epsilon, n)
    assert variance(best) <= min(variance(SquareWave(epsilon, n, reach=b)) for b in range(1, n, 1)) * (1 + 1e-6)


@pytest.mark.parametrize(
    ("depth", "epsilon", "expected"), [(3, 1.0, 0.0768), (4, 2.0, 0.0655), (6, 4.0, 0.0440), (8, 8.0, 0.0198)]
)
def test_geometric_error(depth: int, epsilon: float, expected: float) -> None:
    """The figures of the design, with noise clamped at the ends."""
    assert with_leaves(Geometric(epsilon), 1 << depth) == pytest.approx(expected, abs=5.5e-5)


@pytest.mark.parametrize("ends", ["clamp", "renormalize"])
def test_geometric_law(ends: Any) -> None:
    """a**|i - j|, clamped or renormalized; epsilon is that of the ends, and of one step a part of it."""
    a, n = math.exp(-3.0 / 7), 8
    law = Geometric(3.0, n, ends=ends).matrix()
    for i in range(n):
        row = np.array([a ** abs(i - j) for j in range(n)])
        if ends == "clamp":
            tails = [(1 - a) / (1 + a) * sum(a ** abs(i - j) for j in js) for js in (range(-900, 1), range(n - 1, 900))]
            row = (1 - a) / (1 + a) * row
            row[0], row[-1] = tails
        assert np.allclose(law[i], row / row.sum(), atol=1e-12)
    channel = Geometric(3.0, n, ends=ends)
    assert channel.step_epsilon == pytest.approx(pure_epsilon(law[:2]) if ends == "clamp" else channel.step_epsilon)
    steps = max(pure_epsilon(law[[i, i + 1]]) for i in range(n - 1))
    assert steps <= channel.step_epsilon <= steps + 1e-12


# ---------------------------------------------------------------------- RQM, Poisson binomial
@pytest.mark.parametrize(
    ("m", "keep", "margin", "epsilon", "orders"),
    [
        (8, 0.42, 0.5, 3.000, (2.601, 2.837, 2.951)),
        (16, 0.42, 0.5, 5.470, (5.064, 5.344, 5.435)),
        (16, 0.42, 2.0, 2.567, (2.140, 2.453, 2.539)),
        (64, 0.42, 0.5, 19.678, (19.23, 19.56, 19.65)),
    ],
)
def test_rqm_figures(m: int, keep: float, margin: float, epsilon: float, orders: tuple[float, ...]) -> None:
    """Epsilon and three Renyi orders of the design's table, to its last digits."""
    law = rqm_law(rqm_inputs(m, margin), m, keep)
    assert pure_epsilon(law) == pytest.approx(epsilon, abs=6e-4)
    for alpha, expected in zip((2, 8, 32), orders, strict=True):
        assert renyi(law, alpha) == pytest.approx(expected, abs=6e-3 if m == 64 else 6e-4)


def test_the_ends_are_not_always_rqm_s_worst_pair() -> None:
    """m = 16, q = .57, Delta = c / 3: 11.551 over all pairs, 11.448 between the ends."""
    law = rqm_law(rqm_inputs(16, 1 / 6), 16, 0.57)
    assert pure_epsilon(law) == pytest.approx(11.551, abs=6e-4)
    assert pure_epsilon(law[[0, -1]]) == pytest.approx(11.448, abs=6e-4)


@pytest.mark.parametrize(("m", "keep"), [(2, 0.3), (4, 0.5), (7, 0.42), (9, 0.8)])
def test_rqm_by_enumeration(m: int, keep: float) -> None:
    """The closed form is the law of keeping and rounding, over all sets of kept levels, to 1e-12, and unbiased."""
    for t in (0.0, 0.3, 1.0, (m - 1) / 2, m - 1.25, m - 1.0):
        law = np.zeros(m)
        for inner in product([False, True], repeat=m - 2):
            kept = [0, *(i for i, there in enumerate(inner, start=1) if there), m - 1]
            chance = math.prod(keep if there else 1 - keep for there in inner)
            below = max(level for level in kept if level <= min(t, m - 1.5))
            above = min(level for level in kept if level > below)
            law[above] += chance * (t - below) / (above - below)
            law[below] += chance * (above - t) / (above - below)
        row = rqm_law([t], m, keep)[0]
        assert np.abs(row - law).max() < 1e-12
        assert row @ np.arange(m) == pytest.approx(t, abs=1e-12)


def test_rqm_at_equal_epsilon() -> None:
    """RQM of one epsilon has the design's error within 2e-3 (its q is not stated; .42 here)."""
    for depth, epsilon, expected in ((3, 1.0, 0.0771), (4, 2.0, 0.0653), (6, 4.0, 0.0434)):
        channel = RQM.for_epsilon(epsilon, 1 << depth)
        assert epsilon - 1e-9 <= channel.epsilon <= epsilon
        assert with_leaves(channel, 1 << depth) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(("n_trials", "epsilon"), [(1, 0.5), (8, 2.0), (16, 4.0)])
def test_poisson_binomial_law(n_trials: int, epsilon: float) -> None:
    """Bin(m, 1/2 + theta u) with theta = tanh(epsilon / 2m) / 2 has epsilon m ln((1/2 + theta) / (1/2 - theta))."""
    channel = PoissonBinomial.for_epsilon(epsilon, 5, n_trials=n_trials)
    theta = math.tanh(epsilon / (2 * n_trials)) / 2
    law = [binom.pmf(np.arange(n_trials + 1), n_trials, 0.5 + theta * u) for u in np.linspace(-1, 1, 5)]
    assert np.allclose(channel.matrix(), law, atol=1e-12)
    assert channel.epsilon <= epsilon
    assert channel.epsilon == pytest.approx(n_trials * math.log((0.5 + theta) / (0.5 - theta)), abs=1e-9)


# ---------------------------------------------------------------------- optimal
@pytest.mark.parametrize(("depth", "epsilon", "expected"), [(3, 1.0, 0.0700), (4, 2.0, 0.0471), (6, 4.0, 0.0155)])
def test_optimal_reaches_the_bound(depth: int, epsilon: float, expected: float) -> None:
    """The linear program's error is the design's, and no other channel's is below it."""
    best = with_leaves(Optimal.for_epsilon(epsilon, 1 << depth), 1 << depth)
    assert best == pytest.approx(expected, abs=5.5e-5)
    for other in (RandomizedResponse(epsilon), Interval(epsilon), SquareWave(epsilon), Geometric(epsilon)):
        assert with_leaves(other, 1 << depth) >= best - 1e-9


def test_optimal_for_a_prior_beats_that_for_another() -> None:
    """A channel solved for a skewed prior has less error there than the one for the uniform prior."""
    prior = 0.7 ** np.arange(16)
    own, other = Optimal.for_epsilon(1.0, 16, prior=prior), Optimal.for_epsilon(1.0, 16)
    assert own.expected_error(prior) < other.expected_error(prior) - 1e-4


def test_optimal_is_the_same_from_its_parameters() -> None:
    """A Spec holds runs and weights, so that every owner has the same reports without solving anything."""
    solved = Optimal.for_epsilon(2.0, 16)
    again = Optimal.from_params(dict(solved.to_spec().params)).on(16)
    assert np.array_equal(solved.matrix(), again.matrix())
    with pytest.raises(ChannelError, match="leaves here"):
        Optimal.from_params(dict(solved.to_spec().params)).on(8)


# ---------------------------------------------------------------------- random depth, last head
@pytest.mark.parametrize("weights", [None, [1.0, 0.0, 3.0, 1.0]])
def test_random_depth(weights: Any) -> None:
    """Each depth's block is its weight times randomized response there; the best single depth has less error."""
    channel = RandomDepth(1.0, 16, weights=weights)
    shares = np.array(weights or [1.0] * 4) / sum(weights or [1.0] * 4)
    blocks = [share * RandomizedResponse(1.0, 16, depth=d).matrix() for d, share in enumerate(shares, start=1)]
    assert np.allclose(channel.matrix(), np.hstack(blocks), atol=1e-8)
    assert channel.expected_error() >= RandomizedResponse(1.0, 16).expected_error() - 1e-9


@pytest.mark.parametrize(("heads", "levels"), [(0.5, 3), (0.05, 6), (0.9, 4)])
def test_last_head_by_enumeration(heads: float, levels: int) -> None:
    """Over all sequences of tosses with a head, the report is the true node at the depth of the last one."""
    law = np.zeros(2 << levels)
    for tosses in product([False, True], repeat=levels):
        if any(tosses):
            chance = math.prod(heads if head else 1 - heads for head in tosses)
            law[max(i for i, head in enumerate(tosses, start=1) if head)] += chance
    law /= law.sum()
    channel = LastHead(heads, 1 << levels)
    leaf = (1 << levels) - 1
    for depth in range(1, levels + 1):
        assert channel.matrix()[leaf, (1 << depth) - 2 + (leaf >> (levels - depth))] == pytest.approx(law[depth])
    mean = sum(depth * law[depth] for depth in range(1, levels + 1))
    if (heads, levels) == (0.05, 6):
        assert mean == pytest.approx(3.65, abs=5e-3)


def test_last_head_has_no_epsilon_but_a_delta() -> None:
    """Delta is (1 - (1-p)^(L-s)) / (1 - (1-p)^L) at every epsilon; five releases expose a leaf with .97."""
    channel, p, levels = LastHead(0.5, 64), 0.5, 6
    assert channel.epsilon == math.inf
    for shared in range(levels):
        expected = (1 - (1 - p) ** (levels - shared)) / (1 - (1 - p) ** levels)
        assert channel.shared_delta(shared) == pytest.approx(expected, abs=1e-12)
        pair = channel.matrix()[[0, 1 << (levels - 1 - shared)]]
        for epsilon in (0.0, 1.0, 20.0):
            assert hockey_stick(pair, epsilon) == pytest.approx(expected, abs=1e-9)
    at_leaf = channel.shared_delta(levels - 1)
    assert 1 - (1 - at_leaf) ** 5 == pytest.approx(0.97, abs=5e-3)


def test_kinds_without_an_epsilon_to_choose_say_so() -> None:
    """Neither the last head nor a matrix can be calibrated."""
    for kind in (LastHead, Matrix):
        with pytest.raises(ChannelError, match="no epsilon to choose"):
            kind.for_epsilon(1.0, 16)


def test_geometric_is_dominated_at_every_epsilon() -> None:
    """At 4 leaves of depth and all epsilons tried, randomized response at its depth has less error."""
    for epsilon in (0.5, 1.0, 2.0, 4.0, 8.0):
        assert with_leaves(RandomizedResponse(epsilon), 16) < with_leaves(Geometric(epsilon), 16)


def test_square_wave_is_near_the_optimum_of_unbiased_codes() -> None:
    """For means, the tuned square wave is within 3 % of the best unbiased code of any channel of this epsilon."""
    from scipy.optimize import linprog

    n, epsilon = 8, 1.0
    x, e = (np.arange(n) + 0.5) / n, math.exp(epsilon)
    runs = [(a, b) for a in range(n) for b in range(a + 1, n + 1)]
    columns = np.array([[e if a <= i < b else 1.0 for a, b in runs] for i in range(n)])
    values = np.linspace(-8, 9, 681)
    law, code = np.tile(columns, len(values)), np.repeat(values, len(runs))
    found = linprog(
        law.mean(axis=0) * code**2, A_eq=np.vstack([law, law * code]), b_eq=np.r_[np.ones(n), x], method="highs"
    )
    channel = SquareWave(epsilon, n)
    ours = float((channel.matrix() @ channel.unbiased_code(x) ** 2).mean())
    assert (
        found.fun - float((x**2).mean()) <= (ours - float((x**2).mean())) <= 1.03 * (found.fun - float((x**2).mean()))
    )


# ---------------------------------------------------------------------- what all have in common
CHANNELS: dict[str, Channel] = {
    "randomized response": RandomizedResponse(1.3, depth="leaf"),
    "randomized response, coarse": RandomizedResponse(1.3),
    "interval": Interval(1.3),
    "square wave": SquareWave(1.3),
    "geometric": Geometric(1.3),
    "rqm": RQM(0.42, 1.0),
    "poisson binomial": PoissonBinomial(0.1, 8),
    "optimal": Optimal.for_epsilon(1.3, 16),
    "random depth": RandomDepth(1.3),
    "last head": LastHead(0.4),
    "matrix": Matrix(np.random.default_rng(0).dirichlet(np.ones(11), size=16)),
}


@pytest.mark.parametrize("name", CHANNELS)
def test_a_channel_is_rebuilt_from_its_part_of_a_spec(name: str) -> None:
    """Kind and parameters give the same matrix again, bit for bit."""
    channel = CHANNELS[name]
    described = channel.to_spec()
    again = type(channel).from_params(dict(described.params))
    assert described.kind == channel.kind
    assert np.array_equal(again.on(16).matrix(), channel.on(16).matrix())


@pytest.mark.parametrize("name", CHANNELS)
def test_the_claim_is_that_of_the_matrix(name: str) -> None:
    """Epsilon is the largest log ratio of the matrix within a column, rows sum to one, and nothing is negative."""
    channel = CHANNELS[name].on(16)
    assert channel.epsilon == pytest.approx(pure_epsilon(channel.matrix()), rel=1e-12)
    assert np.allclose(channel.matrix().sum(axis=1), 1.0, atol=1e-12)
    assert (channel.matrix() >= 0).all()
    assert channel.matrix().shape == (16, channel.n_reports)


@pytest.mark.parametrize(
    "kind", [RandomizedResponse, Interval, SquareWave, Geometric, RandomDepth, Optimal, RQM, PoissonBinomial]
)
@pytest.mark.parametrize("epsilon", [0.1, 1.0, 7.0])
def test_calibration_is_never_above_and_hardly_below(kind: type[Channel], epsilon: float) -> None:
    """The exact epsilon of what `for_epsilon` gives is at most the one asked for, and within 1e-6 of it."""
    channel = kind.for_epsilon(epsilon, 16)
    assert epsilon - 1e-6 < channel.epsilon <= epsilon


@pytest.mark.parametrize("name", CHANNELS)
def test_sets_cover_what_a_report_stands_for(name: str) -> None:
    """Where reports stand for runs of leaves, their posterior is highest inside the run."""
    channel = CHANNELS[name].on(16)
    sets = channel.report_sets()
    if sets is None:
        assert not channel.reports_symbols
        return
    posterior = channel.posterior()
    for report, (first, stop) in enumerate(sets):
        if channel.matrix()[:, report].max() > 0:
            assert posterior[first:stop, report].max() == pytest.approx(posterior[:, report].max())


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Interval(0.0), "epsilon"),
        (lambda: Interval(1.0, width=4), "odd"),
        (lambda: Interval(1.0, 8, width=9), "width"),
        (lambda: SquareWave(math.nan), "epsilon"),
        (lambda: SquareWave(1.0, reach=-1), "reach"),
        (lambda: SquareWave(1.0, 1024), "up to"),
        (lambda: Geometric(math.inf), "epsilon"),
        (lambda: Geometric(1.0, ends="wrap"), "ends"),  # type: ignore[arg-type]
        (lambda: RQM(1.0, 1.0), "keep"),
        (lambda: RQM(0.5, 0.0), "margin"),
        (lambda: RQM(0.5, 1.0, n_levels=1), "n_levels"),
        (lambda: PoissonBinomial(0.5, 4), "theta"),
        (lambda: PoissonBinomial(0.1, 0), "n_trials"),
        (lambda: RandomDepth(1.0, 16, weights=[1.0]), "depths"),
        (lambda: RandomDepth(1.0, weights=[-1.0, 2.0]), "weights"),
        (lambda: RandomDepth(1.0, 12), "leaves of a comb"),
        (lambda: LastHead(0.0), "heads"),
        (lambda: LastHead(0.5, 12), "leaves of a comb"),
        (lambda: LastHead(0.5, 16).shared_delta(4), "shared"),
        (lambda: LastHead(0.5, 16).shared_delta("a"), "shared"),  # type: ignore[arg-type]
        (lambda: PoissonBinomial.for_epsilon(1.0, 16, foo=1), "no parameter 'foo'"),
        (lambda: RQM.for_epsilon(1.0, 16, foo=1), "no parameter 'foo'"),
        (lambda: Optimal.for_epsilon(1.0, 16, foo=1), "alone"),
        (lambda: Optimal.for_epsilon(1.0, 16, prior="abc"), "no numbers"),
        (lambda: rqm_law([3.0], 2, 0.5), "from 0 to 1"),
        (lambda: Optimal.for_epsilon(1.0, 200), "n_symbols"),
        (lambda: Optimal.for_epsilon(1.0, 4, prior=[1.0]), "prior"),
        (lambda: Optimal(1.0, [0], [4], [1.0], 8), "not those of a channel"),
        (lambda: Optimal(1.0, [3], [2], [1.0]), "stop behind"),
        (lambda: Matrix([[0.5, 0.5], [-0.5, 1.5]]), "below zero"),
        (lambda: Matrix([[0.5, 0.5], [0.5, 0.4]]), "sum to one"),
        (lambda: Matrix([[0.5, 0.5], [math.nan, 0.5]]), "finite"),
        (lambda: Matrix([[0.5, 0.5]]), "at least two rows"),
        (lambda: Matrix([0.5, 0.5, 1.0], n_reports=2), "rows of 2"),
        (lambda: Matrix([["a", "b"]]), "numbers"),
        (lambda: Matrix(np.eye(4)).on(5), "4 rows"),
        (lambda: Geometric(1.0).on(17, missing=True), "missing values"),
        (lambda: Interval(1.0).on(4, ordered=False), "categories"),
        (lambda: Geometric(1.0).on(1), "number of symbols"),
        (lambda: Geometric(1.0).on(8.5), "number of symbols"),  # type: ignore[arg-type]
        (lambda: RandomizedResponse(1.0).on("8"), "number of symbols"),  # type: ignore[arg-type]
        (lambda: Interval(1.0, 1 << 11), "too large"),
        (lambda: Interval(1.0, 1 << 20), "too large"),
        (lambda: LastHead(0.5, 1 << 20), "too large"),
        (lambda: RQM(0.5, 1.0, 1 << 20, n_levels=8), "too large"),
        (lambda: SquareWave(1.0, 1 << 20, reach=3), "too large"),
        (lambda: RandomDepth(1.0, weights="abc"), "weights"),  # type: ignore[arg-type]
        (lambda: Geometric(10**400), "epsilon"),
        (lambda: Geometric(1j), "epsilon"),  # type: ignore[arg-type]
        (lambda: RandomizedResponse(1.0, depth="root"), "depth"),  # type: ignore[arg-type]
        (lambda: Matrix(np.full((5, 2), 0.5)).on(5, missing=True), "not square"),
        (lambda: Geometric(1.0, 8).unbiased_code([1.0]), "8 finite values"),
        (lambda: Geometric(1.0, 8).unbiased_code([math.nan] * 8), "8 finite values"),
        (lambda: Geometric(1.0, 8).sample(np.array([8], dtype=np.int32), np.zeros(1, dtype=np.uint64)), "0 to 7"),
        (lambda: describe("interval", n_leaves=8, epsilon=[]), "each feature"),
        (lambda: describe("interval", n_leaves=8, epsilon=[1.0, -5.0]), "epsilon"),
        (lambda: describe("interval", n_leaves=8, epsilon=1.0, report_features=-1), "report_features"),
        (lambda: describe(["a"], n_leaves=8), "no channel"),  # type: ignore[arg-type]
    ],
)
def test_impossible_parameters_are_refused(make: Any, match: str) -> None:
    """Every parameter out of its range is a typed error that names it."""
    with pytest.raises(ChannelError, match=match):
        make()


# ---------------------------------------------------------------------- the integer table
def test_the_kernel_reads_words_as_the_table_was_laid_out() -> None:
    """At the edges of every slot and threshold, the kernel's report is the one that the layout says."""
    from hashcomb.channels.table import IntegerTable
    from hashcomb.kernels import compiled, reference

    table = IntegerTable(np.array([[0.6, 0.3, 0.1], [0.05, 0.05, 0.9]]))
    thresholds, aliases = table._slots
    width = 1 << (62 - table.bits)
    for symbol, slot in product(range(2), range(4)):
        at = symbol * 4 + slot
        edges = {0, int(thresholds[at]) - 1, int(thresholds[at]), width - 1}
        for offset in {edge for edge in edges if 0 <= edge < width}:
            word = np.array([(slot * width + offset) * 4 + 3], dtype=np.uint64)
            expected = slot if offset < int(thresholds[at]) else int(aliases[at])
            for kernel in (compiled, reference):
                out = np.empty(1, dtype=np.int32)
                kernel.table_reports(np.array([symbol], dtype=np.int32), word, table.bits, thresholds, aliases, out)
                assert out[0] == expected


@pytest.mark.parametrize("n_reports", [1, 2, 3, 16, 100])
def test_slots_hold_exactly_the_counts(n_reports: int) -> None:
    """Adding up the slots and aliases of a row gives back every report's units, as whole numbers."""
    from hashcomb.channels.table import IntegerTable

    law = np.random.default_rng(n_reports).dirichlet(np.full(n_reports, 0.2), size=4)
    table = IntegerTable(law)
    capacity = 1 << (62 - table.bits)
    for row, thresholds, aliases in zip(table.counts, *(p.reshape(4, -1) for p in table._slots), strict=True):
        held = [0] * (1 << table.bits)
        for slot, (threshold, alias) in enumerate(zip(thresholds.tolist(), aliases.tolist(), strict=True)):
            held[slot] += threshold
            held[alias] += capacity - threshold
        assert held == row.tolist() + [0] * (len(held) - n_reports)
        assert sum(row.tolist()) == 1 << 62


def test_the_table_s_epsilon_is_exact_and_above_the_truth() -> None:
    """The stated epsilon is not below the exact logarithm of the integers' ratio, and above it by 1e-15 of it."""
    from decimal import Decimal

    for seed in range(20):
        law = np.random.default_rng(seed).dirichlet(np.ones(5), size=6)
        table = Matrix(law).on(6)._table
        ratio = max(Fraction(max(column), min(column)) for column in table.counts.T.tolist())
        truth = (Decimal(ratio.numerator) / ratio.denominator).ln()
        assert truth <= Decimal(table.epsilon) <= truth * (1 + Decimal(10) ** -15)


def test_tiny_and_zero_probabilities_stay_what_they_are() -> None:
    """A positive entry keeps at least one unit, and a zero none: epsilon is finite or not as the law has it."""
    tiny = Matrix([[1 - 1e-25, 1e-25], [0.5, 0.5]]).on(2)
    assert tiny._table.counts[0, 1] == 1
    assert math.isfinite(tiny.epsilon)
    assert Matrix([[1.0, 0.0], [0.5, 0.5]]).on(2).epsilon == math.inf


def test_rqm_margin_is_the_root() -> None:
    """The margin that calibration finds is the root of epsilon in the margin."""
    root = brentq(lambda g: pure_epsilon(rqm_law((np.arange(16) / 15 + g) / (1 + 2 * g) * 15, 16, 0.42)) - 2.0, 0.1, 50)
    assert RQM.for_epsilon(2.0, 16).margin == pytest.approx(root, rel=1e-9)


@pytest.mark.parametrize(("scale", "shift"), [(1e-9, 0.0), (1.0, 1e9), (1e200, -1e200), (0.0, 5.0)])
def test_no_unit_changes_a_code_or_a_program(scale: float, shift: float) -> None:
    """Unbiased codes and optimal channels are the same for values in other units, and impossible codes are refused."""
    x = np.arange(8) / 8
    channel = SquareWave(2.0, 8)
    code = channel.unbiased_code(x * scale + shift)
    assert np.allclose(channel.matrix() @ code, x * scale + shift, rtol=1e-6, atol=1e-6 * scale)
    if scale:
        wanted = Optimal.for_epsilon(2.0, 8, values=x + 1e-3 * x**2)
        found = Optimal.for_epsilon(2.0, 8, values=(x + 1e-3 * x**2) * scale + shift)
        assert (found.first, found.stop) == (wanted.first, wanted.stop)
        with pytest.raises(ChannelError, match="apart"):
            RandomizedResponse(1.0, 8, depth=1).unbiased_code(x * scale + shift)


@pytest.mark.parametrize("epsilon", [1e-12, 1e-7, 1e-3])
def test_square_wave_of_a_tiny_epsilon(epsilon: float) -> None:
    """Where nothing is left to tune, the width is half the range, on every machine."""
    assert SquareWave(epsilon, 64).b == 32


def test_the_best_depth_counts_missing_values_out() -> None:
    """With a symbol for missing values, the automatic depth has the least error of values that are present."""

    def error(channel: RandomizedResponse) -> float:
        law, x = channel.matrix()[:64], (np.arange(64) + 0.5) / 64
        decoded = np.append(x @ law[:, :-1] / law[:, :-1].sum(axis=0), x.mean())
        return float((law * (x[:, None] - decoded) ** 2).sum() / 64)

    for epsilon in (0.5, 2.7, 2.72, 2.74, 5.0):
        errors = [error(RandomizedResponse(epsilon, depth=d).on(65, missing=True)) for d in range(1, 7)]
        assert error(RandomizedResponse(epsilon).on(65, missing=True)) == min(errors)


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize(
    "name", ["n_symbols", "margin", "theta", "keep", "first", "weights", "law", "heads", "nothing"]
)
def test_parameters_beside_an_epsilon(kind: str, name: str) -> None:
    """Whatever is given beside an epsilon, a kind takes it or refuses it by a typed error."""
    with contextlib.suppress(ChannelError):
        assert describe(kind, {name: 0.5}, n_leaves=8, epsilon=1.0).kind == kind


@pytest.mark.parametrize("kind", ["interval", "square_wave"])
def test_what_a_solver_chooses_is_written_into_the_spec(kind: str) -> None:
    """A described channel has its best width as a number, so that no owner solves for it again."""
    described = describe(kind, n_leaves=16, epsilon=1.3)
    assert all(not isinstance(value, str) for value in described.params.values())
    best: Channel = Interval(1.3, 16) if kind == "interval" else SquareWave(1.3, 16)
    assert np.array_equal(type(best).from_params(dict(described.params)).on(16).matrix(), best.matrix())
