"""Models of scikit-learn, and what they are fed with: values or tokens, and never a Key or the order of leaves."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler, TargetEncoder

from hashcomb.errors import SpecError
from hashcomb.evidence.encodings import (
    BY_LAW,
    MEAN_LABELS,
    NUMBERS,
    ONE_HOT,
    ONE_HOT_ALL,
    PROFILES,
    PROFILES_AND_MEANS,
    PROFILES_AND_ODDS,
    TAKEN_FOR_TRUE,
)
from hashcomb.integrations.sklearn import (
    ChannelLinearClassifier,
    ChannelNaiveBayes,
    TokenLogOdds,
    TokenOneHot,
    TokenProfiles,
)
from hashcomb.laws import TokenLaws

__all__ = ("LEARNERS", "PENALTIES", "learner", "trained")

PENALTIES = (0.001, 0.01, 0.1, 1.0)  # C of logistic regression on what is noisy
_SCALED = ("logistic regression", "neural network", "linear discriminant")


def _network(seed: int) -> Any:
    """Return a network whose weight decay is chosen on a fifth of the training rows, raw and on tokens alike."""
    network = MLPClassifier((32,), learning_rate_init=0.01, early_stopping=True, max_iter=100, random_state=seed)
    return GridSearchCV(network, {"alpha": [0.01, 1.0]}, cv=ShuffleSplit(1, test_size=0.2, random_state=seed))


LEARNERS: dict[str, Callable[[int, float], Any]] = {
    "logistic regression": lambda _, penalty: LogisticRegression(C=penalty, max_iter=1000),
    "random forest": lambda seed, _: RandomForestClassifier(100, random_state=seed),
    "gradient boosting": lambda seed, _: HistGradientBoostingClassifier(max_iter=60, random_state=seed),
    "neural network": lambda seed, _: _network(seed),
    "linear discriminant": lambda *_: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    "naive Bayes": lambda *_: GaussianNB(),
}

_BY_LAW: dict[str, Callable[[TokenLaws | None], Any]] = {
    "linear discriminant": lambda laws: ChannelLinearClassifier(laws=laws),
    "naive Bayes": lambda laws: ChannelNaiveBayes(laws=laws),
}


def learner(
    model: str,
    representation: str | None,
    seed: int,
    *,
    n_classes: int = 2,
    laws: TokenLaws | None = None,
    penalty: float = 1.0,
) -> Any:
    """Return an untrained model with what turns its rows into numbers.

    Parameters
    ----------
    model : str
        One of `LEARNERS`.
    representation : str or None
        How it is fed with tokens; None for values.
    seed : int
        Of whatever it draws at random.
    n_classes : int, optional
        How many labels there are. With more than two, mean labels and log odds are left out beside profiles: they
        would be as many columns for every feature.
    laws : TokenLaws, optional
        How randomized tokens come about, for the representation "by the law".
    penalty : float, optional
        ``C`` of logistic regression: less binds the weights more.

    Raises
    ------
    SpecError
        If the model cannot be fed so.
    """
    if representation == BY_LAW:
        if model not in _BY_LAW:
            raise SpecError(f"no {model} undoes a channel", path="model", hint=f"these do: {', '.join(_BY_LAW)}")
        return _BY_LAW[model](laws)
    return make_pipeline(*_inputs(model, representation, seed, n_classes), LEARNERS[model](seed, penalty))


def trained(model: Any, rows: Any, labels: Any) -> Any:
    """Return a model trained on rows, without warnings that say nothing of its accuracy.

    Parameters
    ----------
    model : estimator
        As from `learner`.
    rows : array_like, shape (n_rows, n_columns[, depth])
        Values or tokens.
    labels : array_like, shape (n_rows,)
        What is to be learned.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "`TargetEncoder", FutureWarning)  # how releases before 1.9 take a seed
        return model.fit(rows, labels)


def _inputs(model: str, representation: str | None, seed: int, n_classes: int) -> list[Any]:
    if representation in (ONE_HOT, ONE_HOT_ALL, TAKEN_FOR_TRUE):
        return [TokenOneHot()]
    two = n_classes == 2
    # Each token becomes the mean label of its rows, for training rows that of other rows with it.
    means = TargetEncoder(random_state=seed)
    odds = make_pipeline(TokenLogOdds(), StandardScaler())
    columns = {
        MEAN_LABELS: means,
        PROFILES: TokenProfiles(2),
        PROFILES_AND_MEANS: make_union(TokenProfiles(2), means) if two else TokenProfiles(2),
        PROFILES_AND_ODDS: make_union(TokenProfiles(1), odds) if two else TokenProfiles(3),
        NUMBERS: FunctionTransformer(np.asarray, kw_args={"dtype": np.float64}),
    }
    fed = [] if representation is None else [columns[representation]]
    return [*fed, StandardScaler()] if model in _SCALED and representation != PROFILES_AND_ODDS else fed
