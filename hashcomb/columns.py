"""Any table in, the same kind of table out: arrays, mappings of columns, and data frames by narwhals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from narwhals.exceptions import NarwhalsError
from numpy.typing import NDArray

from hashcomb.errors import DataError
from hashcomb.spec import Categorical, Spec

__all__ = (
    "Columns",
    "as_frame",
    "category_items",
    "column_names",
    "frame_like",
    "numbers_of",
    "read_columns",
)

Values = NDArray[Any]


class Columns:
    """The columns of a table in the order of a Spec, as numbers, in blocks of rows.

    Categories become their positions in the Spec's list, missing values NaN.

    Parameters
    ----------
    table : array_like of shape (n_rows, n_features), a mapping of columns, or a data frame
        Columns with names are found by them, in any order; those of an array by position.
    spec : Spec
        Which columns there must be.

    Raises
    ------
    DataError
        If columns are missing, too many or not numbers, there are no rows, or a category is unknown.
    """

    def __init__(self, table: Any, spec: Spec) -> None:
        columns = read_columns(table, spec.names)
        self._matrix: Values | None = None
        self._columns: list[Values] = []
        if isinstance(columns, np.ndarray) and not any(isinstance(f, Categorical) for f in spec.features):
            self._matrix = columns
        else:
            listed = columns.T if isinstance(columns, np.ndarray) else columns
            self._columns = [_numbers_or_codes(values, spec, j) for j, values in enumerate(listed)]
        self.n_rows = len(self._matrix) if self._matrix is not None else len(self._columns[0])
        if self.n_rows == 0:
            raise DataError("there are no rows", hint="pass at least one row")

    def block(self, start: int, stop: int) -> Values:
        """Return rows `start` to `stop` as float32 or float64, shape (n, n_features), C order."""
        if self._matrix is None:
            return np.column_stack([column[start:stop] for column in self._columns])
        rows = self._matrix[start:stop]
        keep = rows.dtype in (np.float32, np.float64)
        return np.ascontiguousarray(rows, dtype=rows.dtype if keep else np.float64)


# ---------------------------------------------------------------------- tables
def as_frame(table: Any) -> Any:
    """Return a narwhals frame over an eager data frame, or None if `table` is no data frame.

    Raises
    ------
    DataError
        If the frame is lazy, or has two columns of one name.
    """
    if isinstance(table, np.ndarray | list | tuple | Mapping):
        return None
    try:
        frame = nw.from_native(table, pass_through=True)
    except NarwhalsError as error:
        raise DataError(f"the data frame cannot be read: {type(error).__name__}") from None
    if isinstance(frame, nw.LazyFrame):
        raise DataError("the data frame is lazy", hint="collect it first")
    return frame if isinstance(frame, nw.DataFrame) else None


def column_names(table: Any, n_columns: int) -> list[str]:
    """Return the names of a table's columns; those of an array are ``x0``, ``x1``, ..."""
    frame = as_frame(table)
    if frame is not None:
        return list(frame.columns)
    return list(table) if isinstance(table, Mapping) else [f"x{j}" for j in range(n_columns)]


def read_columns(table: Any, names: Sequence[str] | None) -> Values | list[Any]:
    """Read a table as a numeric matrix, or as a list of columns (object arrays or narwhals series).

    Parameters
    ----------
    table : array_like or data frame
        The table.
    names : sequence of str, optional
        Names, in order; a frame must have exactly these. Without names every column is taken.

    Raises
    ------
    DataError
        If the table has other columns or is none.
    """
    frame = as_frame(table)
    if frame is not None:
        _check_names(frame.columns, names)
        return [frame[name] for name in (frame.columns if names is None else names)]
    if isinstance(table, Mapping):
        _check_names(list(table), names)
        return _same_length([_column(table[name]) for name in (table if names is None else names)])
    array = _array(table)
    if names is not None and array.shape[1] != len(names):
        raise DataError(
            f"{array.shape[1]} columns, where the Spec has {len(names)}",
            hint="pass the columns that the Spec names, in its order",
        )
    return list(array.T) if array.dtype.kind == "O" else array


def _check_names(found: Sequence[str], names: Sequence[str] | None) -> None:
    if names is None:
        return
    for name in names:
        if name not in found:
            raise DataError("is missing", column=name, hint="rename a column, or use the Spec made for this table")
    for name in found:
        if name not in names:
            raise DataError("is not in the Spec", column=str(name), hint="drop it, or keep it beside the tokens")


def _column(values: Any) -> Values:
    array = np.asarray(values)
    if array.ndim != 1:
        raise DataError(f"a column has one dimension, this has {array.ndim}")
    return array.astype(object) if array.dtype.kind not in "fiub" else array


def _same_length(columns: list[Values]) -> list[Any]:
    if len({len(column) for column in columns}) > 1:
        raise DataError("the columns have different lengths")
    return list(columns)


def _array(table: Any) -> Values:
    if hasattr(table, "tocsr"):
        raise DataError("a sparse matrix cannot be encoded", hint="make it dense with .toarray()")
    if isinstance(table, np.ma.MaskedArray):
        table = np.ma.filled(table.astype(np.float64), np.nan)
    try:
        array = np.asarray(table)
    except ValueError:
        raise DataError("the rows have different lengths") from None
    if array.ndim != 2:
        hint = "use reshape(-1, 1) for one column or reshape(1, -1) for one row" if array.ndim == 1 else ""
        raise DataError(f"a table has two dimensions, this has {array.ndim}", hint=hint)
    if array.dtype.kind in "US":
        array = array.astype(object)  # text, to be refused or coded column by column
    if array.dtype.kind not in "Ofiub":
        raise DataError(f"values of type {array.dtype} cannot be encoded", hint="convert them to numbers")
    return array


# ---------------------------------------------------------------------- values
def _numbers_or_codes(values: Any, spec: Spec, index: int) -> Values:
    feature = spec.features[index]
    if not isinstance(feature, Categorical):
        return numbers_of(values, feature.name)
    items, missing = category_items(values)
    position = {category: place for place, category in enumerate(feature.categories)}
    codes = np.array([position.get(item, -1) if _hashable(item) else -1 for item in items], dtype=np.float64)
    codes[missing] = np.nan
    unknown = codes < 0
    if unknown.any() and spec.unknown == "error":
        raise DataError(
            "a category that is not in the Spec",
            column=feature.name,
            row=int(unknown.argmax()),
            hint="add it to the Spec, or set unknown='token'",
        )
    codes[unknown] = len(position)
    return codes


def numbers_of(values: Any, name: str) -> Values:
    """Return one column as float32 or float64, shape (n_rows,), missing values as NaN.

    Parameters
    ----------
    values : ndarray or narwhals series
        The column.
    name : str
        Its name, for the error.

    Raises
    ------
    DataError
        If a value is no number; the message names column and row, never the value.
    """
    if isinstance(values, nw.Series):
        if values.dtype.is_numeric() or values.dtype == nw.Boolean:
            array = values.cast(nw.Float64).to_numpy() if values.dtype != nw.Float32 else values.to_numpy()
            return np.asarray(array, dtype=np.float32 if values.dtype == nw.Float32 else np.float64)
        if values.dtype.is_temporal():
            raise DataError("dates and times are no numbers", column=name, hint="subtract a stated origin")
    elif values.dtype.kind in "fiub":
        return np.asarray(values, dtype=values.dtype if values.dtype in (np.float32, np.float64) else np.float64)
    items, missing = category_items(values)
    numbers = np.full(len(items), np.nan)
    for row, item in enumerate(items):
        if not missing[row]:
            numbers[row] = _number(item, name, row)
    return numbers


def _number(item: Any, name: str, row: int) -> float:
    if isinstance(item, Real):
        try:
            return float(item)
        except OverflowError:
            pass
    raise DataError(
        "is no number",
        column=name,
        row=row,
        hint="correct the row, or make the column categorical in the Spec",
    )


def category_items(values: Any) -> tuple[list[Any], NDArray[np.bool_]]:
    """Return the values as Python objects, and which of them are missing."""
    if isinstance(values, nw.Series):
        missing = np.array(values.is_null().to_numpy(), dtype=bool)
        items = values.to_list()
    else:
        items, missing = values.tolist(), np.zeros(len(values), dtype=bool)
    # None, NaN and pandas' NA, which may hide in columns of objects.
    missing |= np.array([item is None or _is_nan(item) for item in items], dtype=bool)
    return items, missing


def _is_nan(item: Any) -> bool:
    return (isinstance(item, float) and item != item) or type(item).__name__ in ("NAType", "NaTType")


def _hashable(item: Any) -> bool:
    return isinstance(item, str | int | float)


# ---------------------------------------------------------------------- the way back
def frame_like(table: Any, columns: dict[str, Values], metadata: str = "") -> Any:
    """Build a data frame of the kind of `table`.

    Parameters
    ----------
    table : data frame
        Gives the kind and, for pandas, the index.
    columns : dict of str to ndarray, each of shape (n_rows,)
        The columns.
    metadata : str, optional
        Text kept with the frame where its kind has a place for it: ``attrs["hashcomb"]`` in pandas, the
        schema's metadata in pyarrow. polars has none.

    Returns
    -------
    data frame
        A native one.
    """
    source = nw.from_native(table, eager_only=True)
    native = nw.to_native(nw.from_dict(columns, backend=source.implementation))
    if source.implementation.is_pandas_like():
        native.index = table.index
        if metadata:
            native.attrs["hashcomb"] = metadata
    elif metadata and source.implementation.is_pyarrow():
        native = native.replace_schema_metadata({"hashcomb": metadata})
    return native
