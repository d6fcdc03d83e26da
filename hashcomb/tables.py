"""Rows in CSV files, in and out, in batches that fit in memory."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Collection, Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

import numpy as np
from numpy.typing import NDArray

from hashcomb.atomic import writing
from hashcomb.columns import is_missing
from hashcomb.errors import DataError, FileFormatError

__all__ = (
    "Batch",
    "CsvRows",
    "CsvWriter",
    "Rows",
    "csv_batches",
    "csv_header",
    "require_regular",
    "text_column",
    "write_csv",
)

Batch = dict[str, NDArray[Any]]

MISSING = frozenset({"", "NA", "NaN", "nan", "null"})
_DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}(?=[T ]|$)")
_GROUPED = re.compile(r"[-+\d.]+(,\d+)+(\.\d*)?")


class Rows(Protocol):
    """Rows of a file, whatever its format."""

    @property
    def names(self) -> list[str]:
        """Names of the columns."""

    @property
    def n_rows(self) -> int | None:
        """Number of rows, where the format tells it without reading them all."""

    def batches(self, text: Collection[str], batch_rows: int, *, aside: Collection[str] = ()) -> Iterator[Batch]:
        """Yield batches; columns in `text` as objects, all others as float64 with NaN for missing.

        Columns `aside` come in a form of the file's own, for a writer to keep.
        """


class CsvRows:
    """Rows of a CSV file with a line of column names, UTF-8.

    Parameters
    ----------
    path : path
        The file. Empty fields are missing values; in columns of numbers ``NA``, ``NaN`` and ``null`` are, too.

    Raises
    ------
    FileFormatError
        If the file cannot be read or has no column names.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        with _open(self._path) as file:
            self.names = csv_header(file, self._path)
        _refuse_other_separators(self.names, self._path)

    @property
    def n_rows(self) -> int | None:
        """Unknown before the file is read."""
        return None

    def batches(
        self, text: Collection[str] = (), batch_rows: int = 65_536, *, aside: Collection[str] = ()
    ) -> Iterator[Batch]:
        """Yield batches of at most `batch_rows` rows.

        Parameters
        ----------
        text : collection of str, optional
            Columns to leave as they are; all others are numbers.
        batch_rows : int, optional
            Rows of a batch.
        aside : collection of str, optional
            Columns that are kept or dropped; text too.

        Raises
        ------
        DataError
            If a row has another number of fields, or a field is no number; the message names column and row.
        FileFormatError
            If the file is no CSV.
        """
        with _open(self._path) as file:
            names = csv_header(file, self._path)
            first = 0
            for rows in csv_batches(file, self._path, len(names), batch_rows):
                columns = zip(names, zip(*rows, strict=True), strict=True)
                yield {
                    name: text_column(values) if name in text or name in aside else _numbers(values, name, first)
                    for name, values in columns
                }
                first += len(rows)


def require_regular(path: Path) -> None:
    """Raise `FileFormatError` for a pipe or a folder: a file is read more than once."""
    if path.exists() and not path.is_file():
        raise FileFormatError("is no regular file", file=str(path), hint="save what a pipe gives to a file first")


def _open(path: Path) -> TextIO:
    require_regular(path)
    try:
        return path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise FileFormatError(f"cannot be read: {error.strerror}", file=str(path)) from None


def csv_header(file: TextIO, path: Path) -> list[str]:
    """Read the line of column names.

    Raises
    ------
    FileFormatError
        If there is none, it holds numbers, or a name occurs twice.
    """
    try:
        names = next(csv.reader(file), [])
    except (csv.Error, UnicodeDecodeError):
        hint = "save it as UTF-8 with commas; spreadsheets call it CSV UTF-8"
        raise FileFormatError("is no UTF-8 CSV file", file=str(path), hint=hint) from None
    if not names:
        raise FileFormatError("is empty", file=str(path), hint="the first line holds the column names")
    if any(_is_measured(name) for name in names):
        problem = "the first line holds numbers, which are no names of columns"
        raise FileFormatError(problem, file=str(path), hint="write the column names above the first record")
    first: dict[str, int] = {}
    for place, name in enumerate(names):
        if first.setdefault(name, place) != place:
            # By their places: without a line of names, these would be values of the first record.
            problem = f"columns {first[name]} and {place} (counted from 0) have one name"
            raise FileFormatError(problem, file=str(path), hint="the first line must hold the column names")
    return names


def _refuse_other_separators(names: Sequence[str], path: Path) -> None:
    """Refuse one column whose name is several, with a semicolon or tab between them."""
    for sign, word in ((";", "semicolons"), ("\t", "tabs")):
        if len(names) == 1 and sign in names[0]:
            hint = "save it with commas between fields, and a point in decimal numbers"
            raise FileFormatError(f"the first line has {word} and no comma", file=str(path), hint=hint)


def _is_measured(name: str) -> bool:
    """Return whether a name is a number with a fraction: the file has no line of names, and this is a record."""
    try:
        return any(map(str.isdigit, name)) and not float(name).is_integer()
    except ValueError:
        return False


def csv_batches(file: TextIO, path: Path, n_columns: int, batch_rows: int) -> Iterator[list[list[str]]]:
    """Yield lists of rows of exactly `n_columns` fields.

    Raises
    ------
    DataError
        If a row has another number of fields.
    FileFormatError
        If the file is no UTF-8 CSV.
    """
    rows: list[list[str]] = []
    first = 0
    reader = csv.reader(file)
    while True:
        try:
            row = next(reader, None)
        except UnicodeDecodeError:
            raise FileFormatError(f"is no UTF-8 text behind row {first + len(rows)}", file=str(path)) from None
        except csv.Error as error:  # whose messages hold no values
            raise FileFormatError(f"is no CSV behind row {first + len(rows)}: {error}", file=str(path)) from None
        if row is not None and not row:
            continue  # an empty line
        if row is not None and len(row) != n_columns:
            raise DataError(
                f"{len(row)} fields, where there are {n_columns} columns",
                row=first + len(rows),
                hint="the file may be cut off, or a comma may need quotes",
            )
        if row is not None:
            rows.append(row)
        if rows and (row is None or len(rows) == batch_rows):
            yield rows
            first, rows = first + len(rows), []
        if row is None:
            return


def text_column(values: Sequence[str]) -> NDArray[Any]:
    """Return a column of text as objects, None for empty fields; ``NA`` may be a country, and stays."""
    column = np.empty(len(values), dtype=object)
    column[:] = [value or None for value in values]
    return column


def _numbers(values: Sequence[str], name: str, first_row: int) -> NDArray[np.float64]:
    # Python's float also reads "1_000", which no other reader of CSV does.
    if "_" not in "".join(values):
        try:
            return np.fromiter(map(float, values), dtype=np.float64, count=len(values))
        except ValueError:
            pass  # a missing value, or one that is no number: look at each
    return np.array([_number(value, name, first_row + row) for row, value in enumerate(values)])


def _number(value: str, name: str, row: int) -> float:
    if value in MISSING:
        return float("nan")
    try:
        return float(value.replace("_", "x"))
    except ValueError:
        raise DataError("is no number", column=name, row=row, hint=_way_out(value)) from None


def _way_out(value: str) -> str:
    """Say what to do about a field that is no number, by its form and without its value."""
    if _DATE.match(value):
        return "it looks like a date: put a number of days in its place, or drop or keep the column"
    if _GROUPED.fullmatch(value):
        return "write a point in decimal numbers, and no commas"
    return "correct the row (a missing value is an empty field), or make the column categorical, or drop or keep it"


def write_csv(file: TextIO, columns: Sequence[Sequence[Any]]) -> None:
    """Write columns as lines of a CSV file; missing values become empty fields."""
    shown = [["" if is_missing(value) else value for value in column] for column in columns]
    # Python 3.11 does not quote a carriage return alone, and then cannot read what it wrote.
    bare = any(isinstance(value, str) and "\r" in value for column in shown for value in column)
    options: dict[str, Any] = {"quoting": csv.QUOTE_ALL if bare else csv.QUOTE_MINIMAL}
    csv.writer(file, lineterminator="\n", **options).writerows(zip(*shown, strict=True))


class CsvWriter:
    """Write batches of columns to a CSV file, which appears when the block ends without an error.

    Parameters
    ----------
    path : path
        Where to.
    names : sequence of str
        The columns.
    """

    def __init__(self, path: str | os.PathLike[str], names: Sequence[str]) -> None:
        self._path, self._names = path, list(names)

    def __enter__(self) -> Self:
        self._writing = writing(self._path)
        self._text = TextIOWrapper(self._writing.__enter__(), encoding="utf-8", newline="")
        write_csv(self._text, [[name] for name in self._names])
        return self

    def write(self, batch: Batch) -> None:
        """Write the rows of a batch; missing values become empty fields."""
        write_csv(self._text, [batch[name].tolist() for name in self._names])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._text.flush()
        self._text.detach()
        self._writing.__exit__(kind, error, trace)
