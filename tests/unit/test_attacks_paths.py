"""Paths of tokens are laid on the comb in the most likely way."""

import itertools

import numpy as np
import pytest

from hashcomb import HashComb, Key, Spec, Uniform, place
from hashcomb.attacks import frequency_matching, path_matching
from hashcomb.attacks.paths import MAX_LEVELS, _most_likely
from hashcomb.errors import DataError


def paths_of(leaves: np.ndarray, depth: int, seed: int) -> np.ndarray:
    """Return paths under names that say nothing, as a codebook would give them."""
    rng = np.random.default_rng(seed)
    levels = []
    for level in range(1, depth + 1):
        names = np.stack([rng.permutation(10_000)[: (1 << level) + 1] for _ in range(leaves.shape[1])])
        levels.append(np.take_along_axis(names, (leaves >> (depth - level)).T, axis=1).T)
    return np.stack(levels, axis=2)


def layouts(depth: int) -> list[np.ndarray]:
    """Return every way to lay a comb on itself: the children of each node straight or crossed."""
    found = []
    for bits in itertools.product((0, 1), repeat=(1 << depth) - 1):
        places = np.zeros(1, dtype=int)
        flips = iter(bits)
        for _ in range(depth):
            crossed = np.array([next(flips) for _ in places])
            places = np.stack([2 * places + crossed, 2 * places + 1 - crossed], axis=1).reshape(-1)
        found.append(places)
    return found


def log_likelihood(counts: np.ndarray, known: np.ndarray, places: np.ndarray) -> float:
    """Return how likely counts are on a layout, by the shares of children with half a row more for each."""
    total, depth = 0.0, len(counts).bit_length() - 1
    for level in range(1, depth + 1):
        there = known.reshape(1 << level, -1).sum(axis=1) + 0.5
        log_share = np.log(there / there.reshape(-1, 2).sum(axis=1).repeat(2))
        nodes = places >> (depth - level)
        total += (counts * log_share[nodes]).sum()
    return float(total)


def test_layout_is_the_likeliest_of_all() -> None:
    """The passes up and down find what a search through all 128 layouts of three levels finds."""
    rng = np.random.default_rng(0)
    every = layouts(3)
    for _ in range(40):
        counts, known = rng.poisson(4, 8), rng.poisson(3, 8)
        score, places = _most_likely(counts, known)
        assert score == pytest.approx(max(log_likelihood(counts, known, one) for one in every))
        assert log_likelihood(counts, known, places) == pytest.approx(score)
        assert any((places == one).all() for one in every)


def test_distinct_frequencies_give_every_leaf_away() -> None:
    """Where children differ in frequency and the attacker knows it, all leaves are named, whatever the Key."""
    leaves = np.repeat(np.arange(8), [3, 30, 9, 50, 1, 17, 70, 25])[:, None]
    for seed in range(3):
        result = path_matching(paths_of(leaves, 3, seed), leaves, leaves)
        assert result.recovered == (1.0,)
        assert result.error == (0.0,)


def test_equal_frequencies_give_nothing_away() -> None:
    """On a comb of equally frequent leaves every layout is as likely, and the attack no better than chance."""
    leaves = np.tile(np.arange(16), 20)[:, None]
    rng = np.random.default_rng(0)
    recovered = []
    for seed in range(200):
        rows = rng.permutation(leaves)
        recovered.append(path_matching(paths_of(rows, 4, seed), leaves, rows).recovered[0])
    assert np.mean(recovered) == pytest.approx(1 / 16, abs=0.03)


def test_missing_values_are_recognized() -> None:
    """The path of missing values is told from leaves by its frequency, or by being a third child."""
    leaves = np.repeat(np.arange(5), [40, 30, 20, 50, 13])[:, None]
    assert path_matching(paths_of(leaves, 2, 0), leaves, leaves).recovered == (1.0,)
    two = np.repeat([2, 3, 4], [90, 60, 40])[:, None]  # one half of the comb is empty
    assert path_matching(paths_of(two, 2, 1), two, two).recovered == (1.0,)
    only = np.full((5, 1), 4)
    assert path_matching(paths_of(only, 2, 1), only, only).recovered == (1.0,)


def test_paths_of_the_codec_tell_more_than_leaves(key: Key) -> None:
    """On a skewed feature, paths name nearly every place well where leaf tokens do not."""
    rng = np.random.default_rng(0)
    rows, other = rng.gamma(2.0, 1.0, (400, 3)), rng.gamma(2.0, 1.0, (400, 3))
    spec = Spec(features=tuple(Uniform(name=f"x{j}", lo=0.0, hi=8.0) for j in range(3)), depth=6, tokens="comb")
    tokens = np.asarray(HashComb(spec, key).encode(rows))
    known, true = place(other, spec), place(rows, spec)
    by_path = path_matching(tokens, known, true)
    by_leaf = frequency_matching(tokens[:, :, -1], known, true, n_leaves=64)
    assert np.mean(by_path.error) < 0.1 * np.mean(by_path.spread)
    assert np.mean(by_path.error) < 0.5 * np.mean(by_leaf.error)
    assert np.mean(by_path.recovered) > np.mean(by_leaf.recovered)


def test_what_is_no_path_is_refused() -> None:
    """Three children, a token below two parents, tokens of another shape and too many levels are no paths."""
    leaves = np.arange(4)[:, None]
    good = paths_of(leaves, 2, 0)
    three = good.copy()
    three[:, 0, 0] = [1, 2, 3, 4]
    torn = good.copy()
    torn[:, 0, 1] = 7
    for bad in (three, torn, good[:, :, 0], good[:2]):
        with pytest.raises(DataError):
            path_matching(bad, leaves, leaves)
    deep = np.zeros((4, 1, MAX_LEVELS + 1), dtype=int)
    with pytest.raises(DataError, match="too many levels"):
        path_matching(deep, leaves, leaves)
