"""Budgets: what may be spent on one record, the channel that fits a total, and how many features to report."""

from __future__ import annotations

import functools
import math
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from hashcomb.channels import Channel
from hashcomb.channels.channel import positive, whole
from hashcomb.crossing import crossing
from hashcomb.documents import parse_json, to_record
from hashcomb.errors import BudgetError, ChannelError, FileFormatError, SpecError
from hashcomb.privacy.composition.dominating import Pair
from hashcomb.privacy.composition.losses import Loss, Round
from hashcomb.privacy.composition.total import MAX_TIMES, Composition, compose, compose_spec
from hashcomb.spec import Spec

__all__ = ("Budget", "for_total", "suggest_reported")

_VERSION = 1
_CLOSE = 1e-9  # how close a calibrated epsilon comes to the largest that fits, relatively
_LARGEST = 1e3  # epsilons of one report above it are not tried
_PER_FEATURE = 2.5  # epsilon below which a report of a feature says little


class Budget:
    """What may be spent on one record, and what has been.

    Everything spent is composed tightly, for the delta of the budget; epsilons are added if that is 0.

    Parameters
    ----------
    epsilon : float
        In nats; positive and finite.
    delta : float, optional
        At least 0 and below 1.

    Raises
    ------
    ChannelError
        If `epsilon` or `delta` is out of its range.

    Notes
    -----
    Privacy: what is released must be settled without looking at earlier reports, in kind and in number; only with
    a delta of 0, where epsilons are added, may they be looked at. A budget counts what it is told of. What an
    owner does without spending from it, it cannot see. All that it holds is public: epsilons and masses of privacy
    losses, no data.

    Examples
    --------
    >>> from hashcomb.channels import RandomizedResponse
    >>> budget = Budget(5.0, delta=1e-6)
    >>> cost = budget.spend(RandomizedResponse(0.5, 16, depth="leaf"), times=20)
    >>> round(cost.basic, 2), round(budget.spent, 2), round(budget.left, 2)
    (10.0, 4.71, 0.29)
    """

    def __init__(self, epsilon: float, delta: float = 0.0) -> None:
        self.epsilon = positive(epsilon, "epsilon")
        self.delta = 0.0 if _is_zero(delta) else positive(delta, "delta", below=1.0)
        self._total: Composition | None = None
        self._spent = 0.0

    @property
    def spent(self) -> float:
        """Epsilon of everything spent, at the delta of the budget."""
        return self._spent

    @property
    def left(self) -> float:
        """What is left of epsilon. By tight composition more than a release of that epsilon may fit."""
        return max(0.0, self.epsilon - self._spent)

    @property
    def total(self) -> Composition | None:
        """Everything spent, composed; None where nothing is."""
        return self._total

    def spend(self, what: Spec | Channel | ArrayLike, times: int = 1) -> Composition:
        """Record that a record is released, unless that would cost more than the budget.

        Parameters
        ----------
        what : Spec, Channel or array_like
            A Spec under which the record is encoded, a channel bound to its symbols, or a row-stochastic matrix.
        times : int, optional
            How many times, with fresh randomness; at least 1.

        Returns
        -------
        Composition
            What this costs by itself.

        Raises
        ------
        BudgetError
            If it would overspend the budget, or has no epsilon at all, as deterministic tokens. Nothing is
            recorded then. `BudgetError.asked` is what it would add to what is spent.
        ChannelError
            If `what` is none of these, or `times` no whole number of at least 1.
        SpecError
            If the Spec's channel is unknown or does not fit.
        """
        cost = self._cost(what, whole(times, "times", 1, MAX_TIMES))
        spending = cost.by_pairs()
        total = spending if self._total is None else self._total + spending
        spent = total.epsilon(self.delta)
        if not spent <= self.epsilon:
            raise BudgetError(
                "the privacy budget would be overspent",
                asked=max(spent - self._spent, 0.0),
                left=self.left,
                hint="release fewer features, fewer times or with a smaller epsilon",
            )
        self._total, self._spent = total, spent
        return cost

    def _cost(self, what: Any, times: int) -> Composition:
        cost = compose_spec(what, rounds=times) if isinstance(what, Spec) else compose([(what, 1)], rounds=times)
        if cost is None:
            raise BudgetError(
                "deterministic tokens have no epsilon, so no budget allows them",
                asked=math.inf,
                left=self.left,
                hint="give the Spec a channel",
            )
        return cost

    def __repr__(self) -> str:
        return f"Budget(epsilon={self.epsilon!r}, delta={self.delta!r}, spent={self._spent:.6g})"

    # ------------------------------------------------------------------ reading and writing
    def to_json(self) -> str:
        """Return the budget as JSON text, with the masses of all losses spent: what is read back is the same."""
        rounds = () if self._total is None else self._total.rounds
        document = _Document(
            epsilon=self.epsilon, delta=self.delta, spent=tuple(map(_RoundDocument.of, rounds)), version=_VERSION
        )
        return msgspec.json.format(msgspec.json.encode(document), indent=1).decode()

    @classmethod
    def from_json(cls, text: str | bytes, *, file: str = "budget") -> Self:
        """Read a budget.

        Parameters
        ----------
        text : str or bytes
            As from `to_json`.
        file : str, optional
            What to call it in errors.

        Raises
        ------
        FileFormatError
            If the text is no budget: of another version, with unknown fields, or with figures that no budget has.
        """
        try:
            document = to_record(parse_json(text), _Document)
            if document.version != _VERSION:
                raise SpecError("is of another version", path="version", hint=f"this library reads {_VERSION}")
            budget = cls(document.epsilon, document.delta)
            if document.spent:
                budget._total = Composition(tuple(one.to_round() for one in document.spent))
                budget._spent = budget._total.epsilon(budget.delta)
        except SpecError as error:
            problem = f"{error.path}: {error.problem}" if error.path else error.problem
            raise FileFormatError(problem, file=file, hint=error.hint) from None
        except ChannelError as error:
            raise FileFormatError(error.problem, file=file, hint=error.hint) from None
        return budget


# ---------------------------------------------------------------------- documents
class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A frozen record that refuses fields it does not know."""


class _LossDocument(_Struct, frozen=True):
    """A release: its epsilon (none: infinite), and the masses of its losses."""

    times: int
    epsilon: float | None
    exact: bool
    mass: tuple[float, ...]
    loss: tuple[float, ...]
    infinite: float
    slack: float

    def __post_init__(self) -> None:
        if not _is_plausible(self):
            raise SpecError("holds masses of losses that no release has")

    @classmethod
    def of(cls, loss: Loss, times: int) -> Self:
        """Write a release down."""
        pair = loss.pair
        return cls(
            times=times,
            epsilon=loss.epsilon if math.isfinite(loss.epsilon) else None,
            exact=loss.exact,
            mass=tuple(pair.mass.tolist()),
            loss=tuple(pair.loss.tolist()),
            infinite=pair.infinite,
            slack=pair.slack,
        )

    def to_loss(self) -> Loss:
        """Make the release again."""
        pair = Pair(np.array(self.mass), np.array(self.loss), self.infinite, self.slack)
        return Loss(math.inf if self.epsilon is None else self.epsilon, pair=pair, exact=self.exact)


class _RoundDocument(_Struct, frozen=True):
    """Rounds in each of which some of the releases are made."""

    releases: tuple[_LossDocument, ...]
    reported: int
    rounds: int

    def __post_init__(self) -> None:
        if not 1 <= self.reported <= sum(one.times for one in self.releases) or not 1 <= self.rounds <= MAX_TIMES:
            raise SpecError("holds numbers of reports or rounds that cannot be")

    @classmethod
    def of(cls, one: Round) -> Self:
        """Write rounds down."""
        releases = tuple(map(_LossDocument.of, one.losses, one.counts))
        return cls(releases=releases, reported=one.chosen, rounds=one.rounds)

    def to_round(self) -> Round:
        """Make the rounds again."""
        losses = tuple(one.to_loss() for one in self.releases)
        return Round(losses, tuple(one.times for one in self.releases), self.reported, self.rounds)


class _Document(_Struct, frozen=True):
    """A budget."""

    epsilon: float
    delta: float
    spent: tuple[_RoundDocument, ...]
    version: int


def _is_plausible(document: _LossDocument) -> bool:
    """Return whether masses, which may come from anybody, are those of a release with the epsilon beside them."""
    mass, loss = np.array(document.mass), np.array(document.loss)
    if len(mass) != len(loss) or not 1 <= document.times <= MAX_TIMES or not 0 <= document.slack < 1e-6:
        return False
    epsilon = math.inf if document.epsilon is None else document.epsilon
    with np.errstate(over="ignore"):
        other = float((mass * np.exp(-loss)).sum())
    return (
        bool((mass > 0).all() and np.isfinite(loss).all())
        and 0 <= document.infinite <= 1
        and math.isclose(mass.sum() + document.infinite, 1.0, abs_tol=1e-9)
        and other <= 1 + 1e-9
        and loss.max(initial=0.0) <= epsilon + 1e-9
        and (document.infinite == 0 or epsilon > 700)
    )


# ---------------------------------------------------------------------- calibration
def for_total(
    channel: type[Channel],
    epsilon: float,
    *,
    delta: float = 0.0,
    n_features: int,
    n_symbols: int,
    rounds: int = 1,
    reported: int | None = None,
    **parameters: Any,
) -> Channel:
    """Return the least noisy channel of a kind for which a whole record stays within a budget.

    Parameters
    ----------
    channel : type
        A class of channels, for example ``RandomizedResponse``.
    epsilon : float
        What the record may cost, in nats; positive and finite.
    delta : float, optional
        At least 0 and below 1.
    n_features : int
        Features of the record, all with the same channel.
    n_symbols : int
        Symbols of each.
    rounds : int, optional
        How many times the record is encoded.
    reported : int, optional
        How many of the features each round reports; all by default.
    **parameters
        For the channel's ``for_epsilon``.

    Returns
    -------
    Channel
        Its composition was evaluated, and is at most (`epsilon`, `delta`); a report with an epsilon larger by one
        part in 1e8 costs too much. Where the cost jumps, as where the best depth of randomized response changes,
        that holds near the channel only.

    Raises
    ------
    ChannelError
        If an argument is out of its range, or no channel of this kind fits.

    Examples
    --------
    >>> from hashcomb.channels import RandomizedResponse
    >>> fitting = for_total(RandomizedResponse, 8.0, delta=1e-6, n_features=57, n_symbols=16, depth="leaf")
    >>> round(fitting.epsilon, 3), compose([(fitting, 57)]).epsilon(1e-6) <= 8.0
    (0.491, True)
    """
    total, budget = positive(epsilon, "epsilon"), Budget(epsilon, delta)
    features = whole(n_features, "n_features", 1, MAX_TIMES)
    n_symbols, rounds = whole(n_symbols, "n_symbols", 2, MAX_TIMES), whole(rounds, "rounds", 1, MAX_TIMES)
    made = rounds * (features if reported is None else whole(reported, "reported", 1, features))
    known: dict[float, Channel] = {}

    @functools.cache
    def excess(halvings: float) -> float:
        """Return by how much a channel costs too much, at most `total`; that is also for one that cannot be made."""
        try:
            found = channel.for_epsilon(total * 2.0**-halvings, n_symbols, **parameters)
        except ChannelError:
            return total
        known[halvings] = found
        return min(compose([(found, features)], reported=reported, rounds=rounds).epsilon(budget.delta) - total, total)

    halvings, fits = math.log2(made) + _CLOSE, None  # a little less than what adding epsilons allows
    while total * 2.0**-halvings <= _LARGEST:
        if excess(halvings) <= 0:
            fits = halvings
        elif halvings in known:
            break  # it can be made and costs too much, and so do all with a larger epsilon
        halvings -= 1
    if fits is None:
        raise ChannelError("no channel of this kind fits the budget", hint="raise epsilon, or report fewer features")
    return known[crossing(excess, fits - 1, fits, _CLOSE)]


def suggest_reported(epsilon: float, n_features: int) -> int:
    """Return how many of a record's features to report, each with its share of epsilon, rather than all.

    Parameters
    ----------
    epsilon : float
        Budget of a record, in nats; positive and finite.
    n_features : int
        Features of the record.

    Returns
    -------
    int
        As many as have 2.5 nats each, at least 1 and at most all: near the least variance of estimated means
        when a record's budget is split over randomized responses.

    Raises
    ------
    ChannelError
        If an argument is out of its range.

    Examples
    --------
    >>> suggest_reported(8.0, 57), suggest_reported(1.0, 57), suggest_reported(100.0, 7)
    (3, 1, 7)
    """
    features = whole(n_features, "n_features", 1, MAX_TIMES)
    return min(max(int(min(positive(epsilon, "epsilon") / _PER_FEATURE, MAX_TIMES)), 1), features)


def _is_zero(delta: Any) -> bool:
    return not isinstance(delta, bool) and isinstance(delta, int | float | np.number) and delta == 0
