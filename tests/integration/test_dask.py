"""Dask collections, with threads and with Dask's own scheduler and worker processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from msgspec.structs import replace

from hashcomb import Categorical, HashComb, Key, RandomizedResponse, Spec, Uniform
from hashcomb.errors import DataError, KeyMaterialError, SpecError

da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
dask = pytest.importorskip("dask")

from hashcomb.integrations.dask import decode, encode  # noqa: E402

FEATURES = (Uniform(name="a", lo=0.0, hi=1.0), Uniform(name="b", lo=0.0, hi=1.0))
SPEC = Spec(features=FEATURES, depth=4)
NOISY = Spec(features=FEATURES, depth=4, channel=RandomizedResponse(1.0).spec_for(16))
ROWS = np.random.default_rng(0).random((1000, 2))
FRAME = pd.DataFrame(ROWS, columns=["a", "b"], index=pd.RangeIndex(5, 1005, name="at")).assign(
    y=np.arange(1000) % 3, id=[f"id {i}" for i in range(1000)]
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a client of a scheduler with two workers that are processes of their own."""
    distributed = pytest.importorskip("distributed")
    settings = {"temporary-directory": str(tmp_path_factory.mktemp("dask")), "distributed.worker.daemon": True}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", memory_limit=0
        ) as workers,
        distributed.Client(workers) as client,
    ):
        yield client


@pytest.fixture
def codec(key: Key) -> HashComb:
    """Return a codec without a channel."""
    return HashComb(SPEC, key)


@pytest.fixture
def noisy(key: Key) -> HashComb:
    """Return a codec with a channel."""
    return HashComb(NOISY, key)


def frame(n_partitions: int = 4) -> Any:
    """Return the rows as a Dask data frame."""
    return dd.from_pandas(FRAME, npartitions=n_partitions)


RULES: dict[str, dict[str, Any]] = {"leaf": {}, "comb": {"tokens": "comb"}, "narrow": {"token_bits": 32}}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_an_array_has_the_bytes_of_memory(key: Key, rules: dict[str, Any]) -> None:
    """Tokens have the announced shape, type and chunks and the bytes of encode; decode gives what it gives."""
    codec = HashComb(Spec(features=FEATURES, depth=4, **rules), key)
    whole = np.asarray(codec.encode(ROWS))
    tokens = encode(codec, da.from_array(ROWS, chunks=(300, 2)))
    assert (tokens.shape, tokens.dtype, tokens.chunks[0]) == (whole.shape, whole.dtype, (300, 300, 300, 100))
    assert np.array_equal(tokens.compute(scheduler="threads"), whole)
    assert np.array_equal(decode(codec, tokens).compute(scheduler="threads"), codec.decode(whole))


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_a_frame_has_the_bytes_of_memory(key: Key, rules: dict[str, Any]) -> None:
    """Tokens beside kept columns have the announced types, the index and the bytes of encode; decode too."""
    codec = HashComb(Spec(features=FEATURES, depth=4, **rules), key)
    tokens = encode(codec, frame(), keep=["y"], drop=["id"])
    done, whole = tokens.compute(scheduler="threads"), codec.encode(FRAME[["a", "b"]])
    assert (done.dtypes == tokens.dtypes).all()
    assert done.drop(columns="y").equals(whole)
    assert done["y"].equals(FRAME["y"])
    assert done.attrs == whole.attrs  # the header
    decoded = decode(codec, tokens, keep=["y"])
    assert decoded.compute(scheduler="threads").equals(codec.decode(whole).assign(y=FRAME["y"]))


def test_real_workers_give_the_same_bytes(cluster: Any, codec: HashComb) -> None:
    """Arrays and data frames that pass through processes of workers have the bytes of memory."""
    tokens = encode(codec, da.from_array(ROWS, chunks=(300, 2)))
    assert np.array_equal(cluster.compute(tokens).result(), codec.encode(ROWS))
    framed = cluster.compute(encode(codec, frame(), drop=["y", "id"])).result()
    assert framed.equals(codec.encode(FRAME[["a", "b"]]))


def test_an_error_of_a_worker_comes_back_typed(cluster: Any, codec: HashComb) -> None:
    """It names column, partition and the row within it, and no value."""
    bad = FRAME.drop(columns=["y", "id"]).astype({"a": object})
    bad.iloc[600, 0] = "SECRET"
    with dask.config.set({"dataframe.convert-string": False}):
        tokens = encode(codec, dd.from_pandas(bad, npartitions=4))
    with pytest.raises(DataError, match="partition 2") as caught:
        cluster.compute(tokens).result()
    assert (caught.value.column, caught.value.row) == ("a", 100)
    assert "SECRET" not in str(caught.value)


def test_a_worker_that_dies_draws_no_new_noise(cluster: Any, noisy: HashComb, tmp_path: Path) -> None:
    """A task whose worker was killed half way runs again on another, and the reports are the same as before it."""
    tokens = encode(noisy, frame(), drop=["y", "id"])
    before, mark = cluster.compute(tokens).result(), str(tmp_path / "died")

    def die_once(part: pd.DataFrame) -> pd.DataFrame:
        if not Path(mark).exists():
            Path(mark).touch()
            import os

            os._exit(1)
        return part

    after = cluster.compute(tokens.map_partitions(die_once, meta=tokens._meta)).result()
    assert Path(mark).exists()
    assert after.equals(before)


def test_computing_again_gives_the_same_reports(noisy: HashComb) -> None:
    """The secret belongs to the call: computing twice costs epsilon once, encoding twice gives other reports."""
    rows = da.from_array(ROWS, chunks=(300, 2))
    tokens = encode(noisy, rows)
    first = tokens.compute(scheduler="threads")
    assert np.array_equal(first, tokens.compute(scheduler="sync"))
    assert not np.array_equal(first, encode(noisy, rows).compute(scheduler="threads"))


def test_partitions_taken_alone_keep_their_noise(noisy: HashComb) -> None:
    """A partition computed by itself has the reports that it has in the whole, and not another's noise."""
    tokens = encode(noisy, frame(), drop=["y", "id"])
    whole = tokens.compute(scheduler="threads")
    for i in range(4):
        assert tokens.partitions[i].compute(scheduler="sync").equals(whole.iloc[250 * i : 250 * (i + 1)])


@pytest.mark.parametrize("filesystem", ["fsspec", "arrow"])
def test_partitions_that_dask_joins_when_it_reads(
    codec: HashComb, noisy: HashComb, tmp_path: Path, filesystem: str
) -> None:
    """Of wide files Dask reads few columns, and several at once: each partition alone has the reports of the whole."""
    others = {f"other {j}": 0.0 for j in range(40)}
    for i in range(4):
        part = FRAME[["a", "b"]].iloc[10 * i : 10 * i + 10].reset_index(drop=True)
        part.assign(**others).to_parquet(tmp_path / f"{i}.parquet")
    wide = dd.read_parquet(str(tmp_path), filesystem=filesystem)
    for rows in (wide[["a", "b"]], wide[["a", "b"]].fillna(0.0)):
        plain = encode(codec, rows).compute(scheduler="sync").to_numpy()
        assert np.array_equal(plain, codec.encode(rows.compute(scheduler="sync").to_numpy()))
        tokens = encode(noisy, rows)
        parts = [tokens.partitions[i].compute(scheduler="sync") for i in range(tokens.npartitions)]
        assert np.array_equal(np.concatenate(parts), tokens.compute(scheduler="sync"))


def test_no_two_partitions_share_their_noise(noisy: HashComb) -> None:
    """Equal rows in every partition get other reports in each, whole or taken alone (equal by chance: 2**-40)."""
    same = pd.concat([FRAME[["a", "b"]].iloc[:100]] * 3, ignore_index=True)
    tokens = encode(noisy, dd.from_pandas(same, npartitions=3))
    parts = [tokens.partitions[i].compute(scheduler="sync").to_numpy() for i in range(3)]
    assert all((parts[i] != parts[j]).any() for i in range(3) for j in range(i))
    blocks = encode(noisy, da.from_array(np.tile(ROWS[:100], (3, 1)), chunks=(100, 2)))
    parts = [blocks.blocks[i].compute(scheduler="sync") for i in range(3)]
    assert all((parts[i] != parts[j]).any() for i in range(3) for j in range(i))


def test_noise_changes_when_a_partition_is_read_with_other_rows(noisy: HashComb, tmp_path: Path) -> None:
    """Where a partition is read anew and one row has changed, the others' noise is unrelated to what it was."""
    path = tmp_path / "rows.npy"

    def read(_: Any) -> pd.DataFrame:
        return pd.DataFrame(np.load(path), columns=["a", "b"])

    meta = FRAME[["a", "b"]].iloc[:0].reset_index(drop=True)
    tokens = encode(noisy, dd.from_map(read, [0], meta=meta))
    np.save(path, ROWS)
    first = tokens.compute(scheduler="sync").to_numpy()
    changed = ROWS.copy()
    changed[0, 0] = 1 - changed[0, 0]
    np.save(path, changed)
    second = tokens.compute(scheduler="sync").to_numpy()
    # Reports of one of two halves, right with probability .731, agree in 60.7 % of places if they are independent (the
    # bound is seven standard deviations off), and in all if their noise is the same.
    assert 0.53 < (first[1:] == second[1:]).mean() < 0.69


def test_record_ids_give_the_reports_of_memory(noisy: HashComb) -> None:
    """With a memo key, the partitions do not matter: the reports are those that encode gives."""
    memo_key = Key.create()
    whole = noisy.encode(FRAME[["a", "b"]], record_ids=FRAME["id"], memo_key=memo_key)
    for n_partitions in (1, 4):
        tokens = encode(noisy, frame(n_partitions), drop=["y"], record_id="id", memo_key=memo_key)
        assert tokens.compute(scheduler="threads").equals(whole)


def test_partitions_without_rows(codec: HashComb, noisy: HashComb) -> None:
    """They give partitions without tokens, of the same columns and types."""
    for each in (codec, noisy):
        part = encode(each, frame()[frame()["y"] > 5], keep=["y"], drop=["id"])
        assert len(part.compute(scheduler="threads")) == 0
        some = encode(each, frame().loc[:300], keep=["y"], drop=["id"])
        done = some.compute(scheduler="threads")
        assert (len(done), done["a"].dtype) == (296, np.uint64)
        assert len(decode(each, some).compute(scheduler="threads")) == 296
    rows = da.from_array(ROWS, chunks=(300, 2))
    none = encode(codec, rows[rows[:, 0] > 2])
    assert none.compute(scheduler="threads").shape == (0, 2)


def test_a_partition_with_other_columns_is_named(codec: HashComb) -> None:
    """A DataError names the column and the partition."""

    def read(i: int) -> pd.DataFrame:
        part = FRAME[["a", "b"]].iloc[10 * i : 10 * i + 10]
        return part.rename(columns={"b": "z"}) if i == 2 else part

    rows = dd.from_map(read, range(4), meta=FRAME[["a", "b"]].iloc[:0], enforce_metadata=False)
    with pytest.raises(DataError, match="partition 2") as caught:
        encode(codec, rows).compute(scheduler="sync")
    assert caught.value.column == "b"


def test_types_come_back(key: Key) -> None:
    """Decoding gives the announced types, with missing values, and those of another frame where asked."""
    features = (
        Uniform(name="when", lo=0.0, hi=16.0, origin="2020-01-01"),
        Categorical(name="code", categories=(7, 9)),
        Categorical(name="kind", categories=("x", "y")),
    )
    codec = HashComb(Spec(features=features, depth=4, missing="token"), key)
    rows = pd.DataFrame(
        {
            "when": pd.to_datetime(["2020-01-03", None, "2020-01-05", "2020-01-07"]),
            "code": pd.array([7, 9, None, 7], dtype="Int64"),
            "kind": pd.Categorical(["x", None, "y", "x"]),
        }
    )
    lazy = dd.from_pandas(rows, npartitions=2)
    decoded = decode(codec, encode(codec, lazy))
    done = decoded.compute(scheduler="sync")
    assert (done.dtypes == decoded.dtypes).all()
    assert done["code"].equals(rows["code"])
    assert done["when"].tolist()[0] == pd.Timestamp("2020-01-03")
    alike = decode(codec, encode(codec, lazy), like=lazy).compute(scheduler="sync")
    assert (alike.dtypes == rows.dtypes).all()
    assert alike.equals(rows)


def test_types_do_not_depend_on_what_a_record_reports(key: Key) -> None:
    """Where a channel reports one of three features, the announced types are those of what comes."""
    features = tuple(Categorical(name=name, categories=("x", "y")) for name in "abc")
    channel = RandomizedResponse(1.0, depth="leaf").spec_for(2)
    channel = replace(channel, params={**channel.params, "report_features": 1})
    codec = HashComb(Spec(features=features, depth=1, channel=channel), key)
    rows = dd.from_pandas(pd.DataFrame({name: ["x", "y"] for name in "abc"}), npartitions=2)
    decoded = decode(codec, encode(codec, rows))
    assert decoded.dtypes.tolist() == [pd.Series(["x"]).dtype] * 3
    assert (decoded.compute(scheduler="sync").dtypes == decoded.dtypes).all()


def test_features_in_several_chunks_are_refused(codec: HashComb) -> None:
    """The error says how to put them in one; so are other shapes and what is no collection."""
    with pytest.raises(DataError, match="rechunk"):
        encode(codec, da.from_array(ROWS, chunks=(300, 1)))
    for wrong in (da.zeros((10, 3)), da.zeros(10), ROWS, FRAME):
        with pytest.raises(DataError):
            encode(codec, wrong)


def test_columns_are_checked_before_anything_is_computed(codec: HashComb) -> None:
    """A column that is missing, or neither encoded nor kept nor dropped, is an error of the call itself."""
    for options, column in (({}, "y"), ({"keep": ["y"]}, "id"), ({"keep": ["y", "id", "no"]}, "no")):
        with pytest.raises(DataError) as caught:
            encode(codec, frame(), **options)  # type: ignore[arg-type]
        assert caught.value.column == column
    with pytest.raises(DataError) as caught:
        encode(codec, frame()[["a"]])
    assert caught.value.column == "b"
    with pytest.raises(DataError):
        encode(codec, da.from_array(ROWS), keep=["y"])


def test_memo_key_and_record_ids_go_together(codec: HashComb, noisy: HashComb) -> None:
    """One without the other is refused; so is a memo key without a channel."""
    with pytest.raises(KeyMaterialError):
        encode(noisy, frame(), drop=["y", "id"], memo_key=Key.create())
    with pytest.raises(KeyMaterialError):
        encode(noisy, frame(), drop=["y"], record_id="id")
    with pytest.raises(SpecError):
        encode(codec, frame(), drop=["y"], record_id="id", memo_key=Key.create()).compute(scheduler="sync")


def test_names_of_tasks_hold_no_key(key: Key) -> None:
    """Equal work under another Key of the same id would have the same name: names are made of what is public."""
    tokens = encode(HashComb(SPEC, key), da.from_array(ROWS, chunks=(300, 2)))
    again = encode(HashComb(SPEC, Key(bytes(key))), da.from_array(ROWS, chunks=(300, 2)))
    assert tokens.name == again.name
    other = encode(HashComb(SPEC, Key.create()), da.from_array(ROWS, chunks=(300, 2)))
    assert tokens.name != other.name
    assert key in again.dask[again.name, 0, 0].func.carried.codec.__reduce__()[1]  # but the graph has it
