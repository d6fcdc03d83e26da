"""Accuracy of models trained on randomized tokens, beside other mechanisms at the same epsilon per feature.

Models are tested on clean rows that nobody trained on, as their owners would use them: a random quarter of all
distinct rows, and the rows of three owners of ten but for those that other owners have too. Baselines are helped where
they can be: their ranges and ranks are learned from clean rows, and that of RQM knows its noise. Whatever there is to
choose (depth, learner, features to report) is chosen within the training rows: on reports of three quarters of them,
tested on the clean rest.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hashcomb import HashComb, Key, learn_spec, place
from hashcomb.channels import RQM, describe
from hashcomb.errors import DataDependentSpecWarning, InsecureRandomWarning
from hashcomb.integrations.sklearn import ChannelLinearClassifier, ChannelNaiveBayes, TokenOneHot
from hashcomb.moments import remove_noise
from hashcomb.rows import deal_folder, held_out, load

__all__ = ("main",)

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

EPSILONS = (0.5, 1.0)
DEPTHS = (1, 2)
PENALTIES = (0.001, 0.01, 0.1, 1.0)  # C of plain logistic regression
DELTA = 1e-5
KEY = Key(bytes(range(32)))


class Fold(NamedTuple):
    """Rows to train on, and clean rows to test on."""

    X: Floats
    y: Labels
    X_test: Floats
    y_test: Labels

    def inner(self, seed: int) -> Fold:
        """Return a split of the training rows, to choose by."""
        order = np.random.default_rng(seed).permutation(len(self.y))
        test, train = np.split(order, [len(order) // 4])
        return Fold(self.X[train], self.y[train], self.X[test], self.y[test])


Trial = Callable[[Fold, int], float]  # trains and tests, and returns the share of rows that were named rightly


# ---------------------------------------------------------------------- tokens
def on_tokens(learner: str | float, epsilon: float, depth: int, part: int = 1) -> Trial:
    """Return a trial on randomized response; where records report a part of the features, each has more epsilon."""

    def trial(fold: Fold, seed: int) -> float:
        n_features = fold.X.shape[1]
        n_reported = max(2, n_features // part)
        reported = {"report_features": n_reported} if part > 1 else {}
        own = {"depth": "leaf"}
        channel = describe(
            "randomized_response", own, n_leaves=1 << depth, epsilon=epsilon * n_features / n_reported, **reported
        )
        codec = HashComb(learn_spec(fold.X, depth=depth, channel=channel), KEY)
        reports, clean = codec.encode(fold.X, seed=seed), codec.encode_clean(fold.X_test)
        model = named(learner)
        return float(model.fit(reports, fold.y).score(clean, fold.y_test))

    return trial


def named(learner: str | float) -> Any:
    """Return a learner by its name; plain logistic regression by its C."""
    if isinstance(learner, str):
        return ChannelNaiveBayes() if learner == "bayes" else ChannelLinearClassifier()
    return make_pipeline(TokenOneHot(), LogisticRegression(C=learner, max_iter=500))


def raw(fold: Fold, _: int) -> float:
    """Return the accuracy of logistic regression on the values themselves."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return float(model.fit(fold.X, fold.y).score(fold.X_test, fold.y_test))


# ---------------------------------------------------------------------- noise on numbers
def on_numbers(mechanism: str, epsilon: float, scale: str, learner: str | float) -> Trial:
    """Return a trial on numbers from 0 to 1 with noise added: clipped values, or ranks among 16 quantiles."""

    def trial(fold: Fold, seed: int) -> float:
        clean, test = to_unit(fold, scale)
        noisy, variance = with_noise(clean, mechanism, epsilon, np.random.default_rng(seed))
        if not isinstance(learner, str):
            model = LogisticRegression(C=learner, max_iter=500).fit(noisy, fold.y)
            return float(model.score(test, fold.y_test))
        weights, intercept = corrected(noisy, variance, fold.y)
        return float(((test @ weights + intercept > 0) == fold.y_test).mean())

    return trial


def to_unit(fold: Fold, scale: str) -> tuple[Floats, Floats]:
    """Return training and test rows as numbers from 0 to 1."""
    if scale == "rank":
        spec = learn_spec(fold.X, depth=4)
        return place(fold.X, spec) / 15, place(fold.X_test, spec) / 15
    lo, hi = np.quantile(fold.X, [0.01, 0.99], axis=0)  # an agreed range that outliers do not stretch
    lo, hi = np.where(lo < hi, lo, fold.X.min(axis=0)), np.where(lo < hi, hi, fold.X.max(axis=0))
    width = np.where(hi > lo, hi - lo, 1.0)
    return np.clip((fold.X - lo) / width, 0, 1), np.clip((fold.X_test - lo) / width, 0, 1)


def with_noise(
    values: Floats, mechanism: str, epsilon: float, rng: np.random.Generator
) -> tuple[Floats, float | Floats]:
    """Return unbiased noisy numbers and the variance of their noise."""
    if mechanism == "Laplace":
        return values + rng.laplace(scale=1 / epsilon, size=values.shape), 2 / epsilon**2
    if mechanism == "Gaussian":
        sigma = gaussian_sigma(epsilon)
        return values + rng.normal(scale=sigma, size=values.shape), sigma**2
    channel = RQM.for_epsilon(epsilon, 16)
    symbols = np.rint(15 * values).astype(np.int32)
    reports = channel.sample(symbols, rng.integers(0, 1 << 64, symbols.shape, dtype=np.uint64))
    levels = np.linspace(-channel.margin, 1 + channel.margin, channel.n_reports)
    law = channel.matrix()
    spread = law @ levels**2 - (law @ levels) ** 2
    return levels[reports], spread[symbols].mean(axis=0)  # better informed than a trainer could be


def gaussian_sigma(epsilon: float) -> float:
    """Return the least standard deviation for sensitivity 1 at `DELTA`; B. Balle, Y.-X. Wang, ICML 2018, theorem 8."""
    low, high = 0.0, 1e3
    for _ in range(100):
        sigma = (low + high) / 2
        a, b = 1 / (2 * sigma), epsilon * sigma
        delta = norm.cdf(a - b) - np.exp(epsilon) * norm.cdf(-a - b)
        low, high = (low, sigma) if delta <= DELTA else (sigma, high)
    return high


def corrected(noisy: Floats, variance: float | Floats, y: Labels) -> tuple[Floats, float]:
    """Return the linear discriminant that `ChannelLinearClassifier` finds, for numbers with known noise."""
    means = np.stack([noisy[y == label].mean(axis=0) for label in (0, 1)])
    covariance = np.cov((noisy - means[y]).T)
    spread = np.diag(covariance).copy()
    own = np.clip(spread - variance, 0.01, None)
    scale, edge = np.sqrt(spread), 2 * np.sqrt(noisy.shape[1] / len(noisy))
    between = remove_noise((covariance - np.diag(spread)) / np.outer(scale, scale), edge)
    values, vectors = np.linalg.eigh(between + np.diag(own / spread))
    inverse = 1 / (np.clip(values, 0, None) + 0.1 * edge)
    weights = (vectors * inverse) @ (vectors.T @ ((means[1] - means[0]) / scale)) / scale
    return weights, float(-means.mean(axis=0) @ weights + np.log(y.mean() / (1 - y.mean())))


# ---------------------------------------------------------------------- the table
def choices(epsilon: float) -> dict[str, list[Trial]]:
    """Return the lines of the table: each is the best of some trials."""
    lines = {
        "plain logistic regression on the reports": [
            on_tokens(c, epsilon, depth) for depth in DEPTHS for c in PENALTIES
        ],
        "ChannelNaiveBayes": [on_tokens("bayes", epsilon, depth) for depth in DEPTHS],
        "ChannelLinearClassifier": [on_tokens("linear", epsilon, depth) for depth in DEPTHS],
        "the same, each record reports some features at the epsilon of all": [
            on_tokens("linear", epsilon, depth, part) for depth in DEPTHS for part in (2, 4, 8)
        ],
    }
    for mechanism in ("Laplace", "Gaussian", "RQM"):
        scales = ("rank",) if mechanism == "RQM" else ("value", "rank")
        ways = [(scale, learner) for scale in scales for learner in (*PENALTIES, "corrected")]
        label = f"{mechanism} noise, delta {DELTA:g} per feature" if mechanism == "Gaussian" else f"{mechanism} noise"
        lines[label] = [on_numbers(mechanism, epsilon, *way) for way in ways]
    return lines


def best(trials: list[Trial], fold: Fold, seed: int) -> float:
    """Choose within the training rows, and return the accuracy on the test rows."""
    if len(trials) == 1:
        return trials[0](fold, seed)
    inner = fold.inner(seed)
    scores = [trial(inner, seed + 1000) for trial in trials]
    return trials[int(np.argmax(scores))](fold, seed)


def folds(X: Floats, y: Labels, owner: Labels, n_seeds: int) -> Iterator[tuple[str, int, Fold]]:
    """Yield the splits: at random, and by owner."""
    row = np.unique(X, axis=0, return_inverse=True)[1].ravel()
    for seed in range(n_seeds):
        chosen = held_out(X, seed)  # rows that repeat are all tested, or all trained on
        strangers = np.isin(owner, np.random.default_rng(seed).permutation(owner.max() + 1)[:3])
        for kind, out in (("rows", chosen), ("owners", strangers)):
            test = out & ~np.isin(row, row[~out])
            yield kind, seed, Fold(X[~out], y[~out], X[test], y[test])


def show(folder: Path, n_seeds: int) -> None:
    """Print the table of a data set."""
    parts = [load(files) for files in deal_folder(str(folder), None)]
    X = np.concatenate([part.X for part in parts])
    y = np.unique(np.concatenate([part.y for part in parts]).astype(str), return_inverse=True)[1]
    owner = np.repeat(np.arange(len(parts)), [len(part.y) for part in parts])
    found: dict[tuple[str, str], list[float]] = {}
    for kind, seed, fold in folds(X, y, owner, n_seeds):
        found.setdefault(("raw logistic regression |", kind), []).append(raw(fold, seed))
        for epsilon in EPSILONS:
            for name, trials in choices(epsilon).items():
                found.setdefault((f"{name} | {epsilon:g}", kind), []).append(best(trials, fold, seed))
    print(f"\n### {folder.name}: {len(y):,} rows, {X.shape[1]} features; accuracy on clean rows, %, {n_seeds} seeds\n")
    print("| trained on | epsilon per feature | random rows held out | owners held out |")
    print("|---|---:|---:|---:|")
    for line in dict.fromkeys(name for name, _ in found):
        cells = (100 * np.array(found[line, kind]) for kind in ("rows", "owners"))
        print(f"| {line} | " + " | ".join(f"{cell.mean():.1f} ± {cell.std():.1f}" for cell in cells) + " |")


def main() -> None:
    """Print a table for each data set: folders with files owner-*.csv."""
    parser = argparse.ArgumentParser(prog="python -m benches randomized")
    parser.add_argument("--data", nargs="+", type=Path, required=True, help="folders of owner-*.csv, label last")
    parser.add_argument("--seeds", type=int, default=5)
    words = sys.argv[sys.argv.index("randomized") + 1 :] if "randomized" in sys.argv else sys.argv[1:]
    options = parser.parse_args(words)
    warnings.simplefilter("ignore", DataDependentSpecWarning)
    warnings.simplefilter("ignore", InsecureRandomWarning)
    for folder in options.data:
        show(folder, options.seeds)


if __name__ == "__main__":
    main()
