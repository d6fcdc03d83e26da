"""Known rows open the tokens that they share with others."""

import numpy as np
import pytest

from hashcomb import HashComb, Key, RandomizedResponse, Spec, Uniform, place
from hashcomb.attacks import open_with_known_rows
from hashcomb.errors import DataError


def spec_of(channel: RandomizedResponse | None = None) -> Spec:
    """Return two features of eight leaves."""
    features = tuple(Uniform(name=name, lo=0.0, hi=1.0) for name in "ab")
    return Spec(features=features, depth=3, channel=None if channel is None else channel.to_spec())


def test_every_token_of_a_known_row_is_open() -> None:
    """Of the other rows, exactly those with such a token are named; the rest get the most frequent leaf."""
    leaves = np.array([[2], [5], [5], [2], [5], [7]])
    result = open_with_known_rows(leaves * 101 + 7, leaves, 3, n_leaves=8)
    assert result.opened == (2 / 3,)
    assert result.recovered == (2 / 3,)
    assert result.guessed == (1 / 3,)
    mean = (2.5 + 5.5 + 5.5) / 3 / 8
    assert result.error[0] == pytest.approx((7.5 / 8 - mean) ** 2 / 3)


def test_more_rows_open_more_of_a_codec(key: Key) -> None:
    """What is open in encoded rows is right, and grows with the known rows up to everything."""
    rows, spec = np.random.default_rng(0).random((500, 2)), spec_of()
    tokens, leaves = HashComb(spec, key).encode(rows), place(rows, spec)
    opened = []
    for n_known in (1, 5, 100):
        result = open_with_known_rows(tokens, leaves, n_known, n_leaves=8)
        assert all(r >= o for r, o in zip(result.recovered, result.opened, strict=True))
        opened.append(np.mean(result.opened))
    assert opened[0] < opened[1] < opened[2] == 1.0
    assert result.recovered == (1.0, 1.0)
    assert result.error == (0.0, 0.0)


def test_noise_takes_the_meaning_of_open_tokens(key: Key) -> None:
    """With a channel of small epsilon, known rows name little more than guessing does."""
    rows, spec = np.random.default_rng(0).random((2000, 2)), spec_of(RandomizedResponse(0.2, depth="leaf"))
    result = open_with_known_rows(HashComb(spec, key).encode(rows), place(rows, spec), 200, n_leaves=8)
    assert min(result.opened) == 1.0
    assert max(result.recovered) < max(result.guessed) + 0.06


def test_missing_values_have_no_place(key: Key) -> None:
    """A known missing value opens its token, and does not count among the places."""
    leaves = np.array([[8], [1], [8], [1]])
    result = open_with_known_rows(leaves + 40, leaves, 2, n_leaves=8)
    assert result.recovered == (1.0,)
    assert result.error == (0.0,)


@pytest.mark.parametrize("n_known", [0, 4, -1])
def test_some_rows_must_be_known_and_some_not(n_known: int) -> None:
    """Without a known row, or without another, there is nothing to attack."""
    with pytest.raises(DataError):
        open_with_known_rows(np.zeros((4, 1)), np.zeros((4, 1), dtype=int), n_known)
