"""What is trained, on raw rows and on tokens."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder

__all__ = ("MODELS", "FirstSeen", "on_raw", "on_tokens")

MODELS = ("logistic regression", "random forest", "neural network")


class FirstSeen(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Number the tokens of a column in the order in which they first occur; unseen ones are -1.

    Tokens change with every Key. Their order of occurrence does not, so training on these numbers is repeatable.
    """

    def fit(self, X: NDArray[Any], y: Any = None) -> Self:  # noqa: ARG002 scikit-learn passes it
        """Learn the tokens of `X`, shape (n_rows, n_features)."""
        self.order_ = [{token: i for i, token in enumerate(dict.fromkeys(column.tolist()))} for column in X.T]
        return self

    def transform(self, X: NDArray[Any]) -> NDArray[np.int64]:
        """Return the numbers, shape (n_rows, n_features)."""
        columns = zip(self.order_, X.T, strict=True)
        return np.array([[order.get(token, -1) for token in column.tolist()] for order, column in columns]).T


def on_raw(model: str, n_rows: int, seed: int) -> Any:
    """Return a model for raw features."""
    if model == "random forest":
        return _estimator(model, n_rows, seed)
    return make_pipeline(StandardScaler(), _estimator(model, n_rows, seed))


def on_tokens(model: str, n_rows: int, seed: int) -> Any:
    """Return a model for tokens: it sees which are equal, and the labels, and nothing else.

    Every token becomes the mean label of its rows (target encoding, cross-fitted); for all but the network a
    one-hot column as well.
    """
    target = make_pipeline(TargetEncoder(random_state=seed), StandardScaler())
    onehot = OneHotEncoder(handle_unknown="ignore")
    features = target if model == "neural network" else make_union(target, onehot)
    return make_pipeline(FirstSeen(), features, _estimator(model, n_rows, seed))


def _estimator(model: str, n_rows: int, seed: int) -> Any:
    if model == "logistic regression":
        return LogisticRegression(max_iter=2000)
    if model == "random forest":
        return RandomForestClassifier(200, random_state=seed, n_jobs=-1)
    # Early stopping takes a tenth of the rows away, which a small table cannot spare.
    return MLPClassifier((32,), alpha=0.01, max_iter=200, early_stopping=n_rows > 2000, random_state=seed)
