"""Membership in counts: the score is the likelihood ratio, and no advantage beats its bound."""

import itertools
import math

import numpy as np
import pytest

from hashcomb.attacks import advantage_bound, infer_membership, membership_scores
from hashcomb.channels import RandomizedResponse
from hashcomb.errors import DataError


def test_score_is_the_likelihood_ratio() -> None:
    """For one feature it is the exact ratio of the probabilities of the counts, by enumeration of all reports."""
    law = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]])
    shares = np.array([0.4, 0.6])
    common = shares @ law
    for counts in ([3, 0, 1], [1, 2, 1], [0, 0, 4]):
        inside = outside = 0.0
        for reports in itertools.product(range(3), repeat=4):
            if np.bincount(reports, minlength=3).tolist() == counts:
                outside += math.prod(common[y] for y in reports)
                inside += law[1, reports[0]] * math.prod(common[y] for y in reports[1:])
        score = membership_scores([counts], [[1]], [law], [common])
        assert score[0] == pytest.approx(math.log(inside / outside))


def test_features_add_up_and_absence_is_proof() -> None:
    """Scores of features add; without a channel, a token that was never counted excludes its record."""
    counts, common = [[2, 2], [4, 0]], [np.array([0.5, 0.5]), np.array([0.8, 0.2])]
    scores = membership_scores(counts, [[0, 0], [1, 0], [0, 1]], [None, None], common)
    assert scores[:2] == pytest.approx([math.log(1 / 0.8)] * 2)
    assert scores[2] == -math.inf


def test_bound_of_the_advantage() -> None:
    """It is (e^eps - 1)/(e^eps + 1), never below it, and 1 where there is no epsilon."""
    for epsilon in (0.01, 0.5, 1.0, 3.0):
        exact = math.expm1(epsilon) / (math.exp(epsilon) + 1)
        assert exact <= advantage_bound(epsilon) == pytest.approx(exact)
    assert advantage_bound(math.inf) == 1.0
    assert advantage_bound(0.0) == pytest.approx(0.0, abs=1e-300)


def game(epsilon: float, honest: bool, n_trials: int = 2000) -> tuple[float, float]:
    """Play for one binary record in a count of one, where randomized response is as tight as can be."""
    channel = RandomizedResponse(epsilon, 2, depth="leaf")
    rng = np.random.default_rng(0)

    def report(values: np.ndarray) -> np.ndarray:
        words = rng.integers(0, 1 << 64, values.shape, dtype=np.uint64)
        return channel.sample(values.astype(np.int32), words).astype(np.int64) if honest else values

    values = np.arange(2)[:, None]  # two records: who is not counted has the other value
    result = infer_membership(
        values, values, report, [channel.matrix()], n_rows=1, n_trials=n_trials, epsilon=channel.epsilon, seed=1
    )
    return result.advantage, result.bound


def test_the_bound_is_reached_where_it_is_tight() -> None:
    """With one binary record the attack attains the bound (within 5 standard deviations of chance)."""
    advantage, bound = game(1.0, honest=True)
    assert advantage == pytest.approx(bound, abs=5 / math.sqrt(2000))


def test_a_channel_that_does_not_randomize_is_caught() -> None:
    """Planted defect: reports without noise have an advantage far above the bound that the channel claims."""
    advantage, bound = game(0.5, honest=False)
    assert advantage > bound + 0.5


def test_plain_counts_tell_members() -> None:
    """Counts of many plain features over few rows tell members well; of a constant feature, nothing."""
    rng = np.random.default_rng(0)
    values, other = rng.integers(0, 16, (400, 30)), rng.integers(0, 16, (400, 30))
    result = infer_membership(values, other, lambda v: v, [None] * 30, n_rows=30, seed=0)
    assert result.advantage > 0.7
    assert result.auc > 0.9
    assert result.bound == 1.0
    flat = np.zeros((400, 2), dtype=int)
    nothing = infer_membership(flat, flat, lambda v: v, [None] * 2, n_rows=30, seed=0)
    assert nothing.auc == 0.5
    assert nothing.advantage == 0.0


def test_what_does_not_fit_is_refused() -> None:
    """Other columns, too few records or too few trials are refused."""
    values = np.zeros((10, 2), dtype=int)
    for own, laws, options in (
        (values, [None], {}),
        (values, [None] * 2, {"n_rows": 10}),
        (values, [None] * 2, {"n_rows": 0}),
        (values, [None] * 2, {"n_rows": 2, "n_trials": 3}),
        (values[0], [None] * 2, {"n_rows": 2}),
    ):
        with pytest.raises(DataError):
            infer_membership(own, values, lambda v: v, laws, **options)
