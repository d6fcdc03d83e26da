"""A channel that is any row-stochastic matrix of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashcomb.channels.channel import numbers, row_stochastic, whole
from hashcomb.channels.of_spec import register
from hashcomb.channels.table import MAX_ENTRIES, IntegerTable, TableChannel, own_sets
from hashcomb.errors import ChannelError

__all__ = ("Matrix",)


@register
class Matrix(TableChannel):
    """Report column j with the probability that row i of a matrix gives it.

    Parameters
    ----------
    law : array_like of float, shape (n_symbols, n_reports)
        Row-stochastic: no entry is negative, every row sums to one within 1e-9. In a Spec the rows stand one
        behind the other in a flat list, and ``n_reports`` says how long they are.
    n_symbols : int, optional
        Number of symbols, which must be that of the rows; `on` sets it later.
    n_reports : int, optional
        Length of a row, where `law` is flat.

    Raises
    ------
    ChannelError
        If the matrix is not row-stochastic, or has another number of rows than there are symbols.

    Notes
    -----
    In a square matrix report j is taken to mean symbol j.

    Privacy: `epsilon` is exact for the table of integers that is sampled from, and infinite if a column has a
    zero beside a positive entry.

    Examples
    --------
    >>> channel = Matrix([[0.75, 0.25], [0.25, 0.75]]).on(2)
    >>> round(channel.epsilon, 6)
    1.098612
    """

    kind: ClassVar[str] = "matrix"
    parameters: ClassVar[tuple[str, ...]] = ("law", "n_reports")
    required: ClassVar[tuple[str, ...]] = ("law", "n_reports")
    takes_any_symbols = True

    def __init__(
        self, law: ArrayLike | Sequence[float], n_symbols: int | None = None, *, n_reports: int | None = None
    ) -> None:
        self._law = _rows(law, n_reports)
        self._bind(n_symbols)

    def _given(self) -> dict[str, Any]:
        return {"law": tuple(self._law.ravel().tolist()), "n_reports": self._law.shape[1]}

    def _width(self, _: int) -> int:
        return 1

    def on(self, n_symbols: int, *, missing: bool = False, ordered: bool = True) -> Self:
        """Return this channel bound to a number of symbols; raise `ChannelError` if it cannot have such."""
        if missing and self._law.shape[0] != self._law.shape[1]:
            raise ChannelError(
                "no report of a matrix that is not square stands for missing values",
                hint="use a square matrix whose last row and column are those of missing values",
            )
        return super().on(n_symbols, missing=missing, ordered=ordered)

    def _make_table(self, n_symbols: int) -> IntegerTable:
        if n_symbols != len(self._law):
            raise ChannelError(
                f"the matrix has {len(self._law)} rows, and there are {n_symbols} symbols here",
                hint="a row for every leaf, and one for missing values where the Spec has a token for them",
            )
        return IntegerTable(self._law)

    def report_sets(self) -> NDArray[np.int64] | None:
        """Return the symbols that each report stands for; None where the matrix is not square."""
        if self.n_reports != self.n_symbols:
            return None
        return own_sets(self.n_reports)


def _rows(law: Any, n_reports: int | None) -> NDArray[np.float64]:
    matrix = np.array(numbers(law))  # a copy: the caller's may change
    if matrix.ndim == 1 and n_reports is not None:
        width = whole(n_reports, "n_reports", 1, MAX_ENTRIES)
        if len(matrix) % width:
            raise ChannelError(f"law has {len(matrix)} entries, which are no rows of {width}")
        matrix = matrix.reshape(-1, width)
    matrix = row_stochastic(matrix, "law")
    if len(matrix) < 2:
        raise ChannelError("law must be a matrix of at least two rows and one column")
    return matrix
