"""Moments of true values, from tokens that went through a channel: what learners that undo it are made of.

Coordinates of a report are those of its unbiased code (`hashcomb.laws.TokenLaw.codes`) in a basis of vectors that sum
to zero. Their mean over reports is that of the true values; so is the mean of their product for two features, which
are randomized independently. Only within a feature does the noise stay, and there the marginal says all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import helmert

from hashcomb.errors import DataError
from hashcomb.laws import TokenLaw

__all__ = ("Coordinates", "Moments", "TokenNumbers", "marginal", "remove_noise")

Array = NDArray[Any]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_CHUNK_VALUES = 1 << 22  # coordinates of a chunk of rows: 32 MB
_LEAST = 1e-12


class TokenNumbers:
    """Numbers tokens by the laws of their columns.

    Parameters
    ----------
    laws : sequence of TokenLaw
        One for each column.
    """

    def __init__(self, laws: Sequence[TokenLaw]) -> None:
        self._laws = laws

    def number(self, tokens: Array, *, clean: bool, strict: bool) -> Ints:
        """Return the number of each token.

        Parameters
        ----------
        tokens : ndarray of uint, shape (n_rows, n_columns)
            Tokens.
        clean : bool
            Whether they are those of true values, and not reports.
        strict : bool
            Whether to refuse tokens that the laws do not know. They always are where a law of reports knows them
            all.

        Returns
        -------
        ndarray of int64, shape (n_rows, n_columns)
            Rows or columns of the laws' matrices; -1 for features that are not reported, and unknown tokens.

        Raises
        ------
        DataError
            If a token is unknown, and that is refused.
        """
        each = zip(tokens.T, self._laws, strict=True)
        columns = [_number(own, law.symbols if clean else law.reports, law, strict) for own, law in each]
        return np.stack(columns, axis=1)


def _number(tokens: Array, known: Array, law: TokenLaw, strict: bool) -> Ints:
    if len(known) == 0:
        places, found = np.zeros(len(tokens), dtype=np.int64), np.zeros(len(tokens), dtype=bool)
    else:
        places = np.searchsorted(known, tokens).clip(max=len(known) - 1)
        found = known[places] == tokens
    strange = ~found if law.blank is None else ~found & (tokens != law.blank)
    if (strict or _is_complete(law)) and strange.any():
        hint = "pass tokens of the same encoding; if fit saw few rows, give it more, or the key holder's laws="
        raise DataError("a token that fit did not see", column=law.column, row=int(strange.argmax()), hint=hint)
    return np.where(found, places, -1)


def _is_complete(law: TokenLaw) -> bool:
    """Return whether a law of reports knows them all: any other token is nobody's then."""
    return law.randomized and bool((law.matrix.sum(axis=1) > 1 - _LEAST).all()) and len(law.reports) > 0


class Coordinates:
    """Coordinates of reports and of true values, all columns side by side.

    Parameters
    ----------
    laws : sequence of TokenLaw
        One for each column.

    Attributes
    ----------
    reports, symbols : list of ndarray
        Coordinates of each report, and of each true value, of a column; last, zeros for what is not reported.
    column : ndarray of int, shape (n_coordinates,)
        The column that a coordinate belongs to. One with k true values has k - 1.

    Raises
    ------
    ChannelError
        If a channel cannot be undone.
    """

    def __init__(self, laws: Sequence[TokenLaw]) -> None:
        codes = [law.require_codes() for law in laws]
        self.bases = [_basis(len(law.symbols)) for law in laws]
        self.reports = [_with_blank(own @ basis) for own, basis in zip(codes, self.bases, strict=True)]
        self.symbols = [_with_blank(basis) for basis in self.bases]
        widths = [basis.shape[1] for basis in self.bases]
        self.column = np.repeat(np.arange(len(widths)), widths)

    def of_reports(self, numbers: Ints) -> Floats:
        """Return the coordinates of reports, shape (n_rows, n_coordinates), 0 where they tell nothing."""
        parts = [own[numbers[:, j]] for j, own in enumerate(self.reports)]
        return np.concatenate(parts, axis=1)

    def split(self, coordinates: Floats) -> list[Floats]:
        """Return the parts of the last axis that belong to each column."""
        widths = [basis.shape[1] for basis in self.bases]
        return np.split(coordinates, np.cumsum(widths)[:-1], axis=-1)


def _basis(n_symbols: int) -> Floats:
    """Return orthonormal columns that sum to zero; none for a column that no record has reported yet."""
    return np.asarray(helmert(max(1, n_symbols)).T)[:n_symbols]


def _with_blank(table: Floats) -> Floats:
    return np.concatenate([table, np.zeros((1, table.shape[1]))])


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over records, by class, that add up over batches and owners.

    Parameters
    ----------
    weight : ndarray, shape (n_classes,)
        Sum of the records' weights.
    reported : ndarray, shape (n_classes, n_columns)
        Weight of the records that report a feature.
    sums : ndarray, shape (n_classes, n_coordinates)
        Sums of coordinates.
    pairs : ndarray, shape (n_columns, n_columns)
        Weight of the records that report both features.
    products : ndarray, shape (n_coordinates, n_coordinates)
        Sums of products of coordinates.
    """

    weight: Floats
    reported: Floats
    sums: Floats
    pairs: Floats
    products: Floats

    @classmethod
    def of(cls, numbers: Ints, classes: Ints, weights: Floats, n_classes: int, coordinates: Coordinates) -> Moments:
        """Return the moments of some records.

        Parameters
        ----------
        numbers : ndarray of int, shape (n_rows, n_columns)
            Numbers of reports, as `TokenNumbers` gives them.
        classes : ndarray of int, shape (n_rows,)
            Number of each record's class.
        weights : ndarray, shape (n_rows,)
            Weight of each record.
        n_classes : int
            How many classes there are.
        coordinates : Coordinates
            Of the laws of these tokens.
        """
        n_columns, n_coordinates = numbers.shape[1], len(coordinates.column)
        rows = max(1, _CHUNK_VALUES // max(1, n_coordinates, n_columns))
        total = cls._empty(n_classes, n_columns, n_coordinates)
        for start in range(0, len(numbers), rows):
            part = slice(start, start + rows)
            total += cls._of_chunk(numbers[part], np.eye(n_classes)[classes[part]], weights[part], coordinates)
        return total

    @classmethod
    def _empty(cls, n_classes: int, n_columns: int, n_coordinates: int) -> Moments:
        by_class = [np.zeros((n_classes, n)) for n in (n_columns, n_coordinates)]
        squares = [np.zeros((n, n)) for n in (n_columns, n_coordinates)]
        return cls(np.zeros(n_classes), *by_class, *squares)

    @classmethod
    def _of_chunk(cls, numbers: Ints, member: Floats, weights: Floats, coordinates: Coordinates) -> Moments:
        seen, values = (numbers >= 0).astype(np.float64), coordinates.of_reports(numbers)
        member, weighed = member * weights[:, None], weights[:, None]
        by_class = (member.T @ seen, member.T @ values)
        return cls(
            member.sum(axis=0),
            *by_class,
            seen.T @ (weighed * seen),
            values.T @ (weighed * values),
        )

    def __add__(self, other: Moments) -> Moments:
        fields = ("weight", "reported", "sums", "pairs", "products")
        return replace(self, **{name: getattr(self, name) + getattr(other, name) for name in fields})

    @property
    def n_pairs(self) -> float:
        """How many records tell of a pair of features, on average."""
        others = ~np.eye(len(self.pairs), dtype=bool)
        return float(self.pairs[others].mean()) if others.any() else 0.0

    def means(self, coordinates: Coordinates) -> Floats:
        """Return the means of true values' coordinates, shape (n_classes, n_coordinates).

        A class that reports nothing of a column is taken to be like the others.
        """
        column, pooled = coordinates.column, self.reported.sum(axis=0)[coordinates.column]
        alike = self.sums.sum(axis=0) / np.maximum(pooled, _LEAST)
        reported = self.reported[:, column]
        return np.where(reported > 0, self.sums / np.maximum(reported, _LEAST), alike)

    def covariances(self, coordinates: Coordinates) -> Floats:
        """Return the covariances of true values within classes: between columns, and 0 within one, where noise is.

        Unbiased but for the share ``n_classes / n_rows``.
        """
        column, means = coordinates.column, self.means(coordinates)
        shares = self.weight / max(self.weight.sum(), _LEAST)
        both = self.pairs[np.ix_(column, column)]
        products = np.divide(self.products, both, out=np.zeros_like(self.products), where=both > 0)
        between = products - np.where(both > 0, (means.T * shares) @ means, 0.0)
        return np.where(column[:, None] == column, 0.0, between)


def marginal(mean: Floats, basis: Floats) -> Floats:
    """Return shares of true values from the mean of their coordinates, those below 0 clipped.

    Parameters
    ----------
    mean : ndarray, shape (..., k - 1)
        Mean coordinates.
    basis : ndarray, shape (k, k - 1)
        What they are coordinates in.

    Returns
    -------
    ndarray, shape (..., k)
        Shares that sum to one.
    """
    shares = np.clip(1 / max(1, len(basis)) + mean @ basis.T, 0, None)
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True))


def remove_noise(covariances: Floats, edge: float) -> Floats:
    """Return a symmetric matrix without what independent noise in its entries explains.

    Parameters
    ----------
    covariances : ndarray, shape (n, n)
        A symmetric matrix of small rank, plus noise of equal variance in each entry.
    edge : float
        Largest eigenvalue of the noise alone: ``2 * sqrt(n * variance)``.

    Returns
    -------
    ndarray, shape (n, n)
        Eigenvalues up to the edge are 0; above, l becomes ``sqrt(l**2 - edge**2)``, which has the least mean squared
        error as n grows.

    References
    ----------
    M. Gavish, D. L. Donoho, "Optimal shrinkage of singular values", IEEE Trans. Inf. Theory 63 (2017).
    """
    values, vectors = np.linalg.eigh(covariances)
    shrunk = np.sign(values) * np.sqrt(np.clip(values**2 - edge**2, 0, None))
    return np.asarray((vectors * shrunk) @ vectors.T)
