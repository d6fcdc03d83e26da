"""Dates, times and durations as numbers of days, and back."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashcomb import Categorical, HashComb, Key, Quantile, Spec, Uniform, learn_spec
from hashcomb.columns import Columns
from hashcomb.days import days_between, read_origin, times_after
from hashcomb.errors import DataDependentSpecWarning, DataError, SpecError

DAY = Uniform(name="a", lo=-4.0, hi=12.0, origin="2000-01-01")
SPEC = Spec(features=(DAY,), depth=4, missing="token")
DATES = [date(2000, 1, 5), date(1999, 12, 31), None]
MOMENTS = pd.to_datetime(pd.Series(["2000-01-05", "1999-12-31", None]))

TABLES: dict[str, Any] = {
    "days": np.array([[4.0], [-1.0], [np.nan]]),
    "NumPy column": {"a": np.array(["2000-01-05", "1999-12-31", "NaT"], "M8[D]")},
    "NumPy matrix": np.array([["2000-01-05"], ["1999-12-31"], ["NaT"]], "M8[ns]"),
    "masked": {
        "a": np.ma.MaskedArray(np.array(["2000-01-05", "1999-12-31", "2000-01-01"], "M8[s]"), [False, False, True])
    },
    "hours": {"a": np.array(["2000-01-05T00", "1999-12-31T00", "NaT"], "M8[h]")},
    "objects": {"a": DATES},
    "scalars": np.array([[np.datetime64("2000-01-05")], [np.datetime64("1999-12-31")], [None]], dtype=object),
    "text": {"a": ["2000-01-05", "1999-12-31T00:00:00", None]},
    "pandas": MOMENTS.astype("datetime64[ns]").to_frame("a"),
    "pandas seconds": MOMENTS.astype("datetime64[s]").to_frame("a"),
    "pandas objects": pd.DataFrame({"a": pd.Series(DATES, dtype=object)}),
    "pandas date32": pd.DataFrame({"a": pd.Series(DATES, dtype="date32[pyarrow]")}),
    "pandas timestamp": pd.DataFrame({"a": pd.Series(DATES, dtype="timestamp[us][pyarrow]")}),
    "polars": pl.DataFrame({"a": DATES}),
    "polars datetime": pl.DataFrame({"a": DATES}).cast(pl.Datetime("ns")),
    "pyarrow": pa.table({"a": pa.array(DATES)}),
    "pyarrow timestamp": pa.table({"a": pa.array(DATES).cast(pa.timestamp("ms"))}),
    "record batch": pa.RecordBatch.from_pydict({"a": pa.array(DATES)}),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_kind_of_date_is_the_same_number(table: Any) -> None:
    """Dates of any library, type and unit, as text and as numbers of days, with missing ones as NaN."""
    numbers = Columns(table, SPEC).block(0, 3).ravel()
    assert np.array_equal(numbers, [4.0, -1.0, np.nan], equal_nan=True)


@given(st.integers(-(2**50), 2**50), st.sampled_from(["1970-01-01", "2000-02-29T13:45:01"]))
def test_days_are_exact_to_rounding_and_alike_in_all_units(seconds: int, origin: str) -> None:
    """The number is off by one rounding at most, of days or of a part of a day, and no unit gives another."""
    start = read_origin(origin)
    # Nanoseconds reach as far as the year 2262 only.
    units = ["s", "ms", "us", "ns"] if abs(seconds) < 2**33 else ["s", "ms"]
    found = [days_between(np.array([seconds], "M8[s]").astype(f"M8[{u}]"), start, "a")[0] for u in units]
    exact = Fraction(seconds - start.day * 86_400 - start.second, 86_400)
    assert len(set(found)) == 1
    assert abs(Fraction(float(found[0])) - exact) <= Fraction(float(np.spacing(max(1.0, abs(found[0])))))


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)))
def test_times_come_back_to_the_microsecond_where_doubles_can(moment: datetime) -> None:
    """Within a quarter of a century of the origin to the microsecond, and elsewhere to 100 of them."""
    start = read_origin("2000-01-01T00:00:00")
    back = times_after(days_between(np.array([moment], "M8[us]"), start, "a"), start)[0].item()
    assert abs(back - moment) <= timedelta(microseconds=1 if abs(moment.year - 2000) < 20 else 100)


def test_a_day_holds_all_its_moments() -> None:
    """A date is the day in which the moment falls, and what no calendar has is missing."""
    start = read_origin("2000-01-01")
    assert times_after(np.array([0.0, 0.99, -0.01, np.nan, 1e300, -np.inf]), start).tolist() == [
        date(2000, 1, 1),
        date(2000, 1, 1),
        date(1999, 12, 31),
        None,
        None,
        None,
    ]


def test_decoding_gives_dates_times_and_durations(key: Key) -> None:
    """Of arrays as objects, of data frames as their types; ranks stay numbers."""
    features = (
        DAY,
        Uniform(name="t", lo=0.0, hi=16.0, origin="2000-01-01T06:00:00"),
        Quantile(name="d", lo=0.0, hi=1.0, edges=(0.5,) * 15, origin="zero"),
        Uniform(name="x", lo=0.0, hi=16.0),
    )
    codec = HashComb(Spec(features=features, depth=4, missing="token"), key)
    rows = pl.DataFrame(
        {
            "a": [date(2000, 1, 3), None],
            "t": [datetime(2000, 1, 2, 7), None],
            "d": [timedelta(hours=1), None],
            "x": [1.0, None],
        }
    )
    tokens = codec.encode(rows)
    decoded = codec.decode(tokens)
    assert decoded.dtypes == [pl.Date, pl.Datetime("us"), pl.Duration("us"), pl.Float64]
    wanted = (date(2000, 1, 3), datetime(2000, 1, 2, 18), timedelta(hours=6), 1.5)
    assert decoded.row(0) == wanted
    array = codec.encode({name: rows[name].to_numpy() for name in rows.columns})
    assert tuple(codec.decode(array)[0]) == wanted
    assert codec.decode(array)[1, :3].tolist() == [None] * 3
    assert codec.decode(array, "rank").dtype == np.float64


def test_learning_takes_stated_origins() -> None:
    """Ranges, edges and means are then numbers of days, and a date with a leaf of its own comes back exactly."""
    table = pd.DataFrame(
        {"a": pd.to_datetime(["2000-01-05", "2000-01-01", "2000-02-01", None]), "b": [True, False] * 2}
    )
    with pytest.warns(DataDependentSpecWarning):
        spec = learn_spec(table, depth=2, origins={"a": "2000-01-01"}, categorical=["b"], means=True, missing="token")
    assert (spec.features[0].lo, spec.features[0].hi) == (0.0, 31.0)  # type: ignore[union-attr]
    assert spec.features[1] == Categorical(name="b", categories=(0, 1))
    codec = HashComb(spec, Key.create())
    assert codec.decode(codec.encode(table))["a"].dropna().tolist() == table["a"].dropna().tolist()


@pytest.mark.filterwarnings("ignore::hashcomb.errors.DataDependentSpecWarning")
def test_an_origin_of_no_column_is_refused() -> None:
    """An origin for a column that is missing or categorical is a mistake; so is a date without one."""
    table = {"a": np.array(["2000-01-05"], "M8[D]"), "c": ["x"]}
    for options in ({}, {"origins": {"z": "2000-01-01"}}, {"origins": {"a": "2000-01-01", "c": "zero"}}):
        with pytest.raises(DataError):
            learn_spec(table, categorical=["c"], **options)  # type: ignore[arg-type]


BAD: dict[str, Any] = {
    "zone": pd.DataFrame({"a": pd.to_datetime(["2000-01-05"]).tz_localize("UTC")}),
    "zone in polars": pl.DataFrame({"a": [datetime(2000, 1, 1, tzinfo=UTC)]}),
    "zone among objects": {"a": [datetime(2000, 1, 1, tzinfo=UTC)]},
    "zone in text": {"a": ["2000-01-05T00:00:00Z"]},
    "durations": {"a": np.array([1], "m8[D]")},
    "durations among objects": {"a": [timedelta(days=1)]},
    "times of day": pa.table({"a": pa.array([1], pa.time32("s"))}),
    "no date": {"a": ["SECRET"]},
    "no day": {"a": ["2000-02-30"]},
}


@pytest.mark.parametrize("table", BAD.values(), ids=BAD)
def test_what_has_no_number_of_days_is_refused(table: Any) -> None:
    """Time zones, durations where dates belong, times of day and text that is no date: the column is named."""
    with pytest.raises(DataError) as caught:
        Columns(table, SPEC)
    assert caught.value.column == "a"
    assert "SECRET" not in str(caught.value)


def test_dates_are_refused_where_durations_belong() -> None:
    """A duration has no origin but zero."""
    spec = Spec(features=(Uniform(name="a", lo=0.0, hi=1.0, origin="zero"),), depth=2)
    for table in ({"a": np.array(["2000-01-05"], "M8[D]")}, {"a": [date(2000, 1, 5)]}, {"a": ["2000-01-05"]}):
        with pytest.raises(DataError) as caught:
            Columns(table, spec)
        assert caught.value.column == "a"
    assert Columns({"a": [timedelta(hours=6)]}, spec).block(0, 1).tolist() == [[0.25]]


@pytest.mark.parametrize("origin", ["", "2000", "2000-02-30", "2000-01-01T00:00", "2000-01-01T00:00:00Z", "now", 0])
def test_an_origin_has_one_form(origin: Any) -> None:
    """Anything else is a SpecError that says where, so that equal Specs have equal bytes."""
    with pytest.raises(SpecError) as caught:
        Uniform(name="a", lo=0.0, hi=1.0, origin=origin)
    assert caught.value.path == "origin"


def test_specs_without_origins_keep_their_bytes() -> None:
    """The field is written only where there is one, and reads back."""
    plain = Spec(features=(Uniform(name="age", lo=0.0, hi=120.0),), depth=4)
    assert "origin" not in plain.canonical_bytes().decode() + plain.to_json() + plain.to_toml()
    assert plain.fingerprint.startswith("a40214b549057953")
    for text, read in ((SPEC.to_json(), Spec.from_json), (SPEC.to_toml(), Spec.from_toml)):
        assert "2000-01-01" in text
        assert read(text) == SPEC
    assert SPEC.fingerprint == "1e46b0f071c5e9932fbc55a11769d0c61cc8b7eba071c94548ce4f180a2421ce"
    assert SPEC.fingerprint != Spec(features=(Uniform(name="a", lo=-4.0, hi=12.0),), depth=4).fingerprint
