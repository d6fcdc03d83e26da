"""Streams of record batches, of which one is in memory at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from hashcomb.errors import DataError, FileFormatError
from hashcomb.frames import Selection, decode_frame, decoded_row
from hashcomb.header import header_of
from hashcomb.integrations import require
from hashcomb.integrations.arrow.parquet import ParquetTokenWriter

if TYPE_CHECKING:
    from hashcomb import HashComb, Key
    from hashcomb.values import Decoding

pa = require("arrow", "pyarrow")

__all__ = ("decode_stream", "encode_stream", "write_tokens")


def encode_stream(
    codec: HashComb,
    batches: Any,
    *,
    keep: Sequence[str] = (),
    drop: Sequence[str] = (),
    seed: int | None = None,
    record_id: str | None = None,
    memo_key: Key | None = None,
) -> Any:
    """Encode a stream of record batches, of which one is in memory at a time.

    Parameters
    ----------
    codec : HashComb
        Spec and Key.
    batches : iterable of pyarrow.RecordBatch
        Or a ``RecordBatchReader``, a ``Dataset``, a ``Scanner`` or a ``Table``. A Dataset reads ahead as its own
        settings say (``dataset.scanner(batch_readahead=..., fragment_readahead=...)``). Batches without rows are left
        out.
    keep, drop : sequence of str, optional
        Columns to keep beside the tokens, and to leave out, as for `hashcomb.frames.encode_frame`.
    seed : int, optional
        As for `HashComb.encode_batches`.
    record_id : str, optional
        Column of record ids, for `memo_key`.
    memo_key : Key, optional
        As for `HashComb.encode`.

    Returns
    -------
    pyarrow.RecordBatchReader
        Tokens and kept columns; the metadata of its schema hold the header. The first batch is encoded at once, the
        others when they are read, and errors come then.

    Raises
    ------
    DataError
        If there are no rows, or as `hashcomb.frames.encode_frame`; rows are counted over all batches.
    KeyMaterialError, SpecError
        As `HashComb.encode`.

    Notes
    -----
    Privacy: as `HashComb.encode_batches`; kept columns are in the clear.
    """
    selection = Selection(codec.spec, codec.header, keep, drop, record_id)
    waiting: deque[Any] = deque()

    def rows() -> Iterator[Any]:
        for batch in _with_rows(batches):
            waiting.append(batch)
            yield selection.rows(batch)

    def ids() -> Iterator[Any]:
        while True:
            yield selection.ids(waiting[-1])

    encoded = codec.encode_batches(
        rows(), seed=seed, record_ids=None if record_id is None else ids(), memo_key=memo_key
    )
    return _stream(selection.beside(tokens, waiting.popleft()) for tokens in encoded)


def decode_stream(
    codec: HashComb, batches: Any, *, keep: Sequence[str] = (), representative: Decoding | None = None
) -> Any:
    """Decode a stream of record batches of tokens, of which one is in memory at a time.

    Parameters
    ----------
    codec : HashComb
        Spec and Key.
    batches : iterable of pyarrow.RecordBatch
        As `encode_stream` or `ParquetTokens.reader` gives them.
    keep : sequence of str, optional
        Columns beside the tokens to keep.
    representative : str, optional
        As for `HashComb.decode`.

    Returns
    -------
    pyarrow.RecordBatchReader
        Decoded and kept columns.

    Raises
    ------
    DataError
        If there are no rows, or as `HashComb.decode`.
    FingerprintError, SpecError
        As `HashComb.decode`.
    """
    types = pa.table(decoded_row(codec.spec, representative))  # a batch may have nothing but missing values
    rows = _with_rows(batches)
    return _stream(decode_frame(codec, batch, keep=keep, like=types, representative=representative) for batch in rows)


def write_tokens(path: str | os.PathLike[str], batches: Any) -> int:
    """Write a stream of tokens to a Parquet file, which appears when all are written.

    Parameters
    ----------
    path : path
        Where to.
    batches : pyarrow.RecordBatchReader
        As `encode_stream` gives it; or a table or record batch that `encode` gave.

    Returns
    -------
    int
        How many rows were written.

    Raises
    ------
    FileFormatError
        If the stream carries no header of tokens.
    DataError
        If there are no rows, or what the stream raises.

    Notes
    -----
    Privacy: kept columns are written in the clear.
    """
    header = header_of(batches)
    if header is None or not hasattr(batches, "schema"):
        raise FileFormatError("the stream holds no tokens", file=str(path), hint="pass what encode_stream gave")
    kept = [name for name in batches.schema.names if name not in header.columns]
    n_rows = 0
    with ParquetTokenWriter(path, header, kept) as writer:
        for batch in _batches(batches):
            writer.write_batch(batch)
            n_rows += batch.num_rows
    return n_rows


def _with_rows(batches: Any) -> Iterator[Any]:
    return (batch for batch in _batches(batches) if batch.num_rows)


def _batches(source: Any) -> Iterator[Any]:
    if isinstance(source, pa.RecordBatch):
        source = [source]
    elif hasattr(source, "to_batches"):  # a Dataset, a Scanner, a Table
        source = source.to_batches()
    if not isinstance(source, Iterable):
        raise DataError("is no stream of record batches", hint=_STREAMS)
    for batch in source:
        if not isinstance(batch, pa.RecordBatch):
            raise DataError("the stream holds something that is no record batch", hint=_STREAMS)
        yield batch


_STREAMS = (
    "pass ParquetRows(path).reader(), another RecordBatchReader, a Dataset, a Scanner, a Table, or record batches"
)


def _stream(batches: Iterator[Any]) -> Any:
    first = next(batches, None)
    if first is None:
        raise DataError("there are no rows", hint="pass at least one batch with rows")
    return pa.RecordBatchReader.from_batches(first.schema, _alike(chain([first], batches), first.schema))


def _alike(batches: Iterable[Any], schema: Any) -> Iterator[Any]:
    for batch in batches:
        for field, wanted in zip(batch.schema, schema, strict=True):
            if field.type != wanted.type:
                raise DataError("changes its type from one batch to the next", column=field.name)
        yield batch
