"""Rows as an agreement needs them, checked before anything is sent."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hashcomb.columns import category_items, named_columns, numbers_of, refuse_where
from hashcomb.errors import DataError, SpecError
from hashcomb.mpc.policy import Policy
from hashcomb.mpc.protocols.categories import to_bytes
from hashcomb.scalars import category_tuple

__all__ = ("OwnData", "read_table")

Floats = NDArray[np.float64]

_TOO_LARGE = 2.0**1000  # leaves room to round outward and to add a margin


class OwnData(NamedTuple):
    """One owner's columns, missing values left out.

    Parameters
    ----------
    names : list of str
        All columns, in order.
    n_rows : int
        Number of rows.
    numbers : dict of str to ndarray of float64
        Values of the numeric columns.
    categories : dict of str to list
        Distinct categories of those columns whose list is to be agreed on.
    """

    names: list[str]
    n_rows: int
    numbers: dict[str, Floats]
    categories: dict[str, list[str] | list[int]]

    @property
    def columns(self) -> list[Floats]:
        """Values of the numeric columns, in order."""
        return list(self.numbers.values())

    def kinds(self, policy: Policy) -> list[list[str]]:
        """Return names and kinds of all columns, which must be the same at every owner."""
        return [[name, "categorical" if name in policy.text_columns else "numeric"] for name in self.names]


def read_table(table: Any, policy: Policy) -> OwnData:
    """Read this owner's rows.

    Parameters
    ----------
    table : array_like of shape (n_rows, n_features), a mapping of columns, or a data frame
        The rows.
    policy : Policy
        Which columns are categorical, and what is done about missing values.

    Raises
    ------
    DataError
        If there are no rows, a value is of the wrong kind, infinite, missing where none may be or too large to be
        rounded, or a column that the policy names is not there.
    """
    names, listed = named_columns(table)
    if not listed or len(listed[0]) == 0:
        raise DataError("there are no rows or no columns to agree on")
    for name in policy.text_columns:
        if name not in names:
            raise DataError("is categorical in the policy, and missing here", column=name)
    data = OwnData(names, len(listed[0]), {}, {})
    for name, column in zip(names, listed, strict=True):
        if name in policy.text_columns:
            categories = _categories(column, name, policy)
            if name in policy.categorical:
                data.categories[name] = categories
        else:
            data.numbers[name] = _numbers(column, name, policy)
    return data


def _numbers(column: Any, name: str, policy: Policy) -> Floats:
    values = numbers_of(column, name).astype(np.float64)
    refuse_where(np.isinf(values), name, "an infinity, which has no place in a range", "replace or drop the row")
    if policy.precision == "grid" or policy.margin > 0:
        hint = "is it a code for a missing value?"
        refuse_where(np.abs(values) > _TOO_LARGE, name, "a number beyond 2**1000", hint)
    _refuse_missing(np.isnan(values), name, policy)
    return values[~np.isnan(values)]


def _categories(column: Any, name: str, policy: Policy) -> list[str] | list[int]:
    items, missing = category_items(column)
    _refuse_missing(missing, name, policy)
    present = [item for item, gone in zip(items, missing, strict=True) if not gone]
    # Data frames without a type for missing integers turn them to floats.
    found = {int(item) if isinstance(item, float) and item.is_integer() else item for item in present}
    try:
        category_tuple(found)
    except SpecError:
        problem = "mixes text and numbers, or holds what is neither text nor a whole number below 2**53"
        raise DataError(problem, column=name, hint="make the categories all text or all whole numbers") from None
    for item in found if name in policy.categorical else ():
        to_bytes(item, name)  # refuses at home what could not be agreed on
    public = policy.categories.get(name)
    if public is not None and policy.unknown == "error" and not found <= set(public):
        hint = "add it to the policy's list, or let unknown = 'token' give it a leaf"
        raise DataError("has a category that is not in the policy's list", column=name, hint=hint)
    return sorted(found)


def _refuse_missing(missing: NDArray[np.bool_], name: str, policy: Policy) -> None:
    if policy.missing == "error":
        hint = "fill it, or agree on missing='token'"
        refuse_where(
            missing, name, "a missing value (NaN)" if name not in policy.text_columns else "a missing value", hint
        )
