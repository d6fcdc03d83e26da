"""Similarities of token paths, for support vector machines and nearest neighbors."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from hashcomb.distance import comb_distance, comb_kernel
from hashcomb.errors import SpecError
from hashcomb.integrations.sklearn.tokens import read_tokens, tag_tokens

__all__ = ("CombKernel",)


class CombKernel(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Give each row its similarity to, or distance from, every row of `fit`; no Key is needed.

    Put it before an estimator with ``kernel="precomputed"`` or, with ``output="distance"``, one with
    ``metric="precomputed"``.

    Parameters
    ----------
    output : {"kernel", "distance"}
        Similarities, or distances.
    gamma : float, optional
        The kernel is ``exp(-gamma * distance)``; without it, ``1 - distance``, which is linear in the one-hot
        columns of all levels.
    weights : array_like of float, shape (depth,), optional
        Weight of each level, the coarsest first; all equal by default.
    depth : int, optional
        Levels of a path, where paths stand side by side in a plain table; otherwise the tokens say it.

    Attributes
    ----------
    tokens_ : ndarray of uint64, shape (n_rows, n_columns)
        The rows of `fit`.
    header_ : TokenHeader or None
        What is public about them.
    n_levels_ : int
        Levels of a path.
    n_features_in_ : int
        Number of token columns seen by `fit`.
    feature_names_in_ : ndarray of str
        Their names, where they all are text.

    Notes
    -----
    The kernel is positive semi-definite; `hashcomb.distance.comb_kernel` says why. Of randomized tokens it
    compares reports, not values.

    Privacy: the fitted estimator, and its pickle, hold the tokens of all rows of `fit`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> paths = np.array([[[7, 70]], [[7, 71]], [[9, 90]], [[9, 91]]], dtype=np.uint64)
    >>> model = make_pipeline(CombKernel(), SVC(kernel="precomputed")).fit(paths, [0, 0, 1, 1])
    >>> model.predict(paths).tolist()
    [0, 0, 1, 1]
    """

    def __init__(
        self,
        *,
        output: Literal["kernel", "distance"] = "kernel",
        gamma: float | None = None,
        weights: ArrayLike | None = None,
        depth: int | None = None,
    ) -> None:
        self.output = output
        self.gamma = gamma
        self.weights = weights
        self.depth = depth

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002 scikit-learn passes it
        """Keep the rows that others are compared with.

        Parameters
        ----------
        X : TokenArray, array_like or data frame
            Tokens of shape (n_rows, n_features, depth), or of one level (n_rows, n_columns).
        y : None
            Ignored.

        Returns
        -------
        CombKernel
            Itself.

        Raises
        ------
        DataError
            If `X` holds no tokens.
        SpecError
            If a parameter cannot be.
        """
        if self.output not in ("kernel", "distance"):
            raise SpecError("must be 'kernel' or 'distance'", path="output")
        self.tokens_ = read_tokens(self, X, reset=True, depth=self.depth)
        self._compare(self.tokens_[:1])  # refuses what transform would refuse
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Compare rows with those of `fit`.

        Parameters
        ----------
        X : TokenArray, array_like or data frame
            Tokens of the same columns as in `fit`.

        Returns
        -------
        ndarray of float64, shape (n_rows, n_rows_of_fit)
            The kernel, or the distance.

        Raises
        ------
        DataError
            If `X` holds no tokens, or no paths.
        FingerprintError
            If the tokens were made under another Spec, Key or salt.
        """
        check_is_fitted(self, "tokens_")
        return self._compare(read_tokens(self, X, reset=False))

    def _compare(self, tokens: NDArray[np.uint64]) -> NDArray[np.float64]:
        rows, fitted = (part.reshape(len(part), -1, self.n_levels_) for part in (tokens, self.tokens_))
        if self.output == "distance":
            return comb_distance(rows, fitted, weights=self.weights)
        return comb_kernel(rows, fitted, gamma=self.gamma, weights=self.weights)

    @property
    def _n_features_out(self) -> int:
        """Number of columns, which scikit-learn names ``combkernel0``, ``combkernel1``, ..."""
        return len(self.tokens_)

    def __sklearn_tags__(self) -> Any:
        tags = tag_tokens(super().__sklearn_tags__())
        tags.transformer_tags.preserves_dtype = ["float64"]
        return tags
