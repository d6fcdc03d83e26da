"""The data sets that are measured on: bundled with scikit-learn, folders of owners, or from OpenML."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import fetch_openml, load_breast_cancer, load_digits

from hashcomb.columns import refuse_where
from hashcomb.errors import DataError
from hashcomb.rows import MAX_CLASSES, deal_folder, load

__all__ = ("BUNDLED", "DataSet", "bundled", "from_folder", "from_openml", "load_all")

BUNDLED = {"breast_cancer": load_breast_cancer, "digits": load_digits}
N_OWNERS = 10

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class DataSet(NamedTuple):
    """Labeled rows of several owners.

    Attributes
    ----------
    name : str
        What it is called in tables.
    sha : str
        The first 12 hexadecimal digits of a SHA-256 of all rows, labels and owners.
    X : ndarray of float64, shape (n_rows, n_features)
        Features.
    y : ndarray of int64, shape (n_rows,)
        Labels, 0 to the number of classes less one.
    owner : ndarray of int64, shape (n_rows,)
        The number of the owner of each row.
    row : ndarray of int64, shape (n_rows,)
        Equal for rows whose features are equal.
    """

    name: str
    sha: str
    X: Floats
    y: Ints
    owner: Ints
    row: Ints


def load_all(bundles: Sequence[str], folders: Sequence[str], openml: Sequence[str]) -> list[DataSet]:
    """Load data sets by their names.

    Parameters
    ----------
    bundles : sequence of str
        Names in `BUNDLED`.
    folders : sequence of str
        Folders of ``owner-*.csv``.
    openml : sequence of str
        Names of data sets of OpenML.

    Returns
    -------
    list of DataSet

    Raises
    ------
    DataError
        If one cannot be loaded, or two have the same name, or one that cannot stand in a table.
    """
    sets = [bundled(name) for name in bundles] + [from_folder(folder) for folder in folders]
    sets += [from_openml(name) for name in openml]
    names = [one.name for one in sets]
    for name in names:
        if not name.isprintable() or not name.strip() or "|" in name:
            raise DataError(f"the data set {name!r} cannot be called so in a table", hint="rename the folder")
        if names.count(name) > 1:
            raise DataError(f"two data sets are called {name!r}", hint="a folder gives its name; rename one")
    return sets


def bundled(name: str) -> DataSet:
    """Load a data set that scikit-learn brings, dealt to ten owners at random.

    Raises
    ------
    DataError
        If there is none of this name.
    """
    if name not in BUNDLED:
        raise DataError(f"{name!r} is not bundled", hint=f"bundled are {', '.join(BUNDLED)}")
    X, y = BUNDLED[name](return_X_y=True)
    return _made(name, X, y, _dealt(len(y)))


def from_folder(folder: str) -> DataSet:
    """Load the files ``owner-*.csv`` of a folder, one for each owner, whose last column is the label.

    Raises
    ------
    DataError
        If there are fewer than three files, a feature is no number or missing, or the labels are no classes.
    """
    parts = [load(files) for files in deal_folder(folder, None)]
    for part in parts:
        if part.names != parts[0].names or part.label != parts[0].label:
            raise DataError(f"the files in {Path(folder).resolve().name} have different columns")
    owner = np.repeat(np.arange(len(parts)), [len(part.y) for part in parts])
    X, y = np.concatenate([part.X for part in parts]), np.concatenate([part.y for part in parts])
    return _made(Path(folder).resolve().name, X, y, owner)


def from_openml(name: str) -> DataSet:
    """Fetch a data set from OpenML, or from scikit-learn's cache of it, and deal it to ten owners at random.

    Columns of categories are left out: what is measured are combs over numbers.

    Raises
    ------
    DataError
        If it cannot be fetched, has no column of numbers, a value is missing, or the labels are no classes.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of each retry
            found = fetch_openml(name, as_frame=False, parser="liac-arff", n_retries=1)
    except (OSError, ValueError) as error:  # no network, no such data set, or one that is not dense
        raise DataError(
            f"OpenML's {name!r} could not be fetched ({type(error).__name__})",
            hint="see that there is a network and that it is called so on openml.org, or put the rows into a folder "
            "as owner-1.csv, owner-2.csv, owner-3.csv (last column the label) and pass --data",
        ) from None
    return _numbers_of(name, found)


def _numbers_of(name: str, found: Any) -> DataSet:
    numeric = [place for place, column in enumerate(found.feature_names) if column not in (found.categories or {})]
    if not numeric or found.target is None:
        raise DataError(f"OpenML's {name!r} has no column of numbers, or no label", hint="choose another data set")
    X = np.asarray(found.data[:, numeric], dtype=np.float64)
    names = [found.feature_names[place] for place in numeric]
    complete = "rows are taken complete: choose another set"
    refuse_where(~np.isfinite(X), names, f"a missing value in {name!r}", complete)
    if any(label is None or label != label for label in found.target):  # NaN is not equal to itself
        raise DataError(f"a label of {name!r} is missing", hint=complete)
    return _made(name, X, found.target, _dealt(len(X)))


def _dealt(n_rows: int) -> Ints:
    return np.random.default_rng(0).integers(0, N_OWNERS, n_rows)


def _made(name: str, X: Floats, y: NDArray[Any], owner: Ints) -> DataSet:
    classes, labels = np.unique(y.astype(str), return_inverse=True)
    if not 2 <= len(classes) <= MAX_CLASSES:
        hint = f"measured are classifiers of 2 to {MAX_CLASSES} classes"
        raise DataError(f"the label of {name!r} has {len(classes)} different values", hint=hint)
    X = np.ascontiguousarray(X, dtype=np.float64)
    digest = hashlib.sha256()
    for part in (X, labels.astype(np.int64), owner.astype(np.int64)):
        digest.update(repr(part.shape).encode() + part.tobytes())
    row = np.unique(X, axis=0, return_inverse=True)[1].ravel()
    return DataSet(name, digest.hexdigest()[:12], X, labels.astype(np.int64), owner.astype(np.int64), row)
