"""Means, spreads and intervals of repeated measurements, against examples computed by hand."""

import math

import pytest

from hashcomb.evidence.statistics import corrected_interval, mean_and_spread, student_interval

DIFFERENCES = [-1.0, 0.0, 1.0, 2.0]  # mean 0.5, sum of squares about it 5, so variance 5/3
T = 3.182446305284263  # a table's 97.5 % quantile of Student's t with 3 degrees of freedom


def test_mean_and_spread() -> None:
    """The spread is that of a sample: divided by n - 1."""
    assert mean_and_spread(DIFFERENCES) == pytest.approx((0.5, math.sqrt(5 / 3)))


def test_student_by_hand() -> None:
    """The interval is mean +- t s / sqrt(n)."""
    reach = T * math.sqrt(5 / 3) / 2
    assert student_interval(DIFFERENCES) == pytest.approx((0.5 - reach, 0.5 + reach))


def test_corrected_by_the_formula_of_the_paper() -> None:
    """With a third as many test rows as training rows, the variance of the mean is (1/4 + 1/3) s^2."""
    reach = T * math.sqrt((1 / 4 + 1 / 3) * 5 / 3)
    assert corrected_interval(DIFFERENCES, 1 / 3) == pytest.approx((0.5 - reach, 0.5 + reach))


def test_corrected_is_students_without_overlap() -> None:
    """Where nothing is tested beside what is trained on, there is nothing to correct."""
    assert corrected_interval(DIFFERENCES, 0.0) == student_interval(DIFFERENCES)


def test_too_few_for_an_interval() -> None:
    """A single difference has no interval, rather than one of no width."""
    assert math.isnan(mean_and_spread([1.0])[1])
    assert all(map(math.isnan, student_interval([1.0])))
    assert all(map(math.isnan, corrected_interval([1.0], 0.3)))
