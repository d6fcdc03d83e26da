"""TokenProfiles and TokenLogOdds: numbers for tokens, from the other tokens of their rows and from labels."""

import math
import pickle  # noqa: TID251 what joblib does with estimators
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from hashcomb import HashComb, Key, RandomizedResponse, Spec
from hashcomb.channels import Channel, SquareWave
from hashcomb.errors import DataError, FingerprintError, SpecError
from hashcomb.integrations.sklearn import HashCombEncoder, TokenLogOdds, TokenProfiles
from hashcomb.integrations.sklearn import profiles as module
from hashcomb.placing import place

pytestmark = pytest.mark.filterwarnings("ignore::hashcomb.errors.InsecureRandomWarning")
Encode = Callable[..., Any]
Learn = Callable[..., Spec]
Transformer = type[TokenProfiles] | type[TokenLogOdds]
each = pytest.mark.parametrize("transformer", [TokenProfiles, TokenLogOdds])


@pytest.fixture
def encode(learn: Learn, key: Key) -> Encode:
    """Return a function that encodes rows at depth 3 under a Spec of their own."""

    def run(X: Any, seed: int | None = None, **options: Any) -> Any:
        codec = HashComb(learn(X, **{"depth": 3, **options}), key)
        return codec.encode(X) if seed is None else codec.encode(X, seed=seed)

    return run


def tied(n_rows: int, n_columns: int = 3) -> NDArray[np.float64]:
    """Return rows whose columns depend on each other."""
    rng = np.random.default_rng(5)
    return rng.normal(size=(n_rows, 1)) + 0.5 * rng.normal(size=(n_rows, n_columns))


def likeness(numbers: NDArray[Any], leaves: NDArray[Any]) -> list[float]:
    """Return, for each column, how well numbers follow the order of leaves, in whichever direction."""
    return [abs(spearmanr(numbers[:, j], leaves[:, j]).statistic) for j in range(leaves.shape[1])]


# With scikit-learn 1.9.1: 47 checks, one more where labels are needed; that of the array API needs its switch.
CHECKS = [(TokenProfiles(), 46), (TokenProfiles(1), 46), (TokenLogOdds(), 47)]


@pytest.mark.parametrize(("transformer", "n_passed"), CHECKS, ids=range(len(CHECKS)))
def test_estimator_checks(transformer: Any, n_passed: int) -> None:
    """All of scikit-learn's checks pass, and as many ran as there are."""
    results = check_estimator(transformer, on_fail="raise", on_skip=None)
    statuses = [result["status"] for result in results]
    assert (statuses.count("passed"), statuses.count("skipped"), len(statuses)) == (n_passed, 1, n_passed + 1)


# ---------------------------------------------------------------------- profiles
def test_profiles_find_the_order_of_leaves(learn: Learn, key: Key) -> None:
    """Where features depend on each other, the first number of a token follows its leaf; where not, it does not."""
    free = np.random.default_rng(6).normal(size=(4000, 12))
    for X, low, high in ((tied(4000), 0.95, 1.0), (free, 0.0, 0.5)):
        spec = learn(X, depth=3)
        numbers = TokenProfiles(1).fit_transform(HashComb(spec, key).encode(X))
        assert low <= np.mean(likeness(numbers, place(X, spec))) <= high


@pytest.mark.parametrize("cells", [1, 100, 1 << 24])
def test_profiles_are_a_correspondence_analysis(encode: Encode, monkeypatch: pytest.MonkeyPatch, cells: int) -> None:
    """Numbers are, up to direction, those of singular vectors of the counted table, in however many parts it is."""
    monkeypatch.setattr(module, "_CELLS", cells)
    tokens = np.asarray(encode(tied(300, 4)))
    found = TokenProfiles(2).fit_transform(tokens).reshape(300, 4, 2)
    for column in range(4):
        others = [tokens[:, other, None] == np.unique(tokens[:, other]) for other in range(4) if other != column]
        own = (tokens[:, column, None] == np.unique(tokens[:, column])).astype(float)
        table = own.T @ np.concatenate(others, axis=1)
        shares = table / table.sum()
        rows, columns = shares.sum(axis=1), shares.sum(axis=0)
        left, sizes, _ = np.linalg.svd((shares - np.outer(rows, columns)) / np.sqrt(np.outer(rows, columns)))
        wanted = own @ (left / np.sqrt(rows)[:, None])[:, :2] * sizes[:2] / sizes[0]
        for number in range(2):
            sign = np.sign(wanted[:, number] @ found[:, column, number])
            assert np.allclose(sign * wanted[:, number], found[:, column, number])


def test_the_first_number_has_variance_one_and_later_ones_less(encode: Encode) -> None:
    """Numbers of a column have mean 0; their variances fall from 1, so that a penalty binds the later ones more."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(500, 1)) + rng.normal(size=(500, 3))
    numbers = TokenProfiles(3).fit_transform(encode(X)).reshape(500, 3, 3)
    variances = numbers.var(axis=0)
    assert np.abs(numbers.mean(axis=0)).max() < 1e-9
    assert np.allclose(variances[:, 0], 1)
    assert (np.diff(variances, axis=1) < 0).all()


def test_columns_without_anything_to_tell_get_zeros() -> None:
    """A constant column, and a single column, have no profile to tell tokens by."""
    tokens = np.array([[1, 7], [1, 8], [1, 7]], dtype=np.uint64)
    assert not TokenProfiles(2).fit_transform(tokens).any()
    assert not TokenProfiles(2).fit_transform(tokens[:, 1:]).any()


def test_memory_is_that_of_a_column(encode: Encode) -> None:
    """Of 100 columns with 64 tokens each, all counts at a time were 328 MB; a twentieth of that is never reached."""
    tokens = np.asarray(encode(tied(400, 100), depth=6))
    assert len(np.unique(tokens)) == 6400
    tracemalloc.start()
    TokenProfiles(1).fit(tokens)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6400**2 * 8 / 20


def test_paths_have_no_profiles(encode: Encode) -> None:
    """The levels of a path are a SpecError; the last level by itself gives what leaf tokens give."""
    X = tied(300)
    paths = encode(X, tokens="comb")
    with pytest.raises(SpecError, match="leaf"):
        TokenProfiles().fit(paths)
    found, wanted = (TokenProfiles(1).fit_transform(own) for own in (paths[:, :, -1], encode(X)))
    assert np.allclose(np.abs(found), np.abs(wanted))


# ---------------------------------------------------------------------- log odds
def test_log_odds_are_those_of_counts() -> None:
    """Each token gets the smoothed log odds of its own rows, less those of all rows, counted by hand."""
    tokens = np.array([[1], [1], [1], [2], [2]], dtype=np.uint64)
    found = TokenLogOdds(smooth=1.0).fit_transform(tokens, ["a", "b", "b", "a", "a"]).ravel()
    share = 2 / 5
    first, second = ((hits + share) / (rows + 1) for hits, rows in ((2, 3), (0, 2)))
    wanted = [math.log(p / (1 - p)) - math.log(share / (1 - share)) for p in (first, second)]
    assert np.allclose(found, np.array(wanted)[[0, 0, 0, 1, 1]])


def test_of_many_labels_each_has_its_column(encode: Encode) -> None:
    """With three labels, a column's numbers are the odds of each label against the others."""
    tokens, labels = encode(tied(300)), np.repeat(["a", "b", "c"], 100)
    odds = TokenLogOdds().fit(tokens, labels)
    found = odds.transform(tokens).reshape(300, 3, 3)
    for place_of, label in enumerate(odds.classes_):
        assert (found[:, :, place_of] == TokenLogOdds().fit_transform(tokens, labels == label)).all()
    assert odds.get_feature_names_out()[:4].tolist() == ["x0_a", "x0_b", "x0_c", "x1_a"]


def test_labels_that_cannot_be(encode: Encode) -> None:
    """One class, another number of labels and numbers without end are refused."""
    tokens = encode(tied(30))
    with pytest.raises(DataError, match="one class"):
        TokenLogOdds().fit(tokens, np.zeros(30))
    with pytest.raises(DataError, match="30 rows of tokens, but 29 labels"):
        TokenLogOdds().fit(tokens, np.arange(29) % 2)
    with pytest.raises(ValueError, match="continuous"):
        TokenLogOdds().fit(tokens, np.linspace(0, 1, 30))


# ---------------------------------------------------------------------- reports
def codec_of(X: Any, learn: Learn, key: Key, channel: Channel) -> HashComb:
    """Return a codec at depth 3."""
    return HashComb(learn(X, depth=3, channel=channel), key)


def test_profiles_of_reports(learn: Learn, key: Key) -> None:
    """With little noise reports show the order of leaves, with much they do not, and the variance is 1 all the same."""
    X = tied(4000, 12)
    for epsilon, low, high in ((5.0, 0.95, 1.0), (0.1, 0.0, 0.5)):
        codec = codec_of(X, learn, key, RandomizedResponse(epsilon, depth="leaf"))
        profiles = TokenProfiles(1).fit(codec.encode(X, seed=1))
        numbers = profiles.transform(codec.encode_clean(X))
        assert low <= np.mean(likeness(numbers, place(X, codec.spec))) <= high
        assert np.allclose(profiles.transform(codec.encode(X, seed=1)).var(axis=0), 1)


def test_log_odds_of_reports_are_drawn_to_zero(learn: Learn, key: Key) -> None:
    """The noise of a channel makes odds smaller, and nothing undoes it."""
    X = tied(4000)
    labels = X[:, 0] > 0
    sizes = []
    for epsilon in (1.0, 3.0, 9.0):
        codec = codec_of(X, learn, key, RandomizedResponse(epsilon, depth="leaf"))
        sizes.append(np.abs(TokenLogOdds().fit_transform(codec.encode(X, seed=1), labels)).mean())
    assert sizes[0] < sizes[1] / 2 < sizes[2] / 4


@each
def test_true_values_beside_reports_that_are_no_leaves(transformer: Transformer, learn: Learn, key: Key) -> None:
    """Tokens of true values are all unseen where reports are other tokens: zeros, or an error if asked."""
    X = tied(500)
    codec = codec_of(X, learn, key, SquareWave(4.0))
    reports, clean, labels = codec.encode(X, seed=1), codec.encode_clean(X), X[:, 0] > 0
    assert not transformer().fit(reports, labels).transform(clean).any()
    with pytest.raises(DataError, match="'x0', row 0"):
        transformer(handle_unknown="error").fit(reports, labels).transform(clean)


# ---------------------------------------------------------------------- both
@each
def test_unknown_tokens(transformer: Transformer) -> None:
    """A token that was not seen in training is taken for the mean of all rows, or is an error that names its place."""
    tokens = np.array([[1, 7], [2, 8], [1, 7], [2, 9]], dtype=np.uint64)
    unseen = np.array([[1, 7], [1, 54321]], dtype=np.uint64)
    labels = [0, 1, 0, 1]
    found = transformer().fit(tokens, labels).transform(unseen).reshape(2, 2, -1)
    assert found[0].any(axis=1).all()
    assert found[1].any(axis=1).tolist() == [True, False]
    with pytest.raises(DataError, match=r"column 'x1', row 1") as caught:
        transformer(handle_unknown="error").fit(tokens, labels).transform(unseen)
    assert "54321" not in str(caught.value)


@each
def test_frames_arrays_and_their_names(transformer: Transformer, encode: Encode) -> None:
    """Frames and arrays give the same numbers; columns are named after those of the frame or of the header."""
    X = pd.DataFrame(tied(200), columns=["a", "b", "c"])
    frame, labels = encode(X), X["a"] > 0
    array = np.asarray(frame, dtype=np.uint64)
    own = transformer().fit(frame, labels)
    assert (own.transform(frame) == transformer().fit_transform(array, labels)).all()
    names = ["a_profile1", "a_profile2", "b_profile1"] if transformer is TokenProfiles else ["a", "b", "c"]
    out = clone(own).set_output(transform="pandas").fit_transform(frame, labels)
    assert out.columns[:3].tolist() == names
    with pytest.raises(DataError, match="expecting 3 features"):
        transformer().fit(array, labels).transform(array[:, :2])


@each
def test_tokens_from_elsewhere(transformer: Transformer, learn: Learn, encode: Encode) -> None:
    """Tokens of another Key are a FingerprintError, where the header says so."""
    X = tied(100)
    own = transformer().fit(encode(X), X[:, 0] > 0)
    with pytest.raises(FingerprintError, match="another Key"):
        own.transform(HashComb(learn(X, depth=3), Key.create()).encode(X))


BAD: list[tuple[Any, str]] = [
    (TokenProfiles(0), "n_numbers"),
    (TokenProfiles(1.5), "n_numbers"),  # type: ignore[arg-type]
    (TokenProfiles(handle_unknown="skip"), "handle_unknown"),  # type: ignore[arg-type]
    (TokenLogOdds(smooth=0.0), "smooth"),
    (TokenLogOdds(smooth="much"), "smooth"),  # type: ignore[arg-type]
    (TokenLogOdds(handle_unknown="skip"), "handle_unknown"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("transformer", "path"), BAD, ids=range(len(BAD)))
def test_parameters_that_cannot_be(transformer: Any, path: str) -> None:
    """A parameter that makes no sense is a SpecError with its name."""
    with pytest.raises(SpecError, match=path):
        transformer.fit(np.zeros((2, 2), dtype=np.uint64), [0, 1])


@each
def test_pickles(transformer: Transformer, encode: Encode) -> None:
    """A pickle gives the same numbers, and keeps the header."""
    X = tied(100)
    tokens = encode(X)
    own = transformer().fit(tokens, X[:, 0] > 0)
    again = pickle.loads(pickle.dumps(own))
    assert (again.transform(tokens) == own.transform(tokens)).all()
    assert again.header_ == own.header_


@pytest.mark.filterwarnings("ignore::hashcomb.errors.DataDependentSpecWarning")
@pytest.mark.parametrize("load", [load_breast_cancer, load_digits])
def test_accuracy_is_kept_without_the_key(load: Any) -> None:
    """With profiles and log odds in a pipeline, logistic regression is within a point and a half of raw columns."""
    X, y = load(return_X_y=True)
    odds = make_pipeline(TokenLogOdds(), StandardScaler())
    numbers = make_union(TokenProfiles(1), odds) if len(set(y)) == 2 else TokenProfiles(3)
    learner = LogisticRegression(max_iter=1000)
    model = make_pipeline(HashCombEncoder(depth=4), numbers, StandardScaler(), learner)
    raw = cross_val_score(make_pipeline(StandardScaler(), learner), X, y, cv=3).mean()
    assert cross_val_score(model, X, y, cv=3, error_score="raise").mean() > raw - 0.015
