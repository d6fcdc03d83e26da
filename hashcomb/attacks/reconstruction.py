"""Reconstruction: whole rows rebuilt from their tokens and from other rows of the same kind."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from hashcomb.attacks.joint import indicators, name_by_columns
from hashcomb.attacks.linkage import MAX_LINK_ROWS
from hashcomb.attacks.paths import name_paths
from hashcomb.attacks.scheme import MAX_LAW, Scheme
from hashcomb.comb import Comb
from hashcomb.errors import DataError
from hashcomb.placing import place
from hashcomb.spec import Categorical, Spec

__all__ = ("ReconstructionResult", "reconstruct_rows")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# What the center of a leaf counts beside one auxiliary row: it decides in leaves that no such row is in.
_FAINT = 1e-3


class ReconstructionResult(msgspec.Struct, frozen=True, kw_only=True):
    """How near rebuilt rows are to the true ones, beside guessing.

    Parameters
    ----------
    error : tuple of float
        Mean squared error of each feature, relative to that of always guessing the mean of the auxiliary rows: 0
        where all is known, 1 for guessing, and more where a wrong name leads far away. 1 for a feature that does
        not vary.
    named_median, named_best_tenth : float
        Share of its features that are named rightly, in the median row, and in a tenth of the rows at least.
    named_median_guessed, named_best_tenth_guessed : float
        The same when each feature's most frequent node is named always, without any token.
    whole, whole_guessed : float
        Share of rows whose features are all named rightly, and the same for that guess.
    recognized, recognized_guessed : float
        Share of rows whose rebuilt row is nearer to the true row than to any other true row (features in units of
        their standard deviation; of equally near rows one is chosen at random), and the same for guessing:
        ``1 / n_rows``.
    n_rows : int
        Rows that were rebuilt.
    """

    error: tuple[float, ...]
    named_median: float
    named_best_tenth: float
    named_median_guessed: float
    named_best_tenth_guessed: float
    whole: float
    whole_guessed: float
    recognized: float
    recognized_guessed: float
    n_rows: int


def reconstruct_rows(
    tokens: ArrayLike,
    auxiliary: ArrayLike,
    truth: ArrayLike,
    spec: Spec,
    *,
    labels: ArrayLike | None = None,
    auxiliary_labels: ArrayLike | None = None,
    seed: int | None = None,
) -> ReconstructionResult:
    """Rebuild rows from their tokens and other rows of the same kind, and measure how near the true rows they are.

    The attacker has no Key. It has the tokens, the Spec with its edges and its channel, and an auxiliary sample of
    raw rows, which it sends through the channel itself. It names what each token stands for by how columns go
    together (`joint_matching`; for tokens of all levels, `path_matching`). For a value it puts the mean of the
    auxiliary values, each weighted by how likely it gives that report: without a channel, the mean of those in the
    leaf. This is one attack, not the best one.

    Parameters
    ----------
    tokens : array_like, shape (n_rows, n_features) or (n_rows, n_features, depth)
        What the attacker sees: tokens of one level, or of all.
    auxiliary : array_like of float, shape (n_other_rows, n_features)
        Other rows, without missing values.
    truth : array_like of float, shape (n_rows, n_features)
        The rows themselves, to judge the attack.
    spec : Spec
        How rows are encoded. All features are numbers.
    labels : array_like, shape (n_rows,), optional
        Labels that the attacker holds beside the tokens.
    auxiliary_labels : array_like, shape (n_other_rows,), optional
        Labels of the auxiliary rows; with `labels` or not at all.
    seed : int, optional
        Makes repeatable what the channel makes of the auxiliary rows.

    Returns
    -------
    ReconstructionResult

    Raises
    ------
    DataError
        If the shapes do not fit, values are missing, there are no rows or too many, or too many leaves.

    Notes
    -----
    Privacy: `truth` takes an owner; run this where the data are. The figures are statistics of the rows.

    References
    ----------
    M. Fredrikson et al., "Privacy in pharmacogenetics", USENIX Security 2014, for the weighting by what an
    attacker knows of other rows.

    Examples
    --------
    >>> import numpy as np
    >>> from hashcomb import HashComb, Key, Spec, Uniform
    >>> spec = Spec(features=(Uniform(name="age", lo=0.0, hi=80.0),), depth=2)
    >>> ages = np.repeat([[10.0], [30.0], [50.0], [70.0]], [40, 30, 20, 10], axis=0)
    >>> result = reconstruct_rows(HashComb(spec, Key.create()).encode(ages), ages, ages, spec)
    >>> round(result.error[0], 6), result.whole, result.whole_guessed
    (0.0, 1.0, 0.4)
    """
    seen, known, true = np.asarray(tokens), _numbers(auxiliary, spec), _numbers(truth, spec)
    if seen.ndim not in (2, 3) or seen.shape[:2] != true.shape:
        raise DataError("tokens must be a table of the rows that are rebuilt, with the Spec's columns")
    if len(true) > MAX_LINK_ROWS:
        raise DataError("too many rows to compare with each other", hint=f"attack at most {MAX_LINK_ROWS} of them")
    scheme, leaves = Scheme(spec, seed), place(known, spec)
    named = _name(seen, scheme, leaves, indicators(labels, auxiliary_labels, len(seen), len(known)))
    centers = Comb(spec).representatives("center")
    books = [_Book.of(scheme, j, known[:, j], leaves[:, j], centers[j]) for j in range(named.shape[1])]
    rebuilt = np.column_stack([book.value[column] for book, column in zip(books, _within(named, books), strict=True)])
    nodes = np.column_stack([book.node[column] for book, column in zip(books, _within(named, books), strict=True)])
    return _judge(rebuilt, nodes, true, place(true, spec) >> scheme.shift, known, leaves >> scheme.shift)


def _numbers(table: ArrayLike, spec: Spec) -> Floats:
    if any(isinstance(feature, Categorical) for feature in spec.features):
        raise DataError("categories have no mean", hint="rebuild the columns of numbers alone, under a Spec of them")
    rows = np.asarray(table, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(spec.features) or not len(rows):
        raise DataError("auxiliary and truth must be tables of the Spec's columns, and have rows")
    if not np.isfinite(rows).all():
        raise DataError("rows to rebuild, or to rebuild from, have missing values", hint="leave these rows out")
    return rows


def _name(seen: NDArray[Any], scheme: Scheme, leaves: NDArray[np.int32], beside: tuple[Floats, Floats]) -> Ints:
    """Return the report that each token is named."""
    reports = scheme.report(leaves) >> scheme.shift
    return name_by_columns(seen, reports, *beside) if seen.ndim == 2 else name_paths(seen, reports)


class _Book(NamedTuple):
    """What a feature's reports tell: the likeliest node and the mean value behind each, the last of no report."""

    node: Ints
    value: Floats

    @classmethod
    def of(cls, scheme: Scheme, j: int, values: Floats, leaves: NDArray[np.int32], centers: Floats) -> _Book:
        """Weigh the auxiliary values by how likely each gives the report.

        Raises
        ------
        DataError
            If the channel has too many symbols.
        """
        if scheme.laws is None:
            raise DataError(f"the channel has more than {MAX_LAW} symbols", hint="attack a smaller depth")
        n_used = scheme.spec.used_leaves[j]
        every = np.arange(n_used)
        law = scheme.laws[j]
        symbol = every >> scheme.shift if law is None else every
        known = np.eye(scheme.n_nodes + 1) if law is None else law
        leaf = np.concatenate([leaves, every])
        weights = np.repeat([1.0, _FAINT], [len(values), n_used])[:, None] * known[symbol[leaf]]
        weights = np.column_stack([weights, weights.sum(axis=1)])  # the last one: the token has no name
        total = weights.sum(axis=0)
        behind = np.eye(scheme.n_nodes)[leaf >> scheme.shift].T @ weights
        mean = np.concatenate([values, centers[:n_used]]) @ weights / np.where(total > 0, total, 1.0)
        return cls(behind.argmax(axis=0), np.where(total > 0, mean, mean[-1]))


def _within(named: Ints, books: list[_Book]) -> list[Ints]:
    """Return the columns of names, with that of no report where a name is no report."""
    tops = [len(book.node) - 1 for book in books]
    return [np.where((column < 0) | (column >= top), top, column) for column, top in zip(named.T, tops, strict=True)]


def _judge(
    rebuilt: Floats, nodes: Ints, true: Floats, true_nodes: Ints, known: Floats, known_nodes: Ints
) -> ReconstructionResult:
    right = nodes == true_nodes
    guessed = np.array([np.bincount(column).argmax() for column in known_nodes.T]) == true_nodes
    return ReconstructionResult(
        error=_relative_error(rebuilt, true, known),
        named_median=_share(right, 0.5),
        named_best_tenth=_share(right, 0.9),
        named_median_guessed=_share(guessed, 0.5),
        named_best_tenth_guessed=_share(guessed, 0.9),
        whole=float(right.all(axis=1).mean()),
        whole_guessed=float(guessed.all(axis=1).mean()),
        recognized=_recognized(rebuilt, true, known),
        recognized_guessed=1 / len(true),
        n_rows=len(true),
    )


def _share(right: NDArray[np.bool_], of_rows: float) -> float:
    """Return the share of its features that is right in the row below which so many rows are."""
    return float(np.quantile(right.mean(axis=1), of_rows, method="lower"))


def _relative_error(rebuilt: Floats, true: Floats, known: Floats) -> tuple[float, ...]:
    error, spread = (((one - true) ** 2).mean(axis=0) for one in (rebuilt, known.mean(axis=0)))
    return tuple(np.divide(error, spread, out=np.ones_like(error), where=true.std(axis=0) > 0).tolist())


def _recognized(rebuilt: Floats, true: Floats, known: Floats) -> float:
    """Return how often the true row is the nearest one, and of several nearest ones the one that is chosen."""
    units = known.std(axis=0)
    scale = np.divide(1.0, units, out=np.zeros_like(units), where=units > 0)
    apart = cdist(rebuilt * scale, true * scale, "sqeuclidean")
    nearest = apart == apart.min(axis=1, keepdims=True)
    return float((np.diagonal(nearest) / nearest.sum(axis=1)).mean())
