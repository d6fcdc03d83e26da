"""HashComb: rows in, tokens out, and back."""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb.channels import Channel, channels_of
from hashcomb.clean import CleanTokens
from hashcomb.columns import Columns, as_frame, frame_like
from hashcomb.comb import Comb
from hashcomb.encoding import RowEncoder
from hashcomb.errors import DataError, KeyMaterialError, SpecError, WeakPrivacyWarning
from hashcomb.header import TokenHeader
from hashcomb.keys import Key
from hashcomb.laws import TokenLaws
from hashcomb.noise import FreshNoise, MemoNoise, Noise, seeded
from hashcomb.reading import TokenReader, tokens_like
from hashcomb.spec import Spec
from hashcomb.tokens import Codebook
from hashcomb.values import Decoding, Values

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
        If the Spec's hash is xxh3, or its channel has no finite epsilon.

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
        self._key = key
        self._again = partial(HashComb, dataset=dataset, round=round, n_threads=n_threads)
        self._comb = Comb(spec)
        self._channels = channels_of(spec)
        _warn_of_no_epsilon(self._channels)
        self._values = Values(spec, self._comb, self._channels)
        self._book = Codebook(spec, key, dataset=dataset, round=round, channels=self._channels)
        self._reader = TokenReader(spec, self._book)
        self._rows = RowEncoder(spec, self._comb, self._book, self._channels, n_threads)

    @cached_property
    def _clean(self) -> CleanTokens:
        return CleanTokens(self.spec, self._key, self._book, self._channels)

    @property
    def header(self) -> TokenHeader:
        """What is public about the tokens: fingerprint, key id, columns, salts."""
        return self._book.header

    def __reduce__(self) -> Any:
        return self._again, (self.spec, self._key)  # locks and codebooks stay behind; the Key goes along

    def __repr__(self) -> str:
        return f"HashComb({self.spec!r}, key_id={self.header.key_id!r})"

    def issued_tokens(self) -> list[Array]:
        """Return the tokens that encoding can yield, sorted, one array for each token column.

        Notes
        -----
        Privacy: sorted by token, they tell how many there are and nothing of the order of leaves.
        """
        return self._book.issued_tokens()

    def laws(self) -> TokenLaws:
        """Return how the leaf tokens of each column come about, for one who learns from them without the Key.

        Returns
        -------
        TokenLaws
            One `hashcomb.laws.TokenLaw` for each feature. Of randomized response, the header of tokens tells as much
            (`hashcomb.laws.laws_of`).

        Raises
        ------
        SpecError
            If tokens are not those of leaves.
        ChannelError
            If missing values and features that are not reported have one token, or a column has more than 4096.

        Notes
        -----
        Privacy: who is given the laws of a channel that respects the order of leaves learns that order, up to its
        direction, and may read a report as one would who has the Key and not the edges. Reports stay as private as
        the channel makes them.
        """
        return self._clean.laws()

    # ------------------------------------------------------------------ encode
    def encode(
        self,
        table: Any,
        *,
        seed: int | None = None,
        record_ids: Iterable[Any] | None = None,
        memo_key: Key | None = None,
        out: Array | None = None,
    ) -> Any:
        """Encode a table.

        Parameters
        ----------
        table : array_like of shape (n_rows, n_features), a mapping of columns, or a data frame
            A mapping or a pandas, polars or pyarrow frame has the columns that the Spec names, in any order.
        seed : int, optional
            Makes a channel's randomness repeatable, for tests; such a run carries no privacy.
        record_ids : sequence of str or int, one a row, optional
            With `memo_key`: a record with the same id and the same leaf gives the same report whenever it is
            encoded under this Spec and data set, and only the first time costs epsilon.
        memo_key : Key, optional
            A Key of this owner alone, not the shared one; keep it as long as records may be encoded again.
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
            If the table does not fit the Spec; the message names column and row, never the value. If record
            ids are not one a row, or one occurs twice.
        KeyMaterialError
            If the memo key is none, or the shared one, or comes without record ids or with a seed.
        SpecError
            If there is a memo key and no channel.

        Warns
        -----
        InsecureRandomWarning
            If there is a channel and a seed.

        Notes
        -----
        Privacy: without a channel, tokens have no differential privacy and show which rows share a leaf; with
        one, each report has the channel's exact epsilon against neighbors that are any two values, and every
        call costs it again (`hashcomb.PrivacyReport`). Records that a memo key recognizes cost it once, as long as
        their values stay the same; that a value changed shows with no epsilon, and such records can be joined
        from one encoding to the next. The index of a pandas frame stays on the tokens as it is.
        """
        noise = self._noise(seed, memo_key, record_ids is not None)
        return self._encode(table, noise, 0, out, record_ids)

    def encode_clean(self, table: Any) -> Any:
        """Encode rows past the channel, to use at home a model that was trained on reports.

        Parameters
        ----------
        table : array_like of shape (n_rows, n_features), a mapping of columns, or a data frame
            As for `encode`.

        Returns
        -------
        TokenArray or data frame
            As from `encode`, with a header that names no channel. Without a channel in the Spec, the same as from
            `encode`. Where every leaf belongs to one report (randomized response, geometric, interval), the token of
            that report; for other channels, a token of the leaf that is nobody's report and that `decode` does not
            know.

        Raises
        ------
        DataError
            As `encode`.

        Notes
        -----
        Privacy: these tokens have no differential privacy. They are for the owner's own models and must not leave it.
        """
        return self._encode(table, None, 0, None, None)

    def encode_batches(
        self,
        tables: Iterable[Any],
        *,
        seed: int | None = None,
        record_ids: Iterable[Iterable[Any]] | None = None,
        memo_key: Key | None = None,
    ) -> Iterator[Any]:
        """Encode an iterator of tables that together need not fit in memory.

        Parameters
        ----------
        tables : iterable of tables
            Batches of rows, in order; each as for `encode`.
        seed : int, optional
            As for `encode`; the batches together get the bytes that `encode` gives the whole.
        record_ids : iterable of sequences, optional
            The ids of each batch, as for `encode`.
        memo_key : Key, optional
            As for `encode`.

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
        noise, row = self._noise(seed, memo_key, record_ids is not None), 0
        ids = None if record_ids is None else iter(record_ids)
        for table in tables:
            own = None if ids is None else next(ids, ())
            tokens = self._encode(table, noise, row, None, own)
            row += len(tokens)
            yield tokens

    def _noise(self, seed: int | None, memo_key: Key | None, has_ids: bool) -> Noise | None:
        if (memo_key is not None) != has_ids:
            raise KeyMaterialError("record ids and a memo key go together", hint="give both, or none")
        if memo_key is not None:
            if seed is not None:
                raise KeyMaterialError("a memo key and a seed exclude each other", hint="leave the seed out")
            return MemoNoise(memo_key, self.spec, self.header.dataset, self.header.key_id)
        if self._channels is None:
            return None
        return FreshNoise() if seed is None else seeded(seed)

    def _encode(
        self, table: Any, noise: Noise | None, first_row: int, out: Array | None, record_ids: Iterable[Any] | None
    ) -> Any:
        frame = as_frame(table)
        if out is not None:
            self._check_output(out, frame)
        filled = out
        try:
            columns = Columns(table, self.spec, first_row)
            if isinstance(noise, MemoNoise):
                noise.take(record_ids, first_row, columns.n_rows)
            shape = self._reader.shape(columns.n_rows)
            if out is not None and out.shape != shape:
                filled = None  # it is not ours to fill, nor to clear
                raise DataError(f"out must have shape {shape}")
            tokens = np.empty(shape, dtype=self._book.dtype) if out is None else out.view(np.ndarray)
            clean = self._clean.fill if noise is None and self._channels is not None else None
            self._rows.fill(columns, noise, first_row, tokens, clean)
        except BaseException:
            if filled is not None:
                filled[...] = 0  # nothing half encoded stays in the caller's array
            raise
        header = self.header if clean is None else self._clean.header
        return tokens_like(table, tokens, header.columns, header)

    def _check_output(self, out: Any, frame: Any) -> None:
        if frame is not None:
            raise DataError("out is for arrays; a data frame gives a data frame")
        wanted = isinstance(out, np.ndarray) and out.dtype == self._book.dtype
        if not wanted or not out.flags.c_contiguous or not out.flags.writeable:
            raise DataError(f"out must be a writeable, C-ordered array of {self._book.dtype}")

    # ------------------------------------------------------------------ decode
    def decode(self, tokens: Any, representative: Decoding | None = None) -> Any:
        """Decode tokens to the representative values of their nodes.

        Parameters
        ----------
        tokens : ndarray or data frame
            What `encode` gave, in whole or some of its rows.
        representative : {"center", "mean", "rank", "posterior", "unbiased"}, optional
            What stands for a node; by default the agreed mean where the Spec has it, else the center. Through a
            channel also the posterior mean of the leaf (for uniform leaves, which has the least squared error),
            or the code whose mean over reports is the value of the true leaf. Where reports are no leaves or
            runs of leaves, the posterior mean is the default.

        Returns
        -------
        ndarray or data frame
            Shape (n_rows, n_features), float64 with NaN for missing and unreported values; with categorical features an
            array of objects, categories themselves and None for missing and unknown ones.

        Raises
        ------
        DataError
            If a token was not issued under this Spec, Key and salt, or a path does not belong together.
        FingerprintError
            If the tokens' header says that they were made under others.
        SpecError
            If the Spec has nothing of this kind: no means, no channel, or no unbiased code.
        """
        decoded = self._values.of_tokens(self._reader.nodes(tokens), representative)
        if as_frame(tokens) is None:
            return _as_table(decoded)
        rows = list(decoded.T) if isinstance(decoded, np.ndarray) else decoded
        return frame_like(tokens, {name: rows[j] for j, name in enumerate(self.spec.names)})

    def reports(self, tokens: Any) -> NDArray[np.int32]:
        """Return the number of the report behind each token.

        Parameters
        ----------
        tokens : ndarray or data frame
            As for `decode`.

        Returns
        -------
        ndarray of int32, shape (n_rows, n_features)
            Columns of the channels' matrices; without a channel the nodes themselves. -1 for missing values,
            and for features that a record does not report.

        Raises
        ------
        DataError, FingerprintError
            As `decode`.
        """
        nodes = self._reader.nodes(tokens)
        return np.where(nodes == self._book.blank, np.int32(-1), nodes)

    def tokens_of(self, reports: NDArray[np.int32]) -> Array:
        """Return the tokens of reports, which `reports` numbers again.

        Parameters
        ----------
        reports : ndarray of int32, shape (n_rows, n_features)
            As from `reports`, else a DataError; those that encoding never yields get tokens that `decode` refuses.

        Returns
        -------
        ndarray
            As from `encode`, without a header: where the numbers come from is not known here.

        Notes
        -----
        Privacy: nothing is randomized; where the Spec has a channel, only numbers of its reports keep its epsilon.
        """
        return self._reader.tokens(reports)

    def represent(self, leaves: NDArray[np.int32], representative: Decoding | None = None) -> Array:
        """Return what stands for leaves, as `decode` does for tokens of true leaves.

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
        shape, last = (len(leaves), len(self.spec.features)), self.spec.n_leaves
        if leaves.shape != shape or leaves.dtype != np.int32 or ((leaves < 0) | (leaves > last)).any():
            raise DataError(f"leaves are int32 from 0 to {last}, here of shape {shape}")
        return _as_table(self._values.of_nodes(np.ascontiguousarray(leaves), representative, self.spec.depth))


def _as_table(values: Array | list[Any]) -> Array:
    return values if isinstance(values, np.ndarray) else np.array(values, dtype=object).T


def _warn_of_no_epsilon(channels: Sequence[Channel] | None) -> None:
    if channels and any(math.isinf(channel.epsilon) for channel in channels):
        problem = f"the channel {channels[0].kind} has no finite epsilon: it carries no differential privacy"
        warnings.warn(problem, WeakPrivacyWarning, stacklevel=3)


def check_usable(spec: Spec) -> None:
    """Raise `SpecError` for a Spec with a channel that cannot be made, or one too large for tables."""
    Comb(spec)
    channels_of(spec)
