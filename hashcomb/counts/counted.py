"""Which tokens each coordinate has, and with what weight: the result of counting."""

from __future__ import annotations

from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from hashcomb import kernels
from hashcomb.counts.stamped import TOKEN_BYTES, ParameterHeader, framed, narrowed, parse_header, unframed, widened
from hashcomb.errors import DataError, FileFormatError, FingerprintError, HashcombError

__all__ = ("MAX_TOTAL", "ParameterCounts", "checked_total", "offsets_of", "refuse_other")

Array = NDArray[Any]

MAX_TOTAL = 1 << 40
"""Largest total of weights: weight times grid point stays exact in double precision."""
_WIDTHS = ("<u1", "<u2", "<u4", "<u8")


class CountsHeader(ParameterHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The header of tokens, and what is public about a count of them.

    Parameters
    ----------
    n_clients : int
        How many clients were counted.
    total : int
        Sum of their weights.
    """

    n_clients: int
    total: int


class ParameterCounts:
    """For every coordinate, which tokens clients sent and with what weight in all; no Key was needed.

    Attributes
    ----------
    header : ParameterHeader
        What is public about the tokens that were counted.
    n_clients : int
        How many clients were counted.
    total : int
        Sum of their weights; so it is at every coordinate.
    offsets : ndarray of int64, shape (n_parameters + 1,)
        Coordinate j has the tokens from ``offsets[j]`` to before ``offsets[j + 1]``.
    tokens : ndarray of uint64, shape (n_entries,)
        In increasing order within each coordinate, so that they tell nothing of the order of clients.
    weights : ndarray of int64, shape (n_entries,)
        At least 1.
    clients : tuple of (str, int)
        The clients that were counted, by their names, and their weights; not written to bytes.
    refused : tuple of (str, HashcombError)
        Clients that were left out, by their names, and why; not written to bytes.

    Notes
    -----
    Privacy: whoever sees the counts and has no Key learns which weights agree, coordinate by coordinate, and nothing
    of what they are. Whoever has the Key reads from them the histogram of each coordinate over clients, not only
    its mean: with few clients that is nearly their models, without names. A channel protects against both.
    """

    def __init__(
        self,
        header: ParameterHeader,
        n_clients: int,
        total: int,
        offsets: NDArray[np.int64],
        tokens: NDArray[np.uint64],
        weights: NDArray[np.int64],
        clients: tuple[tuple[str, int], ...] = (),
    ) -> None:
        self.header, self.n_clients, self.total = header, n_clients, total
        self.offsets, self.tokens, self.weights = offsets, tokens, weights
        self.clients = clients
        self.refused: tuple[tuple[str, HashcombError], ...] = ()

    def __repr__(self) -> str:
        return (
            f"ParameterCounts({self.n_clients} clients, {len(self.offsets) - 1} parameters, {len(self.tokens)} tokens)"
        )

    def merge(self, other: ParameterCounts) -> ParameterCounts:
        """Return the counts of both, which must have counted different clients.

        Raises
        ------
        FingerprintError
            If they are counts of other parameters, or under another Spec, Key or round.
        DataError
            If the weights together are too large.
        """
        refuse_other(other.header, self.header, "these counts")
        total = checked_total(self.total + other.total, "these counts")
        counts = [np.diff(one.offsets) for one in (self, other)]
        out = np.empty_like(counts[0])
        size = len(self.tokens) + len(other.tokens)
        tokens, weights = np.empty(size, dtype=np.uint64), np.empty(size, dtype=np.int64)
        kernels.choose(size).merge_counts(
            counts[0], self.tokens, self.weights, counts[1], other.tokens, other.weights, out, tokens, weights
        )
        offsets = offsets_of(out)
        n_clients, clients = self.n_clients + other.n_clients, self.clients + other.clients
        tokens, weights = tokens[: offsets[-1]].copy(), weights[: offsets[-1]].copy()
        merged = ParameterCounts(self.header, n_clients, total, offsets, tokens, weights, clients)
        merged.refused = self.refused + other.refused
        return merged

    # ------------------------------------------------------------------ bytes
    def to_bytes(self) -> bytes:
        """Return the counts as bytes for the wire: how many tokens each coordinate has, the tokens, their weights.

        Numbers take as few bytes as the largest needs: with 10 clients of fewer than 65,536 rows, a coordinate takes
        1 byte and 9 for each of its tokens.
        """
        fields = msgspec.structs.asdict(self.header) | {"n_clients": self.n_clients, "total": self.total}
        counts = np.diff(self.offsets)
        return framed(
            "parameter counts",
            CountsHeader(**fields),
            counts.astype(_narrowest(self.n_clients)),
            narrowed(self.tokens),
            self.weights.astype(_narrowest(self.total)),
        )

    @classmethod
    def from_bytes(cls, raw: bytes, *, file: str = "counts") -> Self:
        """Read counts from bytes that may come from anybody.

        Parameters
        ----------
        raw : bytes
            What `to_bytes` gave.
        file : str, optional
            What to call them in an error.

        Raises
        ------
        FileFormatError
            If they are cut short, too long, not of this format, or no counts: tokens out of order, weights below 1
            or with another sum than the header says.
        """
        text, payload = unframed("parameter counts", raw, file)
        header = parse_header(text, CountsHeader, file)
        if not 0 < header.n_clients <= header.total <= MAX_TOTAL:
            raise FileFormatError("the header holds what no header can", file=file)
        width = np.dtype(_narrowest(header.n_clients))
        n_parameters = header.n_parameters
        if len(payload) < n_parameters * width.itemsize:
            raise FileFormatError("is cut short", file=file)
        distinct, rest = np.frombuffer(payload, width, n_parameters), payload[n_parameters * width.itemsize :]
        each = np.dtype(_narrowest(header.total))
        size = len(rest) // (TOKEN_BYTES + each.itemsize)
        # A sum of doubles does not wrap around, as one of whole numbers may.
        if len(rest) != size * (TOKEN_BYTES + each.itemsize) or distinct.sum(dtype=np.float64) != size:
            raise FileFormatError("does not hold as many tokens as it says", file=file)
        if not ((distinct >= 1) & (distinct <= header.n_clients)).all():
            raise FileFormatError("holds what no counting gives", file=file)
        offsets = offsets_of(distinct)
        tokens = widened(rest[: TOKEN_BYTES * size])
        weights = np.frombuffer(rest[TOKEN_BYTES * size :], dtype=each).astype(np.int64)
        fields = msgspec.structs.asdict(header)
        n_clients, total = fields.pop("n_clients"), fields.pop("total")
        counts = cls(ParameterHeader(**fields), n_clients, total, offsets, tokens, weights)
        counts._check(file)
        return counts

    def _check(self, file: str) -> None:
        """Raise `FileFormatError` for what no counting gives."""
        starts = self.offsets[:-1]
        rising = np.ones(len(self.tokens), dtype=bool)
        rising[1:] = self.tokens[1:] > self.tokens[:-1]
        rising[starts] = True
        plausible = rising.all() and (self.weights >= 1).all() and (self.weights <= self.total).all()
        if not plausible or (np.add.reduceat(self.weights, starts) != self.total).any():
            raise FileFormatError("holds what no counting gives", file=file)


# ---------------------------------------------------------------------- checks
_WHAT = {
    "fingerprint": "under another ParameterSpec",
    "key_id": "under another Key",
    "round": "in another round",
    "dataset": "for another data set",
}


def refuse_other(header: ParameterHeader, wanted: ParameterHeader, name: str) -> None:
    """Raise `FingerprintError` if tokens with these headers cannot be counted together."""
    field = header.differs_from(wanted)
    if field is not None:
        what = _WHAT.get(field, f"with other {field}")
        raise FingerprintError(f"{name}: tokens were made {what} than those before", hint="count them apart")


def checked_total(total: int, name: str) -> int:
    """Return the sum of weights; raise `DataError` if it is too large."""
    if total > MAX_TOTAL:
        raise DataError(f"{name}: the weights together exceed {MAX_TOTAL}", hint="give numbers of rows")
    return total


def offsets_of(distinct: Array) -> NDArray[np.int64]:
    """Return where the tokens of each coordinate begin, and where the last ones end."""
    offsets = np.zeros(len(distinct) + 1, dtype=np.int64)
    np.cumsum(distinct, out=offsets[1:], dtype=np.int64)
    return offsets


def _narrowest(largest: int) -> str:
    return next(width for width in _WIDTHS if largest < 1 << (8 * int(width[2:])))
