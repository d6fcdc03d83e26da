"""From leaves, nodes and reports to the values that stand for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hashcomb import kernels
from hashcomb.channels import Channel
from hashcomb.channels.randomizer import n_slots, reports_leaves
from hashcomb.comb import Comb
from hashcomb.days import read_origin, times_after
from hashcomb.errors import ChannelError, DataError, SpecError
from hashcomb.spec import Categorical, Spec

__all__ = ("Decoding", "Values")

Array = NDArray[Any]
Floats = NDArray[np.float64]
Decoding = Literal["center", "mean", "rank", "posterior", "unbiased"]


class Values:
    """What stands for each leaf, node or report of a Spec.

    Parameters
    ----------
    spec : Spec
        The combs.
    comb : Comb
        Of this Spec.
    channels : sequence of Channel or None
        Of this Spec.
    """

    def __init__(self, spec: Spec, comb: Comb, channels: Sequence[Channel] | None) -> None:
        self._spec, self._comb, self._channels = spec, comb, channels
        self._own_reports = channels is not None and not reports_leaves(channels)

    def of_tokens(self, nodes: NDArray[np.int32], kind: Decoding | None) -> Array | list[Any]:
        """Return the values of what tokens stand for; shapes and errors as `HashComb.decode`."""
        if not self._own_reports and kind not in ("posterior", "unbiased"):
            return self.of_nodes(nodes, kind, self._spec.levels[-1])
        return self._dated(self._look_up(nodes, kind, self._report_table(kind)), kind)

    def _dated(self, values: Array | list[Any], kind: Decoding | None) -> Array | list[Any]:
        """Turn numbers of days to dates, times and durations; the others stay, and ranks."""
        origins = [getattr(feature, "origin", None) for feature in self._spec.features]
        if kind == "rank" or not any(origins):
            return values
        columns = list(values.T) if isinstance(values, np.ndarray) else values
        pairs = zip(columns, origins, strict=True)
        return [column if text is None else times_after(column, read_origin(text)) for column, text in pairs]

    def of_nodes(self, nodes: NDArray[np.int32], kind: Decoding | None, level: int) -> Array | list[Any]:
        """Return the values of nodes of a level, shape (n_rows, n_features); columns where some are no numbers.

        Raises
        ------
        SpecError
            If the level has nothing of this kind.
        DataError
            If a node joins several categories.
        """
        if kind in ("posterior", "unbiased"):
            raise SpecError(f"true leaves have no {kind} mean", hint="decode them with 'center', 'mean' or 'rank'")
        kind = kind or ("mean" if self._has_means and level == self._spec.depth else "center")
        table = self._comb.representatives(kind, level)  # type: ignore[arg-type]  # the other two are refused above
        return self._dated(self._look_up(nodes, kind, table, level), kind)

    def _look_up(
        self, nodes: NDArray[np.int32], kind: Decoding | None, table: Floats, level: int | None = None
    ) -> Array | list[Any]:
        values = np.empty(nodes.shape, dtype=np.float64)
        first = (np.arange(len(table)) * table.shape[1]).astype(np.int32)
        kernels.choose(nodes.size).lookup(nodes.reshape(-1), first, table.reshape(-1), values.reshape(-1))
        if kind == "rank" or not any(isinstance(f, Categorical) for f in self._spec.features):
            return values
        return [self._categories(j, column, level) for j, column in enumerate(values.T)]

    @property
    def _has_means(self) -> bool:
        numeric = [f for f in self._spec.features if not isinstance(f, Categorical)]
        return bool(numeric) and all(f.means is not None for f in numeric)

    def _categories(self, index: int, codes: Array, level: int | None) -> Any:
        feature = self._spec.features[index]
        if not isinstance(feature, Categorical):
            return codes
        if level is not None and level < self._spec.depth:
            raise DataError(
                "a node of several categories stands for none of them",
                column=feature.name,
                hint="decode with representative='rank'",
            )
        known = dict(enumerate(feature.categories))
        return [known.get(int(code)) if code == code else None for code in codes]

    # ------------------------------------------------------------------ reports
    def _report_table(self, kind: Decoding | None) -> Floats:
        """Return what stands for each report, shape (n_features, n_slots + 1); NaN where nothing does."""
        channels = self._channels
        if channels is None:
            raise SpecError("has no channel, and its tokens no posterior", path="channel", hint="decode with 'center'")
        if isinstance(self._spec.tokens, int):
            raise SpecError("nodes of one level have no posterior", path="tokens", hint="decode with 'center'")
        table = np.full((len(channels), n_slots(channels, self._spec.n_leaves) + 1), np.nan)
        base = "mean" if self._has_means and kind not in ("center", "rank") else "center"
        leaves = self._comb.representatives("rank" if kind == "rank" else base)  # type: ignore[arg-type]
        for j, channel in enumerate(channels):
            row = self._row(j, channel, kind, leaves[j, : self._spec.used_leaves[j]])
            table[j, : len(row)] = row
        return table

    def _row(self, index: int, channel: Channel, kind: Decoding | None, leaves: Floats) -> Floats:
        feature, sets = self._spec.features[index], channel.report_sets()
        if isinstance(feature, Categorical):
            return _likeliest(channel, len(leaves)) if sets is None else _first(channel, sets)
        if kind == "unbiased":
            return self._unbiased(index, channel, leaves)
        if kind == "posterior" or (kind is None and sets is None):
            return _posterior_mean(channel, leaves)
        if sets is None:
            raise SpecError(
                f"reports of {channel.kind} are no leaves, and have no {kind}",
                path="channel",
                hint="decode with 'posterior' or 'unbiased'",
            )
        if kind == "mean":
            raise SpecError(
                "its reports are no leaves, and have no agreed means", path="channel", hint="decode with 'posterior'"
            )
        sets = sets[: channel.n_reports - channel.has_missing]
        if kind == "rank":
            return np.asarray((leaves[sets[:, 0]] + leaves[sets[:, 1] - 1]) / 2)
        return self._comb.centers(index, sets)

    def _unbiased(self, index: int, channel: Channel, leaves: Floats) -> Floats:
        if channel.has_missing:
            raise SpecError("missing values have no unbiased code", path="missing", hint="decode with 'posterior'")
        try:
            return channel.unbiased_code(leaves)
        except ChannelError as error:
            column = self._spec.names[index]
            raise SpecError(f"feature {column!r}: {error.problem}", path="channel", hint=error.hint) from None


def _first(channel: Channel, sets: NDArray[np.int64]) -> Floats:
    return sets[: channel.n_reports - channel.has_missing, 0].astype(np.float64)


def _likeliest(channel: Channel, n_values: int) -> Floats:
    """Return the position of the likeliest category behind each report, for uniform categories."""
    law = channel.matrix()[:n_values, : channel.n_reports - channel.has_missing]
    return np.asarray(law.argmax(axis=0), dtype=np.float64)


def _posterior_mean(channel: Channel, values: Floats) -> Floats:
    """Return the mean value behind each report, for uniform leaves and a value that is not missing."""
    matrix = channel.matrix()[: len(values), : channel.n_reports - channel.has_missing]
    total = matrix.sum(axis=0)
    return np.asarray(np.divide(values @ matrix, total, out=np.full(len(total), np.nan), where=total > 0))
