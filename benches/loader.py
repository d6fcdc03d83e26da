"""Tokens through torch: a DataLoader with workers, the look-up of tokens, and the embedding.

Tokens a second are of wall time: what counts is whether a model waits for its rows. Workers are forked after compiled
kernels ran on two threads, and are kept from one epoch to the next.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benches.encode import KEY, N_FEATURES
from benches.timing import print_table, side_by_side
from hashcomb import HashComb, Spec, Uniform
from hashcomb.integrations.torch import CombEmbedding, TokenDataset, Vocabulary, collate_tokens, write_tokens

__all__ = ("main",)

DEPTH = 4
BATCH = 512
WORKERS: tuple[tuple[int, str | None], ...] = ((0, None), (2, "fork"), (2, "spawn"))


def encoded(kind: str, n_rows: int) -> Any:
    """Return tokens of rows of a standard normal distribution."""
    features = tuple(Uniform(name=f"f{j}", lo=-4.0, hi=4.0) for j in range(N_FEATURES))
    codec = HashComb(Spec(features=features, depth=DEPTH, tokens=kind), KEY, n_threads=2)
    return codec.encode(np.random.default_rng(0).normal(size=(n_rows, N_FEATURES)))


def epoch(dataset: Any, workers: int, start: str | None, **options: Any) -> Callable[[], None]:
    """Return what draws all rows of a data set once, in random order."""
    loader = DataLoader(
        dataset,
        batch_size=BATCH,
        shuffle=True,
        num_workers=workers,
        multiprocessing_context=start,
        persistent_workers=workers > 0,
        timeout=120 if workers else 0,  # a deadlock would be an error
        **options,
    )

    def draw() -> None:
        for _ in loader:
            pass

    return draw


def loaders(kind: str, n_rows: int, folder: Path) -> None:
    """Print how many tokens a second come out of loaders."""
    tokens, labels = encoded(kind, n_rows), np.arange(n_rows) % 2
    vocabulary = Vocabulary.learn(tokens)
    sources = {
        "in memory": TokenDataset(tokens, labels, vocabulary=vocabulary),
        "mapped": TokenDataset(write_tokens(folder / f"{kind}.npy", tokens, labels), vocabulary=vocabulary),
    }
    indices = torch.from_numpy(vocabulary.indices(tokens))
    plain = TensorDataset(indices, torch.from_numpy(labels))
    cases = {"TensorDataset of indices, torch's collate, 2 workers": epoch(plain, 2, "fork")}
    for name, source in sources.items():
        for workers, start in WORKERS:
            how = f"{workers} workers, {start}" if start else "no workers"
            cases[f"{name}, {how}"] = epoch(source, workers, start, collate_fn=collate_tokens)
    timed = side_by_side(cases, tokens.size, rounds=3, clock=time.perf_counter)
    title = f"DataLoader, {kind} tokens ({n_rows:,} rows, {tokens.size:,} tokens, batches of {BATCH}, wall time)"
    print_table(title, timed, "TensorDataset")


# ---------------------------------------------------------------------- look-up and embedding
class Searching(nn.Module):
    """Tokens as signed 64-bit numbers, looked up by the model: what a vocabulary in the data set spares it."""

    def __init__(self, vocabulary: Vocabulary, dim: int) -> None:
        super().__init__()
        known = [np.sort(tokens.view(np.int64)) for tokens in vocabulary.columns]
        largest = max(map(len, known))
        padded = [np.pad(tokens, (0, largest - len(tokens)), constant_values=2**63 - 1) for tokens in known]
        self.known = torch.from_numpy(np.stack(padded))
        self.starts = torch.tensor(vocabulary.starts)[:, None]
        self.table = nn.EmbeddingBag(vocabulary.n_indices + largest, dim, mode="sum")

    def forward(self, bits: Tensor) -> Tensor:
        """Embed rows of tokens, shape (n_rows, n_features)."""
        columns = bits.T.contiguous()
        place = torch.searchsorted(self.known, columns).clamp_(max=self.known.shape[1] - 1)
        found = torch.gather(self.known, 1, place) == columns
        out: Tensor = self.table((self.starts + torch.where(found, place + 1, 0)).T)
        return out


class Tables(nn.Module):
    """An nn.Embedding for each feature, summed: the plain way to write it."""

    def __init__(self, vocabulary: Vocabulary, dim: int) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(size, dim) for size in vocabulary.sizes)
        self.starts = vocabulary.starts

    def forward(self, indices: Tensor) -> Tensor:
        """Embed rows of indices, shape (n_rows, n_features)."""
        parts = [table(indices[:, j] - self.starts[j]) for j, table in enumerate(self.tables)]
        return torch.stack(parts).sum(0)


def step(module: nn.Module, rows: Tensor) -> Callable[[], None]:
    """Return a forward and a backward pass of a batch."""

    def run() -> None:
        module(rows).sum().backward()
        module.zero_grad()

    return run


def embeddings() -> None:
    """Print how long a batch takes, forward and backward."""
    tokens = encoded("leaf", 100 * BATCH)
    vocabulary, dim = Vocabulary.learn(tokens), 64
    batch = tokens[:BATCH]
    indices = torch.from_numpy(vocabulary.indices(batch))
    bits = torch.from_numpy(np.asarray(batch).view(np.int64).copy())
    embedding = CombEmbedding(vocabulary, dim, mode="sum")
    cases = {
        "CombEmbedding, indices": step(embedding, indices),
        "an nn.Embedding for each feature, indices": step(Tables(vocabulary, dim), indices),
        "64-bit tokens, searched by the model": step(Searching(vocabulary, dim), bits),
        "(indices of a batch, in the data set)": lambda: vocabulary.indices(batch),
    }
    timed = side_by_side(cases, batch.size, rounds=15, clock=time.perf_counter)
    title = f"Embedding, forward and backward (batch of {BATCH} rows, {N_FEATURES} features, {dim} numbers, one thread)"
    print_table(title, timed, "CombEmbedding")


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        loaders("leaf", 100_000, Path(folder))
        loaders("comb", 25_000, Path(folder))
    embeddings()
