"""One-hot columns of tokens, for a trainer who has no Key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from hashcomb.columns import refuse_where
from hashcomb.errors import DataError, SpecError
from hashcomb.integrations.sklearn.lookup import TokenLookup
from hashcomb.integrations.sklearn.tokens import column_names, read_tokens, tag_tokens

__all__ = ("TokenOneHot",)


class TokenOneHot(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn tokens into sparse one-hot columns; no Key is needed.

    Parameters
    ----------
    levels : {"all", "leaf"}, int or sequence of int
        Which levels of a path to take: all, the finest, or those of these numbers (1 is the coarsest). Of tokens
        of one level there is nothing to choose.
    handle_unknown : {"ignore", "error", "infrequent_if_exist"}
        What becomes of tokens that `fit` did not see, as in scikit-learn's OneHotEncoder: no entry, an error, or
        the column of infrequent tokens where there is one.
    min_frequency : int or float, optional
        Tokens of fewer rows of `fit` (a share of them, if below 1) get one column together for each token column.
    depth : int, optional
        Levels of a path, where paths stand side by side in a plain table; otherwise the tokens say it.
    sparse_output : bool
        Whether to return a sparse matrix.
    dtype : data type
        Of the entries.

    Attributes
    ----------
    tokens_ : list of ndarray of uint64
        The tokens with columns of their own, for each token column in use, ascending: an order that the Key makes,
        and that tells nothing of the order of values.
    header_ : TokenHeader or None
        What is public about the tokens of `fit`.
    n_levels_ : int
        Levels of a path.
    n_features_in_ : int
        Number of token columns seen by `fit`.
    feature_names_in_ : ndarray of str
        Their names, where they all are text.

    Notes
    -----
    Privacy: columns are named after tokens; whoever sees the model sees as much as whoever saw the tokens.

    Examples
    --------
    >>> import numpy as np
    >>> tokens = np.array([[7, 30], [9, 30], [7, 20]], dtype=np.uint64)
    >>> onehot = TokenOneHot().fit(tokens)
    >>> onehot.transform(tokens).toarray()
    array([[1., 0., 0., 1.],
           [0., 1., 0., 1.],
           [1., 0., 1., 0.]])
    >>> onehot.transform(np.array([[7, 99]], dtype=np.uint64)).toarray()
    array([[1., 0., 0., 0.]])
    """

    def __init__(
        self,
        *,
        levels: Literal["all", "leaf"] | int | Sequence[int] = "all",
        handle_unknown: Literal["ignore", "error", "infrequent_if_exist"] = "ignore",
        min_frequency: float | None = None,
        depth: int | None = None,
        sparse_output: bool = True,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.levels = levels
        self.handle_unknown = handle_unknown
        self.min_frequency = min_frequency
        self.depth = depth
        self.sparse_output = sparse_output
        self.dtype = dtype

    # ------------------------------------------------------------------ fit
    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002 scikit-learn passes it
        """Learn which tokens there are.

        Parameters
        ----------
        X : TokenArray, array_like or data frame
            Tokens of shape (n_rows, n_columns) or (n_rows, n_features, depth), as `HashComb.encode` gives them.
        y : None
            Ignored.

        Returns
        -------
        TokenOneHot
            Itself.

        Raises
        ------
        DataError
            If `X` holds no tokens.
        SpecError
            If a parameter cannot be.
        """
        if self.handle_unknown not in ("ignore", "error", "infrequent_if_exist"):
            raise SpecError("must be 'ignore', 'error' or 'infrequent_if_exist'", path="handle_unknown")
        tokens = read_tokens(self, X, reset=True, depth=self.depth)
        self._columns = self._chosen_columns()
        least = self._least_rows(len(tokens))
        counted = [np.unique(tokens[:, column], return_counts=True) for column in self._columns]
        self.tokens_ = [seen[counts >= least] for seen, counts in counted]
        rare = [seen[counts < least] for seen, counts in counted]
        sizes = [len(own) + bool(len(others)) for own, others in zip(self.tokens_, rare, strict=True)]
        ends = np.cumsum(sizes)
        self._starts, self._n_columns_out = ends - sizes, int(ends[-1])
        self._rare = np.where([len(others) > 0 for others in rare], ends - 1, -1).astype(np.int32)
        self._lookup = TokenLookup(
            [np.concatenate(pair) for pair in zip(self.tokens_, rare, strict=True)],
            [
                np.concatenate([start + np.arange(len(own)), np.full(len(others), end - 1)])
                for own, others, start, end in zip(self.tokens_, rare, self._starts, ends, strict=True)
            ],
        )
        return self

    def _chosen_columns(self) -> NDArray[np.int64]:
        every = range(1, self.n_levels_ + 1)
        named = {"all": every, "leaf": every[-1:]}
        chosen = named.get(self.levels) if isinstance(self.levels, str) else list(np.atleast_1d(self.levels))
        if not chosen or any(level not in every for level in chosen):
            raise SpecError(f"must be 'all', 'leaf' or levels from 1 to {self.n_levels_}", path="levels")
        return np.flatnonzero(np.isin(np.arange(self.n_features_in_) % self.n_levels_ + 1, list(chosen)))

    def _least_rows(self, n_rows: int) -> float:
        """Return how many rows a token must have for a column of its own."""
        least = self.min_frequency
        if least is None:
            return 1
        if not least > 0:
            raise SpecError("must be a number of rows, or a share of them", path="min_frequency")
        return least if least >= 1 else least * n_rows

    # ------------------------------------------------------------------ transform
    def transform(self, X: Any) -> Any:
        """Give every token its column.

        Parameters
        ----------
        X : TokenArray, array_like or data frame
            Tokens of the same columns as in `fit`.

        Returns
        -------
        csr_matrix or ndarray of shape (n_rows, n_columns_out)
            1 where a row has the token of a column.

        Raises
        ------
        DataError
            If `X` holds no tokens, or, if so asked, one that `fit` did not see.
        FingerprintError
            If the tokens were made under another Spec, Key or salt.
        """
        check_is_fitted(self, "tokens_")
        tokens = read_tokens(self, X, reset=False)
        if len(self._columns) < tokens.shape[1]:
            tokens = np.ascontiguousarray(tokens[:, self._columns])
        places = self._lookup.find(tokens)
        unseen = places < 0
        if unseen.any():
            places, unseen = self._place_unseen(places, unseen)
        starts = np.arange(0, places.size + 1, places.shape[1])
        if unseen.any():
            starts = np.concatenate([[0], np.cumsum((~unseen).sum(axis=1))])
            places = places[~unseen]
        ones = np.ones(places.size, dtype=self.dtype)
        onehot = csr_matrix((ones, places.reshape(-1), starts), shape=(len(tokens), self._n_columns_out))
        return onehot if self.sparse_output else onehot.toarray()

    def _place_unseen(self, places: Any, unseen: Any) -> tuple[Any, Any]:
        names = self._names()
        if self.handle_unknown == "error":
            hint = "fit on more rows, or set handle_unknown='ignore'"
            refuse_where(unseen, names, "a token that fit did not see", hint)
        if self.handle_unknown == "infrequent_if_exist":
            places = np.where(unseen, self._rare, places)
        return places, places < 0

    def inverse_transform(self, X: ArrayLike) -> NDArray[np.uint64]:
        """Return the tokens that one-hot rows stand for.

        Parameters
        ----------
        X : csr_matrix or array_like of shape (n_rows, n_columns_out)
            What `transform` gave.

        Returns
        -------
        ndarray of uint64, shape (n_rows, n_columns)
            Tokens of the chosen levels, those of a feature side by side.

        Raises
        ------
        DataError
            If a row has not one entry for each token column, as where a token was unseen, or has one in a column
            of infrequent tokens.
        """
        check_is_fitted(self, "tokens_")
        given = csr_matrix(X, copy=True)
        given.eliminate_zeros()
        n_columns = len(self._columns)
        columns, rows = given.sorted_indices().indices, given.shape[0]
        if given.shape[1] != self._n_columns_out or (np.diff(given.indptr) != n_columns).any():
            raise DataError("no one-hot rows of known tokens: each has one entry for every token column")
        columns = columns.reshape(rows, n_columns)
        within = columns - self._starts
        sizes = np.array([len(own) for own in self.tokens_])
        problem, hint = "an infrequent token, or not one entry", "unseen and infrequent tokens cannot be told apart"
        refuse_where((within < 0) | (within >= sizes), self._names(), problem, hint)
        return np.stack([own[within[:, j]] for j, own in enumerate(self.tokens_)], axis=1)

    # ------------------------------------------------------------------ what scikit-learn asks
    def _names(self, input_features: Any = None) -> list[str]:
        names = column_names(self, input_features)
        return [names[column] for column in self._columns]

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the columns that `transform` gives.

        Parameters
        ----------
        input_features : array_like of str, optional
            Names of the token columns; those seen by `fit`, or those of the header, by default.

        Returns
        -------
        ndarray of str
            ``column_token``, the token as 16 hexadecimal digits, and ``column_infrequent``.
        """
        check_is_fitted(self, "tokens_")
        names = []
        for name, own, rare in zip(self._names(input_features), self.tokens_, self._rare, strict=True):
            names += [f"{name}_{token:016x}" for token in own.tolist()]
            names += [f"{name}_infrequent"] if rare >= 0 else []
        return np.asarray(names, dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = tag_tokens(super().__sklearn_tags__())
        tags.transformer_tags.preserves_dtype = []
        return tags
