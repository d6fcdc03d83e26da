"""Small networks on tokens beside one on raw standardized values, and on reports with and without their law.

Weight decay is chosen, and training ended, by the loss on a tenth of the training rows, never by test rows.
"""

from __future__ import annotations

import copy
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from torch import Tensor, nn

from benches.encode import KEY
from hashcomb import HashComb, RandomizedResponse, learn_spec
from hashcomb.integrations.torch import CombEmbedding, Vocabulary
from hashcomb.laws import laws_of
from hashcomb.rows import deal_folder, held_out, load

__all__ = ("main",)

SEEDS = (0, 1, 2)
DEPTH = 4
WIDTH = 64
DECAYS = (0.01, 0.3)
EPSILONS = (0.5, 1.0)
PATIENCE = 6


class Split:
    """Rows of one data set, those to train on and those held out."""

    def __init__(self, folder: str | None, seed: int) -> None:
        X, y = self._read(folder)
        test = held_out(X, seed)
        self.seed, self.name = seed, "breast_cancer" if folder is None else Path(folder).name
        self.train, self.test = X[~test], X[test]
        labels = torch.from_numpy(np.unique(y, return_inverse=True)[1])
        self.train_labels, self.test_labels = labels[torch.from_numpy(~test)], labels[torch.from_numpy(test)]

    @staticmethod
    def _read(folder: str | None) -> tuple[NDArray[Any], NDArray[Any]]:
        if folder is None:
            X, y = load_breast_cancer(return_X_y=True)
            return X, y
        rows = [load(files) for files in deal_folder(folder, None)]
        return np.concatenate([own.X for own in rows]), np.concatenate([own.y for own in rows])


def fit(net: nn.Module, rows: Tensor, labels: Tensor, seed: int, decay: float) -> tuple[float, nn.Module]:
    """Train a network until its loss on a tenth of the rows no longer falls; return that loss and the best network."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    aside, own = order[: len(order) // 10], order[len(order) // 10 :]
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=decay)
    best, state, waited = float("inf"), net.state_dict(), 0
    while waited < PATIENCE:
        net.train()
        for batch in own[torch.randperm(len(own), generator=generator)].split(256):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(rows[batch]), labels[batch]).backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            loss = nn.functional.cross_entropy(net(rows[aside]), labels[aside]).item()
        waited += 1
        if loss < best - 1e-4:
            best, state, waited = loss, copy.deepcopy(net.state_dict()), 0
    net.load_state_dict(state)
    return best, net


def score(first: Any, split: Split, train: Tensor, test: Tensor) -> float:
    """Return the test accuracy, in %, of a network with a first layer."""
    tail = nn.Sequential(nn.ReLU(), nn.Dropout(0.5), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 2))
    results = []
    for decay in DECAYS:
        torch.manual_seed(split.seed)
        net = nn.Sequential(first(), copy.deepcopy(tail))
        for layer in (net[1][2], net[1][4]):
            layer.reset_parameters()
        results.append(fit(net, train, split.train_labels, split.seed, decay))
    net = min(results, key=lambda result: result[0])[1]
    with torch.no_grad():
        return 100.0 * float((net(test).argmax(1) == split.test_labels).float().mean())


def on_raw(split: Split) -> float:
    """Return the accuracy on standardized values."""
    center, width = split.train.mean(axis=0), split.train.std(axis=0) + 1e-12
    train, test = (torch.from_numpy((X - center) / width).float() for X in (split.train, split.test))
    return score(lambda: nn.Linear(train.shape[1], WIDTH), split, train, test)


def on_tokens(split: Split, kind: str) -> float:
    """Return the accuracy on deterministic tokens."""
    codec = HashComb(learn_spec(split.train, depth=DEPTH, tokens=kind), KEY)
    tokens = codec.encode(split.train)
    return _on(split, Vocabulary.learn(tokens), tokens, codec.encode(split.test))


def on_reports(split: Split, epsilon: float, aware: bool) -> float:
    """Return the accuracy on clean rows of a network that was trained on reports."""
    codec = HashComb(learn_spec(split.train, depth=DEPTH, channel=RandomizedResponse(epsilon)), KEY)
    reports = codec.encode(split.train, seed=split.seed)
    vocabulary = Vocabulary.learn(reports, laws=laws_of(reports) if aware else None)
    return _on(split, vocabulary, reports, codec.encode_clean(split.test))


def _on(split: Split, vocabulary: Vocabulary, train: Any, test: Any) -> float:
    rows, held = (torch.from_numpy(vocabulary.indices(tokens)) for tokens in (train, test))
    return score(lambda: CombEmbedding(vocabulary, WIDTH, mode="sum"), split, rows, held)


def _listed(values: list[float]) -> str:
    return f"{np.mean(values):.2f} ({', '.join(f'{value:.2f}' for value in values)})"


def _table(folder: str | None) -> None:
    splits = [Split(folder, seed) for seed in SEEDS]
    print(f"\n### {splits[0].name}: test accuracy, %, mean (seeds {', '.join(map(str, SEEDS))})\n")
    print("| network on | accuracy |\n|---|---|")
    print(f"| raw standardized values | {_listed([on_raw(split) for split in splits])} |", flush=True)
    for kind, name in (("leaf", "leaf tokens"), ("comb", "tokens of all levels")):
        print(f"| {name}, depth {DEPTH} | {_listed([on_tokens(split, kind) for split in splits])} |", flush=True)
    for epsilon in EPSILONS:
        for aware in (False, True):
            how = "aware of the channel" if aware else "as if true"
            found = _listed([on_reports(split, epsilon, aware) for split in splits])
            print(f"| reports, epsilon {epsilon} a feature, {how}; tested on clean rows | {found} |", flush=True)


def main() -> None:
    """Print a table for breast_cancer, or for each folder of ``owner-*.csv`` that follows ``--data``."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    folders = sys.argv[sys.argv.index("--data") + 1 :] if "--data" in sys.argv else [None]
    for folder in folders:
        _table(folder)
