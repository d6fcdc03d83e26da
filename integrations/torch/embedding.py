"""An embedding of tokens: a table for every token column, summed over the levels of a feature."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hashcomb.errors import DataError, SpecError
from hashcomb.integrations.torch.posterior import mixtures
from hashcomb.integrations.torch.vocabulary import Vocabulary

__all__ = ("CombEmbedding",)

_SAVED = ("vocabulary_header", "vocabulary_tokens", "vocabulary_sizes", "vocabulary_posterior")
_DERIVED = ("_mixture", "_slots", "_places")


class CombEmbedding(nn.Module):
    """Embed tokens: a vector for each, summed over the levels of a feature, learned without ever seeing a value.

    With tokens of all levels, values in one coarse leaf share that leaf's vector, and what is rare at a fine level
    learns from its neighbors at the coarser ones, although nobody told the order of the leaves. With a vocabulary
    that has laws, a report embeds as the mean of the vectors of the true values behind it, weighted by how likely
    each of them is; tokens of true values embed as themselves, so that the model is used on an owner's clean rows.

    Parameters
    ----------
    vocabulary : Vocabulary or None
        The tokens. None for a module whose vocabulary comes with `load_state_dict`.
    dim : int
        Length of a vector.
    mode : {"features", "sum"}
        Give a vector for each feature, shape (n_rows, n_features, dim), or their sum, (n_rows, dim): the first linear
        layer of a network over one-hot columns.
    sparse : bool, optional
        Whether the gradient of the table is a sparse tensor, for ``torch.optim.SparseAdam`` and very large
        vocabularies. Not with laws.
    device, dtype : optional
        As for ``nn.Embedding``.

    Attributes
    ----------
    vocabulary : Vocabulary or None
        The tokens.
    weight : Parameter, shape (n_indices, dim)
        The vectors. Those of unknown tokens begin as zero, and stay so unless unknown tokens occur in training
        (``Vocabulary.learn(..., min_count=2)``).

    Raises
    ------
    SpecError
        If an argument is none that it can be.

    Notes
    -----
    ``state_dict`` holds the vocabulary and the header with the fingerprint as tensors; loading it brings the vocabulary
    along, or is a `FingerprintError` where the module's own is of another Spec, Key or salt, and a `DataError` where
    the table has another shape.

    Privacy: the vectors, the vocabulary and, with laws, the shares of true values are learned from reports and
    labels alone, so a channel's epsilon covers them; labels have no protection.

    Examples
    --------
    >>> import numpy as np
    >>> from hashcomb import HashComb, Key, Spec, Uniform
    >>> spec = Spec(features=(Uniform(name="age", lo=0.0, hi=120.0),), depth=4, tokens="comb")
    >>> tokens = HashComb(spec, Key.create()).encode(np.array([[41.0], [44.0], [90.0]]))
    >>> embedding = CombEmbedding(Vocabulary.learn(tokens), 8)
    >>> embedding(embedding.indices(tokens)).shape
    torch.Size([3, 1, 8])
    """

    vocabulary_header: Tensor
    vocabulary_tokens: Tensor
    vocabulary_sizes: Tensor
    vocabulary_posterior: Tensor | None
    _mixture: Tensor | None
    _slots: Tensor
    _places: Tensor

    def __init__(
        self,
        vocabulary: Vocabulary | None,
        dim: int,
        *,
        mode: Literal["features", "sum"] = "features",
        sparse: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if mode not in ("features", "sum"):
            raise SpecError("must be 'features' or 'sum'", path="mode")
        if isinstance(dim, bool) or not isinstance(dim, int | np.integer) or dim < 1:
            raise SpecError("must be a whole number of at least 1", path="dim")
        self.dim, self.mode, self.sparse = int(dim), mode, sparse
        self.vocabulary: Vocabulary | None = None
        self.weight = nn.Parameter(torch.empty(0, dim, device=device, dtype=dtype))
        for name in (*_SAVED, *_DERIVED):
            self.register_buffer(name, None, persistent=name in _SAVED)
        if vocabulary is not None and not isinstance(vocabulary, Vocabulary):
            raise SpecError("must be a Vocabulary", path="vocabulary", hint="pass Vocabulary.learn(tokens)")
        if vocabulary is not None:
            self._take(vocabulary, self.weight)
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the vectors anew, so that outputs have variance 1; those of unknown tokens become zero."""
        if self.vocabulary is None:
            return
        shape = self.vocabulary.shape
        n_summed = len(self.vocabulary.sizes) if self.mode == "sum" else len(self.vocabulary.sizes) // shape[0]
        with torch.no_grad():
            self.weight.normal_(std=n_summed**-0.5)
            self.weight[torch.tensor(self.vocabulary.starts, device=self.weight.device)] = 0.0

    def extra_repr(self) -> str:
        """Say what it embeds."""
        return f"{self.vocabulary}, dim={self.dim}, mode={self.mode!r}"

    # ------------------------------------------------------------------ vocabulary
    def _take(self, vocabulary: Vocabulary, like: Tensor) -> None:
        """Make room for the tokens of a vocabulary, and keep it as tensors beside the table, which will be `like`."""
        if self.sparse and vocabulary.posterior is not None:
            raise SpecError("a mean over true values has no sparse gradient", path="sparse", hint="leave it False")
        self.vocabulary = vocabulary
        tensors = vocabulary.to_tensors()
        if vocabulary.posterior is not None:
            tensors["_mixture"] = torch.from_numpy(mixtures(vocabulary.posterior)).to(like.dtype)
            tensors["_slots"], tensors["_places"] = _layout(vocabulary)
        tensors = {name: tensor.to(like.device, copy=True) for name, tensor in tensors.items()}
        for name in (*_SAVED, *_DERIVED):
            setattr(self, name, tensors.get(name))
        if len(self.weight) != vocabulary.n_indices:
            # The same Parameter with other contents: an optimizer that has it already keeps it.
            self.weight.data = self.weight.data.new_empty(vocabulary.n_indices, self.dim)

    def indices(self, tokens: Any) -> Tensor:
        """Return the indices of tokens, on the module's device: what `forward` takes.

        Parameters
        ----------
        tokens : TokenArray, MappedTokens, or ndarray of uint, shape (n_rows, n_features[, depth])
            Rows to embed.

        Returns
        -------
        Tensor of int32, of the tokens' shape

        Raises
        ------
        DataError
            If the module has no vocabulary yet, or the rows have another number of columns.
        FingerprintError
            If the tokens were made under another Spec, Key or salt.
        """
        if self.vocabulary is None:
            raise DataError("the embedding has no vocabulary yet", hint="load a state_dict first")
        return torch.from_numpy(self.vocabulary.indices(tokens)).to(self.weight.device)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, local_metadata: Any, *rest: Any) -> None:
        weight = state_dict.get(prefix + "weight")
        saved = {name: state_dict[prefix + name] for name in _SAVED if prefix + name in state_dict}
        if weight is not None and len(saved) >= len(_SAVED) - 1:
            vocabulary = Vocabulary.from_tensors(saved)
            if self.vocabulary is not None:
                self.vocabulary.header.require_same(vocabulary.header, "the tokens of the state_dict")
            if weight.shape != (vocabulary.n_indices, self.dim):
                shape, wanted = tuple(weight.shape), (vocabulary.n_indices, self.dim)
                raise DataError(f"tensor {prefix + 'weight'!r} has shape {shape}, where the module makes it {wanted}")
            self._take(vocabulary, weight if local_metadata.get("assign_to_params_buffers") else self.weight)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    # ------------------------------------------------------------------ forward
    def forward(self, indices: Tensor) -> Tensor:
        """Embed rows.

        Parameters
        ----------
        indices : Tensor of int32 or int64, shape (n_rows, n_features[, depth])
            From a `TokenDataset`, or `indices`.

        Returns
        -------
        Tensor, shape (n_rows, n_features, dim), or (n_rows, dim) if mode is "sum"

        Raises
        ------
        DataError
            If there are no rows, or they have other columns than the vocabulary.
        """
        self._check(indices)
        table = self._table()
        if self.mode == "sum":
            return functional.embedding_bag(indices.flatten(1), table, mode="sum", sparse=self.sparse)
        if indices.ndim == 2:
            return functional.embedding(indices, table, sparse=self.sparse)
        bags = functional.embedding_bag(indices.flatten(0, 1), table, mode="sum", sparse=self.sparse)
        return bags.view(*indices.shape[:2], self.dim)

    def _check(self, indices: Tensor) -> None:
        if self.vocabulary is None:
            raise DataError("the embedding has no vocabulary yet", hint="load a state_dict first")
        if not isinstance(indices, Tensor) or indices.is_floating_point():
            raise DataError("rows are tensors of whole numbers", hint="pass embedding.indices(tokens)")
        wanted = self.vocabulary.shape
        if tuple(indices.shape[1:]) != wanted:
            raise DataError(f"rows of indices of shape {tuple(indices.shape[1:])}, where the vocabulary has {wanted}")
        if indices.shape[0] == 0:  # len() would bind torch.export to one number of rows
            raise DataError("a batch without rows", hint="leave empty batches out")

    def _table(self) -> Tensor:
        """Return a vector for every index: with laws first those of reports, then those of true values."""
        if self._mixture is None:
            return self.weight
        vectors = torch.bmm(self._mixture, self.weight[self._slots])
        return vectors.flatten(0, 1)[self._places]


def _layout(vocabulary: Vocabulary) -> tuple[Tensor, Tensor]:
    """Return how columns of different lengths are padded to one, and where their vectors are among the padded ones.

    The first has shape (n_columns, n_slots) and names rows of the table. The second, (2 * n_indices,), names vectors:
    those of reports, then those of true values.
    """
    sizes, starts = (np.array(numbers)[:, None] for numbers in (vocabulary.sizes, vocabulary.starts))
    n_slots = int(sizes.max())
    slot = np.arange(n_slots)
    used = slot < sizes
    padded = 2 * n_slots * np.arange(len(sizes))[:, None] + slot
    places = np.concatenate([padded[used], n_slots + padded[used]])
    return torch.from_numpy(np.where(used, starts + slot, 0)), torch.from_numpy(places)
