"""Tokens of data, counted column by column without a key, and the shares of true values behind them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hashcomb.errors import DataError, FingerprintError, SpecError
from hashcomb.header import TokenHeader, header_of
from hashcomb.laws import TokenLaw, table_of

__all__ = ("Histogram", "TokenCounts", "count_tokens", "estimate_histogram", "estimate_means")

Array = NDArray[Any]
Floats = NDArray[np.float64]

_ROUNDS = 10_000  # of iterative Bayes
_CHANGE = 1e-9


@dataclass(frozen=True, eq=False)
class TokenCounts:
    """How often each token occurs in each column.

    Parameters
    ----------
    columns : tuple of str
        Names of the columns.
    tokens : tuple of ndarray of uint
        The tokens of each column, sorted.
    counts : tuple of ndarray of int64
        How often each occurs, at least once.
    n_rows : int
        How many rows were counted.
    header : TokenHeader, optional
        What is public about the tokens.
    """

    columns: tuple[str, ...]
    tokens: tuple[Array, ...]
    counts: tuple[NDArray[np.int64], ...]
    n_rows: int
    header: TokenHeader | None = None

    def merge(self, other: TokenCounts) -> TokenCounts:
        """Return the counts of both, which must have counted different rows.

        Raises
        ------
        FingerprintError
            If they are of other columns, or made under another Spec, Key, salt or channel.
        """
        if self.header is not None and other.header is not None:
            self.header.require_same(other.header, "these counts")
            if self.header.channel != other.header.channel:
                # Reports and tokens of true values may be the same tokens, and counts of both together have no law.
                raise FingerprintError("counts with another channel cannot be added")
        if self.columns != other.columns:
            raise FingerprintError("counts with another set of columns cannot be added")
        pairs = zip(self.tokens, other.tokens, self.counts, other.counts, strict=True)
        summed = [_summed(np.concatenate([a, b]), np.concatenate([m, n])) for a, b, m, n in pairs]
        tokens, counts = (tuple(part) for part in zip(*summed, strict=True))
        return TokenCounts(self.columns, tokens, counts, self.n_rows + other.n_rows, self.header or other.header)


def _summed(tokens: Array, counts: NDArray[np.int64]) -> tuple[Array, NDArray[np.int64]]:
    distinct, which = np.unique(tokens, return_inverse=True)
    sums = np.zeros(len(distinct), dtype=np.int64)
    np.add.at(sums, which, counts)
    return distinct, sums


def count_tokens(tokens: Any) -> TokenCounts:
    """Count the tokens of each column of a table; no Key is needed.

    Parameters
    ----------
    tokens : TokenArray, or ndarray of uint, shape (n_rows, n_features) or (n_rows, n_features, depth)
        What a `HashComb` gave.

    Returns
    -------
    TokenCounts

    Raises
    ------
    DataError
        If there are no rows, or these are no tokens.

    Notes
    -----
    Privacy: tokens without a channel show how often each value occurs, to anybody who has them.
    """
    header = header_of(tokens)
    array = table_of(tokens, None if header is None else header.columns)
    if array.ndim not in (2, 3) or array.dtype.kind != "u" or array.size == 0:
        raise DataError("tokens are a table of unsigned whole numbers with at least one row")
    flat = array.reshape(len(array), -1)
    names = tuple(f"x{j}" for j in range(flat.shape[1])) if header is None else header.columns
    if len(names) != flat.shape[1]:
        raise DataError(f"{flat.shape[1]} columns of tokens, where the header names {len(names)}")
    found = [np.unique(column, return_counts=True) for column in flat.T]
    counts = tuple(number.astype(np.int64) for _, number in found)
    return TokenCounts(names, tuple(values for values, _ in found), counts, len(array), header)


# ---------------------------------------------------------------------- shares of true values
@dataclass(frozen=True, eq=False)
class Histogram:
    """Estimated shares of true values in one column.

    Parameters
    ----------
    column : str
        Name of the column.
    symbols : ndarray of uint
        Tokens of true values, sorted.
    shares : ndarray of float64
        Estimated share of each.
    errors : ndarray of float64
        Standard error of each unbiased share, from channel and sampling together.
    n_reports : int
        How many rows reported the column.
    """

    column: str
    symbols: Array
    shares: Floats
    errors: Floats
    n_reports: int


def estimate_histogram(
    counts: TokenCounts | Any,
    laws: Sequence[TokenLaw],
    *,
    method: Literal["unbiased", "project", "bayes"] = "project",
) -> list[Histogram]:
    """Estimate the shares of true values behind reports, column by column.

    Parameters
    ----------
    counts : TokenCounts, or tokens as for `count_tokens`
        What was reported.
    laws : sequence of TokenLaw
        One for each column, as from `hashcomb.laws.laws_of` or a key holder.
    method : {"unbiased", "project", "bayes"}, optional
        Unbiased shares, which may be negative; the nearest that are not and sum to one; or the most likely ones, by
        iterative Bayes (expectation maximization).

    Returns
    -------
    list of Histogram
        One for each column.

    Raises
    ------
    DataError
        If there are not as many laws as columns, a token has none, or no row reports a column.
    ChannelError
        If the channel cannot be undone.

    References
    ----------
    D. Agrawal, C. Aggarwal, "On the design and quantification of privacy preserving data mining algorithms", 2001.
    J. Duchi, S. Shalev-Shwartz, Y. Singer, T. Chandra, "Efficient projections onto the l1-ball", ICML 2008.
    """
    if method not in ("unbiased", "project", "bayes"):
        raise DataError("method must be 'unbiased', 'project' or 'bayes'")
    counted = counts if isinstance(counts, TokenCounts) else count_tokens(counts)
    if len(laws) != len(counted.columns):
        raise DataError(f"there are {len(laws)} laws for {len(counted.columns)} columns", hint="give one for each")
    channel = None if counted.header is None else counted.header.channel
    if channel is not None and not any(law.randomized for law in laws):
        raise DataError("reports of a channel, where the laws are those of true values", hint="pass laws_of(tokens)")
    columns = zip(counted.columns, counted.tokens, counted.counts, laws, strict=True)
    return [_estimated(*column, method) for column in columns]


def _estimated(column: str, tokens: Array, counts: NDArray[np.int64], law: TokenLaw, method: str) -> Histogram:
    times = _times(column, tokens, counts, law)
    n_reports = int(times.sum())
    if n_reports == 0:
        raise DataError("no row reports it", column=column)
    weights, codes = times / n_reports, law.require_codes()
    shares = weights @ codes
    errors = np.sqrt(np.maximum(weights @ codes**2 - shares**2, 0.0) / n_reports)
    if method != "unbiased":
        shares = _projected(shares)
    if method == "bayes":
        shares = _most_likely(weights, law, shares)
    return Histogram(column, law.symbols, shares, errors, n_reports)


def _times(column: str, tokens: Array, counts: NDArray[np.int64], law: TokenLaw) -> NDArray[np.int64]:
    """Return how often each report of the law occurs."""
    if law.blank is not None:
        tokens, counts = tokens[tokens != law.blank], counts[tokens != law.blank]
    place = np.searchsorted(law.reports, tokens)
    known = place < len(law.reports)
    known[known] = law.reports[place[known]] == tokens[known]
    if not known.all():
        raise DataError("holds tokens that its law does not have", column=column, hint="give the laws of these tokens")
    times = np.zeros(len(law.reports), dtype=np.int64)
    times[place] = counts
    return times


def _projected(shares: Floats) -> Floats:
    """Return the nearest shares that are not negative and sum to one."""
    falling = np.sort(shares)[::-1]
    excess = (np.cumsum(falling) - 1) / np.arange(1, len(shares) + 1)
    nearest: Floats = np.maximum(shares - excess[np.flatnonzero(falling > excess)[-1]], 0.0)
    return nearest


def _most_likely(weights: Floats, law: TokenLaw, start: Floats) -> Floats:
    shares, moved = (start + 1 / len(start)) / 2, 1.0  # a share of zero would stay zero
    for _ in range(_ROUNDS):
        better = weights @ law.posterior(shares)
        shares, moved = better / better.sum(), float(np.abs(better - shares).max())
        if moved < _CHANGE:
            break
    return np.asarray(shares)


# ---------------------------------------------------------------------- for holders of the Key
class Decoder(Protocol):
    """What decodes a table of tokens: a `hashcomb.HashComb`."""

    def decode(self, tokens: Any, representative: Any = None) -> Any:
        """Decode tokens to representative values."""


def estimate_means(
    counts: TokenCounts, codec: Decoder, representative: str | None = None
) -> list[tuple[str, float, float]]:
    """Return the mean of each numeric column behind counts; for holders of the Key.

    Parameters
    ----------
    counts : TokenCounts
        Of leaf tokens, one column a feature.
    codec : HashComb
        Under which the tokens were made.
    representative : str, optional
        What stands for a token, as for `HashComb.decode`; by default the unbiased code of a channel.

    Returns
    -------
    list of (str, float, float)
        Column, mean, and its standard error, from channel and sampling together. Rows where the value is missing or
        not reported are left out; NaN where there are no others.

    Raises
    ------
    DataError
        If a token was not issued under the codec, or a column is not numeric.
    SpecError
        If all levels were counted, of which only the finest stands for values.
    """
    if counts.header is not None and counts.header.tokens == "comb":
        raise SpecError("counts of all levels have no mean", path="tokens", hint="count tokens[:, :, -1]")
    if representative is None and counts.header is not None and counts.header.channel is not None:
        representative = "unbiased"
    table = np.stack(list(_padded(counts.tokens)), axis=1)
    values = np.asarray(codec.decode(table, representative))
    if values.dtype.kind != "f":
        raise DataError("means are those of numbers, and some column holds categories")
    columns = zip(counts.columns, values.T, counts.counts, strict=True)
    return [(name, *_mean(column[: len(times)], times)) for name, column, times in columns]


def _padded(tokens: Iterable[Array]) -> Iterable[Array]:
    columns = list(tokens)
    longest = max(map(len, columns))
    return (np.concatenate([own, np.full(longest - len(own), own[0])]) for own in columns)


def _mean(values: Floats, times: NDArray[np.int64]) -> tuple[float, float]:
    there = ~np.isnan(values)
    values, weights = values[there], times[there]
    total = int(weights.sum())
    if total == 0:
        return float("nan"), float("nan")
    mean = float(values @ weights / total)
    return mean, float(np.sqrt(((values - mean) ** 2 @ weights) / total / total))
