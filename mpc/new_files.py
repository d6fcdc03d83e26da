"""Several new files at once: all of them or none, and nothing that is there is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hashcomb.atomic import writing
from hashcomb.errors import FileFormatError, ProtocolError

__all__ = ("check_file_names", "write_new")

_FORBIDDEN = frozenset('<>:"/\\|?*')


def check_file_names(names: Sequence[str]) -> None:
    """Refuse owners' names that cannot be the names of files, on any system.

    Parameters
    ----------
    names : sequence of str
        Names of the owners.

    Raises
    ------
    ProtocolError
        If there is none, or one occurs twice, is not printable, is empty or longer than 64 bytes of UTF-8, holds a
        separator of paths, or begins or ends with a dot or a space.
    """
    if not names:
        raise ProtocolError("no owner is named")
    for name in names:
        if not name.isprintable() or not 0 < len(name.encode()) <= 64 or _FORBIDDEN & set(name):
            hint = "printable text of 1 to 64 bytes of UTF-8, without " + " ".join(sorted(_FORBIDDEN))
            raise ProtocolError("the name cannot be that of a file", party=name[:64], hint=hint)
        if name[0] in " .-" or name[-1] in " .":
            hint = "it must not begin with a dot, dash or space, nor end with a dot or space"
            raise ProtocolError("the name cannot be that of a file", party=name, hint=hint)
        if names.count(name) > 1:
            raise ProtocolError("is named twice", party=name)


def write_new(files: Mapping[Path, tuple[bytes, int]]) -> None:
    """Write several files that are not there yet; take all back if one cannot be written.

    Parameters
    ----------
    files : mapping of path to bytes and int
        What goes into each, and its permissions before the umask.

    Raises
    ------
    FileFormatError
        If one exists or cannot be written; then none is there.
    """
    placed: list[Path] = []
    path = Path()
    try:
        for path, (content, mode) in files.items():
            with writing(path, mode=mode, overwrite=False) as file:
                file.write(content)
            placed.append(path.resolve())
    except BaseException as error:
        for done in placed:
            done.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise FileFormatError(f"cannot be written: {error.strerror}", file=str(path)) from None
        raise
