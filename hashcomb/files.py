"""Encoded data and Specs on disk; whole or not at all, and nothing pickled.

A CSV file of tokens begins with one comment line: the format, the SHA-256 of all that follows it, the number of
rows and the `TokenHeader` as JSON. Other readers skip it (``pandas.read_csv(path, skiprows=1)``). A token is
written as ``t`` and its hexadecimal digits: as a number, several readers would round it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from hashcomb.atomic import writing
from hashcomb.documents import MAX_BYTES
from hashcomb.errors import DataError, FileFormatError, SpecError
from hashcomb.header import TokenHeader
from hashcomb.spec import Spec
from hashcomb.tables import Batch, csv_batches, csv_header, require_regular, text_column, write_csv

__all__ = ("CsvTokenWriter", "CsvTokens", "TokenWriter", "Tokens", "read_spec", "write_spec")

_FIRST_LINE = re.compile(r"# hashcomb tokens 1 sha256=([0-9a-f]{64}) rows=(\d{15}) (\{.*\})\n")
_LONGEST_HEADER = 1 << 24
_SEALED = len("# hashcomb tokens 1 sha256=") + 64  # from here on, everything counts for the SHA-256


# ---------------------------------------------------------------------- Specs
def read_spec(path: str | os.PathLike[str]) -> Spec:
    """Read a Spec from a file, JSON if its name ends in ``.json``, else TOML.

    Raises
    ------
    SpecError
        If the file cannot be read or holds no valid Spec.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SpecError(f"file {str(path)!r} cannot be read: {error.strerror}") from None
    return Spec.from_json(text) if path.suffix == ".json" else Spec.from_toml(text)


def write_spec(spec: Spec, path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
    """Write a Spec to a file, JSON if its name ends in ``.json``, else TOML."""
    text = spec.to_json() + "\n" if Path(path).suffix == ".json" else spec.to_toml()
    with writing(path, overwrite=overwrite) as file:
        file.write(text.encode())


# ---------------------------------------------------------------------- tokens
class Tokens(Protocol):
    """A file of tokens, whatever its format."""

    header: TokenHeader
    kept: list[str]

    @property
    def n_rows(self) -> int:
        """Number of rows."""

    def verify(self) -> None:
        """Raise `FileFormatError` if the file is truncated or edited."""

    def batches(self, batch_rows: int) -> Iterator[tuple[NDArray[Any], Batch]]:
        """Yield tokens, shape (n, n_columns), and the columns kept beside them."""


class TokenWriter(Protocol):
    """Writes a file of tokens, whatever its format."""

    def __enter__(self) -> Self:
        """Begin; nothing is at the path yet."""

    def write(self, tokens: NDArray[Any], kept: Batch) -> None:
        """Write rows."""

    def __exit__(self, *error: Any) -> None:
        """Put the file in place, or drop it after an error."""


class CsvTokenWriter:
    """Write tokens to a CSV file, which appears when the block ends without an error.

    Parameters
    ----------
    path : path
        Where to.
    header : TokenHeader
        What the tokens are; it goes into the first line.
    kept : sequence of str, optional
        Columns that are written beside the tokens as they are.

    Raises
    ------
    DataError
        If a kept column has the name of a token column.

    Notes
    -----
    Privacy: a kept column is written in the clear.
    """

    def __init__(self, path: str | os.PathLike[str], header: TokenHeader, kept: Sequence[str] = ()) -> None:
        refuse_clash(header, kept)
        self._path, self._header, self._kept = path, header, list(kept)
        self._digits = header.token_bits // 4
        self._n_rows = 0

    def __enter__(self) -> Self:
        self._writing = writing(self._path)
        self._file = self._writing.__enter__()
        self._put_first_line("0" * 64)
        self._text = TextIOWrapper(self._file, encoding="utf-8", newline="")
        write_csv(self._text, [[name] for name in (*self._header.columns, *self._kept)])
        return self

    def _put_first_line(self, digest: str) -> None:
        line = f"# hashcomb tokens 1 sha256={digest} rows={self._n_rows:015d} {self._header.to_json()}\n"
        self._file.seek(0)
        self._file.write(line.encode())

    def write(self, tokens: NDArray[Any], kept: Batch) -> None:
        """Write rows: tokens of shape (n, n_features[, depth]), and the kept columns."""
        flat = np.asarray(tokens).reshape(len(tokens), -1)
        words = [[f"t{token:0{self._digits}x}" for token in column] for column in flat.T.tolist()]
        write_csv(self._text, [*words, *(kept[name].tolist() for name in self._kept)])
        self._n_rows += len(flat)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as end:
            end.push(self._writing)  # is told of an error of the last bytes as well
            self._text.flush()
            self._text.detach()
            if error is not None:
                raise error
            # Rows and digest are known only now; the first line was left room for them.
            self._put_first_line("0" * 64)
            self._put_first_line(_digest(self._file))


class CsvTokens:
    """Tokens in a CSV file that `CsvTokenWriter` wrote.

    Parameters
    ----------
    path : path
        The file.

    Attributes
    ----------
    header : TokenHeader
        What the tokens are.
    kept : list of str
        Columns beside the tokens.
    n_rows : int
        Number of rows, as the first line says.

    Raises
    ------
    FileFormatError
        If it is no file of tokens.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        require_regular(self._path)
        try:
            with self._path.open("rb") as file:
                self._first = file.readline(_LONGEST_HEADER)
        except OSError as error:
            raise FileFormatError(f"cannot be read: {error.strerror}", file=str(path)) from None
        match = _FIRST_LINE.fullmatch(self._first.decode("utf-8", "replace"))
        if match is None:
            raise FileFormatError(
                "does not begin as a file of tokens does", file=str(path), hint="was it written by hashcomb encode?"
            )
        self._sha256, self.n_rows = match[1], int(match[2])
        self.header = TokenHeader.from_json(match[3], file=str(path))
        with self._text() as text:
            names = csv_header(text, self._path)
        self._n_columns = len(self.header.columns)
        if tuple(names[: self._n_columns]) != self.header.columns:
            raise FileFormatError("the columns are not those that its header names", file=str(path))
        self.kept = names[self._n_columns :]

    def __repr__(self) -> str:
        return f"CsvTokens({str(self._path)!r}, {self.n_rows} rows, {self.header.fingerprint[:16]})"

    def _text(self) -> TextIOWrapper:
        file = self._path.open("rb")
        file.seek(len(self._first))
        return TextIOWrapper(file, encoding="utf-8", newline="")

    def verify(self) -> None:
        """Raise `FileFormatError` if the file is truncated or edited."""
        with self._path.open("rb") as file:
            if _digest(file) != self._sha256:
                raise FileFormatError(
                    "is truncated or was edited: its SHA-256 is not the one in its first line",
                    file=str(self._path),
                    hint="copy it again, or encode the rows again",
                )

    def batches(self, batch_rows: int = 65_536) -> Iterator[tuple[NDArray[Any], Batch]]:
        """Yield tokens, shape (n, n_columns), and the columns kept beside them."""
        dtype = np.uint64 if self.header.token_bits == 64 else np.uint32
        with self._text() as text:
            names = csv_header(text, self._path)
            first = 0
            for rows in csv_batches(text, self._path, len(names), batch_rows):
                columns = list(zip(*rows, strict=True))
                tokens = [self._parse(c, j, first, dtype) for j, c in enumerate(columns[: self._n_columns])]
                kept = zip(self.kept, columns[self._n_columns :], strict=True)
                yield np.stack(tokens, axis=1), {name: text_column(values) for name, values in kept}
                first += len(rows)

    def _parse(self, words: Sequence[str], index: int, first_row: int, dtype: type[Any]) -> NDArray[Any]:
        token = re.compile(f"t([0-9a-f]{{{self.header.token_bits // 4}}})")
        matches = [token.fullmatch(word) for word in words]
        for row, match in enumerate(matches):
            if match is None:
                raise DataError("is no token", column=self.header.columns[index], row=first_row + row)
        return np.array([int(match[1], 16) for match in matches if match], dtype=dtype)


def refuse_clash(header: TokenHeader, kept: Sequence[str]) -> None:
    """Raise `DataError` if a kept column has the name of a token column, or occurs twice."""
    refuse_text(kept, "keep")
    for name in kept:
        if name in header.columns:
            raise DataError("is a token column, and cannot be kept in the clear as well", column=name)
        if list(kept).count(name) > 1:
            raise DataError("is to be kept twice", column=name)


def refuse_text(names: Sequence[str], argument: str) -> None:
    """Raise `DataError` if a list of columns is one text, whose letters would be taken for columns."""
    if isinstance(names, str):
        raise DataError(f"{argument} is one text, not a list of columns", hint=f"write {argument}=[{names!r}]")


def _digest(file: Any) -> str:
    file.seek(_SEALED)
    return hashlib.file_digest(file, "sha256").hexdigest()
