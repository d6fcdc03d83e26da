"""Where the random words of an encoding come from: a fresh secret, a seed, or the ids of the records."""

from __future__ import annotations

import hashlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb.errors import DataError, InsecureRandomWarning, KeyMaterialError, SpecError
from hashcomb.keys import Key, Keystream, RecordWords
from hashcomb.scalars import is_utf8
from hashcomb.spec import Spec

__all__ = ("FreshNoise", "MemoNoise", "Noise", "seeded")

Words = NDArray[np.uint64]
MAX_MEMO_FEATURES = 1 << 16


class Noise(ABC):
    """Secret random words for values, addressed so that chunks and threads do not matter."""

    @abstractmethod
    def words(self, row: int, leaves: NDArray[np.int32]) -> Words:
        """Return one word for each value of the rows from number `row`, shape as `leaves`."""

    @abstractmethod
    def choice(self, row: int, leaves: NDArray[np.int32]) -> Words:
        """Return further words, for choosing features; they do not depend on the leaves."""


class FreshNoise(Noise):
    """Words of keystreams, by the number of the row.

    Parameters
    ----------
    secret : bytes, optional
        What both keystreams are derived from; drawn anew by default.
    """

    def __init__(self, secret: bytes | None = None) -> None:
        second = None if secret is None else hashlib.sha256(b"hashcomb choice" + secret).digest()
        self._streams = Keystream(secret), Keystream(second)

    def words(self, row: int, leaves: NDArray[np.int32]) -> Words:
        """Return one word for each value of the rows from number `row`, shape as `leaves`."""
        return _numbered(self._streams[0], row, leaves)

    def choice(self, row: int, leaves: NDArray[np.int32]) -> Words:
        """Return further words, for choosing features."""
        return _numbered(self._streams[1], row, leaves)


def _numbered(stream: Keystream, row: int, leaves: NDArray[np.int32]) -> Words:
    return stream.words(row * leaves.shape[1], leaves.size).reshape(leaves.shape)


def seeded(seed: int, stacklevel: int = 4) -> FreshNoise:
    """Return noise that is the same for the same seed, and warn that it protects nothing."""
    warnings.warn(
        "a seeded channel is repeatable and protects nothing; leave the seed out for real data",
        InsecureRandomWarning,
        stacklevel=stacklevel,
    )
    return FreshNoise(hashlib.sha256(f"hashcomb seed {seed}".encode()).digest())


class MemoNoise(Noise):
    """Words by the ids of records: a record that is encoded again gives the same reports.

    The words depend on the leaf too: a value that has changed gets a report of its own, which does not share its
    randomness with the old one. Ids are compared character by character.

    Notes
    -----
    Privacy: a record that is encoded any number of times costs what one encoding does, as long as its values stay
    the same. That a value has changed shows, to anybody and with no epsilon at all, where its report changes: the
    same value would have repeated it.

    Parameters
    ----------
    memo_key : Key
        A Key of this owner alone; whoever has it can take the noise away.
    spec : Spec
        Words under another Spec are unrelated.
    dataset : str
        As those of another data set are, where the same id may be another record.
    shared_key_id : str
        Id of the Key that the owners share, which this must not be.

    Raises
    ------
    KeyMaterialError
        If `memo_key` is no Key, or the shared one.
    SpecError
        If the Spec has no channel, or too many features.
    """

    def __init__(self, memo_key: Key, spec: Spec, dataset: str, shared_key_id: str) -> None:
        if not isinstance(memo_key, Key):
            raise KeyMaterialError("memo_key must be a hashcomb.Key", hint="make one with Key.create(), and keep it")
        if memo_key.id == shared_key_id:
            raise KeyMaterialError(
                "the memo key is the Key that the owners share, and they could take the noise away",
                hint="make a Key of your own with Key.create()",
            )
        if spec.channel is None:
            raise SpecError("is missing: without one there are no reports to repeat", path="channel")
        if len(spec.features) > MAX_MEMO_FEATURES:
            raise SpecError(f"are more than {MAX_MEMO_FEATURES}", path="features")
        secrets = [
            memo_key.derive(purpose, fingerprint=spec.fingerprint, dataset=dataset) for purpose in ("memo", "memo id")
        ]
        self._words = RecordWords(*secrets)
        self._seen: set[bytes] = set()
        self._records: NDArray[np.uint8] = np.empty((0, RecordWords.ID_BYTES), dtype=np.uint8)
        self._first = 0

    def take(self, record_ids: Iterable[Any] | None, first_row: int, n_rows: int) -> None:
        """Take the ids of the next rows.

        Parameters
        ----------
        record_ids : sequence of str or int
            One a row.
        first_row : int
            Number of the first of these rows.
        n_rows : int
            How many there are.

        Raises
        ------
        DataError
            If there are not as many ids as rows, one is none, or one occurs twice.
        """
        names = [_name(value, first_row + i) for i, value in enumerate(_listed(record_ids))]
        if len(names) != n_rows:
            raise DataError(f"there are {len(names)} record ids for {n_rows} rows", hint="give one id a row")
        self._records, self._first = self._words.hash_ids(names), first_row
        for i, digest in enumerate(map(bytes, self._records)):
            if digest in self._seen:
                problem = "this record id occurs twice"
                raise DataError(problem, row=first_row + i, hint="give every record an id of its own")
            self._seen.add(digest)

    def words(self, row: int, leaves: NDArray[np.int32]) -> Words:
        """Return one word for each value of the rows from number `row`, shape as `leaves`."""
        start = row - self._first
        return self._words.words(self._records[start : start + len(leaves)], leaves)

    def choice(self, row: int, leaves: NDArray[np.int32]) -> Words:
        """Return further words, for choosing features; they do not depend on the leaves."""
        return self.words(row, np.full(leaves.shape, RecordWords.NO_LEAF))


def _listed(record_ids: Iterable[Any] | None) -> list[Any]:
    if isinstance(record_ids, str | bytes | Set | Mapping) or not isinstance(record_ids, Iterable):
        raise DataError("record_ids must be a sequence with one id a row, in the order of the rows")
    return list(np.asarray(record_ids, dtype=object).tolist())


def _name(value: Any, row: int) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str | np.integer) or value == "":
        raise DataError("a record id must be text or a whole number", row=row)
    if not is_utf8(name := str(value)):
        raise DataError("a record id holds half of a character", row=row)
    return name
