"""The Markdown page of a folder of attacks: one table for each question, a column for each data set."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hashcomb import __version__
from hashcomb.evidence.attacks_plan import ENCODINGS
from hashcomb.evidence.attacks_summary import AIM, Average, verdicts
from hashcomb.evidence.statistics import mean_and_spread

__all__ = ("QUESTIONS", "Question", "attacks_markdown")


class Question(NamedTuple):
    """What a table answers.

    Attributes
    ----------
    title, says : str
        Its heading, and what a figure of it means.
    field : str
        Of `Finding`.
    guessed : str, optional
        The field of what guessing achieves, in brackets behind.
    percent : bool
        Whether figures are shares.
    bounded : bool
        Whether what stands in brackets is a bound, and so rounded up.
    """

    title: str
    says: str
    field: str
    guessed: str | None = None
    percent: bool = True
    bounded: bool = False


QUESTIONS = (
    Question(
        "Leaves named by frequencies",
        "The attacker has the tokens, the Spec and other rows. Percent of leaves; in brackets, naming the leaf that is "
        "most frequent in the other rows.",
        "named_frequencies",
        "named_guessed",
    ),
    Question(
        "Leaves named by columns together",
        "The same attacker, who also has all labels, and looks at all columns at once; in brackets, naming the leaf "
        "that is most frequent in the other rows of the same label.",
        "named_columns",
        "named_guessed_by_label",
    ),
    Question(
        "Leaves named by paths",
        "The attacker of the first table, where tokens of all levels are sent.",
        "named_paths",
        "named_guessed",
    ),
    Question(
        "Leaves named from ten known rows",
        "The attacker has the tokens of all rows, the values of ten of them, and no other rows; in brackets, as in the "
        "first table.",
        "named_known_rows",
        "named_guessed",
    ),
    Question(
        "Leaves named with the Key",
        "Not an attack on tokens: another owner has the Key, reads the reports of each column, and names the likeliest "
        "leaf behind each. What a channel alone withholds.",
        "named_with_key",
        "named_guessed",
    ),
    Question(
        "Rows joined over two rounds",
        "The attacker has the tokens and labels of the same records in two rounds, and no Key. Percent of rows joined "
        "to the right one; in brackets, at random within the label.",
        "joined_round",
        "joined_guessed",
    ),
    Question(
        "Rows joined over two rounds, memoized",
        "The same, where a record gives the same reports again.",
        "joined_memoized",
        "joined_guessed",
    ),
    Question(
        "Rows joined over two data sets",
        "Two data sets with their own salts, under one Key, of which half of the rows are in both. Percent of the "
        "common rows that are joined; in brackets, at random within the label.",
        "joined_dataset",
        "joined_dataset_guessed",
    ),
    Question(
        "Values rebuilt",
        "Mean squared error of values rebuilt from tokens and other rows, over that of always guessing the mean: 0 "
        "where all is known, 1 for guessing, more where a wrong name leads far away. Median over features.",
        "rebuilt_error",
        percent=False,
    ),
    Question(
        "Features named in the best rebuilt rows",
        "At least this percentage of its features is named rightly in each of a tenth of the rows; in brackets, by "
        "naming the most frequent leaves.",
        "rebuilt_named_tenth",
        "rebuilt_named_tenth_guessed",
    ),
    Question(
        "Rows rebuilt as a whole",
        "Percent of rows with every leaf named rightly; in brackets, by naming the most frequent leaves.",
        "rebuilt_whole",
        "rebuilt_whole_guessed",
    ),
    Question(
        "Rows recognized",
        "Percent of rebuilt rows that are nearer to their own true row than to any other; in brackets, guessing.",
        "recognized",
        "recognized_guessed",
    ),
    Question(
        "Membership from counts",
        "Rate of right minus rate of wrong alarms, in points, of whoever has counts over 100 rows, a record, and what "
        "its tokens stand for. 0 for guessing; in brackets, what the epsilon of a record bounds any attack by.",
        "counted",
        "counted_bound",
        bounded=True,
    ),
    Question(
        "Membership in a model",
        "The same for whoever has a random forest that was trained on tokens, and knows its mean loss in training; in "
        "brackets, the same forest on raw rows. Nobody asks about records that are in both halves.",
        "trained",
        "trained_raw",
    ),
)


def attacks_markdown(averages: Sequence[Average], figures: Sequence[tuple[str, str]]) -> str:
    """Return a page with all tables.

    Parameters
    ----------
    averages : sequence of Average
        From `averaged`.
    figures : sequence of (file, caption)
        Pictures beside the page.

    Returns
    -------
    str
        Markdown.
    """
    parts = [
        "# Attacks on tokens",
        f"From `hashcomb bench attacks`, hashcomb {__version__}. {_sizes(averages)} Mean over seeds, and "
        "standard deviation where there are several.",
        "## Aim",
        _aims(averages),
    ]
    for question in QUESTIONS:
        parts += _table(question, averages)
    parts += [f"![{caption}]({file})\n\n{caption}" for file, caption in figures]
    return "\n\n".join(parts) + "\n"


def _sizes(averages: Sequence[Average]) -> str:
    sizes = {one.data: one.findings[0] for one in averages}
    n_seeds = max(len(one.findings) for one in averages)
    said = [f"{name} {one.n_target} of {one.n_features} features" for name, one in sizes.items()]
    seeds = "1 seed" if n_seeds == 1 else f"up to {n_seeds} seeds"
    return f"Rows attacked, with as many others that the attacker has: {', '.join(said)}; {seeds}."


def _aims(averages: Sequence[Average]) -> str:
    rows = [
        "| data | encoding | by frequencies, over guessing | with the Key, over guessing | aim: at most | holds |",
        "|---|---|---:|---:|---:|---|",
    ]
    rows += [
        f"| {one.data} | {one.encoding} | {one.gain:+z.1f}{_plus_minus(one.spread, 1)} | {one.with_key:+z.1f} | "
        f"{AIM:+.1f} | {'yes' if one.holds else '**no**'} |"
        for one in verdicts(averages)
    ]
    return "\n".join(rows)


def _table(question: Question, averages: Sequence[Average]) -> Iterator[str]:
    data = list(dict.fromkeys(one.data for one in averages))
    by = {(one.data, one.encoding): _cell(question, one) for one in averages}
    rows = [
        f"| {encoding} | {' | '.join(by.get((name, encoding), '') for name in data)} |"
        for encoding in ENCODINGS
        if any(by.get((name, encoding)) for name in data)
    ]
    if rows:
        yield f"## {question.title}"
        yield question.says
        yield "\n".join([f"| encoding | {' | '.join(data)} |", "|---|" + "---:|" * len(data), *rows])


def _cell(question: Question, average: Average) -> str:
    """Return mean, spread and what guessing achieves; empty where the attack does not apply."""
    values = average.values(question.field)
    if not values:
        return ""
    mean, spread = mean_and_spread([_scaled(question, value) for value in values])
    guessed = average.mean(question.guessed) if question.guessed else None
    behind = "" if guessed is None else f" ({_in_brackets(question, guessed)})"
    places = 1 if question.percent else 2
    return f"{mean:z.{places}f}{_plus_minus(spread, places)}{behind}"


def _in_brackets(question: Question, value: float) -> str:
    scaled = _scaled(question, value)
    return f"{math.ceil(10 * scaled) / 10 if question.bounded else scaled:z.1f}"


def _scaled(question: Question, value: float) -> float:
    return 100 * value if question.percent else value


def _plus_minus(spread: float, places: int) -> str:
    """Return the spread as a table shows it; of one seed there is none."""
    return "" if math.isnan(spread) else f" ± {spread:.{places}f}"
