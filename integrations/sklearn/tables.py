"""What the encoder refuses in tables, and the order of their columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from hashcomb.columns import as_frame, category_items, named_columns, numbers_of, refuse_where
from hashcomb.errors import DataError

__all__ = ("objects_of", "order_of", "refuse_dates", "refuse_infinite", "refuse_missing", "without_values")


def refuse_missing(X: Any, missing: str, names: list[str]) -> None:
    """Raise `DataError` for the first NaN of an array, where missing values are errors."""
    if missing == "error" and isinstance(X, np.ndarray):
        refuse_where(np.isnan(X), names, "a missing value (NaN)", "fill it, or set missing='token'")


def order_of(found: list[str], wanted: Sequence[str]) -> list[int]:
    """Return where the wanted columns stand among those that are found.

    Raises
    ------
    DataError
        If one is missing, or there are others.
    """
    for name in wanted:
        if name not in found:
            raise DataError("is missing", column=name, hint="pass the columns that the Spec names")
    if len(found) != len(wanted):
        extra = next(name for name in found if name not in wanted)
        raise DataError("is not in the Spec", column=extra, hint="drop it")
    return [found.index(name) for name in wanted]


def objects_of(values: Any) -> Any:
    """Return categories as an array of objects, None where they are missing."""
    items, missing = category_items(values)
    array = np.empty(len(items), dtype=object)
    array[:] = items
    array[missing] = None
    return array


def refuse_infinite(X: Any, names: str | Sequence[str]) -> None:
    """Raise `DataError` for the first infinity."""
    refuse_where(np.isinf(X), names, "an infinity (inf)", "replace or drop it")


_STATE = "pass a Spec that states their origin, as learn_spec makes with origins="


def refuse_dates(X: Any, origins: Collection[str]) -> None:
    """Refuse what scikit-learn would count in nanoseconds or days, where no origin is stated.

    Raises
    ------
    DataError
        If a column holds dates or times.
    """
    frame = as_frame(X)
    if frame is not None:
        for name in frame.columns:
            if name not in origins and frame[name].dtype.is_temporal():
                raise DataError("dates and times are no numbers", column=name, hint=_STATE)
    elif not origins and getattr(getattr(X, "dtype", None), "kind", "") in ("m", "M"):
        raise DataError("dates and times are no numbers", hint=_STATE)


# Messages of scikit-learn that hold names and shapes, and no values.
_WITHOUT_VALUES = ("X has ", "The feature names should match", "Found array with ", "Sparse data was passed")


def without_values(text: str, X: Any) -> DataError:
    """Say what scikit-learn says, without the values that some of its messages show."""
    if text.startswith(_WITHOUT_VALUES):
        return DataError(text)
    if text.startswith("Complex data not supported"):
        return DataError("Complex data not supported")
    for name, values in zip(*named_columns(X), strict=True):  # which refuses other shapes
        numbers_of(values, name)  # which names the place
    return DataError("cannot be read as a table of numbers")
