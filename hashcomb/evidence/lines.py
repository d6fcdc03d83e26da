"""Measurements in a file: one line each, on the disk before the next begins, and none lost by an interruption."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import os
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Generic, Protocol, TypeVar

import msgspec

from hashcomb.errors import FileFormatError
from hashcomb.evidence.data import DataSet

__all__ = ("LinesFile", "Measurement", "opened_lines", "read_lines")


class Measurement(Protocol):
    """What a line holds: a `msgspec.Struct` of texts and numbers.

    Attributes
    ----------
    data, rows_sha : str
        Name of the data set, and what tells its rows from others.
    version : str
        Of the definitions behind the names, when it was measured.
    current : str
        The same, today.
    key : hashable
        What tells it from all others.
    """

    __struct_fields__: ClassVar[tuple[str, ...]]
    current: ClassVar[str]

    @property
    def data(self) -> str: ...  # noqa: D102
    @property
    def rows_sha(self) -> str: ...  # noqa: D102
    @property
    def version(self) -> str: ...  # noqa: D102
    @property
    def key(self) -> Hashable: ...  # noqa: D102


M = TypeVar("M", bound=Measurement)


class LinesFile(Generic[M]):
    """A file of measurements, open to append to; `opened_lines` opens one.

    Attributes
    ----------
    results : dict of hashable to measurement
        What is there, by keys.
    """

    def __init__(self, file: BinaryIO, path: Path, kind: type[M]) -> None:
        self._file, self._path, self._columns = file, path, kind.__struct_fields__
        content = file.read()
        whole, begun = _whole_lines(content)
        self.results: dict[Hashable, M] = {result.key: result for result in _parsed(whole, path, kind)}
        if begun:
            self._take_away(whole, begun)
        if not whole:
            self._write(_line(self._columns))

    def refuse_others(self, data: Iterable[DataSet]) -> None:
        """Make sure that what is there was measured on these rows, and by these definitions.

        Raises
        ------
        FileFormatError
            If not.
        """
        rows = {one.name: one.sha for one in data}
        for result in self.results.values():
            if result.version != result.current:
                hint = "its measurements cannot be compared with new ones: choose another folder"
                raise FileFormatError("was written by another version of hashcomb", file=str(self._path), hint=hint)
            if rows.get(result.data, result.rows_sha) != result.rows_sha:
                hint = "choose another folder for the results, or rename the data set"
                problem = f"was measured on other rows that are called {result.data!r} too"
                raise FileFormatError(problem, file=str(self._path), hint=hint)

    def append(self, result: M) -> None:
        """Write a measurement, and wait until it is on the disk."""
        self._write(_line("" if value is None else str(value) for value in _values(result)))
        self.results[result.key] = result

    def _take_away(self, whole: bytes, begun: bytes) -> None:
        """Cut off a line that was begun, unless nothing says that the file is ours."""
        if not whole and not _line(self._columns).startswith(begun):
            raise _not_ours(self._path)
        self._file.truncate(len(whole))

    def _write(self, line: bytes) -> None:
        left = memoryview(line)
        try:
            while left:
                left = left[self._file.write(left) :]
            os.fsync(self._file.fileno())
        except OSError as error:  # which does not know the file
            raise OSError(error.errno, error.strerror, str(self._path)) from None


@contextlib.contextmanager
def opened_lines(path: Path, kind: type[M]) -> Iterator[LinesFile[M]]:
    """Open a file of measurements, which is made with its folder if it is not there, for one process alone.

    A last line that was only half written, by a process that was killed or on a full disk, is taken away.

    Raises
    ------
    FileFormatError
        If another process writes there, or the file is none of ours.
    OSError
        If the folder cannot be made or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b", buffering=0) as file:  # what a full disk refuses is not written later
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hint = "wait until it has ended, or choose another folder"
            raise FileFormatError("is being written by another process", file=str(path), hint=hint) from None
        file.seek(0)
        yield LinesFile(file, path, kind)


def read_lines(path: Path, kind: type[M]) -> list[M]:
    """Read a file of measurements without changing anything, while it grows too.

    Raises
    ------
    FileFormatError
        If there are none, or the file is none of ours.
    """
    there = _parsed(_whole_lines(path.read_bytes())[0], path, kind) if path.is_file() else []
    if not there:
        raise FileFormatError("holds no measurements", file=str(path), hint="measure first, without --summary-only")
    return there


def _values(result: Any) -> tuple[Any, ...]:
    return msgspec.structs.astuple(result)


def _line(fields: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue().encode()


def _whole_lines(content: bytes) -> tuple[bytes, bytes]:
    """Divide what a file holds into whole lines and the beginning of one that was never finished."""
    end = content.rfind(b"\n") + 1
    return content[:end], content[end:]


def _parsed(content: bytes, path: Path, kind: type[M]) -> list[M]:
    if not content:
        return []
    columns = kind.__struct_fields__
    try:
        rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
        if tuple(rows[0]) != columns:
            raise _not_ours(path)
        pairs = [dict(zip(columns, [value or None for value in row], strict=True)) for row in rows[1:]]
        return [msgspec.convert(pair, kind, strict=False) for pair in pairs]
    except (UnicodeDecodeError, csv.Error, ValueError):
        raise _not_ours(path) from None


def _not_ours(path: Path) -> FileFormatError:
    return FileFormatError("is no file of measurements", file=str(path), hint="choose another folder")
