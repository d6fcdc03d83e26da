"""What privacy accounting takes, beside dp-accounting in an environment of its own where that can be installed."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hashcomb.channels import Geometric, RandomizedResponse, rqm_inputs, rqm_law
from hashcomb.privacy import Composition, compose

__all__ = ("main",)

N_FEATURES = 57
DELTA = 1e-5
PEER_VERSION = "0.6.0"

PEER = """
import json, math, sys, time
from dp_accounting.pld import privacy_loss_distribution as pld
figures = []
for p, q in json.load(sys.stdin):
    logs = [{i: math.log(x) for i, x in enumerate(law)} for law in (q, p)]
    taken = []
    for _ in range(3):
        begun = time.process_time()
        one = pld.from_two_probability_mass_functions(
            log_probability_mass_function_lower=logs[0], log_probability_mass_function_upper=logs[1],
            value_discretization_interval=1e-4, symmetric=False)
        epsilon = one.self_compose(57).get_epsilon_for_delta(1e-5)
        taken.append(time.process_time() - begun)
    figures.append([sorted(taken)[1], epsilon])
print(json.dumps(figures))
"""


def matrices() -> dict[str, np.ndarray]:
    """Return the two laws that both accountants compose; their end pairs dominate all others."""
    return {
        "randomized response, 16 leaves, epsilon 1": RandomizedResponse(1.0, 16, depth="leaf").matrix(),
        "RQM, 16 levels, q .42, Delta 4c": rqm_law(rqm_inputs(16, 2.0), 16, 0.42),
    }


def others() -> dict[str, Callable[[], Composition]]:
    """Return compositions that have no counterpart there."""
    rows = np.random.default_rng(0).dirichlet(np.full(64, 20.0), 64)
    wide = Geometric.for_epsilon(8.0, 16)
    numbers, places = RandomizedResponse(2.5, 16, depth="leaf"), RandomizedResponse(2.5, 50, depth="leaf")
    return {
        "geometric, 16 leaves, epsilon 8": lambda: compose([(wide, N_FEATURES)]),
        "any matrix, 64 symbols (4,032 pairs searched)": lambda: compose([(rows, N_FEATURES)]),
        "3 of 57 features of two kinds, 100 rounds": lambda: compose(
            [(numbers, 40), (places, 17)], reported=3, rounds=100
        ),
        "3 of 57, RQM and two kinds": lambda: compose(
            [(matrices()["RQM, 16 levels, q .42, Delta 4c"], 20), (numbers, 20), (places, 17)], reported=3
        ),
    }


def measure(make: Callable[[], Composition]) -> tuple[float, float]:
    """Return median CPU seconds of five compositions made anew, and epsilon."""
    taken, epsilon = [], 0.0
    for _ in range(5):
        begun = time.process_time()
        epsilon = make().epsilon(DELTA)
        taken.append(time.process_time() - begun)
    return statistics.median(taken), epsilon


def peer(pairs: list[list[list[float]]]) -> list[tuple[float, float]] | None:
    """Install dp-accounting in a throw-away environment; return its CPU seconds and epsilons, None without network."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "bin" / "python"
        try:
            subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
            pip = [str(python), "-m", "pip", "install", "--quiet", f"dp-accounting=={PEER_VERSION}"]
            subprocess.run(pip, check=True, capture_output=True)
            command = [str(python), "-c", PEER]
            done = subprocess.run(command, check=True, capture_output=True, text=True, input=json.dumps(pairs))
        except subprocess.CalledProcessError:
            return None
    return [(seconds, epsilon) for seconds, epsilon in json.loads(done.stdout)]


def main() -> None:
    """Print the table."""
    laws = matrices()
    theirs = peer([[law[0].tolist(), law[-1].tolist()] for law in laws.values()])
    named = f"dp-accounting {PEER_VERSION}, step 1e-4"
    print(f"\n### Tight composition of {N_FEATURES} features at delta {DELTA:g} (CPU time, median of 5)\n")
    print(f"| case | s | epsilon | {named}: s | epsilon |")
    print("|---|---:|---:|---:|---:|")
    for index, (name, law) in enumerate(laws.items()):
        seconds, epsilon = measure(lambda law=law: compose([(law, N_FEATURES)]))
        beside = f"{theirs[index][0]:.2f} | {theirs[index][1]:.6f}" if theirs else "not installed | "
        print(f"| {name} | {seconds:.2f} | {epsilon:.6f} | {beside} |")
    for name, make in others().items():
        seconds, epsilon = measure(make)
        print(f"| {name} | {seconds:.2f} | {epsilon:.6f} | | |")
