"""Numbers for tokens from the other tokens of their rows, for a trainer who has no Key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from hashcomb.errors import SpecError
from hashcomb.integrations.sklearn.numbered import Floats, NumberedTokens
from hashcomb.scalars import number

__all__ = ("TokenProfiles",)

_CELLS = 1 << 24  # of a column's table of counts that are held at a time: 128 MiB
_NOTHING = 1e-9  # squared singular values of profiles that are all alike


class TokenProfiles(NumberedTokens):
    """Turn leaf tokens into a few numbers each, close for tokens that stand among alike ones; no Key is needed.

    The profile of a token is how often each token of the other columns stands in a row with it. The numbers of a
    token are the first coordinates of a correspondence analysis of the profiles of its column; the first has variance 1
    among the rows of `fit`, the others less, as they matter less. Where features depend on each other smoothly, the
    first mostly follows the order of leaves, in one direction or the other. Labels are not used.

    Parameters
    ----------
    n_numbers : int, optional
        Numbers for each token. A column whose profiles have fewer directions gets zeros for the others.
    handle_unknown : {"ignore", "error"}
        What becomes of tokens that `fit` did not see: zeros, which is the mean of all rows, or an error.

    Attributes
    ----------
    numbers_ : list of ndarray of float64, shape (n_tokens, n_numbers)
        For each column, the numbers of its tokens.
    tokens_ : list of ndarray of uint64
        For each column, the tokens that `fit` saw, ascending.
    header_ : TokenHeader or None
        What is public about them.
    n_features_in_ : int
        Number of token columns.
    feature_names_in_ : ndarray of str
        Their names, where they all are text.

    Notes
    -----
    Randomized tokens are taken as they are: the profiles are those of *reports*. Noise draws them together, and at
    small epsilons what is left is noise, which the variance of 1 does not show. Nothing here undoes a channel
    (`ChannelLinearClassifier` does). Tokens of true values get the numbers of equal reports; under channels whose
    reports are no leaves they are all unseen.

    Tokens of columns with little to do with others get numbers too, in an order by chance. In a table that has lost its
    header, levels of paths side by side are not told from features: pass one level.

    `fit` counts every column against every other one: time grows with ``n_columns**2 * (n_rows + n_leaves**3)``. Of
    the counts, those of one column are held at a time, in parts of 128 MiB (of one other column, if that is more), with
    a table of n_leaves**2 beside them, whose eigenvectors take n_leaves**3.

    Privacy: what a model gains by this, somebody who attacks tokens gains as well: the order of the leaves of features
    that go together, up to its direction, follows from tokens alone. The fitted transformer shows the tokens of `fit`
    in about that order.

    References
    ----------
    M. Greenacre, "Correspondence analysis in practice", 3rd edition, Chapman and Hall 2017.

    Examples
    --------
    >>> import numpy as np
    >>> tokens = np.array([[7, 30], [9, 10], [7, 30], [9, 10], [8, 30], [8, 10]], dtype=np.uint64)
    >>> numbers = TokenProfiles(1).fit_transform(tokens)[:, 0]  # 8 is between 7 and 9
    >>> bool(min(numbers[0], numbers[1]) < numbers[4] < max(numbers[0], numbers[1]))
    True
    """

    def __init__(self, n_numbers: int = 2, *, handle_unknown: Literal["ignore", "error"] = "ignore") -> None:
        self.n_numbers = n_numbers
        self.handle_unknown = handle_unknown

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002 scikit-learn passes it
        """Learn the numbers of tokens.

        Parameters
        ----------
        X : TokenArray, array_like or data frame, shape (n_rows, n_columns)
            Leaf tokens, as `HashComb.encode` gives them.
        y : None
            Ignored.

        Returns
        -------
        TokenProfiles
            Itself.

        Raises
        ------
        DataError
            If `X` holds no tokens.
        SpecError
            If a parameter cannot be, or the tokens are paths.
        """
        n_numbers = number(self.n_numbers, "n_numbers")
        if n_numbers < 1 or not n_numbers.is_integer():
            raise SpecError("must be a whole number of at least 1", path="n_numbers")
        places = self._begin(X)
        if self.n_levels_ != 1:  # the levels of a path would all but repeat each other
            hint = "encode with tokens='leaf', or pass the last level of each path alone"
            raise SpecError("are paths", path="tokens", hint=hint)
        counts = [np.bincount(own).astype(np.float64) for own in places]
        self.numbers_ = [_coordinates(places, counts, column, int(n_numbers)) for column in range(len(places))]
        return self

    def _endings(self) -> Sequence[str]:
        return [f"_profile{place}" for place in range(1, self.numbers_[0].shape[1] + 1)]


def _coordinates(places: NDArray[np.int32], counts: Sequence[Floats], column: int, n_numbers: int) -> Floats:
    """Return coordinates of the tokens of one column, of weighted mean 0; shape (n_tokens, n_numbers)."""
    weights = counts[column]
    products = np.zeros((len(weights), len(weights)))
    for others in _parts(counts, len(weights)):
        scaled = _scaled_profiles(places, counts, column, others)
        products += scaled @ scaled.T
    squares, vectors = np.linalg.eigh(products)
    kept = min(n_numbers, int((squares > _NOTHING).sum()))
    vectors, sizes = vectors[:, ::-1][:, :kept], np.sqrt(squares[::-1][:kept])
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(kept)])  # else they were those of the library
    found = np.zeros((len(weights), n_numbers))
    found[:, :kept] += vectors * signs * (sizes / sizes[:1]) / np.sqrt(weights)[:, None]
    return np.asarray(found * np.sqrt(places.shape[1]))


def _parts(counts: Sequence[Floats], n_own: int) -> list[NDArray[np.int64]]:
    """Return the numbers of columns in parts, such that the counts of a column against a part are not too many."""
    ends = np.cumsum([len(own) for own in counts])
    part = ends // max(1, _CELLS // n_own)
    return np.split(np.arange(len(counts)), np.flatnonzero(np.diff(part)) + 1)


def _scaled_profiles(
    places: NDArray[np.int32], counts: Sequence[Floats], column: int, others: NDArray[np.int64]
) -> Floats:
    """Return how profiles differ from their mean, so scaled that their products are chi-squared ones."""
    weights = counts[column]
    ends = np.cumsum([len(counts[other]) for other in others])
    profiles = np.empty((len(weights), int(ends[-1])))
    for other, part in zip(others, np.split(profiles, ends[:-1], axis=1), strict=True):
        part[:] = _together(places, counts, column, other)
    profiles /= weights[:, None]
    profiles -= weights @ profiles / weights.sum()
    profiles /= np.sqrt(np.concatenate([counts[other] for other in others]))
    profiles *= np.sqrt(weights)[:, None]
    return profiles


def _together(
    places: NDArray[np.int32], counts: Sequence[Floats], column: int, other: int
) -> NDArray[np.int64] | Literal[0]:
    """Return in how many rows tokens of two columns stand together, shape (n_tokens, n_tokens_of_other)."""
    if other == column:
        return 0  # a token says nothing of others of its own column
    shape = len(counts[column]), len(counts[other])
    cells = places[column].astype(np.int64) * shape[1] + places[other]
    return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
