"""Tokens as a torch data set: files that are mapped, workers, and batches that are refused."""

import os
import pickle  # noqa: TID251 workers get data sets pickled
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader, StackDataset, Subset, TensorDataset, WeightedRandomSampler

from hashcomb import HashComb, Key, Spec
from hashcomb.errors import DataError, FileFormatError, FingerprintError, SpecError
from hashcomb.files import CsvTokens, CsvTokenWriter
from hashcomb.header import stamp
from hashcomb.integrations.arrow import ParquetTokens, ParquetTokenWriter
from hashcomb.integrations.torch import MappedTokens, TokenDataset, Vocabulary, collate_tokens, write_tokens

torch.set_num_threads(1)  # threads of several test processes on few cores wait for each other

Learn = Callable[..., Spec]
LABELS = np.arange(500) % 3


@pytest.fixture
def tokens(table: Any, key: Key, learn: Learn) -> Any:
    """Leaf tokens of the table."""
    return HashComb(learn(table, depth=3), key).encode(table)


@pytest.fixture
def others(table: Any, key: Key, learn: Learn) -> Any:
    """Tokens of the same rows under another Spec."""
    return HashComb(learn(table, depth=2), key).encode(table)


def rows_of(loader: Any) -> list[tuple[Any, ...]]:
    """Return all rows of a loader, sorted, with their labels."""
    return sorted((*row, label) for x, y in loader for row, label in zip(x.tolist(), y.tolist(), strict=True))


# ---------------------------------------------------------------------- vocabulary
def test_equal_tokens_have_equal_indices(tokens: Any) -> None:
    """Two values of a column have one index if and only if they have one token, and no index is of two columns."""
    vocabulary = Vocabulary.learn(tokens)
    found = vocabulary.indices(tokens)
    for column, indices in zip(np.asarray(tokens).T, found.T, strict=True):
        assert len(np.unique(column)) == len(np.unique(indices)) == len({*zip(column, indices, strict=True)})
    assert vocabulary.n_indices == len(np.unique(found)) + 5
    assert vocabulary.id == Vocabulary.learn(tokens[::-1]).id
    assert found.dtype == np.dtype(np.int32)


def test_unknown_tokens_have_the_first_index_of_their_column(tokens: Any) -> None:
    """A token that training did not have is unknown in its column, and so is the token of another column."""
    vocabulary = Vocabulary.learn(tokens)
    strange = tokens[:1].copy()
    strange[0, 0], strange[0, 1] = 7, tokens[0, 2]
    assert vocabulary.indices(strange)[0, :2].tolist() == vocabulary.starts[:2]


def test_rare_tokens_are_left_out(tokens: Any) -> None:
    """With min_count, a token that occurs less often is unknown."""
    values, counts = np.unique(np.asarray(tokens)[:, 3], return_counts=True)
    vocabulary = Vocabulary.learn(tokens, min_count=int(counts.max()))
    assert vocabulary.columns[3].tolist() == [values[counts.argmax()]]


def test_a_data_frame_of_tokens_keeps_its_header(table: Any, key: Key, learn: Learn) -> None:
    """Tokens in a pandas frame count as those of an array, whatever the order of their columns."""
    frame = pd.DataFrame(table, columns=[f"x{j}" for j in range(5)])
    codec = HashComb(learn(frame, depth=3), key)
    encoded = codec.encode(frame)
    vocabulary = Vocabulary.learn(encoded)
    assert (vocabulary.indices(encoded[encoded.columns[::-1]]) == vocabulary.indices(codec.encode(table))).all()
    with pytest.raises(DataError, match="column 'x1': is missing"):
        vocabulary.indices(encoded.drop(columns="x1"))


def test_a_vocabulary_needs_a_header_and_rows(tokens: Any) -> None:
    """Plain numbers, no rows and other columns are DataErrors."""
    with pytest.raises(DataError, match="no header"):
        Vocabulary.learn(np.asarray(tokens))
    with pytest.raises(DataError, match="no rows"):
        Vocabulary.learn(tokens[:0])
    with pytest.raises(DataError, match="this Spec has"):
        Vocabulary.learn(tokens[:, :2])
    with pytest.raises(DataError, match="no tokens"):
        Vocabulary.learn(tokens).indices(np.zeros((2, 5)))


# ---------------------------------------------------------------------- files
@pytest.mark.parametrize("rules", [{}, {"tokens": "comb"}, {"token_bits": 32}, {"tokens": 2}])
def test_a_mapped_file_gives_back_what_was_written(
    table: Any, key: Key, learn: Learn, tmp_path: Path, rules: dict[str, Any]
) -> None:
    """Tokens, labels and header come back; to NumPy alone the file is an array of tokens."""
    tokens = HashComb(learn(table, depth=3, **rules), key).encode(table)
    mapped = write_tokens(tmp_path / "t.npy", tokens, LABELS / 2)
    mapped.verify()
    assert (np.load(tmp_path / "t.npy", mmap_mode="r") == np.asarray(tokens)).all()
    assert mapped.header == tokens.header
    assert mapped.labels is not None
    assert (mapped.labels == LABELS / 2).all()
    assert not mapped.tokens.flags.writeable
    one, two = TokenDataset(tokens, LABELS / 2), TokenDataset(tmp_path / "t.npy")
    assert all(torch.equal(a, b) for a, b in zip(one[7], two[7], strict=True))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_files_that_hashcomb_encode_wrote_are_converted(tokens: Any, tmp_path: Path, kind: str) -> None:
    """A file of tokens becomes a mapped one in batches, with a kept column as labels: numbers, or named classes."""
    names = np.array(["low", "mid", "high"], dtype=object)[LABELS]
    writer = CsvTokenWriter if kind == "csv" else ParquetTokenWriter
    with writer(tmp_path / "t", tokens.header, ["y", "name"]) as file:
        file.write(tokens, {"y": LABELS, "name": names})
    source = (CsvTokens if kind == "csv" else ParquetTokens)(tmp_path / "t")
    mapped = write_tokens(tmp_path / "t.npy", source, "y")
    assert (mapped.tokens == tokens).all()
    assert mapped.labels is not None
    assert mapped.labels.dtype == np.dtype(np.int64)
    assert mapped.labels.tolist() == LABELS.tolist()
    named = write_tokens(tmp_path / "n.npy", source, "name", classes=["low", "mid", "high"])
    assert named.labels is not None
    assert named.labels.tolist() == LABELS.tolist()
    with pytest.raises(DataError, match="column 'name', row 0: is missing or no number"):
        write_tokens(tmp_path / "t.npy", source, "name")
    with pytest.raises(DataError, match="column 'name', row 2: is none of the classes"):
        write_tokens(tmp_path / "t.npy", source, "name", classes=["low", "mid"])
    with pytest.raises(DataError, match="column 'z': is not kept"):
        write_tokens(tmp_path / "t.npy", source, "z")
    assert (MappedTokens(tmp_path / "t.npy").tokens == tokens).all()  # what fails leaves the old file whole


def test_damaged_files_are_refused(tokens: Any, tmp_path: Path) -> None:
    """A cut, another format, no file and a wrong header are FileFormatErrors at once, an edited token on verify."""
    path, bad = tmp_path / "t.npy", tmp_path / "bad.npy"
    write_tokens(path, tokens, LABELS)
    raw = path.read_bytes()
    shorter = raw[:4000] + raw[4040:]  # five tokens less, and all else in place
    for content in (
        b"",
        raw[:-1],
        raw[:200] + raw[-40:],
        shorter,
        raw.replace(b", }", b",  ", 1),
        raw[300:],
        b"\x93NUMPY",
        raw.replace(b'"x4"', b'"x3"'),
    ):
        bad.write_bytes(content)
        with pytest.raises(FileFormatError):
            MappedTokens(bad)
    with pytest.raises(FileFormatError, match="cannot be read"):
        MappedTokens(tmp_path / "none.npy")
    np.save(bad, np.asarray(tokens))
    with pytest.raises(FileFormatError, match="no whole file of mapped tokens"):
        TokenDataset(bad)
    bad.write_bytes(raw[:500] + bytes([raw[500] ^ 1]) + raw[501:])
    with pytest.raises(FileFormatError, match="edited"):
        MappedTokens(bad).verify()


def test_a_mapped_data_set_pickles_as_the_name_of_its_file(tokens: Any, tmp_path: Path) -> None:
    """A worker gets no rows, opens the same file, and refuses one that replaced it."""
    many = stamp(np.concatenate([np.asarray(tokens)] * 20), tokens.header)
    write_tokens(tmp_path / "t.npy", many, np.tile(LABELS, 20))
    packed = pickle.dumps(TokenDataset(tmp_path / "t.npy"))
    assert len(packed) < 8000
    again = pickle.loads(packed)
    assert torch.equal(again[499][0], TokenDataset(tmp_path / "t.npy")[499][0])
    write_tokens(tmp_path / "t.npy", tokens, LABELS)
    with pytest.raises(FileFormatError, match="replaced"):
        pickle.loads(packed)


# ---------------------------------------------------------------------- loaders
@pytest.fixture(params=["memory", "file"])
def dataset(request: Any, tokens: Any, tmp_path: Path) -> TokenDataset:
    """A data set in memory, or mapped from a file."""
    if request.param == "memory":
        return TokenDataset(tokens, LABELS)
    return TokenDataset(write_tokens(tmp_path / "t.npy", tokens, LABELS))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(
    ("dataset", "workers", "start"),
    [("memory", 0, None), ("memory", 2, "fork"), ("file", 0, None), ("file", 2, "fork"), ("file", 1, "spawn")],
    indirect=["dataset"],
)
def test_a_loader_gives_every_row_once(dataset: TokenDataset, workers: int, start: str | None) -> None:
    """With workers forked or spawned, and kept from one epoch to the next, each epoch has every row with its label."""
    loader = DataLoader(
        dataset,
        batch_size=128,
        shuffle=True,
        num_workers=workers,
        multiprocessing_context=start,
        persistent_workers=workers > 0,
        collate_fn=collate_tokens,
        timeout=300 if workers else 0,
    )
    wanted = rows_of([dataset.__getitems__(range(500)).tensors])
    assert [rows_of(loader), rows_of(loader)] == [wanted, wanted]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_workers_may_be_forked_after_kernels_and_threads_ran(table: Any, key: Key, learn: Learn) -> None:
    """Compiled kernels on two threads in the parent do not stop a forked worker."""
    codec = HashComb(learn(table, depth=3), key, n_threads=2)
    tokens = codec.encode(np.tile(table, (200, 1)))
    loader = DataLoader(
        TokenDataset(tokens), batch_size=5000, num_workers=2, multiprocessing_context="fork", timeout=300
    )
    assert sum(len(x) for (x,) in loader) == 100_000


def test_data_sets_say_what_they_hold(tokens: Any) -> None:
    """The text of a data set names its rows, whether there are labels, and its vocabulary."""
    labeled, plain = TokenDataset(tokens, np.zeros(len(tokens))), TokenDataset(tokens)
    assert repr(labeled) == f"TokenDataset({len(tokens)} rows, labels, {labeled.vocabulary})"
    assert repr(plain) == f"TokenDataset({len(tokens)} rows, {plain.vocabulary})"


def test_samplers_and_subsets_choose_rows(dataset: TokenDataset) -> None:
    """A sampler and a Subset name rows, repeated ones too."""
    weights = [float(i in (3, 4)) for i in range(500)]
    loader = DataLoader(dataset, batch_size=8, sampler=WeightedRandomSampler(weights, 8), collate_fn=collate_tokens)
    ((x, _),) = loader
    assert {tuple(row) for row in x.tolist()} <= {tuple(dataset[i][0].tolist()) for i in (3, 4)}
    ((x, y),) = DataLoader(Subset(dataset, [9, 2]), batch_size=2, collate_fn=collate_tokens)
    assert torch.equal(x, torch.stack([dataset[9][0], dataset[2][0]]))
    assert y.tolist() == LABELS[[9, 2]].tolist()


def test_the_default_collate_gives_the_same(dataset: TokenDataset) -> None:
    """Whoever forgets collate_fn gets the same batches, more slowly."""
    plain = next(iter(DataLoader(dataset, batch_size=50)))
    ours = next(iter(DataLoader(dataset, batch_size=50, collate_fn=collate_tokens)))
    assert all(torch.equal(a, b) for a, b in zip(plain, ours, strict=True))
    with pytest.raises(IndexError, match="row 500"):
        dataset[500]


def test_other_inputs_go_beside_tokens(dataset: TokenDataset) -> None:
    """StackDataset puts anything beside tokens, and the collate keeps its structure."""
    both = StackDataset(tokens=dataset, age=TensorDataset(torch.arange(500.0)))
    batch = next(iter(DataLoader(both, batch_size=4, collate_fn=collate_tokens)))
    assert torch.equal(batch["age"][0], torch.arange(4.0))
    assert torch.equal(batch["tokens"][1], torch.from_numpy(LABELS[:4]))


# ---------------------------------------------------------------------- bad input
def test_tokens_of_another_spec_are_refused(tokens: Any, others: Any) -> None:
    """Rows that the vocabulary is not of are a FingerprintError, and so are batches of two vocabularies."""
    rows = TokenDataset(tokens, LABELS)
    with pytest.raises(FingerprintError, match="another Spec"):
        TokenDataset(others, LABELS, vocabulary=rows.vocabulary)
    mixed: ConcatDataset[Any] = ConcatDataset([rows, TokenDataset(tokens[:9], LABELS[:9])])  # a vocabulary of its own
    with pytest.raises(FingerprintError, match="different vocabularies"):
        collate_tokens([mixed[0], mixed[508]])
    again = TokenDataset(tokens[:100], LABELS[:100], vocabulary=rows.vocabulary)
    assert collate_tokens([rows[0], again[99]])[1].tolist() == [0, 0]


def test_batches_that_do_not_fit_are_refused(tokens: Any) -> None:
    """No rows, and rows with and without a label, are DataErrors."""
    rows = TokenDataset(tokens, LABELS)
    bare = TokenDataset(tokens, vocabulary=rows.vocabulary)
    batches: list[Any] = [[], rows.__getitems__([])]
    for empty in batches:
        with pytest.raises(DataError, match="a batch without rows"):
            collate_tokens(empty)
    with pytest.raises(DataError, match="row 1: has other columns"):
        collate_tokens([rows[0], bare[0]])


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (LABELS[:-1], "499 labels for 500 rows"),
        (np.where(np.arange(500) == 41, np.nan, LABELS), "row 41: a label is missing"),
        (["yes"] * 500, "row 0: is missing or no number"),
        (3, "one a row"),
    ],
    ids=["fewer", "nan", "text", "scalar"],
)
def test_labels_that_are_none_are_refused(tokens: Any, labels: Any, problem: str) -> None:
    """Labels must be one number a row, none missing."""
    with pytest.raises(DataError, match=problem):
        TokenDataset(tokens, labels)


def test_labels_keep_their_kind(tokens: Any) -> None:
    """Whole numbers and truth values become int64, fractions float32, and objects are not cut to whole numbers."""
    kinds = [LABELS.astype(np.uint8), LABELS > 0, LABELS / 2, np.array([0.5, 1] * 250, dtype=object)]
    got = [TokenDataset(tokens, labels)[0][1] for labels in kinds]
    assert [label.dtype for label in got] == [torch.int64, torch.int64, torch.float32, torch.float32]
    assert got[3] == 0.5


def test_data_sets_need_rows_and_a_header(tokens: Any) -> None:
    """No rows and no header are DataErrors."""
    with pytest.raises(DataError, match="no rows"):
        TokenDataset(tokens[:0])
    with pytest.raises(DataError, match="no header"):
        TokenDataset(np.asarray(tokens))
    with pytest.raises(SpecError, match="training rows"):
        TokenDataset(tokens, vocabulary=tokens)


def test_a_failed_write_leaves_nothing(tokens: Any, tmp_path: Path) -> None:
    """Labels that do not fit leave no file and no remains."""
    with pytest.raises(DataError, match="3 labels for 500 rows"):
        write_tokens(tmp_path / "t.npy", tokens, [1, 2, 3])
    assert os.listdir(tmp_path) == []
