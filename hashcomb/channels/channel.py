"""What every channel can do, and how a Spec's channel is made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashcomb.errors import ChannelError, SpecError
from hashcomb.spec import ChannelSpec, Spec

__all__ = ("Channel", "channels_of", "randomize", "register")

Floats = NDArray[np.float64]


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
    n_symbols: int | None

    @abstractmethod
    def on(self, n_symbols: int) -> Self:
        """Return this channel bound to a number of symbols."""

    @abstractmethod
    def to_spec(self) -> ChannelSpec:
        """Return the part of a Spec that describes this channel."""

    @classmethod
    @abstractmethod
    def from_params(cls, params: dict[str, Any]) -> Self:
        """Make the channel from the parameters in a Spec; raise `ChannelError` if they are not its own."""

    @classmethod
    @abstractmethod
    def for_epsilon(cls, epsilon: float, n_symbols: int) -> Self:
        """Return the least noisy channel of this kind whose exact epsilon is at most `epsilon`."""

    @property
    @abstractmethod
    def epsilon(self) -> float:
        """Exact epsilon of one report, in nats; infinity where there is none."""

    @abstractmethod
    def matrix(self) -> Floats:
        """Return the row-stochastic matrix of the sampler, shape (n_symbols, n_reports)."""

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
            Reported symbols.
        """

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
            Among all such codes, one of least squared norm under a uniform prior.
        """
        matrix = self.matrix()
        weight = np.sqrt(matrix.mean(axis=0))
        scaled = np.divide(matrix, weight, out=np.zeros_like(matrix), where=weight > 0)
        code: Floats = np.linalg.lstsq(scaled, np.asarray(values, dtype=np.float64), rcond=None)[0]
        return np.asarray(np.divide(code, weight, out=np.zeros_like(code), where=weight > 0))

    def expected_error(self, prior: ArrayLike | None = None, values: ArrayLike | None = None) -> float:
        """Return the mean squared error of decoding a report to its posterior mean.

        Parameters
        ----------
        prior : array_like of float, shape (n_symbols,), optional
            Probability of each symbol; uniform by default.
        values : array_like of float, shape (n_symbols,), optional
            Value of each symbol; the centers of equal cells of [0, 1] by default.
        """
        weights = self._prior(prior)
        n = len(weights)
        x = (np.arange(n) + 0.5) / n if values is None else np.asarray(values, dtype=np.float64)
        decoded = x @ self.posterior(weights)
        joint = weights[:, None] * self.matrix()
        return float((joint * (x[:, None] - decoded[None, :]) ** 2).sum())

    def _prior(self, prior: ArrayLike | None) -> Floats:
        n_symbols = self._bound()
        weights = np.full(n_symbols, 1 / n_symbols) if prior is None else np.asarray(prior, dtype=np.float64)
        if weights.shape != (n_symbols,) or not (weights >= 0).all() or not weights.sum() > 0:
            raise ChannelError(f"a prior has {n_symbols} non-negative weights here")
        return np.asarray(weights / weights.sum())

    def _bound(self) -> int:
        if self.n_symbols is None:
            raise ChannelError("the channel has no number of symbols yet", hint="bind it with .on(n_symbols)")
        return self.n_symbols


_KINDS: dict[str, type[Channel]] = {}


def register(cls: type[Channel]) -> type[Channel]:
    """Make a channel class known by its ``kind``; a decorator."""
    _KINDS[cls.kind] = cls
    return cls


def channels_of(spec: Spec) -> tuple[Channel, ...] | None:
    """Return the channel of every feature of a Spec, or None if its tokens are deterministic.

    Raises
    ------
    SpecError
        If the Spec names an unknown channel, or gives one parameters that it cannot have.
    """
    if spec.channel is None:
        return None
    make: Callable[[dict[str, Any]], Channel] | None = None
    if spec.channel.kind in _KINDS:
        make = _KINDS[spec.channel.kind].from_params
    if make is None:
        raise SpecError("is no channel that this library knows", path="channel.kind", hint=f"known: {sorted(_KINDS)}")
    missing = spec.missing == "token"
    try:
        channel = make(spec.channel.params)
        return tuple(channel.on(n_used + missing) for n_used in spec.used_leaves)
    except ChannelError as error:
        raise SpecError(error.problem, path="channel.params", hint=error.hint) from None


def randomize(
    channels: Sequence[Channel],
    used: Sequence[int],
    n_leaves: int,
    leaves: NDArray[np.int32],
    words: NDArray[np.uint64],
) -> NDArray[np.int32]:
    """Send leaves through the channels of their features.

    Parameters
    ----------
    channels : sequence of Channel
        One for each feature, as from `channels_of`.
    used : sequence of int
        How many leaves each feature can fill.
    n_leaves : int
        Leaves of a comb; the leaf of missing values has this number.
    leaves : ndarray of int32, shape (n_rows, n_features)
        What to randomize.
    words : ndarray of uint64, shape (n_rows, n_features)
        One secret random word each.

    Returns
    -------
    ndarray of int32, shape (n_rows, n_features)

    Notes
    -----
    Privacy: each report has its channel's epsilon; features have words of their own, so a record has at most
    the sum of them.
    """
    if all(count == n_leaves for count in used):  # one channel serves all features
        return channels[0].sample(leaves, words)
    reported = np.empty_like(leaves)
    for j, (channel, count) in enumerate(zip(channels, used, strict=True)):
        # The symbol behind the last leaf in use stands for missing values.
        symbols = np.minimum(leaves[:, j], count)
        symbols = channel.sample(np.ascontiguousarray(symbols), np.ascontiguousarray(words[:, j]))
        reported[:, j] = np.where(symbols < count, symbols, n_leaves)
    return reported
