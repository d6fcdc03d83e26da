"""The geometric channel: noise that falls off with the distance of leaves."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from hashcomb.channels.channel import Floats, positive
from hashcomb.channels.of_spec import register
from hashcomb.channels.table import IntegerTable, TableChannel, fit, own_sets, upper_log
from hashcomb.errors import ChannelError

__all__ = ("Geometric",)


@register
class Geometric(TableChannel):
    """Report leaf j with probability proportional to a**|i - j|: near leaves are hidden better than far ones.

    For equal epsilon other channels have less error; choose this one where protection may depend on the
    distance of values (metric privacy): leaves m steps apart differ by at most ``m * step_epsilon``.

    Parameters
    ----------
    epsilon : float
        Wanted epsilon of one report between any two values, in nats; positive and finite.
    n_symbols : int, optional
        Number of leaves, at least 2; `on` sets it later.
    ends : {"clamp", "renormalize"}, optional
        What happens to noise beyond the ends: it is reported as the end (default, less error), or the row is
        scaled to one.

    Raises
    ------
    ChannelError
        If a parameter is out of its range, or the table cannot realize epsilon.

    Notes
    -----
    Privacy: ``epsilon``-differentially private for one report, neighbors being any two values; exact. For
    values of neighboring leaves the bound is `step_epsilon`.

    References
    ----------
    A. Ghosh, T. Roughgarden, M. Sundararajan, "Universally utility-maximizing privacy mechanisms", STOC 2009.
    K. Chatzikokolakis, M. Andrés, N. Bordenabe, C. Palamidessi, "Broadening the scope of differential privacy
    using metrics", PETS 2013.

    Examples
    --------
    >>> channel = Geometric(7.0).on(8)
    >>> round(channel.step_epsilon, 6), channel.epsilon <= 7.0
    (1.0, True)
    """

    kind: ClassVar[str] = "geometric"
    parameters: ClassVar[tuple[str, ...]] = ("epsilon", "ends")

    def __init__(
        self,
        epsilon: float,
        n_symbols: int | None = None,
        *,
        ends: Literal["clamp", "renormalize"] = "clamp",
    ) -> None:
        self.asked = positive(epsilon, "epsilon")
        if ends not in ("clamp", "renormalize"):
            raise ChannelError("ends must be 'clamp' or 'renormalize'")
        self.ends = ends
        self._bind(n_symbols)

    def _make_table(self, n_symbols: int) -> IntegerTable:
        return fit(lambda epsilon: _law(n_symbols, epsilon, self.ends), self.asked)

    @property
    def step_epsilon(self) -> float:
        """Exact epsilon between neighboring leaves, the largest over all of them."""
        counts = self._filled().counts
        pairs = np.stack([np.maximum(counts[1:], counts[:-1]), np.minimum(counts[1:], counts[:-1])]).reshape(2, -1)
        ratio = pairs[0] / pairs[1]
        largest = np.unique(pairs[:, ratio >= ratio.max() * (1 - 1e-12)], axis=1)
        return max(upper_log(int(a), int(b)) for a, b in largest.T)

    def report_sets(self) -> NDArray[np.int64]:
        """Return the symbols that each report stands for, shape (n_reports, 2)."""
        return own_sets(self.n_reports)


def _law(n: int, epsilon: float, ends: str) -> Floats:
    leaves, step = np.arange(n), epsilon / (n - 1)
    law = np.exp(-step * np.abs(leaves[:, None] - leaves))
    if ends == "clamp":
        inner = -math.expm1(-step)  # 1 - a; the mass beyond an end is that of the end divided by this
        law[:, [0, -1]] /= inner
    return np.asarray(law / law.sum(axis=1, keepdims=True))
