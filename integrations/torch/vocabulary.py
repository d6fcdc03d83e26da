"""The tokens that a model knows, numbered, so that looking one up in a table costs no search."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from hashcomb import TokenHeader
from hashcomb.columns import as_frame
from hashcomb.errors import DataError, FileFormatError
from hashcomb.header import header_of
from hashcomb.integrations.torch.posterior import posteriors
from hashcomb.laws import TokenLaws, table_of

__all__ = ("Vocabulary",)

Array = NDArray[Any]

_CHUNK_ROWS = 65_536
_ONE = 1 << 30  # what stands for a probability of 1
_TENSORS = ("vocabulary_header", "vocabulary_tokens", "vocabulary_sizes")


class Vocabulary:
    """The tokens that a model knows, and the number of each.

    Every token column has a run of numbers of its own. The first of them stands for tokens that are not in the
    vocabulary, the others for its tokens in ascending order.

    Parameters
    ----------
    header : TokenHeader
        Of the tokens that it was learned from.
    columns : sequence of ndarray of uint
        The tokens of each column, sorted.
    posterior : ndarray of float32, shape (n_columns, n_slots, n_slots), optional
        Of randomized tokens: the probability of each true value (last axis) behind each report, both by their place
        in the column's run of numbers.

    Attributes
    ----------
    n_indices : int
        How many numbers there are, over all columns.
    shape : tuple of int
        Shape of one row: (n_features,), or (n_features, depth) for tokens of all levels.

    Notes
    -----
    torch has next to no operations on unsigned 64-bit numbers, so tokens become tensors as these numbers, int32.
    """

    def __init__(self, header: TokenHeader, columns: Sequence[Array], posterior: Array | None = None) -> None:
        self.header, self.columns, self.posterior = header, list(columns), posterior
        self.sizes = [len(tokens) + 1 for tokens in columns]
        self.starts = [0, *itertools.accumulate(self.sizes)][:-1]
        self.n_indices = sum(self.sizes)
        self.shape = _row_shape(header)
        if len(columns) != len(header.columns):
            raise DataError(f"{len(columns)} columns of tokens, where the header names {len(header.columns)}")

    def __repr__(self) -> str:
        return f"Vocabulary({len(self.sizes)} columns, {self.n_indices} indices, {self.header.fingerprint[:16]})"

    @classmethod
    def learn(cls, tokens: Any, *, min_count: int = 1, laws: TokenLaws | None = None) -> Self:
        """Learn a vocabulary from the tokens of training rows.

        Parameters
        ----------
        tokens : TokenArray or MappedTokens
            The training rows, or a pandas or pyarrow frame of their tokens.
        min_count : int, optional
            Tokens that occur less often are left out, and so count as unknown. With 2 or more, unknown tokens occur
            in training, and a model learns what to make of them. Laws bring all tokens along, whatever their number.
        laws : TokenLaws, optional
            Of randomized leaf tokens: `hashcomb.laws.laws_of`, or `HashComb.laws` of a key holder. With them the
            vocabulary knows what each report says of the true value, and tells reports from tokens of true values.

        Returns
        -------
        Vocabulary

        Raises
        ------
        DataError
            If there are no rows or no header, or the rows do not have the columns that it names; or if the laws are
            those of reports, and the tokens are not.
        FingerprintError
            If the laws are of tokens made under another Spec, Key or salt.

        Notes
        -----
        Privacy: the vocabulary holds tokens that its column has, and with laws an estimate of how often each true value
        occurs, made from the reports alone. It is saved with a model that uses it.
        """
        header, array = require_header(tokens), tokens_of(tokens)
        if len(array) == 0:
            raise DataError("there are no rows", hint="a vocabulary needs at least one row of tokens")
        flat = _flat(array, header)
        seen = [_count(flat, j) for j in range(flat.shape[1])]
        if laws is None:
            return cls(header, [known[counts >= min_count] for known, counts in seen])
        _check_laws(laws, header)
        columns = [
            _union(known, law.reports, law.symbols, law.blank) for (known, _), law in zip(seen, laws, strict=True)
        ]
        return cls(header, columns, posteriors(columns, seen, laws))

    @property
    def id(self) -> str:
        """Digest of the vocabulary: numbers of two vocabularies with one id mean the same tokens."""
        digest = hashlib.sha256(self.header.to_json().encode())
        digest.update(b"plain" if self.posterior is None else b"laws")
        for tokens in self.columns:
            digest.update(len(tokens).to_bytes(8, "little") + tokens.astype("<u8").tobytes())
        return digest.hexdigest()

    def indices(self, tokens: Any) -> NDArray[np.int32]:
        """Return the number of each token.

        Parameters
        ----------
        tokens : TokenArray, MappedTokens, or ndarray of uint, shape (n_rows, n_features[, depth])
            Rows; an array without a header is taken for tokens of the vocabulary's own.

        Returns
        -------
        ndarray of int32, of the tokens' shape
            In [0, n_indices). Where the vocabulary has laws, tokens of true values have numbers of their own, larger
            by `n_indices` than those of reports.

        Raises
        ------
        DataError
            If the rows have another number of columns.
        FingerprintError
            If the tokens were made under another Spec, Key or salt.
        """
        header, array = header_of(tokens), tokens_of(tokens)
        self.header.require_same(header)
        flat = _flat(array, self.header)
        out = np.empty(flat.shape, dtype=np.int32)
        shift = self.n_indices if self._are_true(header) else 0
        for first in range(0, len(flat), _CHUNK_ROWS):
            rows = slice(first, first + _CHUNK_ROWS)
            for j, (known, start) in enumerate(zip(self.columns, self.starts, strict=True)):
                out[rows, j] = _find(known, flat[rows, j])
                out[rows, j] += start + shift
        return out.reshape(len(flat), *self.shape)

    def _are_true(self, header: TokenHeader | None) -> bool:
        return self.posterior is not None and header is not None and header.channel is None

    # ------------------------------------------------------------------ as tensors
    def to_tensors(self) -> dict[str, torch.Tensor]:
        """Return the vocabulary as tensors, which ``torch.load(weights_only=True)`` reads."""
        # By way of NumPy, so that they are whole where a model is made on another device, the meta device too.
        flat = np.concatenate([tokens.astype(np.uint64) for tokens in self.columns])
        header = np.frombuffer(self.header.to_json().encode(), dtype=np.uint8).copy()
        tensors = {
            "vocabulary_header": torch.from_numpy(header),
            "vocabulary_tokens": torch.from_numpy(flat.view(np.int64)),
            "vocabulary_sizes": torch.from_numpy(np.array(self.sizes, dtype=np.int64)),
        }
        if self.posterior is not None:
            # Whole numbers: what averages, clips or casts the weights of a model leaves them alone.
            whole = np.rint(self.posterior.astype(np.float64) * _ONE).astype(np.int32)
            tensors["vocabulary_posterior"] = torch.from_numpy(whole)
        return tensors

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor]) -> Self:
        """Read what `to_tensors` gave.

        Raises
        ------
        FileFormatError
            If these tensors are no vocabulary.
        """
        try:
            raw, tokens, sizes = (tensors[name].cpu().numpy() for name in _TENSORS)
            header = TokenHeader.from_json(raw.tobytes(), file="state_dict")
            typed = tokens.view(np.uint64).astype(f"uint{header.token_bits}")
            columns = np.split(typed, np.cumsum(sizes - 1)[:-1])
            whole = tensors.get("vocabulary_posterior")
            posterior = None if whole is None else (whole.cpu().numpy() / _ONE).astype(np.float32)
            vocabulary = cls(header, columns, posterior)
        except (KeyError, ValueError, TypeError, AttributeError):
            raise FileFormatError("holds no vocabulary of tokens", file="state_dict") from None
        ordered = all((known[1:] > known[:-1]).all() for known in columns)
        if not ordered or not _fits(vocabulary) or [len(known) + 1 for known in columns] != sizes.tolist():
            raise FileFormatError("holds a vocabulary that is none", file="state_dict")
        return vocabulary


def _fits(vocabulary: Vocabulary) -> bool:
    largest = max(vocabulary.sizes)
    shape = (len(vocabulary.sizes), largest, largest)
    return vocabulary.posterior is None or vocabulary.posterior.shape == shape


def require_header(tokens: Any) -> TokenHeader:
    """Return the header of tokens; raise `DataError` if they carry none."""
    header = header_of(tokens)
    if header is None:
        raise DataError("the tokens carry no header", hint="pass what HashComb.encode gave, or a file of tokens")
    return header


def tokens_of(tokens: Any) -> Array:
    """Return tokens, those of a file or of a data frame, as an array without a header.

    Raises
    ------
    DataError
        If they are no unsigned integers, or a column of a frame is missing.
    """
    array = table_of(tokens, None if as_frame(tokens) is None else require_header(tokens).columns)
    if array.dtype not in (np.uint64, np.uint32):
        raise DataError("these are no tokens", hint="pass what HashComb.encode gave, uint64 or uint32")
    return array


def _row_shape(header: TokenHeader) -> tuple[int, ...]:
    n_features = len(header.features)
    return (n_features, header.depth) if header.tokens == "comb" else (n_features,)


def _flat(array: Array, header: TokenHeader) -> Array:
    """Return tokens as one row a record; those of all levels may come in two dimensions or three."""
    if array.ndim < 2 or array.shape[1:] not in (_row_shape(header), (len(header.columns),)):
        raise DataError(f"rows of tokens of shape {array.shape[1:]}, where this Spec has {_row_shape(header)}")
    return array.reshape(len(array), len(header.columns))


def _count(flat: Array, column: int) -> tuple[Array, NDArray[np.int64]]:
    """Return the distinct tokens of a column and how often each occurs, chunk by chunk: a file may be large."""
    known, counts = np.empty(0, dtype=flat.dtype), np.empty(0, dtype=np.int64)
    for first in range(0, len(flat), _CHUNK_ROWS):
        more, often = np.unique(flat[first : first + _CHUNK_ROWS, column], return_counts=True)
        known, place = np.unique(np.concatenate([known, more]), return_inverse=True)
        counts = np.bincount(place, weights=np.concatenate([counts, often])).astype(np.int64)
    return known, counts


def _find(known: Array, tokens: Array) -> NDArray[np.int64]:
    """Return 1 + the place of each token among the known ones, 0 for others."""
    if len(known) == 0:
        return np.zeros(len(tokens), dtype=np.int64)
    place = np.searchsorted(known, tokens)
    np.minimum(place, len(known) - 1, out=place)
    return np.where(known[place] == tokens, place + 1, 0)


def _union(*parts: Any) -> Array:
    """Return the distinct tokens of several sources, sorted."""
    arrays: Iterable[Array] = (np.atleast_1d(np.asarray(part, dtype=np.uint64)) for part in parts if part is not None)
    return np.unique(np.concatenate(list(arrays)))


def _check_laws(laws: TokenLaws, header: TokenHeader) -> None:
    header.require_same(laws.header, "the laws")
    if header.tokens != "leaf" or len(laws) != len(header.columns):
        raise DataError(f"laws of {len(laws)} columns, where the leaf tokens have {len(header.columns)}")
    if header.channel is not None and not laws.randomized:
        raise DataError("reports of a channel, where the laws are those of true values", hint="pass laws_of(tokens)")
    if header.channel is None and laws.randomized:
        hint = "learn from what encode gives; for tokens of encode_clean leave laws out"
        raise DataError("tokens without their channel, where the laws are those of reports", hint=hint)
