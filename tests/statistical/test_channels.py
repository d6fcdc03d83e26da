"""Every channel's sampler follows its matrix, from the kernel to the tokens, and a defect is caught.

False-alarm rate: a test rejects if any of its binomial counts falls outside an interval of probability
1 - 1e-6 / n_counts, so a right sampler fails with probability below 1e-6. The words come from a fixed secret, so
the outcome is the same in every run. Power: the planted defects below are rejected.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from hashcomb import ChannelSpec, HashComb, Key, Spec, Uniform
from hashcomb.channels import (
    RQM,
    Channel,
    Geometric,
    Interval,
    LastHead,
    Matrix,
    Optimal,
    PoissonBinomial,
    RandomDepth,
    RandomizedResponse,
    SquareWave,
)
from hashcomb.channels.table import IntegerTable
from hashcomb.keys import Keystream

pytestmark = [pytest.mark.statistical, pytest.mark.filterwarnings("ignore::hashcomb.errors.HashcombWarning")]

FALSE_ALARM = 1e-6
N = 100_000
Sampler = Callable[[np.ndarray, np.ndarray], np.ndarray]
CHANNELS: dict[str, Channel] = {
    "randomized_response": RandomizedResponse(1.3, depth=2),
    "interval": Interval(1.3),
    "square_wave": SquareWave(1.3),
    "geometric": Geometric(1.3),
    "rqm": RQM(0.42, 1.0),
    "poisson_binomial": PoissonBinomial(0.1, 8),
    "optimal": Optimal.for_epsilon(3.0, 8),
    "random_depth": RandomDepth(1.3),
    "last_head": LastHead(0.4),
    "matrix": Matrix(np.random.default_rng(0).dirichlet(np.ones(5), size=8)),
}


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


def count(sample: Sampler, channel: Channel) -> np.ndarray:
    """Draw N reports for every true symbol and count them."""
    rows = []
    for symbol in range(channel.n_symbols or 0):
        reports = sample(np.full(N, symbol, dtype=np.int32), words(N, symbol))
        rows.append(np.bincount(reports, minlength=channel.n_reports))
    return np.array(rows)


@pytest.mark.parametrize("kind", CHANNELS)
def test_reports_follow_the_matrix(kind: str) -> None:
    """Reports of every true symbol have the probabilities that the matrix states."""
    channel = CHANNELS[kind].on(8)
    assert channel.kind == kind
    assert follows(count(channel.sample, channel), channel.matrix())


def wrong_threshold(channel: Channel) -> Sampler:
    """Plant a defect: the slots' thresholds are ten percent too high."""
    thresholds, aliases = channel._table._slots  # type: ignore[attr-defined]
    table = IntegerTable(channel.matrix())
    table.__dict__["_slots"] = ((thresholds * 1.1).astype(np.uint64), aliases)
    return table.sample


def low_bits(channel: Channel) -> Sampler:
    """Plant a defect: the slot and the decision inside it come from the same bits."""

    def sample(symbols: np.ndarray, stream: np.ndarray) -> np.ndarray:
        high = stream >> np.uint64(32)
        return (
            channel.sample(symbols, (high << np.uint64(32)) | high)
            if channel.n_reports < 3
            else channel.sample(symbols, (stream & np.uint64(0xE000000000000000)) | (stream >> np.uint64(3)))
        )

    return sample


def no_noise_on_the_last(channel: Channel) -> Sampler:
    """Plant a defect: noise never reaches the last report."""

    def sample(symbols: np.ndarray, stream: np.ndarray) -> np.ndarray:
        reports = channel.sample(symbols, stream)
        return np.where((reports == channel.n_reports - 1) & (symbols < 7), 0, reports)

    return sample


@pytest.mark.parametrize("kind", ["interval", "square_wave", "geometric", "poisson_binomial", "random_depth"])
@pytest.mark.parametrize("plant", [wrong_threshold, low_bits, no_noise_on_the_last])
def test_planted_defects_are_rejected(plant: Callable[[Channel], Sampler], kind: str) -> None:
    """The test has the power to see wrong thresholds, bits used twice and noise that misses a report."""
    channel = CHANNELS[kind].on(8)
    assert not follows(count(plant(channel), channel), channel.matrix())


# ---------------------------------------------------------------------- the whole path
@pytest.mark.parametrize("kind", CHANNELS)
def test_encoded_rows_follow_the_matrix(key: Key, kind: str) -> None:
    """From rows to tokens and back, the reports of a value have the law of its leaf's row."""
    features = (Uniform(name="x", lo=0.0, hi=1.0), Uniform(name="y", lo=0.0, hi=1.0))
    codec = HashComb(Spec(features=features, depth=3, channel=CHANNELS[kind].to_spec()), key)
    reports = codec.reports(codec.encode(np.full((N, 2), [0.3, 0.9]), seed=5))
    law = CHANNELS[kind].on(8).matrix()
    counts = np.array([np.bincount(column, minlength=law.shape[1]) for column in reports.T])
    assert follows(counts, law[[2, 7]])


def some_of(n_reported: float, **rules: Any) -> Spec:
    """Return a Spec of four features of which a record reports some."""
    features = tuple(Uniform(name=name, lo=0.0, hi=1.0) for name in "abcd")
    params: dict[str, Any] = {"epsilon": 1.0, "depth": "leaf", "report_features": n_reported}
    channel = ChannelSpec(kind="randomized_response", params=params)
    return Spec(features=features, depth=2, channel=channel, **rules)


def test_every_set_of_features_is_as_likely(key: Key) -> None:
    """With two of four features reported, each of the six pairs occurs equally often, and reports follow the matrix."""
    codec = HashComb(some_of(2.0), key)
    rows = np.tile([0.1, 0.4, 0.6, 0.9], (N, 1))
    reports = codec.reports(codec.encode(rows, seed=7))
    assert ((reports >= 0).sum(axis=1) == 2).all()
    sets = ((reports >= 0) @ [1, 2, 4, 8]).astype(int)
    pairs = [a + b for a, b in ((1, 2), (1, 4), (1, 8), (2, 4), (2, 8), (4, 8))]
    assert follows(np.bincount(sets, minlength=16)[pairs][None, :], np.full((1, 6), 1 / 6))
    law = RandomizedResponse(1.0, 4, depth="leaf").matrix()
    for j in range(4):
        counts = np.bincount(reports[reports[:, j] >= 0, j], minlength=4)
        assert follows(counts[None, :], law[j : j + 1])


def test_the_choice_of_features_does_not_depend_on_the_record(key: Key) -> None:
    """The same rows are left out whatever their values are, with fresh words and with a memo key."""
    codec, memo = HashComb(some_of(1.0), key), Key(bytes(range(1, 33)))
    low, high = np.full((500, 4), 0.1), np.full((500, 4), 0.9)
    choices: list[dict[str, Any]] = [{"seed": 3}, {"memo_key": memo, "record_ids": range(500)}]
    for options in choices:
        first, second = (codec.reports(codec.encode(rows, **options)) >= 0 for rows in (low, high))
        assert np.array_equal(first, second)


def test_memoized_reports_follow_the_matrix(key: Key) -> None:
    """Over many record ids, reports under a memo key have the channel's law, and two features are independent."""
    features = (Uniform(name="x", lo=0.0, hi=1.0), Uniform(name="y", lo=0.0, hi=1.0))
    codec = HashComb(Spec(features=features, depth=2, channel=RandomizedResponse(1.0, depth="leaf").to_spec()), key)
    rows = np.full((N, 2), [0.1, 0.1])
    reports = codec.reports(codec.encode(rows, record_ids=range(N), memo_key=Key(bytes(range(2, 34)))))
    law = RandomizedResponse(1.0, 4, depth="leaf").matrix()[:1]
    for column in reports.T:
        assert follows(np.bincount(column, minlength=4)[None, :], law)
    both = np.bincount(reports @ [4, 1], minlength=16)
    assert follows(both[None, :], np.outer(law[0], law[0]).reshape(1, 16))
