"""Dates, times and durations as numbers of days, counted from an origin that a Spec states."""

from __future__ import annotations

import contextlib
import re
from datetime import date, datetime, timedelta
from typing import Any, Literal, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from hashcomb.errors import DataError, SpecError

__all__ = ("Origin", "days_between", "days_of", "read_origin", "times_after", "times_in")

Floats = NDArray[np.float64]
_FORM = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d)?")
_DAY_S = 86_400
_TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}  # in a second
_LONGEST = 4e6  # days: datetime has the years 1 to 9999, which is less


class Origin(NamedTuple):
    """What days are counted from, and what a number of days is turned back to."""

    kind: Literal["date", "datetime", "duration"]
    day: int
    second: int


def read_origin(text: Any, path: str = "origin") -> Origin:
    """Read the origin of a feature.

    Parameters
    ----------
    text : str
        A date, ``"2000-01-01"``; a date and time without a time zone, ``"2000-01-01T00:00:00"``; or ``"zero"``,
        for durations.
    path : str, optional
        Where it stands, for the error.

    Returns
    -------
    Origin

    Raises
    ------
    SpecError
        If it is none of these.
    """
    if text == "zero":
        return Origin("duration", 0, 0)
    if isinstance(text, str) and (form := _FORM.fullmatch(text)):
        with contextlib.suppress(ValueError):
            moment = datetime.fromisoformat(text)
            day, second = divmod(round((moment - datetime(1970, 1, 1)).total_seconds()), _DAY_S)
            return Origin("datetime" if form[1] else "date", day, second)
    raise SpecError(
        "must be a date such as '2000-01-01', a time such as '2000-01-01T00:00:00' without a zone, or 'zero'", path=path
    )


def days_between(values: NDArray[Any], origin: Origin, name: str) -> Floats:
    """Return how many days lie between the origin and each value.

    The result is the same double whatever the unit of the values: whole days and the part of a day are integers
    until each is rounded once.

    Parameters
    ----------
    values : ndarray of datetime64 or timedelta64, shape (n_rows,)
        Dates and times, or durations.
    origin : Origin
        What to count from.
    name : str
        The column, for the error.

    Returns
    -------
    ndarray of float64, shape (n_rows,)
        NaN for what is missing.

    Raises
    ------
    DataError
        If they are durations and the origin is a date, or the other way round.
    """
    if (values.dtype.kind == "m") != (origin.kind == "duration"):
        found, wanted = ("durations", "dates") if values.dtype.kind == "m" else ("dates", "durations")
        raise DataError(f"holds {found}, where the Spec has {wanted}", column=name, hint="see the feature's origin")
    kind, unit = values.dtype.kind, np.datetime_data(values.dtype)[0]
    wanted_unit = unit if unit in _TICKS else "D" if unit in ("Y", "M", "W", "D") else "s" if unit in "hm" else "ns"
    ticks = _TICKS.get(wanted_unit, 1)
    numbers = values.astype(f"{kind}8[{wanted_unit}]").view(np.int64)
    per_day = ticks * _DAY_S
    whole, rest = (numbers, np.zeros_like(numbers)) if wanted_unit == "D" else np.divmod(numbers, per_day)
    carry, rest = np.divmod(rest - origin.second * ticks, per_day)
    days = (whole - origin.day + carry) + rest / per_day
    return np.where(np.isnat(values), np.nan, days)


def days_of(item: Any, origin: Origin, name: str) -> float | None:
    """Return how many days lie between the origin and one Python object, None if it is no date, time or duration.

    Parameters
    ----------
    item : object
        A date, datetime or timedelta, a scalar of NumPy or pandas, or a date as text in ISO form.
    origin : Origin
        What to count from.
    name : str
        The column, for the error.

    Raises
    ------
    DataError
        As `days_between`; or if it has a time zone.
    """
    if isinstance(item, str) and origin.kind != "duration":
        with contextlib.suppress(ValueError):
            item = datetime.fromisoformat(item)
    if getattr(item, "tzinfo", None) is not None:
        _refuse_zone(name)
    to_numpy = getattr(item, "to_numpy", None)  # pandas' scalars, which know nanoseconds
    scalar = to_numpy() if isinstance(item, date | timedelta) and to_numpy is not None else item
    if isinstance(scalar, date | timedelta):
        scalar = np.datetime64(scalar, "us") if isinstance(scalar, date) else np.timedelta64(scalar, "us")
    if not isinstance(scalar, np.datetime64 | np.timedelta64):
        return None
    return float(days_between(np.array([scalar]), origin, name)[0])


def times_in(values: Any, name: str) -> NDArray[Any] | None:
    """Return a column of dates, times or durations as an array of them, None for any other.

    Parameters
    ----------
    values : ndarray or narwhals series
        The column.
    name : str
        Its name, for the error.

    Returns
    -------
    ndarray of datetime64 or timedelta64, shape (n_rows,), or None

    Raises
    ------
    DataError
        If it holds times of day, or times with a time zone.
    """
    if isinstance(values, np.ndarray):
        return values if values.dtype.kind in "mM" else None
    kind = values.dtype
    if not kind.is_temporal():
        return None
    if kind == nw.Time:
        raise DataError("holds times of day, which are no numbers", column=name, hint="make them durations")
    if getattr(kind, "time_zone", None) is not None:
        _refuse_zone(name)
    array = np.asarray(values.to_numpy())
    if array.dtype.kind in "mM":
        return array
    # Some kinds of frames give objects.
    objects = array.astype(object)
    objects[np.asarray(values.is_null().to_numpy(), dtype=bool)] = None
    return objects.astype("m8[us]" if kind == nw.Duration else "M8[us]")


def _refuse_zone(name: str) -> None:
    hint = "convert the column to UTC, and drop the zone"
    raise DataError("holds times with a time zone, and the origin has none", column=name, hint=hint)


def times_after(days: Floats, origin: Origin) -> NDArray[Any]:
    """Return what lies so many days after the origin.

    Parameters
    ----------
    days : ndarray of float64, shape (n_rows,)
        Numbers of days; NaN for what is missing.
    origin : Origin
        What they are counted from.

    Returns
    -------
    ndarray of datetime64 or timedelta64, shape (n_rows,)
        Dates (the day in which the moment falls), or times or durations rounded to a microsecond. NaT for missing
        ones, and for what no calendar has.
    """
    known = np.abs(days) <= _LONGEST
    whole = np.floor(np.where(known, days, 0.0))
    if origin.kind == "date":
        return np.where(known, (whole.astype(np.int64) + origin.day).astype("M8[D]"), np.datetime64("NaT", "D"))
    part = np.round((np.where(known, days, 0.0) - whole) * (_DAY_S * 10**6)).astype(np.int64)
    ticks = (whole.astype(np.int64) + origin.day) * (_DAY_S * 10**6) + part + origin.second * 10**6
    unit = "m8[us]" if origin.kind == "duration" else "M8[us]"
    return np.where(known, ticks.view(unit), np.array("NaT", dtype=unit))
