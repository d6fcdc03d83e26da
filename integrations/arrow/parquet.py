"""Rows and tokens in Parquet files."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from hashcomb.atomic import writing
from hashcomb.days import times_in
from hashcomb.errors import DataError, FileFormatError
from hashcomb.files import refuse_clash
from hashcomb.header import TokenHeader
from hashcomb.integrations import require
from hashcomb.tables import Batch, require_regular

pa = require("arrow", "pyarrow")
pq = require("arrow", "pyarrow.parquet")

__all__ = ("ParquetRows", "ParquetTokenWriter", "ParquetTokens", "ParquetWriter")

_KEY, _SHA256 = b"hashcomb", b"hashcomb.sha256"


def _open(path: Path) -> Any:
    require_regular(path)
    try:
        return pq.ParquetFile(path, page_checksum_verification=True, memory_map=True)
    except OSError as error:
        raise FileFormatError(f"cannot be read: {error.strerror or 'damaged'}", file=str(path)) from None
    except pa.ArrowException:
        raise FileFormatError("is no whole Parquet file", file=str(path)) from None


def _batches(file: Any, path: Path, batch_rows: int) -> Iterator[Any]:
    try:
        yield from file.iter_batches(batch_rows)
    except (pa.ArrowException, OSError):
        raise FileFormatError("is damaged", file=str(path), hint="copy it again, or encode again") from None


class ParquetRows:
    """Rows of a Parquet file; see `hashcomb.tables.Rows`.

    Raises
    ------
    FileFormatError
        If the file cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._file = _open(self._path)
        self.names = list(self._file.schema_arrow.names)
        if len(set(self.names)) != len(self.names):
            raise FileFormatError("two columns have one name", file=str(path))

    def __repr__(self) -> str:
        return f"ParquetRows({str(self._path)!r}, {self.n_rows} rows, {len(self.names)} columns)"

    @property
    def n_rows(self) -> int | None:
        """Number of rows."""
        return int(self._file.metadata.num_rows)

    def reader(self, batch_rows: int = 65_536) -> Any:
        """Return the rows as a ``pyarrow.RecordBatchReader``, for `encode_stream`; a batch is in memory at a time."""
        return pa.RecordBatchReader.from_batches(self._file.schema_arrow, _batches(self._file, self._path, batch_rows))

    def batches(
        self, text: Collection[str] = (), batch_rows: int = 65_536, *, aside: Collection[str] = ()
    ) -> Iterator[Batch]:
        """Yield batches; columns in `text` as objects, those `aside` as pyarrow arrays, all others as float64."""
        for batch in _batches(self._file, self._path, batch_rows):
            yield {
                name: batch.column(name) if name in aside else self._column(batch, name, name in text)
                for name in self.names
            }

    def _column(self, batch: Any, name: str, text: bool) -> NDArray[Any]:
        column = batch.column(name)
        if text:
            objects = np.empty(batch.num_rows, dtype=object)
            objects[:] = column.to_pylist()
            return objects
        if pa.types.is_temporal(column.type):
            times = times_in(nw.from_native(pa.chunked_array([column]), series_only=True), name)
            return np.asarray(times)
        if not _is_number(column.type):
            hint = "make the column categorical, or keep or drop it"
            raise DataError(f"holds values of type {column.type}, no numbers", column=name, hint=hint)
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))


def _is_number(kind: Any) -> bool:
    types = pa.types  # a column without a single value has the type null
    kinds = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
    return any(is_kind(kind) for is_kind in kinds)


def _arrow(values: Any, name: str, kind: str | None = None) -> Any:
    if isinstance(values, pa.Array):
        return values
    try:
        return pa.array(values, type=None if kind is None else pa.type_for_alias(kind), from_pandas=True)
    except (pa.ArrowException, OverflowError):
        raise DataError("holds values that one Parquet column cannot", column=name) from None


# The SHA-256 stands in the footer, and counts as zeros when it is computed: every other bit of the file is covered.
_NONE = b"0" * 64
_PLACE = re.compile(rb"hashcomb\.sha256.{1,8}?([0-9a-f]{64})", re.DOTALL)


def _digest(file: Any) -> tuple[int, str]:
    """Return where the SHA-256 of a whole Parquet file stands, and what it must be."""
    end = file.seek(-8, os.SEEK_END)
    start = max(0, end - int.from_bytes(file.read(4), "little"))
    file.seek(start)
    found = _PLACE.search(file.read(end - start))
    if found is None:
        return 0, ""
    place, digest = start + found.start(1), hashlib.sha256()
    file.seek(0)
    left = place
    while left:
        block = file.read(min(1 << 20, left))
        digest.update(block)
        left -= len(block)
    file.seek(place + len(_NONE))
    digest.update(_NONE + file.read())  # the rest of the footer
    return place, digest.hexdigest()


class _Writer:
    """A Parquet file that appears when the block ends without an error."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._parquet: Any = None

    def __enter__(self) -> Self:
        self._writing = writing(self._path)
        self._file = self._writing.__enter__()
        return self

    def _write(self, columns: dict[str, Any]) -> None:
        if self._parquet is None:
            # A first batch without a single value has no type: text.
            typed = {name: c.cast(pa.string()) if pa.types.is_null(c.type) else c for name, c in columns.items()}
            schema = pa.table(typed).schema.with_metadata(self._metadata())
            self._parquet = pq.ParquetWriter(self._file, schema, write_page_checksum=True)
        schema = self._parquet.schema
        for name, column in columns.items():
            if pa.types.is_null(column.type):
                columns[name] = column.cast(schema.field(name).type)
            elif column.type != schema.field(name).type:
                raise DataError("changes its type from one batch to the next", column=name)
        self._parquet.write_table(pa.table(columns, schema=schema))

    def _metadata(self) -> dict[bytes, bytes]:
        return {}

    def _finish(self) -> None:
        if self._parquet is None:
            raise DataError("there are no rows", hint="pass at least one row")
        self._parquet.close()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        with ExitStack() as end:
            end.push(self._writing)  # is told of an error of the last bytes as well
            if error is None:
                self._finish()
                return
            with suppress(OSError):  # the disk may be full
                if self._parquet is not None:
                    self._parquet.close()  # or it would try again later, on a file that is gone
            raise error


class ParquetWriter(_Writer):
    """Write batches of columns to a Parquet file, which appears when the block ends without an error.

    Parameters
    ----------
    path : path
        Where to.
    names : sequence of str
        The columns.
    types : mapping of str to str, optional
        Types of columns of objects, as pyarrow calls them; else they are those of the first batch.
    """

    def __init__(
        self, path: str | os.PathLike[str], names: Sequence[str], types: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(path)
        self._names, self._types = list(names), types or {}

    def write(self, batch: Batch) -> None:
        """Write the rows of a batch."""
        self._write({name: _arrow(batch[name], name, self._types.get(name)) for name in self._names})


class ParquetTokenWriter(_Writer):
    """Write tokens to a Parquet file; see `hashcomb.files.CsvTokenWriter`.

    Notes
    -----
    Privacy: a kept column is written in the clear.
    """

    def __init__(self, path: str | os.PathLike[str], header: TokenHeader, kept: Sequence[str] = ()) -> None:
        super().__init__(path)
        refuse_clash(header, kept)
        self._header, self._kept = header, list(kept)

    def write(self, tokens: NDArray[Any], kept: Batch) -> None:
        """Write rows: tokens of shape (n, n_features[, depth]), and the kept columns."""
        flat = np.asarray(tokens).reshape(len(tokens), -1)
        columns = {name: pa.array(flat[:, j]) for j, name in enumerate(self._header.columns)}
        columns |= {name: _arrow(kept[name], name) for name in self._kept}
        self._write(columns)

    def write_batch(self, batch: Any) -> None:
        """Write a record batch of tokens and kept columns, as `encode_stream` gives it."""
        self._write({name: batch.column(name) for name in (*self._header.columns, *self._kept)})

    def _metadata(self) -> dict[bytes, bytes]:
        return {_KEY: self._header.to_json().encode(), _SHA256: _NONE}

    def _finish(self) -> None:
        super()._finish()
        self._file.flush()
        place, digest = _digest(self._file)
        self._file.seek(place)
        self._file.write(digest.encode())


class ParquetTokens:
    """Tokens in a Parquet file that `ParquetTokenWriter` wrote; see `hashcomb.files.CsvTokens`.

    Raises
    ------
    FileFormatError
        If it is no file of tokens.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._file = _open(self._path)
        metadata = self._file.metadata.metadata or {}
        if _KEY not in metadata:
            raise FileFormatError("holds no tokens", file=str(path), hint="was it written by hashcomb encode?")
        self.header = TokenHeader.from_json(metadata[_KEY], file=str(path))
        self._sha256 = metadata.get(_SHA256, b"").decode("ascii", "replace")
        names = list(self._file.schema_arrow.names)
        n_columns = len(self.header.columns)
        if tuple(names[:n_columns]) != self.header.columns:
            raise FileFormatError("the columns are not those that its header names", file=str(path))
        self.kept = names[n_columns:]

    def __repr__(self) -> str:
        return f"ParquetTokens({str(self._path)!r}, {self.n_rows} rows, {self.header.fingerprint[:16]})"

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self._file.metadata.num_rows)

    def verify(self) -> None:
        """Raise `FileFormatError` if the file is truncated or edited."""
        with self._path.open("rb") as file:
            _, digest = _digest(file)
        if not digest or digest != self._sha256:
            raise FileFormatError(
                "was edited: its SHA-256 is not the one in its metadata",
                file=str(self._path),
                hint="copy it again, or encode the rows again",
            )

    def reader(self, batch_rows: int = 65_536) -> Any:
        """Return tokens and kept columns as a ``pyarrow.RecordBatchReader``, for `decode_stream`."""
        schema = self._file.schema_arrow.with_metadata({_KEY: self.header.to_json().encode()})
        batches = _batches(self._file, self._path, batch_rows)
        stamped = (batch.replace_schema_metadata(schema.metadata) for batch in batches)
        return pa.RecordBatchReader.from_batches(schema, stamped)

    def batches(self, batch_rows: int = 65_536) -> Iterator[tuple[NDArray[Any], Batch]]:
        """Yield tokens, shape (n, n_columns), and the columns kept beside them, as pyarrow arrays.

        Raises
        ------
        FileFormatError
            If the file is damaged, or its tokens are of another type.
        """
        dtype = np.uint64 if self.header.token_bits == 64 else np.uint32
        for batch in _batches(self._file, self._path, batch_rows):
            tokens = [batch.column(name).to_numpy(zero_copy_only=False) for name in self.header.columns]
            if any(column.dtype != dtype for column in tokens):
                raise FileFormatError(f"its tokens are not of type {np.dtype(dtype)}", file=str(self._path))
            yield np.stack(tokens, axis=1), {name: batch.column(name) for name in self.kept}
