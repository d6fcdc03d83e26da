"""A small torch network on values, or on tokens through `CombEmbedding`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb.evidence.encodings import BY_LAW, Encoded
from hashcomb.integrations import require

require("torch", "torch")  # before the modules below import it plainly, so that its types are known

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from hashcomb.integrations.torch import CombEmbedding, Vocabulary  # noqa: E402

__all__ = ("network_accuracy",)

WIDTH = 64
DECAYS = (0.01, 0.3)
PATIENCE = 6
BATCH = 256
MAX_EPOCHS = 200

Layer = Callable[[], nn.Module]


def network_accuracy(
    rows: Encoded, y: NDArray[np.int64], y_test: NDArray[np.int64], representation: str | None, seed: int
) -> float:
    """Train networks with two weight decays, and return the share of test rows that the better one names rightly.

    Which one is better, and when training ends, is told by the loss on a tenth of the training rows.

    Parameters
    ----------
    rows : Encoded
        Values or tokens.
    y, y_test : ndarray of int64, shape (n_rows,)
        Labels from 0.
    representation : str or None
        How the network is fed; None for values. By the law, reports embed as the mean of what may be behind them.
    seed : int
        Of the network's start and of the order of rows.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            first, train, test = _inputs(rows, representation)
            labels = torch.from_numpy(np.ascontiguousarray(y))
            trained = [_trained(first, train, labels, seed, decay) for decay in DECAYS]
            net = min(trained, key=lambda one: one[0])[1]
            with torch.no_grad():
                return float((net(test).argmax(1).numpy() == y_test).mean())
    finally:
        torch.set_num_threads(n_threads)


def _inputs(rows: Encoded, representation: str | None) -> tuple[Layer, Tensor, Tensor]:
    """Return what makes the first layer, and training and test rows as it takes them."""
    if representation is None:
        center, width = rows.train.mean(axis=0), rows.train.std(axis=0)
        width = np.where(width > 0, width, 1.0)
        train, test = (torch.from_numpy(((X - center) / width).astype(np.float32)) for X in (rows.train, rows.test))
        return lambda: nn.Linear(train.shape[1], WIDTH), train, test
    vocabulary = Vocabulary.learn(rows.train, laws=rows.laws if representation == BY_LAW else None)
    train, test = (torch.from_numpy(vocabulary.indices(tokens)) for tokens in (rows.train, rows.test))
    return lambda: CombEmbedding(vocabulary, WIDTH, mode="sum"), train, test


def _trained(first: Layer, rows: Tensor, labels: Tensor, seed: int, decay: float) -> tuple[float, nn.Module]:
    """Train until the loss on a tenth of the rows no longer falls; return that loss and the network that had it."""
    torch.manual_seed(seed)
    n_classes = int(labels.max()) + 1
    tail = (nn.ReLU(), nn.Dropout(0.5), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, n_classes))
    net = nn.Sequential(first(), *tail)
    order = torch.randperm(len(labels))
    aside, own = order[: len(order) // 10], order[len(order) // 10 :]
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=decay)
    best, state, waited = float("inf"), net.state_dict(), 0
    for _ in range(MAX_EPOCHS):
        _epoch(net, optimizer, rows, labels, own)
        loss = _loss(net, rows[aside], labels[aside])
        waited += 1
        if loss < best - 1e-4:
            best, state, waited = loss, copy.deepcopy(net.state_dict()), 0
        if waited == PATIENCE:
            break
    net.load_state_dict(state)
    return best, net.eval()


def _epoch(net: nn.Module, optimizer: Any, rows: Tensor, labels: Tensor, own: Tensor) -> None:
    net.train()
    for batch in own[torch.randperm(len(own))].split(BATCH):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(rows[batch]), labels[batch]).backward()
        optimizer.step()


def _loss(net: nn.Module, rows: Tensor, labels: Tensor) -> float:
    net.eval()
    with torch.no_grad():
        return float(nn.functional.cross_entropy(net(rows), labels))
