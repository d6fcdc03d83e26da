"""Randomized response: its matrix, its exact epsilon, and what can be asked of any channel."""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from hashcomb import ChannelSpec, RandomizedResponse, Spec, Uniform
from hashcomb.channels import channels_of
from hashcomb.errors import ChannelError, SpecError
from hashcomb.privacy import pure_epsilon

SIZES = [2, 3, 5, 16, 17, 256, 257]


def law_by_counting(keep: int, n: int, bits: int) -> list[list[Fraction]]:
    """Count the reports of every word of a small sampler with `bits` bits in each half."""
    unit = 1 << bits
    low = [sum((word * n >> bits) == j for word in range(unit)) for j in range(n)]
    stay = Fraction(keep, unit)
    return [[(1 - stay) * Fraction(low[j], unit) + (stay if i == j else 0) for j in range(n)] for i in range(n)]


@pytest.mark.parametrize("n_symbols", SIZES)
@pytest.mark.parametrize("epsilon", [0.01, 0.5, 2.0, 8.0])
def test_epsilon_is_exact_and_never_above_what_was_asked(epsilon: float, n_symbols: int) -> None:
    """The claim is that of the matrix, at most the asked one, and one step of the threshold more would exceed it."""
    channel = RandomizedResponse(epsilon, n_symbols, depth="leaf")
    assert channel.epsilon <= epsilon
    assert channel.epsilon == pytest.approx(pure_epsilon(channel.matrix()), rel=1e-12)
    assert channel.epsilon == pytest.approx(epsilon, abs=1e-5)
    truth = (1 + Decimal(channel.keep << 32) / (((1 << 32) - channel.keep) * ((1 << 32) // n_symbols))).ln()
    assert truth <= Decimal(channel.epsilon) < truth * (1 + Decimal(10) ** -15)
    channel.keep += 1
    assert channel.epsilon > epsilon


@pytest.mark.parametrize("n_symbols", [2, 3, 5, 8])
def test_the_formula_of_epsilon_is_that_of_counting_every_word(n_symbols: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a sampler small enough to count all its words, matrix and epsilon are the counted ones, as fractions."""
    monkeypatch.setattr("hashcomb.channels.randomized_response._UNIT", 1 << 6)
    channel = RandomizedResponse(1.0, n_symbols, depth="leaf")
    law = law_by_counting(channel.keep, n_symbols, 6)
    assert np.allclose(channel.matrix(), np.array(law, dtype=float), atol=1e-15)
    ratio = max(max(row[j] for row in law) / min(row[j] for row in law) for j in range(n_symbols))
    assert channel.epsilon == pytest.approx(math.log(ratio), rel=1e-12)


@pytest.mark.parametrize("n_symbols", SIZES)
def test_matrix_is_row_stochastic(n_symbols: int) -> None:
    """Rows sum to one, and the diagonal is e**epsilon times the rest."""
    matrix = RandomizedResponse(1.5, n_symbols, depth="leaf").matrix()
    assert np.allclose(matrix.sum(axis=1), 1.0, atol=1e-12)
    assert matrix[0, 0] / matrix[1, 0] == pytest.approx(math.exp(1.5), rel=1e-4)


@pytest.mark.parametrize("epsilon", [0, -1, math.nan, math.inf, "2", None, True])
def test_impossible_epsilon_is_refused(epsilon: Any) -> None:
    """Epsilon is a positive, finite number."""
    with pytest.raises(ChannelError):
        RandomizedResponse(epsilon, depth="leaf")


@pytest.mark.parametrize(("epsilon", "n_symbols"), [(40.0, 16), (1e-12, 16), (1.0, 1), (1.0, (1 << 20) + 2)])
def test_what_the_integer_table_cannot_realize_is_refused(epsilon: float, n_symbols: int) -> None:
    """An epsilon that 32-bit thresholds cannot tell from none, or from no noise, is refused rather than rounded."""
    with pytest.raises(ChannelError):
        RandomizedResponse(epsilon, n_symbols, depth="leaf")


def test_unbound_channel_says_so() -> None:
    """A channel without a number of symbols has no matrix yet."""
    with pytest.raises(ChannelError, match="bind"):
        RandomizedResponse(1.0, depth="leaf").matrix()


def test_posterior_inverts_the_channel() -> None:
    """Bayes' rule, checked against its definition, with a prior that holds a zero."""
    channel, prior = RandomizedResponse(1.0, 4, depth="leaf"), np.array([0.5, 0.3, 0.2, 0.0])
    joint = prior[:, None] * channel.matrix()
    assert np.allclose(channel.posterior(prior), joint / joint.sum(axis=0))
    assert np.allclose(channel.posterior().sum(axis=0), 1.0)


def test_unbiased_code_has_the_true_mean() -> None:
    """The mean of the code over reports is the value itself, for every symbol."""
    channel, values = RandomizedResponse(1.0, 8, depth="leaf"), np.linspace(-1.0, 3.0, 8)
    assert np.allclose(channel.matrix() @ channel.unbiased_code(values), values)


@pytest.mark.parametrize(
    ("depth", "epsilon", "expected"), [(3, 1.0, 0.0808), (4, 2.0, 0.0766), (6, 4.0, 0.0660), (8, 8.0, 0.0127)]
)
def test_expected_error_of_a_uniform_value(depth: int, epsilon: float, expected: float) -> None:
    """The mean squared error for x uniform on [0, 1] is that worked out for the design, to its last digit.

    The design counts the spread within a leaf, 1 / (12 k**2), which the leaf's center alone does not have.
    """
    n_leaves = 1 << depth
    error = RandomizedResponse(epsilon, n_leaves, depth="leaf").expected_error() + 1 / (12 * n_leaves**2)
    assert error == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("prior", [[1.0], [0.5, -0.5, 1.0, 0.0], [0.0] * 4])
def test_a_prior_that_is_none(prior: list[float]) -> None:
    """A prior has a non-negative weight for every symbol, and some weight."""
    with pytest.raises(ChannelError):
        RandomizedResponse(1.0, 4, depth="leaf").posterior(prior)


# ---------------------------------------------------------------------- in a Spec
def spec_with(channel: ChannelSpec, **rules: Any) -> Spec:
    """Return a Spec of one feature with a channel."""
    return Spec(features=(Uniform(name="a", lo=0.0, hi=1.0),), depth=4, channel=channel, **rules)


def test_channel_of_a_spec() -> None:
    """A Spec's channel is bound to its leaves, and to one symbol more where missing values have a token."""
    described = RandomizedResponse(2.0, depth="leaf").to_spec()
    assert [c.n_symbols for c in channels_of(spec_with(described)) or ()] == [16]
    assert [c.n_symbols for c in channels_of(spec_with(described, missing="token")) or ()] == [17]
    assert channels_of(Spec(features=(Uniform(name="a", lo=0.0, hi=1.0),), depth=4)) is None


@pytest.mark.parametrize(
    ("kind", "params", "path"),
    [
        ("laplace", {}, "channel.kind"),
        ("randomized_response", {}, "channel.params"),
        ("randomized_response", {"epsilon": -1.0}, "channel.params"),
        ("randomized_response", {"epsilon": 1.0, "width": 3.0}, "channel.params"),
        ("randomized_response", {"epsilon": 1.0, "depth": 5.0}, "channel.params"),
        ("randomized_response", {"epsilon": 60.0}, "channel.params"),
    ],
)
def test_a_channel_that_does_not_fit_is_a_spec_error(kind: str, params: dict[str, Any], path: str) -> None:
    """Unknown channels and impossible parameters are refused, and the field named."""
    with pytest.raises(SpecError) as caught:
        channels_of(spec_with(ChannelSpec(kind=kind, params=params)))
    assert caught.value.path == path
