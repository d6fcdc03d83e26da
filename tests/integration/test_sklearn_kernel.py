"""CombKernel: support vector machines and nearest neighbors on token paths."""

import pickle  # noqa: TID251 what joblib does with estimators
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import check_estimator

from hashcomb import HashComb, Key, RandomizedResponse, Spec
from hashcomb.distance import comb_distance, comb_kernel
from hashcomb.errors import DataError, FingerprintError, SpecError
from hashcomb.integrations.sklearn import CombKernel, TokenOneHot

pytestmark = pytest.mark.filterwarnings("ignore::hashcomb.errors.DataDependentSpecWarning")
Learn = Callable[..., Spec]
Rows = tuple[Any, Any, Any, Any]


@pytest.fixture
def cancer(learn: Learn, key: Key) -> Rows:
    """Paths of breast_cancer at depth 4, of rows to learn from and rows to test on, and their labels."""
    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    codec = HashComb(learn(X_train, depth=4, tokens="comb"), key)
    return codec.encode(X_train), codec.encode(X_test), y_train, y_test


# With scikit-learn 1.9.1: 47 checks, of which the one of the array API is skipped unless its switch is set.
@pytest.mark.parametrize("options", [{}, {"gamma": 3.0}, {"output": "distance"}], ids=str)
def test_estimator_checks(options: dict[str, Any]) -> None:
    """All of scikit-learn's checks pass, and as many ran as there are."""
    results = check_estimator(CombKernel(**options), on_fail="raise", on_skip=None)
    statuses = [result["status"] for result in results]
    assert (statuses.count("passed"), statuses.count("skipped"), len(statuses)) == (46, 1, 47)


def test_transform_is_the_function_of_the_core(cancer: Rows) -> None:
    """Rows are compared with those of fit: the kernel, or the distance, with gamma and weights."""
    train, test, _, _ = cancer
    weights = (1.0, 2.0, 3.0, 4.0)
    kernel = CombKernel(gamma=2.0, weights=weights).fit(train)
    assert (kernel.transform(test) == comb_kernel(test, train, gamma=2.0, weights=weights)).all()
    distance = CombKernel(output="distance").fit(train)
    assert (distance.transform(test) == comb_distance(test, train)).all()
    flat = np.asarray(train).reshape(len(train), -1)
    assert (CombKernel(depth=4).fit_transform(flat) == comb_kernel(train)).all()
    assert kernel.get_feature_names_out()[1] == "combkernel1"


def test_support_vector_machine(cancer: Rows) -> None:
    """In a pipeline, as a callable kernel, and in a grid search over gamma: as good as on raw columns."""
    train, test, y_train, y_test = cancer
    pipeline = make_pipeline(CombKernel(), SVC(kernel="precomputed")).fit(train, y_train)
    called = SVC(kernel=comb_kernel).fit(train, y_train)
    assert (pipeline.predict(test) == called.predict(test)).all()
    search = GridSearchCV(pipeline, {"combkernel__gamma": [None, 3.0, 10.0]}, cv=3, error_score="raise")
    raw = make_pipeline(StandardScaler(), SVC())
    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_test, _, _ = train_test_split(X, y, random_state=0)
    raw_score = raw.fit(X_train, y_train).score(X_test, y_test)
    assert search.fit(train, y_train).score(test, y_test) > raw_score - 0.03


def test_linear_kernel_is_that_of_one_hot_columns(cancer: Rows) -> None:
    """Without gamma, the machine is the linear one on the one-hot columns of all levels."""
    train, test, y_train, _ = cancer
    ours = make_pipeline(CombKernel(), SVC(kernel="precomputed")).fit(train, y_train)
    theirs = make_pipeline(TokenOneHot(), SVC(kernel="linear", C=1 / (30 * 4))).fit(train, y_train)
    difference = ours.decision_function(test) - theirs.decision_function(test)
    assert np.abs(difference).max() < 0.01


def test_nearest_neighbors(cancer: Rows) -> None:
    """With distances, neighbors are those of brute force, and as good as on raw columns."""
    train, test, y_train, y_test = cancer
    model = make_pipeline(CombKernel(output="distance"), KNeighborsClassifier(5, metric="precomputed"))
    model.fit(train, y_train)
    nearest = model[-1].kneighbors(model[0].transform(test), return_distance=False)
    distances = comb_distance(test, train)
    assert np.allclose(np.take_along_axis(distances, nearest, axis=1), np.sort(distances, axis=1)[:, :5])
    assert model.score(test, y_test) > 0.93
    assert cross_val_score(model, train, y_train, cv=3, error_score="raise").mean() > 0.9


def test_randomized_paths(learn: Learn, key: Key) -> None:
    """Reports are compared like values, and the kernel of reports is positive semi-definite too."""
    X, y = load_breast_cancer(return_X_y=True)
    spec = learn(X, depth=2, tokens="comb", channel=RandomizedResponse(3.0, depth="leaf"))
    reports = HashComb(spec, key).encode(X)
    gram = CombKernel(gamma=5.0).fit_transform(reports)
    assert np.linalg.eigvalsh(gram).min() > -1e-9
    model = make_pipeline(CombKernel(gamma=5.0), SVC(kernel="precomputed"))
    assert cross_val_score(model, reports, y, cv=3, error_score="raise").mean() > 0.85


def test_pickled_model_predicts_the_same(cancer: Rows) -> None:
    """A pickle of a pipeline holds the rows it compares with."""
    train, test, y_train, _ = cancer
    model = make_pipeline(CombKernel(gamma=4.0), SVC(kernel="precomputed")).fit(train, y_train)
    assert (pickle.loads(pickle.dumps(model)).predict(test) == model.predict(test)).all()


BAD: list[dict[str, Any]] = [{"output": "gram"}, {"gamma": -1.0}, {"weights": [1.0]}, {"depth": 3}]


@pytest.mark.parametrize("options", BAD, ids=str)
def test_bad_parameters(cancer: Rows, options: dict[str, Any]) -> None:
    """A parameter that cannot be is a SpecError with its name, at fit."""
    with pytest.raises(SpecError, match=next(iter(options))):
        CombKernel(**options).fit(cancer[0])


def test_tokens_that_do_not_fit(cancer: Rows, learn: Learn) -> None:
    """Other columns, and tokens of another Key, are typed errors."""
    train, test, _, _ = cancer
    kernel = CombKernel().fit(train)
    with pytest.raises(DataError, match="expecting 120 features"):
        kernel.transform(test[:, :4])
    X, _ = load_breast_cancer(return_X_y=True)
    with pytest.raises(FingerprintError, match="another"):
        kernel.transform(HashComb(learn(X, depth=4, tokens="comb"), Key.create()).encode(X))
