"""The server's side of federated learning on tokens: clients' tokens in, counts out."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hashcomb import kernels
from hashcomb.counts.counted import ParameterCounts, checked_total, offsets_of, refuse_other
from hashcomb.counts.stamped import ParameterHeader, ParameterTokens
from hashcomb.errors import DataError, FingerprintError
from hashcomb.placing import run_chunks

__all__ = ("ParameterCounter", "count_parameters")

Array = NDArray[Any]

_GATHERED = 1 << 12  # coordinates of all clients that are copied together, to read long runs of memory
_SORTED = 1 << 9  # coordinates that are counted at a time, so that they stay in the second-level cache
_THREAD_TOKENS = 1 << 20  # fewer for a thread cost more to hand out than they save
_PENDING = 256  # clients that are counted at once: their numbers fit in the lowest bits of a token


class _Client(NamedTuple):
    """A client that is to be counted."""

    name: str
    weight: int
    tokens: Array


class ParameterCounter:
    """Counts the tokens of clients as they come.

    Refers to the arrays of up to 256 clients, then adds them up: memory for their tokens and the counts.

    Parameters
    ----------
    n_threads : int, optional
        Threads to use; by default one per core once there is work for it.

    Examples
    --------
    >>> import numpy as np
    >>> from hashcomb import Key
    >>> from hashcomb.parameters import ParameterCodec, ParameterSpec
    >>> model = {"w": np.array([0.5, -0.25])}
    >>> codec = ParameterCodec(ParameterSpec.of(model, clip=1.0), Key.create(), round=1)
    >>> counter = ParameterCounter()
    >>> for client in range(3):
    ...     counter.add(codec.encode(model), weight=10, client=f"hospital {client}")
    >>> counter.result().total
    30
    """

    def __init__(self, *, n_threads: int | None = None) -> None:
        self._n_threads = n_threads
        self._header: ParameterHeader | None = None
        self._pending: list[_Client] = []
        self._counts: ParameterCounts | None = None
        self._seen: set[str] = set()
        self._total = 0
        self._lock = threading.Lock()

    def add(self, tokens: ParameterTokens, weight: int = 1, *, client: str | None = None) -> None:
        """Add the tokens of one client; a client that is refused changes nothing.

        Parameters
        ----------
        tokens : ParameterTokens
            What its `ParameterCodec` gave. The array must not change before `result`.
        weight : int, optional
            Its weight in the mean, as a rule its number of rows; at least 1.
        client : str, optional
            What to call it in an error; its number by default.

        Raises
        ------
        FingerprintError
            If the tokens are of another ParameterSpec, Key or round than those of the first client.
        DataError
            If they are no tokens, or of the wrong number, if the weight is no whole number of at least 1, or if this
            client was counted already.
        """
        with self._lock:
            own = client if client is not None else str(len(self._seen))
            name = f"client {own!r}"
            if own in self._seen:
                raise DataError(f"{name} was counted already", hint="count each client once a round")
            header = _header_of(tokens, name)
            if self._header is not None:
                refuse_other(header, self._header, name)
            number = _checked_weight(weight, name)
            self._total = checked_total(self._total + number, name)
            self._header = self._header or header
            self._seen.add(own)
            self._pending.append(_Client(own, number, np.ascontiguousarray(tokens).view(np.ndarray)))
            if len(self._pending) == _PENDING:
                self._flush()

    def result(self) -> ParameterCounts:
        """Return the counts so far.

        Raises
        ------
        DataError
            If no client was counted: an empty round has no mean.
        """
        with self._lock:
            self._flush()
            if self._counts is None:
                raise DataError("no client was counted: an empty round has no mean", hint="keep the model as it is")
            return self._counts

    def _flush(self) -> None:
        if self._pending and self._header is not None:
            counted = _count(self._header, self._pending, self._n_threads)
            self._counts = counted if self._counts is None else self._counts.merge(counted)
            self._pending = []


def count_parameters(
    tokens: Sequence[ParameterTokens] | Mapping[str, ParameterTokens],
    weights: Sequence[int] | Mapping[str, int] | None = None,
    *,
    skip: bool = False,
    n_threads: int | None = None,
) -> ParameterCounts:
    """Count the tokens of a round's clients, coordinate by coordinate, without a Key.

    Parameters
    ----------
    tokens : sequence of ParameterTokens, or mapping from names of clients
        One for each client.
    weights : sequence of int, or mapping from names of clients, optional
        Number of rows of each client; 1 each by default.
    skip : bool, optional
        Go on without clients that are refused, and name them in ``refused``, instead of raising. The first client
        that can be read says which Spec, Key and round are meant.
    n_threads : int, optional
        Threads to use; by default one per core once there is work for it.

    Returns
    -------
    ParameterCounts

    Raises
    ------
    FingerprintError
        If clients' tokens are of different ParameterSpecs, Keys or rounds; the message names the client.
    DataError
        If tokens are none or of the wrong number, a weight is no whole number of at least 1, or there is nobody.

    Notes
    -----
    Privacy: tokens that are equal show which clients have the same grid point at a coordinate; without a channel
    they have no differential privacy.
    """
    clients = list(tokens) if isinstance(tokens, Mapping) else range(len(tokens))
    if weights is not None and len(weights) != len(clients):
        raise DataError(f"there are {len(weights)} weights for {len(clients)} clients", hint="give one for each")
    counter, refused = ParameterCounter(n_threads=n_threads), []
    for client in clients:
        try:
            counter.add(tokens[client], 1 if weights is None else _weight_of(weights, client), client=str(client))  # type: ignore[index]
        except (DataError, FingerprintError) as error:
            if not skip:
                raise
            refused.append((str(client), error))
    counts = counter.result()
    counts.refused = tuple(refused)
    return counts


def _weight_of(weights: Any, client: Any) -> Any:
    try:
        return weights[client]
    except (KeyError, IndexError, TypeError):
        raise DataError(f"client {client!r} has no weight", hint="give one for each") from None


# ---------------------------------------------------------------------- one client
def _header_of(tokens: Any, name: str) -> ParameterHeader:
    if not isinstance(tokens, ParameterTokens) or tokens.header is None:
        raise DataError(f"{name} sent no whole ParameterTokens", hint="read them with ParameterTokens.from_bytes")
    if tokens.shape != (tokens.header.n_parameters,) or tokens.dtype != np.uint64:
        raise DataError(f"{name} sent another number of tokens than its header says")
    return tokens.header


def _checked_weight(weight: Any, name: str) -> int:
    if isinstance(weight, bool) or not isinstance(weight, int | np.integer) or weight < 1:
        raise DataError(f"{name}: the weight must be a whole number of at least 1", hint="give its number of rows")
    return int(weight)


# ---------------------------------------------------------------------- counting
def _count(header: ParameterHeader, clients: list[_Client], n_threads: int | None) -> ParameterCounts:
    """Count up to 256 clients, a part of the coordinates on each thread."""
    n_parameters, weights = header.n_parameters, np.array([client.weight for client in clients], dtype=np.int64)
    parts: dict[int, _Part] = {}

    def work(start: int, stop: int) -> None:
        parts[start] = _Part(clients, weights, start, stop)

    wanted = n_threads or min(os.cpu_count() or 1, n_parameters * len(clients) // _THREAD_TOKENS) or 1
    run_chunks(work, n_parameters, len(clients), -(-n_parameters // wanted) * len(clients), wanted)
    first, *others = [parts.pop(start) for start in sorted(parts)]
    offsets = offsets_of(np.concatenate([part.distinct for part in (first, *others)]))
    tokens, sums = first.joined(others)
    counted = tuple((client.name, client.weight) for client in clients)
    return ParameterCounts(header, len(clients), int(weights.sum()), offsets, tokens, sums, counted)


class _Part:
    """The counts of some coordinates, in arrays that grow as they fill: their memory is touched once."""

    def __init__(self, clients: list[_Client], weights: Array, start: int, stop: int) -> None:
        self.distinct = np.empty(stop - start, dtype=np.int64)
        self.tokens, self.sums = np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64)
        self.end = 0
        gathered = np.empty((len(clients), min(_GATHERED, stop - start)), dtype=np.uint64)
        for first in range(start, stop, _GATHERED):
            size = min(_GATHERED, stop - first)
            for row, client in zip(gathered, clients, strict=True):
                row[:size] = client.tokens[first : first + size]
            for place in range(0, size, _SORTED):
                self._add(gathered, weights, place, first - start + place, min(_SORTED, size - place))

    def _add(self, gathered: Array, weights: Array, place: int, done: int, size: int) -> None:
        """Count the next coordinates: tokens are put side by side, sorted, and added up."""
        packed = np.empty((size, len(gathered)), dtype=np.uint64)
        self._make_room(packed.size, done)
        kernel, own = kernels.choose(packed.size), self.distinct[done : done + size]
        kernel.pack_tokens(gathered, place, packed)
        packed.sort(axis=1)
        kernel.add_runs(packed, weights, own, self.tokens[self.end :], self.sums[self.end :])
        self.end += int(own.sum())

    def _make_room(self, count: int, done: int) -> None:
        """Have room for that many more entries, and for all to come if they are as many as those so far."""
        if self.end + count > len(self.tokens):
            expected = self.end / max(done, 1) * len(self.distinct)
            self._resize(max(self.end + count, int(1.02 * expected)))

    def _resize(self, size: int) -> None:
        self.tokens.resize(size, refcheck=False)  # nobody else has them
        self.sums.resize(size, refcheck=False)

    def joined(self, others: list[_Part]) -> tuple[Array, Array]:
        """Return the entries of this part and of those behind it."""
        self._resize(self.end + sum(part.end for part in others))
        for part in others:
            stop = self.end + part.end
            self.tokens[self.end : stop], self.sums[self.end : stop] = part.tokens[: part.end], part.sums[: part.end]
            self.end = stop
        return self.tokens, self.sums
