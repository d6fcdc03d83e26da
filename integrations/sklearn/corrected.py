"""What classifiers that undo the channel of randomized tokens have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d

from hashcomb.errors import DataError, SpecError
from hashcomb.header import header_of
from hashcomb.integrations.sklearn.tokens import read_tokens, tag_tokens
from hashcomb.laws import TokenLaws, laws_of
from hashcomb.moments import Ints, TokenNumbers

__all__ = ("ChannelClassifier", "Scores", "is_clean")

Array = NDArray[Any]
Floats = NDArray[np.float64]


class Scores(NamedTuple):
    """What each token adds to the score of each class.

    Parameters
    ----------
    tables : sequence of ndarray, shape (n_tokens + 1, n_classes)
        One for each column; last, for what tells nothing.
    intercept : ndarray, shape (n_classes,)
        Score of a record without any token.
    """

    tables: Sequence[Floats]
    intercept: Floats

    def of(self, numbers: Ints) -> Floats:
        """Return the scores of rows, shape (n_rows, n_classes)."""
        total = np.repeat(self.intercept[None], len(numbers), axis=0)
        for table, own in zip(self.tables, numbers.T, strict=True):
            total += table[own]
        return total


class ChannelClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Train on tokens through the laws of their channel; score reports and tokens of true values each in their way."""

    laws: TokenLaws | None
    handle_unknown: Literal["ignore", "error"]

    # ------------------------------------------------------------------ what a learner says
    @abstractmethod
    def _begin(self) -> None:
        """Make room for the sums over records; ``self.laws_`` and ``self.classes_`` are set."""

    @abstractmethod
    def _add(self, numbers: Ints, classes: Ints, weights: Floats) -> None:
        """Add records to the sums."""

    @abstractmethod
    def _solve(self) -> tuple[Scores, Scores]:
        """Return the scores of true values and of reports, from the sums."""

    # ------------------------------------------------------------------ fit
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn from tokens and labels.

        Parameters
        ----------
        X : TokenArray, array_like or data frame, shape (n_rows, n_columns)
            Leaf tokens, as `HashComb.encode` gives them. The channel is read off their header; without one (polars
            frames and `numpy.asarray` drop it) they are taken for those of true values unless there are `laws`.
        y : array_like, shape (n_rows,)
            Labels.
        sample_weight : array_like, shape (n_rows,), optional
            Weight of each record: how many it counts for.

        Returns
        -------
        self

        Raises
        ------
        ChannelError
            If the channel cannot be undone, or `laws` must be given; the message names the column.
        DataError
            If `X` holds no tokens, or ones that the laws do not know, or there is a single class.
        FingerprintError
            If the laws are those of another Spec, Key or salt.
        SpecError
            If a parameter cannot be, or the tokens are paths.
        """
        return self._start(X, y, sample_weight, None)

    def partial_fit(
        self, X: Any, y: ArrayLike, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Learn from a batch of tokens and labels, besides those seen before: the sums of batches add up.

        Parameters
        ----------
        X : TokenArray, array_like or data frame, shape (n_rows, n_columns)
            As for `fit`. Without `laws`, the tokens of the first batch are taken for all that there are.
        y : array_like, shape (n_rows,)
            Labels.
        classes : array_like, shape (n_classes,), optional
            All labels, two at least; needed in the first call, and the same in others.
        sample_weight : array_like, shape (n_rows,), optional
            Weight of each record: how many it counts for.

        Returns
        -------
        self

        Raises
        ------
        ChannelError, FingerprintError
            As `fit`.
        DataError
            As `fit`; also if there are labels that `classes` does not list.
        SpecError
            As `fit`; also if `classes` are missing in the first call, or others than then.
        """
        listed = None if classes is None else unique_labels(np.asarray(classes))
        if self.__sklearn_is_fitted__():
            if listed is not None and not np.array_equal(listed, self.classes_):
                raise SpecError("are not those of the first call", path="classes", hint="list all labels there")
            tokens = self._read(X, reset=False)
            self._check_kind(X)
            return self._learn(*_weighed(tokens, y, sample_weight))
        if listed is None:
            raise SpecError("is needed in the first call", path="classes", hint="list all labels")
        return self._start(X, y, sample_weight, listed)

    def _start(self, X: Any, y: Any, sample_weight: Any, classes: Array | None) -> Self:
        """Learn from the first records; the classes are theirs unless they are given."""
        self.__dict__.pop("_clean", None)  # whatever fails below leaves an estimator that is not fitted
        if self.handle_unknown not in ("error", "ignore"):
            raise SpecError("must be 'error' or 'ignore'", path="handle_unknown")
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        tokens, labels, weights = _weighed(self._read(X, reset=True), y, sample_weight)
        self.laws_ = self._laws(tokens)
        self._check_kind(X)
        self.classes_ = unique_labels(labels) if classes is None else classes
        if len(self.classes_) < 2:
            raise DataError("all labels are of one class; at least two are needed")
        self._begin()
        return self._learn(tokens, labels, weights)

    def _check_kind(self, X: Any) -> None:
        """Refuse tokens of true values beside the laws of reports."""
        if self.header_ is not None and is_clean(X) and any(law.randomized for law in self.laws_):
            hint = "train on what encode gives; for tokens of encode_clean leave laws out"
            raise DataError("tokens without their channel, where the laws are those of reports", hint=hint)

    def _read(self, X: Any, *, reset: bool) -> Array:
        tokens = read_tokens(self, X, reset=reset)
        if self.n_levels_ != 1:
            raise SpecError("are paths", path="tokens", hint="encode with tokens='leaf'")
        return tokens

    def _check_order(self) -> None:
        """Refuse some columns of a table, or all in another order: laws belong to columns by their place."""
        found = tuple(getattr(self, "feature_names_in_", ()))
        if self.header_ is not None and found != self.header_.columns and {*found} & {*self.header_.columns}:
            hint = "pass all columns in the order of encode; for fewer features, encode those alone"
            raise DataError("columns of tokens are missing, or in another order", hint=hint)

    def _laws(self, tokens: Array) -> TokenLaws:
        self._check_order()
        if self.laws is None:
            return laws_of(tokens, self.header_)
        if not isinstance(self.laws, TokenLaws):
            raise SpecError("must be TokenLaws", path="laws", hint="pass what HashComb.laws() or laws_of(tokens) gave")
        if self.header_ is not None:
            self.header_.require_same(self.laws.header, "the laws")
        if len(self.laws) != tokens.shape[1]:
            raise DataError(f"{tokens.shape[1]} columns of tokens, where there are {len(self.laws)} laws")
        return self.laws

    def _learn(self, tokens: Array, labels: Array, weights: Floats) -> Self:
        places = np.searchsorted(self.classes_, labels).clip(max=len(self.classes_) - 1)
        if (self.classes_[places] != labels).any():
            raise DataError("there are labels that classes does not list", hint="list all labels in the first call")
        self._add(self._numbered(tokens, clean=False), places, weights)
        self._clean, self._noisy = self._solve()
        return self

    def _numbered(self, tokens: Array, *, clean: bool) -> Ints:
        return TokenNumbers(self.laws_).number(tokens, clean=clean, strict=self.handle_unknown == "error")

    # ------------------------------------------------------------------ predict
    def decision_function(self, X: Any) -> Floats:
        """Return the scores of rows.

        Parameters
        ----------
        X : TokenArray, array_like or data frame, shape (n_rows, n_columns)
            Tokens of true values (`HashComb.encode_clean`) or reports (`HashComb.encode`): their header tells. Without
            a header they are taken for those of true values.

        Returns
        -------
        ndarray, shape (n_rows,) or (n_rows, n_classes)
            Log-odds of the second class where there are two; else the log-probability of each class, up to a number
            for each row.

        Raises
        ------
        DataError
            If `X` holds no tokens, or ones that `fit` did not see where that is an error.
        FingerprintError
            If the tokens were made under another Spec, Key or salt.
        """
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X: Any) -> Array:
        """Return the most likely class of rows.

        Parameters
        ----------
        X : TokenArray, array_like or data frame, shape (n_rows, n_columns)
            As for `decision_function`, which also says what it raises.

        Returns
        -------
        ndarray, shape (n_rows,)
            Labels.
        """
        best = self._scores(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def predict_proba(self, X: Any) -> Floats:
        """Return the probability of each class.

        Parameters
        ----------
        X : TokenArray, array_like or data frame, shape (n_rows, n_columns)
            As for `decision_function`, which also says what it raises.

        Returns
        -------
        ndarray, shape (n_rows, n_classes)
            In the order of ``classes_``.
        """
        return np.asarray(softmax(self._scores(X), axis=1))

    def predict_log_proba(self, X: Any) -> Floats:
        """Return the logarithms of `predict_proba`.

        Parameters
        ----------
        X : TokenArray, array_like or data frame, shape (n_rows, n_columns)
            As for `decision_function`, which also says what it raises.

        Returns
        -------
        ndarray, shape (n_rows, n_classes)
            In the order of ``classes_``.
        """
        return np.asarray(log_softmax(self._scores(X), axis=1))

    def _scores(self, X: Any) -> Floats:
        check_is_fitted(self)
        clean = is_clean(X)
        numbers = self._numbered(self._read(X, reset=False), clean=clean)
        return (self._clean if clean else self._noisy).of(numbers)

    # ------------------------------------------------------------------ what scikit-learn asks
    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_clean")

    def __sklearn_tags__(self) -> Any:
        return tag_tokens(super().__sklearn_tags__())


def is_clean(X: Any) -> bool:
    """Return whether tokens are those of true values: their header names no channel, or there is none."""
    header = header_of(X)
    return header is None or header.channel is None


def _weighed(tokens: Array, y: Any, sample_weight: Any) -> tuple[Array, Array, Floats]:
    """Return the records of any weight: tokens, labels, weights."""
    labels = np.asarray(column_or_1d(y, warn=True))
    assert_all_finite(labels, input_name="y")
    check_classification_targets(labels)
    if len(labels) != len(tokens):
        raise DataError(f"{len(tokens)} rows of tokens, but {len(labels)} labels")
    weights = _check_sample_weight(sample_weight, tokens, dtype=np.float64, ensure_non_negative=True)
    some = weights > 0
    return tokens[some], labels[some], weights[some]
