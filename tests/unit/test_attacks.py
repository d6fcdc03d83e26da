"""Attacks do what an attacker would, and are judged beside guessing."""

import numpy as np
import pytest

from hashcomb.attacks import frequency_matching, joint_matching
from hashcomb.errors import DataError


def test_distinct_frequencies_give_everything_away() -> None:
    """Where all leaves differ in frequency and the attacker knows it, every leaf is named."""
    leaves = np.repeat([0, 1, 2, 3], [40, 30, 20, 10])[:, None]
    tokens = (leaves * 7919 + 13) % 104729
    result = frequency_matching(tokens, leaves, leaves)
    assert result.recovered == (1.0,)
    assert result.guessed == (0.4,)


def test_equal_frequencies_give_little_away() -> None:
    """Where all leaves are equally frequent, matching is no better than chance over random keys."""
    rng = np.random.default_rng(0)
    leaves = np.tile(np.arange(16), 20)[:, None]
    recovered = []
    for _ in range(200):
        relabel, rows = rng.permutation(16), rng.permutation(leaves)
        recovered.append(frequency_matching(relabel[rows], leaves, rows).recovered[0])
    assert np.mean(recovered) == pytest.approx(1 / 16, abs=0.02)


def test_tokens_that_the_sample_has_no_name_for() -> None:
    """More tokens than known leaves: the rarest stay unnamed."""
    leaves = np.array([[0], [0], [0], [1], [1], [2]])
    result = frequency_matching(leaves, np.array([[0], [0], [1]]), leaves)
    assert result.recovered == (5 / 6,)


@pytest.mark.parametrize(
    "shapes", [((2, 2), (2, 3), (2, 2)), ((2, 2), (2, 2), (3, 2)), ((0, 2), (2, 2), (0, 2)), ((2,), (2,), (2,))]
)
def test_shapes_that_do_not_fit(shapes: tuple[tuple[int, ...], ...]) -> None:
    """Tables of other columns or without rows are refused."""
    tokens, auxiliary, truth = (np.zeros(shape, dtype=int) for shape in shapes)
    with pytest.raises(DataError):
        frequency_matching(tokens, auxiliary, truth)


def related(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return leaves (16 equally frequent ones) of six columns that go together, and a label that they tell."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_rows, 1)) + 0.3 * rng.normal(size=(n_rows, 6))
    ranks = x.argsort(axis=0).argsort(axis=0)
    return ranks * 16 // n_rows, np.where(x.sum(axis=1) > 0, "yes", "no")


def relabel(leaves: np.ndarray, seed: int) -> np.ndarray:
    """Replace the leaves of each column by names that say nothing."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(1000)[column] for column in leaves.T], axis=1)


def test_columns_that_go_together_give_leaves_away() -> None:
    """Where frequencies say nothing, the other columns and the label do: most leaves are named, nearly all nearly."""
    (leaves, y), (known, known_y) = related(2000, 0), related(500, 1)
    tokens = relabel(leaves, 2)
    result = joint_matching(tokens, known, leaves, labels=y, auxiliary_labels=known_y)
    assert np.mean(result.recovered) > 0.6
    assert np.mean(result.near) > 0.9
    assert np.mean(frequency_matching(tokens, known, leaves).recovered) < 0.2
    again = joint_matching(relabel(leaves, 3), known, leaves, labels=y, auxiliary_labels=known_y)
    assert again == result  # the names of tokens do not matter


def test_columns_that_do_not_go_together_give_nothing_away() -> None:
    """On independent columns, and with labels at random, the attack is as good as guessing."""
    rng = np.random.default_rng(0)
    leaves, known = rng.integers(0, 16, (2000, 6)), rng.integers(0, 16, (500, 6))
    y, known_y = rng.integers(0, 2, 2000), rng.integers(0, 2, 500)
    result = joint_matching(relabel(leaves, 1), known, leaves, labels=y, auxiliary_labels=known_y)
    assert np.mean(result.recovered) < 0.2


def test_a_small_sample_and_no_labels() -> None:
    """Leaves that the sample has not met, a constant column and missing labels are no obstacle."""
    leaves, _ = related(300, 0)
    leaves[:, 5] = 0
    result = joint_matching(relabel(leaves, 1), leaves[:9], leaves)
    assert result.recovered[5] == 1.0
    with pytest.raises(DataError, match="labels"):
        joint_matching(leaves, leaves, leaves, labels=np.zeros(300))


def test_labels_of_other_types_are_the_same_labels() -> None:
    """0, 0.0 and False are one class; labels without a class in common, or of another shape, are refused."""
    (leaves, y), (known, known_y) = related(500, 0), related(300, 1)
    yes, known_yes = y == "yes", known_y == "yes"
    expected = joint_matching(leaves, known, leaves, labels=yes.astype(int), auxiliary_labels=known_yes.astype(int))
    assert joint_matching(leaves, known, leaves, labels=yes, auxiliary_labels=known_yes.astype(float)) == expected
    for bad in (known_y, known_yes[:, None], None):
        with pytest.raises(DataError):
            joint_matching(leaves, known, leaves, labels=yes, auxiliary_labels=bad)


def test_too_many_leaves_are_refused() -> None:
    """The attack does not begin what it could not end."""
    many = np.arange(8000)[:, None] + np.zeros(3, dtype=int)
    with pytest.raises(DataError, match="too many"):
        joint_matching(many, many, many)


def test_error_of_places_and_its_baseline() -> None:
    """Places are centers of leaves; guessing has the variance; missing values, beyond the leaves, do not count."""
    leaves = np.array([[0], [0], [0], [3], [4]])
    result = frequency_matching(leaves, np.array([[0], [0], [3], [4]]), leaves, n_leaves=4)
    assert result.error == (0.0,)
    mean = (0.125 + 0.125 + 0.875) / 3
    assert result.spread[0] == pytest.approx((3 * (0.125 - mean) ** 2 + (0.875 - mean) ** 2) / 4)
    wrong = frequency_matching(leaves, 3 - leaves.clip(max=3), leaves, n_leaves=4)
    assert wrong.error[0] == pytest.approx(0.75**2)
