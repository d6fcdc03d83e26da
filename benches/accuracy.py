"""Accuracy preserved: models on tokens beside the same models on raw rows, over splits at random and by owner.

    python -m benches accuracy --data DIR [DIR ...] [--seeds 5] [--depth 4] [--models ...]

A trainer has tokens and labels, and no Key. Random splits hold out a quarter of all distinct rows, splits by owner
three owners of ten. Rows repeat, also between owners: each is tested once, and none that was trained on. The combs are
cut at quantiles of the rows that are trained on. Differences are paired: the same split and seed for both.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder

from hashcomb import HashComb, Key, learn_spec
from hashcomb.integrations.sklearn import TokenOneHot
from hashcomb.rows import deal_folder, held_out, load

__all__ = ("MODELS", "owners_of", "splits")

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Pair = tuple[Callable[[int], Any], Callable[[int], Any]]

AIMS = {"logistic regression": -0.5, "small network": -0.5, "random forest": -1.5, "gradient boosting": -1.5}


def _network(seed: int) -> Any:
    """Return a network whose weight decay is chosen on a fifth of the training rows, raw and on tokens alike."""
    network = MLPClassifier((32,), early_stopping=True, max_iter=100, random_state=seed)
    return GridSearchCV(network, {"alpha": [0.01, 1.0]}, cv=ShuffleSplit(1, test_size=0.2, random_state=seed))


def _forest(seed: int) -> Any:
    return RandomForestClassifier(100, n_jobs=2, random_state=seed)


def _boosting(seed: int) -> Any:
    return HistGradientBoostingClassifier(max_iter=60, random_state=seed)


MODELS: dict[str, Pair] = {
    "logistic regression": (
        lambda _: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        lambda _: make_pipeline(TokenOneHot(), LogisticRegression(max_iter=1000)),
    ),
    "small network": (
        lambda seed: make_pipeline(StandardScaler(), _network(seed)),
        lambda seed: make_pipeline(TokenOneHot(), _network(seed)),
    ),
    "random forest": (_forest, lambda seed: make_pipeline(TokenOneHot(), _forest(seed))),
    "gradient boosting": (
        _boosting,
        # Each token becomes the mean label of its rows: boosting cuts columns that have an order.
        lambda seed: make_pipeline(TargetEncoder(random_state=seed), _boosting(seed)),
    ),
}


def owners_of(folder: str | None) -> tuple[str, Floats, NDArray[Any], NDArray[np.int64]]:
    """Return a name, all rows, their labels and the number of each row's owner; breast_cancer without a folder."""
    if folder is None:
        X, y = load_breast_cancer(return_X_y=True)
        return "breast_cancer", X, y, np.random.default_rng(0).integers(0, 10, len(y))
    rows = [load(files) for files in deal_folder(folder, None)]
    owner = np.repeat(np.arange(len(rows)), [len(one.y) for one in rows])
    labels = np.concatenate([one.y for one in rows])
    return Path(folder).name, np.concatenate([one.X for one in rows]), np.unique(labels, return_inverse=True)[1], owner


def splits(X: Floats, owner: NDArray[np.int64], n_seeds: int) -> Iterator[tuple[str, int, Mask, Mask]]:
    """Yield a kind of split, its seed, and which rows are trained on and tested."""
    row = np.unique(X, axis=0, return_inverse=True)[1].ravel()
    for seed in range(n_seeds):
        strangers = np.random.default_rng(seed).permutation(owner.max() + 1)[:3]
        for kind, out in (("random", held_out(X, seed)), ("by owner", np.isin(owner, strangers))):
            new = np.flatnonzero(out & ~np.isin(row, row[~out]))
            test = np.zeros(len(X), dtype=bool)
            test[new[np.unique(row[new], return_index=True)[1]]] = True
            yield kind, seed, ~out, test


def _score(model: Any, X: Any, y: NDArray[Any], train: Mask, test: Mask) -> float:
    return 100.0 * float(model.fit(X[train], y[train]).score(X[test], y[test]))


def _table(folder: str | None, depth: int, n_seeds: int, models: list[str]) -> None:
    name, X, y, owner = owners_of(folder)
    scores: dict[tuple[str, str], list[tuple[float, float]]] = {}
    begun = time.perf_counter()
    for kind, seed, train, test in splits(X, owner, n_seeds):
        tokens = HashComb(learn_spec(X[train], depth=depth), Key(bytes(range(seed, seed + 32)))).encode(X)
        for model in models:
            raw, encoded = MODELS[model]
            pair = _score(raw(seed), X, y, train, test), _score(encoded(seed), tokens, y, train, test)
            scores.setdefault((model, kind), []).append(pair)
    took = time.perf_counter() - begun
    print(f"\n### {name}: {len(X)} rows, {X.shape[1]} features, depth {depth}, {n_seeds} seeds, {took:.0f} s\n")
    print("| model | split | raw, % | tokens, % | difference, points (each seed) | aim |")
    print("|---|---|---:|---:|---|---:|")
    for (model, kind), pairs in scores.items():
        raw_mean, mean = np.mean(pairs, axis=0)
        differences = [b - a for a, b in pairs]
        spread = np.std(differences, ddof=1) if n_seeds > 1 else float("nan")
        listed = ", ".join(f"{one:+.2f}" for one in differences)
        aim = -1.0 if depth >= 6 and AIMS[model] == -1.5 else AIMS[model]
        shown = f"**{mean - raw_mean:+.2f}** ± {spread:.2f} ({listed})"
        print(f"| {model} | {kind} | {raw_mean:.2f} | {mean:.2f} | {shown} | {aim:+.1f} |", flush=True)


def main() -> None:
    """Print a table for breast_cancer, or for each folder of ``owner-*.csv`` that follows ``--data``."""
    parser = argparse.ArgumentParser(prog="python -m benches accuracy")
    parser.add_argument("--data", nargs="+", default=[None])
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    options = parser.parse_args(sys.argv[sys.argv.index("accuracy") + 1 :] if "accuracy" in sys.argv else [])
    warnings.simplefilter("ignore")
    print("\n## Accuracy on raw rows and on leaf tokens of quantile combs (test rows were not trained on)")
    for folder in options.data:
        _table(folder, options.depth, options.seeds, options.models)
