"""Any table in, the same kind of table out: arrays, mappings of columns, and data frames by narwhals."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from narwhals.exceptions import DuplicateError, NarwhalsError
from numpy.typing import NDArray

from hashcomb.days import days_between, days_of, read_origin, times_in
from hashcomb.errors import DataError
from hashcomb.spec import Categorical, Spec

__all__ = (
    "Columns",
    "as_frame",
    "batch_like",
    "category_items",
    "frame_like",
    "is_missing",
    "named_columns",
    "numbers_of",
    "read_columns",
    "refuse_where",
    "table_of_batch",
)

Values = NDArray[Any]
_SCALARS = (np.number, np.bool_, np.str_)  # and no dates, whose item() may be a number


class Columns:
    """The columns of a table in the order of a Spec, as numbers, in blocks of rows.

    Categories become their positions in the Spec's list, missing values NaN.

    Parameters
    ----------
    table : array_like of shape (n_rows, n_features), a mapping of columns, or a data frame
        Columns with names are found by them, in any order; those of an array by position.
    spec : Spec
        Which columns there must be.
    first_row : int, optional
        Number of the first row, for errors.

    Raises
    ------
    DataError
        If columns are missing, too many or not numbers, there are no rows, or a category is unknown.
    """

    def __init__(self, table: Any, spec: Spec, first_row: int = 0) -> None:
        columns = read_columns(table, spec.names)
        self._matrix: Values | None = None
        self._columns: list[Values] = []
        plain = not any(isinstance(f, Categorical) for f in spec.features)
        if plain and isinstance(columns, np.ndarray) and columns.dtype.kind in "fiub":
            self._matrix = columns
        else:
            listed = columns.T if isinstance(columns, np.ndarray) else columns
            self._columns = [_numbers_or_codes(values, spec, j, first_row) for j, values in enumerate(listed)]
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
    """Return a narwhals frame over an eager data frame, or None if `table` is none.

    A frame whose columns have numbers for names counts as an array, as in scikit-learn.

    Raises
    ------
    DataError
        If the frame is lazy, has two columns of one name, or names only some columns by text.
    """
    if isinstance(table, np.ndarray | list | tuple | Mapping):
        return None
    try:
        frame = nw.from_native(table_of_batch(table), pass_through=True)
    except NarwhalsError as error:
        hint = "give each column a name of its own" if isinstance(error, DuplicateError) else ""
        raise DataError(f"the data frame cannot be read: {type(error).__name__}", hint=hint) from None
    if isinstance(frame, nw.LazyFrame):
        raise DataError("the data frame is lazy", hint="collect it first")
    if not isinstance(frame, nw.DataFrame):
        return None
    return frame if _are_text(frame.columns) else None


def table_of_batch(table: Any) -> Any:
    """Return a record batch of Arrow as a table, which narwhals knows; anything else as it is."""
    arrow = nw.dependencies.get_pyarrow()  # None where nobody has imported it
    batch = arrow is not None and isinstance(table, arrow.RecordBatch)
    return arrow.Table.from_batches([table]) if batch else table


def batch_like(table: Any, source: Any) -> Any:
    """Return a table of Arrow as a record batch where the source is one; anything else as it is."""
    if table_of_batch(source) is source:
        return table
    return next(iter(table.combine_chunks().to_batches()), None) or type(source).from_pylist([], table.schema)


def _are_text(names: Sequence[Any]) -> bool:
    """Return whether names are text, or False if none is."""
    texts = [isinstance(name, str) for name in names]
    if any(texts) and not all(texts):
        raise DataError("some columns have text for names and some have not", hint="name all columns by text")
    return all(texts)


def named_columns(table: Any) -> tuple[list[str], list[Any]]:
    """Return the names of a table's columns and the columns, as `read_columns` reads them.

    The columns of an array are called ``x0``, ``x1``, ...
    """
    read = read_columns(table, None)
    columns = list(read.T) if isinstance(read, np.ndarray) else read
    frame = as_frame(table)
    if frame is not None:
        return list(frame.columns), columns
    return list(table) if isinstance(table, Mapping) else [f"x{j}" for j in range(len(columns))], columns


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
        if not _are_text(list(table)):
            raise DataError("the names of columns must be text")
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
    here, wanted = set(found), set(names)
    for name in names:
        if name not in here:
            raise DataError("is missing", column=name, hint="rename a column, or use the Spec made for this table")
    for name in found:
        if name not in wanted:
            raise DataError("is not in the Spec", column=str(name), hint="drop it, or keep it beside the tokens")


def _column(values: Any) -> Values:
    array = _numbers_or_objects(values)
    if array.ndim != 1:
        raise DataError(f"a column has one dimension, this has {array.ndim}")
    return array


def _same_length(columns: list[Values]) -> list[Any]:
    if len({len(column) for column in columns}) > 1:
        raise DataError("the columns have different lengths")
    return list(columns)


def _array(table: Any) -> Values:
    if hasattr(table, "tocsr"):
        raise DataError("a sparse matrix cannot be encoded", hint="make it dense with .toarray()")
    array = _numbers_or_objects(table)
    if array.ndim != 2:
        hint = "Reshape your data: .reshape(-1, 1) for one column, .reshape(1, -1) for one row"
        raise DataError(f"a table has two dimensions, this has {array.ndim}", hint=hint)
    return array


def _numbers_or_objects(values: Any) -> Values:
    """Return array_like as an array of numbers or of objects; masked values are missing ones."""
    if isinstance(values, list | tuple) and any(isinstance(row, np.ma.MaskedArray) for row in values):
        values = np.ma.array(values)
    try:
        array = np.asarray(values)
    except ValueError:
        raise DataError("the rows have different lengths") from None
    if array.dtype.kind in "US":
        # From the values themselves: NumPy has made text of the numbers and the missing values beside text.
        array = np.array(values, dtype=object)
    if array.dtype.kind not in "OfiubmM":
        raise DataError(f"values of type {array.dtype} cannot be encoded", hint="convert them to numbers")
    if not np.ma.is_masked(values):
        return array
    filled = array.astype(array.dtype if array.dtype.kind in "OmM" else np.float64)
    filled[np.ma.getmaskarray(values)] = "NaT" if array.dtype.kind in "mM" else np.nan
    return filled


# ---------------------------------------------------------------------- values
def refuse_where(
    wrong: NDArray[np.bool_], names: str | Sequence[str], problem: str, hint: str, first_row: int = 0
) -> None:
    """Raise `DataError` for the first value that is wrong, if there is one.

    Parameters
    ----------
    wrong : ndarray of bool, shape (n_rows,) or (n_rows, n_features)
        Which values are.
    names : str, or sequence of str
        Name of the column, or of all.
    problem, hint : str
        What is wrong, and what to do.
    first_row : int, optional
        Number of the first row.
    """
    if not wrong.any():
        return
    row, *place = np.argwhere(wrong)[0]
    column = names if isinstance(names, str) else names[place[0]]
    raise DataError(problem, column=column, row=first_row + int(row), hint=hint)


def _numbers_or_codes(values: Any, spec: Spec, index: int, first_row: int) -> Values:
    feature = spec.features[index]
    if not isinstance(feature, Categorical):
        return numbers_of(values, feature.name, first_row, feature.origin)
    items, missing = category_items(values)
    position = {category: place for place, category in enumerate(feature.categories)}
    if isinstance(feature.categories[0], str):
        items = [item if type(item) is str else _as_text(item) for item in items]
    codes = np.array([position.get(item, -1) if _hashable(item) else -1 for item in items], dtype=np.float64)
    codes[missing] = np.nan
    unknown = codes < 0
    if spec.unknown == "error":
        hint = "add it to the Spec, or set unknown='token'"
        refuse_where(unknown, feature.name, "a category that is not in the Spec", hint, first_row)
    codes[unknown] = len(position)
    return codes


def numbers_of(values: Any, name: str, first_row: int = 0, origin: str | None = None) -> Values:
    """Return one column as float32 or float64, shape (n_rows,), missing values as NaN.

    Parameters
    ----------
    values : ndarray or narwhals series
        The column.
    name : str
        Its name, for the error.
    first_row : int, optional
        Number of the first row, for the error.
    origin : str, optional
        What dates, times or durations are counted from, in days; see `hashcomb.Uniform`. Numbers stay as they are.

    Raises
    ------
    DataError
        If a value is no number, or a date without an origin; the message names column and row, never the value.
    """
    start = None if origin is None else read_origin(origin)
    times = times_in(values, name)
    if times is not None:
        if start is None:
            hint = f"state their origin: learn_spec(..., origins={{{name!r}: '2000-01-01'}}), or 'zero' for durations"
            raise DataError("dates and times are no numbers", column=name, hint=hint)
        return days_between(times, start, name)
    array = _series_numbers(values) if isinstance(values, nw.Series) else values
    if array is not None and array.dtype.kind in "fiub":
        return np.asarray(array, dtype=array.dtype if array.dtype in (np.float32, np.float64) else np.float64)
    items, missing = category_items(values)
    numbers = np.full(len(items), np.nan)
    for row, item in enumerate(items):
        if not missing[row]:
            days = None if start is None else days_of(item, start, name)
            numbers[row] = _number(item, name, first_row + row) if days is None else days
    return numbers


def _series_numbers(series: Any) -> Any:
    """Return a series as an array, None if it has no type of numbers."""
    if series.dtype == nw.Boolean:
        return series.cast(nw.Float64).to_numpy()
    if not series.dtype.is_numeric():
        return None
    try:
        return series.to_numpy()  # exact; a cast may refuse what is beyond 2**53
    except Exception:  # of whichever library: there is no array of this type
        return series.cast(nw.Float64).to_numpy()


def _number(item: Any, name: str, row: int) -> float:
    if isinstance(item, Real | Decimal):
        with contextlib.suppress(OverflowError, ValueError):
            return float(item)
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
    if any(isinstance(item, _SCALARS) for item in items):
        items = [item.item() if isinstance(item, _SCALARS) else item for item in items]
    # None, NaN and pandas' NA, which may hide in columns of objects.
    missing |= np.array([is_missing(item) for item in items], dtype=bool)
    return items, missing


def is_missing(item: Any) -> bool:
    """Return whether a value is None, a NaN or pandas' NA."""
    if item is None:
        return True
    if isinstance(item, Decimal):
        return item.is_nan()
    if isinstance(item, np.datetime64 | np.timedelta64):
        return bool(np.isnat(item))
    return (isinstance(item, float) and item != item) or type(item).__name__ in ("NAType", "NaTType")


def _as_text(item: Any) -> Any:
    """Return whole numbers as the text that a CSV file has for them; one table's 1 is the other's "1"."""
    if isinstance(item, bool) or not isinstance(item, int | float) or not float(item).is_integer():
        return item
    return str(int(item))


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
    source = nw.from_native(table_of_batch(table), eager_only=True, pass_through=False)
    native = nw.to_native(nw.from_dict(columns, backend=source.implementation))
    if source.implementation.is_pandas_like():
        native.index = nw.to_native(source).index
        if metadata:
            native.attrs["hashcomb"] = metadata
    elif metadata and source.implementation.is_pyarrow():
        native = native.replace_schema_metadata({"hashcomb": metadata})
    return batch_like(native, table)
