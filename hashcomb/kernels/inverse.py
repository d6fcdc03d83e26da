"""Token -> leaf."""

from __future__ import annotations

from typing import Any

import numpy as np

from hashcomb.kernels.jit import kernel

Array = np.ndarray[Any, np.dtype[Any]]
u64 = np.uint64


@kernel
def find_leaves(tokens: Array, n_features: int, width: int, mask: int, keys: Array, nodes: Array, out: Array) -> None:
    """Find the node of every token, or -1.

    Open addressing with linear probing: feature ``j`` has ``width`` slots from ``j * width``, a token's home is
    ``token & mask``, a slot with node -1 is empty and ends the search. Every feature's last slot is empty.
    """
    start = u64(0)
    for _ in range(tokens.size // n_features):
        base = u64(0)
        for j in range(n_features):
            token = tokens[start + u64(j)]
            slot = base + (u64(token) & u64(mask))
            while nodes[slot] >= 0 and keys[slot] != token:
                slot += u64(1)
            out[start + u64(j)] = nodes[slot]
            base += u64(width)
        start += u64(n_features)
