"""Write files whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ("KEY_MARK", "check_target", "writing")

KEY_MARK = b"hashcomb-key-"  # how the file of a Key begins


@contextlib.contextmanager
def writing(path: str | os.PathLike[str], *, mode: int = 0o666, overwrite: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path`; put it in place when the block ends without an error.

    Parameters
    ----------
    path : path
        Where the file goes. A symbolic link is followed.
    mode : int, optional
        Permissions of a new file, before the umask; a file that is replaced keeps its own.
    overwrite : bool, optional
        Whether a file that is there may be replaced.

    Yields
    ------
    file
        A binary file, readable and writable.

    Raises
    ------
    OSError
        If the file cannot be written, or exists and may not be replaced, or is no regular file, or is a Key.
    """
    target = Path(os.path.realpath(path))
    _check(target, path, overwrite)
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            if target.exists():
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
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
    with contextlib.suppress(_CheckedError), writing(path, overwrite=overwrite):
        raise _CheckedError


def _check(target: Path, path: str | os.PathLike[str], overwrite: bool) -> None:
    if not target.exists():
        return
    if not target.is_file():
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    if not overwrite:
        raise FileExistsError(errno.EEXIST, "exists, and is not overwritten", str(path))
    with target.open("rb") as file:
        if file.read(len(KEY_MARK)) == KEY_MARK:
            raise OSError(errno.EINVAL, "is a hashcomb key, which is never overwritten", str(path))


class _CheckedError(Exception):
    """Ends `writing` before it puts anything in place."""


def _place(temporary: Path, target: Path, overwrite: bool) -> None:
    if overwrite:
        temporary.replace(target)
    else:
        os.link(temporary, target)  # fails if the target exists, where a rename would replace it
