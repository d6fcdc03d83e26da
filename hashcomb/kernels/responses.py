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


@kernel
def table_reports(symbols: Array, words: Array, bits: int, thresholds: Array, aliases: Array, out: Array) -> None:
    """Draw a report for every symbol from its row of a table (Walker's aliases).

    Of a word without its lowest two bits, the highest ``bits`` choose a slot of the row, and the others decide: below
    the slot's threshold the report is the slot's number, else the slot's alias.
    """
    mask = (u64(1) << u64(62 - bits)) - u64(1)
    for i in range(symbols.size):
        word = words[i] >> u64(2)
        slot = i32(word >> u64(62 - bits))
        at = (symbols[i] << bits) + slot
        out[i] = slot if (word & mask) < thresholds[at] else aliases[at]
