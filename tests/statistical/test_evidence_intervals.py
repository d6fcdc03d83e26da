"""How often the intervals of repeated measurements hold what they are to hold, where that is known."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom

from hashcomb.evidence.statistics import Interval, corrected_interval, student_interval

pytestmark = pytest.mark.statistical

N_RUNS, N_SPLITS, MEAN = 2000, 10, -0.4
N_TRAIN, N_TEST = 300, 100
CORRELATION = N_TEST / (N_TRAIN + N_TEST)
# A right interval of 95 % leaves these counts with probability 1e-6.
LEAST, MOST = binom.ppf(5e-7, N_RUNS, 0.95), binom.isf(5e-7, N_RUNS, 0.95)


def held(interval: Callable[[list[float]], Interval], correlation: float) -> int:
    """Count the runs whose interval holds the mean of differences that correlate."""
    rng = np.random.default_rng(6)
    shared, own = rng.normal(size=(N_RUNS, 1)), rng.normal(size=(N_RUNS, N_SPLITS))
    runs = MEAN + np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
    intervals = [interval(run) for run in runs.tolist()]
    return sum(low < MEAN < high for low, high in intervals)


def corrected(run: list[float]) -> Interval:
    """Return the corrected interval for splits of these sizes."""
    return corrected_interval(run, N_TEST / N_TRAIN)


def test_student_holds_the_mean_of_independent_differences() -> None:
    """In 95 % of runs."""
    assert LEAST <= held(student_interval, 0.0) <= MOST


def test_corrected_holds_the_mean_of_correlated_differences() -> None:
    """In 95 % of runs, where splits correlate as the correction takes them to."""
    assert LEAST <= held(corrected, CORRELATION) <= MOST


def test_student_is_too_narrow_for_correlated_differences() -> None:
    """What the correction is there for: without it, the mean over new rows is missed far more often."""
    assert held(student_interval, CORRELATION) < 0.8 * N_RUNS
