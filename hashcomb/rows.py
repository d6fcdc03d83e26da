"""Labeled rows of several owners: their files, and which rows are held out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hashcomb.columns import refuse_where
from hashcomb.errors import DataError
from hashcomb.tables import CsvRows

__all__ = ("Rows", "deal_folder", "held_out", "load")

TEST_SHARE = 0.25
MAX_CLASSES = 50


class Rows(NamedTuple):
    """Features and labels of some rows."""

    names: list[str]
    label: str
    X: NDArray[np.float64]
    y: NDArray[np.object_]

    def part(self, chosen: NDArray[np.bool_]) -> Rows:
        """Return the chosen rows."""
        return Rows(self.names, self.label, self.X[chosen], self.y[chosen])

    def distinct(self) -> NDArray[np.bool_]:
        """Return which rows are the first of their kind, label included."""
        keys = [row.tobytes() + str(label).encode() for row, label in zip(self.X, self.y, strict=True)]
        first = {key: place for place, key in reversed(list(enumerate(keys)))}
        chosen = np.zeros(len(keys), dtype=bool)
        chosen[list(first.values())] = True
        return chosen


def load(paths: Sequence[str]) -> Rows:
    """Read CSV files whose last column is the label.

    Raises
    ------
    DataError
        If files have different columns, a feature is no number, or a label is missing.
    """
    parts = [_load(path) for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if (part.names, part.label) != (parts[0].names, parts[0].label):
            raise DataError(f"{Path(path).name} has other columns than {Path(paths[0]).name}")
    X, y = np.concatenate([part.X for part in parts]), np.concatenate([part.y for part in parts])
    return Rows(parts[0].names, parts[0].label, X, y)


def _load(path: str) -> Rows:
    source = CsvRows(path)
    *names, label = source.names
    if not names:
        raise DataError(f"{Path(path).name} has a single column", hint="the last column is the label")
    batches = list(source.batches({label}))
    if not batches:
        raise DataError(f"{Path(path).name} has no rows")
    y = np.concatenate([batch[label] for batch in batches])
    refuse_where(np.array([value is None for value in y]), label, "a label is missing", "")
    X = np.concatenate([np.column_stack([batch[name] for name in names]) for batch in batches])
    problem = f"a missing value or an infinity in {Path(path).name}"
    refuse_where(~np.isfinite(X), names, problem, "rows are taken complete: fill it, or leave the row out")
    return Rows(names, label, X, y)


def held_out(X: NDArray[np.float64], seed: int) -> NDArray[np.bool_]:
    """Choose a quarter of all distinct rows by a hash of their values, the same at every owner.

    A row that repeats, at one owner or at several, is held out everywhere or nowhere: no row is tested that
    was trained on.
    """
    limit = int(TEST_SHARE * (1 << 64))
    key = seed.to_bytes(8, "big", signed=True)
    hashes = (hashlib.blake2b(row.tobytes(), key=key, digest_size=8).digest() for row in np.ascontiguousarray(X))
    return np.array([int.from_bytes(digest, "big") < limit for digest in hashes], dtype=bool)


def deal_folder(folder: str, n_owners: int | None) -> list[list[str]]:
    """Deal the files ``owner-*.csv`` of a folder to owners, one each by default.

    Raises
    ------
    DataError
        If there are fewer files than owners, or fewer than three.
    """
    files = sorted(str(path) for path in Path(folder).glob("owner-*.csv"))
    wanted = len(files) if n_owners is None else n_owners
    if len(files) < max(wanted, 3):
        raise DataError(
            f"{len(files)} files named owner-*.csv, where {max(wanted, 3)} owners are wanted",
            hint="an agreement takes three owners or more, each with a file",
        )
    return [files[owner::wanted] for owner in range(wanted)]
