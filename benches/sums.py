"""Privacy of sums under secure aggregation: the claims, the truth for equal others, and how long they take."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from hashcomb.channels import RQM, Geometric, PoissonBinomial, rqm_inputs, rqm_law
from hashcomb.privacy import L2Clip, SumPrivacy, renyi_of_sum

__all__ = ("main",)

CHANNELS: dict[str, Callable[[], object]] = {
    "RQM, 16 levels, 4 inputs": lambda: rqm_law(rqm_inputs(16, 2.0), 16, 0.42),
    "RQM, 16 levels, 16 inputs": lambda: RQM(0.42, 2.0, n_levels=16).on(16).matrix(),
    "Poisson binomial, 16 tosses, 16 inputs": lambda: PoissonBinomial(0.05, 16).on(16).matrix(),
    "geometric, eps 4, 16 inputs": lambda: Geometric.for_epsilon(4.0, 16).matrix(),
}


def main() -> None:
    """Print the table."""
    print("\n### Privacy of one client in a sum (Renyi orders 2 and 8; K: per squared distance in units of the clip)\n")
    print("| channel | clients | one report | bound | equal others | s | epsilon(1e-5) | s | K of order 8 | s |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, make in CHANNELS.items():
        matrix = np.asarray(make())
        for n_honest in (10, 100, 1000):
            print(f"| {name} | {n_honest} | " + " | ".join(_row(matrix, n_honest)) + " |", flush=True)


def _row(matrix: np.ndarray, n_honest: int) -> list[str]:
    privacy, started = SumPrivacy.of(matrix, n_honest), time.perf_counter()
    bound = _pair(lambda alpha: SumPrivacy.of(matrix, n_honest).renyi(alpha))
    took = time.perf_counter() - started
    started = time.perf_counter()
    epsilon = privacy.epsilon(1e-5)
    for_epsilon = time.perf_counter() - started
    clip, started = L2Clip(norm=0.5, coordinate=1.0), time.perf_counter()
    slope = SumPrivacy.of(matrix, n_honest, coordinates=10**12, clip=clip).renyi(8.0)
    for_slope = time.perf_counter() - started
    same = _pair(lambda alpha: max(_equal(matrix, symbol, n_honest, alpha) for symbol in (0, len(matrix) // 2)))
    times = f"{took / 2:.2f}", f"{epsilon:.4f}", f"{for_epsilon:.2f}", f"{slope:.4g}", f"{for_slope:.2f}"
    return [_pair(privacy.local), bound, same, *times]


def _equal(matrix: np.ndarray, symbol: int, n_honest: int, alpha: float) -> float:
    return renyi_of_sum(matrix, [symbol] * (n_honest - 1), alpha)


def _pair(of: Callable[[float], float]) -> str:
    return f"{of(2.0):.4g}, {of(8.0):.4g}"
