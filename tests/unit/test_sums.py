"""Privacy of sums: against known figures, brute force over all data of the others, and planted defects."""

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linprog

from hashcomb.channels import Geometric, PoissonBinomial, RandomizedResponse
from hashcomb.errors import ChannelError
from hashcomb.privacy import L2Clip, SumPrivacy, hockey_stick, renyi, renyi_of_sum, worst_renyi_of_sum
from hashcomb.privacy.sums.blankets import Blanket, Cover, find_blankets
from hashcomb.privacy.sums.moments import HiddenReport
from hashcomb.privacy.sums.powers import LogLaw, Powers, convolve
from hashcomb.privacy.sums.slopes import log_slopes, per_squared_distance, refined

Floats = NDArray[np.float64]

MANY = 10**12  # coordinates: so many that the claim by norm is the smaller one
UNIT_DISTANCE = {"norm": 0.5, "coordinate": 1.0}  # the claim by norm is then K itself


def random_matrix(n_symbols: int, n_reports: int, seed: int = 0, power: float = 1.0) -> Floats:
    """Return a random row-stochastic matrix, the more uneven the larger the power."""
    matrix = np.random.default_rng((seed, n_symbols, n_reports)).random((n_symbols, n_reports)) ** power + 0.01
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


def rqm(n_levels: int, keep: float, margin: float, inputs: Floats | None = None) -> Floats:
    """Return RQM's law by its closed form, for inputs in units of levels; by default those that span all others."""
    low, high = (part / (1 + 2 * margin) * (n_levels - 1) for part in (margin, 1 + margin))
    if inputs is None:
        inputs = np.array([low, *range(math.floor(low) + 1, math.ceil(high)), high])
    kept = [1.0, *[keep] * (n_levels - 2), 1.0]
    law = np.zeros((len(inputs), n_levels))
    for row, t in zip(law, inputs.tolist(), strict=True):
        j = min(int(t), n_levels - 2)
        for a, b in itertools.product(range(j + 1), range(j + 1, n_levels)):
            both = kept[a] * (1 - keep) ** (j - a) * kept[b] * (1 - keep) ** (b - j - 1)
            row[a] += both * (b - t) / (b - a)
            row[b] += both * (t - a) / (b - a)
    return law


def divergences(laws: Floats, alpha: float) -> Floats:
    """Return the Renyi divergences of all ordered pairs of laws, straight from the definition."""
    logs = np.log(laws)
    terms = alpha * logs[:, None] + (1 - alpha) * logs[None]
    peaks = terms.max(axis=2)
    return np.asarray((np.log(np.exp(terms - peaks[..., None]).sum(axis=2)) + peaks) / (alpha - 1))


def sums_of(matrix: Floats, laws: Floats, n_others: int) -> list[Floats]:
    """Return, for all data of the others, the laws of their sum with a report of each of some laws."""
    found = []
    for symbols in itertools.combinations_with_replacement(range(len(matrix)), n_others):
        others = np.ones(1)
        for symbol in symbols:
            others = np.convolve(others, matrix[symbol])
        found.append(np.stack([np.convolve(law, others) for law in laws]))
    return found


def truth(matrix: Floats, n_honest: int, alpha: float) -> float:
    """Return the largest divergence between two symbols, over all data of the others."""
    return float(max(divergences(laws, alpha).max() for laws in sums_of(matrix, matrix, n_honest - 1)))


def between(matrix: Floats, inputs: Floats, values: Floats) -> Floats:
    """Return the laws of values that are rounded to inputs beside them at random, without bias."""
    return np.stack([np.interp(values, inputs, column) for column in matrix.T], axis=1)


# ---------------------------------------------------------------------- known figures
def test_rqm_under_a_hundred_clients() -> None:
    """One RQM report costs 2.14 and 2.45 by itself, and .0341 and .1348 in a sum of 100, at orders 2 and 8."""
    privacy = SumPrivacy.of(rqm(16, 0.42, 2.0), 100)
    assert [privacy.local(2.0), privacy.local(8.0)] == pytest.approx([2.1402, 2.4525], abs=1e-4)
    assert [privacy.renyi(2.0), privacy.renyi(8.0)] == pytest.approx([0.034059, 0.134762], abs=1e-6)


def test_rqm_is_close_to_the_truth_for_equal_others() -> None:
    """Others who all report for the same symbol are one data set: the bound is above it, by less than a fifth."""
    matrix = rqm(16, 0.42, 2.0)
    same = max(renyi_of_sum(matrix, [symbol] * 99, 8.0) for symbol in range(len(matrix)))
    assert same < SumPrivacy.of(matrix, 100).renyi(8.0) < 1.2 * same


def test_values_between_levels_cost_no_more() -> None:
    """RQM on 16 values, most of them between levels, has the claim of RQM on the levels: rows may mix shifts."""
    fine = rqm(16, 0.42, 2.0, np.linspace(6.0, 9.0, 16))
    assert SumPrivacy.of(fine, 100).renyi(8.0) == pytest.approx(
        SumPrivacy.of(rqm(16, 0.42, 2.0), 100).renyi(8.0), rel=1e-3
    )


def test_a_client_alone_has_its_report_alone() -> None:
    """With one client there is nothing to hide under."""
    matrix = random_matrix(4, 6)
    assert SumPrivacy.of(matrix, 1).renyi(3.0) == pytest.approx(renyi(matrix, 3.0), abs=1e-10)


def test_channels_and_their_matrices_are_the_same() -> None:
    """A bound channel is taken as its matrix."""
    channel = RandomizedResponse(2.0, 6, depth="leaf")
    assert SumPrivacy.of(channel, 5).renyi(2.0) == SumPrivacy.of(channel.matrix(), 5).renyi(2.0)


# ---------------------------------------------------------------------- brute force
def exact_moment(matrix: list[list[Fraction]], others: tuple[int, ...], pair: tuple[int, int], alpha: int) -> Fraction:
    """Return sum_y p(y)**alpha q(y)**(1 - alpha) in fractions, by enumeration of all reports of all clients."""
    laws = []
    for symbol in pair:
        law: dict[int, Fraction] = {}
        for reports in itertools.product(range(len(matrix[0])), repeat=1 + len(others)):
            rows = (matrix[x][report] for x, report in zip((symbol, *others), reports, strict=True))
            law[sum(reports)] = law.get(sum(reports), Fraction(0)) + math.prod(rows)
        laws.append(law)
    return sum((laws[0][y] ** alpha * laws[1][y] ** (1 - alpha) for y in laws[0]), Fraction(0))


def test_known_others_by_enumeration() -> None:
    """For given data of the others, the divergence is that of the sum's law, enumerated in fractions."""
    parts = [[1, 2, 5], [4, 3, 1], [3, 3, 2]]
    matrix = [[Fraction(part, 8) for part in row] for row in parts]
    for others in ((), (0,), (1, 2), (2, 2, 0)):
        pairs = itertools.permutations(range(3), 2)
        expected = max(math.log(exact_moment(matrix, others, pair, 3)) for pair in pairs) / 2
        found = renyi_of_sum(np.array(parts) / 8, others, 3.0)
        assert expected <= found <= expected + 1e-10


@pytest.mark.parametrize("alpha", [1.1, 2.0, 9.0])
def test_worst_others_by_enumeration(alpha: float) -> None:
    """The worst case is the largest over all data sets of the others."""
    matrix = random_matrix(3, 4)
    for n_honest in (1, 2, 3, 4):
        expected = truth(matrix, n_honest, alpha)
        assert expected <= worst_renyi_of_sum(matrix, n_honest, alpha) <= expected + 1e-10


CASES = [(2, 2, 1.0), (2, 5, 3.0), (3, 3, 0.5), (3, 4, 1.0), (4, 3, 2.0)]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("n_honest", [2, 3, 4])
def test_claim_is_not_below_the_worst_case(case: tuple[int, int, float], n_honest: int) -> None:
    """For every order, the claim is at least the divergence for the worst data of the others."""
    matrix = random_matrix(*case[:2], power=case[2])
    privacy = SumPrivacy.of(matrix, n_honest)
    for alpha in (1.05, 1.5, 2.0, 4.0, 16.0, 100.0):
        assert privacy.renyi(alpha) >= truth(matrix, n_honest, alpha)


def near_shifts(step: int) -> Floats:
    """Return a channel whose rows are nearly shifts of one another."""
    matrix = np.full((3, 4 + 2 * step), 1e-3)
    for symbol, row in enumerate(matrix):
        row[step * symbol : step * symbol + 4] += [0.1, 0.4, 0.3, 0.2]
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("step", [1, 2])
def test_claim_where_every_row_is_a_shift(step: int) -> None:
    """Rows that are nearly shifts of one another leave little but noise, and the claim is still not below the truth."""
    matrix = near_shifts(step)
    assert find_blankets(matrix)[0].weight > 0.98
    for n_honest in (2, 3, 4, 5):
        assert SumPrivacy.of(matrix, n_honest).renyi(3.0) >= truth(matrix, n_honest, 3.0)


def test_epsilon_and_delta_hold_for_small_sums() -> None:
    """The hockey-stick divergence of the sum at the claimed epsilon is at most delta, and the other way round."""
    matrix = random_matrix(3, 4)
    privacy = SumPrivacy.of(matrix, 4)
    epsilon, delta = privacy.epsilon(1e-3), privacy.delta(0.5)
    for laws in sums_of(matrix, matrix, 3):
        assert hockey_stick(laws, epsilon) <= 1e-3
        assert hockey_stick(laws, 0.5) <= delta


# ---------------------------------------------------------------------- planted defects
def claimed(matrix: Floats, n_honest: int, alpha: float, blanket: Blanket) -> float:
    """Return what would be claimed with a blanket that somebody made up."""
    return float(HiddenReport(matrix, n_honest - 1, blanket).log_moments(alpha).max()) / (alpha - 1)


def test_a_blanket_without_its_weight_is_caught() -> None:
    """If every report were taken to hold the noise, the claim would be below the truth for two clients."""
    matrix = RandomizedResponse(2.0, 4, depth="leaf").matrix()
    (honest,) = find_blankets(matrix)
    careless = Blanket(1 - 1e-12, honest.noise)
    assert claimed(matrix, 2, 2.0, careless) < truth(matrix, 2, 2.0) <= claimed(matrix, 2, 2.0, honest)


def test_a_wrong_shift_is_caught() -> None:
    """If the weight of shifted rows went with the noise of rows as they stand, the claim would be below the truth."""
    matrix = near_shifts(2)
    shifted = find_blankets(matrix)[0]
    unshifted = matrix.mean(axis=0)
    assert claimed(matrix, 3, 2.0, Blanket(shifted.weight, unshifted)) < truth(matrix, 3, 2.0)
    assert claimed(matrix, 3, 2.0, shifted) >= truth(matrix, 3, 2.0)


# ---------------------------------------------------------------------- blankets
CHANNELS: dict[str, Callable[[], Floats]] = {
    "rqm": lambda: rqm(16, 0.42, 0.5),
    "rqm between levels": lambda: rqm(12, 0.42, 1.3, np.linspace(4.0, 7.0, 7)),
    "poisson binomial": lambda: PoissonBinomial(0.1, 12).on(8).matrix(),
    "geometric": lambda: Geometric.for_epsilon(3.0, 10).matrix(),
    "uneven": lambda: random_matrix(4, 7, power=4.0),
}


@pytest.mark.parametrize("name", CHANNELS)
def test_every_row_holds_the_blanket(name: str) -> None:
    """Each row is at least its weight of the noise, mixed over shifts: checked by one linear program a row."""
    matrix = CHANNELS[name]()
    for blanket in find_blankets(matrix):
        n_shifts = matrix.shape[1] - len(blanket.noise) + 1
        held = np.stack([np.pad(blanket.noise, (k, n_shifts - 1 - k)) for k in range(n_shifts)], axis=1)
        for row in matrix:
            solved = linprog(-np.ones(n_shifts), A_ub=held / row[:, None], b_ub=np.ones(len(row)))
            assert -solved.fun >= blanket.weight * (1 - 1e-6)


def test_what_a_program_answers_is_scaled_to_fit() -> None:
    """Noise and shifts that exceed the rows by a part, and have small negative weights, are made to fit under them."""
    matrix = rqm(8, 0.42, 1.0)
    start = Cover.of_shifts(matrix, np.arange(len(matrix)))
    excessive = start.shifted * 1.03
    excessive[excessive == 0] = -1e-9
    fitted = start.fitted(start.noise * 1.04, excessive)
    covered = np.stack([np.convolve(row, fitted.noise) for row in fitted.shifted])
    assert (covered <= matrix * (1 + 1e-14)).all()
    assert fitted.weight == pytest.approx(start.weight, rel=1e-9)


def best_of_all_shifts(matrix: Floats) -> float:
    """Return the largest weight under one shift for each row, by trying all."""
    n_symbols, n_reports = matrix.shape
    padded = np.pad(matrix, ((0, 0), (n_reports, n_reports)))
    best = 0.0
    for shifts in itertools.product(range(-n_reports + 1, n_reports), repeat=n_symbols - 1):
        rows = [np.roll(row, -shift) for row, shift in zip(padded, (0, *shifts), strict=True)]
        best = max(best, float(np.min(rows, axis=0).sum()))
    return best


@pytest.mark.parametrize("matrix", [rqm(6, 0.42, 1.0), PoissonBinomial(0.2, 5).on(4).matrix(), random_matrix(3, 5)])
def test_search_finds_the_best_shifts_of_small_channels(matrix: Floats) -> None:
    """The heaviest blanket is at least as heavy as the best of one shift for each row."""
    assert max(blanket.weight for blanket in find_blankets(matrix)) >= best_of_all_shifts(matrix) * (1 - 1e-9)


def test_lighter_blankets_with_more_noise_are_kept() -> None:
    """The geometric channel's blankets trade weight for noise; no kept one is worse in both."""
    found = find_blankets(Geometric.for_epsilon(4.0, 16).matrix())
    weights = [blanket.weight for blanket in found]
    noises = [blanket.weight * blanket.variance for blanket in found]
    assert len(found) > 1
    assert np.argsort(weights).tolist() == np.argsort(noises)[::-1].tolist()


# ---------------------------------------------------------------------- numerics
def test_no_false_infinity_at_large_orders() -> None:
    """At any order the claim stays finite and at most that of the report by itself."""
    matrix = PoissonBinomial(0.2, 16).on(5).matrix()
    privacy = SumPrivacy.of(matrix, 60)
    for alpha in (50.0, 500.0, 1e4, 1e6):
        assert 0 < privacy.renyi(alpha) <= privacy.local(alpha) * (1 + 1e-9)


def test_sums_of_logs_are_exact_where_doubles_underflow() -> None:
    """A sum of reports with entries of 1e-150 has entries of 1e-600, right to 2e-11 relative in fractions."""
    parts = [Fraction(1, 10**150), Fraction(1, 3), Fraction(1, 10**90)]
    parts.append(1 - sum(parts, Fraction(0)))
    law = LogLaw(np.array([math.log(part) for part in parts]), 1e-13, -math.inf)
    four = convolve(convolve(law, law, depth=math.inf), convolve(law, law, depth=math.inf), depth=math.inf)
    exact = [Fraction(0)] * 13
    for terms in itertools.product(range(4), repeat=4):
        exact[sum(terms)] += math.prod(parts[term] for term in terms)
    expected = [math.log(entry.numerator) - math.log(entry.denominator) for entry in exact]
    assert four.lost == -math.inf
    assert np.abs(four.logs - expected).max() <= four.error + 1e-12 < 2e-11


def test_powers_are_those_of_a_binomial() -> None:
    """The law of n coin tosses is binomial, within the error that is stated, at n that need all kinds of steps."""
    powers = Powers(np.array([0.3, 0.7]))
    for n in (1, 7, 64, 500, 499, 1000):
        law = powers.at(n)
        k = np.arange(n + 1)
        logs = [math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) for i in range(n + 1)]
        expected = logs + k * math.log(0.7) + (n - k) * math.log(0.3)
        first = n + 1 - len(law.logs)  # only the improbable end is ever left out
        assert np.abs(law.logs - expected[first:]).max() <= law.error + 1e-11
        assert law.error < 1e-9


def test_what_is_left_out_is_paid_for() -> None:
    """A noise whose ends are cut early makes the claim larger, never smaller, and by little if they are unlikely."""
    matrix = rqm(8, 0.42, 2.0)
    blanket = find_blankets(matrix)[0]
    whole, cut = HiddenReport(matrix, 40, blanket), HiddenReport(matrix, 40, blanket)
    cut._powers = Powers(blanket.noise, depth=12.0)
    assert cut._powers.at(40).lost > -30.0
    for alpha in (1.5, 4.0, 20.0):
        assert (cut.log_moments(alpha) >= whole.log_moments(alpha) - 1e-9).all()
    assert cut.log_moments(2.0).max() == pytest.approx(whole.log_moments(2.0).max(), rel=1e-2)


def test_groups_of_many_clients_hold_all_probability() -> None:
    """For 5,000 clients the numbers of noises are grouped finely, and their probabilities sum to just above one."""
    matrix = rqm(8, 0.42, 2.0)
    groups = HiddenReport(matrix, 4999, Blanket(0.8, matrix[0]))._groups
    starts = np.array([start for start, _ in groups])
    assert 1.0 <= sum(math.exp(weight) for _, weight in groups) < 1 + 1e-9
    assert (np.diff(starts) <= np.maximum(1, starts[:-1] / 200)).all()
    assert starts[-1] <= 4999


def test_more_clients_never_cost_more() -> None:
    """The claim falls with the number of clients, about as one over their number."""
    claims = [SumPrivacy.of(rqm(16, 0.42, 2.0), n).renyi(4.0) for n in (1, 2, 3, 5, 10, 30, 100, 300, 1000, 3000)]
    assert (np.diff(claims) < 0).all()
    assert claims[-1] * 3000 == pytest.approx(claims[-2] * 1000, rel=0.02)


# ---------------------------------------------------------------------- coordinates, rounds and norms
def test_coordinates_and_rounds_add_up() -> None:
    """Without a clip, every coordinate of every round costs the same."""
    matrix = random_matrix(3, 4)
    one = SumPrivacy.of(matrix, 10).renyi(3.0)
    assert SumPrivacy.of(matrix, 10, coordinates=7, rounds=5).renyi(3.0) == pytest.approx(35 * one, rel=1e-9)


def slope(matrix: Floats, n_honest: int, alpha: float, *, on_grid: bool = False) -> float:
    """Return the K that is claimed, for inputs evenly from -1 to 1."""
    clip = L2Clip(norm=0.5, coordinate=1.0, on_grid=on_grid)
    return SumPrivacy.of(matrix, n_honest, coordinates=MANY, clip=clip).renyi(alpha)


@pytest.mark.parametrize("n_honest", [1, 2, 3])
@pytest.mark.parametrize("case", CASES)
def test_slope_is_not_below_that_of_values_between_grid_points(case: tuple[int, int, float], n_honest: int) -> None:
    """K bounds D(x, x') / (x - x')**2 for values that are rounded at random, near and far, for all data of others."""
    matrix = random_matrix(*case[:2], power=case[2])
    inputs = np.linspace(-1.0, 1.0, len(matrix))
    values = np.unique(np.clip(np.concatenate([np.linspace(-1, 1, 17), inputs - 1e-3, inputs + 1e-3]), -1, 1))
    apart = values[:, None] - values + 9 * np.eye(len(values))
    sums = sums_of(matrix, between(matrix, inputs, values), n_honest - 1)
    for alpha in (1.3, 2.0, 2.5, 3.0, 8.0):
        steepest = max((divergences(laws, alpha) / apart**2).max() for laws in sums)
        assert slope(matrix, n_honest, alpha) >= steepest * (1 - 1e-7)  # (1e-3)**2 amplifies the test's rounding


def steepness(laws: Floats, inputs: Floats, alpha: float, cells: tuple[int, int]) -> float:
    """Return the logarithm of J for a pair of cells, term by term from its definition."""
    u, v, b = (2 / 3, 1 / 3, alpha) if not 2 < alpha < 3 else (1 - (alpha - 2) / 3, (alpha - 2) / 3, 3.0)
    slopes = [(laws[c + 1] - laws[c]) / (inputs[c + 1] - inputs[c]) for c in cells]
    low, high = min(cells) + 1, max(cells)
    if high > low:
        slopes.append((laws[high] - laws[low]) / (inputs[high] - inputs[low]))
    found = []
    for e, p, r in itertools.product(slopes, laws[[cells[0], cells[0] + 1]], laws[[cells[1], cells[1] + 1]]):
        first = 2 * np.log(np.abs(e)) - np.log(r) + math.log(u)
        second = 2 * np.log(np.abs(e)) + (b - 2) * np.log(p) + (1 - b) * np.log(r) + math.log(v)
        found.append(np.logaddexp.reduce(np.concatenate([first, second])))
    return float(max(found))


@pytest.mark.parametrize("alpha", [1.3, 2.0, 2.7, 3.0, 9.0, 500.0])
def test_steepness_is_what_its_definition_says(alpha: float) -> None:
    """J of every pair of cells is that of the definition; at extreme orders it may be above, but not below."""
    laws, inputs = random_matrix(5, 6, power=3.0), np.array([-1.0, -0.6, 0.1, 0.3, 1.0])
    found = log_slopes(np.log(laws), 1e-15, alpha, inputs)
    for cells in itertools.product(range(4), range(4)):
        expected = steepness(laws, inputs, alpha, cells)
        assert found[cells] >= expected
        assert found[cells] <= expected + 1e-9 or alpha > 100


def test_distant_cells_use_the_divergences_at_their_corners() -> None:
    """Where J is out of reach, a pair of cells has the largest divergence at its corners over its least distance."""
    inputs = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    cells = np.arange(4)
    beside = np.abs(np.subtract.outer(cells, cells)) <= 1
    slopes = np.where(beside, math.log(0.25), 800.0)
    divergence = 0.1 * np.subtract.outer(inputs, inputs) ** 2
    assert per_squared_distance(slopes, divergence, 8.0, inputs) == pytest.approx(1.0)
    divergence[0, 3] = 1.7
    assert per_squared_distance(slopes, divergence, 8.0, inputs) == pytest.approx(1.7)


def test_finer_grids_keep_the_laws() -> None:
    """Refining adds values between grid points with the laws of rounding, and keeps the grid points as they are."""
    matrix, inputs = random_matrix(4, 5), np.array([-1.0, 0.0, 0.25, 1.0])
    laws, points = refined(matrix, inputs)
    assert set(inputs.tolist()) <= set(points.tolist())
    assert (np.diff(points) > 0).all()
    assert laws == pytest.approx(between(matrix, inputs, points), rel=1e-12)


def test_slope_of_grid_points_is_not_enough_between_them() -> None:
    """Two values close to each other can differ by more than the grid points tell: the bound for those is separate."""
    matrix = np.array([[0.9, 0.1], [0.1, 0.9]])
    laws = between(matrix, np.array([-1.0, 1.0]), np.array([-1.0, -0.99]))
    steep = divergences(laws, 2.0).max() / 0.01**2
    grid = slope(matrix, 1, 2.0, on_grid=True)
    assert grid == pytest.approx(renyi(matrix, 2.0) / 4, rel=1e-9)
    assert grid < steep / 2
    assert steep <= slope(matrix, 1, 2.0) < 1.1 * steep


def test_slope_on_the_grid_is_the_largest_over_its_pairs() -> None:
    """For one client whose coordinates are on the grid, K is exact."""
    matrix, inputs = random_matrix(4, 5), (-0.9, -0.2, 0.1, 1.0)
    clip = L2Clip(norm=0.5, coordinate=1.0, inputs=inputs, on_grid=True)
    apart = np.subtract.outer(inputs, inputs) + np.eye(4)
    expected = (divergences(matrix, 3.0) / apart**2).max()
    assert SumPrivacy.of(matrix, 1, coordinates=MANY, clip=clip).renyi(3.0) == pytest.approx(expected, rel=1e-9)


def test_slope_for_many_clients_is_nearly_that_of_the_grid() -> None:
    """With many clients the two kinds of K come together: the law of the sum hardly bends."""
    matrix = rqm(16, 0.42, 2.0)
    grid, all_values = slope(matrix, 1000, 4.0, on_grid=True), slope(matrix, 1000, 4.0)
    assert grid < all_values < 1.02 * grid


def test_vectors_within_a_norm() -> None:
    """Two vectors of two coordinates, clipped to a norm, differ by at most the claim, over two sums in two rounds."""
    matrix, alpha = random_matrix(3, 4), 2.0
    privacy = SumPrivacy.of(matrix, 2, coordinates=2, rounds=2, clip=L2Clip(norm=0.1, coordinate=0.5))
    assert privacy.renyi(alpha) < SumPrivacy.of(matrix, 2, coordinates=2, rounds=2).renyi(alpha)
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    vectors = np.clip(0.1 * np.stack([np.cos(angles), np.sin(angles)], axis=1), -0.5, 0.5) / 0.5
    laws = between(matrix, np.linspace(-1, 1, 3), vectors.ravel())
    each = np.max([divergences(sums, alpha) for sums in sums_of(matrix, laws, 1)], axis=0).reshape(24, 2, 24, 2)
    assert privacy.renyi(alpha) >= 2 * (each[:, 0, :, 0] + each[:, 1, :, 1]).max()


def test_one_symbol_tells_nothing() -> None:
    """A channel with one symbol has no two values to tell apart, with a clip and without."""
    for clip in (None, L2Clip(norm=1.0, coordinate=1.0)):
        privacy = SumPrivacy.of([[0.5, 0.5]], 3, clip=clip)
        assert 0 <= privacy.renyi(2.0) < 1e-10
        assert privacy.epsilon(1e-6) < 0.1


# ---------------------------------------------------------------------- epsilon, delta
def test_epsilon_is_near_the_best_of_many_orders() -> None:
    """The search over orders comes within a thousandth of a fine grid, and does not go below any valid figure."""
    privacy = SumPrivacy.of(rqm(16, 0.42, 2.0), 50)
    orders = 1 + np.geomspace(0.2, 200, 120)
    figures = [privacy.renyi(a) + math.log1p(-1 / a) - (math.log(1e-5 * a)) / (a - 1) for a in orders.tolist()]
    assert privacy.epsilon(1e-5) == pytest.approx(min(figures), rel=1e-3)


def test_delta_of_epsilon_is_delta() -> None:
    """The two conversions are inverse to each other, but for the search."""
    privacy = SumPrivacy.of(rqm(16, 0.42, 2.0), 50, rounds=4)
    assert privacy.delta(privacy.epsilon(1e-6)) == pytest.approx(1e-6, rel=0.05)
    assert privacy.delta(50.0) < 1e-12
    assert privacy.delta(1e-9) <= 1.0


def test_a_report_that_rules_a_symbol_out_has_no_claim() -> None:
    """If the channel by itself has no epsilon, the claim for sums is infinite, and delta is one."""
    privacy = SumPrivacy.of([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]], 20, clip=L2Clip(norm=1.0, coordinate=1.0))
    assert privacy.renyi(2.0) == math.inf
    assert privacy.epsilon(1e-5) == math.inf
    assert privacy.delta(3.0) == 1.0
    assert renyi_of_sum([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]], [0], 2.0) == math.inf


def test_entries_too_small_for_doubles_hide_nothing() -> None:
    """With an entry below 1e-280 the claim is that of the report by itself."""
    matrix = [[0.5, 0.5 - 1e-290, 1e-290], [0.4, 0.3, 0.3]]
    assert SumPrivacy.of(matrix, 9).renyi(1.5) == pytest.approx(SumPrivacy.of(matrix, 1).renyi(1.5), rel=1e-12)


# ---------------------------------------------------------------------- bad input
GOOD = [[0.6, 0.4], [0.4, 0.6]]

BAD: dict[str, Callable[[], Any]] = {
    "n_honest": lambda: SumPrivacy.of(GOOD, 0),
    "n_honest must": lambda: SumPrivacy.of(GOOD, 2.5),  # type: ignore[arg-type]
    "alpha": lambda: SumPrivacy.of(GOOD, 2).renyi(1.0),
    "alpha must": lambda: SumPrivacy.of(GOOD, 2).renyi(math.inf),
    "alpha must be": lambda: SumPrivacy.of(GOOD, 2).local(math.nan),
    "delta": lambda: SumPrivacy.of(GOOD, 2).epsilon(0.0),
    "delta must": lambda: SumPrivacy.of(GOOD, 2).epsilon(1.0),
    "epsilon": lambda: SumPrivacy.of(GOOD, 2).delta(-1.0),
    "coordinates": lambda: SumPrivacy.of(GOOD, 2, coordinates=0),
    "rounds": lambda: SumPrivacy.of(GOOD, 2, rounds=0),
    "norm": lambda: L2Clip(norm=0.0, coordinate=1.0),
    "coordinate must": lambda: L2Clip(norm=1.0, coordinate=-1.0),
    "inputs": lambda: L2Clip(norm=1.0, coordinate=1.0, inputs=(0.5, 0.5)),
    "inputs must": lambda: L2Clip(norm=1.0, coordinate=1.0, inputs=(0.0, 1.5)),
    "inputs must be 2": lambda: SumPrivacy.of(GOOD, 2, clip=L2Clip(norm=1.0, coordinate=1.0, inputs=(0.0, 0.5, 1.0))),
    "sum to one": lambda: SumPrivacy.of([[0.6, 0.6]], 2),
    "below zero": lambda: SumPrivacy.of([[1.5, -0.5]], 2),
    "one row": lambda: SumPrivacy.of([1.0], 2),
    "matrix of numbers": lambda: SumPrivacy.of([["a", "b"]], 2),
    "bind it": lambda: SumPrivacy.of(PoissonBinomial(0.1, 4), 2),
    "others": lambda: renyi_of_sum(GOOD, [2], 2.0),
    "too many data sets": lambda: worst_renyi_of_sum(random_matrix(9, 9), 30, 2.0),
}


@pytest.mark.parametrize("named", BAD)
def test_bad_input_is_refused_by_name(named: str) -> None:
    """What is out of range is refused by an error of ours that names the parameter."""
    with pytest.raises(ChannelError, match=named):
        BAD[named]()
