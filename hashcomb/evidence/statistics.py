"""What repeated measurements say: means, spreads, and two intervals of a paired difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student_t

__all__ = ("CONFIDENCE", "Interval", "corrected_interval", "mean_and_spread", "student_interval")

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """Ends of a confidence interval."""

    low: float
    high: float


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the standard deviation of a sample; NaN where there are too few values."""
    mean = float(np.mean(values)) if values else math.nan
    return mean, float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def student_interval(differences: Sequence[float]) -> Interval:
    """Return Student's interval for the mean of differences that were drawn independently.

    Splits of one data set, drawn again and again, are such differences: the interval holds the mean over all
    splits *of this data set*. It says nothing of rows that are not in it.

    Parameters
    ----------
    differences : sequence of float
        One for each split.

    Returns
    -------
    Interval
        Both ends are NaN where there are fewer than two differences.

    References
    ----------
    Student (1908), "The probable error of a mean", Biometrika 6: mean +- t(n - 1) s / sqrt(n).
    """
    return _interval(differences, 1 / max(1, len(differences)))


def corrected_interval(differences: Sequence[float], test_share: float) -> Interval:
    """Return the interval for the mean of differences on new rows, corrected for training rows that overlap.

    Splits of one data set are trained on mostly the same rows, and so vary less than data sets would that are
    drawn anew. The variance is made larger by the share of test rows.

    Parameters
    ----------
    differences : sequence of float
        One for each split.
    test_share : float
        Rows tested over rows trained on, of a split.

    Returns
    -------
    Interval
        Both ends are NaN where there are fewer than two differences.

    References
    ----------
    Nadeau and Bengio (2003), "Inference for the generalization error", Machine Learning 52, 239-281: the corrected
    resampled t-test, whose variance of a mean is (1/n + n_test/n_train) s^2. A heuristic; it is exact where two
    splits correlate by n_test/(n_test + n_train).
    """
    return _interval(differences, 1 / max(1, len(differences)) + test_share)


def _interval(differences: Sequence[float], factor: float) -> Interval:
    mean, spread = mean_and_spread(differences)
    if len(differences) < 2:
        return Interval(math.nan, math.nan)
    reach = float(student_t.ppf((1 + CONFIDENCE) / 2, len(differences) - 1)) * math.sqrt(factor) * spread
    return Interval(mean - reach, mean + reach)
