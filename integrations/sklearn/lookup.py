"""Token -> number, column by column, for whoever has no codebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb import kernels
from hashcomb.placing import CHUNK_VALUES, run_chunks

__all__ = ("TokenLookup",)

Tokens = NDArray[np.uint64]

_LONG = 32  # slots that a search may pass: tokens of a keyed hash need few, others are mixed first


class TokenLookup:
    """Finds the number of a token among the known ones of its column, in about 6 ns.

    Parameters
    ----------
    known : sequence of ndarray of uint64
        Distinct tokens of each column.
    numbers : sequence of ndarray of int
        Their numbers, not negative.
    """

    def __init__(self, known: Sequence[Tokens], numbers: Sequence[NDArray[Any]]) -> None:
        # A quarter full, so that most searches end at once.
        self._n_home = 4 << max(1, max(map(len, known)) - 1).bit_length()
        self._mixed = False
        placed = [self._probe(own) for own in known]
        if any(_longest(order_slots) > _LONG for order_slots in placed):
            self._mixed = True
            placed = [self._probe(own) for own in known]
        # There is every slot that an unknown token may be at home in, and an empty one behind the last.
        self._width = 1 + max(self._n_home, *(1 + int(slots.max(initial=0)) for _, slots, _ in placed))
        self._keys = np.zeros((len(known), self._width), dtype=np.uint64)
        self._nodes = np.full((len(known), self._width), -1, dtype=np.int32)
        for column, (order, slots, _) in enumerate(placed):
            self._keys[column, slots] = self._spread(known[column])[order]
            self._nodes[column, slots] = numbers[column][order]

    def _spread(self, tokens: Tokens) -> Tokens:
        return _mix(tokens) if self._mixed else tokens

    def _probe(self, tokens: Tokens) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return the order of tokens by home slot, the slots that linear probing gives them, and their homes."""
        home = (self._spread(tokens) & np.uint64(self._n_home - 1)).astype(np.int64)
        order = np.argsort(home, kind="stable")
        rank = np.arange(len(tokens))
        return order, np.maximum.accumulate(home[order] - rank) + rank, home[order]

    def find(self, tokens: Tokens) -> NDArray[np.int32]:
        """Return the number of each token, -1 for unknown ones.

        Parameters
        ----------
        tokens : ndarray of uint64, shape (n_rows, n_columns)
            In C order.

        Returns
        -------
        ndarray of int32, shape (n_rows, n_columns)
            Their numbers.
        """
        out: NDArray[np.int32] = np.empty(tokens.shape, dtype=np.int32)
        n_rows, n_columns = tokens.shape

        def work(start: int, stop: int) -> None:
            part = self._spread(tokens[start:stop]).reshape(-1)
            loops = kernels.choose(part.size)
            table = (self._keys.reshape(-1), self._nodes.reshape(-1))
            loops.find_leaves(part, n_columns, self._width, self._n_home - 1, *table, out[start:stop].reshape(-1))

        run_chunks(work, n_rows, n_columns, CHUNK_VALUES, None)
        return out


def _longest(placed: tuple[NDArray[Any], NDArray[Any], NDArray[Any]]) -> int:
    _, slots, home = placed
    return int((slots - home).max(initial=0))


def _mix(tokens: Tokens) -> Tokens:
    """Return other 64-bit numbers for numbers, one to one, whose low bits depend on all bits."""
    mixed = (tokens ^ (tokens >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    return np.asarray(mixed ^ (mixed >> np.uint64(32)))
