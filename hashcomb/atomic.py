"""Write files whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ("check_target", "writing")


@contextlib.contextmanager
def writing(path: str | os.PathLike[str], *, mode: int = 0o666, overwrite: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path`; put it in place when the block ends without an error.

    Parameters
    ----------
    path : path
        Where the file goes. A symbolic link is followed.
    mode : int, optional
        Permissions, before the umask.
    overwrite : bool, optional
        Whether a file that is there may be replaced.

    Yields
    ------
    file
        A binary file, readable and writable.

    Raises
    ------
    OSError
        If the file cannot be written, or exists and may not be replaced, or is no regular file.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise OSError(None, "is not a regular file", str(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _place(temporary, target, overwrite)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def check_target(path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
    """Try whether `writing` could begin, before long work does; leave nothing.

    Raises
    ------
    OSError
        As `writing`.
    """
    if not overwrite and Path(path).exists():
        raise FileExistsError(None, "exists, and is not overwritten", str(path))
    with contextlib.suppress(_CheckedError), writing(path):
        raise _CheckedError


class _CheckedError(Exception):
    """Ends `writing` before it puts anything in place."""


def _place(temporary: Path, target: Path, overwrite: bool) -> None:
    if overwrite:
        temporary.replace(target)
    else:
        os.link(temporary, target)  # fails if the target exists, where a rename would replace it
