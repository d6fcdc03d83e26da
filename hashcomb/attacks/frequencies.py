"""Frequency matching: the most frequent token is the most frequent leaf, and so on down."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashcomb.attacks.naming import UNNAMED, AttackResult, by_frequency, check_tables, judge

__all__ = ("frequency_matching", "name_by_rank")


def frequency_matching(
    tokens: ArrayLike, auxiliary: ArrayLike, truth: ArrayLike, *, n_leaves: int | None = None
) -> AttackResult:
    """Match tokens to leaves by frequency, feature by feature, and count the rows that are recovered.

    The attacker has no Key. It has the tokens, and an auxiliary sample of leaves: other rows of the same kind,
    and the edges. It names the most frequent token the most frequent leaf, and so on down.

    Parameters
    ----------
    tokens : array_like, shape (n_rows, n_features)
        What the attacker sees.
    auxiliary : array_like of int, shape (n_other_rows, n_features)
        Leaves of other rows.
    truth : array_like of int, shape (n_rows, n_features)
        Leaves of the rows themselves, to judge the attack.
    n_leaves : int, optional
        Leaves of a comb, which places are counted by; as many as occur by default. Larger numbers stand for
        missing values.

    Returns
    -------
    AttackResult

    Raises
    ------
    DataError
        If the shapes do not fit or there are no rows.

    Notes
    -----
    Privacy: `truth` takes a key holder; run this where the data are.

    References
    ----------
    M. Naveed, S. Kamara, C. V. Wright, "Inference attacks on property-preserving encrypted databases", CCS 2015.
    """
    seen, known, true = check_tables(tokens, auxiliary, truth)
    return judge(name_by_rank(seen, known), known, true, n_leaves)


def name_by_rank(seen: NDArray[Any], known: NDArray[Any]) -> NDArray[np.int64]:
    """Return the leaf that each token is named, shape (n_rows, n_features); `UNNAMED` where leaves run out."""
    return np.stack([_by_rank(seen[:, j], known[:, j]) for j in range(seen.shape[1])], axis=1)


def _by_rank(seen: NDArray[Any], known: NDArray[Any]) -> NDArray[np.int64]:
    names = dict(zip(by_frequency(seen).tolist(), by_frequency(known).tolist(), strict=False))
    return np.array([names.get(token, UNNAMED) for token in seen.tolist()], dtype=np.int64)
