"""What transformers have in common that learn numbers for the tokens of each column."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from hashcomb.columns import refuse_where
from hashcomb.errors import SpecError
from hashcomb.integrations.sklearn.lookup import TokenLookup
from hashcomb.integrations.sklearn.tokens import column_names, read_tokens, tag_tokens

__all__ = ("NumberedTokens",)

Floats = NDArray[np.float64]


class NumberedTokens(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Put numbers in the place of tokens, zeros for unseen ones; a subclass learns ``numbers_`` in `fit`."""

    handle_unknown: Literal["ignore", "error"]
    numbers_: list[Floats]

    @abstractmethod
    def _endings(self) -> Sequence[str]:
        """Return what stands behind the name of a column in the names of its numbers."""

    def _begin(self, X: Any) -> NDArray[np.int32]:
        """Learn which tokens there are, and return the place of each in ``tokens_``, shape (n_columns, n_rows)."""
        if self.handle_unknown not in ("ignore", "error"):
            raise SpecError("must be 'ignore' or 'error'", path="handle_unknown")
        tokens = read_tokens(self, X, reset=True)
        self.tokens_ = [np.unique(column) for column in tokens.T]
        self._lookup = TokenLookup(self.tokens_, [np.arange(len(own)) for own in self.tokens_])
        return np.ascontiguousarray(self._lookup.find(tokens).T)

    def transform(self, X: Any) -> Floats:
        """Give every token its numbers.

        Parameters
        ----------
        X : TokenArray, array_like or data frame
            Tokens of the same columns as in `fit`.

        Returns
        -------
        ndarray of float64, shape (n_rows, n_columns * n_numbers)
            The numbers of a column side by side.

        Raises
        ------
        DataError
            If `X` holds no tokens, or, if so asked, one that `fit` did not see.
        FingerprintError
            If the tokens were made under another Spec, Key or salt.
        """
        check_is_fitted(self, "numbers_")
        places = self._lookup.find(read_tokens(self, X, reset=False))
        if self.handle_unknown == "error":
            hint = "fit on more rows, or set handle_unknown='ignore'"
            refuse_where(places < 0, column_names(self), "a token that fit did not see", hint)
        out = np.empty((*places.shape, self.numbers_[0].shape[1]))
        for column, numbers in enumerate(self.numbers_):
            last = np.zeros((1, numbers.shape[1]))  # where the place -1 of unseen tokens leads
            out[:, column] = np.concatenate([numbers, last])[places[:, column]]
        return out.reshape(len(out), -1)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the columns that `transform` gives.

        Parameters
        ----------
        input_features : array_like of str, optional
            Names of the token columns; those seen by `fit`, or those of the header, by default.

        Returns
        -------
        ndarray of str
            The name of a token column, and behind it which of its numbers it is where it has several.
        """
        check_is_fitted(self, "numbers_")
        names = column_names(self, input_features)
        return np.asarray([name + ending for name in names for ending in self._endings()], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = tag_tokens(super().__sklearn_tags__())
        tags.transformer_tags.preserves_dtype = ["float64"]
        return tags
