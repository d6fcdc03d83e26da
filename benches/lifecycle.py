"""A model's life: trained on tokens, shipped, scored elsewhere, and trained again after the owners have agreed anew.

    python -m benches lifecycle --data DIR [DIR ...] [--seeds 5] [--depth 4]

Half of the owners train a network on tokens under Spec 1 and Key 1. What is shipped is its ``state_dict``: weights and
the vocabulary of tokens, no Key, tensors alone (``torch.load(weights_only=True)``). The other owners score it on their
own rows. Then all agree anew: edges from the rows of all, another Key. Tokens of the first half are migrated, those of
the second are encoded, and the network is trained on both; beside it one that is trained on all rows encoded again.
Tests are on distinct rows that nobody trained on. Without ``--data``, ten owners share scikit-learn's breast_cancer.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hashcomb import HashComb, Key, Migration, learn_spec
from hashcomb.errors import FingerprintError
from hashcomb.evidence.data import DataSet, bundled, from_folder
from hashcomb.evidence.splits import trained_and_tested
from hashcomb.integrations.torch import CombEmbedding, Vocabulary

__all__ = ("main",)

KEYS = Key(bytes(range(32))), Key(bytes(range(1, 33)))
HIDDEN, STEPS, BATCH = 32, 500, 64  # so many batches, however many rows

STATIONS = (
    "trained on tokens of half of the owners, Spec 1",
    "  shipped, scored on the other owners' rows that are new to it",
    "  given tokens under Key 2 whose header was taken off",
    "trained again, Spec 1 and Key 2: migrated (exactly) + new tokens",
    "trained again, Spec 2 and Key 2: migrated (approximately) + new tokens",
    "trained again, Spec 2 and Key 2: all rows encoded again",
)


def _network(vocabulary: Vocabulary | None, n_classes: int) -> Any:
    return nn.Sequential(CombEmbedding(vocabulary, HIDDEN, mode="sum"), nn.ReLU(), nn.Linear(HIDDEN, n_classes))


def _train(tokens: Any, y: NDArray[Any], seed: int) -> Any:
    torch.manual_seed(seed)
    vocabulary = Vocabulary.learn(tokens)
    net = _network(vocabulary, int(y.max()) + 1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.002)
    indices, labels = torch.from_numpy(vocabulary.indices(tokens)), torch.from_numpy(y.astype(np.int64))
    for _ in range(STEPS):
        batch = torch.randint(len(labels), (BATCH,))
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(indices[batch]), labels[batch]).backward()
        optimizer.step()
    return net


def _score(net: Any, tokens: Any, y: NDArray[Any]) -> float:
    """Return the accuracy in percent; raise `FingerprintError` if the tokens are not those that the model knows."""
    with torch.no_grad():
        named = net(torch.from_numpy(net[0].vocabulary.indices(tokens))).argmax(1).numpy()
    return 100.0 * float((named == y).mean())


def _ship(net: Any, n_classes: int) -> Any:
    """Save a model, and return what somebody else loads."""
    with tempfile.TemporaryDirectory() as folder:
        torch.save(net.state_dict(), Path(folder) / "net.pt")
        loaded = _network(None, n_classes)
        loaded.load_state_dict(torch.load(Path(folder) / "net.pt", weights_only=True))
    return loaded


def _life(data: DataSet, depth: int, seed: int) -> Iterator[float]:
    """Yield the accuracy at each station, and the shares of tokens that straddle and that came out otherwise."""
    X, y, n_owners = data.X, data.y, int(data.owner.max()) + 1
    train, test = trained_and_tested(data, "random", seed)
    begun = np.isin(data.owner, np.random.default_rng(seed).permutation(n_owners)[: n_owners // 2])
    early, late = train & begun, train & ~begun
    both = early | late
    one = HashComb(learn_spec(X[early], depth=depth), KEYS[0])
    kept = HashComb(one.spec, KEYS[1])
    two = HashComb(learn_spec(X[both], depth=depth), KEYS[1])
    old = one.encode(X[early])
    first = _train(old, y[early], seed)
    yield _score(first, one.encode(X[test]), y[test])
    shipped = _ship(first, int(y.max()) + 1)
    unseen = late & ~np.isin(data.row, data.row[early])  # owners have rows in common
    yield _score(shipped, one.encode(X[unseen]), y[unseen])
    try:
        _score(shipped, kept.encode(X[test]), y[test])
        raise AssertionError("tokens under another Key were scored")
    except FingerprintError:
        yield _score(shipped, np.asarray(kept.encode(X[test])), y[test])
    labels, moved = np.concatenate([y[early], y[late]]), {}
    for codec in (kept, two):
        moved[codec] = Migration(one, codec).apply(old, approximate=codec is two)
        yield _score(
            _train(np.concatenate([moved[codec], codec.encode(X[late])]), labels, seed), codec.encode(X[test]), y[test]
        )
    again = np.concatenate([two.encode(X[early]), two.encode(X[late])])
    yield _score(_train(again, labels, seed), two.encode(X[test]), y[test])
    report = Migration(one, two).report
    yield 100 * sum(feature.straddling for feature in report) / sum(feature.tokens for feature in report)
    yield 100 * float((moved[two] != again[: len(old)]).mean())


def _table(data: DataSet, depth: int, n_seeds: int) -> None:
    found = [list(_life(data, depth, seed)) for seed in range(n_seeds)]
    columns = list(zip(*found, strict=True))
    print(f"\n### {data.name}: {len(data.X)} rows, {data.X.shape[1]} features, depth {depth}, {n_seeds} seeds\n")
    print("| station | accuracy, %, mean | lowest to highest |\n|---|---:|---|")
    for station, scores in zip(STATIONS, columns, strict=False):
        print(f"| {station} | {np.mean(scores):.2f} | {min(scores):.1f} to {max(scores):.1f} |")
    apart = np.subtract(columns[4], columns[5])
    listed = ", ".join(f"{one:+.2f}" for one in apart)
    spread = np.std(apart, ddof=1) if n_seeds > 1 else float("nan")
    print(f"\nMigrated minus encoded again: {apart.mean():+.2f} ± {spread:.2f} points ({listed}).")
    print(
        f"Tokens under Key 2 were refused by the old model at all {n_seeds} seeds, before their header was taken off."
    )
    print(f"Leaves of Spec 1 that straddle a cut of Spec 2: {np.mean(columns[6]):.1f} %; ", end="")
    print(f"tokens that came out otherwise than encoded again: {np.mean(columns[7]):.1f} %.", flush=True)


def main() -> None:
    """Print a table for breast_cancer, or for each folder of ``owner-*.csv`` that follows ``--data``."""
    parser = argparse.ArgumentParser(prog="python -m benches lifecycle")
    parser.add_argument("--data", nargs="+", default=[None])
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args(sys.argv[sys.argv.index("lifecycle") + 1 :] if "lifecycle" in sys.argv else [])
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for folder in options.data:
        _table(bundled("breast_cancer") if folder is None else from_folder(folder), options.depth, options.seeds)


if __name__ == "__main__":
    main()
