"""From tokens back to the nodes that they stand for, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb.columns import as_frame, refuse_where
from hashcomb.errors import DataError
from hashcomb.header import header_of
from hashcomb.laws import table_of
from hashcomb.spec import Spec
from hashcomb.tokens import Codebook

__all__ = ("TokenReader",)

Array = NDArray[Any]


class TokenReader:
    """Reads tokens that a codebook issued.

    Parameters
    ----------
    spec : Spec
        Of the codebook.
    book : Codebook
        The tokens.
    """

    def __init__(self, spec: Spec, book: Codebook) -> None:
        self._spec, self._book = spec, book

    def nodes(self, tokens: Any) -> NDArray[np.int32]:
        """Return the node, or the number of the report, of each token, shape (n_rows, n_features).

        Parameters
        ----------
        tokens : ndarray or data frame
            As for `HashComb.decode`, with the same errors.
        """
        array = self._read(tokens)
        nodes = self._book.nodes(np.ascontiguousarray(array[..., -1] if array.ndim == 3 else array))
        if array.ndim == 3:
            self._check_paths(array, nodes)
        return nodes

    def _read(self, tokens: Any) -> Array:
        self._book.header.require_same(header_of(tokens))
        array = table_of(tokens, self._book.header.columns)
        if as_frame(tokens) is not None:
            array = array.reshape(self.shape(len(array)))
        if array.ndim not in (2, 3) or array.shape != self.shape(len(array)) or len(array) == 0:
            raise DataError(f"tokens of this Spec have shape {('n_rows', *self.shape(0)[1:])} and n_rows > 0")
        return self._as_tokens(array)

    def shape(self, n_rows: int) -> tuple[int, ...]:
        """Return the shape of the tokens of so many rows."""
        shape = (n_rows, len(self._spec.features))
        return (*shape, self._spec.depth) if self._spec.tokens == "comb" else shape

    def _as_tokens(self, array: Array) -> Array:
        limit = np.iinfo(self._book.dtype).max
        if array.dtype.kind not in "ui" or bool((array < 0).any() or (array > limit).any()):
            raise DataError(
                f"these are no {self._spec.token_bits}-bit tokens", hint=f"read tokens as {self._book.dtype}"
            )
        return np.ascontiguousarray(array, dtype=self._book.dtype)

    def _check_paths(self, array: Array, leaves: NDArray[np.int32]) -> None:
        expected = np.empty_like(array)
        self._book.tokens(leaves, expected)
        refuse_where(
            (expected != array).any(axis=2),
            self._spec.names,
            "the tokens of a path do not belong together",
            "the tokens were edited or mixed; encode the row again",
        )
