"""What is planned, and what tables and figures say of measurements that were made up."""

import itertools
import math
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from hashcomb.evidence.accuracy import PAGE_NAME, summarize
from hashcomb.evidence.arms import GRIDS
from hashcomb.evidence.data import DataSet
from hashcomb.evidence.encodings import Encoding
from hashcomb.evidence.page import judged, markdown
from hashcomb.evidence.plan import VERSION, planned
from hashcomb.evidence.results import Result, opened
from hashcomb.evidence.statistics import corrected_interval, student_interval
from hashcomb.evidence.summary import AIMS, Line, summarized, verdicts

RAW = Encoding(family="raw")
TOKENS = {model: one for models, several in GRIDS["headline"] for model in models for one in several if one.depth}
FOREST = "random forest"


def result(seed: int, accuracy: float, encoding: Encoding, model: str = FOREST, **more: object) -> Result:
    """Return a measurement."""
    fields = {
        "data": "trial",
        "rows_sha": "0123456789ab",
        "split": "random",
        "epsilon_feature": None,
        "epsilon_record": None,
        "n_train": 330,
        "n_train_distinct": 300,
        "n_test": 100,
        "seconds": 0.1,
        "version": VERSION,
        "family": encoding.family,
        "representation": encoding.representation,
        "edges": encoding.edges,
        "depth": encoding.depth,
        "channel": encoding.channel,
    }
    made = {"seed": seed, "accuracy": accuracy, "encoding": encoding.name, "model": model}
    return Result(**{**fields, **made, **more})  # type: ignore[arg-type]


def pairs(differences: Iterable[float], model: str = FOREST, **more: object) -> list[Result]:
    """Return measurements on raw rows, and on tokens whose accuracy differs by so many points."""
    raw = [0.9, 0.8, 0.95, 0.85]
    made = []
    for seed, (base, points) in enumerate(zip(itertools.cycle(raw), differences, strict=False)):
        made.append(result(seed, base, RAW, model, **more))
        made.append(result(seed, base + points / 100, TOKENS[model], model, **more))
    return made


def tokens_line(results: Iterable[Result]) -> Line:
    """Return the line of the only encoding beside raw rows."""
    (line,) = [line for line in summarized(list(results)) if line.example.family != "raw"]
    return line


def test_differences_are_paired() -> None:
    """Differences are taken on the same split, so that splits that are harder for both do not widen them."""
    line = tokens_line(pairs([-1.0, -1.2, -0.8, -1.0]))
    assert line.difference == pytest.approx(-1.0)
    assert line.difference_spread == pytest.approx(math.sqrt(0.08 / 3))
    assert line.spread > 5
    assert line.student == pytest.approx(student_interval([-1.0, -1.2, -0.8, -1.0]))


def test_test_rows_are_compared_with_distinct_training_rows() -> None:
    """Training rows that repeat say nothing new, and do not make the corrected interval narrower."""
    line = tokens_line(pairs([-1.0, -1.2, -0.8, -1.0]))
    assert line.corrected == pytest.approx(corrected_interval([-1.0, -1.2, -0.8, -1.0], 100 / 300))


def test_splits_without_raw_rows_are_no_pairs() -> None:
    """A split on which raw rows are still to be measured counts for the accuracy alone."""
    line = tokens_line(one for one in pairs([-1.0, -2.0, -3.0]) if one.seed or one.family != "raw")
    assert (line.n, line.n_pairs) == (3, 2)
    assert line.difference == pytest.approx(-2.5)


def test_no_pair_at_all() -> None:
    """Without raw rows there is no difference, and no verdict."""
    results = [one for one in pairs([-1.0, -2.0]) if one.family != "raw"]
    assert math.isnan(tokens_line(results).difference)
    assert [one.holds for one in verdicts(summarized(results))] == [None]


@pytest.mark.parametrize(("model", "aim"), AIMS.items())
def test_an_aim_holds_by_the_lower_end_of_the_interval(model: str, aim: float) -> None:
    """A mean above the aim is not enough: the whole interval must lie above it."""
    narrow = [aim + 0.2 + wiggle for wiggle in (-0.01, 0.0, 0.01)]
    wide = [aim + 0.2 + wiggle for wiggle in (-1.0, 0.0, 1.0)]
    assert [one.holds for one in verdicts(summarized(pairs(narrow, model)))] == [True]
    assert [one.holds for one in verdicts(summarized(pairs(wide, model)))] == [False]


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        ((-1.0, -1.1, -0.9), "yes"),
        ((-1.0, -2.0, -0.2), "not shown"),
        ((-9.0, -9.1, -8.9), "**no**"),
        ((0.0,), "one split"),
    ],
)
def test_what_the_table_says_of_an_aim(differences: tuple[float, ...], said: str) -> None:
    """An interval above the aim, about it, and below it are told apart."""
    page = markdown(summarized(pairs(differences)), [])
    assert next(line for line in page.splitlines() if "| -1.5 |" in line).endswith(f"| -1.5 | {said} |")


def test_aims_are_of_the_default_encoding_alone() -> None:
    """Other depths and models without an aim have no verdict."""
    other = Encoding(family="tokens", representation="one-hot", edges="uniform", depth=7)
    lines = summarized([*pairs([-1.0, -1.1], "neural network"), result(0, 0.5, other), result(1, 0.5, RAW)])
    assert verdicts(lines) == []
    assert judged(lines) == []


def test_a_sentence_for_each_data_set() -> None:
    """It says how many aims hold, names those that are not shown to, and those that a single split cannot tell."""
    good, bad = pairs([-0.1, -0.1, -0.2]), pairs([-9.0, -9.1, -9.2], data="other")
    single = pairs([0.0], "gradient boosting")
    assert judged(summarized([*good, *bad, *single])) == [
        "other: 1 of 1 aims are not shown to hold: random forest at random.",
        "trial: all 1 aims hold; a single split says nothing of gradient boosting at random.",
    ]


def test_the_order_of_measurements_does_not_matter() -> None:
    """Processes that finish in another order give the same page."""
    results = [*pairs([-1.0, -1.2, -0.9]), *pairs([0.3, 0.1], "logistic regression"), *pairs([1.0], split="owner")]
    assert markdown(summarized(results), []) == markdown(summarized(results[::-1]), [])


def test_ends_are_rounded_outward_and_epsilon_up() -> None:
    """No figure of the page claims more than was measured."""
    page = markdown(summarized(pairs([-1.0, -1.0, -1.0003], epsilon_record=2.00001)), [])
    row = next(line for line in page.splitlines() if line.startswith("| random forest | quantile"))
    low, high = student_interval([-1.0, -1.0, -1.0003])
    shown = [float(end) for end in re.findall(r"[-+]\d\.\d\d", row.split("|")[6])]
    assert shown[0] <= low < shown[0] + 0.01
    assert shown[1] - 0.01 < high <= shown[1]
    assert row.endswith("| 2.01 |")


def test_every_depth_is_drawn(tmp_path: Path) -> None:
    """With several depths there is a figure of each split, with several epsilons one of each model, and no more."""
    depths = [
        result(seed, 0.5 + depth / 20, Encoding(family="tokens", representation="x", edges=edges, depth=depth))
        for seed in (0, 1)
        for depth in (1, 2, 3)
        for edges in ("quantile", "uniform")
    ]
    noisy = [
        result(0, 0.6 + one / 50, Encoding(family="channel", channel="geometric", epsilon=one), epsilon_record=3 * one)
        for one in (1.0, 2.0)
    ]
    with opened(tmp_path) as file:
        for one in [*depths, *noisy, result(0, 0.9, RAW)]:
            file.append(one)
    found = summarize(tmp_path)
    names = {"depth-trial-random.svg", "epsilon-trial-random-random-forest.svg"}
    assert {Path(path).name for path in found.figures} == names
    page = (tmp_path / PAGE_NAME).read_text()
    for name in names:
        assert f"]({name})" in page
        assert "raw rows" in (tmp_path / name).read_text()


# ---------------------------------------------------------------------- plan
def rows(name: str) -> DataSet:
    """Return rows of ten owners."""
    numbers = np.arange(30)
    return DataSet(name, "0", numbers.reshape(-1, 1).astype(float), numbers % 2, numbers % 10, numbers)


def test_every_cell_once() -> None:
    """Raw rows, which every grid compares with, are measured once."""
    cells = planned([rows("a"), rows("b")], GRIDS, ["logistic regression", FOREST], ["random", "owner"], 2)
    keys = [cell.key for cell in cells]
    assert len(set(keys)) == len(keys)
    assert sum(cell.encoding.family == "raw" for cell in cells) == 2 * 2 * 2 * 2


def test_all_of_the_first_seed_comes_first() -> None:
    """What is there early says something about every data set and split."""
    cells = planned([rows("a"), rows("b")], {"headline": GRIDS["headline"]}, [FOREST], ["random", "owner"], 3)
    assert [cell.seed for cell in cells] == sorted(cell.seed for cell in cells)
    assert {(cell.data, cell.split) for cell in cells[:8]} == set(itertools.product("ab", ("random", "owner")))


def test_more_seeds_are_more_cells() -> None:
    """A run with more seeds begins with the cells of the one before."""
    few, many = (planned([rows("a")], GRIDS, [FOREST], ["random"], n_seeds) for n_seeds in (2, 4))
    assert many[: len(few)] == few
    assert len(many) == 2 * len(few)


def test_names_of_encodings_tell_them_apart() -> None:
    """No two encodings of the grids would be taken for one measurement."""
    encodings = {one for grid in GRIDS.values() for _, several in grid for one in several}
    assert len({one.name for one in encodings}) == len(encodings)
