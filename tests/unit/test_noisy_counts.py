"""Counts with noise of many parts: claims against brute force, never below it, and tables counted as they are."""

import itertools
import math
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy.special import ive

from hashcomb.channels.table import IntegerTable
from hashcomb.errors import ChannelError
from hashcomb.keys import Keystream
from hashcomb.privacy import NoisyCounts
from hashcomb.privacy.skellam import BITS, deficit, distance, missing, probabilities

DELTA = 1e-5


# ---------------------------------------------------------------------- the law
def exact_law(variance: Fraction, last: int) -> list[Fraction]:
    """Return the probabilities of 0 .. last from the defining series, to 80 digits."""
    with localcontext() as context:
        context.prec = 100
        half = Decimal(variance.numerator) / variance.denominator / 2
        powers, most = [Decimal(1)], int(4 * variance) + 120 + 2 * last
        for j in range(1, most):
            powers.append(powers[-1] * half / j)
        scale = (-2 * half).exp()
        return [Fraction(scale * sum(map(Decimal.__mul__, powers, powers[k:]))) for k in range(last + 1)]


@pytest.mark.parametrize("variance", [Fraction(1, 2**36), Fraction(1, 3), Fraction(7), Fraction(157.25)])
def test_probabilities_are_the_series_from_below(variance: Fraction) -> None:
    """No probability is above that of the defining series, and none is below it by 2**-99 of it and one unit."""
    law = probabilities(variance)
    for below, exact in zip(law, exact_law(variance, len(law) - 1), strict=True):
        assert below <= exact * 2**BITS <= below * (1 + Fraction(1, 2**99)) + 1
    assert missing(law) < 2 ** (BITS - 99)


@pytest.mark.parametrize("variance", [0.05, 30.0, 4181.0, 1e6])
def test_probabilities_agree_with_bessel_functions(variance: float) -> None:
    """They are those of a library of special functions, as far as that is right."""
    law = np.array([value / 2**BITS for value in probabilities(Fraction(variance))])
    assert law == pytest.approx(ive(np.arange(len(law)), variance), rel=1e-11)


def test_a_table_is_as_far_as_it_is_said_to_be() -> None:
    """Distance and deficit of a table bound those of its exact fractions, closely."""
    law = probabilities(Fraction(7, 3))
    side = [value / 2**BITS for value in law]
    counts = IntegerTable(np.array([side[:0:-1] + side])).counts[0]
    exact = exact_law(Fraction(7, 3), len(law) - 1)
    both = exact[:0:-1] + exact
    table = [Fraction(int(count), 2**62) for count in counts]
    off = (sum(abs(a - b) for a, b in zip(both, table, strict=True)) + 1 - sum(both)) / 2
    lower = max(a / b for a, b in zip(both, table, strict=True)) - 1
    assert off <= Fraction(distance(counts, law), 2**BITS) <= off + Fraction(1, 2**98)
    assert lower <= Fraction(deficit(counts, law), 2**BITS) <= lower + Fraction(1, 2**95)


@pytest.mark.parametrize(("variance", "n_parts"), [(4.0, 3), (1.5, 2), (0.2, 5)])
def test_parts_add_up_to_the_claimed_law(variance: float, n_parts: int) -> None:
    """The exact sum of the tables of all parts is within n_parts distances of Skellam's law of the whole variance."""
    counts = NoisyCounts(variance, 1, n_parts)
    part, total = counts._table.counts[0].tolist(), [1]
    for _ in range(n_parts):
        longer = [0] * (len(total) + len(part) - 1)
        for i, left in enumerate(total):
            for j, right in enumerate(part):
                longer[i + j] += left * right
        total = longer
    last = len(total) // 2
    exact = exact_law(Fraction(variance), last)
    off = sum(abs(exact[abs(i - last)] - Fraction(units, 2 ** (62 * n_parts))) for i, units in enumerate(total)) / 2
    bound = n_parts * Fraction(distance(np.array(part), counts._part), 2**BITS)
    assert 0 < off <= bound


# ---------------------------------------------------------------------- claims
def brute(shifts: tuple[int, ...], variance: float, epsilon: float, last: int = 45) -> float:
    """Return the hockey-stick divergence of counts with noise from the same moved by some shifts, by enumeration."""
    y = np.arange(-last, last + 1)
    p, q = np.ones(1), np.ones(1)
    for shift in shifts:
        p = np.outer(p, ive(np.abs(y), variance)).ravel()
        q = np.outer(q, ive(np.abs(y - shift), variance)).ravel()
    return math.fsum(np.maximum(p - math.exp(epsilon) * q, 0.0))


@pytest.mark.parametrize("n_counts", [1, 2, 3])
@pytest.mark.parametrize(("variance", "epsilon"), [(2.0, 0.0), (2.0, 1.5), (6.0, 0.4), (6.0, 2.5)])
def test_delta_is_that_of_all_outcomes(n_counts: int, variance: float, epsilon: float) -> None:
    """Delta of presence is that of enumerating all outcomes: not below it, and above it by rounding alone."""
    truth = brute((1,) * n_counts, variance, epsilon)
    claim = NoisyCounts(variance, n_counts, 2).delta(epsilon)
    assert truth * (1 - 1e-10) <= claim == pytest.approx(truth, rel=1e-7, abs=1e-14)


@pytest.mark.parametrize("shifts", list(itertools.product((-1, 0, 1), repeat=3)))
def test_one_claim_holds_for_all_directions(shifts: tuple[int, ...]) -> None:
    """Counts that go up, down or stay, in any order, cost no more than all of them going up."""
    claim = NoisyCounts(3.0, 3, 2).delta(0.7)
    assert brute(shifts, 3.0, 0.7) <= claim * (1 + 1e-10)


def test_replacement_is_that_of_twice_as_many_counts() -> None:
    """A record that goes from one count to another costs what one count up and one down cost."""
    counts = NoisyCounts(5.0, 1, 3)
    for epsilon in (0.0, 0.5, 2.0):
        claim = counts.delta(epsilon, neighbors="replacement")
        assert claim == pytest.approx(brute((1, -1), 5.0, epsilon), rel=1e-7, abs=1e-14)
    assert counts.epsilon(DELTA, neighbors="replacement") == pytest.approx(NoisyCounts(5.0, 2, 3).epsilon(DELTA))


def test_what_each_round_opens_may_steer_the_next() -> None:
    """Whatever the first count leads to, another count or none at all, two counts cost no more than is claimed."""
    y = np.arange(-45, 46)
    p, q = ive(np.abs(y), 3.0), ive(np.abs(y - 1), 3.0)
    chosen = y >= 1  # the record enters the second count only where the first is this large
    second = np.where(chosen[:, None], q[None, :], p[None, :])
    truth = math.fsum(np.maximum(p[:, None] * p[None, :] - math.exp(0.5) * q[:, None] * second, 0.0).ravel())
    assert truth < NoisyCounts(3.0, 2, 2).delta(0.5)


@pytest.mark.parametrize(("variance", "n_counts"), [(2e4, 50), (3e5, 300), (7500.0, 20)])
def test_large_noise_is_gaussian(variance: float, n_counts: int) -> None:
    """With much noise epsilon is that of the Gaussian mechanism, by its closed formula."""
    epsilon = NoisyCounts(variance, n_counts, 3).epsilon(DELTA)
    mu = math.sqrt(n_counts / variance)
    less, more = (math.erfc((epsilon / mu + sign * mu / 2) / math.sqrt(2)) / 2 for sign in (-1, 1))
    assert less - math.exp(epsilon) * more == pytest.approx(DELTA, rel=5e-3)


def test_claims_move_the_right_way() -> None:
    """Epsilon falls with noise and delta, and rises with counts, parts and replacement; delta falls with epsilon."""
    counts = NoisyCounts(50.0, 10, 3)
    epsilon = counts.epsilon(DELTA)
    assert NoisyCounts(50.5, 10, 3).epsilon(DELTA) < epsilon < NoisyCounts(50.0, 11, 3).epsilon(DELTA)
    assert counts.epsilon(2 * DELTA) < epsilon < counts.epsilon(DELTA, neighbors="replacement")
    assert epsilon <= NoisyCounts(50.0, 10, 1 << 16).epsilon(DELTA)
    deltas = [counts.delta(x) for x in (0.0, 0.5, 1.0, 2.0, 5.0)]
    assert deltas == sorted(deltas, reverse=True)


@pytest.mark.parametrize(("variance", "n_counts"), [(0.01, 1), (3.0, 40), (900.0, 57)])
def test_epsilon_and_delta_are_one_claim(variance: float, n_counts: int) -> None:
    """Delta at the epsilon of a delta is that delta."""
    counts = NoisyCounts(variance, n_counts, 2)
    assert counts.delta(counts.epsilon(DELTA)) == pytest.approx(DELTA, rel=1e-5)


def test_what_tables_cannot_give_is_not_claimed() -> None:
    """No epsilon holds for a delta of 0, nor for one below the distance of the tables; a little above one does."""
    counts = NoisyCounts(50.0, 300, 3)
    off = 300 * 3 * distance(counts._table.counts[0], counts._part) / 2**BITS
    assert math.isinf(counts.epsilon(0.0))
    assert math.isinf(counts.epsilon(off / 2))
    assert math.isfinite(counts.epsilon(2 * off))
    assert off < 1e-12


class Coarse(NoisyCounts):
    """Plant a defect: the table holds hardly anything beyond two standard deviations."""

    @property
    def _table(self) -> IntegerTable:
        table = NoisyCounts(self.variance, self.n_counts, self.n_parts)._table
        middle, reach = table.counts.shape[1] // 2, math.ceil(2 * math.sqrt(self.variance / self.n_parts))
        table.counts[0, : middle - reach] = table.counts[0, middle + reach + 1 :] = 1
        table.counts[0, middle] += (1 << 62) - int(table.counts.sum())
        return table


@pytest.mark.parametrize("n_parts", [1, 2])
def test_a_table_that_is_off_raises_the_claim(n_parts: int) -> None:
    """Noise from a damaged table costs more than exact noise; the claim for that table counts it."""
    coarse, right = Coarse(4.0, 1, n_parts), NoisyCounts(4.0, 1, n_parts)
    part = coarse._table.counts[0] / 2.0**62
    law = part if n_parts == 1 else np.convolve(part, part)
    for epsilon in (0.5, 1.0, 2.0):
        truth = np.maximum(np.append(law, 0) - math.exp(epsilon) * np.append(0, law), 0.0).sum()
        assert right.delta(epsilon) < truth <= coarse.delta(epsilon)
    assert coarse.epsilon(0.2) > right.epsilon(0.2)


# ---------------------------------------------------------------------- noise for an epsilon
@pytest.mark.parametrize(("epsilon", "n_counts"), [(1.0, 300), (0.2, 12), (3.0, 1), (12.0, 2)])
def test_noise_for_an_epsilon_is_the_least_of_the_grid(epsilon: float, n_counts: int) -> None:
    """The variance keeps the epsilon, and one a step of 1 % lower does not."""
    counts = NoisyCounts.for_epsilon(epsilon, DELTA, n_counts, 3)
    assert (counts.n_counts, counts.n_parts) == (n_counts, 3)
    less = NoisyCounts(float(f"{counts.variance / 1.01:.4g}"), n_counts, 3)
    assert counts.epsilon(DELTA) <= epsilon < less.epsilon(DELTA) * (1 + 1e-9)


def test_more_noise_than_there_is_cannot_be_had() -> None:
    """An epsilon that no variance reaches is refused, and one that any reaches gets the least."""
    with pytest.raises(ChannelError, match="no noise"):
        NoisyCounts.for_epsilon(1e-7, 1e-9, 1 << 20, 2)
    assert NoisyCounts.for_epsilon(90.0, 0.5, 1, 1).variance < 1e-6


# ---------------------------------------------------------------------- drawing, and what is refused
def test_parts_are_whole_numbers_of_the_words() -> None:
    """Noise has the shape of the words and follows from them alone."""
    counts, words = NoisyCounts(30.0, 6, 3), Keystream(bytes(32)).words(0, 24).reshape(4, 6)
    drawn = counts.draw(words)
    assert drawn.dtype == np.int64
    assert drawn.shape == (4, 6)
    assert (drawn == NoisyCounts(30.0, 6, 3).draw(words.copy())).all()
    assert (drawn < 0).any()
    assert (drawn > 0).any()


@pytest.mark.parametrize("words", [[1, 2], np.zeros(3), np.zeros(3, dtype=np.int64), None])
def test_words_that_are_none(words: Any) -> None:
    """Only an array of 64-bit words is taken for one."""
    with pytest.raises(ChannelError, match="words"):
        NoisyCounts(30.0, 6, 3).draw(words)


@pytest.mark.parametrize(
    "given",
    [
        *((variance, 3, 2) for variance in (0.0, -1.0, math.nan, math.inf, 1e9, 1e-9, "4", True)),
        *((4.0, n, 2) for n in (0, -1, 1.5, 1 << 33, None)),
        *((4.0, 3, n) for n in (0, -1, 2.5, 1 << 17, "2")),
    ],
)
def test_numbers_that_are_none(given: tuple[Any, Any, Any]) -> None:
    """Variance and numbers of counts and parts must lie in their ranges."""
    with pytest.raises(ChannelError):
        NoisyCounts(*given)


def test_questions_that_are_none() -> None:
    """Deltas, epsilons and neighbors that are none are refused."""
    counts = NoisyCounts(4.0, 3, 2)
    bad: list[Any] = [-1e-9, 1.0, math.nan, "1e-5", True]
    for delta in bad:
        with pytest.raises(ChannelError):
            counts.epsilon(delta)
        with pytest.raises(ChannelError):
            NoisyCounts.for_epsilon(1.0, delta, 3, 2)
    worse: list[Any] = [-1.0, math.inf, math.nan, None]
    for epsilon in worse:
        with pytest.raises(ChannelError):
            counts.delta(epsilon)
        with pytest.raises(ChannelError):
            NoisyCounts.for_epsilon(epsilon, 1e-5, 3, 2)
    with pytest.raises(ChannelError, match="neighbors"):
        counts.epsilon(1e-5, neighbors="none")  # type: ignore[arg-type]


def test_equal_claims_are_one() -> None:
    """Instances are frozen, and equal and of one hash where their numbers are."""
    counts = NoisyCounts(4, 3, 2)
    counts.epsilon(DELTA)
    assert {counts, NoisyCounts(4.0, 3, 2)} == {NoisyCounts(4.0, 3, 2)}
    with pytest.raises(AttributeError):
        counts.variance = 5.0  # type: ignore[misc]
