"""Attacks put together: over the seeds of a data set, and held against the aim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hashcomb.evidence.attacks_measures import Finding
from hashcomb.evidence.attacks_plan import ENCODINGS
from hashcomb.evidence.statistics import mean_and_spread

__all__ = ("AIM", "AIMED_AT", "Average", "Verdict", "aims_of", "averaged", "gain_by_frequencies", "verdicts")

# Points above naming the most frequent leaf always, that frequency matching may reach at most.
AIM = 2.0
AIMED_AT = ("randomized response over 16 leaves, epsilon 2", "randomized response, epsilon 2")


class Average(NamedTuple):
    """What all seeds say of one data set under one encoding.

    Attributes
    ----------
    data, encoding : str
        Their names.
    epsilon : float or None
        Epsilon of one value.
    findings : list of Finding
        One for each seed.
    """

    data: str
    encoding: str
    epsilon: float | None
    findings: list[Finding]

    def values(self, field: str) -> list[float]:
        """Return a figure of all seeds; none where the attack does not apply."""
        found = [getattr(one, field) for one in self.findings]
        return [float(value) for value in found if value is not None]

    def mean(self, field: str) -> float | None:
        """Return the mean of a figure, where there is one."""
        values = self.values(field)
        return sum(values) / len(values) if values else None


class Verdict(NamedTuple):
    """Whether frequency matching stays below the aim.

    Attributes
    ----------
    data, encoding : str
        Names.
    gain, spread : float
        Points above guessing: mean over seeds and standard deviation.
    with_key : float
        Points above guessing that a holder of the Key reaches.
    holds : bool
        Whether the mean is at most the aim.
    """

    data: str
    encoding: str
    gain: float
    spread: float
    with_key: float
    holds: bool


def averaged(findings: Sequence[Finding]) -> list[Average]:
    """Put findings together, one for each data set and encoding, data sets as they come, encodings as planned."""
    data = dict.fromkeys(one.data for one in findings)
    return [
        Average(name, encoding, ENCODINGS[encoding].epsilon, several)
        for name in data
        for encoding in ENCODINGS
        if (several := [one for one in findings if (one.data, one.encoding) == (name, encoding)])
    ]


def gain_by_frequencies(average: Average, field: str = "named_frequencies") -> list[float]:
    """Return the points by which frequency matching, or another way to name leaves, exceeds guessing, for each seed."""
    return [100 * (getattr(one, field) - one.named_guessed) for one in average.findings]


def verdicts(averages: Sequence[Average]) -> list[Verdict]:
    """Hold frequency matching under randomized response at epsilon 2 against the aim."""
    found = []
    for average in averages:
        if average.encoding in AIMED_AT:
            gain, spread = mean_and_spread(gain_by_frequencies(average))
            with_key, _ = mean_and_spread(gain_by_frequencies(average, "named_with_key"))
            found.append(Verdict(average.data, average.encoding, gain, spread, with_key, gain <= AIM))
    return found


def aims_of(averages: Sequence[Average]) -> list[str]:
    """Say of each data set whether the aim is reached, in a sentence for each way to respond at random."""
    return [
        f"{one.data}, {one.encoding}: frequency matching names {one.gain:+z.1f} points over guessing "
        f"(aim: at most {AIM:+.1f}), so it {'holds' if one.holds else 'DOES NOT HOLD'}"
        for one in verdicts(averages)
    ]
