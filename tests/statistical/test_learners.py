"""Moments from reports are those of the true values: exactly over small domains, and for the channel as it runs."""

import itertools
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from hashcomb import HashComb, Key, Spec, Uniform
from hashcomb.channels import describe
from hashcomb.laws import TokenLaw, laws_of
from hashcomb.moments import Coordinates, Moments, TokenNumbers, remove_noise

pytestmark = [
    pytest.mark.statistical,
    pytest.mark.filterwarnings("ignore::hashcomb.errors.InsecureRandomWarning"),
]
Floats = NDArray[np.float64]

# Two-sided bound of a normal variable that is passed once in a million tests of 100 figures each: 1e-6 together.
BOUND = 5.73


def codec(key: Key, epsilon: Any, kind: str = "randomized_response", n: int = 3, **options: Any) -> HashComb:
    """Return a codec of features in [0, 1] with two levels."""
    own = {"depth": "leaf"} if kind == "randomized_response" else {}
    channel = describe(kind, own, n_leaves=4, epsilon=epsilon, **options)
    features = tuple(Uniform(name=f"x{j}", lo=0.0, hi=1.0) for j in range(n))
    return HashComb(Spec(features=features, depth=2, channel=channel), key)


def everything(laws: Any, rows: Any, chances: Floats, n_reported: int) -> tuple[Any, Any, Floats]:
    """Return all that records may report: numbers of reports, which record it was, and the probability."""
    numbers, origins, weights = [], [], []
    d = len(laws)
    subsets = list(itertools.combinations(range(d), n_reported))
    for row, chance in zip(rows, chances, strict=True):
        for subset in subsets:
            for reports in itertools.product(*(range(len(laws[j].reports)) for j in subset)):
                one = np.full(d, -1)
                one[list(subset)] = reports
                law = np.prod([laws[j].matrix[row[j], r] for j, r in zip(subset, reports, strict=True)])
                numbers.append(one)
                origins.append(row)
                weights.append(chance * law / len(subsets))
    return np.array(numbers), np.array(origins), np.array(weights)


def clean_moments(rows: Any, classes: Any, chances: Floats, places: Coordinates) -> tuple[Floats, Floats]:
    """Return means by class, and covariances within classes between features, from the true values."""
    values = np.concatenate([own[rows[:, j]] for j, own in enumerate(places.symbols)], axis=1)
    member = np.eye(2)[classes] * chances[:, None]
    means = (member.T @ values) / member.sum(axis=0)[:, None]
    centered = values - means[classes]
    between = (centered.T * chances) @ centered / chances.sum()
    return means, np.where(places.column[:, None] == places.column, 0.0, between)


@pytest.mark.parametrize(("kind", "epsilon"), [("randomized_response", [0.5, 1.0, 2.0]), ("geometric", 2.0)])
@pytest.mark.parametrize("n_reported", [2, 3])
def test_moments_are_unbiased_exactly(key: Key, kind: str, epsilon: Any, n_reported: int) -> None:
    """Summed over all reports of all records with their probabilities, the moments are those of the true values."""
    laws = codec(key, epsilon, kind).laws()
    places = Coordinates(laws)
    rng = np.random.default_rng(2)
    rows, classes, chances = rng.integers(0, 4, (6, 3)), np.array([0, 1, 0, 1, 0, 1]), rng.dirichlet(np.ones(6))
    numbers, _, weights = everything(laws, rows, chances, n_reported)
    repeats = len(numbers) // len(rows)
    moments = Moments.of(numbers, np.repeat(classes, repeats), weights, 2, places)
    means, between = clean_moments(rows, classes, chances, places)
    assert np.allclose(moments.means(places), means, atol=1e-12)
    assert np.allclose(moments.covariances(places), between, atol=1e-12)


def deviations(own: HashComb, laws: Any, n_rows: int, seed: int) -> Floats:
    """Return how many standard deviations the moments of a run are off, of means and of products."""
    rng = np.random.default_rng(seed)
    X = rng.random((n_rows, 3)) ** 3
    X[:, 1] = (X[:, 0] + 0.2 * X[:, 1]) % 1  # they go together
    numbers = TokenNumbers(laws).number(np.asarray(own.encode(X, seed=seed)), clean=False, strict=True)
    truth = TokenNumbers(own.laws()).number(np.asarray(own.encode_clean(X)), clean=True, strict=True)
    places = Coordinates(laws)
    values = places.of_reports(numbers)
    clean = np.concatenate([table[truth[:, j]] for j, table in enumerate(places.symbols)], axis=1)
    upper = np.argwhere(places.column[:, None] < places.column)
    products = [own[:, upper[:, 0]] * own[:, upper[:, 1]] for own in (values, clean)]
    errors = [values - clean, products[0] - products[1]]
    each = np.concatenate(errors, axis=1)
    return np.asarray(each.mean(axis=0) / (each.std(axis=0) / np.sqrt(n_rows)))


@pytest.mark.parametrize("epsilon", [0.5, 2.0, [0.5, 1.0, 4.0]])
def test_moments_of_the_running_channel(key: Key, epsilon: Any) -> None:
    """With the laws that the header tells, means and products are off by chance alone; false alarms 1e-6."""
    own = codec(key, epsilon)
    laws = laws_of(own.encode(np.random.default_rng(0).random((200, 3)), seed=9))
    assert np.abs(deviations(own, laws, 100_000, 4)).max() < BOUND


def test_a_wrong_law_is_seen(key: Key) -> None:
    """Laws of an epsilon that is a fifth too large are caught by the same test."""
    own = codec(key, 1.0)
    tokens = own.encode(np.random.default_rng(0).random((200, 3)), seed=9)
    wrong = msgspec.structs.replace(tokens.header, channel=codec(key, 1.2).header.channel)
    assert np.abs(deviations(own, laws_of(tokens, wrong), 100_000, 4)).max() > 2 * BOUND


def test_codes_of_another_report_are_seen(key: Key) -> None:
    """Two reports taken for each other are caught by the same test."""
    own = codec(key, 1.0)
    laws = list(own.laws())
    one, codes = laws[0], laws[0].require_codes()
    laws[0] = TokenLaw(one.column, one.reports, one.symbols, one.matrix, codes[[1, 0, 2, 3]])
    assert np.abs(deviations(own, laws, 100_000, 4)).max() > 2 * BOUND


def test_noise_alone_leaves_nothing() -> None:
    """Of a matrix of noise nothing is left; of one structure above the noise about as much as it was."""
    rng = np.random.default_rng(0)
    n = 120
    noise = rng.normal(size=(n, n))
    noise = (noise + noise.T) / np.sqrt(2)
    edge = 2 * np.sqrt(n) * 1.1
    assert np.abs(remove_noise(noise, edge)).max() < 1e-9
    direction = rng.choice([-1.0, 1.0], n) / np.sqrt(n)
    signal = 3 * np.sqrt(n) * np.outer(direction, direction)
    kept = remove_noise(noise + signal, edge)
    assert np.linalg.norm(kept - signal) < 0.75 * np.linalg.norm(signal) < np.linalg.norm(noise)
