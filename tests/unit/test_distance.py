"""Distances in the comb are their definition, a metric, and make positive semi-definite kernels."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashcomb import HashComb, Key, Spec
from hashcomb.distance import comb_distance, comb_kernel
from hashcomb.errors import DataError, FingerprintError, SpecError

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered in scalar multiply:RuntimeWarning")
Learn = Callable[..., Spec]


def by_definition(A: Any, B: Any, weights: Any = None) -> np.ndarray:
    """Return the share of the levels, by weight, at or below the first one where two paths differ."""
    A, B = np.asarray(A), np.asarray(B)
    weights = np.ones(A.shape[2]) if weights is None else np.asarray(weights)
    parted = np.logical_or.accumulate(A[:, None] != B[None], axis=3)
    return np.asarray((parted * (weights / weights.sum())).sum(axis=3).mean(axis=2))


def smallest_eigenvalue(gram: np.ndarray) -> float:
    """Return the smallest eigenvalue of a symmetric matrix."""
    return float(np.linalg.eigvalsh((gram + gram.T) / 2).min())


@pytest.fixture
def paths(learn: Learn, table: np.ndarray, key: Key) -> Callable[..., Any]:
    """Return a function that encodes the table, with some values missing, to paths."""

    def encode(depth: int, **options: Any) -> Any:
        rows = table[:60].copy()
        rows[np.random.default_rng(0).random(rows.shape) < 0.1] = np.nan
        return HashComb(learn(rows, depth=depth, tokens="comb", missing="token", **options), key).encode(rows)

    return encode


@pytest.mark.parametrize("depth", [1, 2, 4, 9])
@pytest.mark.parametrize("scheme", ["equal", "halving", "some", "none at the end"])
def test_distance_is_its_definition(paths: Callable[..., Any], depth: int, scheme: str) -> None:
    """On tokens with ties and missing values, for equal, unequal and vanishing weights, within and between tables."""
    tokens = paths(depth)
    weights = {
        "equal": None,
        "halving": 0.5 ** np.arange(depth),
        "some": np.arange(depth) // 2 + 1,
        "none at the end": [1.0] + [0.0] * (depth - 1),
    }[scheme]
    expected = by_definition(tokens[:25], tokens[25:], weights)
    assert np.abs(comb_distance(tokens[:25], tokens[25:], weights=weights) - expected).max() < 1e-12
    assert np.abs(comb_distance(tokens, weights=weights) - by_definition(tokens, tokens, weights)).max() < 1e-12


def test_small_case_by_hand() -> None:
    """Equal leaves are at 0, siblings at one level of two, others at 1, and features are averaged."""
    rows = np.array([[[1, 10], [5, 50]], [[1, 11], [5, 50]], [[2, 20], [6, 60]]])
    assert comb_distance(rows).tolist() == [[0, 0.25, 1], [0.25, 0, 1], [1, 1, 0]]
    assert comb_distance(rows, weights=[3, 1])[0].tolist() == [0, 0.125, 1]


def test_tokens_of_one_level_are_at_hamming_distance() -> None:
    """Of tokens without levels, the distance is the share of features that differ."""
    rows = np.random.default_rng(0).integers(0, 4, (40, 7))
    expected = (rows[:, None] != rows[None]).mean(axis=2)
    assert np.abs(comb_distance(rows) - expected).max() < 1e-12
    assert (comb_distance(rows) == comb_distance(rows[:, :, None])).all()


ROWS = st.integers(1, 4).flatmap(
    lambda depth: st.lists(
        st.lists(st.lists(st.integers(0, 2), min_size=depth, max_size=depth), min_size=2, max_size=2),
        min_size=3,
        max_size=8,
    )
)


@given(ROWS)
def test_distance_is_a_metric_and_an_ultrametric_in_each_feature(rows: list[Any]) -> None:
    """On any tokens: symmetric, 0 only between equal rows, at most 1, and the two inequalities hold."""
    tokens = np.array(rows, dtype=np.uint64)
    distances = comb_distance(tokens)
    assert (distances == distances.T).all()
    assert ((distances == 0) == (tokens[:, None] == tokens[None]).all(axis=(2, 3))).all()
    assert distances.max() <= 1
    detour = distances[:, :, None] + distances[None, :, :]
    assert (distances[:, None, :] <= detour + 1e-12).all()
    for feature in range(2):
        one = comb_distance(tokens[:, [feature]])
        assert (one[:, None, :] <= np.maximum(one[:, :, None], one[None, :, :])).all()


def test_nodes_may_have_many_children() -> None:
    """Trees that are not binary, and that need more places than a comb's, have the distance of the definition."""
    tokens = np.random.default_rng(1).integers(0, 40, (200, 3, 3))
    for weights in (None, [1, 2, 3]):
        expected = by_definition(tokens, tokens[:50], weights)
        assert np.abs(comb_distance(tokens, tokens[:50], weights=weights) - expected).max() < 1e-12


def test_tokens_that_are_no_paths_are_refused() -> None:
    """Where the numbers of children do not fit into a code, the error says what to pass instead."""
    tokens = np.random.default_rng(2).integers(0, 1000, (300, 1, 20))
    tokens[:, 0, :-1] = np.where(np.arange(19) == np.arange(300)[:, None] % 19, tokens[:, 0, :-1], 0)
    with pytest.raises(DataError, match="no paths"):
        comb_distance(tokens)


def test_threads_change_no_byte(paths: Callable[..., Any]) -> None:
    """One thread and four give the same distances."""
    tokens = np.concatenate([paths(4)] * 5)
    one, four = (comb_distance(tokens, tokens[::2], n_threads=n) for n in (1, 4))
    assert one.tobytes() == four.tobytes()


def test_paths_side_by_side_are_told_by_their_header(paths: Callable[..., Any]) -> None:
    """A flat TokenArray and a data frame with a header are read as paths; without one, as tokens of one level."""
    tokens = paths(3)
    flat = tokens.reshape(len(tokens), -1)
    frame = pd.DataFrame(np.asarray(flat))
    assert (comb_distance(frame) == comb_distance(np.asarray(flat))).all()
    frame.attrs["hashcomb"] = tokens.header.to_json()
    expected = comb_distance(tokens)
    assert (comb_distance(flat) == expected).all()
    assert (comb_distance(frame, tokens) == expected).all()


def test_tokens_of_another_key_are_refused(learn: Learn, table: np.ndarray) -> None:
    """Tables under different Keys have no token in common, so their distance would be 1 everywhere."""
    spec = learn(table, tokens="comb")
    one, other = (HashComb(spec, Key.create()).encode(table[:5]) for _ in range(2))
    with pytest.raises(FingerprintError, match="another Key"):
        comb_distance(one, other)


def test_columns_of_frames_are_found_by_name(learn: Learn, table: np.ndarray, key: Key) -> None:
    """With a header, whatever stands beside the tokens or in what order; without one, other columns are refused."""
    names = ["a", "b", "c"]
    rows = pd.DataFrame(table[:20, :3], columns=names)
    for rules in ({}, {"tokens": "comb"}):
        tokens = HashComb(learn(rows, **rules), key).encode(rows)
        turned = tokens[tokens.columns[::-1]].assign(label=np.arange(20, dtype=np.uint64))
        assert (comb_distance(turned, tokens) == comb_distance(tokens)).all()
        bare = pl.from_pandas(tokens)
        with pytest.raises(DataError, match="order"):
            comb_distance(bare, bare.select(bare.columns[::-1]))


GOOD = np.zeros((3, 2, 2), dtype=np.uint64)
BAD: list[tuple[tuple[Any, ...], dict[str, Any], type[Exception]]] = [
    ((np.zeros((0, 2, 2), dtype=int),), {}, DataError),
    ((np.zeros(3, dtype=int),), {}, DataError),
    ((np.zeros((3, 2)),), {}, DataError),
    ((GOOD, np.zeros((3, 1, 2), dtype=int)), {}, DataError),
    ((GOOD, np.zeros((0, 2, 2), dtype=int)), {}, DataError),
    ((GOOD,), {"weights": [1.0]}, SpecError),
    ((GOOD,), {"weights": [1.0, -1.0]}, SpecError),
    ((GOOD,), {"weights": [0.0, 0.0]}, SpecError),
    ((GOOD,), {"weights": [1.0, np.inf]}, SpecError),
]


@pytest.mark.parametrize(("tables", "options", "error"), BAD, ids=range(len(BAD)))
def test_bad_input(tables: tuple[Any, ...], options: dict[str, Any], error: type[Exception]) -> None:
    """Shapes that do not fit, floats, empty tables and weights that cannot be are typed errors."""
    with pytest.raises(error):
        comb_distance(*tables, **options)


@pytest.mark.parametrize("gamma", [-1.0, np.nan, np.inf, "scale"])
def test_bad_gamma(gamma: Any) -> None:
    """A gamma that makes no kernel is refused."""
    with pytest.raises(SpecError, match="gamma"):
        comb_kernel(GOOD, gamma=gamma)


# ---------------------------------------------------------------------- the kernel
def tables_for_kernels() -> list[np.ndarray]:
    """Return random paths, tokens that make no tree, rows that are all equal or all different, and one row."""
    rng = np.random.default_rng(3)
    leaves = rng.integers(0, 16, (60, 5))
    binary = leaves[:, :, None] >> np.arange(3, -1, -1)
    return [
        binary,
        rng.integers(0, 3, (60, 4, 3)),
        rng.integers(0, 2, (60, 1, 6)),
        np.zeros((20, 2, 2), dtype=int),
        np.arange(120).reshape(30, 2, 2),
        np.ones((1, 1, 1), dtype=int),
    ]


@pytest.mark.parametrize("gamma", [None, 0.0, 0.1, 3.0, 50.0])
@pytest.mark.parametrize("tokens", tables_for_kernels(), ids=range(6))
def test_kernel_is_positive_semi_definite(tokens: np.ndarray, gamma: float | None) -> None:
    """No eigenvalue is below 0 by more than rounding, also with weights that are not equal."""
    for weights in (None, 0.5 ** np.arange(tokens.shape[2])):
        gram = comb_kernel(tokens, gamma=gamma, weights=weights)
        assert smallest_eigenvalue(gram) > -1e-12 * len(gram)
        assert (np.diag(gram) == 1).all()


@pytest.mark.parametrize("planted", [lambda d: 1.0 * (d < 0.5), lambda d: 1 - d**4, lambda d: np.exp(3 * d)])
def test_kernels_that_are_none_are_caught(planted: Callable[[np.ndarray], np.ndarray]) -> None:
    """The test of eigenvalues finds similarities that fall with the distance, or rise, and are no kernels."""
    assert any(smallest_eigenvalue(planted(comb_distance(tokens))) < -0.01 for tokens in tables_for_kernels())


def test_kernel_is_the_product_of_one_hot_columns(paths: Callable[..., Any]) -> None:
    """Without gamma, the kernel counts the nodes that two rows share; with it, it is a function of the distance."""
    tokens = np.asarray(paths(3)).reshape(60, -1)
    columns = np.concatenate([column[:, None] == np.unique(column) for column in tokens.T], axis=1).astype(float)
    expected = columns @ columns.T / tokens.shape[1]
    gram = comb_kernel(paths(3))
    assert np.abs(gram - expected).max() < 1e-12
    assert np.abs(comb_kernel(paths(3), gamma=2.0) - np.exp(-2 * (1 - expected))).max() < 1e-12
