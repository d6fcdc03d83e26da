"""HashComb: rows in, tokens out, and back."""

from __future__ import annotations

import hashlib
import operator
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb import kernels
from hashcomb.channels import channels_of, randomize
from hashcomb.columns import Columns, as_frame, frame_like, refuse_where
from hashcomb.comb import Comb, Representative
from hashcomb.errors import DataError, FingerprintError, InsecureRandomWarning, SpecError
from hashcomb.header import TokenHeader, header_of_frame, stamp
from hashcomb.keys import Key, Keystream
from hashcomb.placing import CHUNK_VALUES, look_up, run_chunks
from hashcomb.spec import Categorical, Spec
from hashcomb.tokens import Codebook

__all__ = ("HashComb", "check_usable")

Array = NDArray[Any]


class HashComb:
    """Encode rows to tokens, and decode tokens to representative values.

    Parameters
    ----------
    spec : Spec
        What the owners agreed on.
    key : Key
        The secret that they share.
    dataset : str, optional
        Name of the data set, a public salt: equal values have other tokens in another data set.
    round : int, optional
        Number of the round, a public salt, at least 0.
    n_threads : int, optional
        Threads to use; by default one per core once there is work for it. It changes no byte.

    Raises
    ------
    SpecError
        If the Spec's channel or token width cannot be used.

    Warns
    -----
    WeakPrivacyWarning
        If the Spec's hash is xxh3.

    Notes
    -----
    Privacy: tokens leave the owner, the Key, the codebook and this object do not. Without a channel, tokens
    have no differential privacy: they show which rows have equal leaves and how often. With one, each
    encoding of a record costs the epsilon that ``PrivacyReport.of(spec)`` states. Randomness comes from
    AES-256-CTR under a secret drawn for each call.

    Examples
    --------
    >>> import numpy as np
    >>> from hashcomb import HashComb, Key, Spec, Uniform
    >>> spec = Spec(features=(Uniform(name="age", lo=0.0, hi=120.0),), depth=4)
    >>> codec = HashComb(spec, Key.create())
    >>> tokens = codec.encode(np.array([[41.0], [44.0], [90.0]]))
    >>> bool(tokens[0, 0] == tokens[1, 0]), bool(tokens[0, 0] == tokens[2, 0])
    (True, False)
    >>> codec.decode(tokens).ravel().tolist()
    [41.25, 41.25, 93.75]
    """

    def __init__(
        self, spec: Spec, key: Key, *, dataset: str = "", round: int = 0, n_threads: int | None = None
    ) -> None:
        if n_threads is not None and (isinstance(n_threads, bool) or operator.index(n_threads) < 1):
            raise SpecError("must be at least 1, or None for as many as pay", path="n_threads")
        self.spec = spec
        self._arguments = (spec, key, dataset, round, n_threads)
        self._comb = Comb(spec)
        self._channels = channels_of(spec)
        self._used = spec.used_leaves
        self._book = Codebook(spec, key, dataset=dataset, round=round)
        by_leaf = self._book.by_leaf if self._channels is None else None
        self._by_leaf = None if by_leaf is None else self._comb.arrange(by_leaf)
        self._n_threads = n_threads

    @property
    def header(self) -> TokenHeader:
        """What is public about the tokens: fingerprint, key id, columns, salts."""
        return self._book.header

    def __reduce__(self) -> Any:
        return _rebuild, self._arguments  # locks and codebooks stay behind; the Key goes along

    def __repr__(self) -> str:
        return f"HashComb({self.spec!r}, key_id={self.header.key_id!r})"

    def issued_tokens(self) -> list[Array]:
        """Return the tokens that encoding can yield, sorted, one array for each token column.

        Notes
        -----
        Privacy: sorted by token, they tell how many there are and nothing of the order of leaves.
        """
        return self._book.issued_tokens()

    # ------------------------------------------------------------------ encode
    def encode(self, table: Any, *, seed: int | None = None, out: Array | None = None) -> Any:
        """Encode a table.

        Parameters
        ----------
        table : array_like of shape (n_rows, n_features), a mapping of columns, or a data frame
            A mapping or a pandas, polars or pyarrow frame has the columns that the Spec names, in any order.
        seed : int, optional
            Makes a channel's randomness repeatable, for tests; such a run carries no privacy.
        out : ndarray, optional
            Array to fill, for arrays and mappings only: C order, of the tokens' shape and type. After an error
            it is 0.

        Returns
        -------
        TokenArray or data frame
            Tokens of shape (n_rows, n_features), or (n_rows, n_features, depth) with ``tokens="comb"``,
            uint64 or uint32. From a data frame one of its kind, with the columns ``header.columns``.

        Raises
        ------
        DataError
            If the table does not fit the Spec; the message names column and row, never the value.

        Warns
        -----
        InsecureRandomWarning
            If there is a channel and a seed.

        Notes
        -----
        Privacy: without a channel, tokens have no differential privacy and show which rows share a leaf; with
        one, each report has the channel's exact epsilon against neighbors that are any two values, and every
        call costs it again (`hashcomb.PrivacyReport`). The index of a pandas frame stays on the tokens as it is.
        """
        return self._encode(table, self._stream(seed), 0, out)

    def encode_batches(self, tables: Iterable[Any], *, seed: int | None = None) -> Iterator[Any]:
        """Encode an iterator of tables that together need not fit in memory.

        Parameters
        ----------
        tables : iterable of tables
            Batches of rows, in order; each as for `encode`.
        seed : int, optional
            As for `encode`; the batches together get the bytes that `encode` gives the whole.

        Yields
        ------
        TokenArray or data frame
            The tokens of each batch.

        Raises
        ------
        DataError
            As `encode`; rows are counted over all batches.

        Notes
        -----
        Privacy: as `encode`; no randomness is used twice.
        """
        stream, row = self._stream(seed), 0
        for table in tables:
            tokens = self._encode(table, stream, row, None)
            row += len(tokens)
            yield tokens

    def _stream(self, seed: int | None) -> Keystream | None:
        if self._channels is None:
            return None
        if seed is None:
            return Keystream()
        warnings.warn(
            "a seeded channel is repeatable and protects nothing; leave the seed out for real data",
            InsecureRandomWarning,
            stacklevel=3,
        )
        return Keystream(hashlib.sha256(f"hashcomb seed {seed}".encode()).digest())

    def _encode(self, table: Any, stream: Keystream | None, first_row: int, out: Array | None) -> Any:
        frame = as_frame(table)
        if out is not None:
            self._check_output(out, frame)
        filled = out
        try:
            columns = Columns(table, self.spec, first_row)
            shape = self._output_shape(columns.n_rows)
            if out is not None and out.shape != shape:
                filled = None  # it is not ours to fill, nor to clear
                raise DataError(f"out must have shape {shape}")
            tokens = np.empty(shape, dtype=self._book.dtype) if out is None else out.view(np.ndarray)
            self._encode_all(columns, stream, first_row, tokens)
        except BaseException:
            if filled is not None:
                filled[...] = 0  # nothing half encoded stays in the caller's array
            raise
        if frame is None:
            return stamp(tokens, self.header)
        flat = tokens.reshape(columns.n_rows, -1)
        named = {name: np.ascontiguousarray(flat[:, j]) for j, name in enumerate(self.header.columns)}
        return frame_like(table, named, self.header.to_json())

    def _encode_all(self, columns: Columns, stream: Keystream | None, first_row: int, tokens: Array) -> None:
        def work(start: int, stop: int) -> None:
            self._encode_rows(columns, stream, first_row, start, stop, tokens)

        chunk = CHUNK_VALUES << (5 if self._by_leaf is not None else 0)
        run_chunks(work, columns.n_rows, len(self.spec.features), chunk, self._n_threads)

    def _check_output(self, out: Any, frame: Any) -> None:
        if frame is not None:
            raise DataError("out is for arrays; a data frame gives a data frame")
        wanted = isinstance(out, np.ndarray) and out.dtype == self._book.dtype
        if not wanted or not out.flags.c_contiguous or not out.flags.writeable:
            raise DataError(f"out must be a writeable, C-ordered array of {self._book.dtype}")

    def _encode_rows(
        self, columns: Columns, stream: Keystream | None, first_row: int, start: int, stop: int, tokens: Array
    ) -> None:
        values = columns.block(start, stop)
        if self._by_leaf is not None:
            look_up(self._comb, values, self._by_leaf, tokens[start:stop], first_row + start)
            return
        leaves: NDArray[np.int32] = np.empty(values.shape, dtype=np.int32)
        look_up(self._comb, values, self._comb.leaf_numbers, leaves, first_row + start)
        if stream is not None:
            assert self._channels is not None
            raw = stream.words((first_row + start) * leaves.shape[1], leaves.size)
            words = np.frombuffer(raw, dtype="<u8").astype(np.uint64, copy=False).reshape(leaves.shape)
            leaves = randomize(self._channels, self._used, self.spec.n_leaves, leaves, words)
        self._book.tokens(leaves, tokens[start:stop])

    # ------------------------------------------------------------------ decode
    def decode(self, tokens: Any, representative: Representative | None = None) -> Any:
        """Decode tokens to the representative values of their nodes.

        Parameters
        ----------
        tokens : ndarray or data frame
            What `encode` gave, in whole or some of its rows.
        representative : {"center", "mean", "rank"}, optional
            What stands for a node; by default the agreed mean where the Spec has it, else the center.

        Returns
        -------
        ndarray or data frame
            Shape (n_rows, n_features), float64 with NaN for missing values; with categorical features an
            array of objects, categories themselves and None for missing and unknown ones.

        Raises
        ------
        DataError
            If a token was not issued under this Spec, Key and salt, or a path does not belong together.
        FingerprintError
            If the tokens' header says that they were made under others.
        SpecError
            If means are asked for and the Spec has none.
        """
        array = self._read_tokens(tokens)
        nodes = self._book.nodes(np.ascontiguousarray(array[..., -1] if array.ndim == 3 else array))
        if array.ndim == 3:
            self._check_paths(array, nodes)
        decoded = self._represent(nodes, representative, self.spec.levels[-1])
        if as_frame(tokens) is None:
            return decoded if isinstance(decoded, np.ndarray) else np.array(decoded, dtype=object).T
        rows = list(decoded.T) if isinstance(decoded, np.ndarray) else decoded
        return frame_like(tokens, {name: rows[j] for j, name in enumerate(self.spec.names)})

    def _read_tokens(self, tokens: Any) -> Array:
        frame = as_frame(tokens)
        if frame is None:
            self._check_header(getattr(tokens, "header", None))
            array = np.asarray(tokens)
        else:
            self._check_header(header_of_frame(tokens))
            missing = [name for name in self.header.columns if name not in frame.columns]
            if missing:
                raise DataError("is missing", column=missing[0], hint="pass the frame that encode gave")
            array = np.stack([frame[name].to_numpy() for name in self.header.columns], axis=1)
            array = array.reshape(self._output_shape(len(array)))
        if array.ndim not in (2, 3) or array.shape != self._output_shape(len(array)) or len(array) == 0:
            raise DataError(f"tokens of this Spec have shape {('n_rows', *self._output_shape(0)[1:])} and n_rows > 0")
        return self._as_tokens(array)

    def _output_shape(self, n_rows: int) -> tuple[int, ...]:
        shape = (n_rows, len(self.spec.features))
        return (*shape, self.spec.depth) if self.spec.tokens == "comb" else shape

    def _as_tokens(self, array: Array) -> Array:
        limit = np.iinfo(self._book.dtype).max
        if array.dtype.kind not in "ui" or bool((array < 0).any() or (array > limit).any()):
            raise DataError(
                f"these are no {self.spec.token_bits}-bit tokens", hint=f"read tokens as {self._book.dtype}"
            )
        return np.ascontiguousarray(array, dtype=self._book.dtype)

    def _check_header(self, header: TokenHeader | None) -> None:
        field = None if header is None else header.differs_from(self.header)
        if field is not None:
            what = {"fingerprint": "Spec", "key_id": "Key", "dataset": "data set", "round": "round"}[field]
            theirs, ours = (str(getattr(one, field))[:16] for one in (header, self.header))
            raise FingerprintError(
                f"the tokens were made under another {what} ({theirs!r}, here {ours!r})",
                hint="decode them with what they were encoded with",
            )

    def _check_paths(self, array: Array, leaves: NDArray[np.int32]) -> None:
        expected = np.empty_like(array)
        self._book.tokens(leaves, expected)
        refuse_where(
            (expected != array).any(axis=2),
            self.spec.names,
            "the tokens of a path do not belong together",
            "the tokens were edited or mixed; encode the row again",
        )

    def represent(self, leaves: NDArray[np.int32], representative: Representative | None = None) -> Array:
        """Return what stands for leaves, as `decode` does for their tokens.

        Parameters
        ----------
        leaves : ndarray of int32, shape (n_rows, n_features)
            Leaves, as from `hashcomb.place`; ``2**depth`` where a value is missing.
        representative : {"center", "mean", "rank"}, optional
            As for `decode`.

        Returns
        -------
        ndarray of shape (n_rows, n_features)
            As from `decode`.

        Raises
        ------
        DataError
            If there are no such leaves.
        SpecError
            If means are asked for and the Spec has none.
        """
        shape = (len(leaves), len(self.spec.features))
        if (
            leaves.shape != shape
            or leaves.dtype != np.int32
            or (leaves < 0).any()
            or (leaves > 1 << self.spec.depth).any()
        ):
            raise DataError(f"leaves are int32 from 0 to {1 << self.spec.depth}, here of shape {shape}")
        values = self._represent(np.ascontiguousarray(leaves), representative, self.spec.depth)
        return values if isinstance(values, np.ndarray) else np.array(values, dtype=object).T

    def _represent(self, nodes: NDArray[np.int32], kind: Representative | None, level: int) -> Array | list[Any]:
        kind = kind or ("mean" if self._has_means and level == self.spec.depth else "center")
        table = self._comb.representatives(kind, level)
        values = np.empty(nodes.shape, dtype=np.float64)
        first = (np.arange(len(table)) * (1 + (1 << level))).astype(np.int32)
        kernels.choose(nodes.size).lookup(nodes.reshape(-1), first, table.reshape(-1), values.reshape(-1))
        if kind == "rank" or not any(isinstance(f, Categorical) for f in self.spec.features):
            return values
        return [self._categories(j, column, level) for j, column in enumerate(values.T)]

    @property
    def _has_means(self) -> bool:
        numeric = [f for f in self.spec.features if not isinstance(f, Categorical)]
        return bool(numeric) and all(f.means is not None for f in numeric)

    def _categories(self, index: int, codes: Array, level: int) -> Any:
        feature = self.spec.features[index]
        if not isinstance(feature, Categorical):
            return codes
        if level < self.spec.depth:
            raise DataError(
                "a node of several categories stands for none of them",
                column=feature.name,
                hint="decode with representative='rank'",
            )
        known = dict(enumerate(feature.categories))
        return [known.get(int(code)) if code == code else None for code in codes]


def _rebuild(spec: Spec, key: Key, dataset: str, round: int, n_threads: int | None) -> HashComb:
    return HashComb(spec, key, dataset=dataset, round=round, n_threads=n_threads)


def check_usable(spec: Spec) -> None:
    """Raise `SpecError` for a Spec with a channel that cannot be made, or one too large for tables."""
    Comb(spec)
    channels_of(spec)
