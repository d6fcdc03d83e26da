"""Numbers and categories in one form, so that equal Specs have equal bytes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Real
from typing import Any

from hashcomb.errors import SpecError

__all__ = ("category_tuple", "is_utf8", "number", "number_tuple", "parameter")


def number(value: Any, path: str) -> float:
    """Return a finite Python float; raise `SpecError` with `path` for anything else."""
    # numbers.Real admits NumPy's scalars; bool is one of them and is no measurement.
    if isinstance(value, bool) or not isinstance(value, Real):
        raise SpecError("must be a number", path=path)
    try:
        as_float = float(value)
    except OverflowError:
        as_float = math.inf
    if not math.isfinite(as_float):
        raise SpecError("must be finite in double precision", path=path)
    return as_float + 0.0  # -0.0 and 0.0 are one number, and must be one sequence of bytes


def number_tuple(values: Any, path: str) -> tuple[float, ...]:
    """Return a tuple of finite Python floats."""
    return tuple(number(value, f"{path}[{i}]") for i, value in enumerate(_items(values, path)))


def parameter(value: Any, path: str) -> bool | float | str | tuple[float, ...]:
    """Return a parameter of a channel: text, truth, a number or a tuple of numbers."""
    if isinstance(value, bool | str):
        return value
    return number_tuple(value, path) if isinstance(value, list | tuple) else number(value, path)


def category_tuple(values: Any) -> tuple[str | int, ...]:
    """Return a tuple of distinct categories, all text or all whole numbers below 2**53; raise `SpecError` otherwise."""
    items = [item.item() if hasattr(item, "item") else item for item in _items(values, "categories")]
    whole = all(isinstance(c, int) and not isinstance(c, bool) and abs(c) < 1 << 53 for c in items)
    if not whole and not all(isinstance(c, str) and is_utf8(c) for c in items):
        raise SpecError("must be all text or all whole numbers below 2**53", path="categories")
    if len(set(items)) != len(items):
        raise SpecError("a category occurs twice", path="categories")
    return tuple(items)


def _items(values: Any, path: str) -> list[Any]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise SpecError("must be a sequence", path=path)
    return list(values)


def is_utf8(text: str) -> bool:
    """Return whether text can be written as UTF-8: not with half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode() == text
