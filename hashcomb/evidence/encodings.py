"""Encodings of rows whose models are compared: what they are made of, their names, and what a trainer gets of them."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import msgspec
from numpy.typing import NDArray

from hashcomb.channels import channels_of, describe
from hashcomb.codec import HashComb
from hashcomb.errors import DataDependentSpecWarning, InsecureRandomWarning, SpecError, WeakPrivacyWarning
from hashcomb.evidence.fold import Fold
from hashcomb.keys import Key
from hashcomb.laws import TokenLaws
from hashcomb.learn import learn_spec
from hashcomb.privacy import compose_spec
from hashcomb.spec import ChannelSpec, Spec

__all__ = (
    "BY_LAW",
    "DELTA",
    "EMBEDDING",
    "EMBEDDING_ALL",
    "MEAN_LABELS",
    "NUMBERS",
    "ONE_HOT",
    "ONE_HOT_ALL",
    "PROFILES",
    "PROFILES_AND_MEANS",
    "PROFILES_AND_ODDS",
    "TAKEN_FOR_TRUE",
    "Encoded",
    "Encoding",
    "combs_of",
    "encoded",
    "epsilons_of",
    "uses_clean_rows",
)

DELTA = 1e-5  # of the epsilons of whole records
ONE_HOT = "one-hot"
ONE_HOT_ALL = "one-hot of all levels"
MEAN_LABELS = "mean labels"
PROFILES = "profiles"
PROFILES_AND_MEANS = "profiles and mean labels"
PROFILES_AND_ODDS = "profiles and log odds"
NUMBERS = "token numbers"
EMBEDDING = "embedding"
EMBEDDING_ALL = "embedding of all levels"
TAKEN_FOR_TRUE = "taken for true"
BY_LAW = "by the law"

ALL_LEVELS = (ONE_HOT_ALL, EMBEDDING_ALL)
_REPORTING_LEAVES = ("randomized_response", "geometric", "interval", "optimal")
_OWN: dict[str, dict[str, Any]] = {"randomized_response": {"depth": "leaf"}, "last_head": {"heads": 0.5}}


class Encoding(msgspec.Struct, frozen=True, kw_only=True):
    """What a model sees of the rows.

    Attributes
    ----------
    family : {"raw", "tokens", "channel", "laplace", "gaussian"}
        Values, deterministic tokens, randomized tokens, or values with noise.
    representation : str or None
        How a model is fed with them; None for values.
    edges : {"quantile", "uniform"} or None
        Leaves of equal mass or equal width; None for values.
    depth : int or None
        Levels of the combs; None for values, and where it is chosen within the training rows.
    channel : str or None
        Kind of the channel.
    epsilon : float or None
        Wanted epsilon of each feature, in nats.
    """

    family: Literal["raw", "tokens", "channel", "laplace", "gaussian"]
    representation: str | None = None
    edges: Literal["quantile", "uniform"] | None = None
    depth: int | None = None
    channel: str | None = None
    epsilon: float | None = None

    @property
    def name(self) -> str:
        """What tells this encoding from others, in tables and files."""
        if self.family == "raw":
            return "raw"
        what = self.channel.replace("_", " ") if self.channel else None
        kind = {"tokens": self.edges, "channel": what}.get(self.family, f"{self.family} noise")
        parts = [
            f"{kind} depth {self.depth}" if self.depth else kind,
            f"epsilon {self.epsilon:g}" if self.epsilon else None,
            self.representation,
        ]
        return ", ".join(part for part in parts if part)


class Encoded(NamedTuple):
    """What a trainer gets of some rows, and what is tested.

    Attributes
    ----------
    train, test : ndarray, shape (n_rows, n_columns[, depth])
        Values or tokens.
    laws : TokenLaws or None
        How randomized tokens come about.
    spec : Spec or None
        What tokens were made by; the trainer does not get it.
    """

    train: NDArray[Any]
    test: NDArray[Any]
    laws: TokenLaws | None = None
    spec: Spec | None = None


def encoded(fold: Fold, encoding: Encoding, seed: int) -> Encoded:
    """Encode rows as owners would who agreed on combs of the training rows; test rows do not shape them.

    Parameters
    ----------
    fold : Fold
        Rows.
    encoding : Encoding
        Of the families "raw", "tokens" and "channel", with a depth.
    seed : int
        Of the Key and of the channel's randomness.

    Notes
    -----
    Privacy: for measurements alone. Edges are values of the training rows, and the Key and the randomness follow
    from the seed.
    """
    if encoding.family == "raw":
        return Encoded(fold.X, fold.X_test)
    with _for_measuring():
        codec = HashComb(_spec(fold, encoding), Key(hashlib.sha256(f"measured {seed}".encode()).digest()))
        if encoding.channel is None:
            return Encoded(codec.encode(fold.X), codec.encode(fold.X_test))
        train = codec.encode(fold.X, seed=seed)
        test = (
            codec.encode_clean(fold.X_test) if uses_clean_rows(encoding) else codec.encode(fold.X_test, seed=seed + 1)
        )
        return Encoded(train, test, codec.laws(), codec.spec)


def combs_of(fold: Fold, depth: int) -> Spec:
    """Return quantile combs of the training rows."""
    with _for_measuring():
        return learn_spec(fold.X, depth=depth)


def epsilons_of(spec: Spec | None) -> tuple[float | None, float | None]:
    """Return the exact epsilon of a feature's report, and that of a record at `DELTA` by tight composition.

    Parameters
    ----------
    spec : Spec or None
        What tokens were made by.

    Returns
    -------
    tuple of float or None
        In nats, rounded up; the largest of all features. None where no epsilon is finite.
    """
    composition = None if spec is None else compose_spec(spec)
    if spec is None or composition is None or math.isinf(composition.basic):
        return None, None
    return max(channel.epsilon for channel in channels_of(spec) or ()), composition.epsilon(DELTA)


def uses_clean_rows(encoding: Encoding) -> bool:
    """Return whether models are tested on clean rows: they are, where one can be used on them.

    Reports of some channels are no leaves. A model that takes them for true knows none of the tokens of clean rows,
    and so is tested on reports of the test rows.
    """
    return encoding.representation != TAKEN_FOR_TRUE or encoding.channel in _REPORTING_LEAVES


def _spec(fold: Fold, encoding: Encoding) -> Spec:
    if encoding.depth is None or encoding.edges is None:
        raise SpecError("is needed to cut combs", path="depth" if encoding.edges else "edges")
    levels = "comb" if encoding.representation in ALL_LEVELS else "leaf"
    channel = _channel(encoding, 1 << encoding.depth)
    return learn_spec(fold.X, depth=encoding.depth, edges=encoding.edges, channel=channel, tokens=levels)


def _channel(encoding: Encoding, n_leaves: int) -> ChannelSpec | None:
    if encoding.channel is None:
        return None
    own = _OWN.get(encoding.channel, {})
    return describe(encoding.channel, own, n_leaves=n_leaves, epsilon=encoding.epsilon)


@contextmanager
def _for_measuring() -> Iterator[None]:
    """Leave out warnings that measuring is no protection: nothing leaves this process but shares of right answers."""
    with warnings.catch_warnings():
        for category in (DataDependentSpecWarning, InsecureRandomWarning, WeakPrivacyWarning):
            warnings.simplefilter("ignore", category)
        yield
