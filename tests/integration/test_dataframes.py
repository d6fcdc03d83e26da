"""Data frames of pandas, polars and pyarrow with more columns than the Spec names."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from hashcomb import Categorical, HashComb, Key, RandomizedResponse, Spec, Uniform
from hashcomb.errors import DataError, InsecureRandomWarning
from hashcomb.frames import decode_frame, encode_frame
from hashcomb.header import header_of

FEATURES = (
    Uniform(name="whole", lo=0.0, hi=16.0),
    Uniform(name="when", lo=0.0, hi=16.0, origin="2000-01-01T00:00:00"),
    Uniform(name="day", lo=0.0, hi=16.0, origin="2000-01-01"),
    Uniform(name="long", lo=0.0, hi=16.0, origin="zero"),
    Categorical(name="kind", categories=("x", "y")),
    Categorical(name="flag", categories=(0, 1)),
    Uniform(name="narrow", lo=0.0, hi=16.0),
)
SPEC = Spec(features=FEATURES, depth=4, missing="token")
# Every value is what its leaf decodes to.
DATA: dict[str, Any] = {
    "label": ["a", "b", None],
    "whole": [3, None, 5],
    "when": [datetime(2000, 1, 2, 12), None, datetime(2000, 1, 3, 12)],
    "day": [date(2000, 1, 2), date(2000, 1, 3), None],
    "long": [timedelta(days=2, hours=12), None, timedelta(days=3, hours=12)],
    "kind": ["x", None, "y"],
    "flag": [True, False, None],
    "narrow": [1.5, 2.5, 3.5],
    "count": [1, 2, None],
}
PANDAS_TYPES = {
    "whole": "Int64",
    "when": "datetime64[ns]",
    "day": "datetime64[s]",
    "long": "timedelta64[ms]",
    "kind": pd.CategoricalDtype(["y", "x"]),
    "flag": "boolean",
    "narrow": "float32",
    "count": "Int8",
}
POLARS_TYPES = {"whole": pl.Int16, "kind": pl.Enum(["y", "x"]), "narrow": pl.Float32, "count": pl.UInt8}
TABLE = pa.table(
    DATA
    | {
        "whole": pa.array(DATA["whole"], pa.uint8()),
        "kind": pa.array(DATA["kind"]).dictionary_encode(),
        "narrow": pa.array(DATA["narrow"], pa.float32()),
    }
)
FRAMES = {
    "pandas": pd.DataFrame(DATA, index=pd.Index([5, 5, 7], name="at")).astype(PANDAS_TYPES),
    "pandas of arrow": TABLE.to_pandas(types_mapper=pd.ArrowDtype),
    "polars": pl.DataFrame(DATA).cast(POLARS_TYPES),  # type: ignore[arg-type]
    "pyarrow": TABLE,
    "record batch": TABLE.to_batches()[0],
}


def types(frame: Any) -> dict[str, Any]:
    """Return the types of a frame's columns."""
    if isinstance(frame, pd.DataFrame | pl.DataFrame):
        return dict(zip(frame.columns, frame.dtypes, strict=True))
    return {field.name: field.type for field in frame.schema}


def same(first: Any, second: Any) -> bool:
    """Return whether two frames are equal, types, index and missing values too."""
    return bool(first.equals(second)) and types(first) == types(second)


@pytest.fixture
def codec(key: Key) -> HashComb:
    """Return a codec of the Spec."""
    return HashComb(SPEC, key)


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_columns_come_back_with_their_types(codec: HashComb, frame: Any) -> None:
    """Nullable integers, categories, truth, dates, times, durations and narrow floats, with missing values."""
    tokens = encode_frame(codec, frame, keep=["count", "label"])
    back = decode_frame(codec, tokens, keep=["label", "count"], like=frame)
    names = [*SPEC.names, "label", "count"]
    assert type(back) is type(tokens) is type(frame)
    assert same(back, frame[names] if isinstance(frame, pd.DataFrame) else frame.select(names))


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_tokens_are_those_of_encode(codec: HashComb, frame: Any) -> None:
    """Kept columns stand behind the tokens as they are; index and header are there; the rest is as encode has it."""
    names = list(SPEC.names)
    tokens = encode_frame(codec, frame, keep=["label"], drop=["count"])
    plain = codec.encode(frame[names] if isinstance(frame, pd.DataFrame) else frame.select(names))
    assert list(types(tokens)) == [*names, "label"]
    assert same(tokens[names] if isinstance(tokens, pd.DataFrame) else tokens.select(names), plain)
    assert types(tokens)["label"] == types(frame)["label"]
    assert header_of(tokens) == (None if isinstance(frame, pl.DataFrame) else codec.header)
    if isinstance(frame, pd.DataFrame):
        assert tokens.index.equals(frame.index)


def test_every_library_has_the_same_tokens(codec: HashComb) -> None:
    """A row has one row of tokens, whichever frame it is in."""
    whole = [np.array([t[name].to_numpy() for name in SPEC.names]) for t in map(tokens_of(codec), FRAMES.values())]
    assert all(np.array_equal(whole[0], other) for other in whole)


def tokens_of(codec: HashComb) -> Any:
    """Return a function that encodes a frame without its other columns."""

    def encoded(frame: Any) -> Any:
        tokens = encode_frame(codec, frame, drop=["label", "count"])
        return pa.Table.from_batches([tokens]) if isinstance(tokens, pa.RecordBatch) else tokens

    return encoded


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_nothing_leaves_by_chance(codec: HashComb, frame: Any) -> None:
    """Columns nobody spoke of are refused by name; so are those that are missing, or named for two things."""
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "label"),
        ({"keep": ["label"]}, "count"),
        ({"keep": ["label", "nobody"], "drop": ["count"]}, "nobody"),
        ({"keep": ["label"], "drop": ["count", "label"]}, "label"),
        ({"keep": ["label", "label"], "drop": ["count"]}, "label"),
        ({"keep": ["whole", "label", "count"]}, "whole"),
        ({"drop": ["whole", "label", "count"]}, "whole"),
    ]
    for options, column in cases:
        with pytest.raises(DataError) as caught:
            encode_frame(codec, frame, **options)
        assert caught.value.column == column


def test_a_missing_feature_is_named(codec: HashComb) -> None:
    """A frame without a column of the Spec is refused."""
    with pytest.raises(DataError) as caught:
        encode_frame(codec, FRAMES["polars"].drop("day", "label", "count"))
    assert caught.value.column == "day"


def test_encode_itself_still_refuses_other_columns(codec: HashComb) -> None:
    """Columns beside the Spec's are an error of encode, as they always were."""
    with pytest.raises(DataError, match="not in the Spec"):
        codec.encode(FRAMES["pandas"])


def test_what_is_no_frame_is_refused(codec: HashComb) -> None:
    """Arrays, lazy frames and columns without names."""
    for wrong in (np.zeros((2, 7)), FRAMES["polars"].lazy(), pd.DataFrame(np.zeros((2, 7))), None):
        with pytest.raises(DataError):
            encode_frame(codec, wrong)


def test_levels_do_not_clash_with_kept_columns(key: Key) -> None:
    """With all levels, a feature has several columns, and none of them may be another's."""
    codec = HashComb(Spec(features=(Uniform(name="a", lo=0.0, hi=1.0),), depth=2, tokens="comb"), key)
    frame = pd.DataFrame({"a": [0.1], "a@1": [5], "b": [6]})
    with pytest.raises(DataError) as caught:
        encode_frame(codec, frame, keep=["a@1", "b"])
    assert caught.value.column == "a@1"
    assert list(encode_frame(codec, frame, keep=["b"], drop=["a@1"])) == ["a@1", "a@2", "b"]


def test_channels_and_record_ids(key: Key) -> None:
    """A seed and a column of ids do what they do in encode."""
    spec = Spec(features=FEATURES[:1], depth=4, channel=RandomizedResponse(1.0).spec_for(16))
    codec, memo_key = HashComb(spec, key), Key.create()
    rows = pd.DataFrame({"whole": range(16), "id": [f"id {i}" for i in range(16)]})
    with pytest.warns(InsecureRandomWarning):
        assert encode_frame(codec, rows, drop=["id"], seed=1).equals(codec.encode(rows[["whole"]], seed=1))
    by_id = encode_frame(codec, rows, record_id="id", memo_key=memo_key)
    assert by_id.equals(codec.encode(rows[["whole"]], record_ids=rows["id"], memo_key=memo_key))
    kept = encode_frame(codec, rows, record_id="id", memo_key=memo_key, keep=["id"])
    assert kept["id"].equals(rows["id"])


def test_types_that_do_not_fit_are_refused(codec: HashComb) -> None:
    """Missing values where a type has none, and text that is to be a number: the column is named, and no value."""
    tokens = encode_frame(codec, FRAMES["pandas"], drop=["label", "count"])
    for column, kind in (("whole", "int64"), ("flag", "bool"), ("kind", "float64")):
        like = pd.DataFrame({column: pd.Series([], dtype=kind)})
        with pytest.raises(DataError) as caught:
            decode_frame(codec, tokens, like=like)
        assert caught.value.column == column
    with pytest.raises(DataError, match="library"):
        decode_frame(codec, tokens, like=FRAMES["polars"])
    with pytest.raises(DataError) as caught:
        decode_frame(codec, tokens, keep=["label"])
    assert caught.value.column == "label"


@pytest.mark.parametrize("argument", ["keep", "drop"])
def test_one_text_in_place_of_a_list_of_columns(codec: HashComb, argument: str) -> None:
    """The letters of a name are not taken for columns, one of which might be there."""
    given: dict[str, Any] = {argument: "label"}
    with pytest.raises(DataError, match=rf"{argument}=\['label'\]"):
        encode_frame(codec, FRAMES["pandas"], **given)


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "pyarrow"])
def test_numbers_never_wrap_around(key: Key, library: Any) -> None:
    """A leaf's center that a narrow type cannot hold, or that is neither 0 nor 1 where truth belongs, is an error."""
    codec = HashComb(Spec(features=(Uniform(name="a", lo=-600.0, hi=600.0),), depth=2), key)
    like = {"uint8": np.array([1], "u1"), "int8": np.array([1], "i1"), "truth": np.array([True])}
    for value in (-599.0, 599.0):  # decoded to -450 and 450
        tokens = encode_frame(codec, library({"a": np.array([value])}))
        for kind, model in like.items():
            with pytest.raises(DataError) as caught:
                decode_frame(codec, tokens, like=library({"a": model}))
            assert caught.value.column == "a", kind
        back = decode_frame(codec, tokens, like=library({"a": np.array([1], "i2")}))
        assert abs(back["a"].to_numpy()).tolist() == [450]


def test_categories_never_become_missing(key: Key) -> None:
    """A categorical type without a category that was decoded has no place for it."""
    codec = HashComb(Spec(features=FEATURES[4:5], depth=1), key)
    tokens = encode_frame(codec, pd.DataFrame({"kind": ["x", "y"]}))
    with pytest.raises(DataError) as caught:
        decode_frame(codec, tokens, like=pd.DataFrame({"kind": pd.Categorical(["x"])}))
    assert caught.value.column == "kind"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_come_back_in_any_unit(key: Key, unit: str) -> None:
    """What a coarser unit has no room for is cut off, in each library."""
    features = (
        Uniform(name="when", lo=0.0, hi=1.0, origin="2000-01-01T00:00:00"),
        Uniform(name="long", lo=0.0, hi=1.0, origin="zero"),
    )
    codec = HashComb(Spec(features=features, depth=10), key)
    times, durations = np.array([946_684_800 + 12_345], "M8[s]"), np.array([7], "m8[s]")
    table = pa.table({"when": times.astype(f"M8[{unit}]"), "long": durations.astype(f"m8[{unit}]")})
    for frame in (table, table.to_pandas(), pl.from_arrow(table), table.to_batches()[0]):
        back = decode_frame(codec, encode_frame(codec, frame), like=frame)
        assert types(back) == types(frame)
        assert str(back["when"][0]).startswith("2000-01-01 03:26:00")  # the leaf's center, 0.9375 of a second before


def test_a_record_batch_without_rows(codec: HashComb) -> None:
    """Is refused like any table without rows."""
    with pytest.raises(DataError, match="no rows"):
        encode_frame(codec, TABLE.to_batches()[0].slice(0, 0), drop=["label", "count"])


def test_an_empty_frame_is_a_model_too(codec: HashComb) -> None:
    """Only the types of `like` count, and only those of the columns that it has."""
    frame = FRAMES["polars"]
    tokens = encode_frame(codec, frame, drop=["label", "count"])
    back = decode_frame(codec, tokens, like=frame.select("whole").clear())
    assert (back["whole"].dtype, back["narrow"].dtype) == (pl.Int16, pl.Float64)
