"""Measurements put together: over the splits of a data set, and against raw rows on the same splits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hashcomb.evidence.arms import GRIDS, MODELS
from hashcomb.evidence.results import Result
from hashcomb.evidence.splits import SPLITS
from hashcomb.evidence.statistics import Interval, corrected_interval, mean_and_spread, student_interval

__all__ = ("AIMS", "Line", "Verdict", "is_aimed_at", "summarized", "verdicts")

# Points below raw rows that a model on depth 4 quantile tokens may lose at most.
AIMS = {"logistic regression": -0.5, "random forest": -1.5, "gradient boosting": -1.5}

Group = tuple[str, str, str, str]


class Line(NamedTuple):
    """What all splits say of one model on one encoding.

    Attributes
    ----------
    example : Result
        One of the measurements, for what they have in common.
    n : int
        Number of splits.
    accuracy, spread : float
        Mean and standard deviation over splits, in percent.
    n_pairs : int
        Number of splits on which raw rows were measured too.
    difference, difference_spread : float
        To raw rows on the same splits, in points: mean and standard deviation. NaN without pairs.
    student, corrected : Interval
        For the difference: over the splits of this data set, and for new rows; 95 %.
    epsilon_record : float or None
        The largest of any split.
    """

    example: Result
    n: int
    accuracy: float
    spread: float
    n_pairs: int
    difference: float
    difference_spread: float
    student: Interval
    corrected: Interval
    epsilon_record: float | None


class Verdict(NamedTuple):
    """Whether an aim holds: the lower end of Student's interval lies above it; None while it cannot be told."""

    line: Line
    aim: float
    holds: bool | None


def summarized(results: Sequence[Result]) -> list[Line]:
    """Put measurements together, one line for each data set, split, model and encoding.

    Parameters
    ----------
    results : sequence of Result
        In any order; that of the lines depends on what was measured alone.
    """
    groups: dict[Group, dict[int, Result]] = {}
    for one in sorted(results, key=_place):
        groups.setdefault(_group(one), {})[one.seed] = one
    raw = {group[:3]: by_seed for group, by_seed in groups.items() if _any(by_seed).family == "raw"}
    return [_line(by_seed, raw.get(group[:3], {})) for group, by_seed in groups.items()]


def is_aimed_at(result: Result) -> bool:
    """Return whether a measurement is of the encoding that the aims speak of, which is a model's default."""
    return any(
        result.model in models and result.encoding == one.name and one.family != "raw"
        for models, encodings in GRIDS["headline"]
        for one in encodings
    )


def verdicts(lines: Sequence[Line]) -> list[Verdict]:
    """Return, for each model that has an aim, whether depth 4 quantile tokens reach it."""
    found = []
    for line in lines:
        if line.example.model in AIMS and is_aimed_at(line.example):
            aim, low = AIMS[line.example.model], line.student.low
            found.append(Verdict(line, aim, None if math.isnan(low) else low > aim))
    return found


def _group(result: Result) -> Group:
    return (result.data, result.split, result.model, result.encoding)


def _place(result: Result) -> tuple[Any, ...]:
    """Return what sorts measurements: raw rows first, then tokens without a channel, then what has noise."""
    made = (result.edges or "", result.representation or "", result.channel or "", result.depth or 0)
    epsilon = result.epsilon_feature or 0.0
    model = MODELS.index(result.model) if result.model in MODELS else len(MODELS)
    family = (result.family != "raw", result.family != "tokens", result.family)
    return (result.data, SPLITS.index(result.split), model, family, made, epsilon, result.encoding, result.seed)


def _any(by_seed: dict[int, Result]) -> Result:
    return next(iter(by_seed.values()))


def _line(by_seed: dict[int, Result], raw: dict[int, Result]) -> Line:
    accuracy, spread = mean_and_spread([100 * one.accuracy for one in by_seed.values()])
    pairs = [(raw[seed], one) for seed, one in by_seed.items() if seed in raw]
    differences = [100 * (one.accuracy - base.accuracy) for base, one in pairs]
    share = float(np.mean([one.n_test / one.n_train_distinct for one in by_seed.values()]))
    difference, difference_spread = mean_and_spread(differences)
    epsilons = [one.epsilon_record for one in by_seed.values() if one.epsilon_record is not None]
    return Line(
        _any(by_seed),
        len(by_seed),
        accuracy,
        spread,
        len(pairs),
        difference,
        difference_spread,
        student_interval(differences),
        corrected_interval(differences, share),
        max(epsilons, default=None),
    )
