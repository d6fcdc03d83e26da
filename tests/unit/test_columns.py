"""Any table is read alike, and bad ones are refused with column and row."""

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse

from hashcomb import Categorical, Spec, Uniform
from hashcomb.columns import Columns
from hashcomb.errors import DataError

A, B = Uniform(name="a", lo=0.0, hi=1.0), Uniform(name="b", lo=0.0, hi=1.0)
COLOR = Categorical(name="c", categories=("red", "green"))
CODE = Categorical(name="c", categories=(10, 20))
NUMBERS = Spec(features=(A, B), depth=2)
MIXED = Spec(features=(A, COLOR), depth=2, unknown="token")
ROWS = [[0.25, 0.5], [0.75, 1.0], [0.0, 0.125]]


def block(table: Any, spec: Spec = NUMBERS) -> np.ndarray:
    """Return all rows of a table."""
    columns = Columns(table, spec)
    return columns.block(0, columns.n_rows)


TABLES = {
    "list": ROWS,
    "float64": np.array(ROWS),
    "float32": np.array(ROWS, dtype=np.float32),
    "float16": np.array(ROWS, dtype=np.float16),
    "fortran": np.asfortranarray(ROWS),
    "strided": np.repeat(np.array(ROWS), 2, axis=1)[:, ::2],
    "big-endian": np.array(ROWS, dtype=">f8"),
    "object": np.array(ROWS, dtype=object),
    "masked": np.ma.MaskedArray(ROWS),
    "mapping": {"b": [row[1] for row in ROWS], "a": [row[0] for row in ROWS]},
    "decimals": np.array([[Decimal(str(x)) for x in row] for row in ROWS], dtype=object),
    "pandas": pd.DataFrame(ROWS, columns=["a", "b"])[["b", "a"]],
    "pandas without names": pd.DataFrame(ROWS),
    "pandas nullable": pd.DataFrame(ROWS, columns=["a", "b"], dtype="Float64"),
    "polars": pl.DataFrame(ROWS, schema=["a", "b"], orient="row").select("b", "a"),
    "pyarrow": pa.table({"b": [row[1] for row in ROWS], "a": [row[0] for row in ROWS]}),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_kind_of_table_gives_the_same_rows(table: Any) -> None:
    """Columns with names are found by them, others by place; the rows are C-ordered floats."""
    rows = block(table)
    assert (rows == np.array(ROWS)).all()
    assert rows.flags.c_contiguous
    assert rows.dtype in (np.float32, np.float64)


@pytest.mark.parametrize("dtype", [np.int8, np.uint64, np.int64, bool])
def test_whole_numbers_and_truth_become_floats(dtype: Any) -> None:
    """Integers and booleans are numbers."""
    assert block(np.array([[1, 0]], dtype=dtype)).tolist() == [[1.0, 0.0]]


MISSING = {
    "object": np.array([[None, 0.5]], dtype=object),
    "pandas NA": pd.DataFrame({"a": pd.array([None], dtype="Int64"), "b": [0.5]}),
    "pandas object": pd.DataFrame({"a": pd.Series([pd.NA], dtype=object), "b": [0.5]}),
    "polars null": pl.DataFrame({"a": pl.Series([None], dtype=pl.Float64), "b": [0.5]}),
    "pyarrow null": pa.table({"a": pa.array([None], pa.int64()), "b": [0.5]}),
    "masked": np.ma.MaskedArray([[0.1, 0.5]], mask=[[True, False]]),
    "masked column": {"a": np.ma.MaskedArray([0.1], mask=[True]), "b": [0.5]},
    "masked rows": [np.ma.MaskedArray([0.1, 0.5], mask=[True, False])],
    "masked objects": np.ma.MaskedArray(np.array([["SECRET", 0.5]], dtype=object), mask=[[True, False]]),
    "NumPy's own NaN": np.array([[np.float32("nan"), 0.5]], dtype=object),
    "no date among objects": np.array([[np.datetime64("NaT"), 0.5]], dtype=object),
    "decimal NaN": np.array([[Decimal("NaN"), 0.5]], dtype=object),
}


@pytest.mark.parametrize("table", MISSING.values(), ids=MISSING)
def test_missing_values_of_every_kind_are_nan(table: Any) -> None:
    """None, NA, null and masks become NaN, and nothing else does."""
    rows = block(table)
    assert np.isnan(rows[0, 0])
    assert rows[0, 1] == 0.5


BAD = {
    "text": (np.array([[0.5, 0.5], [0.5, "SECRET"]], dtype=object), "b", 1),
    "text array": (np.array([["0.5", "0.25"]]), "a", 0),
    "text column": (pd.DataFrame({"a": [0.5], "b": ["SECRET"]}), "b", 0),
    "object in a frame": (pd.DataFrame({"a": [0.5, 0.5], "b": [1, {"SECRET": 1}]}), "b", 1),
    "dates": (pd.DataFrame({"a": [0.5], "b": [pd.Timestamp("2020-01-01")]}), "b", None),
    "dates in a mapping": ({"a": np.array(["2020-01-01"], dtype="datetime64[ns]"), "b": [0.5]}, "a", None),
    "durations in a mapping": ({"a": np.array([1], dtype="timedelta64[s]"), "b": [0.5]}, "a", None),
    "dates among objects": (np.array([[np.datetime64("2020-01-01", "ns"), 0.5]], dtype=object), "a", 0),
    "masked complex": (np.ma.MaskedArray([[1j, 0.5]], mask=[[False, True]]), None, None),
    "masked text": (np.ma.MaskedArray([["SECRET", "0.5"]], mask=[[False, True]]), "a", 0),
    "names of two kinds": (pd.DataFrame({"a": [0.5], 1: [0.5]}), None, None),
    "numbers as names": ({0: [0.5], 1: [0.5]}, None, None),
    "complex": (np.array([[1j, 0.5]]), None, None),
    "huge integer": (np.array([[10**400, 0.5]], dtype=object), "a", 0),
    "missing column": (pd.DataFrame({"a": [0.5]}), "b", None),
    "another column": (pd.DataFrame({"a": [0.5], "b": [0.5], "x": [0.5]}), "x", None),
    "too many": (np.zeros((2, 3)), None, None),
    "too few": (np.zeros((2, 1)), None, None),
    "one dimension": (np.zeros(2), None, None),
    "three dimensions": (np.zeros((2, 2, 2)), None, None),
    "no rows": (np.zeros((0, 2)), None, None),
    "empty frame": (pd.DataFrame({"a": [], "b": []}), None, None),
    "ragged": ([[0.5, 0.5], [0.5]], None, None),
    "ragged mapping": ({"a": [0.5], "b": [0.5, 0.5]}, None, None),
    "sparse": (scipy.sparse.eye(2).tocsr(), None, None),
    "lazy": (pl.LazyFrame({"a": [0.5], "b": [0.5]}), None, None),
    "two columns of one name": (pd.DataFrame([[0.5, 0.5, 0.5]], columns=["a", "b", "b"]), None, None),
    "nothing": (None, None, None),
    "text alone": ("SECRET", None, None),
}


@pytest.mark.parametrize(("table", "column", "row"), BAD.values(), ids=BAD)
def test_bad_table_is_refused_where_it_is_bad(table: Any, column: str | None, row: int | None) -> None:
    """A DataError names column and row, and never shows a value."""
    with pytest.raises(DataError) as caught:
        block(table)
    assert (caught.value.column, caught.value.row) == (column, row)
    assert "SECRET" not in str(caught.value)


CATEGORIES = {
    "object array": np.array([[0.5, "red"], [0.5, "green"], [0.5, None]], dtype=object),
    "rows": [[0.5, "red"], [0.5, "green"], [0.5, None]],
    "NaN beside text": {"a": [0.5] * 3, "c": ["red", "green", np.nan]},
    "pandas": pd.DataFrame({"a": [0.5] * 3, "c": ["red", "green", None]}),
    "pandas categorical": pd.DataFrame({"a": [0.5] * 3, "c": pd.Categorical(["red", "green", None])}),
    "polars": pl.DataFrame({"a": [0.5] * 3, "c": ["red", "green", None]}),
    "polars categorical": pl.DataFrame({"a": [0.5] * 3, "c": pl.Series(["red", "green", None], dtype=pl.Categorical)}),
    "pyarrow dictionary": pa.table({"a": [0.5] * 3, "c": pa.array(["red", "green", None]).dictionary_encode()}),
}


@pytest.mark.parametrize("table", CATEGORIES.values(), ids=CATEGORIES)
def test_categories_become_their_positions(table: Any) -> None:
    """Categories of every kind of table are coded alike, missing ones as NaN."""
    codes = block(table, MIXED)[:, 1]
    assert codes[:2].tolist() == [0.0, 1.0]
    assert np.isnan(codes[2])


@pytest.mark.parametrize(
    "values",
    [
        [10, 20, 30],
        [10.0, 20.0, 30.0],
        np.array([10, 20, 30], dtype=np.int32),
        np.array([np.int64(10), np.int64(20), np.int64(30)], dtype=object),
    ],
)
def test_whole_number_categories_of_any_type(values: Any) -> None:
    """Codes are found as integers and as floats; what is not in the list is unknown."""
    spec = Spec(features=(CODE,), depth=2, unknown="token")
    assert block({"c": values}, spec).ravel().tolist() == [0.0, 1.0, 2.0]


BIG = 31337424242424242  # beyond 2**53


@pytest.mark.parametrize(
    "column",
    [
        np.array([BIG, 1]),
        pd.Series([BIG, 1]),
        pd.Series([BIG, 1], dtype="Int64"),
        pd.Series([BIG, 1], dtype="int64[pyarrow]"),
        pd.Series([BIG, None], dtype="int64[pyarrow]"),
        pl.Series([BIG, 1]),
        pl.Series([BIG, None]),
        pa.array([BIG, 1]),
        pa.array([BIG, None]),
        pa.array([Decimal(BIG), None]),
    ],
    ids=lambda column: f"{type(column).__module__}-{getattr(column, 'dtype', getattr(column, 'type', ''))}",
)
def test_integers_beyond_the_doubles_round_alike(column: Any) -> None:
    """A large integer becomes the nearest double in every kind of frame, with or without missing values."""
    kinds = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table, "numpy": dict}
    make = kinds[type(column).__module__.split(".")[0]]
    spec = Spec(features=(Uniform(name="a", lo=0.0, hi=1e17),), depth=2, missing="token")
    assert block(make({"a": column}), spec)[0, 0] == float(BIG)


def test_rows_are_counted_from_where_the_caller_says() -> None:
    """An error in a later batch names the row of the whole."""
    for table, spec in (
        ({"a": [0.5, "x"], "b": [0.5] * 2}, NUMBERS),
        ({"c": [10, 11]}, Spec(features=(CODE,), depth=2)),
    ):
        with pytest.raises(DataError) as caught:
            Columns(table, spec, first_row=100)
        assert caught.value.row == 101


@pytest.mark.parametrize(
    "values", [np.array([1, 2, 9]), pd.Series([1, 2, 9]), pd.Series([1.0, 2.0, 9.0]), ["1", "2", "9"]]
)
def test_whole_numbers_are_found_among_categories_of_text(values: Any) -> None:
    """A column that is text in one owner's CSV file and numbers in another's Parquet file is one column."""
    spec = Spec(features=(Categorical(name="c", categories=("1", "2")),), depth=2, unknown="token")
    assert block({"c": values}, spec).ravel().tolist() == [0.0, 1.0, 2.0]


def test_unknown_category_is_refused_unless_it_has_a_leaf() -> None:
    """A category outside the list is an error that names column and row, not the category."""
    strict = Spec(features=(A, COLOR), depth=2)
    with pytest.raises(DataError) as caught:
        block({"a": [0.5, 0.5], "c": ["red", "SECRET"]}, strict)
    assert (caught.value.column, caught.value.row) == ("c", 1)
    assert "SECRET" not in str(caught.value)
    assert block({"a": [0.5, 0.5], "c": ["red", "SECRET"]}, MIXED)[1, 1] == 2.0


def test_booleans_and_the_longest_integers() -> None:
    """Columns of truth in every frame, with missing values, and of 128 bits are numbers."""
    for frame in (pd.DataFrame({"a": [True, False], "b": [0, 1]}), pl.DataFrame({"a": [True, False], "b": [0, 1]})):
        assert block(frame).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    long = pl.DataFrame({"a": pl.Series([1, 0], dtype=pl.Int128), "b": [True, None]})
    assert np.array_equal(block(long), [[1.0, 1.0], [0.0, np.nan]], equal_nan=True)


def test_an_infinity_is_an_unknown_category() -> None:
    """Numbers that are no whole ones are not in a list of text."""
    spec = Spec(features=(Categorical(name="c", categories=("1", "inf")),), depth=2, unknown="token")
    assert block({"c": np.array([np.inf, 1.0, 1.5, -np.inf])}, spec).ravel().tolist() == [2.0, 0.0, 2.0, 2.0]
