"""The arms of the comparison: a model, trained and tested on rows in one encoding."""

from __future__ import annotations

import time
from typing import NamedTuple

from msgspec.structs import replace
from threadpoolctl import threadpool_limits

from hashcomb.errors import SpecError
from hashcomb.evidence.encodings import TAKEN_FOR_TRUE, Encoding, encoded, epsilons_of
from hashcomb.evidence.fold import Fold
from hashcomb.evidence.grids import GRIDS, MODELS
from hashcomb.evidence.learners import PENALTIES, learner, trained
from hashcomb.evidence.noise import noisy_trials
from hashcomb.evidence.trials import Tested, Trial, best

__all__ = ("GRIDS", "MODELS", "Score", "score")

DEPTHS = (1, 2, 4)  # of randomized tokens; one is chosen within the training rows


class Score(NamedTuple):
    """What one model makes of one encoding.

    Attributes
    ----------
    accuracy : float
        Share of the test rows that it names rightly.
    epsilon_feature, epsilon_record : float or None
        Exact privacy of one feature, and of a whole record at delta 1e-5, in nats, rounded up; None where no
        epsilon is finite.
    seconds : float
        Time for encoding, choosing, training and testing.
    """

    accuracy: float
    epsilon_feature: float | None = None
    epsilon_record: float | None = None
    seconds: float = 0.0


def score(fold: Fold, model: str, encoding: Encoding, seed: int) -> Score:
    """Train a model on the training rows in an encoding, and test it.

    Parameters
    ----------
    fold : Fold
        Rows.
    model : str
        One of `MODELS`.
    encoding : Encoding
        What the model sees of them.
    seed : int
        Of everything that is drawn at random.

    Returns
    -------
    Score

    Raises
    ------
    SpecError
        If there is no such model, or it cannot be fed so.
    ChannelError
        If the channel cannot be undone on these rows.

    Notes
    -----
    What there is to choose (the depth of randomized tokens, the penalty of models that take them for true) is chosen
    within the training rows: by training on three quarters of them, and testing on the rest, clean wherever test rows
    are (`hashcomb.evidence.encodings.uses_clean_rows`).

    Privacy: a measurement; the accuracy is a statistic of rows and labels, without differential privacy.
    """
    begun = time.perf_counter()
    with threadpool_limits(1):  # more would only wait for each other where several arms run
        found = best(_trials(model, encoding), fold, seed)
    return Score(found.accuracy, *found.epsilons(), time.perf_counter() - begun)


def _trials(model: str, encoding: Encoding) -> list[Trial]:
    if model not in MODELS:
        raise SpecError(f"is no model of this comparison: {', '.join(MODELS)}", path="model")
    if encoding.family in ("laplace", "gaussian"):
        return noisy_trials(model, encoding)
    depths = DEPTHS if encoding.channel and encoding.depth is None else (encoding.depth,)
    plain = model == "logistic regression" and encoding.representation == TAKEN_FOR_TRUE
    return [
        _trial(model, replace(encoding, depth=depth), penalty)
        for depth in depths
        for penalty in (PENALTIES if plain else (1.0,))
    ]


def _trial(model: str, encoding: Encoding, penalty: float) -> Trial:
    def trial(fold: Fold, seed: int) -> Tested:
        rows = encoded(fold, encoding, seed)
        if model == "torch network":
            from hashcomb.evidence.networks import network_accuracy  # noqa: PLC0415 the others need no torch

            accuracy = network_accuracy(rows, fold.y, fold.y_test, encoding.representation, seed)
        else:
            n_classes = int(fold.y.max()) + 1
            made = learner(model, encoding.representation, seed, n_classes=n_classes, laws=rows.laws, penalty=penalty)
            accuracy = float(trained(made, rows.train, fold.y).score(rows.test, fold.y_test))
        return Tested(accuracy, lambda: epsilons_of(rows.spec))

    return trial
