"""Naive Bayes on tokens, with the channel divided out."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from hashcomb.errors import SpecError
from hashcomb.integrations.sklearn.corrected import ChannelClassifier, Floats, Scores
from hashcomb.laws import TokenLaw, TokenLaws
from hashcomb.moments import Ints
from hashcomb.scalars import number

__all__ = ("ChannelNaiveBayes",)


class ChannelNaiveBayes(ChannelClassifier):
    """Naive Bayes on leaf tokens, whose training undoes their channel; no Key is needed.

    For each class and column, the shares of true values are estimated from the counts of reports. Counts add up, so
    that batches and owners can be learned one after the other (`partial_fit`).

    Parameters
    ----------
    alpha : float
        Rows for each true value that are added to every class, with the shares that all classes have together; in
        rows without noise: they count beside as many clean rows as tell as much as the reports do.
    fit_prior : bool
        Whether to learn the shares of classes; they are taken for equal otherwise.
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
    class_count_ : ndarray, shape (n_classes,)
        Weight of the records of each class.
    class_log_prior_ : ndarray, shape (n_classes,)
        Logarithm of each class's share.
    feature_log_prob_ : list of ndarray, shape (n_classes, n_symbols)
        For each column, the logarithms of the shares of true values within each class, tokens ascending.
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
    Of a true value, a class has the probability that is learned; of a report, the sum over all true values that may
    be behind it. Features that a record does not report tell nothing.

    Privacy: training sees reports and labels only, and costs no epsilon beyond theirs. Labels are public here.

    References
    ----------
    E. Yilmaz, M. Al-Rubaie, J. M. Chang, "Naive Bayes classification under local differential privacy", DSAA 2020.

    Examples
    --------
    >>> import numpy as np
    >>> tokens = np.array([[7, 30], [9, 30], [7, 20], [9, 20]], dtype=np.uint64)
    >>> ChannelNaiveBayes().fit(tokens, ["a", "b", "a", "b"]).predict(tokens).tolist()
    ['a', 'b', 'a', 'b']
    """

    def __init__(
        self,
        *,
        alpha: float = 0.3,
        fit_prior: bool = True,
        laws: TokenLaws | None = None,
        handle_unknown: Literal["ignore", "error"] = "ignore",
    ) -> None:
        self.alpha = alpha
        self.fit_prior = fit_prior
        self.laws = laws
        self.handle_unknown = handle_unknown

    def _begin(self) -> None:
        if number(self.alpha, "alpha") <= 0:
            raise SpecError("must be a number above 0", path="alpha")
        for law in self.laws_:
            law.require_codes()
        self.class_count_ = np.zeros(len(self.classes_))
        self._counts = [np.zeros((len(self.classes_), len(law.reports))) for law in self.laws_]

    def _add(self, numbers: Ints, classes: Ints, weights: Floats) -> None:
        n_classes = len(self.classes_)
        self.class_count_ += np.bincount(classes, weights, n_classes)
        for total, own in zip(self._counts, numbers.T, strict=True):
            seen = own >= 0
            cells = classes[seen] * total.shape[1] + own[seen]
            total += np.bincount(cells, weights[seen], total.size).reshape(total.shape)  # noqa: PLW2901 adds in place

    def _solve(self) -> tuple[Scores, Scores]:
        shares = [_shares(counts, law, self.alpha) for counts, law in zip(self._counts, self.laws_, strict=True)]
        self.feature_log_prob_ = [np.log(own) for own in shares]
        counts = self.class_count_ if self.fit_prior else np.ones(len(self.classes_))
        with np.errstate(divide="ignore"):  # a class that no batch has had yet
            self.class_log_prior_ = np.log(counts / max(counts.sum(), np.finfo(np.float64).tiny))
        noisy = [np.log(own @ law.matrix) for own, law in zip(shares, self.laws_, strict=True)]
        tables = ([_as_table(own) for own in part] for part in (self.feature_log_prob_, noisy))
        clean, reports = (Scores(own, self.class_log_prior_) for own in tables)
        return clean, reports


def _shares(counts: Floats, law: TokenLaw, alpha: float) -> Floats:
    """Return the shares of true values in each class, from weights of reports; shape (n_classes, n_symbols)."""
    codes = law.require_codes()
    n_rows = counts.sum(axis=1, keepdims=True)
    raw, pooled = _clipped(counts @ codes), _clipped(counts.sum(axis=0) @ codes)
    worth = _worth(pooled, law, codes)
    rows = alpha * len(law.symbols)
    pooled = (worth * n_rows.sum() * pooled + alpha) / (worth * n_rows.sum() + rows)
    return np.asarray((worth * n_rows * raw + rows * pooled) / (worth * n_rows + rows))


def _clipped(sums: Floats) -> Floats:
    """Return shares from unbiased sums, which may be below 0."""
    above = np.clip(sums, 0, None)
    total = above.sum(axis=-1, keepdims=True)
    return np.asarray(np.divide(above, total, out=np.full_like(above, 1 / max(1, above.shape[-1])), where=total > 0))


def _worth(shares: Floats, law: TokenLaw, codes: Floats) -> float:
    """Return how many clean rows tell as much of the shares as one report does, at most 1."""
    own = 1 - shares @ shares
    noisy = (shares @ law.matrix) @ (codes**2).sum(axis=1) - shares @ shares
    return float(own / noisy) if noisy > own > 0 else 1.0


def _as_table(scores: Any) -> Floats:
    """Return scores by token, and zeros for what tells nothing."""
    return np.concatenate([scores.T, np.zeros((1, len(scores)))])
