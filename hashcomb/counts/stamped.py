"""Tokens of parameters as they travel: an array, and a header that says what is public about it."""

from __future__ import annotations

import re
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from hashcomb.errors import FileFormatError
from hashcomb.spec import MAX_NAME, ChannelSpec

__all__ = (
    "MAX_REPORTS",
    "TOKEN_BYTES",
    "ParameterHeader",
    "ParameterTokens",
    "framed",
    "narrowed",
    "parse_header",
    "unframed",
    "widened",
)

MAX_REPORTS = 1 << 12
"""Largest number of different reports of a parameter that a header may state."""
TOKEN_BYTES = 7  # the lowest byte of a word is zero: counting needs the room, and the wire does not need the byte
_MAX_PARAMETERS = 1 << 40
_MAX_HEADER = 64 << 20
_MARK = re.compile(rb"hashcomb (parameter tokens|parameter counts) 1\n")


class ParameterHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is public about tokens of parameters, and stamped on them and on their counts.

    Parameters
    ----------
    fingerprint : str
        Fingerprint of the `hashcomb.parameters.ParameterSpec`.
    key_id : str
        Public name of the Key.
    round : int
        Number of the round, a public salt.
    names : tuple of str
        Names of the tensors, in order.
    sizes : tuple of int
        How many coordinates each has.
    n_reports : int
        How many different tokens a coordinate can have: grid points, or reports of the channel.
    dataset : str
        Name of the training or the data set, a public salt.
    channel : ChannelSpec, optional
        The randomizer that the grid points went through.
    version : int
        Version of this format.
    """

    fingerprint: str
    key_id: str
    round: int
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    n_reports: int
    dataset: str = ""
    channel: ChannelSpec | None = None
    version: int = 1

    @property
    def n_parameters(self) -> int:
        """Coordinates of all tensors together."""
        return sum(self.sizes)

    def differs_from(self, other: ParameterHeader) -> str | None:
        """Return the first field for which tokens of both cannot be counted together, None if they can."""
        fields = ("fingerprint", "key_id", "dataset", "round", "names", "sizes", "n_reports", "channel")
        return next((field for field in fields if getattr(self, field) != getattr(other, field)), None)


class ParameterTokens(np.ndarray[Any, np.dtype[Any]]):
    """The tokens of all coordinates of a model, shape (n_parameters,), uint64, with their `ParameterHeader`.

    A token has 56 bits, the highest of its word; the lowest byte is zero.

    Attributes
    ----------
    header : ParameterHeader or None
        What is public about the tokens. Only the whole array has it: parts, copies of other shapes and results of
        arithmetic are plain arrays of no model.
    """

    header: ParameterHeader | None = None

    @classmethod
    def stamp(cls, tokens: NDArray[np.uint64], header: ParameterHeader) -> Self:
        """Return a view of the tokens that carries the header."""
        stamped = tokens.view(cls)
        stamped.header = header
        return stamped

    def __array_finalize__(self, parent: Any) -> None:
        header = getattr(parent, "header", None)
        whole = header is not None and self.shape == (header.n_parameters,)
        self.header = header if whole else None

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if options.get("out"):
            options["out"] = tuple(map(_plain, options["out"]))
        return getattr(ufunc, method)(*map(_plain, inputs), **options)

    def __reduce__(self) -> Any:
        return _stamped, (np.array(self, subok=False), self.header)

    def to_bytes(self) -> bytes:
        """Return header and tokens as bytes for the wire: a line, the header as JSON, 7 bytes a coordinate.

        Raises
        ------
        FileFormatError
            If the array has no header.
        """
        if self.header is None:
            raise FileFormatError("an array without its header is no whole model", file="tokens")
        return framed("parameter tokens", self.header, narrowed(self))

    @classmethod
    def from_bytes(cls, raw: bytes, *, file: str = "tokens") -> Self:
        """Read tokens from bytes that may come from anybody.

        Parameters
        ----------
        raw : bytes
            What `to_bytes` gave.
        file : str, optional
            What to call them in an error: a file, or a client.

        Raises
        ------
        FileFormatError
            If they are cut short, too long, or not of this format.
        """
        text, payload = unframed("parameter tokens", raw, file)
        header = parse_header(text, ParameterHeader, file)
        if len(payload) != TOKEN_BYTES * header.n_parameters:
            raise FileFormatError("does not hold as many tokens as its header says", file=file)
        return cls.stamp(widened(payload), header)


def _stamped(tokens: NDArray[np.uint64], header: ParameterHeader | None) -> ParameterTokens:
    stamped = tokens.view(ParameterTokens)
    stamped.header = header
    return stamped


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, ParameterTokens) else value


# ---------------------------------------------------------------------- frames of bytes
def narrowed(tokens: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return the bytes of tokens that are not zero, shape (n_tokens, 7)."""
    words = np.ascontiguousarray(tokens.view(np.ndarray), dtype="<u8")
    return words.view(np.uint8).reshape(-1, 8)[:, 1:]


def widened(payload: memoryview) -> NDArray[np.uint64]:
    """Return the tokens that `narrowed` gave."""
    words = np.zeros((len(payload) // TOKEN_BYTES, 8), dtype=np.uint8)
    words[:, 1:] = np.frombuffer(payload, dtype=np.uint8).reshape(-1, TOKEN_BYTES)
    return words.view("<u8").reshape(-1).astype(np.uint64, copy=False)


def framed(kind: str, header: msgspec.Struct, *arrays: NDArray[Any]) -> bytes:
    """Return a line that names the kind, the header's length and JSON, and the arrays' bytes."""
    text = msgspec.json.encode(header)
    start = b"hashcomb " + kind.encode() + b" 1\n" + len(text).to_bytes(4, "little") + text
    return b"".join([start, *(np.ascontiguousarray(array).data.cast("B") for array in arrays if array.size)])


def unframed(kind: str, raw: bytes, file: str) -> tuple[bytes, memoryview]:
    """Return the JSON of the header and the rest; raise `FileFormatError` if the bytes are of another kind."""
    if not isinstance(raw, bytes | bytearray | memoryview):
        raise FileFormatError("is no bytes", file=file)
    view = memoryview(raw).cast("B")
    mark = _MARK.match(view[:64])
    if mark is None or mark[1] != kind.encode():
        raise FileFormatError(f"does not hold {kind}", file=file, hint="pass what to_bytes() gave")
    start = mark.end() + 4
    length = int.from_bytes(view[mark.end() : start], "little")
    if not 0 < length <= _MAX_HEADER or start + length > len(view):
        raise FileFormatError("the header is cut short", file=file)
    return bytes(view[start : start + length]), view[start + length :]


def parse_header(text: bytes, kind: Any, file: str) -> Any:
    """Read a header with a `ParameterHeader`'s fields; raise `FileFormatError` if it is none."""
    try:
        header = msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise FileFormatError("the header cannot be read", file=file) from None
    if header.version != 1:
        raise FileFormatError("the header is of another version", file=file)
    if not _is_plausible(header):
        raise FileFormatError("the header holds what no header can", file=file)
    return header


def _is_plausible(header: ParameterHeader) -> bool:
    """Return whether a header, which may come from anybody, is one that encoding could have written."""
    names = header.names
    return (
        0 < len(names) == len(set(names)) == len(header.sizes)
        and all(0 < len(name) <= MAX_NAME and name.isprintable() for name in names)
        and all(size > 0 for size in header.sizes)
        and header.n_parameters <= _MAX_PARAMETERS
        and 2 <= header.n_reports <= MAX_REPORTS
        and 0 <= header.round < 1 << 63
        and re.fullmatch("[0-9a-f]{64}", header.fingerprint) is not None
        and re.fullmatch("[0-9a-f]{16}", header.key_id) is not None
        and (header.channel is None or header.channel.kind.isprintable())
    )
