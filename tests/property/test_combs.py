"""Leaves are exact and the same for every way to compute them."""

from collections.abc import Callable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hashcomb import Comb, Quantile, Spec, Uniform, quantile_edges

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
depths = st.integers(1, 6)


@st.composite
def uniform_specs(draw: st.DrawFn) -> Spec:
    """Draw a uniform comb over any range that a Spec accepts."""
    lo = draw(st.floats(-1e6, 1e6))
    width = draw(st.floats(1e-6, 1e9))
    return Spec(features=(Uniform(name="a", lo=lo, hi=lo + width),), depth=draw(depths))


@given(uniform_specs(), st.lists(finite, min_size=1, max_size=50))
@settings(max_examples=200)
def test_uniform_leaf_is_the_formula(spec: Spec, values: list[float]) -> None:
    """The leaf is clamp(int((x - lo) * scale)) in double precision, for every double within 2 ulp of every edge too."""
    feature, n = spec.features[0], spec.n_leaves
    assert isinstance(feature, Uniform)
    comb = Comb(spec)
    up = down = comb.edges[0]
    near = [up]
    for _ in range(2):
        up, down = np.nextafter(up, np.inf), np.nextafter(down, -np.inf)
        near += [up, down]
    x = np.concatenate([*near, values])
    scale = n / (feature.hi - feature.lo)
    expected = [min(max(int(min(max((v - feature.lo) * scale, 0.0), float(n))), 0), n - 1) for v in x.tolist()]
    assert comb.leaves(x[:, None])[:, 0].tolist() == expected


@given(st.lists(finite, min_size=1, max_size=60), depths, st.lists(finite, max_size=20))
@settings(max_examples=200)
def test_quantile_leaf_is_the_number_of_edges(data: list[float], depth: int, others: list[float]) -> None:
    """The leaf of any double is the number of edges <= it after clipping, whatever the edges are."""
    lo, hi = min(data) + 0.0, max(data) + 0.0
    edges = quantile_edges(data, 1 << depth)
    comb = Comb(Spec(features=(Quantile(name="a", lo=lo, hi=hi, edges=tuple(edges)),), depth=depth))
    with np.errstate(over="ignore"):
        x = np.array([*data, *others, *edges, *np.nextafter(edges, -np.inf), *np.nextafter(edges, np.inf)])
    expected = (edges[None, :] <= np.clip(x, lo, hi)[:, None]).sum(axis=1)
    assert (comb.leaves(x[:, None])[:, 0] == expected).all()


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=50), uniform_specs())
@settings(max_examples=100)
def test_float32_and_float64_of_the_same_numbers(values: list[float], spec: Spec) -> None:
    """A number has one leaf, in whichever of the two types it is stored."""
    narrow = np.array(values, dtype=np.float32)[:, None]
    assert (Comb(spec).leaves(narrow) == Comb(spec).leaves(narrow.astype(np.float64))).all()


def starts_by_counting(data: list[float], n_leaves: int) -> set[float]:
    """Follow the rule of quantile_edges with nothing but counting, for comparison."""
    starts: set[float] = set()
    while True:
        rest = sorted(x for x in data if x not in starts)
        has_least = bool(starts) and min(data) in starts
        free = n_leaves - 1 - (len(starts) - has_least)
        if not rest or free <= 0:
            return starts - ({min(data)} if has_least else set())
        ranks = range(free) if has_least else range(1, free + 1)
        parts = free if has_least else free + 1
        for i in ranks:
            # the least value with more than i / parts of the remaining records at or below it
            starts.add(next(v for v in rest if parts * sum(x <= v for x in rest) > i * len(rest)))


@given(st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=40), depths)
@settings(max_examples=200)
def test_edges_follow_the_rule(data: list[float], depth: int) -> None:
    """quantile_edges finds the values that counting finds, ties and all."""
    assert set(quantile_edges(data, 1 << depth).tolist()) == (starts_by_counting(data, 1 << depth) or {max(data)})


def test_every_center_is_encoded_to_its_own_leaf(learn: Callable[..., Spec], table: np.ndarray) -> None:
    """Encoding the representative of a leaf that is in use gives that leaf, for uniform and quantile combs."""
    for edges in ("quantile", "uniform"):
        for depth in (1, 4, 7):
            comb = Comb(learn(table, depth=depth, edges=edges))
            leaves = comb.leaves(table)
            centers = np.take_along_axis(comb.representatives("center"), leaves.T, axis=1).T
            assert (comb.leaves(np.ascontiguousarray(centers)) == leaves).all()
