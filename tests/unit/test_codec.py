"""Encode and decode: shapes, errors, headers, and that bytes depend on nothing but rows, Spec, Key and salt."""

import itertools
import pickle  # noqa: TID251 joblib pickles what users give it; here we look at what it would get
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from hashcomb import Categorical, HashComb, Key, Quantile, RandomizedResponse, Spec, TokenArray, Uniform, place
from hashcomb.errors import DataError, FingerprintError, InsecureRandomWarning, KeyMaterialError, SpecError

Learn = Callable[..., Spec]
KINDS = pytest.mark.parametrize("tokens", ["leaf", "comb", 2])

seeded = pytest.mark.filterwarnings("ignore::hashcomb.errors.InsecureRandomWarning")


@KINDS
@pytest.mark.parametrize("edges", ["quantile", "uniform"])
def test_round_trip(learn: Learn, table: np.ndarray, key: Key, tokens: Any, edges: str) -> None:
    """Decoding gives the representative of each value's node, and encoding that again the same tokens."""
    spec = learn(table, edges=edges, tokens=tokens)
    codec = HashComb(spec, key)
    encoded = codec.encode(table)
    assert encoded.shape == ((500, 5, 4) if tokens == "comb" else (500, 5))
    assert encoded.dtype == np.uint64
    if tokens != 2:
        assert (codec.encode(codec.decode(encoded)) == encoded).all()
        assert (codec.decode(encoded, "rank") == place(table, spec) / 15).all()


def test_tokens_tell_equality_of_leaves_and_nothing_else(learn: Learn, table: np.ndarray, key: Key) -> None:
    """Within a feature, tokens are equal exactly where leaves are."""
    spec = learn(table)
    tokens, leaves = np.asarray(HashComb(spec, key).encode(table)), place(table, spec)
    for j in range(5):
        assert len(set(zip(tokens[:, j].tolist(), leaves[:, j].tolist(), strict=True))) == len(
            set(leaves[:, j].tolist())
        )
        assert len(set(tokens[:, j].tolist())) == len(set(leaves[:, j].tolist()))


@pytest.mark.parametrize(
    ("tokens", "channel"),
    [
        *itertools.product(["leaf", "comb", 2], [None, RandomizedResponse(1.0, depth="leaf")]),
        ("leaf", RandomizedResponse(1.0)),  # whose reports are no leaves
    ],
)
def test_tokens_of_reports_are_those_that_were_numbered(
    learn: Learn, table: np.ndarray, key: Key, tokens: Any, channel: Any
) -> None:
    """Numbers of reports give the tokens back, missing ones too, and no header; other numbers are refused."""
    table[3, 1] = np.nan
    codec = HashComb(learn(table, tokens=tokens, missing="token", channel=channel), key)
    encoded = codec.encode(table)
    numbers = codec.reports(encoded)
    again = codec.tokens_of(numbers)
    assert (again == encoded).all()
    assert not isinstance(again, TokenArray)
    for wrong in (numbers - 1, numbers + 1000, numbers[:, 1:], numbers.astype(float)):
        with pytest.raises(DataError, match="reports are int32"):
            codec.tokens_of(wrong)


def test_a_path_holds_the_tokens_of_every_level(learn: Learn, table: np.ndarray, key: Key) -> None:
    """Two values share a path's tokens up to the level at which their leaves part."""
    spec = learn(table, tokens="comb")
    paths, leaves = np.asarray(HashComb(spec, key).encode(table))[:50, 0], place(table, spec)[:50, 0]
    for i in range(50):
        shared = (paths == paths[i]).sum(axis=1)
        expected = [4 - int(a ^ leaves[i]).bit_length() for a in leaves.tolist()]
        assert shared.tolist() == expected


# ---------------------------------------------------------------------- the same bytes
@seeded
@KINDS
@pytest.mark.parametrize("noisy", [False, True])
def test_bytes_do_not_depend_on_chunks_or_threads(
    learn: Learn, table: np.ndarray, key: Key, tokens: Any, noisy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any chunk size, thread count and batching gives the bytes of the whole."""
    channel = RandomizedResponse(2.0, depth="leaf") if noisy else None
    spec = learn(table, tokens=tokens, channel=channel)
    seed = 3 if noisy else None
    whole = np.asarray(HashComb(spec, key, n_threads=1).encode(table, seed=seed))
    for chunk, threads in ((5, 1), (35, 3), (1000, 2)):
        monkeypatch.setattr("hashcomb.encoding.CHUNK_VALUES", chunk)
        assert (np.asarray(HashComb(spec, key, n_threads=threads).encode(table, seed=seed)) == whole).all()
    batches = HashComb(spec, key).encode_batches([table[:1], table[1:100], table[100:101], table[101:]], seed=seed)
    assert (np.concatenate(list(batches)) == whole).all()


@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray, lambda x: np.repeat(x, 2, axis=0)[::2]])
def test_bytes_do_not_depend_on_layout(learn: Learn, table: np.ndarray, key: Key, layout: Any) -> None:
    """Row-major, column-major and strided arrays of the same numbers give the same tokens."""
    codec = HashComb(learn(table), key)
    assert (codec.encode(layout(table)) == codec.encode(table)).all()


def test_float32_and_float64_give_the_same_tokens(learn: Learn, table: np.ndarray, key: Key) -> None:
    """Numbers that both types hold have one token."""
    narrow = table.astype(np.float32)
    codec = HashComb(learn(table, depth=8), key)
    assert (codec.encode(narrow) == codec.encode(narrow.astype(np.float64))).all()


@pytest.mark.parametrize(
    "make", [pd.DataFrame, lambda d: pl.DataFrame(d), lambda d: pa.table(d)], ids=["pandas", "polars", "pyarrow"]
)
def test_data_frames_come_back_as_they_went(learn: Learn, table: np.ndarray, key: Key, make: Any) -> None:
    """A frame gives a frame of its kind with the array's tokens under its names, and decodes to one."""
    names = list("abcde")
    codec = HashComb(learn(table, names=names), key)
    frame = make(dict(zip(reversed(names), table[:, ::-1].T, strict=True)))
    encoded = codec.encode(frame)
    assert type(encoded) is type(frame)
    columns = [np.asarray(encoded[name]) for name in names]
    assert (np.stack(columns, axis=1) == codec.encode(table)).all()
    decoded = codec.decode(encoded)
    assert type(decoded) is type(frame)
    assert (np.asarray(decoded["b"]) == codec.decode(codec.encode(table))[:, 1]).all()


def test_pandas_keeps_its_index_and_the_header(learn: Learn, table: np.ndarray, key: Key) -> None:
    """The index of a pandas frame survives both ways; its attrs say where the tokens come from."""
    frame = pd.DataFrame(table, columns=list("abcde"), index=np.arange(500) * 3 + 7)
    codec = HashComb(learn(table, names=list("abcde")), key)
    encoded = codec.encode(frame)
    assert (encoded.index == frame.index).all()
    assert codec.spec.fingerprint in encoded.attrs["hashcomb"]
    assert (codec.decode(encoded).index == frame.index).all()


def test_all_levels_of_a_frame_have_columns(learn: Learn, table: np.ndarray, key: Key) -> None:
    """With tokens='comb' a frame gets one column a feature and level, and decodes from them."""
    names = list("abcde")
    codec = HashComb(learn(table, names=names, tokens="comb"), key)
    encoded = codec.encode(pl.DataFrame(dict(zip(names, table.T, strict=True))))
    assert encoded.columns[:5] == ["a@1", "a@2", "a@3", "a@4", "b@1"]
    assert (codec.decode(encoded)["c"].to_numpy() == codec.decode(codec.encode(table))[:, 2]).all()


# ---------------------------------------------------------------------- categories and missing values
MIXED = Spec(
    features=(Uniform(name="x", lo=0.0, hi=1.0), Categorical(name="c", categories=("red", "green"))),
    depth=3,
    missing="token",
    unknown="token",
)


def test_categories_decode_to_themselves(key: Key) -> None:
    """Known categories come back; unknown and missing ones decode to None, missing numbers to NaN."""
    codec = HashComb(MIXED, key)
    rows = np.array([[0.05, "red"], [None, "green"], [0.99, "blue"], [0.5, None]], dtype=object)
    decoded = codec.decode(codec.encode(rows))
    assert decoded[:, 1].tolist() == ["red", "green", None, None]
    assert decoded[0, 0] == 1 / 16
    assert np.isnan(decoded[1, 0])


@seeded
@pytest.mark.parametrize("tokens", ["leaf", "comb", 1])
def test_a_channel_reports_only_what_a_feature_can_hold(key: Key, tokens: Any) -> None:
    """Randomized categories are categories, unknown or missing, and randomized missing values are not told apart."""
    from msgspec.structs import replace

    codec = HashComb(replace(MIXED, channel=RandomizedResponse(0.1, depth="leaf").to_spec(), tokens=tokens), key)
    rows = {"x": np.full(3000, np.nan), "c": np.array(["red"] * 3000, dtype=object)}
    decoded = codec.decode(codec.encode(rows, seed=1), "rank")
    n_nodes = 8 if tokens != 1 else 2
    assert len(np.unique(decoded[:, 0][~np.isnan(decoded[:, 0])])) == n_nodes
    if tokens != 1:
        assert set(np.unique(decoded[:, 1][~np.isnan(decoded[:, 1])]) * 7) == {0.0, 1.0, 2.0}
    assert 0 < np.isnan(decoded[:, 0]).mean() < 0.3
    assert np.isnan(decoded[:, 1]).mean() > 0


def test_coarse_tokens_of_categories_stand_for_none(key: Key) -> None:
    """A node that spans several categories decodes to none of them, but to its rank."""
    from msgspec.structs import replace

    codec = HashComb(replace(MIXED, tokens=1), key)
    tokens = codec.encode({"x": [0.5], "c": ["red"]})
    with pytest.raises(DataError, match="several categories"):
        codec.decode(tokens)
    assert codec.decode(tokens, "rank").tolist() == [[1.0, 0.0]]


def test_agreed_means_are_what_decode_gives(learn: Learn, table: np.ndarray, key: Key) -> None:
    """Where the Spec has means they are the default; center and rank can be asked for."""
    spec = learn(table, means=True)
    codec, leaves = HashComb(spec, key), place(table, spec)
    decoded = codec.decode(codec.encode(table))
    own = table[leaves[:, 0] == leaves[0, 0], 0]
    assert decoded[0, 0] == pytest.approx(own.mean())
    with pytest.raises(SpecError, match="means"):
        HashComb(learn(table), key).decode(HashComb(learn(table), key).encode(table), "mean")


# ---------------------------------------------------------------------- randomness
def test_fresh_randomness_at_every_call(learn: Learn, table: np.ndarray, key: Key) -> None:
    """Two encodings of the same rows are two draws."""
    codec = HashComb(learn(table, channel=RandomizedResponse(1.0, depth="leaf")), key)
    assert (codec.encode(table) != codec.encode(table)).any()
    assert not (np.asarray(codec.encode(table)[:250]) == np.asarray(codec.encode(table)[250:])).all()


def test_rows_get_words_of_their_own(key: Key) -> None:
    """Equal rows of one call are randomized independently, and so are batches."""
    spec = Spec(
        features=(Uniform(name="a", lo=0.0, hi=1.0),), depth=4, channel=RandomizedResponse(0.5, depth="leaf").to_spec()
    )
    codec = HashComb(spec, key)
    assert len(np.unique(np.asarray(codec.encode(np.zeros((200, 1)))))) > 4
    first, second = codec.encode_batches([np.zeros((200, 1)), np.zeros((200, 1))])
    assert (np.asarray(first) != np.asarray(second)).any()


def test_a_seed_warns_and_repeats(learn: Learn, table: np.ndarray, key: Key) -> None:
    """A seed makes reports repeatable and says that they protect nothing."""
    codec = HashComb(learn(table, channel=RandomizedResponse(1.0, depth="leaf")), key)
    with pytest.warns(InsecureRandomWarning):
        first = codec.encode(table, seed=5)
    with pytest.warns(InsecureRandomWarning):
        again = codec.encode(table, seed=5)
    with pytest.warns(InsecureRandomWarning):
        other = codec.encode(table, seed=6)
    assert (first == again).all()
    assert (first != other).any()


# ---------------------------------------------------------------------- errors
STRICT = Spec(features=(Uniform(name="a", lo=0.0, hi=1.0), Uniform(name="b", lo=0.0, hi=1.0)), depth=2, outside="error")
BESIDE_EDGES = Spec(
    features=(STRICT.features[0], Quantile(name="b", lo=0.0, hi=1.0, edges=(0.2, 0.3, 0.4))), depth=2, outside="error"
)


@pytest.mark.parametrize("spec", [STRICT, BESIDE_EDGES], ids=["formula", "edges"])
@pytest.mark.parametrize("bad", [np.nan, 1.0000001, -1e-9, np.inf, -np.inf])
def test_a_value_that_is_refused_is_named_by_place(spec: Spec, key: Key, bad: float) -> None:
    """The first bad value's column and row are named, over chunks and batches too, and the value is not."""
    rows = np.full((1000, 2), 0.5)
    rows[700, 1] = bad
    with pytest.raises(DataError) as caught:
        HashComb(spec, key, n_threads=2).encode(rows)
    assert (caught.value.column, caught.value.row) == ("b", 700)
    with pytest.raises(DataError) as caught:
        list(HashComb(spec, key).encode_batches([rows[:600], rows[600:]]))
    assert (caught.value.column, caught.value.row) == ("b", 700)


def test_the_first_of_several_bad_values_is_named(key: Key) -> None:
    """Whatever is wrong with it, and however the rows are cut: the value of the lowest row."""
    rows = np.full((100, 2), 0.5)
    rows[3, 1], rows[50, 0] = 7.0, np.nan
    for size in (4, 100):
        with pytest.raises(DataError) as caught:
            list(HashComb(STRICT, key).encode_batches(rows[i : i + size] for i in range(0, 100, size)))
        assert (caught.value.column, caught.value.row) == ("b", 3)


@pytest.mark.parametrize(
    "options", [{"round": -1}, {"round": True}, {"round": 1.0}, {"dataset": 5}, {"dataset": "\ud800"}, {"n_threads": 0}]
)
def test_salts_and_threads_that_cannot_be(key: Key, options: dict[str, Any]) -> None:
    """A salt of another type would be another salt than its equal."""
    with pytest.raises(SpecError) as caught:
        HashComb(STRICT, key, **options)
    assert caught.value.path == next(iter(options))
    with pytest.raises(KeyMaterialError):
        HashComb(STRICT, bytes(range(32)))  # type: ignore[arg-type]


def test_missing_is_refused_unless_it_has_a_token(learn: Learn, table: np.ndarray, key: Key) -> None:
    """NaN is an error by default, a token where the Spec says so, and never taken for a number."""
    rows = table.copy()
    rows[3, 1] = np.nan
    with pytest.raises(DataError, match="missing"):
        HashComb(learn(table), key).encode(rows)
    codec = HashComb(learn(table, missing="token", outside="error"), key)
    assert np.isnan(codec.decode(codec.encode(rows))[3, 1])
    assert codec.encode(rows)[3, 1] not in codec.encode(table)[:, 1]


def test_one_row_is_enough(learn: Learn, table: np.ndarray, key: Key) -> None:
    """A single row encodes as it does among others."""
    codec = HashComb(learn(table), key)
    assert (codec.encode(table[17:18]) == codec.encode(table)[17:18]).all()


def test_after_an_error_out_holds_nothing(key: Key) -> None:
    """The caller's array is zero after an error, not half encoded."""
    rows = np.full((1000, 2), 0.5)
    rows[900, 0] = np.nan
    out = np.full((1000, 2), 7, dtype=np.uint64)
    with pytest.raises(DataError):
        HashComb(STRICT, key).encode(rows, out=out)
    assert not out.any()


def test_out_is_filled_and_checked(learn: Learn, table: np.ndarray, key: Key) -> None:
    """Tokens go into the array that is given, which must fit."""
    codec = HashComb(learn(table), key)
    out = np.empty((500, 5), dtype=np.uint64)
    assert np.shares_memory(codec.encode(table, out=out), out)
    assert (out == codec.encode(table)).all()
    for wrong in (np.empty((500, 4), np.uint64), np.empty((500, 5), np.int64), np.empty((5, 500), np.uint64).T):
        wrong[...] = 7
        with pytest.raises(DataError, match="out must"):
            codec.encode(table, out=wrong)
        assert (wrong == 7).all()  # what does not fit is not touched


@pytest.mark.parametrize("other", ["spec", "key", "dataset", "round"])
def test_tokens_made_under_something_else_are_refused(learn: Learn, table: np.ndarray, key: Key, other: str) -> None:
    """The header tells at once what differs; without it, no token is known."""
    codec = HashComb(learn(table), key)
    theirs = {
        "spec": lambda: HashComb(learn(table, outside="error"), key),
        "key": lambda: HashComb(codec.spec, Key.create()),
        "dataset": lambda: HashComb(codec.spec, key, dataset="b"),
        "round": lambda: HashComb(codec.spec, key, round=1),
    }[other]()
    tokens = theirs.encode(table)
    with pytest.raises(FingerprintError):
        codec.decode(tokens)
    with pytest.raises(DataError, match="not issued"):
        codec.decode(np.asarray(tokens))
    frame = theirs.encode(pd.DataFrame(table, columns=list(codec.spec.names)))
    with pytest.raises(FingerprintError):
        codec.decode(frame)


def test_a_path_whose_tokens_do_not_belong_together(learn: Learn, table: np.ndarray, key: Key) -> None:
    """A coarse token of another leaf is noticed, though the leaf itself is known."""
    codec = HashComb(learn(table, tokens="comb"), key)
    tokens = np.array(codec.encode(table))
    other = tokens[tokens[:, 0, 0] != tokens[0, 0, 0]][0, 0, 0]
    tokens[0, 0, 0] = other
    with pytest.raises(DataError, match="belong together") as caught:
        codec.decode(tokens)
    assert (caught.value.column, caught.value.row) == ("x0", 0)


BAD_TOKENS: dict[str, Callable[[Any], Any]] = {
    "floats": lambda t: t.astype(np.float64),
    "negative": lambda t: np.full(t.shape, -1),
    "too wide": lambda t: t.astype(object),
    "one column less": lambda t: t[:, :4],
    "one dimension": lambda t: t[0],
    "no rows": lambda t: t[:0],
    "column missing": lambda t: pd.DataFrame(t[:, :4], columns=["x0", "x1", "x2", "x3"]),
}


@pytest.mark.parametrize("change", BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_what_are_no_tokens_is_refused(learn: Learn, table: np.ndarray, key: Key, change: Callable[[Any], Any]) -> None:
    """Tokens that were rounded, cut or reshaped are a DataError."""
    codec = HashComb(learn(table), key)
    with pytest.raises(DataError):
        codec.decode(change(np.asarray(codec.encode(table))))


def test_signed_integers_that_hold_tokens_decode(learn: Learn, table: np.ndarray, key: Key) -> None:
    """Readers that make 32-bit tokens signed 64-bit integers lose nothing."""
    codec = HashComb(learn(table, token_bits=32), key)
    tokens = codec.encode(table)
    assert tokens.dtype == np.uint32
    assert (codec.decode(np.asarray(tokens).astype(np.int64)) == codec.decode(tokens)).all()


def test_an_error_in_the_callers_iterator_passes_through(learn: Learn, table: np.ndarray, key: Key) -> None:
    """encode_batches takes batches one at a time, and stops where the caller's source stops."""
    taken = []

    def source() -> Iterator[np.ndarray]:
        for i in range(3):
            taken.append(i)
            yield table[:10]
        raise OSError("disk")

    batches = HashComb(learn(table), key).encode_batches(source())
    next(batches)
    assert taken == [0]
    with pytest.raises(OSError, match="disk"):
        list(batches)


def test_a_codec_survives_a_trip_between_processes(learn: Learn, table: np.ndarray, key: Key) -> None:
    """What joblib sends encodes to the same tokens."""
    codec = HashComb(learn(table), key, dataset="d", round=2)
    again = pickle.loads(pickle.dumps(codec))
    assert (again.encode(table) == codec.encode(table)).all()
    assert isinstance(again.encode(table), TokenArray)
