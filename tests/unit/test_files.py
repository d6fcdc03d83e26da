"""Rows and tokens in CSV files; whole, checked, and readable by others."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.csv
import pytest

from hashcomb import HashComb, Key, Spec, Uniform
from hashcomb.errors import DataError, FileFormatError, FingerprintError, SpecError
from hashcomb.files import CsvTokens, CsvTokenWriter, read_spec, write_spec
from hashcomb.tables import CsvRows, CsvWriter

SPEC = Spec(features=(Uniform(name="a", lo=0.0, hi=1.0), Uniform(name="b, c", lo=0.0, hi=1.0)), depth=4)
ROWS = np.random.default_rng(0).random((100, 2))
LABELS = np.array([f"label {i % 3}" for i in range(100)], dtype=object)


def write(path: Path, key: Key, **rules: Any) -> Any:
    """Write a file of tokens and return them."""
    from msgspec.structs import replace

    codec = HashComb(replace(SPEC, **rules), key)
    tokens = codec.encode(ROWS)
    with CsvTokenWriter(path, codec.header, ["y"]) as writer:
        writer.write(tokens[:60], {"y": LABELS[:60]})
        writer.write(tokens[60:], {"y": LABELS[60:]})
    return tokens


@pytest.mark.parametrize("rules", [{}, {"tokens": "comb"}, {"token_bits": 32}], ids=["leaf", "comb", "narrow"])
def test_tokens_read_back(tmp_path: Path, key: Key, rules: dict[str, Any]) -> None:
    """Tokens, kept columns, header and number of rows come back, in batches of any size."""
    path = tmp_path / "t.csv"
    tokens = write(path, key, **rules)
    source = CsvTokens(path)
    source.verify()
    assert (source.n_rows, source.kept, source.header) == (100, ["y"], tokens.header)
    for size in (1, 33, 1000):
        parts = list(source.batches(size))
        assert (np.concatenate([t for t, _ in parts]) == np.asarray(tokens).reshape(100, -1)).all()
        assert np.concatenate([kept["y"] for _, kept in parts]).tolist() == LABELS.tolist()


def test_other_readers_lose_nothing(tmp_path: Path, key: Key) -> None:
    """pandas, polars and pyarrow read every token as text, skip the first line, and round nothing."""
    path = tmp_path / "t.csv"
    expected = [f"t{token:016x}" for token in np.asarray(write(path, key))[:, 1].tolist()]
    assert pd.read_csv(path, comment="#")["b, c"].tolist() == expected
    assert pl.read_csv(path, comment_prefix="#")["b, c"].to_list() == expected
    options = pyarrow.csv.ReadOptions(skip_rows=1)
    assert pyarrow.csv.read_csv(path, read_options=options)["b, c"].to_pylist() == expected


def test_damage_is_noticed(tmp_path: Path, key: Key) -> None:
    """Any changed byte, any cut and anything appended is a FileFormatError."""
    path, bad = tmp_path / "t.csv", tmp_path / "bad.csv"
    write(path, key)
    raw = path.read_bytes()
    start = raw.index(b"\n") + 1
    rng = np.random.default_rng(0)
    damaged = [raw[:cut] for cut in rng.integers(start + 1, len(raw), 20).tolist()]
    places = [*range(start), *rng.integers(start, len(raw), 50).tolist()]
    damaged += [raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :] for at in places]
    damaged += [raw + b"t0,t0,y\n", raw[:-1]]
    for content in damaged:
        bad.write_bytes(content)
        with pytest.raises((FileFormatError, DataError)):
            CsvTokens(bad).verify()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a,b\n1,2\n",
        b"# hashcomb tokens 1 sha256=00 rows=1 {}\na\n",
        b"\x00" * 100,
        b"# hashcomb tokens 9\n",
        b"\xff" * 50,
    ],
)
def test_what_is_no_file_of_tokens(tmp_path: Path, content: bytes) -> None:
    """Other files are refused before anything of them is used."""
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(FileFormatError):
        CsvTokens(path)


def test_missing_file(tmp_path: Path) -> None:
    """A path that cannot be opened is an error of ours."""
    for reader in (CsvTokens, CsvRows):
        with pytest.raises(FileFormatError):
            reader(tmp_path / "none.csv")


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path, key: Key) -> None:
    """After an error there is no file, neither whole nor temporary."""
    codec = HashComb(SPEC, key)
    with pytest.raises(RuntimeError), CsvTokenWriter(tmp_path / "t.csv", codec.header) as writer:
        writer.write(codec.encode(ROWS), {})
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_a_kept_column_cannot_pose_as_a_token_column(tmp_path: Path, key: Key) -> None:
    """A feature cannot be kept in the clear under the name of its tokens."""
    with pytest.raises(DataError, match="in the clear"):
        CsvTokenWriter(tmp_path / "t.csv", HashComb(SPEC, key).header, ["a"])


@pytest.mark.parametrize("change", [{"key": True}, {"dataset": "b"}, {"round": 1}, {"outside": "error"}])
def test_files_made_alike_and_not(key: Key, change: dict[str, Any]) -> None:
    """Files can be put together only if Spec, Key and salts are the same."""
    from msgspec.structs import replace

    header = HashComb(SPEC, key).header
    header.require_same(HashComb(SPEC, key).header)
    header.require_same(None)
    salts = {name: value for name, value in change.items() if name in ("dataset", "round")}
    rules = {name: value for name, value in change.items() if name == "outside"}
    other = HashComb(replace(SPEC, **rules), Key.create() if "key" in change else key, **salts)
    with pytest.raises(FingerprintError):
        header.require_same(other.header)


# ---------------------------------------------------------------------- rows
def rows_of(tmp_path: Path, content: str | bytes, **options: Any) -> list[dict[str, Any]]:
    """Write a CSV file and read its batches."""
    path = tmp_path / "rows.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(CsvRows(path).batches(**options))


def test_numbers_text_and_missing_values(tmp_path: Path) -> None:
    """Numbers are read exactly as Python reads them, blanks and NA as missing, text as it stands."""
    content = '\ufeffa,"b, c",y\n0.1,1e-5,"x, y"\n,NA,\n\n-0.0,inf,NA\n'
    (batch,) = rows_of(tmp_path, content, text={"y"})
    assert np.array_equal(batch["a"], [0.1, np.nan, -0.0], equal_nan=True)
    assert np.array_equal(batch["b, c"], [1e-5, np.nan, np.inf], equal_nan=True)
    assert batch["y"].tolist() == ["x, y", None, "NA"]


def test_batches_are_of_the_size_asked_for(tmp_path: Path) -> None:
    """Rows come in order, in batches that need not divide them."""
    batches = rows_of(tmp_path, "a\n" + "\n".join(map(str, range(10))) + "\n", batch_rows=4)
    assert [batch["a"].tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize(
    ("text", "column", "row"),
    [
        ("a,b\n1,2\n3,SECRET\n", "b", 1),
        ("a,b\n1,2\n3,1_000\n", "b", 1),
        ("a,b\n1,2\n3\n", None, 1),
        ("a,b\n1,2\n3,4,5\n", None, 1),
        ("a,b\n1,2\n\n3,0x10\n", "b", 1),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, text: str, column: str | None, row: int | None) -> None:
    """A row that cannot be read is a DataError with its place, and without its content."""
    with pytest.raises(DataError) as caught:
        rows_of(tmp_path, text, batch_rows=1)
    assert (caught.value.column, caught.value.row) == (column, row)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "text", [b"", b"\n", b"a,b\n1,\xff\n", b'a\n"' + b"x" * 200_000 + b'"\n'], ids=["empty", "blank", "latin", "long"]
)
def test_what_is_no_csv(tmp_path: Path, text: bytes) -> None:
    """Files that are no UTF-8 CSV are refused."""
    with pytest.raises(FileFormatError):
        rows_of(tmp_path, text)


def test_rows_round_trip(tmp_path: Path) -> None:
    """What is written reads back to the last bit, missing values as missing."""
    values = np.array([0.1, np.nan, 1e300, -5e-324])
    with CsvWriter(tmp_path / "out.csv", ["a", "b"]) as writer:
        writer.write({"a": values, "b": np.array(["x", None, "y,z", '"'], dtype=object)})
    (batch,) = CsvRows(tmp_path / "out.csv").batches({"b"})
    assert np.array_equal(batch["a"], values, equal_nan=True)
    assert batch["b"].tolist() == ["x", None, "y,z", '"']


# ---------------------------------------------------------------------- Specs
@pytest.mark.parametrize("name", ["spec.toml", "spec.json", "spec"])
def test_spec_files(tmp_path: Path, name: str) -> None:
    """A Spec reads back from TOML and JSON, by the name of the file."""
    write_spec(SPEC, tmp_path / name)
    assert read_spec(tmp_path / name) == SPEC


def test_spec_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing Spec is a SpecError."""
    with pytest.raises(SpecError, match="cannot be read"):
        read_spec(tmp_path / "none.toml")


def test_a_second_name_is_told_by_its_place(tmp_path: Path) -> None:
    """Where the line of names is missing, "names" are values of a record: they are refused, and not shown."""
    with pytest.raises(FileFormatError, match="columns 0 and 2") as caught:
        rows_of(tmp_path, "6317,SECRET,6317\n1,2,3\n")
    assert "6317" not in str(caught.value)
    with pytest.raises(FileFormatError, match="no names") as caught:
        rows_of(tmp_path, "63.17,SECRET,2\n1,2,3\n")
    assert "63" not in str(caught.value).split("rows.csv")[1]
    assert [list(batch) for batch in rows_of(tmp_path, "0,1,nan,1e\n1,2,3,4\n")] == [["0", "1", "nan", "1e"]]


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    """A file that can be read only once is no file for us, and says so."""
    os.mkfifo(tmp_path / "pipe")
    for reader in (CsvRows, CsvTokens):
        with pytest.raises(FileFormatError, match="regular"):
            reader(tmp_path / "pipe")


def test_text_of_every_kind_is_kept(tmp_path: Path, key: Key) -> None:
    """Quotes, commas, line ends of all systems and missing values come back as they went."""
    texts = np.array(["a,b", 'say "x"', "two\nlines", "mac\rline", "dos\r\nline", None, " x "], dtype=object)
    spec = Spec(features=(Uniform(name="a", lo=0.0, hi=1.0),), depth=2)
    codec = HashComb(spec, key)
    with CsvTokenWriter(tmp_path / "t.csv", codec.header, ["who"]) as writer:
        writer.write(codec.encode(np.zeros((len(texts), 1))), {"who": texts})
    CsvTokens(tmp_path / "t.csv").verify()
    ((_, kept),) = CsvTokens(tmp_path / "t.csv").batches()
    assert kept["who"].tolist() == texts.tolist()
