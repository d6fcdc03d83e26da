"""Time things side by side: in turn, in random order, as ratios within each round."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

__all__ = ("Case", "print_table", "side_by_side")


class Case(NamedTuple):
    """What one case took, medians over rounds."""

    name: str
    seconds: float
    ratio: float
    values_per_s: float


def side_by_side(
    cases: dict[str, Callable[[], object]],
    n_values: int,
    *,
    rounds: int = 15,
    clock: Callable[[], float] = time.process_time,
) -> list[Case]:
    """Time every case once a round, and take ratios to the first case within each round.

    CPU time by default: on a machine that is shared, it is the figure that holds for work on one thread.
    """
    for work in cases.values():
        work()  # compiles, and touches its memory
    taken: dict[str, list[float]] = {name: [] for name in cases}
    order = list(cases)
    for _ in range(rounds):
        random.shuffle(order)
        for name in order:
            begun = clock()
            cases[name]()
            taken[name].append(clock() - begun)
    base = taken[next(iter(cases))]
    return [
        Case(
            name,
            statistics.median(seconds),
            statistics.median(a / b for a, b in zip(seconds, base, strict=True)),
            n_values / statistics.median(seconds),
        )
        for name, seconds in taken.items()
    ]


def print_table(title: str, cases: list[Case], base: str) -> None:
    """Print cases as a Markdown table."""
    print(f"\n### {title}\n")
    print(f"| case | ms | times {base} | million values/s |")
    print("|---|---:|---:|---:|")
    for case in cases:
        print(f"| {case.name} | {1e3 * case.seconds:.1f} | {case.ratio:.2f} | {case.values_per_s / 1e6:,.1f} |")
