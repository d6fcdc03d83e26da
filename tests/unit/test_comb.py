"""Combs: edges, leaves, nodes and representatives."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hashcomb import Categorical, Comb, Quantile, Spec, Uniform, quantile_edges
from hashcomb.comb import Representative
from hashcomb.errors import DataError, SpecError

Learn = Callable[..., Spec]


def comb_of(*features: Uniform | Quantile | Categorical, depth: int = 2, **rules: str) -> Comb:
    """Return the combs of a few features."""
    return Comb(Spec(features=features, depth=depth, **rules))  # type: ignore[arg-type]


A = Uniform(name="a", lo=0.0, hi=8.0)
Q = Quantile(name="q", lo=0.0, hi=10.0, edges=(1.0, 1.0, 4.0))
C = Categorical(name="c", categories=("x", "y", "z"))


def test_an_edge_belongs_to_the_leaf_on_its_right() -> None:
    """Leaf = number of edges <= x; the upper end falls in the last leaf."""
    values = np.array([[0.0, 0.0], [1.999, 0.999], [2.0, 1.0], [8.0, 4.0], [7.9, 10.0]])
    assert comb_of(A, Q).leaves(values).tolist() == [[0, 0], [0, 0], [1, 2], [3, 3], [3, 3]]


def test_values_outside_are_clipped() -> None:
    """Below the range is its lower end, above is its upper end, infinities too."""
    values = np.array([[-1.0, -1.0], [-np.inf, -np.inf], [9.0, 11.0], [np.inf, np.inf]])
    assert comb_of(A, Q).leaves(values).tolist() == [[0, 0], [0, 0], [3, 3], [3, 3]]


def test_clipping_to_a_range_whose_end_is_an_edge() -> None:
    """Where an edge stands at the lower end, no value lies below it, clipped ones neither."""
    comb = comb_of(Quantile(name="q", lo=3.0, hi=3.0, edges=(3.0, 3.0, 3.0)))
    assert comb.leaves(np.array([[2.0], [3.0], [4.0], [-np.inf]])).ravel().tolist() == [3, 3, 3, 3]


def test_missing_values_have_a_leaf_of_their_own() -> None:
    """NaN gets leaf 2**depth, by formula and by edges."""
    assert comb_of(A).leaves(np.array([[np.nan]])).tolist() == [[4]]
    assert comb_of(A, Q).leaves(np.array([[np.nan, np.nan]])).tolist() == [[4, 4]]


def test_lookup_counts_what_is_refused() -> None:
    """Missing values are counted by feature; with outside='error' values outside as well, infinities among them."""
    values = np.array([[np.nan, -1.0], [9.0, np.nan], [np.inf, 1.0]])
    for rule, expected in (("clip", [1, 1]), ("error", [3, 2])):
        comb = comb_of(A, Q, outside=rule)
        assert comb.lookup(values, comb.leaf_numbers, np.empty(values.shape, dtype=np.int32)).tolist() == expected


def test_formula_and_its_edges_are_one_comb() -> None:
    """A uniform feature has the same leaves beside a quantile feature, where its edges are searched."""
    rng = np.random.default_rng(3)
    odd = Uniform(name="a", lo=-0.1, hi=0.7)
    edges = comb_of(odd, depth=6).edges[0]
    near = np.concatenate([edges, np.nextafter(edges, -1), np.nextafter(edges, 1), rng.uniform(-0.2, 0.8, 10_000)])
    other = Quantile(name="q", lo=0.0, hi=1.0, edges=(0.5,) * 63)
    alone = comb_of(odd, depth=6).leaves(near[:, None])[:, 0]
    beside = comb_of(odd, other, depth=6).leaves(np.column_stack([near, near]))[:, 0]
    assert (alone == beside).all()


def test_uniform_edges_are_where_the_formula_changes() -> None:
    """Each edge is the least double of its leaf, also close to zero in a range that has zero inside."""
    for lo, hi in ((-1.0, 1.0), (0.0, 1.0), (1e300, 2e300), (-5e-300, 7e-300), (1.0, 1.0 + 2**-40)):
        comb = comb_of(Uniform(name="a", lo=lo, hi=hi), depth=5)
        edges = comb.edges[0]
        assert (comb.leaves(edges[:, None])[:, 0] == np.arange(1, 32)).all()
        assert (comb.leaves(np.nextafter(edges, -np.inf)[:, None])[:, 0] == np.arange(31)).all()


def test_representatives() -> None:
    """Center, agreed mean and rank of every leaf; NaN for missing values."""
    means = Quantile(name="m", lo=0.0, hi=10.0, edges=(1.0, 1.0, 4.0), means=(0.5, 1.0, 2.0, 7.0))
    comb = comb_of(means)
    expected: dict[Representative, list[float]] = {
        "center": [0.5, 1.0, 2.5, 7.0],
        "mean": [0.5, 1.0, 2.0, 7.0],
        "rank": [0, 1 / 3, 2 / 3, 1],
    }
    for kind, row in expected.items():
        values = comb.representatives(kind)[0]
        assert values[:-1].tolist() == row
        assert np.isnan(values[-1])


def test_representatives_of_a_level() -> None:
    """A node's center is that of the span of its leaves."""
    assert comb_of(A).representatives("center", 1)[0, :-1].tolist() == [2.0, 6.0]
    assert comb_of(A).representatives("rank", 1)[0, :-1].tolist() == [0.0, 1.0]


def test_means_that_nobody_agreed_on() -> None:
    """Asking for means that a Spec lacks is an error that names the feature."""
    with pytest.raises(SpecError, match="'a'"):
        comb_of(A).representatives("mean")


def test_a_center_lies_in_its_own_leaf() -> None:
    """Also between two adjacent doubles, and where the sum of the ends overflows."""
    low = 1.0
    tight = Quantile(name="t", lo=low, hi=2.0, edges=(np.nextafter(low, 2), 1.5, 1.75))
    wide = Quantile(name="w", lo=-1.7e308, hi=1.7e308, edges=(-1e308, 0.0, 1.6e308))
    comb = comb_of(tight, wide)
    centers = comb.representatives("center")[:, :-1].T
    assert (comb.leaves(np.ascontiguousarray(centers)) == np.arange(4)[:, None]).all()


def test_categories_are_leaves_in_the_order_of_the_list() -> None:
    """Codes 0, 1, 2 and one for unknown categories are leaves 0 to 3, also beside quantile features."""
    codes = np.array([[0.0], [1.0], [2.0], [3.0]])
    assert comb_of(C, unknown="token").leaves(codes).ravel().tolist() == [0, 1, 2, 3]
    both = comb_of(C, Q, unknown="token").leaves(np.column_stack([codes, codes]))
    assert both[:, 0].tolist() == [0, 1, 2, 3]


def test_tables_that_would_not_fit_are_refused() -> None:
    """Many features at great depth end in SpecError, not in a failed allocation or an overflow."""
    features = tuple(Uniform(name=f"f{j}", lo=0.0, hi=1.0) for j in range(600))
    with pytest.raises(SpecError, match="depth"):
        Comb(Spec(features=features, depth=20))


# ---------------------------------------------------------------------- edges from data
def test_equal_mass_without_ties() -> None:
    """Distinct values are cut into leaves of equal size."""
    values = np.random.default_rng(4).permutation(1600).astype(float)
    edges = quantile_edges(values, 16)
    assert np.bincount(np.searchsorted(edges, values, side="right")).tolist() == [100] * 16


@pytest.mark.parametrize("n_distinct", [1, 2, 3, 15, 16])
def test_few_distinct_values_get_a_leaf_each(n_distinct: int) -> None:
    """A feature with at most 2**depth distinct values gets one leaf a value, however unequal their numbers."""
    values = np.repeat(np.arange(n_distinct), 3 ** np.arange(n_distinct) % 1000 + 1).astype(float)
    leaves = np.searchsorted(quantile_edges(values, 16), values, side="right")
    assert len({(v, leaf) for v, leaf in zip(values, leaves, strict=True)}) == n_distinct
    assert len(set(leaves.tolist())) == n_distinct


def test_a_heavy_value_frees_leaves_for_the_rest() -> None:
    """With four fifths zeros, the tail gets fifteen leaves instead of three, none with more than a tenth of it."""
    rng = np.random.default_rng(5)
    values = np.concatenate([np.zeros(8000), rng.permutation(1500).astype(float) + 1])
    leaves = np.searchsorted(quantile_edges(values, 16), values, side="right")
    zeros, *tail = np.bincount(leaves, minlength=16).tolist()
    assert zeros == 8000
    assert len(tail) == 15
    assert max(tail) <= 150


def test_leaves_in_use_lie_evenly() -> None:
    """Three values use the first, the middle and the last leaf, so that coarse nodes tell them apart."""
    edges = quantile_edges([1.0, 2.0, 3.0], 16)
    assert np.searchsorted(edges, [1.0, 2.0, 3.0], side="right").tolist() == [0, 8, 15]


def test_edges_of_what_a_spec_refuses_are_never_made(learn: Learn, table: NDArray[np.float64]) -> None:
    """Learned edges always make a valid Spec, constants and ties included."""
    for depth in (1, 2, 8, 12):
        assert learn(table, depth=depth).depth == depth


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [1.0, float("inf")], [[1.0]]])
def test_quantiles_of_what_has_none(values: Any) -> None:
    """No values, and values that are not finite, are refused rather than looped over."""
    with pytest.raises(DataError):
        quantile_edges(values, 4)


def test_arrays_of_another_shape_are_refused() -> None:
    """Placing never takes one feature's values for another's, and never fills a copy."""
    comb = Comb(Spec(features=tuple(Uniform(name=n, lo=0.0, hi=1.0) for n in "abc"), depth=2))
    wide = np.zeros((2, 3))
    for values, out in (
        (np.zeros((3, 2)), None),
        (np.zeros(3), None),
        (np.asfortranarray(wide), None),
        (wide, np.zeros((3, 2), np.int32)),
        (wide, np.asfortranarray(np.zeros((2, 3), np.int32))),
    ):
        with pytest.raises(DataError):
            comb.leaves(values, out)
    for options in ({"kind": "median"}, {"level": 0}, {"level": 3}):
        with pytest.raises(SpecError):
            comb.representatives(**options)
