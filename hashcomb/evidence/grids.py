"""What is compared: models, and the encodings that each of them is tried on."""

from __future__ import annotations

from hashcomb.evidence.encodings import (
    BY_LAW,
    EMBEDDING,
    EMBEDDING_ALL,
    MEAN_LABELS,
    NUMBERS,
    ONE_HOT,
    ONE_HOT_ALL,
    PROFILES,
    PROFILES_AND_MEANS,
    PROFILES_AND_ODDS,
    TAKEN_FOR_TRUE,
    Encoding,
)

__all__ = ("DEFAULTS", "EPSILONS", "GRIDS", "MODELS", "Grid")

Grid = tuple[tuple[tuple[str, ...], tuple[Encoding, ...]], ...]

# What a model is fed with by default, found on the five data sets of the project and the same for all of them: trees
# cut columns that have an order, and linear models and networks have fewer weights to learn than with one-hot columns.
DEFAULTS = {
    "logistic regression": PROFILES_AND_ODDS,
    "random forest": PROFILES_AND_MEANS,
    "gradient boosting": PROFILES,
    "neural network": PROFILES_AND_ODDS,
    "torch network": EMBEDDING,
}
_PLAIN = ("logistic regression", "linear discriminant", "naive Bayes")
MODELS = (*DEFAULTS, *_PLAIN[1:])
EPSILONS = (0.5, 1.0, 2.0, 4.0, 8.0)  # of a feature

CHANNELS = (
    "randomized_response",
    "geometric",
    "interval",
    "optimal",
    "poisson_binomial",
    "random_depth",
    "rqm",
    "square_wave",
)
RAW = Encoding(family="raw")


def _tokens(representation: str, depth: int = 4, edges: str = "quantile") -> Encoding:
    return Encoding(family="tokens", representation=representation, edges=edges, depth=depth)  # type: ignore[arg-type]


def _channel(kind: str, representation: str, epsilon: float | None = None, depth: int | None = None) -> Encoding:
    return Encoding(
        family="channel",
        representation=representation,
        edges="quantile",
        depth=depth,
        channel=kind,
        epsilon=epsilon,
    )


def _headline() -> Grid:
    return tuple(((model,), (RAW, _tokens(fed))) for model, fed in DEFAULTS.items())


def _depths() -> Grid:
    return tuple(
        (
            (model,),
            (
                RAW,
                *(_tokens(DEFAULTS[model], depth, edges) for edges in ("quantile", "uniform") for depth in range(1, 9)),
            ),
        )
        for model in ("logistic regression", "random forest", "gradient boosting")
    )


def _representations() -> Grid:
    last_head = _channel("last_head", TAKEN_FOR_TRUE, depth=4)
    numbers = (_tokens(NUMBERS), _tokens(NUMBERS, edges="uniform"))
    shown = (RAW, *(_tokens(fed) for fed in (ONE_HOT, ONE_HOT_ALL, MEAN_LABELS, PROFILES)), *numbers, last_head)
    embeddings = (RAW, _tokens(EMBEDDING), _tokens(EMBEDDING_ALL))
    return (
        (("logistic regression", "random forest", "neural network"), shown),
        (("gradient boosting",), (RAW, _tokens(MEAN_LABELS), *numbers)),  # it takes no sparse columns
        (("torch network",), embeddings),
    )


def _channels() -> Grid:
    plain, by_law = (
        tuple(_channel(kind, fed, epsilon) for kind in CHANNELS for epsilon in EPSILONS)
        for fed in (TAKEN_FOR_TRUE, BY_LAW)
    )
    response = CHANNELS[0]
    networks = (_channel(response, fed, epsilon, 4) for epsilon in (1.0, 4.0) for fed in (EMBEDDING, BY_LAW))
    return (
        (("logistic regression",), (RAW, *plain)),
        (("linear discriminant",), (RAW, *by_law)),
        (("naive Bayes",), (RAW, *(_channel(response, BY_LAW, epsilon) for epsilon in EPSILONS))),
        (("torch network",), (RAW, *networks)),
    )


def _noise() -> Grid:
    noisy = tuple(Encoding(family=family, epsilon=one) for family in ("laplace", "gaussian") for one in EPSILONS)
    return ((_PLAIN[:2], (RAW, *noisy)),)


GRIDS: dict[str, Grid] = {
    "headline": _headline(),
    "depths": _depths(),
    "representations": _representations(),
    "channels": _channels(),
    "noise": _noise(),
}
