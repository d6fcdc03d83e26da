"""Files by their names: CSV, or Parquet where the name ends in ``.parquet`` or ``.pq``."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hashcomb import files, tables
from hashcomb.errors import DataError
from hashcomb.spec import Categorical, Spec

if TYPE_CHECKING:
    from hashcomb.header import TokenHeader

__all__ = (
    "BATCH_ROWS",
    "open_rows",
    "open_tokens",
    "read_all",
    "require_columns",
    "row_writer",
    "text_columns",
    "token_writer",
)

BATCH_ROWS = 65_536


def _parquet(path: str) -> Any:
    """Return the adapter for Parquet if the name asks for it; it is imported only then."""
    if Path(path).suffix.lower() not in (".parquet", ".pq"):
        return None
    from hashcomb.integrations import arrow

    return arrow


def open_rows(path: str) -> tables.Rows:
    """Open a file of rows."""
    arrow = _parquet(path)
    rows: tables.Rows = arrow.ParquetRows(path) if arrow else tables.CsvRows(path)
    return rows


def open_tokens(path: str) -> files.Tokens:
    """Open a file of tokens."""
    arrow = _parquet(path)
    tokens: files.Tokens = arrow.ParquetTokens(path) if arrow else files.CsvTokens(path)
    return tokens


def token_writer(path: str, header: TokenHeader, keep: Sequence[str]) -> Any:
    """Return a writer of tokens, with columns kept beside them; a context manager."""
    arrow = _parquet(path)
    return (arrow.ParquetTokenWriter if arrow else files.CsvTokenWriter)(path, header, keep)


def row_writer(path: str, names: Sequence[str], spec: Spec) -> Any:
    """Return a writer of columns, among them those that `spec` decodes to; a context manager."""
    arrow = _parquet(path)
    if not arrow:
        return tables.CsvWriter(path, names)
    text = text_columns(spec)
    types = {f.name: "string" if f.name in text else "int64" for f in spec.features if isinstance(f, Categorical)}
    return arrow.ParquetWriter(path, names, types)


def read_all(path: str, drop: Collection[str], text: Collection[str] = ()) -> tables.Batch:
    """Read all rows of a file, without the columns to leave out.

    Raises
    ------
    DataError
        If a column that is named is not there, there are no rows, or a value is no number.
    """
    rows = open_rows(path)
    require_columns(rows.names, {*drop, *text})
    if "" in rows.names and "" not in drop:
        hint = "it may be an index that was written along: leave it out with --drop '', or name it"
        raise DataError(f"column {rows.names.index('')} (counted from 0) has no name", hint=hint)
    batches = list(rows.batches(text, BATCH_ROWS, aside=drop))
    if not batches:
        raise DataError("there are no rows", hint="the file needs at least one row")
    names = [name for name in rows.names if name not in drop]
    return {name: np.concatenate([batch[name] for batch in batches]) for name in names}


def require_columns(names: Sequence[str], wanted: Collection[str]) -> None:
    """Raise `DataError` if a column that is named is not among those of a file."""
    for name in sorted(wanted):
        if name not in names:
            there = {other.strip().casefold(): other for other in names}
            near = difflib.get_close_matches(name.strip().casefold(), there, n=1)
            hint = f"did you mean {there[near[0]]!r}?" if near else "see its first line"
            raise DataError("is not in the file", column=name, hint=hint)


def text_columns(spec: Spec) -> set[str]:
    """Return the features whose categories are text, and so must not be read as numbers."""
    categorical = [feature for feature in spec.features if isinstance(feature, Categorical)]
    return {feature.name for feature in categorical if isinstance(feature.categories[0], str)}
