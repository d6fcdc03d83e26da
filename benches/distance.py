"""Tokens compared and turned into columns, beside scikit-learn: seconds, and accuracy of what learns from them.

Distances are timed by both clocks, since scikit-learn's go over all cores and ours do too where it pays.
``--data DIR ...`` takes test accuracies on the ``owner-*.csv`` of each folder instead of breast_cancer.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from benches.encode import KEY, N_FEATURES, codec, rows
from benches.timing import Case, print_table, side_by_side
from hashcomb import HashComb, learn_spec
from hashcomb.distance import comb_distance
from hashcomb.integrations.sklearn import CombKernel, TokenOneHot
from hashcomb.rows import deal_folder, load

__all__ = ("main",)

N_ROWS = 1_000
SEEDS = (0, 1, 2)
MOST_ROWS = 8_000  # a kernel machine compares every row with every other


def distances(clock: Callable[[], float]) -> list[Case]:
    """All pairs of 1,000 and 1,000 rows, from tokens, and from the numbers themselves."""
    X = rows(2 * N_ROWS)
    one, other = X[:N_ROWS].copy(), X[N_ROWS:].copy()
    cases: dict[str, Any] = {"euclidean_distances of the raw rows": lambda: euclidean_distances(one, other)}
    for depth in (4, 8):
        encoder = codec("quantile", depth, tokens="comb")
        A, B = encoder.encode(one), encoder.encode(other)
        cases[f"comb_distance, depth {depth}"] = lambda A=A, B=B: comb_distance(A, B)
        cases[f"comb_distance, depth {depth}, one thread"] = lambda A=A, B=B: comb_distance(A, B, n_threads=1)
        halving = 0.5 ** np.arange(depth)
        cases[f"comb_distance, depth {depth}, each level its weight"] = lambda A=A, B=B, halving=halving: comb_distance(
            A, B, weights=halving
        )
    return side_by_side(cases, N_ROWS * N_ROWS * N_FEATURES, rounds=31, clock=clock)


def onehot(depth: int) -> list[Case]:
    """Leaf tokens of 50,000 rows to sparse one-hot columns, as a trainer does it."""
    tokens = codec("quantile", depth).encode(rows(50_000))
    plain = np.asarray(tokens)
    ours, theirs = TokenOneHot().fit(tokens), OneHotEncoder(handle_unknown="ignore").fit(plain)
    cases: dict[str, Any] = {
        "TokenOneHot.transform": lambda: ours.transform(tokens),
        "OneHotEncoder.transform": lambda: theirs.transform(plain),
        "TokenOneHot.fit": lambda: TokenOneHot().fit(tokens),
        "OneHotEncoder.fit": lambda: OneHotEncoder().fit(plain),
    }
    return side_by_side(cases, plain.size, rounds=5)


def _models() -> dict[str, tuple[bool, Pipeline]]:
    """Return models by name, and whether they learn from tokens."""
    precomputed = SVC(kernel="precomputed")
    neighbors = KNeighborsClassifier(metric="precomputed")
    return {
        "logistic regression, raw": (False, make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))),
        "the same, one-hot leaves": (
            True,
            make_pipeline(TokenOneHot(levels="leaf"), LogisticRegression(max_iter=2000)),
        ),
        "the same, one-hot of all levels": (True, make_pipeline(TokenOneHot(), LogisticRegression(max_iter=2000))),
        "SVC, raw (rbf)": (False, make_pipeline(StandardScaler(), SVC())),
        "SVC, CombKernel()": (True, make_pipeline(CombKernel(), precomputed)),
        "SVC, CombKernel(gamma=10)": (True, make_pipeline(CombKernel(gamma=10.0), precomputed)),
        "5 nearest, raw": (False, make_pipeline(StandardScaler(), KNeighborsClassifier())),
        "5 nearest, comb distance": (True, make_pipeline(CombKernel(output="distance"), neighbors)),
    }


def accuracies(name: str, X: Any, y: Any) -> None:
    """Print test accuracies at depth 4, on a quarter of the rows, for three splits."""
    scores: dict[str, list[float]] = {}
    kept = np.random.default_rng(0).permutation(len(y))[:MOST_ROWS]
    for seed in SEEDS:
        X_train, X_test, y_train, y_test = train_test_split(
            X[kept], y[kept], test_size=0.25, random_state=seed, stratify=y[kept]
        )
        encoder = HashComb(learn_spec(X_train, depth=4, tokens="comb"), KEY)
        tables = {False: (X_train, X_test), True: (encoder.encode(X_train), encoder.encode(X_test))}
        for model_name, (on_tokens, model) in _models().items():
            train, test = tables[on_tokens]
            scores.setdefault(model_name, []).append(100 * float(model.fit(train, y_train).score(test, y_test)))
    print(f"\n### {name}: test accuracy, %, depth 4, {len(kept)} rows, seeds 0, 1, 2\n")
    print("| model | mean | each |\n|---|---:|---|")
    for model_name, each in scores.items():
        print(f"| {model_name} | {np.mean(each):.2f} | {', '.join(f'{score:.2f}' for score in each)} |", flush=True)


def main() -> None:
    """Print the tables."""
    warnings.simplefilter("ignore")
    title = f"Distances of {N_ROWS:,} x {N_ROWS:,} rows, {N_FEATURES} features, tokens in"
    for name, clock in (("CPU time", time.process_time), (f"wall time, {os.cpu_count()} cores", time.perf_counter)):
        print_table(f"{title} ({name})", distances(clock), "euclidean_distances")
    for depth in (4, 8):
        print_table(f"One-hot columns of tokens, depth {depth} (CPU time)", onehot(depth), "TokenOneHot.transform")
    if "--data" not in sys.argv:
        accuracies("breast_cancer", *load_breast_cancer(return_X_y=True))
        return
    for folder in sys.argv[sys.argv.index("--data") + 1 :]:
        owners = [load(files) for files in deal_folder(folder, None)]
        accuracies(
            Path(folder).name, *(np.concatenate(part) for part in zip(*((o.X, o.y) for o in owners), strict=True))
        )
