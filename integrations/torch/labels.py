"""Labels of any kind as the numbers that losses take: int64 for classes, float32 for quantities."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb.errors import DataError

__all__ = ("labels_of",)


def labels_of(
    values: Any, classes: Sequence[Any] | None = None, *, column: str = "label", first_row: int = 0
) -> NDArray[Any]:
    """Return labels as int64 or float32.

    Parameters
    ----------
    values : array_like of shape (n_rows, ...)
        Numbers, truth values, numbers as text, or names of classes.
    classes : sequence, optional
        All classes, in order; a label becomes its place among them.
    column : str, optional
        Name of the column, for errors.
    first_row : int, optional
        Number of the first row, for errors.

    Returns
    -------
    ndarray of int64 or float32, shape (n_rows, ...)

    Raises
    ------
    DataError
        If a label is missing, no number, or none of the classes.
    """
    array = np.asarray(values)
    if array.ndim == 0:
        raise DataError("labels are one a row", hint="pass a sequence")
    if classes is not None:
        return _places(array, classes, column, first_row)
    if array.dtype.kind not in "biuf":
        array = _numbers(array, column, first_row)
    if array.dtype.kind != "f":
        return array.astype(np.int64)
    missing = np.flatnonzero(np.isnan(array.reshape(len(array), -1)).any(axis=1))
    if len(missing):
        raise DataError("a label is missing (NaN)", column=column, row=first_row + int(missing[0]))
    return array.astype(np.float32)


def _places(array: NDArray[Any], classes: Sequence[Any], column: str, first_row: int) -> NDArray[np.int64]:
    order = {label: place for place, label in enumerate(classes)}
    found = [order.get(label, -1) for label in array.tolist()]
    if -1 in found:
        row = first_row + found.index(-1)
        raise DataError("is none of the classes", column=column, row=row, hint="name all classes, in order")
    return np.array(found, dtype=np.int64)


def _numbers(array: NDArray[Any], column: str, first_row: int) -> NDArray[Any]:
    """Read numbers that come as text or as Python objects."""
    whole = all(isinstance(item, str | int) for item in array.ravel().tolist())  # 2.5 as an object would become 2
    for kind in (np.int64, np.float64) if whole else (np.float64,):
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            return array.astype(kind)
    bad = next(row for row, item in enumerate(array.tolist()) if not _is_number(item))
    raise DataError(
        "is missing or no number",
        column=column,
        row=first_row + bad,
        hint="fill it, or name the classes in order with classes=",
    )


def _is_number(item: Any) -> bool:
    try:
        float(item)
    except (ValueError, TypeError, OverflowError):
        return False
    return True
