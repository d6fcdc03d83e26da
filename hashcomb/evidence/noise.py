"""Baselines: Laplace and Gaussian noise on numbers, at the epsilon that a whole record has in the other arms.

They are helped where they can be: ranges and ranks are learned from clean rows, and one learner knows the variance of
the noise and takes it out of the moments, as `hashcomb.integrations.sklearn.ChannelLinearClassifier` does.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr
from sklearn.linear_model import LogisticRegression

from hashcomb.channels import Matrix
from hashcomb.errors import SpecError
from hashcomb.evidence.encodings import DELTA, Encoding, combs_of
from hashcomb.evidence.fold import Fold
from hashcomb.evidence.learners import PENALTIES
from hashcomb.evidence.trials import Tested, Trial
from hashcomb.moments import remove_noise
from hashcomb.placing import place
from hashcomb.privacy import compose

__all__ = ("gaussian_sigma", "laplace_total", "noisy_trials")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SCALES = ("values", "ranks")
RANK_DEPTH = 4
_RIDGE = 0.1
_ATOMS = 65
_ABOVE = 1e-6  # what rounding to a channel's integers could take off


def noisy_trials(model: str, encoding: Encoding) -> list[Trial]:
    """Return the ways to learn from numbers with noise, one of which is chosen within the training rows.

    Parameters
    ----------
    model : {"logistic regression", "linear discriminant"}
        The first takes the numbers as they are; the second knows the variance of the noise.
    encoding : Encoding
        Of the families "laplace" and "gaussian", with an epsilon.

    Raises
    ------
    SpecError
        If there is no epsilon, or another model.
    """
    if encoding.epsilon is None:
        raise SpecError("is needed for noise", path="epsilon")
    if model == "logistic regression":
        return [_trial(encoding, scale, penalty) for scale in SCALES for penalty in PENALTIES]
    if model == "linear discriminant":
        return [_trial(encoding, scale, None) for scale in SCALES]
    raise SpecError(f"{model} is not tried on numbers with noise", path="model")


def _trial(encoding: Encoding, scale: str, penalty: float | None) -> Trial:
    def trial(fold: Fold, seed: int) -> Tested:
        clean, test = _unit(fold, scale)
        assert encoding.epsilon is not None
        noise = _Noise(encoding.family, encoding.epsilon, fold.X.shape[1])
        noisy = clean + noise.drawn(clean.shape, np.random.default_rng(seed))
        if penalty is not None:
            named = LogisticRegression(C=penalty, max_iter=500).fit(noisy, fold.y).predict(test)
        else:
            named = _discriminant(noisy, noise.variance, fold.y, test)
        feature = noise.epsilon if encoding.family == "laplace" else None
        return Tested(float((named == fold.y_test).mean()), lambda: (feature, noise.total))

    return trial


class _Noise:
    """Noise on numbers from 0 to 1 of which a record has several, and what it costs."""

    def __init__(self, family: str, epsilon: float, n_features: int) -> None:
        self.family, self.epsilon = family, epsilon
        self.total = laplace_total(epsilon, n_features)
        self.scale = 1 / epsilon if family == "laplace" else gaussian_sigma(self.total, DELTA, math.sqrt(n_features))
        self.variance = 2 * self.scale**2 if family == "laplace" else self.scale**2

    def drawn(self, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
        return (rng.laplace if self.family == "laplace" else rng.normal)(scale=self.scale, size=shape)


def _unit(fold: Fold, scale: str) -> tuple[Floats, Floats]:
    """Return training and test rows as numbers from 0 to 1."""
    if scale == "ranks":
        spec = combs_of(fold, RANK_DEPTH)
        last = spec.n_leaves - 1
        return place(fold.X, spec) / last, place(fold.X_test, spec) / last
    lo, hi = np.quantile(fold.X, [0.01, 0.99], axis=0)  # an agreed range that outliers do not stretch
    lo, hi = np.where(lo < hi, lo, fold.X.min(axis=0)), np.where(lo < hi, hi, fold.X.max(axis=0))
    width = np.where(hi > lo, hi - lo, 1.0)
    return np.clip((fold.X - lo) / width, 0, 1), np.clip((fold.X_test - lo) / width, 0, 1)


# ---------------------------------------------------------------------- what noise costs
@lru_cache(maxsize=256)
def laplace_total(epsilon: float, n_features: int, delta: float = DELTA) -> float:
    """Return an epsilon of a record whose features, numbers from 0 to 1, each get Laplace noise of scale 1/epsilon.

    Parameters
    ----------
    epsilon : float
        Of each feature, in nats.
    n_features : int
        How many.
    delta : float, optional
        Of the record.

    Returns
    -------
    float
        Never below the exact one: the pair of laws that stands in for Laplace noise has at every epsilon at least its
        hockey-stick divergence, with equality at 65 points.

    References
    ----------
    V. Doroshenko, B. Ghazi, P. Kamath, R. Kumar, P. Manurangsi, "Connect the dots: tighter discrete approximations of
    privacy loss distributions", PoPETs 2022.
    """
    epsilon *= 1 + _ABOVE
    losses = np.linspace(-epsilon, epsilon, _ATOMS)
    ratios = np.exp(losses)
    # The divergence as a function of e^epsilon is convex; chords between points lie above it, and their slopes
    # are the masses of a law on the points.
    divergence = -np.expm1((losses - epsilon) / 2)
    slopes = np.concatenate([[-1.0], np.diff(divergence) / np.diff(ratios), [0.0]])
    masses = np.diff(slopes)
    pair = Matrix(np.stack([ratios * masses, masses]))
    return compose([(pair.on(2), n_features)]).epsilon(delta)


def gaussian_sigma(epsilon: float, delta: float, sensitivity: float = 1.0) -> float:
    """Return the least standard deviation of Gaussian noise that makes a release (epsilon, delta)-private.

    Parameters
    ----------
    epsilon, delta : float
        What is wanted.
    sensitivity : float, optional
        Largest Euclidean distance between what is released of two records.

    References
    ----------
    B. Balle, Y.-X. Wang, "Improving the Gaussian mechanism for differential privacy", ICML 2018, theorem 8.
    """
    low, high = 0.0, 1e6
    for _ in range(200):
        sigma = (low + high) / 2
        low, high = (low, sigma) if _gaussian_delta(sigma, epsilon) <= delta else (sigma, high)
    return high * sensitivity


def _gaussian_delta(sigma: float, epsilon: float) -> float:
    a, b = 1 / (2 * sigma), epsilon * sigma
    return float(ndtr(a - b) - np.exp(epsilon + log_ndtr(-a - b)))


# ---------------------------------------------------------------------- a learner that knows the noise
def _discriminant(noisy: Floats, variance: float, y: Ints, test: Floats) -> Ints:
    """Name rows by linear discriminants on moments that the noise is taken out of; binary or not."""
    weight = np.bincount(y)
    means = np.stack([noisy[y == label].mean(axis=0) for label in range(len(weight))])
    covariance = np.atleast_2d(np.cov((noisy - means[y]).T))
    spread = np.diag(covariance).copy()
    own = np.clip(spread - variance, 0.01, None)
    scale, edge = np.sqrt(spread), 2 * np.sqrt(noisy.shape[1] / len(noisy))
    between = remove_noise((covariance - np.diag(spread)) / np.outer(scale, scale), edge)
    values, vectors = np.linalg.eigh(between + np.diag(own / spread))
    inverse = 1 / (np.clip(values, 0, None) + _RIDGE * edge)
    weights = (vectors * inverse) @ (vectors.T @ (means / scale).T) / scale[:, None]
    offsets = np.log(weight / len(y)) - (means * weights.T).sum(axis=1) / 2
    return np.asarray((test @ weights + offsets).argmax(axis=1))
