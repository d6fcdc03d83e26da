"""From tokens back to the nodes that they stand for, checked, and from nodes to tables of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb.columns import as_frame, frame_like, refuse_where
from hashcomb.errors import DataError
from hashcomb.header import TokenHeader, header_of, stamp
from hashcomb.laws import table_of
from hashcomb.spec import Spec
from hashcomb.tokens import Codebook

__all__ = ("TokenReader", "tokens_like")

Array = NDArray[Any]

_TILE_ROWS = 1024


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

    def tokens(self, nodes: NDArray[np.int32]) -> Array:
        """Return the tokens of nodes, or reports, -1 for what is missing: an array as `HashComb.encode` fills it.

        Parameters
        ----------
        nodes : ndarray of int32, shape (n_rows, n_features)
            As for `HashComb.tokens_of`.

        Raises
        ------
        DataError
            If there are no such nodes.
        """
        blank, shape = self._book.blank, self.shape(len(nodes))
        if nodes.shape != shape[:2] or nodes.dtype != np.int32 or ((nodes < -1) | (nodes >= blank)).any():
            raise DataError(f"reports are int32 of shape {('n_rows', shape[1])}, from -1 to {blank - 1}")
        tokens = np.empty(shape, dtype=self._book.dtype)
        leaves = np.where(nodes < 0, np.int32(blank), nodes) << np.int32(self._spec.depth - self._spec.levels[-1])
        self._book.tokens(np.ascontiguousarray(leaves), tokens)
        return tokens

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


def tokens_like(table: Any, tokens: Array, columns: Sequence[str], header: TokenHeader | None) -> Any:
    """Return an array of tokens as the kind of table that there is, with a header where there is one.

    Parameters
    ----------
    table : ndarray, mapping or data frame
        Gives the kind.
    tokens : ndarray of shape (n_rows, n_features[, n_levels])
        The tokens.
    columns : sequence of str
        Names of the columns of a frame.
    header : TokenHeader or None
        What is public about the tokens.
    """
    if as_frame(table) is None:
        return tokens if header is None else stamp(tokens, header)
    named = dict(zip(columns, _columns(tokens.reshape(len(tokens), -1)), strict=True))
    return frame_like(table, named, "" if header is None else header.to_json())


def _columns(flat: Array) -> Array:
    """Return the columns of a table as rows; copied by tiles, which stay in the cache, in a quarter of the time."""
    columns = np.empty(flat.shape[::-1], dtype=flat.dtype)
    for start in range(0, len(flat), _TILE_ROWS):
        columns[:, start : start + _TILE_ROWS] = flat[start : start + _TILE_ROWS].T
    return columns
