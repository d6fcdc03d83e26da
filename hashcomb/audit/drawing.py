"""Reports from the code that runs: rows whose values lie in chosen leaves are encoded, and their tokens read back."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb.audit.subject import Subject
from hashcomb.codec import HashComb
from hashcomb.errors import InsecureRandomWarning
from hashcomb.keys import Key
from hashcomb.spec import Categorical, Spec

__all__ = ("Drawing", "reports_of")

Array = NDArray[Any]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_CALL_VALUES = 1 << 22
_SCORED_VALUES = 1 << 20  # of all calls for one purpose: correlated at every distance, by Fourier transforms


def reports_of(codec: HashComb, tables: Iterator[Any], seed: int | None, *, batches: bool) -> Iterator[Array]:
    """Encode tables, and return the number of the report behind every token.

    Parameters
    ----------
    codec : HashComb
        What is audited.
    tables : iterator of tables
        Rows.
    seed : int or None
        For the noise of the first call; each further call takes the next one.
    batches : bool
        Whether the tables are batches of one encoding; otherwise each is encoded by a call of its own.

    Yields
    ------
    ndarray of int32, shape (n_rows, n_features)
        -1 where nothing is seen: for missing values, and for features that a record does not report.
    """
    encoded: Iterator[Any]
    if batches:
        encoded = codec.encode_batches(tables, seed=seed)
    else:
        encoded = (codec.encode(table, seed=None if seed is None else seed + i) for i, table in enumerate(tables))
    for tokens in encoded:
        yield codec.reports(tokens)


class Drawing:
    """All reports drawn under one fresh Key: counted by the subjects, and scored here for independence.

    Parameters
    ----------
    spec : Spec
        With a channel.
    subjects : list of Subject
        All its features.
    seed : int or None
        Makes the run repeatable.

    Attributes
    ----------
    scores, variances : list of ndarray, each of shape (2, n_rows, n_features)
        As `Subject.score` gives them, for the first rows of every call.
    appearances : list of ndarray, each of shape (2, n_rows)
        Whether the first feature was seen, less its mean, and the variance.
    """

    def __init__(self, spec: Spec, subjects: list[Subject], seed: int | None) -> None:
        self.spec, self.subjects = spec, subjects
        self._codec = HashComb(spec, Key.create() if seed is None else Key(_digest(seed, "key")))
        self._seed = None if seed is None else int.from_bytes(_digest(seed, "noise")[:8], "big")
        self._is_mixed = any(isinstance(feature, Categorical) for feature in spec.features)
        self.scores: list[Floats] = []
        self.variances: list[Floats] = []
        self.appearances: list[Floats] = []

    def draw(self, n_rows: int, *, batches: bool) -> None:
        """Draw reports of some rows, in at least two calls, or in batches of one call."""
        width = len(self.spec.features)
        n_pieces = max(2, -(-n_rows * width // _CALL_VALUES))
        edges = np.linspace(0, n_rows, n_pieces + 1).astype(int)
        n_scored = max(1, _SCORED_VALUES // (n_pieces * width))
        pending: list[list[Ints]] = []

        def tables() -> Iterator[Any]:
            for first, last in pairwise(edges):
                pending.append([subject.plan(np.arange(first, last)) for subject in self.subjects])
                yield self._table(pending[-1])

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InsecureRandomWarning)  # nobody's values are in these rows
            for reports in reports_of(self._codec, tables(), self._next_seed(n_pieces), batches=batches):
                self._take(pending.pop(), reports, n_scored)

    def _next_seed(self, n_calls: int) -> int | None:
        if self._seed is None:
            return None
        self._seed += n_calls
        return self._seed - n_calls

    def _table(self, plans: list[Ints]) -> Any:
        columns: list[Any] = [None] * len(self.spec.features)
        for subject, plan in zip(self.subjects, plans, strict=True):
            for own, (position, values) in enumerate(zip(subject.positions, subject.values, strict=True)):
                columns[position] = values[plan[:, own]]
        return dict(zip(self.spec.names, columns, strict=True)) if self._is_mixed else np.column_stack(columns)

    def _take(self, plans: list[Ints], reports: Array, n_scored: int) -> None:
        shape = (2, min(len(reports), n_scored), reports.shape[1])
        scores, variances = np.empty(shape), np.empty(shape)
        for subject, plan in zip(self.subjects, plans, strict=True):
            own = reports[:, subject.positions]
            subject.tally(plan, own)
            some = slice(0, shape[1])
            scores[:, :, subject.positions], variances[:, :, subject.positions] = subject.score(plan[some], own[some])
            if 0 in subject.positions:
                seen, spread = subject.appearance(plan[some], own[some])
                at = int(np.flatnonzero(subject.positions == 0)[0])
                self.appearances.append(np.stack([seen[:, at], spread[:, at]]))
        self.scores.append(scores)
        self.variances.append(variances)


def _digest(seed: int, purpose: str) -> bytes:
    return hashlib.sha256(f"hashcomb audit {purpose} {seed}".encode()).digest()
