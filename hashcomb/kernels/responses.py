"""Randomization of leaves from secret random words."""

from __future__ import annotations

from typing import Any

import numpy as np

from hashcomb.kernels.jit import kernel

Array = np.ndarray[Any, np.dtype[Any]]
u32, u64, i32 = np.uint32, np.uint64, np.int32


@kernel
def randomized_response(leaves: Array, words: Array, keep: int, n_symbols: int, out: Array) -> None:
    """Keep a leaf if the high half of its word is below ``keep``; else report leaf ``low half * n_symbols >> 32``."""
    for i in range(leaves.size):
        word = words[i]
        other = i32(((word & u64(0xFFFFFFFF)) * u64(n_symbols)) >> u64(32))
        out[i] = leaves[i] if (word >> u64(32)) < u64(keep) else other
