"""Files of tokens that are mapped into memory: rows in any order, and nothing is read before it is asked for.

The file is a NumPy file (``np.load(path, mmap_mode="r")`` gives the tokens) with more behind the array: labels, and
what the tokens are, as JSON.
"""

from __future__ import annotations

import hashlib
import math
import os
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from hashcomb import TokenHeader
from hashcomb.atomic import writing
from hashcomb.errors import DataError, FileFormatError
from hashcomb.files import Tokens
from hashcomb.integrations.torch.labels import labels_of
from hashcomb.integrations.torch.vocabulary import require_header, tokens_of
from hashcomb.tables import require_regular

__all__ = ("MappedTokens", "write_tokens")

Array = NDArray[Any]

_MARK = b"hashcomb"
_END = 8 + len(_MARK)  # the length of the JSON, and the mark
_BATCH_ROWS = 65_536


class _Trailer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    header: msgspec.Raw
    sha256: str
    label_type: Literal["", "<i8", "<f4"] = ""
    label_shape: tuple[int, ...] = ()
    version: Literal[1] = 1


class MappedTokens:
    """Tokens, and labels beside them, in a file that `write_tokens` wrote.

    Pickled, it is the name of the file, which is opened again: a worker of a DataLoader gets no copy of the rows.

    Parameters
    ----------
    path : path
        The file.

    Attributes
    ----------
    header : TokenHeader
        What the tokens are.
    tokens : ndarray of uint64 or uint32, shape (n_rows, n_features[, depth])
        The tokens, mapped into memory, read-only.
    labels : ndarray of int64 or float32, shape (n_rows, ...), or None
        The labels, likewise.
    sha256 : str
        Digest of tokens and labels, as the file says; `verify` computes it.

    Raises
    ------
    FileFormatError
        If it is no such file, or not whole.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        require_regular(self.path)
        try:
            trailer, end = _read_trailer(self.path)
            self.header = TokenHeader.from_json(bytes(trailer.header), file=str(path))
            self.tokens: Array = np.lib.format.open_memmap(self.path, mode="r")
            self.labels = _map_labels(self.path, trailer, self.tokens, end)
        except OSError as error:
            raise FileFormatError(f"cannot be read: {error.strerror}", file=str(path)) from None
        except (ValueError, EOFError, TypeError, SyntaxError, tokenize.TokenError, msgspec.MsgspecError) as error:
            if isinstance(error, FileFormatError):
                raise
            hint = "write it with hashcomb.integrations.torch.write_tokens"
            raise FileFormatError("is no whole file of mapped tokens", file=str(path), hint=hint) from None
        self.sha256 = trailer.sha256
        self._check(str(path))

    def _check(self, file: str) -> None:
        header, tokens = self.header, self.tokens
        n_columns = int(np.prod(tokens.shape[1:]))
        fits = tokens.dtype == f"uint{header.token_bits}" and n_columns == len(header.columns)
        if tokens.ndim < 2 or not fits or (self.labels is not None and len(self.labels) != len(tokens)):
            raise FileFormatError("the rows are not those that its header names", file=file)

    def __len__(self) -> int:
        return len(self.tokens)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.tokens, dtype=dtype, copy=copy, subok=False)

    def __repr__(self) -> str:
        return f"MappedTokens({self.path.name!r}, {len(self)} rows, {self.header.fingerprint[:16]})"

    def __reduce__(self) -> Any:
        return _reopen, (str(self.path), self.sha256)

    def verify(self) -> None:
        """Read the whole file; raise `FileFormatError` if it was edited."""
        _, end = _read_trailer(self.path)
        with self.path.open("rb") as file:
            if _digest(file, end) != self.sha256:
                raise FileFormatError("was edited: its SHA-256 is not the one at its end", file=str(self.path))


def _reopen(path: str, sha256: str) -> MappedTokens:
    """Open a file again in another process; raise `FileFormatError` if it is not the same one."""
    mapped = MappedTokens(path)
    if mapped.sha256 != sha256:
        raise FileFormatError("was replaced by another file", file=path, hint="make the data set again")
    return mapped


def write_tokens(
    path: str | os.PathLike[str],
    tokens: Any,
    labels: Any = None,
    *,
    classes: Sequence[Any] | None = None,
) -> MappedTokens:
    """Write tokens, and labels beside them, to a file that can be mapped into memory.

    Parameters
    ----------
    path : path
        Where to. The file appears when it is whole.
    tokens : TokenArray, `hashcomb.files.CsvTokens` or `hashcomb.integrations.arrow.ParquetTokens`
        The rows: what ``HashComb.encode`` gave, or a file that ``hashcomb encode`` wrote, which is read in batches.
    labels : array_like of shape (n_rows, ...), or str, optional
        Labels, numbers; of a file the name of the column that was kept beside the tokens.
    classes : sequence, optional
        Where labels are names of classes: all classes, in an order that holds for every file. A label becomes its
        place in it.

    Returns
    -------
    MappedTokens
        The file.

    Raises
    ------
    DataError
        If labels are missing, no numbers, no classes or not one a row, or the tokens carry no header.
    FileFormatError
        If a file of tokens is damaged.
    OSError
        If the file cannot be written.

    Notes
    -----
    Privacy: labels are written in the clear.
    """
    header = require_header(tokens)
    n_rows = tokens.n_rows if hasattr(tokens, "batches") else len(tokens)
    if n_rows == 0:
        raise DataError("there are no rows", hint="pass at least one row")
    shape = (n_rows, len(header.features), *([header.depth] if header.tokens == "comb" else []))
    with writing(path) as file:
        begin = {"descr": f"<u{header.token_bits // 8}", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, begin)
        own = _write_rows(file, _parts(tokens, labels, classes), header, n_rows)
        if own is not None:
            file.write(own.tobytes())
        _write_trailer(file, header, own)
    return MappedTokens(path)


def _parts(tokens: Any, labels: Any, classes: Sequence[Any] | None) -> Iterator[tuple[Array, Array | None]]:
    """Yield tokens and their labels."""
    if not hasattr(tokens, "batches"):
        yield tokens_of(tokens), None if labels is None else labels_of(labels, classes)
        return
    if labels is not None and labels not in tokens.kept:
        raise DataError("is not kept beside the tokens", column=str(labels), hint="encode with --keep COLUMN")
    source: Tokens = tokens
    source.verify()
    first = 0
    for words, kept in source.batches(_BATCH_ROWS):
        yield words, None if labels is None else labels_of(kept[labels], classes, column=labels, first_row=first)
        first += len(words)


def _write_rows(
    file: BinaryIO, parts: Iterator[tuple[Array, Array | None]], header: TokenHeader, n_rows: int
) -> Array | None:
    """Write the tokens; return all labels, in one type."""
    found, written = [], 0
    for tokens, labels in parts:
        if int(np.prod(tokens.shape[1:])) != len(header.columns):
            raise DataError(f"rows of tokens of shape {tokens.shape[1:]}, where the header names {len(header.columns)}")
        if labels is not None:
            if len(labels) != len(tokens):
                raise DataError(f"{len(labels)} labels for {len(tokens)} rows")
            found.append(labels)
        file.write(np.ascontiguousarray(tokens, dtype=f"<u{header.token_bits // 8}").tobytes())
        written += len(tokens)
    if written != n_rows:
        raise DataError(f"{written} rows of tokens, where {n_rows} were announced", hint="copy the file again")
    if not found:
        return None
    labels = np.concatenate(found)
    return labels.astype(np.float32) if labels.dtype.kind == "f" else labels


def _write_trailer(file: BinaryIO, header: TokenHeader, labels: Array | None) -> None:
    trailer = _Trailer(
        header=msgspec.Raw(header.to_json().encode()),
        sha256=_digest(file, file.tell()),
        label_type="" if labels is None else "<i8" if labels.dtype.kind == "i" else "<f4",
        label_shape=() if labels is None else labels.shape,
    )
    text = msgspec.json.encode(trailer)
    file.seek(0, os.SEEK_END)
    file.write(text + len(text).to_bytes(8, "little") + _MARK)


def _digest(file: BinaryIO, end: int) -> str:
    """Return the SHA-256 of all that stands before the trailer."""
    digest = hashlib.sha256()
    file.seek(0)
    while end > 0:
        block = file.read(min(1 << 20, end))
        if not block:
            break
        digest.update(block)
        end -= len(block)
    return digest.hexdigest()


def _read_trailer(path: Path) -> tuple[_Trailer, int]:
    """Return what stands at the end of a file, and where it begins; raise ValueError if it is not there."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END))
        end = file.read(_END)
        length = int.from_bytes(end[:8], "little")
        start = size - _END - length
        if end[8:] != _MARK or start < 0:
            raise ValueError
        file.seek(start)
        return msgspec.json.decode(file.read(length), type=_Trailer), start


def _map_labels(path: Path, trailer: _Trailer, tokens: Any, end: int) -> Array | None:
    """Return what stands between the tokens and the trailer; raise ValueError if it has not the labels' length."""
    start = tokens.offset + tokens.nbytes
    dtype = np.dtype(trailer.label_type or "V0")
    if start + math.prod(trailer.label_shape) * dtype.itemsize != end:
        raise ValueError
    return np.memmap(path, dtype, "r", start, trailer.label_shape) if trailer.label_type else None
