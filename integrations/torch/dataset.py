"""Tokens as a data set: rows by number, a batch at a time, in any number of workers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset
from torch.utils.data._utils.collate import collate, default_collate_fn_map

from hashcomb import TokenHeader
from hashcomb.errors import DataError, FingerprintError, SpecError
from hashcomb.header import stamp
from hashcomb.integrations.torch.labels import labels_of
from hashcomb.integrations.torch.mapped import MappedTokens
from hashcomb.integrations.torch.vocabulary import Vocabulary, require_header

__all__ = ("TokenDataset", "TokenRow", "TokenRows", "collate_tokens")

Tensors = tuple[torch.Tensor, ...]


class TokenRow(tuple[torch.Tensor, ...]):
    """One row: the indices of its tokens, and its label if there is one.

    Attributes
    ----------
    vocabulary_id : str
        Says which vocabulary numbered the tokens.
    """

    vocabulary_id: str = ""


class TokenRows(Sequence[TokenRow]):
    """Several rows at once: a sequence of `TokenRow`, which `collate_tokens` takes whole.

    Parameters
    ----------
    tensors : tuple of Tensor
        Indices of shape (n_rows, n_features[, depth]), and labels if there are any.
    vocabulary_id : str
        Says which vocabulary numbered the tokens.
    """

    def __init__(self, tensors: Tensors, vocabulary_id: str) -> None:
        self.tensors, self.vocabulary_id = tensors, vocabulary_id

    def __len__(self) -> int:
        return len(self.tensors[0])

    @overload
    def __getitem__(self, index: int) -> TokenRow: ...
    @overload
    def __getitem__(self, index: slice) -> TokenRows: ...
    def __getitem__(self, index: int | slice) -> TokenRow | TokenRows:
        parts = tuple(tensor[index] for tensor in self.tensors)
        if isinstance(index, slice):
            return TokenRows(parts, self.vocabulary_id)
        row = TokenRow(parts)
        row.vocabulary_id = self.vocabulary_id
        return row


class TokenDataset(Dataset[TokenRow]):
    """Tokens, and labels if there are any, for a ``torch.utils.data.DataLoader``.

    A row is a tuple ``(indices, label)``, or ``(indices,)`` without labels, as with ``TensorDataset``. Workers may be
    forked or spawned; rows that are mapped from a file are not copied to them.

    Parameters
    ----------
    tokens : TokenArray, MappedTokens or path
        What ``HashComb.encode`` gave, or a file that `write_tokens` wrote.
    labels : array_like of shape (n_rows, ...), optional
        Whole numbers become int64, others float32. A file has its own.
    vocabulary : Vocabulary, optional
        Numbers the tokens: for test rows, that of the training rows. By default it is learned from these rows.

    Attributes
    ----------
    vocabulary : Vocabulary
        What numbers the tokens.
    header : TokenHeader
        What the tokens are: fingerprint, channel, columns.

    Raises
    ------
    DataError
        If there are no rows, or labels are not one a row, missing or no numbers.
    FileFormatError
        If the file is none, or not whole.
    FingerprintError
        If the tokens were made under another Spec, Key or salt than the vocabulary's.
    SpecError
        If `vocabulary` is no Vocabulary.

    Notes
    -----
    Pass `collate_tokens` as ``collate_fn``: the default one also works, and stacks batches row by row.

    Examples
    --------
    >>> import numpy as np
    >>> from torch.utils.data import DataLoader
    >>> from hashcomb import HashComb, Key, Spec, Uniform
    >>> spec = Spec(features=(Uniform(name="age", lo=0.0, hi=120.0),), depth=4)
    >>> tokens = HashComb(spec, Key.create()).encode(np.array([[41.0], [44.0], [90.0]]))
    >>> rows = TokenDataset(tokens, [0, 0, 1])
    >>> for indices, labels in DataLoader(rows, batch_size=3, collate_fn=collate_tokens):
    ...     print(indices.shape, labels)
    torch.Size([3, 1]) tensor([0, 0, 1])
    """

    def __init__(self, tokens: Any, labels: Any = None, *, vocabulary: Vocabulary | None = None) -> None:
        source = MappedTokens(tokens) if isinstance(tokens, str | os.PathLike) else tokens
        self.header: TokenHeader = require_header(source)
        if len(source) == 0:
            raise DataError("there are no rows", hint="a data set needs at least one row of tokens")
        if vocabulary is not None and not isinstance(vocabulary, Vocabulary):
            raise SpecError(
                "must be a Vocabulary", path="vocabulary", hint="pass train.vocabulary of the training rows"
            )
        self.vocabulary = Vocabulary.learn(source) if vocabulary is None else vocabulary
        self.vocabulary.header.require_same(self.header)
        self._id, self._length = self.vocabulary.id, len(source)
        self._mapped = source if isinstance(source, MappedTokens) else None
        self._indices = torch.from_numpy(self.vocabulary.indices(source)) if self._mapped is None else None
        self._labels = None if labels is None else self._check_labels(labels)

    def _check_labels(self, labels: Any) -> torch.Tensor:
        array = labels_of(labels)
        if len(array) != self._length:
            raise DataError(f"{len(array)} labels for {self._length} rows")
        return torch.from_numpy(array)

    def __repr__(self) -> str:
        labels = "" if self._labels_of(np.arange(0)) is None else ", labels"
        return f"TokenDataset({self._length} rows{labels}, {self.vocabulary})"

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> TokenRow:
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> TokenRows:
        """Return several rows at once; DataLoader calls it with the rows of a batch."""
        rows = np.asarray(indices, dtype=np.int64)
        found, labels = self._rows(rows), self._labels_of(rows)
        return TokenRows((found,) if labels is None else (found, labels), self._id)

    def _rows(self, rows: NDArray[np.int64]) -> torch.Tensor:
        if self._indices is not None:
            return self._indices[torch.from_numpy(rows)]
        assert self._mapped is not None
        tokens = stamp(self._mapped.tokens[rows], self.header)
        return torch.from_numpy(self.vocabulary.indices(tokens))

    def _labels_of(self, rows: NDArray[np.int64]) -> torch.Tensor | None:
        if self._labels is not None:
            return self._labels[torch.from_numpy(rows)]
        own = None if self._mapped is None else self._mapped.labels
        return None if own is None else torch.from_numpy(np.array(own[rows], subok=False))


def collate_tokens(batch: Sequence[Any]) -> Any:
    """Put the rows of a batch together, as ``collate_fn`` of a DataLoader.

    Parameters
    ----------
    batch : TokenRows or sequence
        Rows of a `TokenDataset`, alone or within tuples and mappings beside anything that torch's own collate knows
        (``StackDataset``).

    Returns
    -------
    tuple of Tensor, or nested tuples and mappings of them
        Indices of shape (n_rows, n_features[, depth]), and labels.

    Raises
    ------
    DataError
        If there are no rows, or rows have other columns or no label where others have one.
    FingerprintError
        If rows were numbered by different vocabularies: their numbers mean different tokens.
    """
    if len(batch) == 0:
        raise DataError("a batch without rows", hint="leave empty batches out of the sampler")
    if isinstance(batch, TokenRows):
        return batch.tensors
    return collate(batch, collate_fn_map={TokenRow: _stack, **default_collate_fn_map})


def _stack(batch: Sequence[Any], *, collate_fn_map: Any = None) -> Tensors:  # noqa: ARG001 torch's signature
    if len({getattr(row, "vocabulary_id", "") for row in batch}) != 1:
        raise FingerprintError(
            "a batch holds rows whose tokens were numbered by different vocabularies",
            hint="give all data sets vocabulary= of the training rows",
        )
    shapes = [tuple(part.shape for part in row) for row in batch]
    odd = next((row for row, shape in enumerate(shapes) if shape != shapes[0]), None)
    if odd is not None:
        raise DataError("has other columns than the first row of its batch", row=odd)
    return tuple(torch.stack(parts) for parts in zip(*batch, strict=True))
