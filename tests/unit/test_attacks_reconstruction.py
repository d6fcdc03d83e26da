"""Rows are rebuilt where tokens tell them, and guessed where they do not."""

import numpy as np
import pytest

from hashcomb import Categorical, ChannelSpec, HashComb, Key, RandomizedResponse, Spec, Uniform, place
from hashcomb.attacks import reconstruct_rows
from hashcomb.attacks.reconstruction import _Book
from hashcomb.attacks.scheme import Scheme
from hashcomb.errors import DataError

SHARES = (0.55, 0.27, 0.13, 0.05)
CENTERS = np.array([0.5, 1.5, 2.5, 3.5])


def spec_of(n_features: int, epsilon: float | None = None, **rules: object) -> Spec:
    """Return four leaves a feature."""
    features = tuple(Uniform(name=f"x{j}", lo=0.0, hi=4.0) for j in range(n_features))
    channel = None
    if epsilon is not None:
        channel = ChannelSpec(kind="randomized_response", params={"epsilon": epsilon, "depth": 2.0})
    return Spec(**{"features": features, "depth": 2, "channel": channel, **rules})  # type: ignore[arg-type]


def rows_of(n_rows: int, n_features: int, seed: int) -> np.ndarray:
    """Return independent columns of centers of leaves, whose frequencies differ."""
    return 0.5 + np.random.default_rng(seed).choice(4, (n_rows, n_features), p=SHARES)


@pytest.mark.parametrize("tokens", ["leaf", "comb"])
def test_distinct_frequencies_rebuild_every_row(tokens: str, key: Key) -> None:
    """Independent columns whose leaves differ in frequency: all values are exact, all rows but copies recognized."""
    rows, spec = rows_of(3000, 4, 0), spec_of(4, tokens=tokens)
    result = reconstruct_rows(HashComb(spec, key).encode(rows), rows_of(3000, 4, 1), rows, spec)
    assert result.error == pytest.approx([0.0] * 4, abs=1e-9)
    assert (result.whole, result.named_median, result.named_best_tenth) == (1.0, 1.0, 1.0)
    assert result.recognized == pytest.approx(len(np.unique(rows, axis=0)) / 3000)
    assert result.whole_guessed == pytest.approx((rows == 0.5).all(axis=1).mean())
    shares = np.sort((rows == 0.5).mean(axis=1))
    assert (result.named_median_guessed, result.named_best_tenth_guessed) == (shares[1499], shares[2699])
    assert result.recognized_guessed == 1 / result.n_rows == 1 / 3000


@pytest.mark.filterwarnings("ignore::hashcomb.errors.InsecureRandomWarning")
def test_noise_that_tells_nothing_leaves_guessing(key: Key) -> None:
    """At an epsilon near 0 every value becomes the mean, every leaf the most frequent one, and no row is recognized."""
    rows, spec = rows_of(1000, 8, 0), spec_of(8, 0.001)
    result = reconstruct_rows(HashComb(spec, key).encode(rows, seed=1), rows_of(1000, 8, 1), rows, spec, seed=2)
    assert result.error == pytest.approx([1.0] * 8, abs=0.01)
    assert result.whole == result.whole_guessed
    assert result.recognized < 0.02


@pytest.mark.filterwarnings("ignore::hashcomb.errors.InsecureRandomWarning")
def test_a_column_that_escapes_the_noise_is_seen(key: Key) -> None:
    """A planted defect: where one column is not randomized, its values come out far nearer than epsilon 1 allows."""
    rows, known, spec = rows_of(3000, 3, 0), rows_of(3000, 3, 1), spec_of(3, 1.0)
    codec = HashComb(spec, key)
    tokens = codec.encode(rows, seed=1)
    honest = reconstruct_rows(tokens, known, rows, spec, seed=2).error
    tokens[:, 1] = codec.encode_clean(rows)[:, 1]
    leaky = reconstruct_rows(tokens, known, rows, spec, seed=2).error
    assert min(honest) > 0.85
    assert leaky[1] < 0.65
    assert (leaky[0], leaky[2]) == pytest.approx((honest[0], honest[2]), abs=1e-9)


def test_values_behind_a_report_are_those_of_bayes() -> None:
    """Mean and likeliest leaf behind each report agree with the sum over all auxiliary rows, one by one."""
    spec, rng = spec_of(1, 1.0), np.random.default_rng(0)
    known = rng.uniform(0, 4, (50, 1)) ** 2 / 4
    scheme, leaves = Scheme(spec, 0), place(known, spec)
    book = _Book.of(scheme, 0, known[:, 0], leaves[:, 0], CENTERS)
    law = RandomizedResponse(1.0, 4, depth="leaf").matrix()
    for report in range(4):
        weights = [law[leaf, report] for leaf in leaves[:, 0]]
        mean = sum(w * x for w, x in zip(weights, known[:, 0], strict=True)) / sum(weights)
        behind = [sum(w for w, leaf in zip(weights, leaves[:, 0], strict=True) if leaf == one) for one in range(4)]
        assert book.value[report] == pytest.approx(mean, rel=1e-3)  # the centers count for a little
        assert book.node[report] == np.argmax(behind)


def test_a_leaf_that_the_sample_has_not_met_is_placed_at_its_center() -> None:
    """Where no auxiliary row is in a leaf, the attacker takes the middle of its edges."""
    spec = spec_of(1)
    known = np.array([[0.1], [0.3], [1.2]])
    book = _Book.of(Scheme(spec, 0), 0, known[:, 0], place(known, spec)[:, 0], CENTERS)
    assert book.value[:4] == pytest.approx([0.2, 1.2, 2.5, 3.5], abs=0.01)
    assert book.node[:4].tolist() == [0, 1, 2, 3]


def test_rows_that_are_equal_are_recognized_by_chance_alone(key: Key) -> None:
    """Of copies one is chosen at random; a feature that does not vary tells nothing."""
    rows, spec = np.full((20, 2), 1.5), spec_of(2)
    result = reconstruct_rows(HashComb(spec, key).encode(rows), rows, rows, spec)
    assert result.recognized == pytest.approx(1 / 20)
    assert result.error == (1.0, 1.0)


def test_labels_help(key: Key) -> None:
    """Two leaves of equal frequency are told apart by a label that goes with them, and with nothing else."""
    y, known_y = np.arange(400) % 2, np.arange(300) % 2
    rows, known = 0.5 + y[:, None], 0.5 + known_y[:, None]
    tokens = HashComb(spec_of(1), key).encode(rows)
    result = reconstruct_rows(tokens, known, rows, spec_of(1), labels=y, auxiliary_labels=known_y)
    assert result.whole == 1.0
    swapped = reconstruct_rows(tokens, known, rows, spec_of(1), labels=1 - y, auxiliary_labels=known_y)
    assert swapped.whole == 0.0


def test_what_cannot_be_rebuilt_is_refused(key: Key) -> None:
    """Categories, other shapes, missing values, too many rows, and channels that are too large."""
    rows, spec = rows_of(10, 2, 0), spec_of(2)
    tokens = HashComb(spec, key).encode(rows)
    missing = np.where(np.arange(20).reshape(10, 2) == 3, np.nan, rows)
    for arguments in (
        (tokens[:5], rows, rows),
        (tokens, rows[:, :1], rows),
        (tokens, rows[:0], rows),
        (tokens, missing, rows),
        (tokens, rows, missing),
    ):
        with pytest.raises(DataError):
            reconstruct_rows(*arguments, spec)
    many = np.zeros((8193, 2))
    with pytest.raises(DataError, match="too many rows"):
        reconstruct_rows(many, rows, many, spec)
    named = Spec(features=(Categorical(name="c", categories=("a", "b")),), depth=1)
    with pytest.raises(DataError, match="categories"):
        reconstruct_rows(tokens[:, :1], rows[:, :1], rows[:, :1], named)
    deep = spec_of(1, 1.0, depth=11)
    with pytest.raises(DataError, match="symbols"):
        reconstruct_rows(np.zeros((10, 1)), rows[:, :1], rows[:, :1], deep)
