"""Known rows: whoever knows some rows reads their tokens wherever else these occur."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashcomb.attacks.naming import UNNAMED, AttackResult, check_tables, judge
from hashcomb.errors import DataError

__all__ = ("KnownRowsResult", "name_by_known_rows", "open_with_known_rows", "places_of")

Floats = NDArray[np.float64]


class KnownRowsResult(AttackResult, frozen=True, kw_only=True):
    """Success of an attack with known rows on each feature of the others, beside that of guessing.

    Parameters
    ----------
    recovered, guessed, near, error, spread : tuple of float
        As for `AttackResult`, over the rows that are not known. Where a token does not occur in a known row,
        the attack names their most frequent leaf, as guessing does for all.
    opened : tuple of float
        Fraction of rows whose token occurs in a known row, by feature.
    """

    opened: tuple[float, ...]


def open_with_known_rows(
    tokens: ArrayLike, leaves: ArrayLike, n_known: int, *, n_leaves: int | None = None
) -> KnownRowsResult:
    """Name the leaves behind tokens by some rows whose values are known, and judge it on all other rows.

    The attacker has no Key. It has the tokens of all rows and knows the leaves of the first few: its own
    customers, say, or public figures. Every token of a known row stands for the leaf that most often comes
    with it there: without a channel the only one, and so an open entry of the codebook.

    Parameters
    ----------
    tokens : array_like, shape (n_rows, n_features)
        What the attacker sees.
    leaves : array_like of int, shape (n_rows, n_features)
        True leaves; the attacker has those of the known rows, the others judge it.
    n_known : int
        How many rows are known: the first ones, so shuffle rows that have an order. At least 1, and not all.
    n_leaves : int, optional
        As for `frequency_matching`.

    Returns
    -------
    KnownRowsResult

    Raises
    ------
    DataError
        If the shapes do not fit, or no rows are known or none are left.

    Notes
    -----
    Privacy: `leaves` takes a key holder; run this where the data are.
    """
    seen, _, true = check_tables(tokens, leaves, leaves)
    if not 0 < n_known < len(seen):
        raise DataError("at least one row must be known, and one not", hint=f"know 1 to {len(seen) - 1} of the rows")
    known = true[:n_known]
    guess, opened = name_by_known_rows(seen, known)
    n = int(true.max()) + 1 if n_leaves is None else n_leaves
    judged = judge(guess, known, true[n_known:], n, places_of(guess, opened, known, n))
    shares = tuple(opened.mean(axis=0).tolist())
    return KnownRowsResult(**{name: getattr(judged, name) for name in AttackResult.__struct_fields__}, opened=shares)


def name_by_known_rows(seen: NDArray[Any], known: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the leaf that each token is named, and whether a known row has that token.

    Parameters
    ----------
    seen : ndarray, shape (n_rows, n_features)
        Tokens; those of the known rows come first.
    known : ndarray of int, shape (n_known, n_features)
        Leaves of the known rows.

    Returns
    -------
    guess, opened : ndarray, shape (n_rows - n_known, n_features)
    """
    columns = [_name_column(seen[:, j], known[:, j]) for j in range(seen.shape[1])]
    guess = np.stack(columns, axis=1)
    opened = guess != UNNAMED
    most = np.array([np.bincount(column).argmax() for column in known.T])
    return np.where(opened, guess, most), opened


def places_of(guess: NDArray[Any], opened: NDArray[np.bool_], known: NDArray[Any], n_leaves: int) -> Floats:
    """Return the place in [0, 1] of each named leaf, and the mean place of the known rows where none is open."""
    present = known < n_leaves
    mean = ((known + 0.5) * present).sum(axis=0) / np.maximum(present.sum(axis=0), 1) / n_leaves
    return np.where(opened & (guess < n_leaves), (guess + 0.5) / n_leaves, mean)


def _name_column(seen: NDArray[Any], known: NDArray[Any]) -> NDArray[np.int64]:
    distinct, codes = np.unique(seen, return_inverse=True)
    codes = codes.reshape(-1)
    counts = np.zeros((len(distinct), int(known.max()) + 1))
    np.add.at(counts, (codes[: len(known)], known), 1)
    names = np.where(counts.any(axis=1), counts.argmax(axis=1), UNNAMED)
    return np.asarray(names[codes[len(known) :]], dtype=np.int64)
