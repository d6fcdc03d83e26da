"""No attack on membership beats the bound of epsilon; false alarms below 1e-6 together."""

import math

import numpy as np
import pytest

from hashcomb.attacks import infer_membership
from hashcomb.channels import RandomizedResponse

pytestmark = pytest.mark.statistical

N_TRIALS = 3000
# Hoeffding for the difference of two rates, each over at least 0.24 of the trials, in two halves of six tests.
SLACK = math.sqrt(math.log(12e6) / (0.24 * N_TRIALS))


@pytest.mark.parametrize("n_rows", [1, 5])
@pytest.mark.parametrize("epsilon", [0.2, 0.5, 1.0])
def test_advantage_stays_below_the_bound(epsilon: float, n_rows: int) -> None:
    """Three features of four leaves, with all of a record's epsilon; also near the bound, in a count of one."""
    channel = RandomizedResponse(epsilon / 3, 4, depth="leaf")
    rng = np.random.default_rng(0)

    def report(values: np.ndarray) -> np.ndarray:
        words = rng.integers(0, 1 << 64, values.shape, dtype=np.uint64)
        return channel.sample(values.astype(np.int32), words).astype(np.int64)

    values = np.repeat([[0, 0, 0], [3, 3, 3]], 10, axis=0)
    result = infer_membership(
        values,
        values,
        report,
        [channel.matrix()] * 3,
        n_rows=n_rows,
        n_trials=N_TRIALS,
        epsilon=3 * channel.epsilon,
        seed=0,
    )
    assert result.advantage <= result.bound + SLACK
    assert result.auc > 0.5
