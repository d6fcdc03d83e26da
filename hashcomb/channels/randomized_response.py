"""k-ary randomized response (Warner 1965; Kairouz, Bonawitz and Ramage 2016)."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hashcomb import kernels
from hashcomb.channels.channel import Channel, Floats, register
from hashcomb.errors import ChannelError
from hashcomb.spec import ChannelSpec

__all__ = ("RandomizedResponse",)

_UNIT = 1 << 32


@register
class RandomizedResponse(Channel):
    """Report the true symbol, or with some probability a uniformly random one.

    Parameters
    ----------
    epsilon : float
        Wanted epsilon of one report, in nats; positive and finite.
    n_symbols : int, optional
        Number of symbols, at least 2; `on` sets it later.

    Raises
    ------
    ChannelError
        If epsilon is not positive and finite, beyond what 32-bit thresholds can tell from no noise at all
        (about 22 + ln k), or so small that they cannot tell it from pure noise (below about k / 2**32).

    Notes
    -----
    A 64-bit word decides: the true symbol is kept if the high half is below an integer threshold T, else the
    low half, scaled to k, is the report. `matrix` and `epsilon` count those integers, so they are exact for
    the sampler; T is the largest with ``epsilon <= asked``.

    Privacy: ``epsilon``-differentially private for one report, neighbors being any two values; exact.

    References
    ----------
    S. L. Warner, "Randomized response", JASA 60 (1965).
    P. Kairouz, K. Bonawitz, D. Ramage, "Discrete distribution estimation under local privacy", ICML 2016.

    Examples
    --------
    >>> channel = RandomizedResponse(2.0).on(16)
    >>> round(channel.epsilon, 6), channel.epsilon <= 2.0
    (2.0, True)
    """

    kind: ClassVar[str] = "randomized_response"

    def __init__(self, epsilon: float, n_symbols: int | None = None) -> None:
        if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not 0 < epsilon < math.inf:
            raise ChannelError("epsilon must be a positive, finite number")
        if n_symbols is not None and not 2 <= n_symbols <= (1 << 20) + 1:
            raise ChannelError("randomized response needs 2 to 2**20 + 1 symbols")
        self.asked, self.n_symbols = float(epsilon), n_symbols
        self.keep = 0 if n_symbols is None else _threshold(self.asked, n_symbols)

    def on(self, n_symbols: int) -> RandomizedResponse:
        """Return this channel bound to a number of symbols."""
        return RandomizedResponse(self.asked, n_symbols)

    def to_spec(self) -> ChannelSpec:
        """Return the part of a Spec that describes this channel."""
        return ChannelSpec(kind=self.kind, params={"epsilon": self.asked})

    @classmethod
    def from_params(cls, params: dict[str, Any]) -> RandomizedResponse:
        """Make the channel from the parameters in a Spec; raise `ChannelError` if they are not its own."""
        if set(params) != {"epsilon"}:
            raise ChannelError("randomized response has exactly one parameter, epsilon")
        return cls(params["epsilon"])

    @classmethod
    def for_epsilon(cls, epsilon: float, n_symbols: int) -> RandomizedResponse:
        """Return the least noisy randomized response whose exact epsilon is at most `epsilon`."""
        return cls(epsilon, n_symbols)

    @property
    def epsilon(self) -> float:
        """Exact epsilon of one report, in nats."""
        n_symbols = self._bound()
        return _epsilon(self.keep, n_symbols)

    def matrix(self) -> Floats:
        """Return the row-stochastic matrix of the sampler, shape (n_symbols, n_symbols)."""
        n_symbols = self._bound()
        others = (_UNIT - self.keep) / _UNIT * _counts(n_symbols) / _UNIT
        return np.tile(others, (n_symbols, 1)) + np.eye(n_symbols) * (self.keep / _UNIT)

    def sample(self, symbols: NDArray[np.int32], words: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Randomize symbols with one secret random word each; shapes as in `Channel.sample`."""
        n_symbols, out = self._bound(), np.empty(symbols.size, dtype=np.int32)
        kernel = kernels.choose(symbols.size)
        kernel.randomized_response(symbols.reshape(-1), words.reshape(-1), self.keep, n_symbols, out)
        return out.reshape(symbols.shape)

    def __repr__(self) -> str:
        return f"RandomizedResponse(epsilon={self.asked!r}, n_symbols={self.n_symbols!r})"


def _counts(n_symbols: int) -> NDArray[np.int64]:
    """Count the 32-bit words ``w`` with ``w * n_symbols >> 32 == j``, for every j."""
    starts = -(-(np.arange(n_symbols + 1, dtype=np.int64) * _UNIT) // n_symbols)
    return np.diff(starts)


def _epsilon(keep: int, n_symbols: int) -> float:
    # The column with the fewest words has the largest ratio, 1 + T 2^32 / ((2^32 - T) c).
    fewest = _UNIT // n_symbols
    ratio = Fraction(keep * _UNIT, (_UNIT - keep) * fewest)
    # Rounded up, past the error of log1p: a claim must not be below the truth in the last place either.
    return math.nextafter(math.nextafter(math.log1p(ratio), math.inf), math.inf)


def _threshold(epsilon: float, n_symbols: int) -> int:
    """Find the largest threshold whose exact epsilon is not above the one asked for."""
    low, high = 0, _UNIT - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _epsilon(middle, n_symbols) <= epsilon else (low, middle - 1)
    if low == 0 or low == _UNIT - 1:
        raise ChannelError(
            f"epsilon is outside what this channel can realize on {n_symbols} symbols",
            hint=f"choose one from {_epsilon(1, n_symbols):.3g} to {_epsilon(_UNIT - 2, n_symbols):.4g}",
        )
    return low
