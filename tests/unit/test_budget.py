"""Budgets refuse what would overspend them, come back from JSON unchanged, and channels are made to fit one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hashcomb import RandomizedResponse, Spec, Uniform
from hashcomb.channels import RQM, Channel, Geometric, LastHead, PoissonBinomial
from hashcomb.errors import BudgetError, ChannelError, FileFormatError
from hashcomb.privacy import Budget, Composition, compose, for_total, suggest_reported

FEATURES = tuple(Uniform(name=name, lo=0.0, hi=1.0) for name in "abcdef")
HALF = RandomizedResponse(0.5, 16, depth="leaf")
SKEW = [[0.4, 0.3, 0.2, 0.1], [0.15, 0.35, 0.1, 0.4], [0.2, 0.2, 0.5, 0.1]]
ERASED = [[0.6, 0.39999, 0.00001, 0.0], [0.39999, 0.6, 0.0, 0.00001]]


def spec(channel: Channel | None = None, **params: Any) -> Spec:
    """Return a Spec of six features."""
    described = None if channel is None else channel.to_spec()
    if described is not None:
        described = type(described)(kind=described.kind, params={**described.params, **params})
    return Spec(features=FEATURES, depth=4, channel=described)


# ---------------------------------------------------------------------- spending
def test_spending_adds_tightly() -> None:
    """What is spent is the tight composition of everything, far less than the sum of epsilons."""
    budget = Budget(8.0, delta=1e-6)
    budget.spend(HALF, times=20)
    budget.spend(spec(RandomizedResponse(0.5, depth="leaf")), times=2)
    budget.spend(SKEW)
    expected = compose([(HALF, 32), (SKEW, 1)])
    assert budget.spent == pytest.approx(expected.epsilon(1e-6), rel=1e-9)
    assert budget.spent < 0.45 * expected.basic
    assert budget.left == 8.0 - budget.spent


def test_the_cost_of_each_is_returned() -> None:
    """Spending returns what the release costs by itself, and the total is kept."""
    budget = Budget(8.0, delta=1e-6)
    budget.spend(HALF, times=3)
    cost = budget.spend(SKEW, times=2)
    assert cost.basic == compose([(SKEW, 2)]).basic
    assert isinstance(budget.total, Composition)
    assert budget.total.basic == pytest.approx(3 * HALF.epsilon + cost.basic)


def test_without_delta_epsilons_are_added() -> None:
    """A budget with delta 0 counts the sum of epsilons."""
    budget = Budget(2.0)
    budget.spend(HALF, times=3)
    assert budget.spent == compose([(HALF, 3)]).basic
    with pytest.raises(BudgetError):
        budget.spend(HALF, times=2)
    budget.spend(HALF)
    assert budget.left < 1e-6


def test_overspending_changes_nothing() -> None:
    """What would overspend is refused with what it would add and what is left, and the budget is as it was."""
    budget = Budget(4.0, delta=1e-5)
    budget.spend(HALF, times=12)
    before, spent = budget.to_json(), budget.spent
    with pytest.raises(BudgetError, match="overspent") as refused:
        budget.spend(HALF, times=20)
    assert refused.value.left == 4.0 - spent
    assert refused.value.asked == pytest.approx(compose([(HALF, 32)]).epsilon(1e-5) - spent)
    assert refused.value.asked > refused.value.left
    assert (budget.to_json(), budget.spent) == (before, spent)
    budget.spend(HALF)


def test_reported_features_are_cheaper() -> None:
    """A Spec whose records report two of six features spends what two do."""
    channel = RandomizedResponse(1.0, depth="leaf")
    some = Budget(8.0, delta=1e-6)
    some.spend(spec(channel, report_features=2), times=3)
    assert some.spent == pytest.approx(compose([(channel.on(16), 6)]).epsilon(1e-6), rel=1e-9)


@pytest.mark.parametrize("what", [spec(), LastHead(0.5, 16), np.eye(2), spec(LastHead(0.5))])
def test_what_has_no_epsilon_is_refused(what: Any) -> None:
    """Deterministic tokens and the rule of the last head fit no budget."""
    budget = Budget(100.0, delta=0.01)
    with pytest.raises(BudgetError) as refused:
        budget.spend(what)
    assert (refused.value.asked, refused.value.left) == (math.inf, 100.0)
    assert budget.total is None


def test_a_mass_at_infinity_within_delta() -> None:
    """A channel without epsilon fits where what it gives away is within delta, and does not without one."""
    budget = Budget(2.0, delta=1e-4)
    budget.spend(ERASED, times=2)
    assert 0 < budget.spent < 2 * math.log(1.51)
    with pytest.raises(BudgetError):
        Budget(2.0).spend(ERASED)


@pytest.mark.parametrize("what", ["a", None, 3.0, [[0.5, 0.4]], RandomizedResponse(1.0), {"a": 1}, b"12"])
def test_unknown_things_are_refused(what: Any) -> None:
    """What is neither a Spec, a bound channel nor a row-stochastic matrix is not counted."""
    with pytest.raises(ChannelError):
        Budget(10.0).spend(what)


@pytest.mark.parametrize("times", [0, -1, 1.5, "2", None, True])
def test_times_is_a_whole_number(times: Any) -> None:
    """The error names the argument."""
    with pytest.raises(ChannelError, match="times must"):
        Budget(10.0).spend(HALF, times)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.inf, math.nan, "1", None, True])
def test_a_budget_is_positive_and_finite(wrong: Any) -> None:
    """The error names the argument."""
    with pytest.raises(ChannelError, match="epsilon must"):
        Budget(wrong)


@pytest.mark.parametrize("wrong", [-1e-9, 1.0, math.nan, "0", None, False])
def test_delta_is_below_one(wrong: Any) -> None:
    """The error names the argument."""
    with pytest.raises(ChannelError, match="delta must"):
        Budget(1.0, wrong)


# ---------------------------------------------------------------------- JSON
def spent() -> Budget:
    """Return a budget of which something was spent."""
    budget = Budget(30.0, delta=1e-4)
    budget.spend(HALF, times=5)
    budget.spend(RQM(0.42, 2.0, 16))
    budget.spend(ERASED, times=2)
    budget.spend(spec(RandomizedResponse(1.0), report_features=2), times=3)
    return budget


@pytest.fixture(scope="module")
def written() -> str:
    """Return the JSON of a budget of which something was spent."""
    return spent().to_json()


def test_json_keeps_what_was_spent() -> None:
    """A budget read back has spent exactly the same, writes the same text, and goes on in the same way."""
    first = spent()
    second = Budget.from_json(first.to_json())
    assert (second.epsilon, second.delta, second.spent, second.to_json()) == (30.0, 1e-4, first.spent, first.to_json())
    for budget in (first, second):
        budget.spend(HALF, times=3)
    assert (second.spent, second.to_json()) == (first.spent, first.to_json())
    assert len(first.to_json()) < 10_000


def test_json_of_an_untouched_budget() -> None:
    """A budget of which nothing was spent comes back as such."""
    budget = Budget.from_json(Budget(2.5).to_json().encode())
    assert (budget.epsilon, budget.delta, budget.spent, budget.total) == (2.5, 0.0, 0.0, None)


def change(path: list[Any], value: Any) -> Callable[[Any], None]:
    """Return what sets one place of a document."""

    def apply(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return apply


FIRST = ["spent", 0, "releases", 0]


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (change(["version"], 2), "version"),
        (change(["version"], "1"), "version"),
        (change(["epsilon"], -1.0), "epsilon must"),
        (change(["delta"], 1.5), "delta must"),
        (change(["extra"], 1), "unknown field"),
        (change([*FIRST, "extra"], 1), "unknown field"),
        (change([*FIRST, "mass", 0], 0.9), "no release has"),
        (change([*FIRST, "mass", 0], -0.1), "no release has"),
        (change([*FIRST, "mass"], [1.0]), "no release has"),
        (change([*FIRST, "loss", 2], 5.0), "no release has"),
        (change([*FIRST, "loss"], [-3.0, -3.0, -3.0]), "no release has"),  # the other law would have e**3 of mass
        (change([*FIRST, "infinite"], 0.5), "no release has"),
        (change([*FIRST, "slack"], -1e-9), "no release has"),
        (change([*FIRST, "slack"], 0.1), "no release has"),
        (change([*FIRST, "epsilon"], 0.1), "no release has"),
        (change([*FIRST, "times"], 0), "no release has"),
        (change([*FIRST, "times"], 1 << 60), "no release has"),
        (change([*FIRST, "times"], 1.5), "times"),
        (change(["spent", 0, "reported"], 2), "cannot be"),
        (change(["spent", 0, "reported"], 0), "cannot be"),
        (change(["spent", 0, "rounds"], 0), "cannot be"),
        (change(["spent", 0, "releases"], []), "cannot be"),
        (change(["spent", 3, "releases", 0, "times"], 1 << 30), None),
    ],
)
def test_json_is_read_strictly(damage: Callable[[Any], None], problem: str | None, written: str) -> None:
    """A document with other fields, types or figures than a budget has is refused, and the error names the file."""
    document = json.loads(written)
    damage(document)
    if problem is None:  # a number that is large and possible
        assert Budget.from_json(json.dumps(document)).spent > 0
        return
    with pytest.raises(FileFormatError, match=problem) as refused:
        Budget.from_json(json.dumps(document), file="my.budget")
    assert refused.value.file == "my.budget"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"epsilon": 1.0, "epsilon": 2.0}', '{"epsilon": NaN}', b"\xff"]
)
def test_what_is_no_json_of_a_budget(text: str | bytes) -> None:
    """Text that is no JSON, repeats a key or is of another shape is refused."""
    with pytest.raises(FileFormatError):
        Budget.from_json(text)


# ---------------------------------------------------------------------- calibration
@pytest.mark.parametrize(
    ("kind", "parameters"),
    [(RandomizedResponse, {"depth": "leaf"}), (Geometric, {}), (PoissonBinomial, {"n_trials": 8})],
)
@pytest.mark.parametrize(("delta", "reported", "rounds"), [(0.0, None, 2), (1e-5, None, 1), (1e-5, 5, 3)])
def test_for_total_fits_and_is_the_largest(
    kind: type[Channel], parameters: dict[str, Any], delta: float, reported: int | None, rounds: int
) -> None:
    """The record costs at most the budget, and would cost more with a slightly larger epsilon."""
    channel = for_total(
        kind, 6.0, delta=delta, n_features=20, n_symbols=16, rounds=rounds, reported=reported, **parameters
    )
    cost = compose([(channel, 20)], reported=reported, rounds=rounds).epsilon(delta)
    assert 6.0 * (1 - 1e-5) < cost <= 6.0
    larger = kind.for_epsilon(channel.epsilon * (1 + 1e-4), 16, **parameters)
    assert compose([(larger, 20)], reported=reported, rounds=rounds).epsilon(delta) > 6.0


def test_tight_composition_leaves_more_for_each_feature() -> None:
    """With a delta, each of 57 features has more than thrice the epsilon that adding leaves it."""
    added = for_total(RandomizedResponse, 8.0, n_features=57, n_symbols=16, depth="leaf")
    tight = for_total(RandomizedResponse, 8.0, delta=1e-5, n_features=57, n_symbols=16, depth="leaf")
    assert added.epsilon == pytest.approx(8 / 57, rel=1e-6)
    assert tight.epsilon > 3 * added.epsilon


def test_no_channel_fits() -> None:
    """Where a channel cannot have so small an epsilon, that is said."""
    with pytest.raises(ChannelError, match="no channel of this kind fits"):
        for_total(RandomizedResponse, 1e-9, n_features=57, n_symbols=16)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("epsilon", 0.0),
        ("delta", 1.0),
        ("n_features", 0),
        ("n_symbols", 1),
        ("rounds", 0),
        ("reported", 6),
        ("reported", 0),
    ],
)
def test_for_total_names_what_is_wrong(name: str, wrong: Any) -> None:
    """Errors name the argument."""
    arguments = {"epsilon": 1.0, "delta": 0.0, "n_features": 5, "n_symbols": 4, "rounds": 1, name: wrong}
    with pytest.raises(ChannelError, match=f"{name} must"):
        for_total(RandomizedResponse, **arguments)


@pytest.mark.parametrize(
    ("epsilon", "n_features", "reported"),
    [(8.0, 57, 3), (2.4, 57, 1), (0.01, 57, 1), (5.0, 57, 2), (1e3, 57, 57), (1e300, 7, 7), (7.5, 1, 1)],
)
def test_suggest_reported(epsilon: float, n_features: int, reported: int) -> None:
    """As many features as have 2.5 nats each, at least one and at most all."""
    assert suggest_reported(epsilon, n_features) == reported


@pytest.mark.parametrize(("epsilon", "n_features"), [(0.0, 5), (math.nan, 5), ("1", 5), (1.0, 0), (1.0, 2.5)])
def test_suggest_reported_of_nothing(epsilon: Any, n_features: Any) -> None:
    """Arguments out of their range are refused."""
    with pytest.raises(ChannelError, match=r"(epsilon|n_features) must"):
        suggest_reported(epsilon, n_features)
