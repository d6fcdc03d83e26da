"""Learning a Spec from data."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hashcomb import Categorical, Quantile, Spec, Uniform, learn_spec, place
from hashcomb.errors import DataDependentSpecWarning, DataError, SpecError

Learn = Callable[..., Spec]


def test_learning_warns(table: np.ndarray) -> None:
    """Every learned Spec tells of the data it was learned from, and says so."""
    with pytest.warns(DataDependentSpecWarning, match="hashcomb.mpc"):
        learn_spec(table)


def test_quantile_and_uniform(learn: Learn, table: np.ndarray) -> None:
    """Ranges are those of the data; a constant feature gets a comb by quantiles in either case."""
    by_mass, by_width = learn(table), learn(table, edges="uniform")
    assert all(isinstance(feature, Quantile) for feature in by_mass.features)
    assert [type(feature) for feature in by_width.features] == [Uniform] * 4 + [Quantile]
    for feature, column in zip(by_width.features, table.T, strict=True):
        assert not isinstance(feature, Categorical)
        assert (feature.lo, feature.hi) == (column.min(), column.max())


def test_margin_enlarges_ranges(learn: Learn) -> None:
    """A margin is a part of the width, on both sides."""
    feature = learn(np.array([[0.0], [10.0]]), edges="uniform", margin=0.1).features[0]
    assert not isinstance(feature, Categorical)
    assert (feature.lo, feature.hi) == (-1.0, 11.0)


def test_names(learn: Learn) -> None:
    """Names come from the frame, from the caller, or are x0, x1, ..."""
    rows = np.random.default_rng(0).random((9, 2))
    assert learn(rows).names == ("x0", "x1")
    assert learn(rows, names=["u", "v"]).names == ("u", "v")
    assert learn(pd.DataFrame(rows, columns=["p", "q"])).names == ("p", "q")


def test_categories_are_learned_or_given(learn: Learn) -> None:
    """Learned categories are sorted; given ones are taken as they are."""
    frame = pd.DataFrame({"c": ["b", "a", None, "b"], "k": [2.0, 1.0, np.nan, 2.0]})
    learned = learn(frame, categorical=["c", "k"], missing="token")
    assert [f.categories for f in learned.features if isinstance(f, Categorical)] == [("a", "b"), (1, 2)]
    given = learn(frame, categorical={"c": ["z", "b", "a"], "k": [1, 2, 3]}, missing="token")
    assert [f.categories for f in given.features if isinstance(f, Categorical)] == [("z", "b", "a"), (1, 2, 3)]


def test_means_are_those_of_the_leaves(learn: Learn, table: np.ndarray) -> None:
    """The mean of a leaf is that of its rows; an empty leaf keeps its center."""
    spec = learn(table, means=True)
    leaves, feature = place(table, spec), spec.features[2]
    assert not isinstance(feature, Categorical)
    assert feature.means is not None
    for leaf in np.unique(leaves[:, 2]):
        assert feature.means[leaf] == pytest.approx(table[leaves[:, 2] == leaf, 2].mean())
    assert len(feature.means) == 16


def test_means_stay_in_their_leaves(learn: Learn) -> None:
    """A mean of equal decimals, rounded, does not fall into the leaf before; sums of huge numbers do not overflow."""
    column = np.repeat([0.1, 0.2, 0.3, 0.7, 1.7e308, -1.7e308], [10, 10, 10, 7, 3, 3])[:, None]
    for rows in (column[:37], column):
        spec = learn(rows, means=True, depth=3)
        feature = spec.features[0]
        assert not isinstance(feature, Categorical)
        means = np.array(feature.means)
        used = np.unique(place(rows, spec))
        assert place(means[used][:, None], spec).ravel().tolist() == used.tolist()


def test_missing_values_are_left_out(learn: Learn) -> None:
    """NaN takes no part in ranges and edges."""
    feature = learn(np.array([[np.nan], [1.0], [3.0]]), missing="token").features[0]
    assert not isinstance(feature, Categorical)
    assert (feature.lo, feature.hi) == (1.0, 3.0)


BAD: list[tuple[Any, dict[str, Any], type[Exception]]] = [
    (np.zeros((0, 2)), {}, DataError),
    (np.zeros((2, 0)), {}, DataError),
    (np.array([[np.nan], [np.nan]]), {}, DataError),
    (np.array([[np.inf], [0.0]]), {}, DataError),
    (np.array([["x"], ["y"]]), {}, DataError),
    (np.zeros((2, 2)), {"names": ["a"]}, DataError),
    (np.zeros((2, 2)), {"names": ["a", "a"]}, SpecError),
    (np.zeros((2, 2)), {"categorical": ["c"]}, DataError),
    (pd.DataFrame({"c": ["a", 1]}), {"categorical": ["c"]}, DataError),
    (np.arange(40.0)[:, None], {"categorical": ["x0"]}, SpecError),
    (np.zeros((2, 2)), {"edges": "log"}, SpecError),
    (np.zeros((2, 2)), {"margin": -1.0}, SpecError),
    (np.zeros((2, 2)), {"depth": 0}, SpecError),
    (np.zeros((2, 2)), {"depth": 60}, SpecError),  # before there are as many edges
    (pd.DataFrame({"c": [["a"], ["b"]]}), {"categorical": ["c"]}, DataError),
    (np.array([[1.0], [np.nextafter(1.0, 2.0)]]), {"edges": "uniform"}, SpecError),
]


@pytest.mark.parametrize(("rows", "options", "error"), BAD, ids=range(len(BAD)))
def test_what_cannot_be_learned_from(learn: Learn, rows: Any, options: dict[str, Any], error: type[Exception]) -> None:
    """Bad data and bad parameters are typed errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        with pytest.raises(error):
            learn(rows, **options)
