"""Rows and tokens in real Parquet files."""

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from hashcomb import Categorical, HashComb, Key, RandomizedResponse, Spec, Uniform
from hashcomb.errors import DataError, FileFormatError, FingerprintError, InsecureRandomWarning
from hashcomb.files import CsvTokenWriter
from hashcomb.header import header_of
from hashcomb.integrations.arrow import (
    ParquetRows,
    ParquetTokens,
    ParquetTokenWriter,
    ParquetWriter,
    decode_stream,
    encode_stream,
    write_tokens,
)

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


@pytest.mark.parametrize("kind", [ParquetTokenWriter, CsvTokenWriter])
def test_a_disk_that_is_full_leaves_nothing(tmp_path: Path, key: Key, kind: Any) -> None:
    """Neither in the middle of the rows nor with the last bytes; the error is the system's."""
    resource = pytest.importorskip("resource")
    codec, path = HashComb(SPEC, key), tmp_path / "t"
    tokens = codec.encode(ROWS)

    def put() -> None:
        with kind(path, codec.header) as writer:
            writer.write(tokens, {})

    put()
    whole = path.stat().st_size
    path.unlink()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (1000, whole - 10):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large"):  # whose traceback keeps the writer alive
                put()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
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
            "none": pa.nulls(2),
            "text": pa.array(["x", None]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    rows = ParquetRows(tmp_path / "rows.parquet")
    (batch,) = rows.batches({"text"})
    assert rows.n_rows == 2
    assert np.array_equal(batch["whole"], [1.0, np.nan], equal_nan=True)
    assert np.array_equal(batch["exact"], [1.25, np.nan], equal_nan=True)
    assert np.isnan(batch["none"]).all()
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


# ---------------------------------------------------------------------- streams
NOISY = Spec(features=SPEC.features, depth=4, channel=RandomizedResponse(1.0).spec_for(16))
TABLE = pa.table({"a": ROWS[:, 0], "b": ROWS[:, 1], "y": LABELS.tolist()})


def sources(folder: Path) -> dict[str, Any]:
    """Return the rows as streams of every kind, cut at several places."""
    pq.write_table(TABLE, folder / "rows.parquet", row_group_size=300)
    batches = TABLE.to_batches(max_chunksize=130)
    return {
        "table": TABLE,
        "batches": iter(batches),
        "reader": pa.RecordBatchReader.from_batches(TABLE.schema, batches),
        "empty batches": iter([batches[0].slice(0, 0), *batches, batches[0].slice(0, 0)]),
        "file": ParquetRows(folder / "rows.parquet").reader(170),
        "dataset": ds.dataset(folder / "rows.parquet"),
        "scanner": ds.dataset(folder / "rows.parquet").scanner(batch_size=90),
    }


@pytest.mark.parametrize("kind", ["table", "batches", "reader", "empty batches", "file", "dataset", "scanner"])
def test_a_stream_has_the_bytes_of_memory(tmp_path: Path, key: Key, kind: str) -> None:
    """Whatever the batches are, through a file and back: the tokens of encode, kept columns, and a header."""
    codec = HashComb(SPEC, key)
    stream = encode_stream(codec, sources(tmp_path)[kind], keep=["y"])
    assert header_of(stream) == codec.header
    assert write_tokens(tmp_path / "t.parquet", stream) == 1000
    tokens = ParquetTokens(tmp_path / "t.parquet")
    tokens.verify()
    whole = np.asarray(codec.encode(ROWS))
    assert np.array_equal(np.concatenate([part for part, _ in tokens.batches()]), whole)
    back = decode_stream(codec, tokens.reader(77), keep=["y"]).read_all()
    assert np.array_equal(np.column_stack([back["a"], back["b"]]), codec.decode(whole))
    assert back["y"].equals(TABLE["y"])


def test_a_stream_with_a_seed_has_the_bytes_of_memory(key: Key) -> None:
    """The noise of a row depends on its number in the whole stream."""
    codec = HashComb(NOISY, key)
    with pytest.warns(InsecureRandomWarning):
        whole = codec.encode(TABLE.select(["a", "b"]), seed=7)
    with pytest.warns(InsecureRandomWarning):
        stream = encode_stream(codec, iter(TABLE.to_batches(max_chunksize=130)), drop=["y"], seed=7)
    assert stream.read_all().equals(whole)


def test_a_stream_with_record_ids_has_the_bytes_of_memory(key: Key) -> None:
    """Each batch brings the ids of its own rows, and one that occurs twice is found across batches."""
    codec, memo_key = HashComb(NOISY, key), Key.create()
    ids = [f"id {i}" for i in range(1000)]
    rows = TABLE.select(["a", "b"])
    batches = rows.append_column("id", [ids]).to_batches(max_chunksize=130)
    stream = encode_stream(codec, iter(batches), record_id="id", memo_key=memo_key)
    assert stream.read_all().equals(codec.encode(rows, record_ids=ids, memo_key=memo_key))
    with pytest.raises(DataError, match="twice"):
        encode_stream(codec, iter([*batches, batches[0]]), record_id="id", memo_key=memo_key).read_all()


def test_an_error_in_a_stream_counts_all_rows(tmp_path: Path, key: Key) -> None:
    """It comes out of Arrow as what it is, with the row of the whole, and leaves no file."""
    codec = HashComb(SPEC, key)
    bad = TABLE.set_column(0, "a", pa.array([None if i == 700 else 0.5 for i in range(1000)]))
    stream = encode_stream(codec, iter(bad.to_batches(max_chunksize=130)), drop=["y"])
    with pytest.raises(DataError) as caught:
        write_tokens(tmp_path / "t.parquet", stream)
    assert (caught.value.column, caught.value.row) == ("a", 700)
    assert os.listdir(tmp_path) == []


def test_batches_that_differ_are_refused(key: Key) -> None:
    """Other columns, and kept columns of another type, are named; so is a stream without rows."""
    codec, batch = HashComb(SPEC, key), TABLE.to_batches()[0]
    for second, column in ((batch.select(["a", "y"]), "b"), (batch.set_column(2, "y", pa.array([1] * 1000)), "y")):
        with pytest.raises(DataError) as caught:
            encode_stream(codec, iter([batch, second]), keep=["y"]).read_all()
        assert caught.value.column == column
    for nothing in ([], [batch.slice(0, 0)]):
        with pytest.raises(DataError, match="no rows"):
            encode_stream(codec, iter(nothing))


def test_what_is_no_stream_is_refused(key: Key) -> None:
    """A single record batch is one; a file's name, a frame of another library and tables in a list are none."""
    codec, rows = HashComb(SPEC, key), TABLE.select(["a", "b"])
    assert encode_stream(codec, rows.to_batches()[0]).read_all().equals(codec.encode(rows))
    for wrong in (None, "rows.parquet", rows.to_pandas(), [rows], ParquetRows):
        with pytest.raises(DataError, match="stream"):
            encode_stream(codec, wrong)


def test_a_stream_of_categories_has_one_type(key: Key) -> None:
    """Where a batch holds missing values alone, decoding gives what it gives for the others."""
    features = (Categorical(name="kind", categories=("x", "y")), Categorical(name="code", categories=(7, 9)))
    codec = HashComb(Spec(features=features, depth=2, missing="token"), key)
    rows = pa.table({"kind": [None, None, "x", "y"], "code": [7, 9, None, None]})
    stream = encode_stream(codec, rows.to_batches(max_chunksize=2))
    assert decode_stream(codec, stream).read_all().equals(rows)


def test_a_writer_that_is_interrupted_leaves_nothing(tmp_path: Path, key: Key) -> None:
    """Ctrl-C comes out of Arrow as what it is, and what stood there before stays."""
    codec, path = HashComb(SPEC, key), tmp_path / "t.parquet"
    write_tokens(path, encode_stream(codec, TABLE, drop=["y"]))
    before = path.read_bytes()

    def batches() -> Any:
        yield from TABLE.to_batches(max_chunksize=130)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_tokens(path, encode_stream(codec, batches(), drop=["y"]))
    assert os.listdir(tmp_path) == ["t.parquet"]
    assert path.read_bytes() == before


def test_tokens_in_memory_can_be_written(tmp_path: Path, key: Key) -> None:
    """Tables and record batches that encode gave carry the header too; other frames are refused."""
    codec = HashComb(SPEC, key)
    table = codec.encode(TABLE.select(["a", "b"]))
    for tokens in (table, table.to_batches()[0]):
        assert write_tokens(tmp_path / "t.parquet", tokens) == 1000
        ParquetTokens(tmp_path / "t.parquet").verify()
    with pytest.raises(FileFormatError):
        write_tokens(tmp_path / "t.parquet", codec.encode(TABLE.select(["a", "b"]).to_pandas()))


def test_streams_of_anything_else_are_no_tokens(tmp_path: Path, key: Key) -> None:
    """Rows cannot be written as tokens, nor tokens be decoded under another Key."""
    with pytest.raises(FileFormatError):
        write_tokens(tmp_path / "t.parquet", TABLE.to_reader())
    stream = encode_stream(HashComb(SPEC, key), TABLE, drop=["y"])
    with pytest.raises(FingerprintError):
        decode_stream(HashComb(SPEC, Key.create()), stream)


def test_encode_takes_and_gives_record_batches(key: Key) -> None:
    """Without an adapter, too: a batch in, a batch out, and back."""
    codec = HashComb(SPEC, key)
    rows = TABLE.select(["a", "b"]).to_batches(max_chunksize=300)
    parts = list(codec.encode_batches(rows))
    assert all(isinstance(part, pa.RecordBatch) for part in parts)
    assert pa.Table.from_batches(parts).equals(codec.encode(TABLE.select(["a", "b"])))
    assert isinstance(codec.decode(parts[0]), pa.RecordBatch)


def test_dates_in_a_file_of_rows(tmp_path: Path, key: Key) -> None:
    """They are read as dates, for a Spec that states their origin; times with a zone are refused by name."""
    import datetime

    day = pa.array([datetime.date(2000, 1, 3), None])
    zoned = pa.array([0, 1], pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table({"day": day, "zoned": zoned}), tmp_path / "rows.parquet")
    rows = ParquetRows(tmp_path / "rows.parquet")
    (batch,) = rows.batches(aside=["zoned"])
    spec = Spec(features=(Uniform(name="day", lo=0.0, hi=16.0, origin="2000-01-01"),), depth=4, missing="token")
    codec = HashComb(spec, key)
    assert codec.decode(codec.encode({"day": batch["day"]})).tolist() == [[datetime.date(2000, 1, 3)], [None]]
    with pytest.raises(DataError) as caught:
        list(rows.batches())
    assert caught.value.column == "zoned"
