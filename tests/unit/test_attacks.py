"""Frequency matching does what an attacker would, and is judged beside guessing."""

import numpy as np
import pytest

from hashcomb.attacks import frequency_matching
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
