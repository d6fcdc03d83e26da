"""Channels that sample from a table of integers, and whose epsilon is that of the table.

A row of probabilities becomes a row of whole numbers that sum to a power of two. Everything that is claimed
(`matrix`, `epsilon`) is read off those numbers, and the sampler draws from them without any further rounding.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from fractions import Fraction
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hashcomb import kernels
from hashcomb.channels.channel import Channel, Floats, whole
from hashcomb.errors import ChannelError

__all__ = ("MAX_ENTRIES", "IntegerTable", "TableChannel", "fit", "levels_of", "own_sets", "tree_sets", "upper_log")

MAX_ENTRIES = 1 << 20
_TOTAL_BITS = 62  # a row's units are a word without its lowest two bits, so that all sums fit in int64


class IntegerTable:
    """A row-stochastic matrix in whole numbers, ready to be sampled from.

    Parameters
    ----------
    law : ndarray of float64, shape (n_symbols, n_reports)
        Row-stochastic. Positive entries stay positive, zeros stay zero.

    Raises
    ------
    ChannelError
        If there are more than `MAX_ENTRIES` entries.

    Attributes
    ----------
    bits : int
        A row has ``2**bits`` slots of ``2**(62 - bits)`` units each.
    counts : ndarray of int64, shape (n_symbols, n_reports)
        Units of each report; every row sums to ``2**62``.
    """

    def __init__(self, law: Floats) -> None:
        n_symbols, n_reports = law.shape
        _check_size(n_symbols, n_reports)
        self.bits = max(1, (n_reports - 1).bit_length())
        self.counts = np.stack([_units(row / row.sum()) for row in law])

    @property
    def matrix(self) -> Floats:
        """The law of the table, in double precision."""
        return np.asarray(self.counts / 2.0**_TOTAL_BITS)

    @cached_property
    def epsilon(self) -> float:
        """Exact epsilon of the table, rounded up in the last places."""
        used = self.counts[:, self.counts.max(axis=0) > 0]
        most, least = used.max(axis=0), used.min(axis=0)
        if (least == 0).any():
            return math.inf
        ratio = most / least
        return max(upper_log(int(most[j]), int(least[j])) for j in np.flatnonzero(ratio >= ratio.max() * (1 - 1e-12)))

    @cached_property
    def _slots(self) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
        rows = [_aliases(row.tolist(), self.bits) for row in self.counts]
        thresholds = np.array([row[0] for row in rows], dtype=np.uint64)
        return thresholds.reshape(-1), np.array([row[1] for row in rows], dtype=np.int32).reshape(-1)

    def sample(self, symbols: NDArray[np.int32], words: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Draw a report for every symbol; shapes as in `Channel.sample`."""
        out = np.empty(symbols.size, dtype=np.int32)
        kernel = kernels.choose(symbols.size)
        kernel.table_reports(symbols.reshape(-1), words.reshape(-1), self.bits, *self._slots, out)
        return out.reshape(symbols.shape)


def _check_size(n_symbols: int, n_reports: int) -> None:
    if n_symbols * n_reports > MAX_ENTRIES:
        raise ChannelError(
            f"a table of {n_symbols} symbols and {n_reports} reports is too large",
            hint="lower the depth, or use randomized_response, which needs no table",
        )


def upper_log(most: int, least: int) -> float:
    """Return ``ln(most / least)``, rounded up past the error of log1p: a claim must not be below the truth."""
    log = math.log1p(Fraction(most - least, least))
    return math.nextafter(math.nextafter(log, math.inf), math.inf)


def _units(row: Floats) -> NDArray[np.int64]:
    """Round probabilities to whole numbers that sum to 2**62; none that is positive becomes 0."""
    units = np.maximum(np.rint(row * 2.0**_TOTAL_BITS), row > 0).astype(np.int64)
    # What rounding gave too much or too little is settled with the largest entry, where it matters least.
    others = int(units.sum(where=np.arange(len(units)) != np.argmax(row)))
    units[np.argmax(row)] = (1 << _TOTAL_BITS) - others
    return np.asarray(units)


def _aliases(units: list[int], bits: int) -> tuple[list[int], list[int]]:
    """Lay out a row in slots of equal capacity with at most two reports each (Vose 1991), in whole numbers."""
    n_slots, capacity = 1 << bits, 1 << (_TOTAL_BITS - bits)
    left = units + [0] * (n_slots - len(units))
    thresholds, aliases = [capacity] * n_slots, list(range(n_slots))
    small = [j for j in range(n_slots) if left[j] < capacity]
    large = [j for j in range(n_slots) if left[j] > capacity]
    while small and large:
        poor, rich = small.pop(), large[-1]
        thresholds[poor], aliases[poor] = left[poor], rich
        left[rich] -= capacity - left[poor]
        if left[rich] <= capacity:
            large.pop()
            if left[rich] < capacity:
                small.append(rich)
    return thresholds, aliases


def fit(law_of: Callable[[float], Floats], epsilon: float) -> IntegerTable:
    """Return the table of the law at `epsilon`, or just below it where rounding would exceed it.

    Parameters
    ----------
    law_of : callable
        The law for an epsilon.
    epsilon : float
        The table's exact epsilon is at most this.

    Raises
    ------
    ChannelError
        If tables of integers cannot come near.
    """
    back = 0.0
    while back < epsilon / 2:
        table = IntegerTable(law_of(epsilon - back))
        excess = table.epsilon - epsilon
        if excess <= 0:
            return table
        back = 2 * max(back, excess)  # doubled, since a step may be too small to change any integer
    raise ChannelError(
        "epsilon is outside what a table of 62-bit integers can realize here",
        hint="choose another epsilon, or fewer symbols",
    )


class TableChannel(Channel):
    """A channel that is given by its law alone; everything else follows from the table made of it.

    Notes
    -----
    Privacy: as `Channel`; `epsilon` is exact for the integers of the table.
    """

    takes_any_symbols = False

    @abstractmethod
    def _make_table(self, n_symbols: int) -> IntegerTable:
        """Return the table on so many symbols."""

    def _width(self, n_symbols: int) -> int:
        """Return how many reports there are at least; a table that is too large is not begun."""
        return n_symbols

    def _bind(self, n_symbols: int | None) -> None:
        if n_symbols is not None:
            self.n_symbols = whole(n_symbols, "the number of symbols", 2, MAX_ENTRIES + 1)
            _check_size(self.n_symbols, self._width(self.n_symbols))
            self._table = self._make_table(self.n_symbols)

    def on(self, n_symbols: int, *, missing: bool = False, ordered: bool = True) -> Self:
        """Return this channel bound to a number of symbols; raise `ChannelError` if it cannot have such."""
        if (missing or not ordered) and not self.takes_any_symbols:
            what = "missing values" if missing else "categories"
            raise ChannelError(
                f"{self.kind} is for values in order, and {what} have no place among them",
                hint="use randomized_response, or encode such columns under a Spec of their own",
            )
        bound = type(self)(**self._given())
        bound._bind(whole(n_symbols, "the number of symbols", 2, MAX_ENTRIES + 1))
        bound.has_missing = missing
        return bound

    def _filled(self) -> IntegerTable:
        self._bound()
        return self._table

    @property
    def epsilon(self) -> float:
        """Exact epsilon of one report, in nats; infinity where there is none."""
        return self._filled().epsilon

    @property
    def n_reports(self) -> int:
        """Number of different reports."""
        return int(self._filled().counts.shape[1])

    def matrix(self) -> Floats:
        """Return the row-stochastic matrix of the sampler, shape (n_symbols, n_reports)."""
        return self._filled().matrix

    def sample(self, symbols: NDArray[np.int32], words: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Randomize symbols with one secret random word each; shapes as in `Channel.sample`.

        Raises
        ------
        ChannelError
            If there are no such symbols.
        """
        table = self._filled()
        if symbols.size and not 0 <= int(symbols.min()) <= int(symbols.max()) < len(table.counts):
            raise ChannelError(f"symbols are numbers from 0 to {len(table.counts) - 1}")
        return table.sample(symbols, words)


# ---------------------------------------------------------------------- what reports stand for
def own_sets(n_reports: int) -> NDArray[np.int64]:
    """Return the sets of reports that mean symbols: report j stands for symbol j alone, shape (n_reports, 2)."""
    return np.arange(n_reports)[:, None] + np.arange(2)


def levels_of(n_symbols: int, kind: str) -> int:
    """Return the depth of a comb with so many leaves; raise `ChannelError` if there is none."""
    if n_symbols < 2 or n_symbols & (n_symbols - 1):
        raise ChannelError(f"{kind} needs the leaves of a comb, 2**depth of them")
    return n_symbols.bit_length() - 1


def tree_sets(levels: int) -> NDArray[np.int64]:
    """Return the leaves of every node, depth by depth: first and one behind the last, shape (n_nodes, 2)."""
    widths = np.concatenate([np.full(1 << depth, 1 << (levels - depth)) for depth in range(1, levels + 1)])
    nodes = np.concatenate([np.arange(1 << depth) for depth in range(1, levels + 1)])
    return np.column_stack([nodes * widths, (nodes + 1) * widths])
