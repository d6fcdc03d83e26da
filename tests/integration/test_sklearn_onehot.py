"""TokenOneHot: one-hot columns of tokens for whoever has no Key, and how estimators read tokens."""

import pickle  # noqa: TID251 what joblib does with estimators
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from hashcomb import HashComb, Key, Spec, TokenHeader
from hashcomb.errors import DataError, FingerprintError, SpecError
from hashcomb.header import stamp
from hashcomb.integrations.sklearn import HashCombEncoder, TokenOneHot
from hashcomb.integrations.sklearn.lookup import TokenLookup

pytestmark = pytest.mark.filterwarnings("ignore::hashcomb.errors.DataDependentSpecWarning")
Learn = Callable[..., Spec]


@pytest.fixture
def encode(learn: Learn, table: np.ndarray, key: Key) -> Callable[..., Any]:
    """Return a function that encodes the table under a Spec with the options given."""

    def run(**options: Any) -> Any:
        return HashComb(learn(table, depth=options.pop("depth", 3), **options), key).encode(table)

    return run


# With scikit-learn 1.9.1: 46 checks, of which the one of the array API is skipped unless its switch is set.
CHECKS = [
    {},
    {"sparse_output": False, "dtype": np.float32},
    {"handle_unknown": "infrequent_if_exist", "min_frequency": 2},
]


@pytest.mark.parametrize("options", CHECKS, ids=range(len(CHECKS)))
def test_estimator_checks(options: dict[str, Any]) -> None:
    """All of scikit-learn's checks pass, and as many ran as there are."""
    results = check_estimator(TokenOneHot(**options), on_fail="raise", on_skip=None)
    statuses = [result["status"] for result in results]
    assert (statuses.count("passed"), statuses.count("skipped"), len(statuses)) == (45, 1, 46)


# ---------------------------------------------------------------------- columns
@pytest.mark.parametrize("rules", [{}, {"min_frequency": 40}, {"min_frequency": 0.2}])
@pytest.mark.parametrize("handle_unknown", ["ignore", "infrequent_if_exist"])
def test_columns_are_those_of_scikit_learns_encoder(
    encode: Callable[..., Any], rules: dict[str, Any], handle_unknown: Any
) -> None:
    """On leaf tokens, with unseen and infrequent ones, the matrix is that of OneHotEncoder."""
    tokens = encode()
    train, test = tokens[:60], tokens[60:]
    theirs = OneHotEncoder(handle_unknown=handle_unknown, **rules).fit(np.asarray(train))
    ours = TokenOneHot(handle_unknown=handle_unknown, **rules).fit(train)
    for part in (train, test):
        found, expected = ours.transform(part), theirs.transform(np.asarray(part))
        assert found.shape == expected.shape
        assert (found != expected).nnz == 0
        assert found.has_sorted_indices
    assert len(ours.get_feature_names_out()) == expected.shape[1]


def test_levels(encode: Callable[..., Any]) -> None:
    """All levels, the leaf, or some: columns are those of the token columns of these levels."""
    tokens = encode(tokens="comb")
    levels: Any
    for levels, chosen in (("all", [0, 1, 2]), ("leaf", [2]), ((1, 3), [0, 2]), ([2], [1])):
        flat = np.ascontiguousarray(np.asarray(tokens)[:, :, chosen].reshape(len(tokens), -1))
        expected = TokenOneHot().fit_transform(flat)
        onehot = TokenOneHot(levels=levels).fit(tokens)
        assert (onehot.transform(tokens) != expected).nnz == 0
        assert (onehot.inverse_transform(expected) == flat).all()


def test_paths_in_every_shape_give_the_same(encode: Callable[..., Any]) -> None:
    """Three dimensions, a flat TokenArray, a plain flat array with `depth`, and data frames are one table."""
    tokens = encode(tokens="comb")
    flat = tokens.reshape(len(tokens), -1)
    frame = pd.DataFrame(np.asarray(flat), columns=list(tokens.header.columns))
    frame.attrs["hashcomb"] = tokens.header.to_json()
    arrow = pa.table({name: frame[name].to_numpy() for name in frame}).replace_schema_metadata(frame.attrs)
    expected = TokenOneHot(levels="leaf").fit_transform(tokens)
    for one in (flat, frame, arrow):
        assert (TokenOneHot(levels="leaf").fit_transform(one) != expected).nnz == 0
    for one in (np.asarray(flat), pl.from_pandas(frame)):
        assert (TokenOneHot(levels="leaf", depth=3).fit_transform(one) != expected).nnz == 0


def test_part_of_the_columns(encode: Callable[..., Any]) -> None:
    """Some levels of an array, some features, or columns of a frame by name: paths are what stands there whole."""
    tokens = encode(tokens="comb")
    assert TokenOneHot().fit(tokens[:, :, -1]).n_levels_ == 1
    assert TokenOneHot().fit(tokens[:, :, :2]).n_levels_ == 2
    assert TokenOneHot().fit(tokens[:, :2]).n_levels_ == 3
    assert TokenOneHot().fit(tokens[:, :2]).get_feature_names_out()[0].startswith("x0_")
    frame = pd.DataFrame(np.asarray(tokens).reshape(len(tokens), -1), columns=list(tokens.header.columns))
    frame.attrs["hashcomb"] = tokens.header.to_json()
    for columns, n_levels in (
        (["x1@1", "x1@2", "x1@3", "x0@1", "x0@2", "x0@3"], 3),
        (["x0@1", "x0@2"], 1),
        (["x0@1", "x1@2", "x2@3"], 1),
        (["x0@3", "x1@3", "x2@3"], 1),
        (["x0@3", "x0@2", "x0@1"], 1),
    ):
        assert TokenOneHot().fit(frame[columns]).n_levels_ == n_levels


def test_unseen_tokens_are_an_error_that_names_the_place(encode: Callable[..., Any]) -> None:
    """With handle_unknown="error", the column by its name in the header, and the row; never the token."""
    tokens = encode().copy()
    onehot = TokenOneHot(handle_unknown="error").fit(tokens)
    tokens[7, 2] = 12345678901
    with pytest.raises(DataError, match=r"column 'x2', row 7") as caught:
        onehot.transform(tokens)
    assert "12345678901" not in str(caught.value)
    assert TokenOneHot().fit(tokens[:5]).transform(tokens[7:8]).nnz < 5


def test_names(encode: Callable[..., Any], table: np.ndarray, learn: Learn, key: Key) -> None:
    """Columns are named after the frame's columns, the header's or x0, x1, ..., and the token, as the encoder does."""
    tokens = encode()
    names = TokenOneHot().fit(tokens).get_feature_names_out()
    assert names[0] == f"x0_{np.unique(tokens[:, 0])[0]:016x}"
    frame = pd.DataFrame(table, columns=list("abcde"))
    encoder = HashCombEncoder(learn(frame, depth=3), key, output="onehot").fit(frame)
    theirs = encoder.get_feature_names_out()
    ours = TokenOneHot().fit(HashComb(encoder.spec_, key).encode(frame)).get_feature_names_out()
    assert set(ours) <= set(theirs)
    rare = TokenOneHot(min_frequency=0.2).fit(np.asarray(tokens)).get_feature_names_out()
    assert "x3_infrequent" in rare


def test_inverse_of_what_is_no_row_of_tokens(encode: Callable[..., Any]) -> None:
    """Rows with too few entries, with two for a column, or of infrequent tokens stand for no tokens."""
    tokens = encode()
    onehot = TokenOneHot().fit(tokens)
    good = onehot.transform(tokens[:3]).toarray()
    assert (onehot.inverse_transform(good) == tokens[:3]).all()
    none, twice = good.copy(), good.copy()
    none[0, :] = 0
    twice[0, :] = 0
    twice[0, :5] = 1
    for bad in (none, twice, good[:, 1:]):
        with pytest.raises(DataError):
            onehot.inverse_transform(bad)
    rare = TokenOneHot(min_frequency=400).fit(tokens)
    with pytest.raises(DataError, match="infrequent"):
        rare.inverse_transform(rare.transform(tokens))


def test_look_up_finds_any_numbers() -> None:
    """Also numbers whose low bits are all the same, and which a table by low bits would put into one slot."""
    rng = np.random.default_rng(0)
    for known in (
        rng.integers(0, 2**64, 300, dtype=np.uint64),
        np.arange(500, dtype=np.uint64) << np.uint64(40),
        np.arange(500, dtype=np.uint64) * np.uint64(2**32 + 1),
        np.array([0, 2**64 - 1], dtype=np.uint64),
    ):
        numbers = rng.permutation(len(known))
        lookup = TokenLookup([known, known[:1]], [numbers, np.array([7])])
        asked = np.stack([known, np.resize(known[:2], len(known))], axis=1)
        found = lookup.find(asked)
        assert (found[:, 0] == numbers).all()
        assert found[:2, 1].tolist() == [7, -1]
        assert (lookup.find(asked + np.uint64(1 << 33) + np.uint64(3))[:, 1] == -1).all()


# ---------------------------------------------------------------------- reading tokens
def test_no_bit_is_lost() -> None:
    """Tokens that differ in the last of 64 bits are told apart in frames of mixed integers and as signed numbers."""
    column = np.array([2**63 + 1, 2**63 + 2, 2**63 + 1], dtype=np.uint64)
    frames = [
        pd.DataFrame({"a": column, "b": np.array([1, 2, 1], dtype=np.int64)}),
        pl.DataFrame({"a": column, "b": np.array([1, 2, 1], dtype=np.int8)}),
    ]
    for frame in frames:
        assert TokenOneHot().fit_transform(frame).toarray()[:, :2].tolist() == [[1, 0], [0, 1], [1, 0]]
    onehot = TokenOneHot().fit(column[:, None])
    assert (onehot.transform(column.view(np.int64)[:, None]).toarray().sum(axis=1) == 1).all()
    for lost in (column.astype(np.float64)[:, None], pd.DataFrame({"x0": column.astype(np.float64)})):
        with pytest.raises(DataError, match="lost bits"):
            TokenOneHot().fit(lost)


def test_small_tokens_may_be_floats() -> None:
    """Whole numbers below 2**53 are the same tokens as integers, as where a reader of CSV has made floats."""
    onehot = TokenOneHot().fit(np.array([[3], [5]]))
    assert onehot.transform(np.array([[5.0], [3.0]])).toarray().tolist() == [[0, 1], [1, 0]]


OTHERS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"dataset": "other"}, "data set"),
    ({}, {"round": 1}, "round"),
    ({"hash": "siphash"}, {}, "Spec"),
]


@pytest.mark.parametrize(("options", "salt", "what"), OTHERS, ids=range(len(OTHERS)))
def test_tokens_from_elsewhere_are_refused(
    table: np.ndarray, learn: Learn, key: Key, options: dict[str, Any], salt: dict[str, Any], what: str
) -> None:
    """What was made under another Spec, Key, data set or round than the tokens of fit is a FingerprintError."""
    onehot = TokenOneHot().fit(HashComb(learn(table), key).encode(table))
    with pytest.raises(FingerprintError, match=f"another {what}"):
        onehot.transform(HashComb(learn(table, **options), key, **salt).encode(table))
    with pytest.raises(FingerprintError, match="another Key"):
        onehot.transform(HashComb(learn(table), Key.create()).encode(table))
    onehot.transform(np.asarray(HashComb(learn(table, **options), key, **salt).encode(table)))  # nothing is known


NO_TOKENS: list[tuple[Any, str]] = [
    (scipy.sparse.csr_matrix(np.eye(3)), "sparse"),
    (np.array([[1.0, np.nan]]), "missing"),
    (pd.DataFrame({"a": [1, 2], "b": [1.0, np.nan]}), "column 'b'"),
    (pl.DataFrame({"a": [1, None]}), "column 'a', row 1"),
    (pd.DataFrame({"a": ["SECRET", "x"]}), "column 'a'"),
    ([["SECRET"], ["x"]], "row 0"),
    (pd.DataFrame({"a": pd.to_datetime(["2020-01-01"])}), "column 'a'"),
    (np.zeros((2, 2, 2, 2), dtype=int), "shape"),
    (pd.DataFrame({"a": []}), "rows"),
]


@pytest.mark.parametrize(("rows", "says"), NO_TOKENS, ids=range(len(NO_TOKENS)))
def test_what_holds_no_tokens(rows: Any, says: str) -> None:
    """Sparse matrices, missing values, text and dates are typed errors that show no value."""
    with pytest.raises(DataError, match=says) as caught:
        TokenOneHot().fit(rows)
    assert "SECRET" not in str(caught.value)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"levels": "coarse"}, "levels"),
    ({"levels": (0, 1)}, "levels"),
    ({"levels": ()}, "levels"),
    ({"handle_unknown": "warn"}, "handle_unknown"),
    ({"min_frequency": 0}, "min_frequency"),
    ({"depth": 2}, "depth"),
]


@pytest.mark.parametrize(("options", "path"), BAD, ids=range(len(BAD)))
def test_bad_parameters(options: dict[str, Any], path: str) -> None:
    """A parameter that cannot be is a SpecError with its name."""
    with pytest.raises(SpecError, match=path):
        TokenOneHot(**options).fit(np.zeros((2, 2, 3), dtype=np.uint64))


def test_other_columns_than_in_fit(encode: Callable[..., Any]) -> None:
    """Fewer columns, or columns of other names, are refused in scikit-learn's words."""
    tokens = encode()
    with pytest.raises(DataError, match="expecting 5 features"):
        TokenOneHot().fit(tokens).transform(tokens[:, :4])
    frame = pd.DataFrame(np.asarray(tokens), columns=list("abcde"))
    with pytest.raises(DataError, match="feature names should match"):
        TokenOneHot().fit(frame).transform(frame.rename(columns={"a": "z"}))


def test_a_column_kept_beside_tokens_is_refused(table: np.ndarray, learn: Learn, key: Key) -> None:
    """A label that was kept in the clear must not become a column to learn from; columns under new names may."""
    rows = pd.DataFrame(table, columns=list("abcde"))
    tokens = HashComb(learn(rows), key).encode(rows)
    with pytest.raises(DataError) as caught:
        TokenOneHot().fit(tokens.assign(label=1))
    assert caught.value.column == "label"
    TokenOneHot().fit(tokens.add_prefix("tokens__"))


# ---------------------------------------------------------------------- in pipelines
def test_pipeline_of_a_trainer_without_the_key(learn: Learn, key: Key) -> None:
    """On breast_cancer, one-hot tokens at depth 4 are within a point and a half of raw columns, in a grid search."""
    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    codec = HashComb(learn(X_train, depth=4, tokens="comb"), key)
    model = make_pipeline(TokenOneHot(), LogisticRegression(max_iter=1000))
    grid = {"tokenonehot__levels": ["all", "leaf"], "logisticregression__C": [0.1, 1.0]}
    search = GridSearchCV(model, grid, cv=3, error_score="raise").fit(codec.encode(X_train), y_train)
    raw = make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train).score(X_test, y_test)
    assert search.score(codec.encode(X_test), y_test) > raw - 0.015


def test_column_transformer_and_set_output(encode: Callable[..., Any]) -> None:
    """Token columns of a frame stand beside others, and come out as a data frame with names."""
    frame = pd.DataFrame(np.asarray(encode()), columns=list("abcde")).assign(age=1.5)
    both = ColumnTransformer(
        [("tokens", TokenOneHot(sparse_output=False), ["a", "b"]), ("age", StandardScaler(), ["age"])]
    ).set_output(transform="pandas")
    out = both.fit_transform(frame)
    assert out.columns[0].startswith("tokens__a_")
    assert out.columns[-1] == "age__age"
    assert (out.iloc[:, :-1].sum(axis=1) == 2).all()


def test_pickles_and_clones(encode: Callable[..., Any]) -> None:
    """A pickle keeps the columns and the header; a clone has the parameters only."""
    tokens = encode()
    onehot = TokenOneHot(min_frequency=3).fit(tokens)
    again = pickle.loads(pickle.dumps(onehot))
    assert (again.transform(tokens) != onehot.transform(tokens)).nnz == 0
    assert isinstance(again.header_, TokenHeader)
    assert not hasattr(clone(onehot), "tokens_")


def test_tokens_of_32_bits_and_of_reports(learn: Learn, table: np.ndarray, key: Key) -> None:
    """32-bit tokens and randomized ones are taken like others, and their header is kept."""
    from hashcomb import RandomizedResponse

    spec = learn(table, depth=2, token_bits=32, channel=RandomizedResponse(1.0, depth="leaf"))
    tokens = HashComb(spec, key).encode(table)
    onehot = TokenOneHot().fit(tokens)
    assert (onehot.transform(tokens).sum(axis=1) == 5).all()
    assert onehot.header_ is not None
    assert onehot.header_.channel is not None
    assert (onehot.inverse_transform(onehot.transform(tokens)) == tokens).all()
    assert (onehot.transform(stamp(np.asarray(tokens), None)) != onehot.transform(tokens)).nnz == 0
