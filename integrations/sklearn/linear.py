"""A linear classifier on corrected moments of tokens."""

from __future__ import annotations

from typing import Literal

import numpy as np

from hashcomb.errors import SpecError
from hashcomb.integrations.sklearn.corrected import ChannelClassifier, Floats, Scores
from hashcomb.integrations.sklearn.discriminant import discriminants
from hashcomb.laws import TokenLaws
from hashcomb.moments import Coordinates, Ints, Moments
from hashcomb.scalars import number

__all__ = ("ChannelLinearClassifier",)


class ChannelLinearClassifier(ChannelClassifier):
    """Linear discriminant analysis on leaf tokens, whose training undoes their channel; no Key is needed.

    Class means, and covariances between features within classes, are estimated without bias from reports; the
    covariance matrix is then freed of what the channel's noise alone explains. Both are sums over records, so that
    batches and owners can be learned one after the other (`partial_fit`).

    Parameters
    ----------
    ridge : float
        Ridge, in parts of the largest eigenvalue that noise alone would give the covariance matrix. The default is
        good throughout what we measured; less suits weak noise, more suits few rows.
    laws : TokenLaws, optional
        How tokens come about (`HashComb.laws`). Needed for channels that respect the order of leaves; for randomized
        response, and without a channel, the header of the tokens tells.
    handle_unknown : {"ignore", "error"}
        What becomes of tokens that `fit` did not see: they tell nothing, or are an error. Where `fit` saw all the
        reports that a channel has, another token is always an error.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
        Labels.
    coef_ : list of ndarray, shape (n_classes, n_symbols)
        For each column, what each true value adds to the score of each class, tokens ascending.
    intercept_ : ndarray, shape (n_classes,)
        Score of each class before that.
    priors_ : ndarray, shape (n_classes,)
        Share of each class.
    laws_ : TokenLaws
        How the tokens of `fit` came about.
    header_ : TokenHeader or None
        What is public about them.
    n_features_in_ : int
        Number of token columns.
    feature_names_in_ : ndarray of str
        Their names, where they all are text.

    Notes
    -----
    Coordinates of a column are scaled so that the noise of each estimated covariance is the same. Its matrix between
    columns then is one of small rank plus noise with known eigenvalues: those that noise explains are dropped, and the
    others shrunk (`hashcomb.moments.remove_noise`). The covariance within a column follows from its marginal. Reports
    are scored by the discriminant of reports, which has the channel's noise in its covariance.

    It needs memory for a square matrix with one row for each true value of all columns.

    Privacy: training sees reports and labels only, and costs no epsilon beyond theirs. Labels are public here.

    References
    ----------
    M. Gavish, D. L. Donoho, "Optimal shrinkage of singular values", IEEE Trans. Inf. Theory 63 (2017).

    Examples
    --------
    >>> import numpy as np
    >>> tokens = np.array([[7, 30], [9, 30], [7, 20], [9, 20]], dtype=np.uint64)
    >>> ChannelLinearClassifier().fit(tokens, ["a", "b", "a", "b"]).predict(tokens).tolist()
    ['a', 'b', 'a', 'b']
    """

    def __init__(
        self,
        *,
        ridge: float = 0.1,
        laws: TokenLaws | None = None,
        handle_unknown: Literal["ignore", "error"] = "ignore",
    ) -> None:
        self.ridge = ridge
        self.laws = laws
        self.handle_unknown = handle_unknown

    def _begin(self) -> None:
        if number(self.ridge, "ridge") <= 0:
            raise SpecError("must be a number above 0", path="ridge")
        self._coordinates = Coordinates(self.laws_)
        self._moments: Moments | None = None

    def _add(self, numbers: Ints, classes: Ints, weights: Floats) -> None:
        own = Moments.of(numbers, classes, weights, len(self.classes_), self._coordinates)
        self._moments = own if self._moments is None else self._moments + own

    def _solve(self) -> tuple[Scores, Scores]:
        assert self._moments is not None
        total = self._moments.weight.sum()
        self.priors_ = self._moments.weight / total if total > 0 else np.full(len(self.classes_), np.nan)
        clean, noisy = discriminants(self._moments, self._coordinates, self.laws_, self.ridge)
        self.coef_ = [table[:-1].T for table in clean.tables]
        self.intercept_ = clean.intercept
        return clean, noisy
