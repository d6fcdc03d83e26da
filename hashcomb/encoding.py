"""Rows to tokens: leaves, reports and hashes, in chunks of rows and over threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb.channels import Channel, reported_features
from hashcomb.channels.randomizer import Randomizer
from hashcomb.columns import Columns
from hashcomb.comb import Comb
from hashcomb.noise import Noise
from hashcomb.placing import CHUNK_VALUES, look_up, run_chunks
from hashcomb.spec import Spec
from hashcomb.tokens import Codebook

__all__ = ("RowEncoder",)

Array = NDArray[Any]
Ints = NDArray[np.int32]


class RowEncoder:
    """Fills arrays with the tokens of rows.

    Parameters
    ----------
    spec : Spec
        What the owners agreed on.
    comb, book, channels
        The combs, the codebook and the channels of this Spec; no channels for deterministic tokens.
    n_threads : int, optional
        Threads to use; by default one per core once there is work for it.
    """

    def __init__(
        self, spec: Spec, comb: Comb, book: Codebook, channels: Sequence[Channel] | None, n_threads: int | None
    ) -> None:
        self._spec, self._comb, self._book, self._n_threads = spec, comb, book, n_threads
        self._randomizer: Randomizer | None = None
        self._by_leaf: Array | None = None
        if channels is not None:
            self._randomizer = Randomizer(channels, spec.used_leaves, spec.n_leaves, reported_features(spec))
        elif book.by_leaf is not None:
            self._by_leaf = comb.arrange(book.by_leaf)

    def fill(
        self,
        columns: Columns,
        noise: Noise | None,
        first_row: int,
        tokens: Array,
        clean: Callable[[Ints, Array], None] | None = None,
    ) -> None:
        """Fill an array with tokens.

        Parameters
        ----------
        columns : Columns
            The rows.
        noise : Noise or None
            Random words for the channel.
        first_row : int
            Number of the first row.
        tokens : ndarray, shape (n_rows, n_features[, depth])
            Is filled.
        clean : callable, optional
            What fills tokens of leaves that go through no channel, though there is one.

        Raises
        ------
        DataError
            If the Spec refuses a value.
        """

        def work(start: int, stop: int) -> None:
            values, put = columns.block(start, stop), tokens[start:stop]
            if self._by_leaf is not None:
                look_up(self._comb, values, self._by_leaf, put, first_row + start)
                return
            leaves: Ints = np.empty(values.shape, dtype=np.int32)
            look_up(self._comb, values, self._comb.leaf_numbers, leaves, first_row + start)
            if noise is not None:
                leaves = self._report(leaves, noise, first_row + start)
            (clean or self._book.tokens)(leaves, put)

        chunk = CHUNK_VALUES << (5 if self._by_leaf is not None else 1)
        run_chunks(work, columns.n_rows, len(self._spec.features), chunk, self._n_threads)

    def _report(self, leaves: Ints, noise: Noise, row: int) -> Ints:
        assert self._randomizer is not None
        choice = noise.choice(row, leaves) if self._randomizer.some else None
        return self._randomizer.reports(leaves, noise.words(row, leaves), choice)
