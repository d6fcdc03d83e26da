"""From true leaves to reports, with secret random words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hashcomb.channels.channel import Channel

__all__ = ("Randomizer", "n_slots", "reports_leaves", "select")


class Randomizer:
    """Sends leaves through the channels of their features.

    Parameters
    ----------
    channels : sequence of Channel
        One for each feature, as from `channels_of`.
    used : sequence of int
        How many leaves each feature can fill.
    n_leaves : int
        Leaves of a comb; the leaf of missing values has this number.
    n_reported : int
        How many features of a record are reported.

    Attributes
    ----------
    some : bool
        Whether that is not all of them, so that words for the choice are needed.
    """

    def __init__(self, channels: Sequence[Channel], used: Sequence[int], n_leaves: int, n_reported: int) -> None:
        self._channels, self._used = channels, used
        self._last = n_slots(channels, n_leaves)
        self._n_reported, self.some = n_reported, n_reported < len(channels)
        first = channels[0]
        whole_comb = not first.has_missing or (used[0] == n_leaves and first.n_reports == self._last + 1)
        # One channel serves all features, and the numbers of its reports are the slots already.
        self._shared = all(channel is first for channel in channels) and whole_comb

    def reports(
        self, leaves: NDArray[np.int32], words: NDArray[np.uint64], choice: NDArray[np.uint64] | None
    ) -> NDArray[np.int32]:
        """Return what is reported of leaves.

        Parameters
        ----------
        leaves : ndarray of int32, shape (n_rows, n_features)
            What to randomize.
        words : ndarray of uint64, shape (n_rows, n_features)
            One secret random word each.
        choice : ndarray of uint64, shape (n_rows, n_features), or None
            Further words where only some features are reported.

        Returns
        -------
        ndarray of int32, shape (n_rows, n_features)
            Reports; `n_slots` for those that stand for missing values, and for features that are not reported.

        Notes
        -----
        Privacy: each report has its channel's epsilon; features have words of their own, so a record has at most
        the sum of them.
        """
        reported = self._channels[0].sample(leaves, words) if self._shared else self._by_feature(leaves, words)
        if choice is None:
            return reported
        return np.where(select(choice, self._n_reported), reported, np.int32(self._last))

    def _by_feature(self, leaves: NDArray[np.int32], words: NDArray[np.uint64]) -> NDArray[np.int32]:
        reported = np.empty_like(leaves)
        for j, (channel, count) in enumerate(zip(self._channels, self._used, strict=True)):
            # The symbol behind the last leaf in use stands for missing values.
            symbols = np.minimum(leaves[:, j], count)
            reports = channel.sample(np.ascontiguousarray(symbols), np.ascontiguousarray(words[:, j]))
            reported[:, j] = np.where(reports < channel.n_reports - channel.has_missing, reports, self._last)
        return reported


def n_slots(channels: Sequence[Channel], n_leaves: int) -> int:
    """Return how many numbers reports of values have, at most; that of missing values comes behind them."""
    if reports_leaves(channels):
        return n_leaves
    return max(channel.n_reports - channel.has_missing for channel in channels)


def select(words: NDArray[np.uint64], n_reported: int) -> NDArray[np.bool_]:
    """Choose features for each record, each set of `n_reported` with the same probability.

    Parameters
    ----------
    words : ndarray of uint64, shape (n_rows, n_features)
        Secret random words, used for nothing else.
    n_reported : int
        How many features of a record are reported.

    Returns
    -------
    ndarray of bool, shape (n_rows, n_features)
        True where a feature is reported.

    Notes
    -----
    Privacy: the choice does not depend on the record.
    """
    order = np.argsort(words, axis=1, kind="stable")
    chosen = np.zeros(words.shape, dtype=bool)
    np.put_along_axis(chosen, order[:, :n_reported], True, axis=1)
    return chosen


def reports_leaves(channels: Sequence[Channel]) -> bool:
    """Return whether all reports are leaves, so that they are encoded as true leaves are."""
    return all(channel.reports_symbols for channel in {id(channel): channel for channel in channels}.values())
