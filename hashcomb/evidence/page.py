"""The Markdown page of a folder of measurements."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import sklearn

from hashcomb import __version__
from hashcomb.evidence.statistics import Interval
from hashcomb.evidence.summary import Line, Verdict, verdicts
from hashcomb.privacy.report.wording import upward

__all__ = ("judged", "markdown")

_BY = {"random": "at random", "owner": "by owner"}
_READ = """\
Accuracy is the share of test rows that are classified rightly, in percent: mean over splits, then the standard
deviation. A difference is paired: tokens less raw rows on the same split, with the same seed of the model, in points.
Test rows are distinct, and none was trained on.

Two intervals at 95 % stand beside each difference. *Over splits* is Student's: where the mean over all splits of
these very rows lies. *New rows* is corrected for training rows that the splits share (Nadeau and Bengio 2003), and
speaks of rows from the same source that nobody has seen, not of other owners; it is wider. Ends of intervals are
rounded outward, and epsilons up."""


def markdown(lines: Sequence[Line], figures: Sequence[tuple[str, str]]) -> str:
    """Return a page with all tables.

    Parameters
    ----------
    lines : sequence of Line
        From `summarized`.
    figures : sequence of (file, caption)
        Pictures beside the page.

    Returns
    -------
    str
        Markdown.
    """
    parts = [
        "# Accuracy on tokens, and on raw rows",
        f"Written by `hashcomb bench accuracy`, hashcomb {__version__}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}, scikit-learn {sklearn.__version__}; what was measured before another of these was "
        "installed was measured with that.",
        _READ,
        "## Aims",
        "\n".join(f"- {sentence}" for sentence in judged(lines)) or "Nothing was measured that has an aim.",
        *_aims(verdicts(lines)),
    ]
    for data, of_data in groupby(lines, lambda line: line.example.data):
        parts += _of_data(data, list(of_data))
    parts += [f"![{caption}]({file})\n\n{caption}" for file, caption in figures]
    return "\n\n".join(parts) + "\n"


def judged(lines: Sequence[Line]) -> list[str]:
    """Say of each data set whether the aims hold, in a sentence."""
    sentences = []
    for data, several in groupby(verdicts(lines), lambda one: one.line.example.data):
        of_data = list(several)
        failed = [_arm(one) for one in of_data if one.holds is False]
        unknown = [_arm(one) for one in of_data if one.holds is None]
        if failed:
            verdict = f"{len(failed)} of {len(of_data)} aims are not shown to hold: {'; '.join(failed)}"
        else:
            verdict = f"all {len(of_data) - len(unknown)} aims hold" if len(unknown) < len(of_data) else "no verdict"
        more = f"; a single split says nothing of {', '.join(unknown)}" if unknown else ""
        sentences.append(f"{data}: {verdict}{more}.")
    return sentences


def _arm(verdict: Verdict) -> str:
    return f"{verdict.line.example.model} {_BY[verdict.line.example.split]}"


def _aims(found: Sequence[Verdict]) -> Iterator[str]:
    if found:
        rows = ["| data | split | model | encoding | splits | difference, points | over splits | aim: above | holds |"]
        rows.append("|---|---|---|---|---:|---:|---:|---:|---|")
        for line, aim, holds in found:
            one = line.example
            said = {True: "yes", False: "not shown", None: "one split"}[holds]
            if line.student.high <= aim:
                said = "**no**"
            rows.append(
                f"| {one.data} | {_BY[one.split]} | {one.model} | {one.encoding} | {line.n_pairs} | "
                f"{_difference(line)} | {_interval(line.student)} | {aim:+.1f} | {said} |"
            )
        yield "\n".join(rows)


def _of_data(data: str, lines: Sequence[Line]) -> Iterator[str]:
    yield f"## {data}"
    for split, several in groupby(lines, lambda line: line.example.split):
        of_split = list(several)
        one = of_split[0].example
        yield f"### Split {_BY[split]}: some {one.n_train:,} rows trained on, {one.n_test:,} tested"
        yield _table(of_split)


def _table(lines: Sequence[Line]) -> str:
    rows = ["| model | encoding | splits | accuracy, % | to raw, points | over splits | new rows | epsilon, record |"]
    rows.append("|---|---|---:|---:|---:|---:|---:|---:|")
    for line in lines:
        epsilon = "" if line.epsilon_record is None else upward(line.epsilon_record, 2)
        paired = ["", "", ""]
        if line.example.family != "raw":
            paired = [_difference(line), _interval(line.student), _interval(line.corrected)]
        rows.append(
            f"| {line.example.model} | {line.example.encoding} | {line.n} | {_number(line.accuracy, '.2f')} ± "
            f"{_number(line.spread, '.2f')} | {' | '.join(paired)} | {epsilon} |"
        )
    return "\n".join(rows)


def _difference(line: Line) -> str:
    if not line.n_pairs:
        return "-"
    return f"{_number(line.difference, '+.2f')} ± {_number(line.difference_spread, '.2f')}"


def _interval(interval: Interval) -> str:
    if math.isnan(interval.low):
        return "-"
    return f"{math.floor(100 * interval.low) / 100:+.2f} to {math.ceil(100 * interval.high) / 100:+.2f}"


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)
