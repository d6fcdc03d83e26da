"""The Poisson binomial mechanism (Chen et al. 2022): a binomial count whose mean is the value."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import numpy as np

from hashcomb.channels.channel import Floats, positive, whole
from hashcomb.channels.of_spec import register
from hashcomb.channels.table import IntegerTable, TableChannel
from hashcomb.errors import ChannelError

__all__ = ("PoissonBinomial",)

_MAX_TRIALS = 1 << 10


@register
class PoissonBinomial(TableChannel):
    """Report the number of heads in m tosses of a coin that is biased by the value.

    A value u in [-1, 1] reports Bin(m, 1/2 + theta u). Meant for sums over many clients: the sum of reports is
    an unbiased estimate of the sum of values, and the noise of all hides each.

    Parameters
    ----------
    theta : float
        Bias at the ends of the range, above 0 and below 1/2.
    n_trials : int
        Tosses m, 1 to 1024; there are m + 1 reports.
    n_symbols : int, optional
        Number of leaves, at least 2; leaf i stands for ``2 i / (n_symbols - 1) - 1``. `on` sets it later.

    Raises
    ------
    ChannelError
        If a parameter is out of its range.

    Notes
    -----
    Privacy: `epsilon` is exact for the table. It is m ln((1/2 + theta) / (1/2 - theta)), or less where tosses are so
    many that the table rounds the rarest counts up to its least unit.

    References
    ----------
    W.-N. Chen, A. Özgür, P. Kairouz, "The Poisson binomial mechanism for unbiased federated learning with
    secure aggregation", ICML 2022.

    Examples
    --------
    >>> channel = PoissonBinomial.for_epsilon(2.0, 16, n_trials=8)
    >>> channel.n_reports, round(channel.epsilon, 6)
    (9, 2.0)
    """

    kind: ClassVar[str] = "poisson_binomial"
    parameters: ClassVar[tuple[str, ...]] = ("theta", "n_trials")
    required: ClassVar[tuple[str, ...]] = ("theta", "n_trials")
    beside: ClassVar[tuple[str, ...]] = ("n_trials",)

    def __init__(self, theta: float, n_trials: int, n_symbols: int | None = None) -> None:
        self.theta = positive(theta, "theta", below=0.5)
        self.n_trials = whole(n_trials, "n_trials", 1, _MAX_TRIALS)
        self._bind(n_symbols)

    def _width(self, _: int) -> int:
        return self.n_trials + 1

    def _make_table(self, n_symbols: int) -> IntegerTable:
        heads = 0.5 + self.theta * np.linspace(-1, 1, n_symbols)
        return IntegerTable(_binomial(self.n_trials, heads[:, None]))

    @classmethod
    def for_epsilon(cls, epsilon: float, n_symbols: int, *, n_trials: int = 16, **parameters: Any) -> Self:
        """Return the Poisson binomial channel with theta = tanh(epsilon / 2m) / 2, or just below.

        Parameters
        ----------
        epsilon : float
            In nats; positive and finite.
        n_symbols : int
            Number of leaves.
        n_trials : int, optional
            Tosses.
        **parameters
            None further.

        Raises
        ------
        ChannelError
            If the table cannot realize epsilon.
        """
        cls.check_beside_epsilon(parameters)
        wanted, trials = positive(epsilon, "epsilon"), whole(n_trials, "n_trials", 1, _MAX_TRIALS)
        back = 0.0
        while back < wanted / 2:
            theta = min(math.tanh((wanted - back) / (2 * trials)) / 2, 0.5 - 1e-15)
            channel = cls(theta, trials, n_symbols, **parameters)
            excess = channel.epsilon - wanted
            if excess <= 0:
                return channel
            back = 2 * max(back, excess)
        raise ChannelError("epsilon is outside what a table can realize here", hint="choose another, or fewer trials")


def _binomial(n_trials: int, heads: Floats) -> Floats:
    """Return the probabilities of 0 to `n_trials` heads, one row for each coin."""
    count = np.arange(n_trials + 1)
    ways = np.array([math.log(math.comb(n_trials, k)) for k in count.tolist()])
    return np.asarray(np.exp(ways + count * np.log(heads) + (n_trials - count) * np.log1p(-heads)))
