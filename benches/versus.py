"""hashcomb beside other packages, each in an environment of its own, and all beside the machine's copying of memory.

Every case is a process that loads the same rows, times itself on one thread, and times ``np.copyto`` of the rows in
turn with it: so each figure is a ratio to what the machine could do in that second, and the ratio of two such
ratios compares two packages. Peers that are slow get fewer rows; all is counted by value.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import dropwhile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benches.versus_environment import Environment, NotMeasured, run_case

__all__ = ("main",)

N_ROWS, N_FEATURES = 200_000, 57
KEPT = Path(__file__).with_name("results") / "versus"


class Case(NamedTuple):
    """A row of the table: what runs, what it does, and which of our cases does the same."""

    case: str
    name: str
    does: str
    like: str = ""


OURS = (
    Case("leaf", "hashcomb, uniform combs, depth 8", "bins and hashes under a key"),
    Case("leaf-reused", "the same, `out=` reused", "bins and hashes under a key"),
    Case("leaf-quantile", "hashcomb, quantile combs, depth 8", "bins and hashes under a key"),
    Case("leaf-quantile-reused", "the same, `out=` reused", "bins and hashes under a key"),
    Case("randomized", "hashcomb, randomized response, depth 4", "bins, randomizes, hashes under a key"),
    Case("last-head", "hashcomb, last head, depth 4", "bins, takes a random level, hashes under a key"),
)
SKLEARN = "scikit-learn==1.9.1"
PEERS: dict[Environment, tuple[Case, ...]] = {
    Environment("hashcomb", ("hashcomb==1.0.0",)): (
        Case("papers", "PyPI `hashcomb`, `Encoder(8)`", "bins and hashes, no key", "leaf"),
        Case("papers-randomized", "PyPI `hashcomb`, `RandomizedEncoder(4)`", "random level, no key", "last-head"),
    ),
    Environment("scikit-learn", (SKLEARN,)): (
        Case("kbins-uniform", "`KBinsDiscretizer`, uniform, 256 bins", "only bins", "leaf"),
        Case("kbins-quantile", "`KBinsDiscretizer`, quantile, 256 bins", "only bins", "leaf-quantile"),
        Case("feature-hasher", "`FeatureHasher`", "only hashes text, no key", "leaf"),
    ),
    Environment("category_encoders", ("category_encoders==2.11.2", SKLEARN)): (
        Case("hashing-encoder", "`HashingEncoder`", "only hashes bins (MD5, 8 columns), no key", "leaf"),
    ),
    Environment(
        "pure-ldp",
        ("pure-ldp==1.2.0", SKLEARN, "statsmodels==0.15.0", "xxhash==3.8.2"),
        "imports scikit-learn and statsmodels, which it does not ask for; its local hashing needs xxhash below 4",
    ): (
        Case("direct-encoding", "pure-ldp, direct encoding", "only randomizes, same law", "randomized"),
        Case("local-hashing", "pure-ldp, local hashing", "only hashes and randomizes, same epsilon", "randomized"),
    ),
    Environment(
        "diffprivlib", ("diffprivlib==0.6.6", "scikit-learn==1.8.0"), "does not import beside scikit-learn 1.9"
    ): (Case("laplace", "diffprivlib, `Laplace`", "only adds noise, same epsilon", "randomized"),),
}


@contextlib.contextmanager
def place_for(keep: bool) -> Iterator[Path]:
    """Give a folder for environments: one that goes with the block, however that ends, or the one that is kept."""
    if keep:
        KEPT.mkdir(parents=True, exist_ok=True)
        yield KEPT
        return
    with tempfile.TemporaryDirectory(prefix="hashcomb-versus-") as folder:
        yield Path(folder)


def write_rows(folder: Path, n_rows: int) -> Path:
    """Write rows of a standard normal distribution, within the range of all cases."""
    rows = np.random.default_rng(0).normal(size=(n_rows, N_FEATURES)).clip(-3.99, 3.99)
    path = folder / "rows.npy"
    np.save(path, rows)
    return path


def print_row(case: Case, measured: dict[str, Any], ours: dict[str, float]) -> None:
    """Print a row of the table."""
    slower = f"{measured['ratio'] / ours[case.like]:,.1f}" if case.like in ours else ""
    peak = "" if measured["peak_bytes"] is None else f"{measured['peak_bytes']:.0f}"
    rate = measured["values_per_s"]
    print(
        f"| {case.name} | {case.does} | {measured['n_rows']:,} | {rate / 1e6:,.3g} | {measured['ratio']:,.4g} "
        f"| {slower} | {peak} |",
        flush=True,
    )


def run_cases(python: Path, cases: Sequence[Case], rows: Path, ours: dict[str, float]) -> list[dict[str, Any]]:
    """Run cases one after the other and print a row for each; return what was measured."""
    found = []
    for case in cases:
        try:
            measured = run_case(python, case.case, rows)
        except NotMeasured as error:
            print(f"| {case.name} | not measured: {error} | | | | | |", flush=True)
            continue
        if not case.like:
            ours[case.case] = measured["ratio"]
        print_row(case, measured, ours)
        found.append(measured)
    return found


def main() -> None:
    """Print the table, and below it what ran."""
    parser = argparse.ArgumentParser(prog="python -m benches versus")
    parser.add_argument("--keep", action="store_true", help=f"keep the environments under {KEPT.parent.name}/")
    parser.add_argument("--only", nargs="*", choices=[peer.name for peer in PEERS], help="only these peers")
    parser.add_argument("--rows", type=int, default=N_ROWS, help=f"rows at most (default {N_ROWS:,})")
    asked = parser.parse_args(list(dropwhile(lambda word: not word.startswith("-"), sys.argv[1:])))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that folders go then too, as they do on Ctrl-C
    print(f"\n### Beside other packages ({N_FEATURES} features, float64, one thread, CPU time)\n")
    print("| what | does | rows | million values/s | times np.copyto | slower than ours | peak bytes a value |")
    print("|---|---|---:|---:|---:|---:|---:|", flush=True)
    with place_for(asked.keep) as folder, tempfile.TemporaryDirectory(prefix="hashcomb-rows-") as data:
        rows, ours, notes = write_rows(Path(data), asked.rows), dict[str, float](), []
        measured = run_cases(Path(sys.executable), OURS, rows, ours)
        for peer, cases in PEERS.items():
            if asked.only is not None and peer.name not in asked.only:
                continue
            try:
                found = run_cases(peer.make(folder), cases, rows, ours)
            except NotMeasured as error:
                print(f"| {peer.name} | not installed: {error} | | | | | |", flush=True)
                continue
            measured += found
            notes += [f"- {peer.name}: {', '.join(one['packages'])}" for one in found[:1]]
            notes += [f"- {peer.name} took more than pip: it {peer.took}"] if peer.took else []
    print_notes(measured, notes)


def print_notes(measured: Sequence[dict[str, Any]], notes: Sequence[str]) -> None:
    """Print how fast memory was meanwhile, and what was installed."""
    if measured:
        speeds = [case["copy_gb_s"] for case in measured]
        print(f"\nnp.copyto, read and written: {min(speeds):.1f} to {max(speeds):.1f} GB/s over the cases")
    print("\nInstalled from PyPI for this run:", *notes, sep="\n")
