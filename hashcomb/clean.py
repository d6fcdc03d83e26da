"""Tokens of true values among those of reports: for a model's use at home, and for the laws of a channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hashcomb.channels import Channel, RandomizedResponse, reported_features
from hashcomb.errors import SpecError
from hashcomb.header import TokenHeader
from hashcomb.keys import Key
from hashcomb.laws import TokenLaw, TokenLaws, refuse_too_many, refuse_two_blanks, symmetric_law, unbiased_codes
from hashcomb.spec import Spec
from hashcomb.tokens import Codebook

__all__ = ("CleanTokens",)

Array = NDArray[Any]
Ints = NDArray[np.int32]


class CleanTokens:
    """Tokens of leaves that went through no channel, under a Spec that has one.

    Where every leaf belongs to exactly one report (randomized response), they are the tokens of those reports; else
    they are tokens of the leaves themselves, which no report has.

    Parameters
    ----------
    spec : Spec
        Of the codebook.
    key : Key
        Of the codebook.
    book : Codebook
        Tokens of reports.
    channels : sequence of Channel or None
        Of the Spec.

    Attributes
    ----------
    header : TokenHeader
        That of the codebook, without the channel.
    """

    def __init__(self, spec: Spec, key: Key, book: Codebook, channels: Sequence[Channel] | None) -> None:
        self._spec, self._reports, self._channels = spec, book, channels
        self._nodes = None if channels is None else _nodes(spec, channels, book.blank)
        self._undone: dict[int, tuple[NDArray[np.float64], NDArray[np.float64] | None]] = {}
        own = channels is not None and self._nodes is None
        salts = book.header
        self._book = Codebook(spec, key, dataset=salts.dataset, round=salts.round) if own else book
        self.header: TokenHeader = msgspec.structs.replace(book.header, channel=None, domain=None, version=1)

    def fill(self, leaves: Ints, out: Array) -> None:
        """Fill `out`, shape (n_rows, n_features[, n_levels]), with the tokens of leaves."""
        if self._nodes is not None:
            leaves = np.take_along_axis(self._nodes, leaves, axis=0)
        self._book.tokens(np.ascontiguousarray(leaves), out)

    def laws(self) -> TokenLaws:
        """Return the laws of all columns.

        Raises
        ------
        SpecError
            If tokens are not those of leaves.
        """
        if self._spec.tokens != "leaf":
            raise SpecError("laws are those of leaf tokens", path="tokens", hint="encode with tokens='leaf'")
        return TokenLaws(self._reports.header, [self._law(j) for j in range(len(self._spec.features))])

    def _law(self, index: int) -> TokenLaw:
        name, leaves = self._spec.names[index], _symbols(self._spec, index)
        if self._channels is None:
            refuse_too_many(name, leaves)
            symbols = np.sort(self._column(index, leaves, self.fill))
            eye = np.eye(len(symbols))
            return TokenLaw(name, symbols, symbols, eye, eye)
        channel = self._channels[index]
        refuse_too_many(name, range(channel.n_reports))
        share, blank = reported_features(self._spec) / len(self._spec.features), None
        if share < 1:
            refuse_two_blanks(name, channel)
            blank = int(self._column(index, np.array([self._reports.blank]), self._reports.tokens)[0])
        slots = np.arange(channel.n_reports)
        slots[channel.n_reports - channel.has_missing :] = self._reports.blank
        reports = self._column(index, slots, self._reports.tokens)
        if isinstance(channel, RandomizedResponse):
            return symmetric_law(name, np.sort(reports), channel, share, blank)
        symbols = self._column(index, leaves, self.fill)
        first = np.sort(np.unique(symbols, return_index=True)[1])
        if id(channel) not in self._undone:  # features share channels, and tokens change the order alone
            matrix = channel.matrix()[first]
            self._undone[id(channel)] = matrix, unbiased_codes(matrix)
        rows, columns = np.argsort(symbols[first]), np.argsort(reports)
        matrix, codes = self._undone[id(channel)]
        codes = None if codes is None else codes[columns][:, rows]
        return TokenLaw(name, reports[columns], symbols[first][rows], matrix[rows][:, columns], codes, share, blank)

    def _column(self, index: int, numbers: NDArray[Any], fill: Any) -> Array:
        """Return the tokens of one feature for some leaves, or numbers of reports."""
        table = np.zeros((len(numbers), len(self._spec.features)), dtype=np.int32)
        table[:, index] = numbers
        out = np.empty(table.shape, dtype=self._reports.dtype)
        fill(table, out)
        return out[:, index]


def _symbols(spec: Spec, index: int) -> NDArray[np.int64]:
    """Return the leaves that a feature can fill; last, that of missing values."""
    missing = [spec.n_leaves] if spec.missing == "token" else []
    return np.array([*range(spec.used_leaves[index]), *missing])


def _nodes(spec: Spec, channels: Sequence[Channel], blank: int) -> Ints | None:
    """Return what is reported of each leaf without noise, shape (n_leaves + 1, n_features).

    None where some leaf belongs to several reports, or leaves of one report have different laws.
    """
    nodes = np.zeros((spec.n_leaves + 1, len(channels)), dtype=np.int32)
    known: dict[int, Ints | None] = {}
    for j, (channel, used) in enumerate(zip(channels, spec.used_leaves, strict=True)):
        if id(channel) not in known:
            known[id(channel)] = _node_of_symbol(channel)
        own = known[id(channel)]
        if own is None:
            return None
        nodes[:used, j] = own[:used]
        nodes[spec.n_leaves, j] = blank if channel.has_missing else 0
    return nodes


def _node_of_symbol(channel: Channel) -> Ints | None:
    sets = channel.report_sets()
    if sets is None or sets[0, 0] != 0 or (sets[1:, 0] != sets[:-1, 1]).any() or sets[-1, 1] != channel.n_symbols:
        return None
    node = np.repeat(np.arange(len(sets), dtype=np.int32), np.diff(sets, axis=1)[:, 0])
    if channel.reports_symbols or isinstance(channel, RandomizedResponse):
        return node  # leaves of one report have one law, and no matrix need show it
    matrix = channel.matrix()
    return node if (matrix == matrix[sets[node, 0]]).all() else None
