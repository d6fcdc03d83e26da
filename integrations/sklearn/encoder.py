"""scikit-learn: the encoder as a transformer."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any, Literal, Self

import narwhals.stable.v2 as nw
import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from hashcomb import Categorical, Channel, Comb, HashComb, Key, Spec, learn_spec, place
from hashcomb.columns import frame_like, named_columns, numbers_of
from hashcomb.errors import DataError, SpecError
from hashcomb.integrations.sklearn.tables import (
    objects_of,
    order_of,
    refuse_dates,
    refuse_infinite,
    refuse_missing,
    without_values,
)

__all__ = ("HashCombEncoder",)

Output = Literal["tokens", "rank", "mean", "onehot"]


class HashCombEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Encode columns to tokens, or to what a key holder may learn from: ranks, means, one-hot columns.

    Parameters
    ----------
    spec : Spec, optional
        An agreed Spec. Without one, `fit` learns it from the data and warns that it did; the parameters
        from `depth` to `channel` are used then, and only then.
    key : Key, optional
        The agreed Key. Without one, all encoders of this process share a random one that is never stored:
        tokens then mean nothing outside the process.
    output : {"tokens", "rank", "mean", "onehot"}
        uint64 (or uint32) tokens; ``leaf / (2**depth - 1)``; the mean of the leaf; or a sparse matrix with a
        column for every token, in the order of tokens, which tells nothing of the order of values. Ranks and
        means do not go with a channel: they are those of the true leaves.
    depth : int
        Levels of the comb.
    edges : {"quantile", "uniform"}
        Leaves of equal mass or of equal width.
    margin : float
        Enlarge every range by this part of its width.
    categorical : sequence of str
        Names of categorical columns of a data frame (``x0``, ``x1``, ... for an array).
    outside : {"clip", "error"}
        What to do with finite values outside the range.
    missing : {"error", "token"}
        Refuse NaN, or give it a token of its own.
    unknown : {"error", "token"}
        Refuse new categories, or give them a token of their own.
    hash : {"blake2b", "siphash", "xxh3"}
        Keyed hash family.
    token_bits : {64, 32}
        Width of a token.
    tokens : {"leaf", "comb"} or int
        Leaf, all levels (coarsest first, ``depth`` columns a feature), or one level.
    channel : Channel, optional
        Randomizer of leaves. `transform` then gives fresh reports at each call.
    dataset : str
        Name of the data set, a public salt.
    round : int
        Number of the round, a public salt.

    Attributes
    ----------
    spec_ : Spec
        The Spec in use.
    key_ : Key
        The Key in use. It is pickled with the estimator.
    n_features_in_ : int
        Number of columns seen by `fit`.
    feature_names_in_ : ndarray of str
        Their names, where they all are text.

    Notes
    -----
    Privacy: tokens may leave the owner; without a channel they have no differential privacy
    (``hashcomb.PrivacyReport.of(encoder.spec_)`` says what holds). Ranks and means are for the owner. A
    pickle of a fitted encoder contains the Key.

    Examples
    --------
    >>> import warnings
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     tokens = HashCombEncoder(depth=3).fit_transform(X)
    >>> tokens.shape, tokens.dtype
    ((150, 4), dtype('uint64'))
    """

    def __init__(
        self,
        spec: Spec | None = None,
        key: Key | None = None,
        *,
        output: Output = "tokens",
        depth: int = 4,
        edges: Literal["quantile", "uniform"] = "quantile",
        margin: float = 0.0,
        categorical: Sequence[str] = (),
        outside: Literal["clip", "error"] = "clip",
        missing: Literal["error", "token"] = "error",
        unknown: Literal["error", "token"] = "error",
        hash: Literal["blake2b", "siphash", "xxh3"] = "blake2b",
        token_bits: Literal[64, 32] = 64,
        tokens: Literal["leaf", "comb"] | int = "leaf",
        channel: Channel | None = None,
        dataset: str = "",
        round: int = 0,
    ) -> None:
        self.spec = spec
        self.key = key
        self.output = output
        self.depth = depth
        self.edges = edges
        self.margin = margin
        self.categorical = categorical
        self.outside = outside
        self.missing = missing
        self.unknown = unknown
        self.hash = hash
        self.token_bits = token_bits
        self.tokens = tokens
        self.channel = channel
        self.dataset = dataset
        self.round = round

    # ------------------------------------------------------------------ fit
    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002 scikit-learn passes it
        """Learn a Spec from `X`, or check that the agreed one fits it.

        Parameters
        ----------
        X : array_like or data frame of shape (n_samples, n_features)
            The data.
        y : None
            Ignored.

        Returns
        -------
        HashCombEncoder
            Itself.

        Raises
        ------
        DataError
            If `X` has other columns than the Spec, or holds infinities or, unless allowed, missing values.
        SpecError
            If a parameter cannot be.

        Warns
        -----
        DataDependentSpecWarning
            If the Spec is learned.
        """
        if self.output not in ("tokens", "rank", "mean", "onehot"):
            raise SpecError("must be 'tokens', 'rank', 'mean' or 'onehot'", path="output")
        X = self._validate(X, reset=True)
        self.spec_ = self._learn(X) if self.spec is None else self.spec
        if self.spec_.channel is not None and self.output in ("rank", "mean"):
            problem = "ranks and means are those of the true leaves, which a channel is there to hide"
            raise SpecError(problem, path="output", hint="use tokens or onehot, or leave the channel out")
        self.key_ = self.key if self.key is not None else _process_key(os.getpid())
        self._codec = HashComb(self.spec_, self.key_, dataset=self.dataset, round=self.round)
        if self.output in ("rank", "mean"):
            self._entries = Comb(self.spec_).representatives(self.output)
        self._place(X)  # refuses what transform would refuse
        return self

    def _learn(self, X: Any) -> Spec:
        refuse_missing(X, self.missing, self._names())
        return learn_spec(
            X,
            depth=self.depth,
            edges=self.edges,
            margin=self.margin,
            names=self._names() if isinstance(X, np.ndarray) else None,
            categorical=self.categorical,
            means=self.output == "mean",
            channel=self.channel,
            outside=self.outside,
            missing=self.missing,
            unknown=self.unknown,
            hash=self.hash,
            token_bits=self.token_bits,
            tokens=self.tokens,
        )

    def _validate(self, X: Any, *, reset: bool) -> Any:
        """Check `X` as scikit-learn does, in the order of the Spec; with categories or dates, column by column."""
        refuse_dates(X, self._origins())
        mixed = self._has_categories() or bool(self._origins())
        dtype = (np.float64, np.float32)
        rules = {"skip_check_array": True} if mixed else {"dtype": dtype, "order": "C", "ensure_all_finite": False}
        refused = None
        found = named_columns(X)[1] if mixed else None  # refuses what has not two dimensions
        try:
            checked = validate_data(self, X, reset=reset, **rules)
        except ValueError as error:
            refused = str(error)
        if refused is not None:  # out here, where the error that shows values is no longer the context
            raise without_values(refused, X)
        names = self._names()
        if found is not None:
            return self._columns(found, names)
        refuse_infinite(checked, names)
        if self.spec is None or not hasattr(self, "feature_names_in_"):
            return checked
        return checked[:, order_of(names, self.spec.names)]

    def _columns(self, found: list[Any], names: list[str]) -> dict[str, Any]:
        """Return the columns by the names of the Spec: numbers, or objects where they are categories."""
        wanted = names if self.spec is None else list(self.spec.names)
        if len(found) != len(wanted) and not hasattr(self, "feature_names_in_"):
            raise DataError(f"{len(found)} columns, where the Spec has {len(wanted)}")
        order = order_of(names, wanted) if hasattr(self, "feature_names_in_") else range(len(wanted))
        columns: dict[str, Any] = {}
        for name, place_ in zip(wanted, order, strict=True):
            if name in self._categories():
                columns[name] = objects_of(found[place_])
            else:
                columns[name] = numbers_of(found[place_], name, origin=self._origins().get(name))
                refuse_infinite(columns[name], name)
        return columns

    def _categories(self) -> set[str]:
        if self.spec is None:
            return set(self.categorical)
        return {feature.name for feature in self.spec.features if isinstance(feature, Categorical)}

    def _origins(self) -> dict[str, str]:
        """Return what the dates of an agreed Spec are counted from."""
        features = () if self.spec is None else self.spec.features
        return {f.name: f.origin for f in features if not isinstance(f, Categorical) and f.origin is not None}

    def _has_categories(self) -> bool:
        return bool(self._categories())

    def _names(self) -> list[str]:
        names = getattr(self, "feature_names_in_", None)
        return [f"x{j}" for j in range(self.n_features_in_)] if names is None else list(map(str, names))

    # ------------------------------------------------------------------ transform
    def transform(self, X: Any) -> Any:
        """Encode `X`.

        Parameters
        ----------
        X : array_like or data frame of shape (n_samples, n_features)
            The data.

        Returns
        -------
        TokenArray, ndarray or csr_matrix of shape (n_samples, n_columns)
            As `output` says; with ``tokens="comb"`` the levels of a feature stand side by side.

        Raises
        ------
        DataError
            If `X` does not fit the Spec; the message names column and row, never the value.
        """
        check_is_fitted(self, "spec_")
        return self._framed(self._place(self._validate(X, reset=False)), X)

    def _framed(self, placed: Any, X: Any) -> Any:
        """Return tokens in the pandas frame that `set_output` asks for: scikit-learn's own would have no header."""
        if self.output != "tokens" or _get_output_config("transform", self)["dense"] != "pandas":
            return placed
        columns = dict(zip(self.get_feature_names_out(), np.ascontiguousarray(placed.T), strict=True))
        source = X if hasattr(X, "iloc") else nw.from_dict({"row": placed[:, 0]}, backend="pandas").to_native()
        return frame_like(source, columns, placed.header.to_json())

    def _place(self, X: Any) -> Any:
        if self.output in ("rank", "mean"):
            return place(X, self.spec_, self._entries)
        tokens = self._codec.encode(X)
        tokens = tokens.reshape(len(tokens), -1)
        return tokens if self.output == "tokens" else self._onehot(tokens)

    def _onehot(self, tokens: Any) -> csr_matrix:
        issued = self._codec.issued_tokens()
        base = np.cumsum([0, *map(len, issued)])
        columns = [np.searchsorted(known, tokens[:, j]) + base[j] for j, known in enumerate(issued)]
        indices = np.stack(columns, axis=1).astype(np.int32).ravel()
        starts = np.arange(0, indices.size + 1, tokens.shape[1], dtype=np.int32)
        return csr_matrix((np.ones(indices.size), indices, starts), shape=(len(tokens), base[-1]))

    def inverse_transform(self, X: Any) -> Any:
        """Decode to representative values: the mean of the leaf where it is known, else its center.

        Parameters
        ----------
        X : array_like or csr_matrix of shape (n_samples, n_columns)
            What `transform` gave. Ranks decode to centers, means to themselves, dates to dates but for means.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            float64; objects where there are categorical columns or dates.

        Raises
        ------
        DataError
            If a token was not issued under this Spec, Key and salt, or `X` is nothing that `transform` gives.
        """
        check_is_fitted(self, "spec_")
        if self.output in ("rank", "mean"):
            return self._from_numbers(np.asarray(X))
        X = self._from_onehot(X) if self.output == "onehot" else np.asarray(X)
        depth = (self.spec_.depth,) if self.spec_.tokens == "comb" else ()
        return self._codec.decode(np.ascontiguousarray(X).reshape(len(X), len(self.spec_.features), *depth))

    def _from_onehot(self, X: Any) -> Any:
        issued = self._codec.issued_tokens()
        known, block = np.concatenate(issued), np.repeat(np.arange(len(issued)), [len(part) for part in issued])
        X = csr_matrix(X)
        X.eliminate_zeros()
        columns = X.sorted_indices().indices
        each = np.tile(np.arange(len(issued)), X.shape[0])
        wrong = X.shape[1] != len(known) or (np.diff(X.indptr) != len(issued)).any() or (X.data != 1).any()
        if wrong or (block[columns] != each).any():
            raise DataError("no one-hot rows of this encoder: each has one entry for every token column")
        return known[columns].reshape(X.shape[0], -1)

    def _from_numbers(self, X: Any) -> Any:
        """Return what ranks or means stand for."""
        if X.ndim != 2 or X.shape[1] != len(self.spec_.features) or X.dtype.kind not in "fiu":
            raise DataError(f"a table of {len(self.spec_.features)} columns of numbers is needed")
        leaves = np.rint(X * (self.spec_.n_leaves - 1)) if self.output == "rank" else np.where(np.isnan(X), X, 0.0)
        if self.output == "mean" and not self._has_categories():
            return X
        if self.output == "mean":  # of a category, the mean is its position
            coded = np.array([isinstance(feature, Categorical) for feature in self.spec_.features])
            leaves[:, coded] = X[:, coded]
        if not ((leaves >= 0) & (leaves < self.spec_.n_leaves) | np.isnan(leaves)).all():
            raise DataError("there are numbers that this encoder does not give")
        values = self._codec.represent(np.where(np.isnan(leaves), self.spec_.n_leaves, leaves).astype(np.int32))
        if self.output == "mean":
            values[:, ~coded] = X[:, ~coded]
        return values

    # ------------------------------------------------------------------ what scikit-learn asks
    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Return the names of the columns that `transform` gives.

        Parameters
        ----------
        input_features : array_like of str, optional
            Names of the columns; those seen by `fit` by default.

        Returns
        -------
        ndarray of str
            A feature's name; ``name@level`` for all levels; ``name_token`` for one-hot columns.
        """
        check_is_fitted(self, "spec_")
        names = _check_feature_names_in(self, input_features)
        if self.spec is not None and hasattr(self, "feature_names_in_"):
            names = np.asarray(self.spec.names, dtype=object)
        if self.output in ("rank", "mean"):
            return np.asarray(names, dtype=object)
        columns = list(names)
        if self.spec_.tokens == "comb":
            columns = [f"{name}@{level}" for name in names for level in self.spec_.levels]
        if self.output == "onehot":
            issued = zip(columns, self._codec.issued_tokens(), strict=True)
            columns = [f"{name}_{token:016x}" for name, known in issued for token in known]
        return np.asarray(columns, dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        rules = self if self.spec is None else self.spec
        tags.input_tags.allow_nan = rules.missing == "token"
        tags.input_tags.categorical = tags.input_tags.string = self._has_categories()
        tags.non_deterministic = rules.channel is not None
        tags.transformer_tags.preserves_dtype = []
        return tags


@functools.cache
def _process_key(process_id: int) -> Key:
    """Return the Key of encoders that were given none: random, and the same within one process."""
    del process_id  # only tells the processes apart
    return Key.create()
