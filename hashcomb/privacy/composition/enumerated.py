"""Sums of few privacy losses, one by one: what a grid would blur."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hashcomb.privacy.composition.tails import Block

__all__ = ("MAX_SUMS", "Enumerated", "enumerated")

Floats = NDArray[np.float64]
Sums = tuple[Floats, Floats]

MAX_SUMS = 1 << 17
_UNIT = 2.0**-52  # twice what one operation in double precision can be wrong, relatively
_NOTHING = -800.0  # stands for the logarithm of 0, which bounds need not be below


class Enumerated:
    """Delta of a composition from all sums of its losses.

    Parameters
    ----------
    mass, loss : ndarray of float64, shape (n_sums,)
        Probability and sum.
    slack : float
        What rounding can have changed, as for `hashcomb.privacy.composition.dominating.Pair`.
    """

    def __init__(self, mass: Floats, loss: Floats, slack: float) -> None:
        order = np.argsort(loss)
        self._mass, self._loss, self._slack = mass[order], loss[order], slack

    def log_delta(self, epsilon: float) -> float:
        """Return the logarithm of a bound on ``E[1 - e^(epsilon - L); L finite]``, wrong by rounding only."""
        epsilon -= self._slack
        begin = int(np.searchsorted(self._loss, epsilon, side="right"))
        total = float((self._mass[begin:] * -np.expm1(epsilon - self._loss[begin:])).sum())
        return min(math.log(total) + self._slack, 0.0) if total > 0 else _NOTHING


def enumerated(blocks: Sequence[Block]) -> Enumerated | None:
    """Return all sums of losses, or None if there are more than `MAX_SUMS`."""
    if sum(block.rounds * _log_count(block) for block in blocks) > math.log(MAX_SUMS):
        return None
    sums: Sums = np.ones(1), np.zeros(1)
    for block in blocks:
        one = _of_round(block)
        for _ in range(block.rounds):
            sums = _added(sums, one)
    made = sum(block.made + sum(block.counts) for block in blocks)
    rounding = 8 * (made + 8) * (1 + float(np.abs(sums[1]).max(initial=0.0))) * _UNIT
    return Enumerated(*sums, sum(block.slack for block in blocks) + rounding)


def _log_count(block: Block) -> float:
    """Return the logarithm of a bound on the number of sums of one round; a single loss counts as two."""
    sizes = [math.log(max(len(pair.mass), 2)) for pair in block.pairs]
    if not block.partial:
        return math.fsum(count * size for count, size in zip(block.counts, sizes, strict=True))
    sets = 1 if len(sizes) == 1 else math.comb(sum(block.counts), block.chosen)
    return math.log(sets) + block.chosen * max(sizes)


def _of_round(block: Block) -> Sums:
    """Return the sums of one round: over every set of as many releases as are made, each as likely."""
    each = [pair for pair, count in zip(block.pairs, _counts(block), strict=True) for _ in range(count)]
    levels: dict[int, Sums] = {0: (np.ones(1), np.zeros(1))}  # by how many of the first k releases are made
    for k, pair in enumerate(each, 1):
        after: dict[int, Sums] = {}
        for j in range(max(0, block.chosen - len(each) + k), min(k, block.chosen) + 1):
            parts = [_scaled(levels[j], 1 - j / k)] if j in levels else []
            parts += [_scaled(_added(levels[j - 1], (pair.mass, pair.loss)), j / k)] if j - 1 in levels else []
            after[j] = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
        levels = after
    return levels[block.chosen]


def _counts(block: Block) -> tuple[int, ...]:
    return (block.chosen,) if len(block.counts) == 1 else block.counts  # it does not matter which of equal ones


def _added(first: Sums, second: Sums) -> Sums:
    return np.outer(first[0], second[0]).ravel(), np.add.outer(first[1], second[1]).ravel()


def _scaled(sums: Sums, factor: float) -> Sums:
    return sums[0] * factor, sums[1]
