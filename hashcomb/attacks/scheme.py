"""What an attacker knows of how rows are encoded: the Spec, its channel, and the law of every report."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hashcomb.channels import Channel, channels_of, reported_features
from hashcomb.channels.randomizer import Randomizer, n_slots, reports_leaves
from hashcomb.spec import Spec

__all__ = ("MAX_LAW", "Scheme")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_LAW = 1 << 10  # symbols of a channel whose matrix is looked at


class Scheme:
    """A Spec as an attacker reads it, who can also send rows of its own through the channel.

    Parameters
    ----------
    spec : Spec
        The combs, the channel, the kind of tokens.
    seed : int, optional
        Makes the channel's randomness repeatable.
    """

    def __init__(self, spec: Spec, seed: int | None) -> None:
        self.spec, self.channels = spec, channels_of(spec)
        self.rng = np.random.default_rng(seed)

    # ------------------------------------------------------------------ the numbers of things
    @property
    def own_reports(self) -> bool:
        """Whether tokens stand for reports that are no leaves."""
        return self.channels is not None and not reports_leaves(self.channels)

    @property
    def level(self) -> int:
        """Finest level of the tokens; 0 for reports that are no leaves."""
        return 0 if self.own_reports else self.spec.levels[-1]

    @property
    def shift(self) -> int:
        """Levels between the leaf and the token."""
        return self.spec.depth - self.spec.levels[-1]

    @property
    def n_nodes(self) -> int:
        """Nodes of the level that is named."""
        return 1 << self.spec.levels[-1]

    @property
    def blank(self) -> int:
        """Number of the report that stands for a missing value or an unreported feature, before `shift`."""
        return self.spec.n_leaves if self.channels is None else n_slots(self.channels, self.spec.n_leaves)

    # ------------------------------------------------------------------ what the channel does
    def report(self, leaves: NDArray[np.int32]) -> NDArray[np.int32]:
        """Send leaves through the Spec's channel with fresh randomness, as encoding does."""
        if self.channels is None:
            return leaves
        choice = self._words(leaves.shape) if self._randomizer.some else None
        return self._randomizer.reports(leaves, self._words(leaves.shape), choice)

    @cached_property
    def _randomizer(self) -> Randomizer:
        assert self.channels is not None
        spec = self.spec
        return Randomizer(self.channels, spec.used_leaves, spec.n_leaves, reported_features(spec))

    def _words(self, shape: tuple[int, ...]) -> NDArray[np.uint64]:
        return self.rng.integers(0, 1 << 64, shape, dtype=np.uint64)  # these tokens never leave: no secret is needed

    # ------------------------------------------------------------------ what is known of it
    @cached_property
    def laws(self) -> list[Floats | None] | None:
        """Law of the encoded report for each symbol, by feature, shape (n_symbols, n_reports).

        None for a feature whose report is its node; None for all where a channel is too large to look at.
        """
        if self.channels is None:
            return [None] * len(self.spec.features)
        if any((channel.n_symbols or 0) > MAX_LAW for channel in self.channels):
            return None
        known = {id(channel): self._law(channel) for channel in self.channels}
        return [known[id(channel)] for channel in self.channels]

    def _law(self, channel: Channel) -> Floats:
        matrix, share = channel.matrix(), reported_features(self.spec) / len(self.spec.features)
        n_values = channel.n_reports - channel.has_missing
        law = np.zeros((len(matrix), self.blank + 1))
        law[:, :n_values] = share * matrix[:, :n_values]
        law[:, -1] = 1 - share
        if channel.has_missing:
            law[:, -1] += share * matrix[:, -1]
        nodes = np.arange(law.shape[1]) >> self.shift
        return law @ np.eye(int(nodes[-1]) + 1)[nodes] if self.shift else law

    def symbols(self, leaves: NDArray[np.int32]) -> Ints:
        """Return leaves as rows of `laws`, missing values behind the last leaf in use; without a channel, nodes."""
        if self.channels is None:
            return (leaves >> self.shift).astype(np.int64)
        return np.asarray(np.minimum(leaves, np.array(self.spec.used_leaves)), dtype=np.int64)

    def report_symbols(self, symbols: Ints) -> Ints:
        """Return fresh reports of symbols, as columns of `laws`."""
        if self.channels is None:
            return symbols
        leaves = np.where(symbols < np.array(self.spec.used_leaves), symbols, self.spec.n_leaves)
        return (self.report(leaves.astype(np.int32)) >> self.shift).astype(np.int64)
