"""Which encodings are attacked, and in which order."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from hashcomb.channels import Channel, LastHead, RandomizedResponse, SquareWave
from hashcomb.errors import DataDependentSpecWarning
from hashcomb.evidence.data import DataSet
from hashcomb.learn import learn_spec
from hashcomb.spec import Spec

__all__ = ("ENCODINGS", "VERSION", "AttackCell", "AttackKey", "Encoded", "planned_attacks")

# Of the definitions: to be raised when an encoding or a measure of the same name gives another figure.
VERSION = "1"
EPSILONS = (0.1, 1.0, 2.0, 4.0)
HEADS = 0.5  # of the paper's rule, for which its code has no other default

AttackKey = tuple[str, int, str]


class Encoded(msgspec.Struct, frozen=True, kw_only=True):
    """How rows are encoded that are attacked.

    Attributes
    ----------
    name : str
        What it is called in tables.
    edges : {"quantile", "uniform"}
        Kind of combs.
    depth : int
        Their levels.
    tokens : {"leaf", "comb"}
        Whether tokens are of the leaves, or of all levels.
    channel : Channel, optional
        Randomizer of leaves.
    epsilon : float, optional
        What it was asked for, for one feature.
    """

    name: str
    edges: Literal["quantile", "uniform"] = "quantile"
    depth: int = 4
    tokens: Literal["leaf", "comb"] = "leaf"
    channel: Channel | None = None
    epsilon: float | None = None

    def spec(self, X: NDArray[np.float64]) -> Spec:
        """Learn the Spec from the rows that are attacked, as their owners would agree on it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataDependentSpecWarning)  # nothing leaves: it is for the measurement
            return learn_spec(X, depth=self.depth, edges=self.edges, channel=self.channel, tokens=self.tokens)


class AttackCell(msgspec.Struct, frozen=True, kw_only=True):
    """One data set under one encoding, attacked once.

    Attributes
    ----------
    data : str
        Name of the data set.
    encoding : str
        Name of the encoding.
    seed : int
        Seed of the choice of rows, of noise and of models.
    """

    data: str
    encoding: str
    seed: int

    @property
    def key(self) -> AttackKey:
        """What tells a cell from all others."""
        return (self.data, self.seed, self.encoding)

    def __str__(self) -> str:
        return f"{self.data}, seed {self.seed}, {self.encoding}"


def planned_attacks(data: Sequence[DataSet], n_seeds: int) -> list[AttackCell]:
    """Return the cells of a run; all of seed 0 comes first, which says something of everything."""
    return [
        AttackCell(data=one.name, encoding=name, seed=seed)
        for seed in range(n_seeds)
        for one in data
        for name in ENCODINGS
    ]


def _responses(where: str, **parameters: Any) -> list[Encoded]:
    """Return randomized response at every epsilon."""
    return [
        Encoded(
            name=f"{where}, epsilon {epsilon:g}", channel=RandomizedResponse(epsilon, **parameters), epsilon=epsilon
        )
        for epsilon in EPSILONS
    ]


_ALL = (
    Encoded(name="quantile, depth 4"),
    Encoded(name="uniform, depth 4", edges="uniform"),
    Encoded(name="uniform, depth 4, all levels", edges="uniform", tokens="comb"),
    *_responses("randomized response"),
    *_responses("randomized response over 16 leaves", depth="leaf"),
    Encoded(name="square wave, epsilon 2", channel=SquareWave(2.0), epsilon=2.0),
    Encoded(name="last head (uniform), p 0.5", edges="uniform", channel=LastHead(HEADS)),
    Encoded(name="quantile, depth 8", depth=8),  # takes longest
)
ENCODINGS = {one.name: one for one in _ALL}
