"""Privacy of a client whose reports are opened only in a sum with those of others, by secure aggregation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashcomb.channels import Channel
from hashcomb.channels.channel import positive, whole
from hashcomb.errors import ChannelError
from hashcomb.privacy.exact import order_of, pure_epsilon, renyi
from hashcomb.privacy.sums.blankets import find_blankets
from hashcomb.privacy.sums.moments import HiddenReport, matrix_of
from hashcomb.privacy.sums.slopes import per_squared_distance, refined

__all__ = ("MAX_CLIENTS", "L2Clip", "SumPrivacy")

Floats = NDArray[np.float64]

MAX_CLIENTS = 1 << 17  # of more, so many are counted: fewer never cost less
_MAX_COUNT = 1 << 53
_LEAST = 1e-280  # an entry below it would underflow next to others
_ROUNDING = 1e-12  # more than sums of so many doubles and a logarithm can be wrong: a claim is not below the truth
_REFINED = 3
_ORDERS = tuple(1 + 2.0**k for k in range(-3, 14))


@dataclass(frozen=True, kw_only=True)
class L2Clip:
    """What clients do to their vectors before they quantize them: a bound on what all coordinates change together.

    Parameters
    ----------
    norm : float
        Largest Euclidean norm C of a client's vector.
    coordinate : float
        Each coordinate lies in ``[-coordinate, coordinate]``, after clipping to the norm.
    inputs : tuple of float, optional
        Coordinates that the rows of the channel stand for, in units of `coordinate`, increasing within [-1, 1];
        evenly from -1 to 1 by default.
    on_grid : bool, optional
        Whether every coordinate is one of the inputs, and the vector of those keeps the norm. By default a
        coordinate between two inputs is rounded to one of them at random, without bias.

    Raises
    ------
    ChannelError
        If a parameter is out of its range.
    """

    norm: float
    coordinate: float
    inputs: tuple[float, ...] | None = None
    on_grid: bool = False

    def __post_init__(self) -> None:
        """Refuse parameters that are out of their range; raise `ChannelError`."""
        positive(self.norm, "norm")
        positive(self.coordinate, "coordinate")
        places = np.array(self.inputs if self.inputs is not None else (), dtype=np.float64)
        if not ((np.abs(places) <= 1).all() and (np.diff(places) > 0).all()):
            raise ChannelError("inputs must increase within [-1, 1]")

    def places(self, n_symbols: int) -> Floats:
        """Return the inputs as an array; raise `ChannelError` if there is not one for each of the symbols."""
        if self.inputs is None:
            return np.linspace(-1.0, 1.0, n_symbols) if n_symbols > 1 else np.zeros(1)
        if len(self.inputs) != n_symbols:
            raise ChannelError(f"inputs must be {n_symbols} numbers, one for each symbol of the channel")
        return np.array(self.inputs)


class SumPrivacy:
    """What the sum of many clients' reports tells of any one of them, whatever the data of the others.

    Each of N honest, present clients sends one report of a channel for every coordinate, an integer from 0 to
    n_reports - 1; secure aggregation opens the sums of coordinates and nothing else. Make it with `of`.

    Attributes
    ----------
    n_honest : int
        How many clients add their noise.
    coordinates, rounds : int
        How many sums there are in each round, and how many rounds.
    clip : L2Clip or None
        How the coordinates are bounded together.

    Notes
    -----
    Privacy: neighbors are any two vectors of one client, in all rounds; the sums, taken modulo anything, and
    everything computed from them are covered, also against the clients that are not counted as honest and know
    their own reports. Figures are upper bounds, rounded up. They hold only if the others follow the protocol
    with fresh randomness and nothing but sums is opened: count no client that may drop out or collude.

    The claim is the smaller of ``coordinates * rounds * RDP(alpha)`` and, with a clip,
    ``rounds * K(alpha) * (2 norm / coordinate)**2``, K being the largest divergence per squared distance.
    The proof is in ``docs/proofs/sums.md``.

    References
    ----------
    B. Balle, J. Bell, A. Gascon, K. Nissim, "The privacy blanket of the shuffle model", CRYPTO 2019.
    C. Canonne, G. Kamath, T. Steinke, "The discrete Gaussian for differential privacy", NeurIPS 2020.
    I. Mironov, "Renyi differential privacy", CSF 2017.

    Examples
    --------
    >>> from hashcomb.channels import PoissonBinomial
    >>> channel = PoissonBinomial(0.05, 16).on(8)
    >>> alone, hidden = SumPrivacy.of(channel, 1), SumPrivacy.of(channel, 100)
    >>> round(alone.renyi(2.0), 3), round(hidden.renyi(2.0), 4)
    (0.634, 0.0074)
    """

    def __init__(
        self, matrix: Floats, n_honest: int, hidden: Sequence[HiddenReport], shape: tuple[int, int], clip: L2Clip | None
    ) -> None:
        self.n_honest = n_honest
        self.coordinates, self.rounds = shape
        self.clip = clip
        self._matrix = matrix
        self._hidden = tuple(hidden)
        self._known: dict[float, float] = {}

    @classmethod
    def of(
        cls,
        channel: Channel | ArrayLike,
        n_honest: int,
        *,
        coordinates: int = 1,
        rounds: int = 1,
        clip: L2Clip | None = None,
    ) -> SumPrivacy:
        """Find what hides each report among those of the others.

        Parameters
        ----------
        channel : Channel or array_like of float, shape (n_symbols, n_reports)
            The channel, bound to its symbols, or its row-stochastic matrix. Report j counts j in the sum.
        n_honest : int
            How many clients, the one in question included, are honest and do not drop out; at least 1. Above
            `MAX_CLIENTS`, the claim is that of `MAX_CLIENTS`.
        coordinates : int, optional
            How many coordinates each client reports in each round, with separate randomness.
        rounds : int, optional
            How many rounds the same client takes part in.
        clip : L2Clip, optional
            How the coordinates are bounded together.

        Raises
        ------
        ChannelError
            If the matrix is none, or a number is out of its range.
        """
        matrix = matrix_of(channel)
        count = whole(n_honest, "n_honest", 1, _MAX_COUNT)
        shape = whole(coordinates, "coordinates", 1, _MAX_COUNT), whole(rounds, "rounds", 1, _MAX_COUNT)
        if clip is not None:
            clip.places(len(matrix))
        return cls(matrix, count, _hidden(matrix, min(count, MAX_CLIENTS) - 1), shape, clip)

    def local(self, alpha: float) -> float:
        """Return what one report costs by itself, one coordinate in one round: the Renyi divergence of the channel.

        Parameters
        ----------
        alpha : float
            Order, above 1 and finite.

        Raises
        ------
        ChannelError
            If the order is none.
        """
        return renyi(self._matrix, order_of(alpha)) + _ROUNDING

    def renyi(self, alpha: float) -> float:
        """Return an upper bound of the Renyi divergence of order `alpha`, over all coordinates and rounds.

        Parameters
        ----------
        alpha : float
            Order, above 1 and finite.

        Returns
        -------
        float
            In nats, at least 0; infinity where the channel by itself has no finite one.

        Raises
        ------
        ChannelError
            If the order is none.
        """
        order = order_of(alpha)
        if order not in self._known:
            self._known[order] = self._renyi(order)
        return self._known[order]

    def _renyi(self, alpha: float) -> float:
        pairs = [_divergences(hidden, alpha) for hidden in self._hidden]
        each = self.coordinates * min((float(divergences.max()) for divergences in pairs), default=math.inf)
        joint = math.inf
        if self.clip is not None and pairs:
            distance = 2 * self.clip.norm / self.clip.coordinate
            joint = distance**2 * min(self._per_squared_distances(pairs, alpha, self.clip))
        return self.rounds * min(each, joint) * (1 + _ROUNDING)

    def _per_squared_distances(self, pairs: list[Floats], alpha: float, clip: L2Clip) -> Iterator[float]:
        """Yield K of one coordinate, in units of its clip, as far as each blanket can tell."""
        inputs = clip.places(len(self._matrix))
        if clip.on_grid or len(inputs) == 1:
            apart = inputs[:, None] - inputs + np.eye(len(inputs))
            yield from (float((divergences / apart**2).max()) for divergences in pairs)
            return
        matrix, points = refined(self._matrix, inputs)
        for hidden in self._hidden:
            between = hidden.of(matrix)
            slopes = between.log_slopes(alpha, points)
            yield per_squared_distance(slopes, _divergences(between, alpha), alpha, points)

    def epsilon(self, delta: float) -> float:
        """Return an epsilon for which all that is opened is (epsilon, delta)-differentially private for a client.

        Parameters
        ----------
        delta : float
            Above 0 and below 1.

        Raises
        ------
        ChannelError
            If `delta` is out of its range.
        """
        log = math.log(positive(delta, "delta", below=1.0))

        def at(alpha: float) -> float:
            return self.renyi(alpha) + math.log1p(-1 / alpha) - (log + math.log(alpha)) / (alpha - 1)

        return max(0.0, _least(at) * (1 + _ROUNDING) + _ROUNDING)

    def delta(self, epsilon: float) -> float:
        """Return a delta for which all that is opened is (epsilon, delta)-differentially private for a client.

        Parameters
        ----------
        epsilon : float
            Positive and finite.

        Raises
        ------
        ChannelError
            If `epsilon` is out of its range.
        """
        limit = positive(epsilon, "epsilon")

        def at(alpha: float) -> float:
            return (alpha - 1) * (self.renyi(alpha) - limit + math.log1p(-1 / alpha) + _ROUNDING) - math.log(alpha)

        return min(1.0, math.exp(min(0.0, _least(at))) * (1 + _ROUNDING))


def _divergences(hidden: HiddenReport, alpha: float) -> Floats:
    divergences = np.maximum(hidden.log_moments(alpha) / (alpha - 1), 0.0)
    np.fill_diagonal(divergences, 0.0)
    return np.asarray(divergences)


def _hidden(matrix: Floats, n_others: int) -> list[HiddenReport]:
    """Return what the report may hide under; nothing where one report alone can exclude a symbol."""
    if math.isinf(pure_epsilon(matrix)):
        return []
    blankets = find_blankets(matrix) if n_others and matrix[matrix > 0].min() >= _LEAST else ()
    return [HiddenReport(matrix, n_others, blanket) for blanket in blankets] or [HiddenReport(matrix, 0, None)]


def _least(at: Callable[[float], float]) -> float:
    """Return the least value found over orders: any order is valid, so the search need not be perfect."""
    values: list[float] = []
    for order in _ORDERS:
        values.append(at(order))
        if math.isinf(values[-1]) or (len(values) > 2 and values[-3] < values[-2] < values[-1]):
            break
    best = int(np.argmin(values))
    middle, step = math.log(_ORDERS[best] - 1), math.log(2) / 2
    least = values[best]
    for _ in range(_REFINED):
        for trial in (middle - step, middle + step):
            value = at(1 + math.exp(trial))
            if value < least:
                least, middle = value, trial
        step /= 2
    return least
