"""Claims for sums hold for any channel, any data of the others and any order, and only fall with more clients."""

import itertools

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hashcomb.privacy import L2Clip, SumPrivacy, renyi_of_sum, worst_renyi_of_sum

Floats = NDArray[np.float64]

orders = st.floats(1.01, 60.0)
weights = st.floats(1e-9, 1.0)


@st.composite
def matrices(draw: st.DrawFn, most_symbols: int = 4) -> Floats:
    """Draw a row-stochastic matrix without zeros, some of its entries tiny."""
    n_symbols, n_reports = draw(st.integers(2, most_symbols)), draw(st.integers(2, 5))
    rows = draw(
        st.lists(st.lists(weights, min_size=n_reports, max_size=n_reports), min_size=n_symbols, max_size=n_symbols)
    )
    matrix = np.array(rows)
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


def largest(laws: Floats, alpha: float) -> float:
    """Return the largest Renyi divergence over ordered pairs of laws."""
    logs = np.log(laws)
    terms = alpha * logs[:, None] + (1 - alpha) * logs[None]
    peaks = terms.max(axis=2)
    return float((np.log(np.exp(terms - peaks[..., None]).sum(axis=2)) + peaks).max() / (alpha - 1))


@given(matrices(), st.integers(1, 4), orders)
@settings(max_examples=120)
def test_claim_is_not_below_any_data_of_the_others(matrix: Floats, n_honest: int, alpha: float) -> None:
    """Brute force over all data sets of the others never finds a larger divergence than the claim."""
    claim = SumPrivacy.of(matrix, n_honest).renyi(alpha)
    for symbols in itertools.combinations_with_replacement(range(len(matrix)), n_honest - 1):
        others = np.ones(1)
        for symbol in symbols:
            others = np.convolve(others, matrix[symbol])
        assert claim >= largest(np.stack([np.convolve(row, others) for row in matrix]), alpha)


@given(matrices(3), st.integers(2, 3), orders, st.data())
@settings(max_examples=60)
def test_others_with_random_data_tell_no_more(matrix: Floats, n_honest: int, alpha: float, data: st.DataObject) -> None:
    """If the others' symbols are drawn from any law, and so are the client's two, the claim holds as well."""
    mixing = data.draw(
        st.lists(st.lists(weights, min_size=3, max_size=3), min_size=n_honest + 1, max_size=n_honest + 1)
    )
    laws = np.array(mixing)[:, : len(matrix)]
    laws = (laws / laws.sum(axis=1, keepdims=True)) @ matrix
    others = np.ones(1)
    for law in laws[2:]:
        others = np.convolve(others, law)
    pair = np.stack([np.convolve(law, others) for law in laws[:2]])
    assert worst_renyi_of_sum(matrix, n_honest, alpha) >= largest(pair, alpha) - 1e-9
    assert SumPrivacy.of(matrix, n_honest).renyi(alpha) >= largest(pair, alpha)


@given(matrices(), st.integers(1, 40), orders)
@settings(max_examples=50)
def test_more_clients_never_cost_more(matrix: Floats, n_honest: int, alpha: float) -> None:
    """With another client the claim is no larger, but for rounding, and never above that of one report."""
    fewer, more = SumPrivacy.of(matrix, n_honest), SumPrivacy.of(matrix, n_honest + 1)
    assert more.renyi(alpha) <= fewer.renyi(alpha) * (1 + 1e-5) + 1e-9
    assert more.renyi(alpha) <= more.local(alpha) * (1 + 1e-5) + 1e-9


@given(matrices(), st.lists(st.integers(0, 3), max_size=12), orders)
@settings(max_examples=50)
def test_claim_holds_for_known_others(matrix: Floats, symbols: list[int], alpha: float) -> None:
    """For up to a dozen others with any symbols, the divergence of the sum is at most the claim."""
    others = [symbol % len(matrix) for symbol in symbols]
    assert renyi_of_sum(matrix, others, alpha) <= SumPrivacy.of(matrix, 1 + len(others)).renyi(alpha) + 1e-9


@given(matrices(3), st.integers(1, 3), orders, st.floats(-1, 1), st.floats(-1, 1))
@settings(max_examples=80)
def test_rounded_values_stay_within_their_slope(
    matrix: Floats, n_honest: int, alpha: float, first: float, second: float
) -> None:
    """The divergence of two values, rounded at random, is at most K times their squared distance."""
    assume(abs(first - second) > 1e-3)
    inputs = np.linspace(-1, 1, len(matrix))
    laws = np.stack([np.interp([first, second], inputs, column) for column in matrix.T], axis=1)
    clip = L2Clip(norm=abs(first - second) / 2, coordinate=1.0)
    claim = SumPrivacy.of(matrix, n_honest, coordinates=10**12, clip=clip).renyi(alpha)
    for symbols in itertools.combinations_with_replacement(range(len(matrix)), n_honest - 1):
        others = np.ones(1)
        for symbol in symbols:
            others = np.convolve(others, matrix[symbol])
        assert claim >= largest(np.stack([np.convolve(law, others) for law in laws]), alpha) * (1 - 1e-9) - 1e-13
