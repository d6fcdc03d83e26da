"""HashCombEncoder is a scikit-learn transformer like any other."""

import datetime
import pickle  # noqa: TID251 what joblib does with estimators
import warnings
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from hashcomb import Categorical, HashComb, Key, RandomizedResponse, Spec, TokenArray, Uniform, place
from hashcomb.errors import DataDependentSpecWarning, DataError, FingerprintError, SpecError
from hashcomb.header import header_of
from hashcomb.integrations.sklearn import ChannelNaiveBayes, HashCombEncoder

pytestmark = pytest.mark.filterwarnings("ignore::hashcomb.errors.DataDependentSpecWarning")
Learn = Callable[..., Spec]


@pytest.fixture
def iris() -> tuple[pd.DataFrame, np.ndarray]:
    """Iris as a data frame."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    return X, y.to_numpy()


# With scikit-learn 1.9.1: 46 checks, of which the one of the array API is skipped unless its switch is set; one
# fewer where missing values are allowed. A randomized transformer skips what asks for repeatability.
CHECKS = [
    ({}, 45, 1),
    ({"output": "onehot"}, 45, 1),
    ({"output": "rank", "missing": "token"}, 44, 1),
    ({"output": "mean"}, 45, 1),
    ({"tokens": "comb", "edges": "uniform"}, 45, 1),
    ({"tokens": 2, "depth": 3, "hash": "siphash"}, 45, 1),
]


@pytest.mark.parametrize(("options", "n_passed", "n_skipped"), CHECKS, ids=[str(options) for options, *_ in CHECKS])
def test_estimator_checks(options: dict[str, Any], n_passed: int, n_skipped: int) -> None:
    """All of scikit-learn's checks pass, and as many ran as there are."""
    results = check_estimator(HashCombEncoder(**options), on_fail="raise", on_skip=None)
    statuses = [result["status"] for result in results]
    assert (statuses.count("passed"), statuses.count("skipped")) == (n_passed, n_skipped)
    assert len(statuses) == n_passed + n_skipped


def test_estimator_checks_of_a_randomized_encoder() -> None:
    """With a channel, only the checks that ask for the same output twice are excused."""
    twice = {
        "check_estimators_pickle": "transform draws fresh reports",
        "check_fit_idempotent": "transform draws fresh reports",
    }
    encoder = HashCombEncoder(channel=RandomizedResponse(2.0, depth="leaf"))
    results = check_estimator(encoder, expected_failed_checks=twice, on_fail="raise", on_skip=None)
    statuses = [result["status"] for result in results]
    assert (statuses.count("passed"), statuses.count("skipped"), statuses.count("xfail")) == (36, 5, 3)


def test_fit_warns_when_it_learns(iris: Any) -> None:
    """Learning a Spec warns; taking an agreed one does not."""
    with pytest.warns(DataDependentSpecWarning):
        spec = HashCombEncoder().fit(iris[0]).spec_
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        HashCombEncoder(spec=spec, key=Key.create()).fit(iris[0])


def test_agreed_spec_gives_the_codecs_tokens(learn: Learn, iris: Any, key: Key) -> None:
    """With an agreed Spec and Key, transform is HashComb.encode, whatever order the columns come in."""
    X, _ = iris
    spec = learn(X)
    expected = HashComb(spec, key).encode(X.to_numpy())
    encoder = HashCombEncoder(spec=spec, key=key).fit(X)
    tokens = encoder.transform(X)
    assert isinstance(tokens, TokenArray)
    assert tokens.header is not None
    assert tokens.header.fingerprint == spec.fingerprint
    assert (tokens == expected).all()
    shuffled = X[X.columns[::-1]]
    assert (HashCombEncoder(spec=spec, key=key).fit(shuffled).transform(shuffled) == expected).all()


def test_outputs(learn: Learn, iris: Any, key: Key) -> None:
    """Ranks and means are those of the leaves; one-hot has one 1 a feature, by token."""
    X, _ = iris
    spec = learn(X, depth=3, means=True)
    leaves = place(X, spec)
    assert (HashCombEncoder(spec, key, output="rank").fit(X).transform(X) == leaves / 7).all()
    means = HashCombEncoder(spec, key, output="mean").fit(X).transform(X)
    assert means[0, 0] == pytest.approx(X.iloc[leaves[:, 0] == leaves[0, 0], 0].mean())
    encoder = HashCombEncoder(spec, key, output="onehot").fit(X)
    onehot = encoder.transform(X)
    assert scipy.sparse.issparse(onehot)
    assert onehot.shape == (150, 4 * 8)
    assert (onehot.sum(axis=1) == 4).all()
    names = encoder.get_feature_names_out()
    tokens = HashComb(spec, key).encode(X.to_numpy())
    row = {f"{name}_{token:016x}" for name, token in zip(X.columns, tokens[0].tolist(), strict=True)}
    assert set(names[onehot[0].indices]) == row


def test_onehot_columns_are_in_the_order_of_tokens(learn: Learn, iris: Any) -> None:
    """The order of one-hot columns depends on the Key, not on the order of values."""
    X, _ = iris
    spec = learn(X, depth=3)
    ranks = place(X, spec)[:, 0]
    orders = set()
    for seed in range(5):
        onehot = HashCombEncoder(spec, Key(bytes([seed, *range(31)])), output="onehot").fit(X).transform(X)
        columns = onehot[:, :8].toarray().argmax(axis=1)
        orders.add(tuple(columns[np.unique(ranks, return_index=True)[1]].tolist()))
    assert len(orders) == 5


@pytest.mark.parametrize(
    "options",
    [{}, {"output": "onehot"}, {"output": "rank"}, {"tokens": "comb"}, {"output": "onehot", "tokens": "comb"}],
)
def test_inverse_transform(learn: Learn, iris: Any, key: Key, options: dict[str, Any]) -> None:
    """Every output leads back to the centers of the leaves."""
    X, _ = iris
    spec = learn(X, tokens=options.get("tokens", "leaf"))
    encoder = HashCombEncoder(spec, key, output=options.get("output", "tokens")).fit(X)
    codec = HashComb(spec, key)
    assert np.allclose(encoder.inverse_transform(encoder.transform(X)), codec.decode(codec.encode(X.to_numpy())))


def test_inverse_transform_of_somebody_elses_tokens(learn: Learn, iris: Any, key: Key) -> None:
    """Tokens of another Key are refused, with or without their header."""
    X, _ = iris
    spec = learn(X)
    theirs = HashCombEncoder(spec, Key.create()).fit(X).transform(X)
    encoder = HashCombEncoder(spec, key).fit(X)
    with pytest.raises(DataError):
        encoder.inverse_transform(np.asarray(theirs))
    assert issubclass(FingerprintError, ValueError)


def test_pandas_output_keeps_the_header_and_the_index(iris: Any) -> None:
    """What set_output makes of tokens tells where they come from, so that a learner behind it knows the channel."""
    X, y = iris
    shifted = X.set_index(X.index + 7)
    encoder = HashCombEncoder(depth=1, channel=RandomizedResponse(2.0)).set_output(transform="pandas")
    frame = encoder.fit_transform(shifted)
    assert header_of(frame) == header_of(encoder.set_output(transform="default").transform(X))
    assert frame.index.equals(shifted.index)
    model = ChannelNaiveBayes().fit(frame, y)
    assert model.laws_.randomized


def test_feature_names_and_set_output(iris: Any) -> None:
    """Names come out as they went in, and set_output gives data frames with them."""
    X, _ = iris
    frame = HashCombEncoder(tokens="comb", depth=2).set_output(transform="pandas").fit_transform(X)
    assert list(frame.columns[:2]) == ["sepal length (cm)@1", "sepal length (cm)@2"]
    assert frame.dtypes.unique().tolist() == [np.dtype(np.uint64)]
    assert (frame.index == X.index).all()
    polars = HashCombEncoder().set_output(transform="polars").fit_transform(X)
    assert polars.columns == list(X.columns)


def test_clone_pickle_and_joblib(iris: Any, key: Key, tmp_path: Any) -> None:
    """Clones, pickles and joblib's files give the same tokens; with no Key given, the process's own goes along."""
    X, _ = iris
    for encoder in (HashCombEncoder(key=key), HashCombEncoder()):
        tokens = encoder.fit_transform(X)
        assert (clone(encoder).fit_transform(X) == tokens).all()
        assert (pickle.loads(pickle.dumps(encoder)).transform(X) == tokens).all()
        joblib.dump(encoder, tmp_path / "encoder.joblib")
        assert (joblib.load(tmp_path / "encoder.joblib").transform(X) == tokens).all()


def test_repr_shows_no_key(iris: Any, key: Key) -> None:
    """Printing an encoder or a pipeline shows the id of the Key at most."""
    pipeline = make_pipeline(HashCombEncoder(key=key), StandardScaler()).fit(iris[0])
    for text in (repr(pipeline), str(pipeline.get_params()), pipeline._repr_html_()):
        assert bytes(range(32)).hex()[:12] not in text
        assert repr(bytes(range(32)))[2:20] not in text


def test_pipeline_grid_search_and_parallel_jobs(iris: Any) -> None:
    """A grid over depths runs in two processes, and tokens are as good as raw columns."""
    X, y = iris
    pipeline = make_pipeline(HashCombEncoder(output="onehot"), LogisticRegression(max_iter=1000))
    grid = {"hashcombencoder__depth": [2, 3]}
    search = GridSearchCV(pipeline, grid, n_jobs=2, cv=3, error_score="raise").fit(X, y)
    raw = cross_val_score(make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)), X, y, cv=3).mean()
    assert search.best_score_ > raw - 0.03


def test_accuracy_is_preserved_for_a_trainer_without_the_key() -> None:
    """On breast_cancer, one-hot tokens of an agreed comb are within three points of raw columns."""
    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    encoder = HashCombEncoder(depth=3).fit(X_train)
    learner = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression(max_iter=1000))
    learner.fit(encoder.transform(X_train), y_train)
    raw = make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train).score(X_test, y_test)
    assert learner.score(encoder.transform(X_test), y_test) > raw - 0.03


def test_column_transformer_with_categories() -> None:
    """Numbers and categories are encoded side by side, and each by itself in a ColumnTransformer."""
    frame = pd.DataFrame({"age": [20.0, 30.0, 40.0, 50.0], "color": ["r", "g", "r", None]})
    both = HashCombEncoder(depth=2, categorical=["color"], missing="token").fit(frame)
    tokens = both.transform(frame)
    assert tokens.shape == (4, 2)
    assert tokens[0, 1] == tokens[2, 1] != tokens[1, 1]
    assert both.inverse_transform(tokens)[:, 1].tolist() == ["r", "g", "r", None]
    apart = ColumnTransformer(
        [
            ("numbers", HashCombEncoder(depth=2, output="rank"), ["age"]),
            ("text", HashCombEncoder(depth=2, categorical=["color"], missing="token", output="onehot"), ["color"]),
        ]
    )
    assert apart.fit_transform(frame).shape == (4, 1 + 3)


def test_train_test_split_keeps_the_header(iris: Any) -> None:
    """What scikit-learn slices still says where it comes from."""
    tokens = HashCombEncoder().fit_transform(iris[0])
    part, _ = train_test_split(tokens, random_state=0)
    assert part.header == tokens.header


BAD: list[tuple[dict[str, Any], Any, type[Exception], str]] = [
    ({}, [[0.0, np.nan], [1.0, 2.0]], DataError, "x1"),
    ({}, [[0.0, 1.0], [np.inf, 2.0]], DataError, "x0"),
    ({"missing": "token"}, [[0.0, 1.0], [np.inf, 2.0]], DataError, "x0"),
    ({"output": "leaves"}, [[0.0, 1.0], [1.0, 2.0]], SpecError, "output"),
    ({"depth": 21}, [[0.0, 1.0], [1.0, 2.0]], SpecError, "depth"),
    ({}, [["SECRET", 1.0], ["b", 2.0]], DataError, "column 'x0', row 0"),
    ({}, pd.DataFrame({"a": [1.0], "b": ["SECRET"]}), DataError, "column 'b', row 0"),
    ({}, pl.DataFrame({"a": [1.0], "b": ["SECRET"]}), DataError, "column 'b', row 0"),
    ({}, pd.DataFrame({"a": pd.to_datetime(["2020-01-01", "2020-01-02"])}), DataError, "column 'a'"),
    ({}, np.array([["2020-01-01"]], dtype="datetime64[s]"), DataError, "dates"),
    (
        {"output": "rank", "channel": RandomizedResponse(1.0, depth="leaf")},
        [[0.0, 1.0], [1.0, 2.0]],
        SpecError,
        "channel",
    ),
    (
        {"output": "mean", "channel": RandomizedResponse(1.0, depth="leaf")},
        [[0.0, 1.0], [1.0, 2.0]],
        SpecError,
        "channel",
    ),
    ({"categorical": ["c"]}, pd.DataFrame({"a": [1.0, np.inf], "c": ["x", "y"]}), DataError, "column 'a', row 1"),
]


@pytest.mark.parametrize(("options", "rows", "error", "says"), BAD, ids=range(len(BAD)))
def test_bad_input(options: dict[str, Any], rows: Any, error: type[Exception], says: str) -> None:
    """Bad parameters and data are typed errors that name the column."""
    with pytest.raises(error, match=says):
        HashCombEncoder(**options).fit(rows)


def test_bad_columns_of_an_agreed_spec(learn: Learn, iris: Any, key: Key) -> None:
    """A frame with other columns than the agreed ones is refused at fit, by name."""
    X, _ = iris
    encoder = HashCombEncoder(learn(X), key)
    with pytest.raises(DataError, match="is missing"):
        encoder.fit(X.rename(columns={"petal width (cm)": "width"}))
    with pytest.raises(DataError, match="not in the Spec"):
        encoder.fit(X.assign(extra=1.0))


@pytest.mark.parametrize("output", ["tokens", "rank", "onehot"])
def test_dates_of_an_agreed_spec(key: Key, output: Any) -> None:
    """A Spec that states origins takes dates, and gives them back; a column without one still refuses them."""
    features = (Uniform(name="day", lo=0.0, hi=16.0, origin="2000-01-01"), Uniform(name="x", lo=0.0, hi=1.0))
    spec = Spec(features=features, depth=4, missing="token")
    rows = pd.DataFrame({"x": [0.1, 0.9], "day": pd.to_datetime(["2000-01-03", None])})
    encoder = HashCombEncoder(spec, key, output=output).fit(rows)
    back = encoder.inverse_transform(encoder.transform(rows))
    assert back[:, 0].tolist() == [datetime.date(2000, 1, 3), None]
    if output == "tokens":
        assert (encoder.transform(rows) == HashComb(spec, key).encode(rows).to_numpy()).all()
    with pytest.raises(DataError, match="column 'x'"):
        HashCombEncoder(spec, key).fit(rows.assign(x=rows["day"]))


MIXED = pd.DataFrame({"grp": [1, 2, 1, 3], "a": [0.1, 0.5, 0.9, 0.3]})


def test_columns_of_a_spec_with_categories_are_found_by_name(key: Key) -> None:
    """As for numbers alone: in any order, from frames and arrays, and other columns are refused."""
    spec = Spec(features=(Uniform(name="a", lo=0.0, hi=1.0), Categorical(name="grp", categories=(1, 2, 3))), depth=3)
    encoder = HashCombEncoder(spec, key).fit(MIXED)
    expected = np.asarray(HashComb(spec, key).encode(MIXED))
    assert (encoder.transform(MIXED) == expected).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn: an array has no names
        assert (encoder.transform(MIXED.to_numpy()) == expected).all()
    with pytest.raises(DataError, match="not in the Spec"):
        HashCombEncoder(spec, key).fit(MIXED.assign(z=1))
    with pytest.raises(DataError, match="is missing"):
        HashCombEncoder(spec, key).fit(MIXED.drop(columns="a"))


@pytest.mark.parametrize("output", ["tokens", "rank", "mean", "onehot"])
def test_categories_come_back_from_every_output(output: Any) -> None:
    """What is decoded is the category, beside a number of the same leaf; rows may be a list of lists."""
    rows = [["x", 0.1], ["y", 0.5], ["x", 0.9], ["z", 0.3]]
    encoder = HashCombEncoder(output=output, categorical=["x0"], depth=3).fit(rows)
    back = encoder.inverse_transform(encoder.transform(rows))
    assert back[:, 0].tolist() == ["x", "y", "x", "z"]
    assert (place(back, encoder.spec_) == place(rows, encoder.spec_)).all()


def test_what_transform_does_not_give_is_not_inverted(iris: Any) -> None:
    """Rows of zeros, two entries for a feature, wrong widths and ranks above 1 are refused."""
    X, _ = iris
    onehot = HashCombEncoder(output="onehot").fit(X)
    good = onehot.transform(X[:3]).toarray()
    twice = good.copy()
    twice[0, :32] = 0.0
    twice[0, :2] = 1.0
    for bad in (np.zeros_like(good), good[:, 1:], twice, 0.5 * good):
        with pytest.raises(DataError):
            onehot.inverse_transform(bad)
    ranks = HashCombEncoder(output="rank").fit(X)
    for bad in (np.full((1, 4), 1.2), np.zeros((2, 3)), np.full((1, 4), -0.5)):
        with pytest.raises(DataError):
            ranks.inverse_transform(bad)


def test_another_number_of_columns_is_refused_with_categories(key: Key) -> None:
    """Arrays have no names to tell columns by: surplus, lacking and flat ones are refused."""
    spec = Spec(features=(Uniform(name="a", lo=0.0, hi=1.0), Categorical(name="c", categories=(1, 2))), depth=2)
    for shape in ((4, 3), (4, 1), (4,)):
        with pytest.raises(DataError):
            HashCombEncoder(spec, key).fit(np.ones(shape))
