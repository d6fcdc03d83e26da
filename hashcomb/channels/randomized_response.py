"""k-ary randomized response (Warner 1965; Kairouz, Bonawitz and Ramage 2016) at the right depth of the comb."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from hashcomb import kernels
from hashcomb.channels.channel import Channel, Floats, positive, whole
from hashcomb.channels.of_spec import register
from hashcomb.channels.table import upper_log
from hashcomb.errors import ChannelError

__all__ = ("RandomizedResponse",)

_UNIT = 1 << 32
_MAX_DEPTH = 20


@register
class RandomizedResponse(Channel):
    """Report the true node, or with some probability a uniformly random one of its level.

    Parameters
    ----------
    epsilon : float
        Wanted epsilon of one report, in nats; positive and finite.
    n_symbols : int, optional
        Number of symbols, at least 2; `on` sets it later.
    depth : {"auto", "leaf"} or int, optional
        Level of the comb whose nodes are reported: that of the leaves, a coarser one, or (default) the one
        with the best `aim`. Few, certain nodes tell more than many, uncertain ones. Categories, and symbols
        that are no power of two, are always reported as they are.
    aim : {"error", "information"}, optional
        What ``depth="auto"`` looks for, with a uniform value: the least mean squared error of decoding to the
        posterior mean, or the most information about the leaf.

    Raises
    ------
    ChannelError
        If epsilon is not positive and finite, beyond what 32-bit thresholds can tell from no noise at all
        (about 22 + ln k), or so small that they cannot tell it from pure noise (below about k / 2**32); if the
        depth is not one of the comb.

    Notes
    -----
    A 64-bit word decides: the true node is kept if the high half is below an integer threshold T, else the
    low half, scaled to the number of nodes, is the report. `matrix` and `epsilon` count those integers, so they
    are exact for the sampler; T is the largest with ``epsilon <= asked``.

    Privacy: ``epsilon``-differentially private for one report, neighbors being any two values; exact.

    References
    ----------
    S. L. Warner, "Randomized response", JASA 60 (1965).
    P. Kairouz, K. Bonawitz, D. Ramage, "Discrete distribution estimation under local privacy", ICML 2016.

    Examples
    --------
    >>> channel = RandomizedResponse(2.0, depth="leaf").on(16)
    >>> channel.n_reports, round(channel.epsilon, 6), channel.epsilon <= 2.0
    (16, 2.0, True)
    >>> RandomizedResponse(2.0).on(16).n_reports
    2
    """

    kind: ClassVar[str] = "randomized_response"
    parameters: ClassVar[tuple[str, ...]] = ("epsilon", "depth", "aim")

    def __init__(
        self,
        epsilon: float,
        n_symbols: int | None = None,
        *,
        depth: Literal["auto", "leaf"] | int = "auto",
        aim: Literal["error", "information"] = "error",
    ) -> None:
        self.asked = positive(epsilon, "epsilon")
        if not isinstance(aim, str) or aim not in ("error", "information"):
            raise ChannelError("aim must be 'error' or 'information'")
        if not isinstance(depth, str):
            depth = whole(depth, "depth", 1, _MAX_DEPTH)
        elif depth not in ("auto", "leaf"):
            raise ChannelError("depth must be 'auto', 'leaf' or the number of a level")
        self.depth, self.aim = depth, aim
        if n_symbols is not None:
            self._bind(n_symbols, missing=False, ordered=True)

    def _bind(self, n_symbols: int, *, missing: bool, ordered: bool) -> None:
        n_symbols = whole(n_symbols, "the number of symbols", 2, (1 << _MAX_DEPTH) + 1)
        n_values = n_symbols - missing
        self.n_symbols, self.has_missing = n_symbols, missing
        is_comb = ordered and n_values > 1 and n_values & (n_values - 1) == 0
        levels = n_values.bit_length() - 1
        self.shift = levels - self._level(levels, missing) if is_comb else 0
        if not is_comb and isinstance(self.depth, int) and ordered:
            raise ChannelError(
                f"{n_values} symbols are no leaves of a comb, and have no level {self.depth}",
                hint="use depth='leaf', or 2**depth symbols",
            )
        self._n_nodes = (n_values >> self.shift) + missing
        self.keep = _threshold(self.asked, self._n_nodes)

    def _level(self, levels: int, missing: bool) -> int:
        if self.depth == "leaf":
            return levels
        if self.depth == "auto":
            return _best_level(levels, missing, self.asked, self.aim)
        return whole(self.depth, "depth", 1, levels)

    def _given(self) -> dict[str, Any]:
        given = super()._given()
        return given if self.depth == "auto" else {name: given[name] for name in given if name != "aim"}

    @classmethod
    def from_params(cls, params: dict[str, Any]) -> Self:
        """Make the channel from the parameters in a Spec; without a depth, leaves are reported."""
        return super().from_params({"depth": "leaf", **params})

    def on(self, n_symbols: int, *, missing: bool = False, ordered: bool = True) -> Self:
        """Return this channel bound to a number of symbols; raise `ChannelError` if it cannot have such."""
        bound = type(self)(self.asked, depth=self.depth, aim=self.aim)
        bound._bind(n_symbols, missing=missing, ordered=ordered)
        return bound

    # ------------------------------------------------------------------ the law
    @property
    def n_reports(self) -> int:
        """Number of different reports: the nodes of the level, and that of missing values."""
        self._bound()
        return self._n_nodes

    @property
    def epsilon(self) -> float:
        """Exact epsilon of one report, in nats."""
        self._bound()
        return _epsilon(self.keep, self._n_nodes)

    def matrix(self) -> Floats:
        """Return the row-stochastic matrix of the sampler, shape (n_symbols, n_reports)."""
        nodes = np.arange(self._bound()) >> self.shift
        others = (_UNIT - self.keep) / _UNIT * _counts(self._n_nodes) / _UNIT
        return np.asarray(others + np.eye(self._n_nodes)[nodes] * (self.keep / _UNIT))

    def report_sets(self) -> NDArray[np.int64]:
        """Return the symbols that each report stands for, shape (n_reports, 2)."""
        first = np.arange(self.n_reports) << self.shift
        return np.column_stack([first, np.minimum(first + (1 << self.shift), self._bound())])

    def worst_pair(self) -> Floats:
        """Return the laws of two nodes that have the fewest words, in three columns; they dominate all pairs.

        A pair's divergences depend on the words of its two nodes alone, and fall with them.
        """
        noise = (_UNIT - self.keep) / _UNIT * (_UNIT // self.n_reports) / _UNIT
        kept = self.keep / _UNIT + noise
        rest = max(0.0, 1 - kept - noise)
        return np.array([[kept, noise, rest], [noise, kept, rest]])

    def sample(self, symbols: NDArray[np.int32], words: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Randomize symbols with one secret random word each; shapes as in `Channel.sample`."""
        n_reports, out = self.n_reports, np.empty(symbols.size, dtype=np.int32)
        nodes = (symbols >> self.shift if self.shift else symbols).reshape(-1)
        kernels.choose(symbols.size).randomized_response(nodes, words.reshape(-1), self.keep, n_reports, out)
        return out.reshape(symbols.shape)


# ---------------------------------------------------------------------- the best level
def _best_level(levels: int, missing: bool, epsilon: float, aim: str) -> int:
    """Return the level with the best aim."""
    score = _error if aim == "error" else _ignorance
    scores = [score(1 << level, missing, epsilon) for level in range(1, levels + 1)]
    least = min(scores)
    # A tie within rounding goes to the coarser level, so that two machines choose alike.
    return 1 + next(i for i, value in enumerate(scores) if value <= least + 1e-12)


def _error(n_blocks: int, missing: bool, epsilon: float) -> float:
    """Return the mean squared error for a uniform value in [0, 1] that is not missing."""
    low = math.exp(-epsilon)
    kept = (1 - low) ** 2 / ((1 + (n_blocks - 1) * low) * (1 + (n_blocks + missing - 1) * low))
    return (1 - kept * (1 - n_blocks**-2)) / 12


def _ignorance(n_blocks: int, missing: bool, epsilon: float) -> float:
    """Return minus the information of a report about a uniform symbol, in nats."""
    n = n_blocks + missing
    other = math.exp(-epsilon) / (1 + (n - 1) * math.exp(-epsilon))
    stay = 1 - (n - 1) * other
    noise = (n - 1) * other * math.log(other) if other > 0 else 0.0
    return -(math.log(n) + stay * math.log(stay) + noise)


# ---------------------------------------------------------------------- integers
def _counts(n_symbols: int) -> NDArray[np.int64]:
    """Count the 32-bit words ``w`` with ``w * n_symbols >> 32 == j``, for every j."""
    starts = -(-(np.arange(n_symbols + 1, dtype=np.int64) * _UNIT) // n_symbols)
    return np.diff(starts)


def _epsilon(keep: int, n_symbols: int) -> float:
    # The column with the fewest words has the largest ratio, 1 + T 2^32 / ((2^32 - T) c).
    fewest = (_UNIT - keep) * (_UNIT // n_symbols)
    return upper_log(fewest + keep * _UNIT, fewest)


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
