"""Rows and tokens in real Parquet files."""

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hashcomb import HashComb, Key, Spec, Uniform
from hashcomb.errors import DataError, FileFormatError
from hashcomb.integrations.arrow import ParquetRows, ParquetTokens, ParquetTokenWriter, ParquetWriter

SPEC = Spec(features=(Uniform(name="a", lo=0.0, hi=1.0), Uniform(name="b", lo=0.0, hi=1.0)), depth=4)
ROWS = np.random.default_rng(0).random((1000, 2))
LABELS = np.array([None if i < 700 else f"label {i % 3}" for i in range(1000)], dtype=object)


def write(path: Path, key: Key, **rules: Any) -> Any:
    """Write a file of tokens, whose first batch has no label at all, and return the tokens."""
    from msgspec.structs import replace

    codec = HashComb(replace(SPEC, **rules), key)
    tokens = codec.encode(ROWS)
    with ParquetTokenWriter(path, codec.header, ["y"]) as writer:
        writer.write(tokens[:600], {"y": LABELS[:600]})
        writer.write(tokens[600:], {"y": LABELS[600:]})
    return tokens


@pytest.mark.parametrize("rules", [{}, {"tokens": "comb"}, {"token_bits": 32}], ids=["leaf", "comb", "narrow"])
def test_tokens_read_back(tmp_path: Path, key: Key, rules: dict[str, Any]) -> None:
    """Tokens, kept columns, header and number of rows come back, in batches of any size."""
    tokens = write(tmp_path / "t.parquet", key, **rules)
    source = ParquetTokens(tmp_path / "t.parquet")
    source.verify()
    assert (source.n_rows, source.kept, source.header) == (1000, ["y"], tokens.header)
    parts = list(source.batches(333))
    assert (np.concatenate([t for t, _ in parts]) == np.asarray(tokens).reshape(1000, -1)).all()
    assert np.concatenate([kept["y"] for _, kept in parts]).tolist() == LABELS.tolist()


def test_other_readers_see_unsigned_integers(tmp_path: Path, key: Key) -> None:
    """Any reader of Parquet gets the tokens as they are."""
    tokens = write(tmp_path / "t.parquet", key)
    assert (pq.read_table(tmp_path / "t.parquet")["b"].to_numpy() == np.asarray(tokens)[:, 1]).all()


def test_damage_is_noticed(tmp_path: Path, key: Key) -> None:
    """A changed byte is a FileFormatError unless it changes no value; so are cuts, and files written anew."""
    path, bad = tmp_path / "t.parquet", tmp_path / "bad.parquet"
    tokens = np.asarray(write(path, key))
    raw = path.read_bytes()
    meta = pq.ParquetFile(path).metadata.row_group(0).column(1)
    start = meta.dictionary_page_offset or meta.data_page_offset
    noticed = 0
    for at in np.random.default_rng(0).integers(start, start + meta.total_compressed_size, 50).tolist():
        bad.write_bytes(raw[:at] + bytes([raw[at] ^ 4]) + raw[at + 1 :])
        try:
            source = ParquetTokens(bad)
            source.verify()
        except FileFormatError:
            noticed += 1
        else:  # statistics, say, which are no data
            assert (np.concatenate([t for t, _ in source.batches()]) == tokens).all()
    assert noticed > 40
    for content in (raw[: len(raw) // 2], raw[:-1], b"PAR1", b""):
        bad.write_bytes(content)
        with pytest.raises(FileFormatError):
            ParquetTokens(bad).verify()
    original = pq.read_table(path)
    metadata = dict(pq.ParquetFile(path).metadata.metadata)
    swapped = original.set_column(0, "a", original.column("b"))
    other_round = metadata | {b"hashcomb": metadata[b"hashcomb"].replace(b'"round":0', b'"round":1')}
    assert other_round != metadata
    for table, described in ((swapped, metadata), (original, other_round)):
        pq.write_table(table.replace_schema_metadata(described), bad)
        with pytest.raises(FileFormatError, match="edited"):
            ParquetTokens(bad).verify()


def test_a_file_without_header_is_no_file_of_tokens(tmp_path: Path) -> None:
    """An ordinary Parquet file is refused."""
    pq.write_table(pa.table({"a": [1.0]}), tmp_path / "rows.parquet")
    with pytest.raises(FileFormatError, match="no tokens"):
        ParquetTokens(tmp_path / "rows.parquet")


def test_missing_file(tmp_path: Path) -> None:
    """A path that cannot be opened is an error of ours."""
    for reader in (ParquetRows, ParquetTokens):
        with pytest.raises(FileFormatError):
            reader(tmp_path / "none.parquet")


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path, key: Key) -> None:
    """After an error there is no file, neither whole nor temporary."""
    codec = HashComb(SPEC, key)
    with pytest.raises(RuntimeError), ParquetTokenWriter(tmp_path / "t.parquet", codec.header) as writer:
        writer.write(codec.encode(ROWS), {})
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_rows_of_every_type(tmp_path: Path) -> None:
    """Numbers of all types become floats with NaN for null, text stays, and other types are refused by name."""
    import decimal

    table = pa.table(
        {
            "whole": pa.array([1, None], pa.int64()),
            "narrow": pa.array([0.5, 1.5], pa.float32()),
            "truth": pa.array([True, False]),
            "exact": pa.array([decimal.Decimal("1.25"), None]),
            "text": pa.array(["x", None]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    rows = ParquetRows(tmp_path / "rows.parquet")
    (batch,) = rows.batches({"text"})
    assert rows.n_rows == 2
    assert np.array_equal(batch["whole"], [1.0, np.nan], equal_nan=True)
    assert np.array_equal(batch["exact"], [1.25, np.nan], equal_nan=True)
    assert (batch["narrow"].tolist(), batch["truth"].tolist()) == ([0.5, 1.5], [1.0, 0.0])
    assert batch["text"].tolist() == ["x", None]
    with pytest.raises(DataError) as caught:
        list(rows.batches())
    assert caught.value.column == "text"


def test_rows_round_trip(tmp_path: Path) -> None:
    """What is written reads back, missing values as missing."""
    values = np.array([0.1, np.nan, 1e300])
    with ParquetWriter(tmp_path / "out.parquet", ["a", "b"]) as writer:
        writer.write({"a": values, "b": np.array(["x", None, "y"], dtype=object)})
    (batch,) = ParquetRows(tmp_path / "out.parquet").batches({"b"})
    assert np.array_equal(batch["a"], values, equal_nan=True)
    assert batch["b"].tolist() == ["x", None, "y"]


def test_kept_columns_keep_their_types(tmp_path: Path, key: Key) -> None:
    """Whatever the first batch holds: nulls first, long decimals later, large integers, nanoseconds, lists."""
    table = pa.table(
        {
            "a": pa.array([0.5] * 6),
            "late": pa.array([None] * 4 + [7, None], pa.int64()),
            "exact": pa.array([Decimal("1.25")] * 5 + [Decimal("1234567890.12")], pa.decimal128(12, 2)),
            "huge": pa.array([1 << 63] * 6, pa.uint64()),
            "when": pa.array(range(6), pa.timestamp("ns")),
            "list": pa.array([[1], [], None, [2, 3], [4], [5]]),
            "kind": pa.array(list("xyxyxy")).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    kept = table.column_names[1:]
    codec = HashComb(Spec(features=(Uniform(name="a", lo=0.0, hi=1.0),), depth=2), key)
    path = tmp_path / "t.parquet"
    with ParquetTokenWriter(path, codec.header, kept) as writer:
        for batch in ParquetRows(tmp_path / "rows.parquet").batches(batch_rows=2, aside=kept):
            writer.write(codec.encode({"a": batch["a"]}), {name: batch[name] for name in kept})
    ParquetTokens(path).verify()
    assert pq.read_table(path).select(kept).equals(table.select(kept))


def test_kept_objects_of_several_types_are_refused(tmp_path: Path, key: Key) -> None:
    """Within a batch or between two, with the column's name and no value; nothing is written."""
    codec = HashComb(Spec(features=(Uniform(name="a", lo=0.0, hi=1.0),), depth=2), key)
    tokens = codec.encode(np.zeros((2, 1)))
    for first, second in (([1, 2], ["x", "SECRET"]), (["x", 5], None), ([1 << 70, 1], None)):
        with pytest.raises(DataError) as caught, ParquetTokenWriter(tmp_path / "t.parquet", codec.header, ["k"]) as w:
            for part in (first, second or first):
                w.write(tokens, {"k": np.array(part, dtype=object)})
        assert caught.value.column == "k"
        assert "SECRET" not in str(caught.value)
        assert os.listdir(tmp_path) == []


def test_no_rows_make_no_file(tmp_path: Path, key: Key) -> None:
    """A writer that is given nothing leaves no file that nobody could read."""
    codec = HashComb(SPEC, key)
    with pytest.raises(DataError, match="no rows"), ParquetTokenWriter(tmp_path / "t.parquet", codec.header):
        pass
    assert os.listdir(tmp_path) == []


def test_a_column_may_be_missing_in_a_batch(tmp_path: Path) -> None:
    """Whole numbers stay whole numbers when a batch has none, first or later, if the type is given or known."""
    some, none = np.array([1, 2], dtype=object), np.array([None, None], dtype=object)
    for place, parts in enumerate(([some, none], [none, some])):
        path = tmp_path / f"{place}.parquet"
        with ParquetWriter(path, ["g"], {"g": "int64"}) as writer:
            for part in parts:
                writer.write({"g": part})
        assert pq.read_table(path).schema.field("g").type == pa.int64()
    with ParquetWriter(tmp_path / "x.parquet", ["g"]) as writer:
        writer.write({"g": some})
        writer.write({"g": none})
    assert pq.read_table(tmp_path / "x.parquet")["g"].to_pylist() == [1, 2, None, None]


def test_every_bit_of_the_file_is_covered(tmp_path: Path, key: Key) -> None:
    """Any bit flipped anywhere, in pages, names, counts or the checksum itself, is noticed."""
    codec = HashComb(SPEC, key)
    path, bad = tmp_path / "t.parquet", tmp_path / "bad.parquet"
    with ParquetTokenWriter(path, codec.header, ["diagnosis"]) as writer:
        writer.write(codec.encode(ROWS), {"diagnosis": np.array(["x"] * len(ROWS), dtype=object)})
    ParquetTokens(path).verify()
    raw = path.read_bytes()
    for at in np.random.default_rng(0).integers(4, len(raw) - 4, 400).tolist():
        bad.write_bytes(raw[:at] + bytes([raw[at] ^ (1 << at % 8)]) + raw[at + 1 :])
        with pytest.raises(FileFormatError):
            ParquetTokens(bad).verify()
