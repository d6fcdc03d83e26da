"""How the time of a value grows with rows, features, depth and threads, and memory with the size of an array or a file.

All times are taken in turn with ``np.copyto`` of as many bytes as the output has. ``--figure FOLDER`` also draws them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import dropwhile
from pathlib import Path
from typing import Any

import numpy as np

from benches.growth_figures import draw
from benches.growth_memory import memory
from benches.timing import Case, side_by_side
from hashcomb import HashComb, Key, Quantile, RandomizedResponse, Spec, Uniform, quantile_edges

__all__ = ("main",)

ROWS = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 2_000_000)
FEATURES = (1, 3, 10, 30, 100, 300, 1_000)
DEPTHS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16)
N_FEATURES, N_VALUES = 57, 3_000_000
DEPTH_FEATURES, DEPTH_ROWS = 16, 100_000
LEVELS = (
    12  # the deepest comb whose paths are timed: below it, nodes are hashed as they occur, which takes minutes here
)
MEMORY_ROWS = 1_000_000
AT_ONCE = 2_000_000  # values of one measurement at least: an array of a thousand rows is encoded again and again
COPY = "np.copyto"

Figures = dict[str, dict[str, list[tuple[float, float]]]]


def codec(edges: str, depth: int, n_features: int, n_threads: int = 1, **rules: Any) -> HashComb:
    """Return a codec."""
    names = [f"f{j}" for j in range(n_features)]
    features: tuple[Any, ...] = tuple(Uniform(name=name, lo=-4.0, hi=4.0) for name in names)
    if edges == "quantile":
        cuts = tuple(quantile_edges(np.random.default_rng(1).normal(size=200_000), 1 << depth))
        features = tuple(Quantile(name=name, lo=-6.0, hi=6.0, edges=cuts) for name in names)
    return HashComb(Spec(features=features, depth=depth, **rules), Key(bytes(range(32))), n_threads=n_threads)


def rows(n_rows: int, n_features: int) -> np.ndarray:
    """Return rows of a standard normal distribution."""
    return np.random.default_rng(0).normal(size=(n_rows, n_features))


def kinds(n_features: int, n_threads: int = 1) -> dict[str, HashComb]:
    """Return the codecs that are compared over rows, features and threads."""
    channel = RandomizedResponse(2.0, depth="leaf").spec_for(16)
    return {
        "uniform, depth 8": codec("uniform", 8, n_features, n_threads),
        "quantile, depth 4": codec("quantile", 4, n_features, n_threads),
        "quantile, depth 8": codec("quantile", 8, n_features, n_threads),
        "randomized, depth 4": codec("uniform", 4, n_features, n_threads, channel=channel),
    }


# ---------------------------------------------------------------------- measuring
def measure(
    encoders: dict[str, HashComb], X: np.ndarray, *, clock: Callable[[], float] = time.process_time
) -> list[Case]:
    """Time codecs on the same rows, each with an output of its own that is reused, beside copying that output."""
    shape = (*X.shape, next(iter(encoders.values())).spec.depth) if _is_comb(encoders) else X.shape
    source, target = np.ones(shape, dtype=np.uint64), np.empty(shape, dtype=np.uint64)
    times = max(1, AT_ONCE // X.size)
    cases: dict[str, Any] = {COPY: lambda: [np.copyto(target, source) for _ in range(times)]}
    for name, encoder in encoders.items():
        cases[name] = lambda encoder=encoder: [encoder.encode(X, out=target) for _ in range(times)]
    return side_by_side(cases, times * X.size, rounds=9 if target.nbytes < 1e9 else 5, clock=clock)


def _is_comb(encoders: dict[str, HashComb]) -> bool:
    return all(encoder.spec.tokens == "comb" for encoder in encoders.values())


def by_rows(sizes: Sequence[int]) -> Iterator[tuple[int, list[Case]]]:
    """Time 57 features against the number of rows."""
    encoders = kinds(N_FEATURES)
    for n_rows in sizes:
        yield n_rows, measure(encoders, rows(n_rows, N_FEATURES))


def by_features(sizes: Sequence[int]) -> Iterator[tuple[int, list[Case]]]:
    """Time as many values against the number of features that they are of."""
    for n_features in sizes:
        yield n_features, measure(kinds(n_features), rows(N_VALUES // n_features, n_features))


def by_depth(sizes: Sequence[int]) -> Iterator[tuple[int, list[Case]]]:
    """Time leaf tokens against the depth of the comb."""
    X = rows(DEPTH_ROWS, DEPTH_FEATURES)
    for depth in sizes:
        yield depth, measure({edges: codec(edges, depth, DEPTH_FEATURES) for edges in ("uniform", "quantile")}, X)


def by_levels(sizes: Sequence[int]) -> Iterator[tuple[int, list[Case]]]:
    """Time tokens of all levels against the depth of the comb; the copy is as large as the output."""
    X = rows(DEPTH_ROWS // 4, DEPTH_FEATURES)
    for depth in sizes:
        combs = {edges: codec(edges, depth, DEPTH_FEATURES, tokens="comb") for edges in ("uniform", "quantile")}
        yield depth, measure(combs, X)


def by_threads() -> list[tuple[str, Case, Case]]:
    """Time one thread and two, by the wall."""
    X, pairs = rows(2 * N_VALUES // N_FEATURES, N_FEATURES), []
    for name, alone in kinds(N_FEATURES).items():
        target = np.empty(X.shape, dtype=np.uint64)
        two = kinds(N_FEATURES, 2)[name]
        one, other = side_by_side(
            {
                name: lambda alone=alone, target=target: alone.encode(X, out=target),
                "two": lambda two=two, target=target: two.encode(X, out=target),
            },
            X.size,
            rounds=11,
            clock=time.perf_counter,
        )
        pairs.append((name, one, other))
    return pairs


# ---------------------------------------------------------------------- tables
def print_growth(
    title: str, head: str, measured: Iterator[tuple[int, list[Case]]]
) -> dict[str, list[tuple[float, float]]]:
    """Print a row for each size as it comes, and return nanoseconds a value by case."""
    lines: dict[str, list[tuple[float, float]]] = {}
    print(f"\n### {title}\n")
    for size, cases in measured:
        if not lines:
            print(f"| {head} | " + " | ".join(case.name for case in cases) + " |")
            print("|---:" * (len(cases) + 1) + "|")
        cells = [f"{1e9 / case.values_per_s:.2f} ({case.ratio:.1f})" for case in cases]
        print(f"| {size:,} | " + " | ".join(cells) + " |", flush=True)
        for case in cases:
            lines.setdefault(case.name, []).append((float(size), 1e9 / case.values_per_s))
    return lines


def print_threads(pairs: Sequence[tuple[str, Case, Case]]) -> None:
    """Print how much faster two threads are."""
    print("\n### One thread and two (wall time)\n")
    print("| | one, ns a value | two, ns a value | times faster |")
    print("|---|---:|---:|---:|")
    for name, one, two in pairs:
        print(f"| {name} | {1e9 / one.values_per_s:.2f} | {1e9 / two.values_per_s:.2f} | {1 / two.ratio:.2f} |")


def print_memory(measured: Sequence[tuple[str, int, float, float]]) -> dict[str, list[tuple[float, float]]]:
    """Print how much memory a process takes above what it held, and return megabytes by case."""
    lines: dict[str, list[tuple[float, float]]] = {}
    print(f"\n### Memory above what the process held, {N_FEATURES} features, depth 8\n")
    print("| | rows | input, MB | peak above base, MB | peak / input |")
    print("|---|---:|---:|---:|---:|")
    for name, n_rows, size, peak in measured:
        print(f"| {name} | {n_rows:,} | {size:.0f} | {peak:.0f} | {peak / size:.2f} |")
        lines.setdefault(name, []).append((size, peak))
    return lines


def main() -> None:
    """Print the tables, and draw them if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benches growth")
    parser.add_argument("--figure", type=Path, metavar="FOLDER", help="also draw, as SVG files in this folder")
    parser.add_argument("--rows", type=int, default=ROWS[-1], help="rows at most (default: 2 million, of 57 features)")
    asked = parser.parse_args(list(dropwhile(lambda word: not word.startswith("-"), sys.argv[1:])))
    sizes = [n_rows for n_rows in ROWS if n_rows <= asked.rows]
    unit = "ns a value, and times np.copyto of the output; one thread, CPU time, output reused"
    figures: Figures = {
        "rows": print_growth(f"Rows, {N_FEATURES} features ({unit})", "rows", by_rows(sizes)),
        "features": print_growth(f"Features, {N_VALUES:,} values ({unit})", "features", by_features(FEATURES)),
        "depth": print_growth(f"Depth, leaf tokens, {DEPTH_FEATURES} features ({unit})", "depth", by_depth(DEPTHS)),
        "levels": print_growth(
            f"Depth, all levels ({unit})", "depth", by_levels([depth for depth in DEPTHS if depth <= LEVELS])
        ),
    }
    print_threads(by_threads())
    figures["memory"] = print_memory(memory([n_rows for n_rows in sizes if n_rows <= MEMORY_ROWS][-4:]))
    if asked.figure is not None:
        draw(figures, asked.figure)
