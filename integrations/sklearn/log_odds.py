"""Numbers for tokens from the labels of their rows, for a trainer who has no Key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from hashcomb.errors import DataError, SpecError
from hashcomb.integrations.sklearn.numbered import Floats, NumberedTokens
from hashcomb.scalars import number

__all__ = ("TokenLogOdds",)


class TokenLogOdds(NumberedTokens):
    """Turn each token into the log odds of a label among its rows, less those of all rows; no Key is needed.

    Of two labels, the odds are those of the second; of more, there is a column for each, with its odds against all
    others. With the log odds of every column as they are, a linear model of two labels is naive Bayes; weights let it
    correct for features that tell the same.

    Parameters
    ----------
    smooth : float, optional
        Rows that every token has besides its own, with the shares of labels of all rows.
    handle_unknown : {"ignore", "error"}
        What becomes of tokens that `fit` did not see: zeros, which are the odds of all rows, or an error.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
        Labels.
    numbers_ : list of ndarray of float64, shape (n_tokens, 1) or (n_tokens, n_classes)
        For each column, the log odds of its tokens; natural logarithms.
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
    `fit_transform` gives the rows of `fit` odds that their own labels helped to make, without cross-fitting: `smooth`
    alone is against overfitting. Tokens of few rows, as in deep combs, then seem to tell more than they do; a model
    behind this should bind its weights, or take scikit-learn's TargetEncoder, which cross-fits.

    The levels of paths are columns like others.

    Randomized tokens are taken as they are: the odds are those of *reports*, right for scoring reports, and drawn
    towards 0 by the noise. Tokens of true values get the odds of equal reports, too near 0; under channels whose
    reports are no leaves they are all unseen. `ChannelNaiveBayes` undoes the channel.

    Privacy: the fitted transformer shows the tokens of `fit`, and exactly how labels are shared out among the rows of
    each; `smooth` hides nothing of that.

    Examples
    --------
    >>> import numpy as np
    >>> tokens = np.array([[7], [9], [7], [9]], dtype=np.uint64)
    >>> TokenLogOdds().fit_transform(tokens, [0, 1, 0, 1]).ravel().round(3).tolist()
    [-2.663, 2.663, -2.663, 2.663]
    """

    def __init__(self, *, smooth: float = 0.3, handle_unknown: Literal["ignore", "error"] = "ignore") -> None:
        self.smooth = smooth
        self.handle_unknown = handle_unknown

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Learn the odds of tokens.

        Parameters
        ----------
        X : TokenArray, array_like or data frame
            Tokens, as `HashComb.encode` gives them.
        y : array_like, shape (n_rows,)
            Labels.

        Returns
        -------
        TokenLogOdds
            Itself.

        Raises
        ------
        DataError
            If `X` holds no tokens, there are more or fewer labels than rows, or they are all of one class.
        SpecError
            If a parameter cannot be.
        """
        if number(self.smooth, "smooth") <= 0:
            raise SpecError("must be a number above 0", path="smooth")
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        places = self._begin(X)
        self.classes_, labels = np.unique(_labels(y, places.shape[1]), return_inverse=True)
        n_classes = len(self.classes_)
        if n_classes < 2:
            raise DataError("all labels are of one class; at least two are needed")
        told = range(1, 2) if n_classes == 2 else range(n_classes)
        self.numbers_ = [np.stack([_log_odds(own, labels == one, self.smooth) for one in told], 1) for own in places]
        return self

    def _endings(self) -> Sequence[str]:
        return [""] if len(self.classes_) == 2 else [f"_{label}" for label in self.classes_]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def _labels(y: ArrayLike, n_rows: int) -> NDArray[Any]:
    labels = np.asarray(column_or_1d(y, warn=True))
    assert_all_finite(labels, input_name="y")
    check_classification_targets(labels)
    if len(labels) != n_rows:
        raise DataError(f"{n_rows} rows of tokens, but {len(labels)} labels")
    return labels


def _log_odds(places: NDArray[np.int32], hit: NDArray[np.bool_], smooth: float) -> Floats:
    """Return the smoothed log odds of a label for each token of one column, less those of all rows."""
    counts, hits = np.bincount(places), np.bincount(places, weights=hit)
    return np.asarray(logit((hits + smooth * hit.mean()) / (counts + smooth)) - logit(hit.mean()))
