"""Rounding and channels of parameters are unbiased and follow their laws, and one that does not is caught.

False-alarm rate: 1e-6 a test, by Bonferroni over what it looks at. Means are compared with bounds of Bernstein,
which hold for any number of samples; counts with exact binomial intervals. Seeds are fixed, so the outcome is the
same in every run.
"""

import math
import warnings
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from hashcomb import Key, RandomizedResponse
from hashcomb.channels import RQM, PoissonBinomial
from hashcomb.counts import count_parameters
from hashcomb.errors import InsecureRandomWarning
from hashcomb.parameters import ParameterCodec, ParameterSpec

pytestmark = [pytest.mark.statistical, pytest.mark.filterwarnings("ignore::hashcomb.errors.InsecureRandomWarning")]

FALSE_ALARM = 1e-6
KEY = Key(bytes(range(32)))
N = 20_000


def encoded(values: np.ndarray, **fields: Any) -> tuple[ParameterCodec, np.ndarray]:
    """Return a codec, and what each of many independent encodings of some values decodes to, shape (N, n_values)."""
    model = {"w": np.tile(values, N)}
    codec = ParameterCodec(ParameterSpec.of(model, clip=1.0, **fields), KEY, round=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureRandomWarning)
        tokens = codec.encode(model, seed=11)
    return codec, codec.decode(count_parameters([tokens]))["w"].reshape(N, len(values))


def plausible_mean(samples: np.ndarray, mean: float, variance: float, largest: float, tests: int) -> bool:
    """Return whether a sample mean is within Bernstein's bound of the true one."""
    log = math.log(2 * tests / FALSE_ALARM)
    away = math.sqrt(2 * variance * log / len(samples)) + 2 * largest * log / (3 * len(samples))
    return abs(float(samples.mean()) - mean) <= away


VALUES = np.array([-1.0, -0.999, -0.4, 0.0, 0.1, 0.33, 0.97, 1.0])


@pytest.mark.parametrize("depth", [1, 3])
def test_stochastic_rounding_is_unbiased(depth: int) -> None:
    """The mean of many roundings is the value, for values on and between grid points and at the ends."""
    _, decoded = encoded(VALUES, depth=depth)
    step = 2 / (2**depth - 1)
    for value, samples in zip(VALUES, decoded.T, strict=True):
        part = ((value + 1) / step) % 1.0
        assert plausible_mean(samples, value, part * (1 - part) * step**2, step, len(VALUES)), value


def test_nearest_rounding_is_caught_as_biased() -> None:
    """The same test rejects rounding to the nearest point: the test has power."""
    _, decoded = encoded(VALUES, depth=3, rounding="nearest")
    step = 2 / 7
    fine = [
        plausible_mean(samples, value, step**2 / 4, step, len(VALUES))
        for value, samples in zip(VALUES, decoded.T, strict=True)
    ]
    assert not all(fine)


CHANNELS = [RandomizedResponse(1.0, depth="leaf"), PoissonBinomial(0.2, 6), RQM(0.42, 0.5, n_levels=6)]


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.kind)
def test_decoding_through_a_channel_is_unbiased(channel: Any) -> None:
    """The mean over rounding and reports is the value."""
    codec, decoded = encoded(VALUES, depth=2, channel=channel)
    law = codec.spec.randomizer()
    assert law is not None
    codes = law.unbiased_code(codec.spec.grid())
    for value, samples in zip(VALUES, decoded.T, strict=True):
        place = (value + 1) / 2 * 3
        low = min(int(place), 2)
        row = (1 - (place - low)) * law.matrix()[low] + (place - low) * law.matrix()[low + 1]
        variance, largest = float(row @ codes**2 - value**2), float(np.abs(codes - value).max())
        assert plausible_mean(samples, value, variance, largest, len(VALUES)), value


def plausible_counts(channel: Any, *, without_channel: bool = False) -> bool:
    """Return whether tokens of every grid point occur as often as the channel's matrix says."""
    law = channel.on(4)
    points = np.linspace(-1, 1, 4)
    if without_channel:
        channel = None
    model = {"w": np.tile(points, N)}
    spec = ParameterSpec.of(model, clip=1.0, depth=2, channel=channel)
    codec = ParameterCodec(spec, KEY, round=1)
    codes = points if channel is None else law.unbiased_code(points)
    decoded = codec.decode(codec.encode(model, seed=3))["w"].reshape(N, 4)
    tail = FALSE_ALARM / (2 * 4 * law.n_reports)
    for i, samples in enumerate(decoded.T):
        reports = np.abs(samples[:, None] - codes).argmin(axis=1)
        counts = np.bincount(reports, minlength=law.n_reports)
        low, high = binom.ppf(tail, N, law.matrix()[i]), binom.isf(tail, N, law.matrix()[i])
        if not ((counts >= low) & (counts <= high)).all():
            return False
    return True


def test_reports_follow_the_matrix() -> None:
    """What is sent of every grid point has the probabilities that the privacy claim is made for."""
    assert plausible_counts(CHANNELS[0])


def test_encoding_without_the_channel_is_caught() -> None:
    """The same test rejects a planted defect: reports that skip the channel."""
    assert not plausible_counts(CHANNELS[0], without_channel=True)


def test_rounding_and_reports_use_words_of_their_own() -> None:
    """Whether a value is rounded up, and whether its report is kept, are independent."""
    values = np.array([0.0])
    codec, decoded = encoded(values, depth=1, channel=RandomizedResponse(1.0, depth="leaf"))
    law = codec.spec.randomizer()
    assert law is not None
    # Half of the points are up, and reports of both kinds are mixed evenly whatever the word of the rounding was.
    up = int((decoded[:, 0] > 0).sum())
    tail = FALSE_ALARM / 2
    assert binom.ppf(tail, N, 0.5) <= up <= binom.isf(tail, N, 0.5)
