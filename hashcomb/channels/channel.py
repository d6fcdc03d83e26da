"""What every channel can do."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashcomb.errors import ChannelError
from hashcomb.spec import ChannelSpec

__all__ = ("Channel", "numbers", "positive", "row_stochastic", "whole")

Floats = NDArray[np.float64]

_SUM_ERROR = 1e-9
_BIASED = 1e-8  # how far the mean of a code that is called unbiased may be off, in parts of the values' range


class Channel(ABC):
    """A randomizer of leaves: a row-stochastic matrix ``P[i, j] = Pr[report j | true i]``.

    A channel is made with its parameters and then bound to a number of symbols by `on`; the symbols are the
    leaves that a feature can fill and, last, the one for missing values where the Spec gives it.

    Notes
    -----
    Privacy: `epsilon` bounds what one report tells about one value, against anybody, key holders included.
    Neighbors are any two values. Everything computed from reports (tokens, paths, decoding) is at most as
    telling. The bound is exact for the integer tables that the sampler uses.
    """

    kind: ClassVar[str]
    parameters: ClassVar[tuple[str, ...]] = ("epsilon",)
    required: ClassVar[tuple[str, ...]] = ("epsilon",)
    beside: ClassVar[tuple[str, ...] | None] = None  # what `for_epsilon` takes; by default the other parameters
    asked: float
    n_symbols: int | None = None
    has_missing: bool = False

    @abstractmethod
    def on(self, n_symbols: int, *, missing: bool = False, ordered: bool = True) -> Self:
        """Return this channel bound to a number of symbols.

        Parameters
        ----------
        n_symbols : int
            How many there are, that of missing values among them.
        missing : bool, optional
            Whether the last symbol stands for missing values.
        ordered : bool, optional
            Whether the others are the leaves of a comb, in order; categories are not.

        Raises
        ------
        ChannelError
            If the channel cannot have such symbols.
        """

    def to_spec(self) -> ChannelSpec:
        """Return the part of a Spec that describes this channel."""
        return ChannelSpec(kind=self.kind, params=self._given())

    def spec_for(self, n_leaves: int) -> ChannelSpec:  # noqa: ARG002 some kinds need it
        """Return the part of a Spec with combs of so many leaves, with whatever a solver would choose written out."""
        return self.to_spec()

    def _given(self) -> dict[str, Any]:
        """Return the parameters, as the constructor takes them; those that are None are left out."""
        # `epsilon` is the exact one of the bound channel; the constructor takes the one that was asked for.
        given = {name: getattr(self, "asked" if name == "epsilon" else name) for name in self.parameters}
        return {name: value for name, value in given.items() if value is not None}

    @classmethod
    def from_params(cls, params: dict[str, Any]) -> Self:
        """Make the channel from the parameters in a Spec; raise `ChannelError` if they are not its own."""
        cls.check_names(params)
        return cls(**params)

    @classmethod
    def check_names(cls, params: dict[str, Any]) -> None:
        """Raise `ChannelError` if these are not the names of this kind's parameters."""
        missing, unknown = {*cls.required} - {*params}, {*params} - {*cls.parameters}
        if missing or unknown:
            problem = f"needs {_listed(sorted(missing))}" if missing else f"has no parameter {min(unknown)!r}"
            hint = f"it has the parameters {_listed(cls.parameters)}, and needs {_listed(cls.required)}"
            raise ChannelError(f"{cls.kind} {problem}", hint=hint)

    @classmethod
    def for_epsilon(cls, epsilon: float, n_symbols: int, **parameters: Any) -> Self:
        """Return the least noisy channel of this kind whose exact epsilon is at most `epsilon`.

        Parameters
        ----------
        epsilon : float
            In nats; positive and finite.
        n_symbols : int
            Number of symbols.
        **parameters
            Further parameters of the kind.

        Raises
        ------
        ChannelError
            If there is none: epsilon is out of range, or this kind has no epsilon to choose.
        """
        cls.check_beside_epsilon(parameters)
        if "epsilon" not in cls.required:
            raise ChannelError(f"{cls.kind} has no epsilon to choose", hint="use a channel of another kind")
        return cls(epsilon=epsilon, **parameters).on(n_symbols)  # type: ignore[call-arg]

    @classmethod
    def check_beside_epsilon(cls, parameters: Iterable[str]) -> None:
        """Raise `ChannelError` if `for_epsilon` does not take these names: unknown, or what follows from epsilon."""
        allowed = [name for name in cls.parameters if name != "epsilon"] if cls.beside is None else cls.beside
        if unknown := {*parameters} - {*allowed}:
            problem = f"{cls.kind} has no parameter {min(unknown)!r} beside epsilon"
            raise ChannelError(problem, hint=f"it takes {_listed(allowed)} alone")

    # ------------------------------------------------------------------ the law
    @property
    @abstractmethod
    def epsilon(self) -> float:
        """Exact epsilon of one report, in nats; infinity where there is none."""

    @property
    @abstractmethod
    def n_reports(self) -> int:
        """Number of different reports."""

    @abstractmethod
    def matrix(self) -> Floats:
        """Return the row-stochastic matrix of the sampler, shape (n_symbols, n_reports)."""

    def report_sets(self) -> NDArray[np.int64] | None:
        """Return the symbols that each report stands for, first and one behind the last, shape (n_reports, 2).

        None where reports are numbers of another kind, and only `posterior` and `unbiased_code` read them.
        """
        return None

    @cached_property
    def reports_symbols(self) -> bool:
        """Whether report `j` means symbol `j`, so that it can be encoded like a true leaf."""
        sets = self.report_sets()
        if sets is None or self.n_reports != self.n_symbols:
            return False
        return bool((sets[:, 0] == np.arange(len(sets))).all() and (sets[:, 1] == sets[:, 0] + 1).all())

    def worst_pair(self) -> Floats | None:
        """Return two laws whose privacy loss dominates that of every ordered pair of symbols, shape (2, n).

        None where there is no closed form, and the pairs of `matrix` must be searched.
        """
        return None

    @abstractmethod
    def sample(self, symbols: NDArray[np.int32], words: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Randomize symbols with one secret random word each.

        Parameters
        ----------
        symbols : ndarray of int32, any shape
            True symbols.
        words : ndarray of uint64, same shape
            Uniform and secret.

        Returns
        -------
        ndarray of int32, same shape
            Reports, from 0 to ``n_reports - 1``.
        """

    # ------------------------------------------------------------------ reading reports
    def posterior(self, prior: ArrayLike | None = None) -> Floats:
        """Return ``Pr[true i | report j]``, shape (n_symbols, n_reports), for a prior (uniform by default)."""
        joint = self._prior(prior)[:, None] * self.matrix()
        total = joint.sum(axis=0)
        return np.asarray(np.divide(joint, total, out=np.zeros_like(joint), where=total > 0))

    def unbiased_code(self, values: ArrayLike) -> Floats:
        """Return what to decode each report to, so that the mean over reports is the true value.

        Parameters
        ----------
        values : array_like of float, shape (n_symbols,)
            Value of each symbol.

        Returns
        -------
        ndarray of float64, shape (n_reports,)
            Among all such codes, the one of least variance under a uniform prior.

        Raises
        ------
        ChannelError
            If there are not as many values as symbols, or there is no such code, because some symbols have the
            same law or one of their mixtures has.
        """
        matrix, x = self.matrix(), _values(values, self._bound())
        span = float(np.ptp(x)) or 1.0
        wanted = (x - x[0]) / span  # of order one, whatever the unit; a code of these is shifted and scaled back
        weight = np.sqrt(matrix.mean(axis=0))
        scaled = np.divide(matrix, weight, out=np.zeros_like(matrix), where=weight > 0)
        code: Floats = np.linalg.lstsq(scaled, wanted, rcond=None)[0]
        code = np.divide(code, weight, out=np.zeros_like(code), where=weight > 0)
        if np.abs(matrix @ code - wanted).max() > _BIASED:
            raise ChannelError(
                "no code of these reports is unbiased: they do not tell the symbols apart",
                hint="decode with the posterior mean, or choose another channel or depth",
            )
        return np.asarray(x[0] + span * code)

    def expected_error(self, prior: ArrayLike | None = None, values: ArrayLike | None = None) -> float:
        """Return the mean squared error of decoding a report to its posterior mean.

        Parameters
        ----------
        prior : array_like of float, shape (n_symbols,), optional
            Probability of each symbol; uniform by default.
        values : array_like of float, shape (n_symbols,), optional
            Value of each symbol; the centers of equal cells of [0, 1] by default.

        Raises
        ------
        ChannelError
            If the prior is none, or there are not as many values as symbols.
        """
        weights = self._prior(prior)
        n = len(weights)
        x = (np.arange(n) + 0.5) / n if values is None else _values(values, n)
        decoded = x @ self.posterior(weights)
        joint = weights[:, None] * self.matrix()
        return float((joint * (x[:, None] - decoded[None, :]) ** 2).sum())

    def _prior(self, prior: ArrayLike | None) -> Floats:
        n_symbols = self._bound()
        weights = np.full(n_symbols, 1 / n_symbols) if prior is None else numbers(prior)
        if weights.shape != (n_symbols,) or not (weights >= 0).all() or not 0 < weights.sum() < math.inf:
            raise ChannelError(f"a prior has {n_symbols} non-negative weights here")
        return np.asarray(weights / weights.sum())

    def _bound(self) -> int:
        if self.n_symbols is None:
            raise ChannelError("the channel has no number of symbols yet", hint="bind it with .on(n_symbols)")
        return self.n_symbols

    def __repr__(self) -> str:
        given = {name: value if not isinstance(value, tuple) else "..." for name, value in self._given().items()}
        shown = ", ".join(f"{name}={value!r}" for name, value in {**given, "n_symbols": self.n_symbols}.items())
        return f"{type(self).__name__}({shown})"


def numbers(values: ArrayLike) -> Floats:
    """Return values as doubles; raise `ChannelError` if they are no numbers."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ChannelError("these are no numbers") from None


def row_stochastic(values: ArrayLike, name: str) -> Floats:
    """Return a matrix of doubles; raise `ChannelError` if it is none whose rows are probabilities, within 1e-9."""
    matrix = numbers(values)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ChannelError(f"{name} must be a matrix with at least one row and one column")
    if not np.isfinite(matrix).all() or (matrix < 0).any():
        raise ChannelError(f"{name} must have finite entries, and none below zero")
    if np.abs(matrix.sum(axis=1) - 1).max() > _SUM_ERROR:
        raise ChannelError(f"every row of {name} must sum to one")
    return matrix


def _values(values: ArrayLike, n_symbols: int) -> Floats:
    x = numbers(values)
    if x.shape != (n_symbols,) or not np.isfinite(x).all() or not math.isfinite(float(np.ptp(x))):
        raise ChannelError(f"{n_symbols} finite values are needed, one for each symbol")
    return x


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _is_number(value: Any) -> bool:
    plain = isinstance(value, int | float | np.integer | np.floating)
    return plain and not isinstance(value, bool | np.timedelta64)  # which are whole numbers to Python and to NumPy


def positive(value: Any, name: str, *, below: float = math.inf) -> float:
    """Return a parameter as a float; raise `ChannelError` if it is no number above 0 and below a limit."""
    if not _is_number(value) or not 0 < value < below or value > 1.7e308:
        wanted = "positive and finite" if below == math.inf else f"above 0 and below {below:g}"
        raise ChannelError(f"{name} must be a number, {wanted}")
    return float(value)


def whole(value: Any, name: str, low: int, high: int) -> int:
    """Return a parameter as an int; raise `ChannelError` if it is no whole number from `low` to `high`."""
    if not _is_number(value) or not low <= value <= high or int(value) != value:
        raise ChannelError(f"{name} must be a whole number from {low} to {high}")
    return int(value)
