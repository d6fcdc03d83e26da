"""Exact edges beside noisy ones: what a linear model makes of their tokens, and how even the leaves are."""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hashcomb.errors import ProtocolError
from hashcomb.integrations.sklearn import HashCombEncoder
from hashcomb.mpc import Agreement, Policy, local
from hashcomb.rows import deal_folder, held_out, load
from hashcomb.spec import Quantile

__all__ = ("main",)

SEEDS = (0, 1, 2)
POLICIES = {
    "quantile, grid": Policy(),
    "noisy, epsilon 1": Policy(edges="noisy", edges_epsilon=1.0),
    "noisy, epsilon 4": Policy(edges="noisy", edges_epsilon=4.0),
    "noisy, epsilon 16": Policy(edges="noisy", edges_epsilon=16.0),
    "uniform": Policy(edges="uniform"),
}

Floats = NDArray[np.float64]


def _owners(folder: str | None) -> tuple[str, list[Floats], list[NDArray[Any]]]:
    """Return a name, and every owner's rows and labels: ten owners of a folder, or three of breast_cancer."""
    if folder is None:
        X, y = load_breast_cancer(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(y))
        return "breast_cancer", np.array_split(X[order], 3), np.array_split(y[order], 3)
    rows = [load(files) for files in deal_folder(folder, None)]
    return Path(folder).name, [own.X for own in rows], [own.y for own in rows]


def _score(agreed: Agreement, train: tuple[Floats, Any], test: tuple[Floats, Any]) -> float:
    encoder = HashCombEncoder(agreed.spec, agreed.key, output="onehot")
    model = make_pipeline(encoder, LogisticRegression(max_iter=500)).fit(*train)
    return 100.0 * float(model.score(*test))


def _largest_leaf(agreed: Agreement, X: Floats) -> float:
    """Return how many times its share the fullest leaf of a feature holds, at the median feature."""
    combs = [feature for feature in agreed.spec.features if isinstance(feature, Quantile)]
    if len(combs) < X.shape[1]:
        return float("nan")
    masses = [
        np.bincount(np.searchsorted(comb.edges, x, side="right")).max() for comb, x in zip(combs, X.T, strict=True)
    ]
    return float(np.median(masses)) * agreed.spec.n_leaves / len(X)


def _table(folder: str | None) -> None:
    name, tables, labels = _owners(folder)
    shown: dict[str, list[tuple[float, float, float]]] = {policy: [] for policy in POLICIES}
    raw = []
    for seed in SEEDS:
        tested = [held_out(table, seed) for table in tables]
        own = [table[~out] for table, out in zip(tables, tested, strict=True)]
        y = np.concatenate([label[~out] for label, out in zip(labels, tested, strict=True)])
        X = np.concatenate(own)
        test = (
            np.concatenate([table[out] for table, out in zip(tables, tested, strict=True)]),
            np.concatenate([label[out] for label, out in zip(labels, tested, strict=True)]),
        )
        scaled = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(X, y)
        raw.append(100.0 * float(scaled.score(*test)))
        for policy, settings in POLICIES.items():
            begun = time.perf_counter()
            try:
                agreed = local.run(own, policy=settings, progress=False)[0]
            except ProtocolError as error:
                print(f"{name}, {policy}, seed {seed}: {error.problem}")
                continue
            took = time.perf_counter() - begun
            shown[policy].append((_score(agreed, (X, y), test), _largest_leaf(agreed, X), took))
    n_rows = sum(map(len, tables))
    print(f"\n### {name}: {n_rows} rows, {tables[0].shape[1]} features, {len(tables)} owners, depth 4\n")
    print("| edges | test accuracy of logistic regression on one-hot tokens, % | fullest leaf / its share | s |")
    print("|---|---|---:|---:|")
    print(f"| raw rows | {_listed(raw)} | | |")
    for policy, results in shown.items():
        if not results:
            print(f"| {policy} | no edges: noise hides a feature | | |")
            continue
        accuracy, fullest, seconds = (list(column) for column in zip(*results, strict=True))
        print(f"| {policy} | {_listed(accuracy)} | {np.mean(fullest):.1f} | {np.median(seconds):.1f} |", flush=True)


def _listed(values: list[float]) -> str:
    return f"{np.mean(values):.2f} ({', '.join(f'{value:.2f}' for value in values)})"


def _by_rows() -> None:
    """Print how far noisy edges are off, by the number of rows."""
    print("\n### Noisy edges at epsilon 1 of 8 bell-shaped columns (depth 4, three owners, worst of three runs)\n")
    print("| rows | edge off by, share of the records | values outside the range |")
    print("|---:|---:|---:|")
    for n_rows in (2000, 5000, 20000):
        off = outside = 0.0
        for seed in SEEDS:
            X = np.random.default_rng(seed).normal(50, 10, (n_rows, 8))
            spec = local.run(X, 3, edges="noisy", progress=False)[0].spec
            for comb, x in zip(spec.features, X.T, strict=True):
                if isinstance(comb, Quantile):
                    reached = np.searchsorted(np.sort(x), comb.edges) / n_rows
                    off = max(off, float(np.abs(reached - np.arange(1, 16) / 16).max()))
                    outside = max(outside, float(((x < comb.lo) | (x > comb.hi)).mean()))
        print(f"| {n_rows} | {100 * off:.0f} % | {100 * outside:.1f} % |")


def main() -> None:
    """Print a table for breast_cancer, or for each folder of ``owner-*.csv`` that follows ``--data``."""
    warnings.simplefilter("ignore")
    folders = sys.argv[sys.argv.index("--data") + 1 :] if "--data" in sys.argv else [None]
    print("\n## Edges: exact or with differential privacy (seeds 0, 1, 2)")
    for folder in folders:
        _table(folder)
    _by_rows()
