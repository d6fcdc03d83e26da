"""What an agreement costs: owners as processes over TLS on loopback, beside plain MPyC and beside the floor."""

from __future__ import annotations

import sys
from collections.abc import Callable

from benches.owner_tables import owner_tables
from benches.owners import OwnerRun, exchange_ms, least, run_owners
from benches.plain_mpyc import PlainRun, plain_amax
from hashcomb.mpc import Policy

__all__ = ("main",)

REPEATS = 3
EXACT = Policy(precision="exact")
GRID = Policy()
SIZES = ((3, 57), (5, 57), (10, 57), (3, 1000), (5, 1000), (10, 1000))


def _runs(n_owners: int, n_features: int, policy: Policy) -> list[OwnerRun]:
    return run_owners(owner_tables(n_owners, n_features), policy)


def _against_plain_mpyc() -> None:
    """Minima and maxima beside `np_amax` of plain MPyC, turn by turn."""
    print(
        "\n### Exact minima and maxima, beside `np_amax` of plain MPyC on the same keys (TLS, best of three, in turn)\n"
    )
    print(
        "| owners | features | ours, s | np_amax, s | np_amax / ours | edges / ranges, exact | edges / ranges, grid |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|")
    gmpy2 = False
    for n_owners, n_features in ((3, 12), (3, 57), (5, 57)):
        ours: list[list[OwnerRun]] = []
        grid: list[list[OwnerRun]] = []
        plain: list[PlainRun] = []
        for _ in range(REPEATS):
            ours.append(_runs(n_owners, n_features, EXACT))
            plain.append(plain_amax(n_owners, n_features))
            grid.append(_runs(n_owners, n_features, GRID))
        gmpy2 = plain[0].has_gmpy2
        ranges, amax = least(ours, "ranges"), min(run.wall_s for run in plain)
        ratios = [least(runs, "edges") / least(runs, "ranges") for runs in (ours, grid)]
        figures = f"{ranges:.3f} | {amax:.2f} | {amax / ranges:.1f} | {ratios[0]:.1f} | {ratios[1]:.1f}"
        print(f"| {n_owners} | {n_features} | {figures} |")
    print(f"\n(MPyC {'with' if gmpy2 else 'without'} gmpy2, which makes it about twice as fast.)")


def _scale(sizes: tuple[tuple[int, int], ...]) -> None:
    """Print rounds, bytes and times for more owners and features, beside the floor of one exchange a round."""
    print("\n### Whole agreements at depth 4 (TLS, owners as processes)\n")
    print(
        "| owners | features | edges | rounds | MB sent by an owner | CPU s an owner | wall s "
        "| wall / (rounds x one exchange) | peak MB an owner |"
    )
    print("|---:|---:|---|---:|---:|---:|---:|---:|---:|")
    for n_owners, n_features in sizes:
        floor = exchange_ms(n_owners) / 1000
        epsilon = 1.0 if n_features < 1000 else 30.0  # for a thousand features, less hides 6000 rows
        noisy = Policy(edges="noisy", edges_epsilon=epsilon)
        for name, policy in (("grid of 24 bits", GRID), (f"noisy, epsilon {epsilon:g}", noisy)):
            _print_run(name, n_owners, n_features, _runs(n_owners, n_features, policy), floor)


def _print_run(name: str, n_owners: int, n_features: int, runs: list[OwnerRun], floor: float) -> None:
    most: Callable[[str], float] = lambda field: max(getattr(run, field) for run in runs)  # noqa: E731
    wall = max(sum(run.seconds.values()) - run.seconds["connect"] for run in runs)
    cpu = max(sum(run.cpu_s.values()) for run in runs)
    ratio = wall / (runs[0].n_rounds * floor)
    figures = f"{runs[0].n_rounds} | {most('n_bytes') / 1e6:.1f} | {cpu:.2f} | {wall:.2f} | {ratio:.1f}"
    print(f"| {n_owners} | {n_features} | {name} | {figures} | {most('peak_mb'):.0f} |", flush=True)


def main() -> None:
    """Print the tables; sizes of 1000 features with exact edges take minutes, and are left out unless asked for."""
    _against_plain_mpyc()
    _scale(SIZES if "--all" in sys.argv else tuple(size for size in SIZES if size[1] < 1000))
