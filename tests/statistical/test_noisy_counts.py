"""Owners' parts of the noise of counts follow Skellam's law, and their sums do; a defect is caught.

False-alarm rate: a test rejects if any of its binomial counts falls outside an interval of probability
1 - 1e-6 / n_counts, so a right sampler fails with probability below 1e-6. The words come from a fixed secret, so
the outcome is the same in every run. Power: the planted defects below are rejected.
"""

import numpy as np
import pytest
from scipy.special import ive
from scipy.stats import binom

from hashcomb.keys import Keystream
from hashcomb.privacy import NoisyCounts

pytestmark = pytest.mark.statistical

FALSE_ALARM = 1e-6
N = 200_000


def words(stream: int) -> np.ndarray:
    """Return words of a keystream under a fixed secret."""
    return Keystream(bytes([stream + 1]) + bytes(range(1, 32))).words(0, N)


def follows(drawn: np.ndarray, variance: float) -> bool:
    """Return whether integers are plausible under Skellam's law; beyond 6 standard deviations they are one."""
    last = max(3, int(6 * np.sqrt(variance)))
    law = ive(np.abs(np.arange(-last, last + 1)), variance)
    law = np.append(law, 1 - law.sum())
    counts = np.bincount(np.where(np.abs(drawn) <= last, drawn + last, 2 * last + 1), minlength=2 * last + 2)
    tail = FALSE_ALARM / (2 * len(law))
    return bool(((counts >= binom.ppf(tail, N, law)) & (counts <= binom.isf(tail, N, law))).all())


@pytest.mark.parametrize(("variance", "n_parts"), [(0.5, 1), (12.0, 3), (4181.0, 4)])
def test_parts_and_their_sums_follow_the_law(variance: float, n_parts: int) -> None:
    """A part has its share of the variance, and so many of them have all of it."""
    counts = NoisyCounts(variance, 300, n_parts)
    parts = [counts.draw(words(i)) for i in range(n_parts)]
    assert all(follows(part, variance / n_parts) for part in parts)
    assert follows(np.sum(parts, axis=0), variance)


def test_planted_defects_are_rejected() -> None:
    """A missing part, parts of the same words, a shift by one and noise that is rounded to even are all seen."""
    counts = NoisyCounts(12.0, 300, 3)
    parts = [counts.draw(words(i)) for i in range(3)]
    total = np.sum(parts, axis=0)
    for wrong in (parts[0] + parts[1], 2 * parts[0] + parts[1], total + 1, total // 2 * 2, -np.abs(total)):
        assert not follows(wrong, 12.0)
