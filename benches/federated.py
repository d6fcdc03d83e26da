"""Ten clients train together in Flower's simulation: raw FedAvg beside tokens, tokens with a channel, and RQM in sums.

``python -m benches federated --data DIR`` takes a folder of ``owner-*.csv``, last column the label; without it, the
rows of scikit-learn's breast_cancer are dealt to ten clients. ``--seeds``, ``--rounds`` and ``--figure FILE`` choose
the rest. All seeds and both models travel in one run, as tensors of one model; epsilon is that of one logistic
regression. The target of the table of rounds is stated beforehand: one point below what raw FedAvg has after the last
round, seed by seed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import logging
import os
import statistics
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benches.federated_models import MODELS
from hashcomb.reporting.drawing import STYLE, draw_ends, mpl, new_axes, save_figure

__all__ = ("main",)

BELOW_RAW = 0.01  # how far below raw FedAvg's last round the target is, as a share of the held-out rows


def _table(arms: list[Any], model: str, rounds: int) -> None:
    shown = [arm for arm in arms if model in arm.curves]
    print(f"\n### {model}: accuracy on held-out rows, %, mean over seeds (in brackets the spread of the last round)\n")
    print("| round |" + "".join(f" {arm.name} |" for arm in shown))
    print("|---:|" + "---:|" * len(shown))
    for number in range(rounds):
        means = [100 * statistics.fmean(curve[number] for curve in arm.curves[model]) for arm in shown]
        last = number == rounds - 1
        spreads = [[100 * curve[number] for curve in arm.curves[model]] for arm in shown]
        cells = [
            f"{mean:.2f}" + (f" ({min(s):.1f} to {max(s):.1f})" if last else "")
            for mean, s in zip(means, spreads, strict=True)
        ]
        print(f"| {number + 1} | " + " | ".join(cells) + " |")
    raw = [curve[-1] for curve in shown[0].curves[model]]
    for arm in shown[1:]:
        apart = [100 * (curve[-1] - own) for curve, own in zip(arm.curves[model], raw, strict=True)]
        print(f"\n{arm.name} minus raw: {statistics.fmean(apart):+.2f} points", end="")
    print()


def _first_round(curve: list[float], target: float) -> int | None:
    """Return the first round, from 1, after which the accuracy is not below the target; None if there is none."""
    return next((number for number, accuracy in enumerate(curve, 1) if accuracy >= target), None)


def _rounds(arms: list[Any], rounds: int) -> None:
    """Print in which round each arm first has the accuracy of raw FedAvg's last round minus one point."""
    print("\n### Rounds until the accuracy of raw FedAvg's last round minus one point, seed by seed (mean)\n")
    print("| |" + "".join(f" {model} |" for model in MODELS) + "\n|---|" + "---|" * len(MODELS))
    for arm in arms:
        cells = []
        for model in MODELS:
            curves = zip(arm.curves.get(model, []), arms[0].curves[model], strict=False)
            found = [_first_round(own, raw[-1] - BELOW_RAW) for own, raw in curves]
            listed = ", ".join(f"not within {rounds}" if one is None else str(one) for one in found) or "not run"
            reached = [one for one in found if one is not None]
            cells.append(
                listed + (f" ({statistics.fmean(reached):.1f})" if found and len(reached) == len(found) else "")
            )
        print(f"| {arm.name} | " + " | ".join(cells) + " |")


def _bytes(arms: list[Any], delta: float) -> None:
    print(f"\n### A client's messages in a round, bytes for each parameter; epsilon of a client at delta {delta:g}\n")
    print("| | sends | gets | epsilon of one logistic regression, all rounds |\n|---|---:|---:|---|")
    for arm in arms:
        print(f"| {arm.name} | {arm.up:.1f} | {arm.down:.1f} | {arm.privacy} |")


def _draw(arms: list[Any], file: str) -> None:
    colors = ("#1d2733", "#2a78b5", "#c8553d", "#4f8a3c")
    with mpl.rc_context(STYLE):
        figure, axes = new_axes(names=True)
        ends = []
        for arm, color in zip(arms, colors, strict=False):
            curve = 100 * np.mean(arm.curves["logistic"], axis=0)
            axes.plot(np.arange(1, len(curve) + 1), curve, color=color, marker="o", markersize=3)
            ends.append((arm.name, float(curve[-1]), color))
        axes.set(xlabel="round", ylabel="held-out accuracy, %", xlim=(0.5, len(curve) + 0.2))
        axes.xaxis.get_major_locator().set_params(integer=True)
        draw_ends(axes, ends)
        save_figure(figure, file)
    print(f"\nThe curves of logistic regression are in {file}.")


@contextlib.contextmanager
def _flower() -> Iterator[Any]:
    """Keep Flower from calling home, from writing into the user's home, and from logging every message."""
    with tempfile.TemporaryDirectory() as home, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.environ |= {"FLWR_HOME": home, "FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}
        arms = importlib.import_module("benches.federated_arms")  # Flower reads these when it is imported
        logging.getLogger("flwr").setLevel(logging.ERROR)
        yield arms


def main() -> None:
    """Print the tables, and draw the curves if asked for."""
    parser = argparse.ArgumentParser(prog="benches federated", description=__doc__)
    parser.add_argument("--data", default="")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--figure", default="")
    options, _ = parser.parse_known_args(sys.argv[1:])
    with _flower() as flower:
        data = options.data and str(Path(options.data).resolve())
        arms = flower.all_arms(flower.Task(data, tuple(range(options.seeds)), options.rounds))
    for name in MODELS:
        _table(arms, name, options.rounds)
    _rounds(arms, options.rounds)
    _bytes(arms, flower.DELTA)
    if options.figure:
        _draw(arms, options.figure)
