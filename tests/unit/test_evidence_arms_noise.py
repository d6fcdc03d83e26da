"""Baselines with noise on numbers: their scales are those of their epsilons."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from hashcomb.errors import SpecError
from hashcomb.evidence.arms import score
from hashcomb.evidence.encodings import DELTA, Encoding
from hashcomb.evidence.noise import gaussian_sigma, laplace_total, noisy_trials
from tests.unit.test_evidence_arms import THREE, TWO


def _laplace_delta(scale: float, epsilon: float) -> float:
    """Return the hockey-stick divergence of Laplace noise around 0 from the same around 1, by integration."""
    p = [lambda x, mean=mean: math.exp(-abs(x - mean) / scale) / (2 * scale) for mean in (0.0, 1.0)]
    area = lambda x: max(p[0](x) - math.exp(epsilon) * p[1](x), 0.0)  # noqa: E731
    return float(quad(area, -60 * scale, 1 + 60 * scale, points=[0.0, 0.5, 1.0], limit=500)[0])


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_laplace_noise_of_one_feature_has_its_epsilon(epsilon: float) -> None:
    """With one feature the claim is at most the sum of epsilons, and its delta by integration is the one stated."""
    total = laplace_total(epsilon, 1, 1e-3)
    assert total <= epsilon * (1 + 1e-5)
    assert _laplace_delta(1 / epsilon, total) <= 1e-3
    assert _laplace_delta(1 / epsilon, total - 0.02) > 1e-3


def test_laplace_noise_of_two_features_is_composed_from_above() -> None:
    """With two features the claim is not below what a simulation of the privacy loss finds, and close to it."""
    total = laplace_total(1.0, 2, 0.05)
    noise = np.random.default_rng(0).laplace(size=(1_000_000, 2))
    loss = (np.abs(noise - 1) - np.abs(noise)).sum(axis=1)
    delta = np.maximum(1 - np.exp(total - loss), 0)
    error = 5 * delta.std() / 1000  # off more often than once in a million runs only for another seed
    assert delta.mean() - error <= 0.05
    closer = np.maximum(1 - np.exp(total - 0.05 - loss), 0)
    assert closer.mean() + error > 0.05


@pytest.mark.parametrize("epsilon", [0.5, 4.0, 60.0])
def test_gaussian_noise_has_its_epsilon(epsilon: float) -> None:
    """The divergence of two shifted normal laws, by integration, is delta, and less noise has more."""
    sigma = gaussian_sigma(epsilon, DELTA)
    for scale, holds in ((sigma, True), (0.99 * sigma, False)):
        edge = epsilon * scale**2 + 0.5  # where the ratio of the densities, around 1 and 0, is e^epsilon
        area = lambda x, s=scale: max(norm.pdf(x, 1, s) - math.exp(epsilon) * norm.pdf(x, 0, s), 0.0)  # noqa: E731
        delta = quad(area, edge, edge + 12 * scale, limit=500, epsabs=1e-12)[0]
        assert (delta <= DELTA * (1 + 1e-4)) is holds


def test_gaussian_noise_grows_with_what_a_record_changes() -> None:
    """Noise is proportional to the distance of two records."""
    assert gaussian_sigma(1.0, DELTA, 3.0) == pytest.approx(3 * gaussian_sigma(1.0, DELTA))


@pytest.mark.parametrize("family", ["laplace", "gaussian"])
@pytest.mark.parametrize("model", ["logistic regression", "linear discriminant"])
@pytest.mark.parametrize("fold", [TWO, THREE], ids=["two classes", "three"])
def test_weak_noise_can_be_learned_from(family: str, model: str, fold: object) -> None:
    """With weak noise both learners name far more rows than the most frequent label would."""
    found = score(fold, model, Encoding(family=family, epsilon=16.0), 0)  # type: ignore[arg-type]
    assert found.accuracy > 0.75


def test_both_kinds_of_noise_cost_a_record_the_same() -> None:
    """Laplace and Gaussian arms of one name have one epsilon of a record; only Laplace has one of a feature."""
    laplace, gaussian = (
        score(TWO, "linear discriminant", Encoding(family=f, epsilon=1.0), 0) for f in ("laplace", "gaussian")
    )
    assert laplace.epsilon_record == gaussian.epsilon_record
    assert laplace.epsilon_record is not None
    assert laplace.epsilon_record < 6
    assert (laplace.epsilon_feature, gaussian.epsilon_feature) == (1.0, None)


def test_noise_needs_an_epsilon() -> None:
    """Noise without an epsilon is refused by the name of the field."""
    with pytest.raises(SpecError, match="epsilon"):
        noisy_trials("logistic regression", Encoding(family="laplace"))


def test_other_models_are_not_tried_on_noise() -> None:
    """A forest on noisy numbers is no part of the comparison."""
    with pytest.raises(SpecError, match="not tried"):
        score(TWO, "random forest", Encoding(family="laplace", epsilon=1.0), 0)
