"""The models that clients train, in NumPy: logistic regression and a small network; and the rows of each client."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer

__all__ = ("MODELS", "N_CLIENTS", "Rows", "accuracy", "initial", "rows_of", "train")

Arrays = dict[str, NDArray[Any]]

MODELS = ("logistic", "network")
N_CLIENTS = 10
_HIDDEN = 16
_EPOCHS = 3
_BATCH = 32
_RATE = {"logistic": 0.1, "network": 0.1}
_DECAY = 1e-3


class Rows(NamedTuple):
    """The rows of one client: four fifths to train on, the others held out."""

    X: NDArray[np.float64]
    y: NDArray[np.float64]
    X_test: NDArray[np.float64]
    y_test: NDArray[np.float64]


def rows_of(data: str, client: int, seed: int) -> Rows:
    """Return the rows of one client, split by the seed; columns as log(1 + x), standardized over all training rows."""
    return _all_rows(data, seed)[client]


@functools.cache
def _all_rows(data: str, seed: int) -> list[Rows]:
    rng = np.random.default_rng(seed)
    parts = []
    for X, y in _tables(data):
        order = rng.permutation(len(X))
        cut = len(X) * 4 // 5
        parts.append((np.log1p(X - X.min(initial=0.0)), y, order[:cut], order[cut:]))
    pooled = np.concatenate([X[kept] for X, _, kept, _ in parts])
    mean, spread = pooled.mean(axis=0), pooled.std(axis=0) + 1e-9
    scaled = [(np.clip((X - mean) / spread, -5, 5), y, kept, held) for X, y, kept, held in parts]
    return [Rows(X[kept], y[kept], X[held], y[held]) for X, y, kept, held in scaled]


@functools.cache
def _tables(data: str) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    if data:
        files = sorted(Path(data).glob("owner-*.csv"))[:N_CLIENTS]
        tables = [np.loadtxt(file, delimiter=",", skiprows=1) for file in files]
        return [(table[:, :-1], table[:, -1]) for table in tables]
    X, y = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    return [(X[part], y[part].astype(float)) for part in np.array_split(order, N_CLIENTS)]


def initial(model: str, n_features: int) -> Arrays:
    """Return the public initial model."""
    if model == "logistic":
        return {"w": np.zeros(n_features, dtype=np.float32), "b": np.zeros(1, dtype=np.float32)}
    rng = np.random.default_rng(0)
    first = rng.normal(size=(n_features, _HIDDEN)) / np.sqrt(n_features)
    return {
        "w1": first.astype(np.float32),
        "b1": np.zeros(_HIDDEN, dtype=np.float32),
        "w2": (rng.normal(size=_HIDDEN) / np.sqrt(_HIDDEN)).astype(np.float32),
        "b2": np.zeros(1, dtype=np.float32),
    }


def _forward(arrays: Arrays, X: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    if "w" in arrays:
        return X, X @ arrays["w"] + arrays["b"]
    hidden = np.maximum(X @ arrays["w1"] + arrays["b1"], 0)
    return hidden, hidden @ arrays["w2"] + arrays["b2"]


def train(arrays: Arrays, rows: Rows, seed: int) -> Arrays:
    """Return the model after some epochs of gradient descent on small batches."""
    arrays = {name: array.astype(np.float64) for name, array in arrays.items()}
    rate = _RATE["logistic" if "w" in arrays else "network"]
    rng = np.random.default_rng(seed)
    for _ in range(_EPOCHS):
        order = rng.permutation(len(rows.X))
        for batch in np.array_split(order, max(1, len(order) // _BATCH)):
            for name, slope in _slopes(arrays, rows.X[batch], rows.y[batch]).items():
                arrays[name] -= rate * (slope + _DECAY * arrays[name])
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def _slopes(arrays: Arrays, X: NDArray[Any], y: NDArray[Any]) -> Arrays:
    hidden, score = _forward(arrays, X)
    error = (0.5 * (1 + np.tanh(score / 2)) - y) / len(y)
    if "w" in arrays:
        return {"w": X.T @ error, "b": error.sum(keepdims=True)}
    back = np.outer(error, arrays["w2"]) * (hidden > 0)
    return {"w1": X.T @ back, "b1": back.sum(axis=0), "w2": hidden.T @ error, "b2": error.sum(keepdims=True)}


def accuracy(arrays: Arrays, rows: Rows) -> float:
    """Return the part of held-out rows that the model names rightly."""
    return float(((_forward(arrays, rows.X_test)[1] > 0) == rows.y_test).mean())
