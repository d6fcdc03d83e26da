"""Linkage: joining the rows of two token files whose tokens have nothing in common."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix, hstack

from hashcomb.attacks.naming import in_order
from hashcomb.errors import DataError

__all__ = ("MAX_LINK_ROWS", "MAX_TOKENS", "LinkageResult", "link_rows")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_TOKENS = 1 << 12  # of all columns together: pairs of them are counted
MAX_LINK_ROWS = 1 << 13  # all pairs of rows are compared
N_ROUNDS = 20


class LinkageResult(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows of one file were joined to the same record's row of another.

    Parameters
    ----------
    joined : float
        Fraction of rows for which the attack names the right row of the other file.
    guessed : float
        The same for naming a row at random, among those with the same label where there are labels.
    n_rows : int
        Rows of the first file.
    """

    joined: float
    guessed: float
    n_rows: int


def link_rows(
    first: ArrayLike,
    second: ArrayLike,
    *,
    partners: ArrayLike | None = None,
    labels: tuple[ArrayLike, ArrayLike] | None = None,
    seed: int = 0,
) -> LinkageResult:
    """Join two encodings of the same records under other rounds, data sets or keys, and count the right pairs.

    The attacker has no Key and knows no value. Tokens of the two files are unrelated, but their frequencies
    and how they go together are those of the same records. First every token of a column is matched to the
    token of the other file that looks most alike: by the sorted shares of the other columns' tokens beside it,
    and then, round after round, by the shares themselves under the matching so far. Then rows are paired so
    that as many tokens agree as can be, rare ones counting more.

    Parameters
    ----------
    first, second : array_like, shape (n_rows, n_features) and (n_other_rows, n_features)
        Tokens of the leaves, the columns in the same order. The attack does not look at the order of rows.
    partners : array_like of int, shape (n_rows,), optional
        Row of `second` that is the same record, to judge the attack; -1 where there is none. By default rows are
        in the same order.
    labels : pair of array_like, shape (n_rows,) and (n_other_rows,), optional
        Labels in the clear beside the tokens of both files.
    seed : int, optional
        Shuffles the second file, so that ties do not help the attack.

    Returns
    -------
    LinkageResult

    Raises
    ------
    DataError
        If the tables do not fit, have no rows, or too many tokens or rows.

    References
    ----------
    I. P. Fellegi, A. B. Sunter, "A theory for record linkage", JASA 64 (1969).
    A. Narayanan, V. Shmatikov, "Robust de-anonymization of large sparse datasets", IEEE S&P 2008.
    """
    one, other = np.asarray(first), np.asarray(second)
    if one.ndim != 2 or other.ndim != 2 or one.shape[1] != other.shape[1] or not len(one) or not len(other):
        raise DataError("both files must be tables of tokens with the same columns, and have rows")
    if max(len(one), len(other)) > MAX_LINK_ROWS:
        raise DataError("too many rows to join", hint=f"attack at most {MAX_LINK_ROWS} of them")
    right = np.arange(len(one)) if partners is None else np.asarray(partners)
    if right.shape != (len(one),):
        raise DataError("partners are needed for all rows of the first file")
    order = np.random.default_rng(seed).permutation(len(other))
    y, other_y = _shared(labels, len(one), len(other))
    found = _pair(_Table.of(one, y, other_y), _Table.of(other[order], other_y[order], y))
    joined = np.where(found >= 0, order[found], -2)
    return LinkageResult(joined=float((joined == right).mean()), guessed=_guess(y, other_y), n_rows=len(one))


def _shared(labels: tuple[ArrayLike, ArrayLike] | None, n_rows: int, n_others: int) -> tuple[Ints, Ints]:
    """Return the labels of both files as numbers, equal ones for equal labels; 0 where there are none."""
    if labels is None:
        return np.zeros(n_rows, dtype=np.int64), np.zeros(n_others, dtype=np.int64)
    y, other_y = (np.asarray(one) for one in labels)
    if y.shape != (n_rows,) or other_y.shape != (n_others,):
        raise DataError("labels are needed for all rows of both files")
    if y.dtype.kind not in "fiub" or other_y.dtype.kind not in "fiub":
        y, other_y = y.astype(str), other_y.astype(str)
    _, codes = np.unique(np.concatenate([y, other_y]), return_inverse=True)
    return codes.reshape(-1)[:n_rows], codes.reshape(-1)[n_rows:]


def _guess(y: Ints, other_y: Ints) -> float:
    """Return how often a row at random, of the same label, is the right one."""
    there = np.bincount(other_y, minlength=int(y.max()) + 1)[y]
    return float(np.divide(1.0, there, out=np.zeros(len(y)), where=there > 0).mean())


class _Table(NamedTuple):
    """A file of tokens as indicators: a column of zeros and ones for each token.

    Parameters
    ----------
    rows : sparse matrix, shape (n_rows, n_tokens)
        Indicators; labels come last.
    blocks : list of slice
        Where the tokens of each column are.
    counts : ndarray, shape (n_tokens,)
        Rows with each token.
    beside : ndarray of float, shape (n_tokens, n_tokens)
        Square root of the share of token `v` among the rows with token `u`: so its noise is the same for all.
    """

    rows: Any
    blocks: list[slice]
    counts: Floats
    beside: Floats

    @classmethod
    def of(cls, tokens: NDArray[Any], labels: Ints, others: Ints) -> _Table:
        """Count the tokens, and how they go together; raise `DataError` if there are too many."""
        codes = [in_order(column) for column in tokens.T]
        sizes = [int(code.max()) + 1 for code in codes]
        if sum(sizes) > MAX_TOKENS:
            raise DataError("too many tokens to match", hint="join by fewer columns, or fewer rows")
        parts = [_indicate(code, size) for code, size in zip(codes, sizes, strict=True)]
        parts.append(_indicate(labels, int(max(labels.max(), others.max())) + 1))
        rows = csr_matrix(hstack(parts))
        together = rows.T @ rows
        counts = together.diagonal()
        ends = np.cumsum([0, *sizes])
        blocks = [slice(start, stop) for start, stop in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]
        return cls(rows, blocks, counts, np.sqrt(together.toarray() / np.maximum(counts, 1)[:, None]))


def _indicate(codes: Ints, size: int) -> Any:
    return csr_matrix((np.ones(len(codes)), (np.arange(len(codes)), codes)), shape=(len(codes), size))


# ---------------------------------------------------------------------- tokens to tokens
def _pair(one: _Table, other: _Table) -> Ints:
    """Return the row of the other file for each row of one, -1 where none is left."""
    twins = _match_tokens(one, other)
    rarity = np.log(other.rows.shape[0] / np.maximum(other.counts, 1))
    known = twins >= 0
    theirs = csr_matrix(other.rows.multiply(rarity[None, :]))[:, twins[known]]
    agree = (one.rows[:, known] @ theirs.T).toarray()
    found = np.full(one.rows.shape[0], -1)
    row, partner = linear_sum_assignment(agree, maximize=True)
    found[row] = partner
    return found


def _match_tokens(one: _Table, other: _Table) -> Ints:
    """Return the token of the other file for each token of one, -1 where none is left; labels are their own."""
    twins = np.full(len(one.counts), -1)
    n_tokens, n_labels = one.blocks[-1].stop, len(one.counts) - one.blocks[-1].stop
    twins[n_tokens:] = other.blocks[-1].stop + np.arange(n_labels)
    for mine, theirs in zip(one.blocks, other.blocks, strict=True):
        twins[mine] = _assign(*_signatures(one, other, mine, theirs), theirs.start)
    for _ in range(N_ROUNDS):
        before = twins.copy()
        for mine, theirs in zip(one.blocks, other.blocks, strict=True):
            elsewhere = twins >= 0
            elsewhere[mine] = False
            looks = one.beside[mine][:, elsewhere], other.beside[theirs][:, twins[elsewhere]]
            shares = _root_shares(one, mine), _root_shares(other, theirs)
            twins[mine] = _assign(np.hstack([looks[0], shares[0]]), np.hstack([looks[1], shares[1]]), theirs.start)
        if (twins == before).all():
            break
    return twins


def _signatures(one: _Table, other: _Table, mine: slice, theirs: slice) -> tuple[Floats, Floats]:
    """Return what tokens of a column look like, whatever the other columns' tokens are called."""
    looks: tuple[list[Floats], list[Floats]] = ([_root_shares(one, mine)], [_root_shares(other, theirs)])
    for block, twin in zip(one.blocks, other.blocks, strict=True):
        width = max(block.stop - block.start, twin.stop - twin.start)
        looks[0].append(_sorted(one.beside[mine, block], width))
        looks[1].append(_sorted(other.beside[theirs, twin], width))
    looks[0].append(one.beside[mine, one.blocks[-1].stop :])
    looks[1].append(other.beside[theirs, other.blocks[-1].stop :])
    return np.hstack(looks[0]), np.hstack(looks[1])


def _sorted(beside: Floats, width: int) -> Floats:
    padded = np.zeros((len(beside), width))
    padded[:, : beside.shape[1]] = -np.sort(-beside, axis=1)
    return padded


def _root_shares(table: _Table, block: slice) -> Floats:
    return np.asarray(np.sqrt(table.counts[block] / table.rows.shape[0])[:, None])


def _assign(looks: Floats, others: Floats, first: int) -> Ints:
    """Match what looks alike, one to one."""
    apart = (looks**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)[None, :] - 2 * looks @ others.T
    twins = np.full(len(looks), -1)
    token, twin = linear_sum_assignment(apart)
    twins[token] = twin + first
    return twins
