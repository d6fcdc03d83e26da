"""The sampler follows its matrix, and a sampler that does not is caught.

False-alarm rate: a test rejects if any of its binomial counts falls outside an interval of probability
1 - 1e-6 / n_counts, so a right sampler fails with probability below 1e-6. The words come from a fixed secret, so
the outcome is the same in every run. Power: the planted defects below are rejected.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from hashcomb import Categorical, HashComb, Key, RandomizedResponse, Spec, Uniform, place
from hashcomb.kernels import compiled, reference
from hashcomb.keys import Keystream

pytestmark = [pytest.mark.statistical, pytest.mark.filterwarnings("ignore::hashcomb.errors.InsecureRandomWarning")]

FALSE_ALARM = 1e-6
N = 200_000
Sampler = Callable[[np.ndarray, np.ndarray], np.ndarray]


def words(count: int, stream: int = 0) -> np.ndarray:
    """Return words of a keystream under a fixed secret."""
    secret = bytes([stream + 1]) + bytes(range(1, 32))
    return Keystream(secret).words(0, count)


def follows(counts: np.ndarray, law: np.ndarray) -> bool:
    """Return whether counts of reports, a row for each true symbol, are plausible under the matrix."""
    tail = FALSE_ALARM / (2 * counts.size)
    totals = counts.sum(axis=1, keepdims=True)
    low, high = binom.ppf(tail, totals, law), binom.isf(tail, totals, law)
    return bool(((counts >= low) & (counts <= high)).all())


def count(sample: Sampler, n_symbols: int) -> np.ndarray:
    """Draw N reports for every true symbol and count them."""
    rows = []
    for symbol in range(n_symbols):
        reports = sample(np.full(N, symbol, dtype=np.int32), words(N, symbol))
        rows.append(np.bincount(reports, minlength=n_symbols))
    return np.array(rows)


@pytest.mark.parametrize("n_symbols", [2, 3, 16, 17])
@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_reports_follow_the_matrix(n_symbols: int, epsilon: float) -> None:
    """Reports of every true symbol have the probabilities that the matrix states."""
    channel = RandomizedResponse(epsilon, n_symbols, depth="leaf")
    assert follows(count(channel.sample, n_symbols), channel.matrix())


def never_the_last(channel: RandomizedResponse) -> Sampler:
    """Plant a defect: noise that never reaches the last symbol."""

    def sample(symbols: np.ndarray, stream: np.ndarray) -> np.ndarray:
        reports = channel.sample(symbols, stream)
        last = (channel.n_symbols or 0) - 1
        return np.where((reports == last) & (symbols != last), 0, reports)

    return sample


def wrong_constant(channel: RandomizedResponse) -> Sampler:
    """Plant a defect: a threshold that is two percent too high."""

    def sample(symbols: np.ndarray, stream: np.ndarray) -> np.ndarray:
        out = np.empty_like(symbols)
        reference.randomized_response(symbols, stream, int(1.02 * channel.keep), channel.n_symbols or 0, out)
        return out

    return sample


def same_bits_twice(channel: RandomizedResponse) -> Sampler:
    """Plant a defect: the report is drawn from the bits that decided on keeping."""

    def sample(symbols: np.ndarray, stream: np.ndarray) -> np.ndarray:
        high = stream >> np.uint64(32)
        return channel.sample(symbols, (high << np.uint64(32)) | high)

    return sample


@pytest.mark.parametrize("plant", [never_the_last, wrong_constant, same_bits_twice])
def test_planted_defects_are_rejected(plant: Callable[[RandomizedResponse], Sampler]) -> None:
    """The test has the power to see noise that misses a symbol, a wrong constant, and bits used twice."""
    channel = RandomizedResponse(2.0, 16, depth="leaf")
    assert not follows(count(plant(channel), 16), channel.matrix())


def test_compiled_and_reference_sampler_are_one() -> None:
    """Both kernels give the same report for every one of a million words."""
    symbols, stream = np.arange(1_000_000, dtype=np.int32) % 17, words(1_000_000)
    outs = [np.empty_like(symbols) for _ in range(2)]
    for kernel, out in zip((compiled, reference), outs, strict=True):
        kernel.randomized_response(symbols, stream, 1 << 31, 17, out)
    assert (outs[0] == outs[1]).all()


# ---------------------------------------------------------------------- the whole path
SPEC = Spec(
    features=(Uniform(name="x", lo=0.0, hi=1.0), Categorical(name="c", categories=("r", "g", "b"))),
    depth=2,
    missing="token",
    channel=RandomizedResponse(1.0, depth="leaf").to_spec(),
)


def reported_leaves(rows: dict[str, Any], key: Key) -> np.ndarray:
    """Encode with randomness and find the leaf behind every token."""
    codec = HashComb(SPEC, key)
    ranks = codec.decode(codec.encode(rows, seed=11), "rank")
    return np.where(np.isnan(ranks), 4, np.rint(ranks * 3)).astype(int)


@pytest.mark.parametrize("missing", [False, True])
def test_encoded_rows_follow_the_matrix(key: Key, missing: bool) -> None:
    """From rows to tokens, the reported leaves have the channel's law, over categories and missing values too."""
    value, color = (np.nan, None) if missing else (0.3, "g")
    rows = {"x": np.full(N, value), "c": np.full(N, color, dtype=object)}
    true = place({"x": [value], "c": np.array([color], dtype=object)}, SPEC)[0]
    leaves = reported_leaves(rows, key)
    for j, n_used in enumerate((4, 3)):
        symbols = np.where(leaves[:, j] == 4, n_used, leaves[:, j])
        counts = np.bincount(symbols, minlength=n_used + 1)[None, :]
        symbol = n_used if true[j] == 4 else true[j]
        assert follows(counts, RandomizedResponse(1.0, n_used + 1, depth="leaf").matrix()[symbol : symbol + 1])


def test_features_and_rows_are_independent(key: Key) -> None:
    """Reports of two features of one row, and of one feature of neighboring rows, are not correlated."""
    rows = {"x": np.full(N, 0.3), "c": np.full(N, "g", dtype=object)}
    kept = reported_leaves(rows, key) == [1, 1]
    share = kept.mean(axis=0)
    for a, b, p in (
        (kept[:, 0], kept[:, 1], share[0] * share[1]),
        (kept[:-1, 0], kept[1:, 0], share[0] ** 2),
        (kept[:-1, 0], kept[1:, 1], share[0] * share[1]),
    ):
        both = int((a & b).sum())
        # The shares are estimated from the same rows; five times their standard error is allowed for on top.
        slack = 5 * np.sqrt(p * len(a))
        assert binom.ppf(FALSE_ALARM / 6, len(a), p) - slack <= both <= binom.isf(FALSE_ALARM / 6, len(a), p) + slack


def test_tokens_look_uniform(key: Key) -> None:
    """Every bit of 2**13 tokens is one about half the time: a first sign of a broken hash or table."""
    spec = Spec(features=(Uniform(name="x", lo=0.0, hi=1.0),), depth=12)
    tokens = np.asarray(HashComb(spec, key).encode(((np.arange(4096) + 0.5) / 4096)[:, None])).ravel()
    ones = ((tokens[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)).sum(axis=0)
    tail = FALSE_ALARM / 128
    assert ((ones >= binom.ppf(tail, 4096, 0.5)) & (ones <= binom.isf(tail, 4096, 0.5))).all()
