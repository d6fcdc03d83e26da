"""What Flower's records carry: tokens on the way to the server, counts on the way back, and complaints."""

from __future__ import annotations

from typing import Any, Literal, Self

import msgspec
import numpy as np
from flwr.app import Array, ArrayRecord, RecordDict
from numpy.typing import NDArray

from hashcomb import Key
from hashcomb.counts import ParameterCounts
from hashcomb.errors import DataError, HashcombError
from hashcomb.parameters import ParameterCodec, ParameterSpec

__all__ = (
    "COUNTS",
    "TOKENS",
    "Complaint",
    "arrays_of",
    "codec_of",
    "decode_record",
    "pack",
    "record_of",
    "salt_of",
    "size_of",
    "unpack",
)

# The name of the one array of a record, and what Flower calls its way of serialization: no strategy can take these
# bytes for numbers and average them.
TOKENS = "hashcomb.tokens"
COUNTS = "hashcomb.counts"

_PREFIX = "hashcomb: "
_MAX_WORDS = 300


def pack(kind: str, content: bytes) -> ArrayRecord:
    """Return a record that carries these bytes."""
    return ArrayRecord({kind: Array("uint8", (len(content),), kind, content)})


def unpack(record: ArrayRecord, kind: str) -> bytes | None:
    """Return the bytes that `pack` put in, None if the record carries something else."""
    array = record.get(kind)
    return bytes(array.data) if len(record) == 1 and array is not None and array.stype == kind else None


def arrays_of(record: ArrayRecord) -> dict[str, NDArray[Any]]:
    """Return the arrays of a record by name.

    Parameters
    ----------
    record : flwr.app.ArrayRecord
        Of NumPy arrays or PyTorch tensors.

    Raises
    ------
    DataError
        If one of them cannot be read.
    """
    arrays = {}
    for name, array in record.items():
        try:
            arrays[str(name)] = array.numpy()
        except (TypeError, ValueError, OSError):
            raise DataError(f"tensor {str(name)!r} is no array of numbers") from None
    return arrays


def record_of(arrays: dict[str, NDArray[Any]]) -> ArrayRecord:
    """Return a record of these arrays."""
    return ArrayRecord({name: Array(np.ascontiguousarray(array)) for name, array in arrays.items()})


def decode_record(
    record: ArrayRecord, spec: ParameterSpec, key: Key, *, unissued: Literal["error", "drop"] = "error"
) -> ArrayRecord:
    """Return the model that a key holder reads from what the server has.

    Parameters
    ----------
    record : flwr.app.ArrayRecord
        What the server sent, or kept: ``result.arrays`` of `TokenStrategy`. A record of plain arrays (the public
        initial model) comes back as it is.
    spec : ParameterSpec
        What the owners agreed on.
    key : Key
        The secret that they share; the server has no place for it.
    unissued : {"error", "drop"}, optional
        What to do with tokens that nobody issued: refuse the record, or take the mean of the others, and warn.

    Returns
    -------
    flwr.app.ArrayRecord
        The weighted mean of the clients' parameters, by name.

    Raises
    ------
    DataError
        If a token of the counts was never issued; the message names the tensor.
    FileFormatError, FingerprintError
        If the counts cannot be read, or were made under another Spec or Key.
    """
    content = unpack(record, COUNTS)
    if content is None:
        return record
    counts = ParameterCounts.from_bytes(content)
    return record_of(codec_of(spec, key, counts).decode(counts, unissued=unissued))


def size_of(content: RecordDict) -> int:
    """Return how many bytes of arrays a message carries."""
    return sum(len(array.data) for record in content.array_records.values() for array in record.values())


def salt_of(run_id: int) -> str:
    """Return the name of the data set in the tokens of a run: round 1 of two runs must not have equal tokens."""
    return f"flower run {run_id}"


def codec_of(spec: ParameterSpec, key: Key, counts: ParameterCounts) -> ParameterCodec:
    """Return the codec for the run and round of these counts."""
    return ParameterCodec(spec, key, round=counts.header.round, dataset=counts.header.dataset)


class Complaint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client says when it cannot take part in a round.

    Parameters
    ----------
    error : str
        Name of the error's class.
    says : str
        Its message, which never holds a value, a weight or a key byte.
    unknown : list of int
        Tokens of the server's counts that were never issued: they stand for no weight of anybody.
    undecodable : bool
        Whether the counts that the server sent could not be decoded.
    """

    error: str
    says: str
    unknown: list[int] = []
    undecodable: bool = False

    @classmethod
    def of(cls, error: HashcombError, *, unknown: list[int] | None = None, undecodable: bool = False) -> Self:
        """Say what went wrong."""
        return cls(type(error).__name__, str(error), unknown or [], undecodable)

    def to_reason(self) -> str:
        """Return it as the text of a Flower error."""
        return _PREFIX + msgspec.json.encode(self).decode()

    @classmethod
    def from_reason(cls, reason: str | None) -> Self | None:
        """Read the text of a Flower error; None if a client without hashcomb wrote it."""
        if not reason or not reason.startswith(_PREFIX):
            return None
        try:
            found = msgspec.json.decode(reason.removeprefix(_PREFIX), type=cls)
            return msgspec.structs.replace(found, error=_plain(found.error), says=_plain(found.says))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None


def _plain(text: str) -> str:
    """Return one short line of what a client wrote, for the server's log."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:_MAX_WORDS])
