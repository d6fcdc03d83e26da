"""From a model to tokens, and from counts of tokens to the mean of models."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hashcomb import kernels
from hashcomb.channels import Channel
from hashcomb.counts import ParameterCounts, ParameterHeader, ParameterTokens, count_parameters
from hashcomb.errors import ChannelError, DataError, FingerprintError, HashcombWarning, SpecError
from hashcomb.keys import Key
from hashcomb.noise import FreshNoise, Noise, seeded
from hashcomb.parameters.rounding import rounded_at_random
from hashcomb.parameters.spec import ParameterSpec, Tensor
from hashcomb.placing import run_chunks
from hashcomb.tokens import check_salts

__all__ = ("ParameterCodec",)

Floats = NDArray[np.float64]
Words = NDArray[np.uint64]

_BITS = 12  # of a hashed word, for the number of the report; the others are the number of the coordinate
_TOKEN = ~np.uint64(0xFF)  # the bits of a hash that are the token
_CHUNK = 1 << 15


class ParameterCodec:
    """Encodes models to tokens, and decodes counts of tokens to the weighted mean of the models.

    The token of a coordinate is 56 bits of SipHash-2-4 of its number and its grid point (or its report, with a
    channel), under a key of its tensor and round. So equal weights at other coordinates, in other tensors or in other
    rounds have unrelated tokens. Two grid points of one coordinate have one token, and are taken for one of the two,
    with probability 2**(2 depth - 57) a coordinate: at depth 8, once in two million rounds of a million parameters.

    Parameters
    ----------
    spec : ParameterSpec
        What the owners agreed on.
    key : Key
        The secret that they share, and the server never has.
    round : int
        Number of the round, a public salt. Use each once: tokens of equal weights in two encodings of one round are
        equal.
    dataset : str, optional
        Name of the training or the data set, a public salt: in another training the same rounds have other tokens.
    n_threads : int, optional
        Threads to use; by default one per core once there is work for it. It changes no byte.

    Raises
    ------
    SpecError
        If the channel has no unbiased code on this grid, or a salt is none.
    KeyMaterialError
        If `key` is no Key.

    Notes
    -----
    Privacy: tokens leave the owner. Without a channel they have no differential privacy: the server sees which
    clients share a grid point at a coordinate, and how many. With one, each coordinate of each round costs the
    channel's exact epsilon, against key holders too; `hashcomb.parameters.ParameterPrivacy` adds up. Rounding and
    reports are random by AES-256-CTR under a secret drawn for each call.

    References
    ----------
    J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from hashcomb import Key
    >>> from hashcomb.counts import count_parameters
    >>> models = [{"w": np.array([0.5, -1.0])}, {"w": np.array([1.0, -1.0])}]
    >>> codec = ParameterCodec(ParameterSpec.of(models[0], clip=1.0), Key.create(), round=1)
    >>> counts = count_parameters([codec.encode(model) for model in models], weights=[10, 30])
    >>> [round(float(w), 1) for w in codec.decode(counts)["w"]]
    [0.9, -1.0]
    """

    def __init__(
        self, spec: ParameterSpec, key: Key, *, round: int, dataset: str = "", n_threads: int | None = None
    ) -> None:
        self.spec = spec
        self.header = _header(spec, key, round, dataset)
        self._channel = spec.randomizer()
        self._codes = _codes(spec, self._channel)
        self._n_threads = n_threads
        self._keys = [
            key.derive(
                "parameters",
                fingerprint=self.header.fingerprint,
                feature=number,
                dataset=dataset,
                round=self.header.round,
            )
            for number in range(len(spec.tensors))
        ]

    def __repr__(self) -> str:
        return f"ParameterCodec({self.spec!r}, key_id={self.header.key_id!r}, round={self.header.round})"

    # ------------------------------------------------------------------ encode
    def encode(self, arrays: Mapping[str, Any], *, seed: int | None = None) -> ParameterTokens:
        """Encode a model.

        Parameters
        ----------
        arrays : mapping of str to array
            The tensors of the spec, each of its shape, in any order; any real type.
        seed : int, optional
            Makes rounding and reports repeatable, for tests; such a run carries no privacy.

        Returns
        -------
        ParameterTokens
            Shape (n_parameters,), uint64, with its header.

        Raises
        ------
        DataError
            If a tensor is missing, unknown, of another shape, or holds NaN or infinities; the message names it, and
            says how many, never a value.

        Warns
        -----
        InsecureRandomWarning
            If there is a seed.

        Notes
        -----
        Privacy: as for the class. What is outside the clip is clipped; `clipped` says how much.
        """
        values = self._checked(arrays)
        noise: Noise = FreshNoise() if seed is None else seeded(seed, stacklevel=3)
        out = np.empty(self.spec.n_parameters, dtype=np.uint64)
        first = 0
        for tensor, flat, secret in zip(self.spec.tensors, values, self._keys, strict=True):
            self._encode(tensor, flat, _halves(secret), noise, first, out[first : first + tensor.size])
            first += tensor.size
        return ParameterTokens.stamp(out, self.header)

    def clipped(self, arrays: Mapping[str, Any]) -> dict[str, float]:
        """Return for each tensor what part of its coordinates lies outside the clip; same errors as `encode`.

        Notes
        -----
        Privacy: this is for the owner: the figure depends on the model.
        """
        values = self._checked(arrays)
        return {
            tensor.name: float((np.abs(flat) > tensor.clip).mean())
            for tensor, flat in zip(self.spec.tensors, values, strict=True)
        }

    def _checked(self, arrays: Mapping[str, Any]) -> list[NDArray[Any]]:
        if not isinstance(arrays, Mapping):
            raise DataError("a model is a mapping from names of tensors to arrays")
        for name in arrays:
            if name not in self.spec.names:
                raise DataError(f"tensor {name!r} is not in the ParameterSpec", hint="encode what was agreed")
        return [_values(arrays, tensor) for tensor in self.spec.tensors]

    def _encode(self, tensor: Tensor, flat: NDArray[Any], key: Words, noise: Noise, first: int, out: Words) -> None:
        def work(start: int, stop: int) -> None:
            points = self._points(tensor, flat[start:stop].astype(np.float64), noise, first + start)
            if self._channel is not None:
                points = self._channel.sample(points, _drawn(noise.words, first + start, stop - start))
            words = np.arange(start, stop, dtype=np.uint64) << np.uint64(_BITS)
            words |= points.astype(np.uint64)
            kernels.choose(stop - start).siphash_words(words, key, out[start:stop])
            out[start:stop] &= _TOKEN

        run_chunks(work, tensor.size, 1, _CHUNK, self._n_threads)

    def _points(self, tensor: Tensor, x: Floats, noise: Noise, first: int) -> NDArray[np.int32]:
        """Round values to points of the grid."""
        top = self.spec.n_points - 1
        place = (np.clip(x, -tensor.clip, tensor.clip) / tensor.clip + 1.0) * (top / 2)
        if self.spec.rounding == "nearest":
            return np.rint(place).astype(np.int32)
        return rounded_at_random(place, top, _drawn(noise.choice, first, len(x)))

    # ------------------------------------------------------------------ decode
    def decode(
        self, counts: ParameterCounts | ParameterTokens, *, unissued: Literal["error", "drop"] = "error"
    ) -> dict[str, NDArray[Any]]:
        """Decode counts to the weighted mean of the models.

        Parameters
        ----------
        counts : ParameterCounts or ParameterTokens
            What a server counted in this round, or the tokens of a single model.
        unissued : {"error", "drop"}, optional
            What to do with tokens that nobody issued under this ParameterSpec, Key and round: refuse the counts, or
            take the mean of the others at each coordinate, which is that without the clients that made them up.

        Returns
        -------
        dict of str to ndarray
            The tensors of the spec, of their shapes and types. Over rounding and reports, the expected value is the
            weighted mean of the clipped models, up to rounding in double precision: at most ``2**(depth - 50)``
            of a step of the grid from random words, and some units in the last place of the sums. Where the tensor's
            type is narrower, the result is rounded to it.

        Raises
        ------
        FingerprintError
            If they were made under another ParameterSpec, Key or round.
        DataError
            If a token was not issued under them and that is an error, or a coordinate has no other token; the message
            names the tensor, and the client where its weight gives it away.

        Warns
        -----
        HashcombWarning
            If tokens were dropped: how many, and of which tensor.
        """
        if unissued not in ("error", "drop"):
            raise DataError("unissued must be 'error' or 'drop'")
        if isinstance(counts, ParameterTokens):
            counts = count_parameters([counts])
        self._check_header(counts.header)
        decoded, first = {}, 0
        for tensor, secret in zip(self.spec.tensors, self._keys, strict=True):
            mean = self._means(tensor, _halves(secret), counts, first, unissued == "drop")
            decoded[tensor.name] = mean.astype(tensor.dtype).reshape(tensor.shape)
            first += tensor.size
        return decoded

    def unissued(self, counts: ParameterCounts) -> Words:
        """Find the tokens that nobody issued under this ParameterSpec, Key and round.

        Parameters
        ----------
        counts : ParameterCounts
            What a server counted in this round.

        Returns
        -------
        ndarray of uint64
            Sorted, each once; empty where `decode` finds nothing wrong.

        Raises
        ------
        FingerprintError
            If they were made under another ParameterSpec, Key or round.

        Notes
        -----
        Privacy: these tokens stand for no weight of anybody; the server may be told them, to find who sent them.
        """
        self._check_header(counts.header)
        found: list[Words] = [np.empty(0, dtype=np.uint64)]
        first = 0
        for tensor, secret in zip(self.spec.tensors, self._keys, strict=True):
            self._find_unissued(tensor, _halves(secret), counts, first, found)
            first += tensor.size
        return np.unique(np.concatenate(found))

    def _find_unissued(
        self, tensor: Tensor, key: Words, counts: ParameterCounts, first: int, found: list[Words]
    ) -> None:
        def work(start: int, stop: int) -> None:
            offsets, own = _entries(counts, first + start, first + stop)
            tokens = counts.tokens[own]
            found.append(tokens[self._reports(key, start, np.diff(offsets), tokens) < 0])

        run_chunks(work, tensor.size, 1, _CHUNK, self._n_threads)

    def _check_header(self, header: ParameterHeader) -> None:
        field = header.differs_from(self.header)
        if field is not None:
            what = {"key_id": "Key", "round": "round", "dataset": "data set"}.get(field, "ParameterSpec")
            raise FingerprintError(
                f"the tokens were made under another {what}", hint="decode them with what they were encoded with"
            )

    def _means(self, tensor: Tensor, key: Words, counts: ParameterCounts, first: int, drop: bool) -> Floats:
        means, bad = np.empty(tensor.size), {}

        def work(start: int, stop: int) -> None:
            offsets, own = _entries(counts, first + start, first + stop)
            reports, weights = self._reports(key, start, np.diff(offsets), counts.tokens[own]), counts.weights[own]
            if (unknown := reports < 0).any():
                bad[start] = weights[unknown]
                weights = np.where(unknown, 0, weights)
            sums = np.add.reduceat(self._codes[reports] * weights, offsets[:-1])
            totals = np.add.reduceat(weights, offsets[:-1])
            with np.errstate(invalid="ignore"):
                means[start:stop] = self._unit(sums / totals) * tensor.clip

        run_chunks(work, tensor.size, 1, _CHUNK, self._n_threads)
        if bad:
            _complain(tensor, np.concatenate(list(bad.values())), counts, drop and not np.isnan(means).any())
        return means

    def _unit(self, sums: Floats) -> Floats:
        """Return means in units of the clip; without a channel, sums are means of numbers of points, exact so far."""
        return sums if self._channel is not None else sums * (2.0 / (self.spec.n_points - 1)) - 1.0

    def _reports(self, key: Words, start: int, distinct: Any, tokens: Words) -> NDArray[np.int32]:
        reports = np.empty(len(tokens), dtype=np.int32)
        near = np.full(len(distinct), self.header.n_reports // 2)
        kernel = kernels.choose(len(distinct) * self.header.n_reports)
        kernel.find_reports(key, start, _BITS, self.header.n_reports, near, distinct, tokens, reports)
        return reports


def _entries(counts: ParameterCounts, start: int, stop: int) -> tuple[NDArray[np.int64], slice]:
    """Return where the tokens of some coordinates are, and where among them those of each coordinate begin."""
    offsets = counts.offsets[start : stop + 1]
    return offsets - offsets[0], slice(int(offsets[0]), int(offsets[-1]))


def _complain(tensor: Tensor, weights: NDArray[np.int64], counts: ParameterCounts, drop: bool) -> None:
    """Warn, or raise `DataError`, of tokens that nobody issued; their weights may tell whose they are."""
    suspects = [name for name, weight in counts.clients if (weights == weight).all()]
    whose = f" of client {suspects[0]!r}" if len(suspects) == 1 else ""
    problem = f"tensor {tensor.name!r} has {len(weights)} tokens{whose} that nobody issued under this Key and round"
    if not drop:
        hint = "they were made up or damaged: count the round without that client, or decode with unissued='drop'"
        raise DataError(problem, hint=hint)
    warnings.warn(f"{problem}; the mean is that of the others", HashcombWarning, stacklevel=4)


def _header(spec: Any, key: Any, round: Any, dataset: Any) -> ParameterHeader:
    if not isinstance(spec, ParameterSpec):
        raise SpecError("must be a ParameterSpec", hint="make one with ParameterSpec.of")
    number = check_salts(key, dataset, round)
    return spec.header(key_id=key.id, round=number, dataset=dataset)


def _codes(spec: ParameterSpec, channel: Channel | None) -> Floats:
    """Return what reports count: numbers of points, or an unbiased code in units of the clip."""
    if channel is None:
        return np.arange(spec.n_points, dtype=np.float64)
    try:
        return channel.unbiased_code(spec.grid())
    except ChannelError as error:
        raise SpecError(error.problem, path="channel", hint=error.hint) from None


def _halves(secret: bytes) -> Words:
    return np.frombuffer(secret[:16], dtype="<u8").astype(np.uint64)


def _drawn(words: Any, first: int, count: int) -> Words:
    """Return a secret random word for each of some coordinates; only the shape of what is passed matters."""
    drawn: Words = words(first, np.broadcast_to(np.int32(0), (count, 1)))
    return drawn.reshape(-1)


def _values(arrays: Mapping[str, Any], tensor: Tensor) -> NDArray[Any]:
    if tensor.name not in arrays:
        raise DataError(f"tensor {tensor.name!r} is missing", hint="encode what was agreed")
    array = np.asarray(arrays[tensor.name])
    if array.dtype.kind not in "fiu":
        raise DataError(f"tensor {tensor.name!r} is not numeric")
    if array.shape != tensor.shape:
        raise DataError(f"tensor {tensor.name!r} has shape {array.shape}, agreed was {tensor.shape}")
    n_bad = array.size - int(np.isfinite(array).sum())
    if n_bad:
        raise DataError(
            f"tensor {tensor.name!r} has {n_bad} values that are NaN or infinite", hint="training has diverged"
        )
    return np.ascontiguousarray(array).reshape(-1)
