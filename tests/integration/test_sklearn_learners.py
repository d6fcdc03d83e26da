"""Classifiers that undo the channel are scikit-learn estimators, learn from any tokens, and refuse what they cannot."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.naive_bayes import CategoricalNB
from sklearn.utils.estimator_checks import check_estimator
from threadpoolctl import threadpool_limits

from hashcomb import Categorical, HashComb, Key, RandomizedResponse, Spec, Uniform
from hashcomb.channels import Channel, Geometric, describe
from hashcomb.errors import ChannelError, DataError, FingerprintError, SpecError
from hashcomb.integrations.sklearn import ChannelLinearClassifier, ChannelNaiveBayes

pytestmark = [
    pytest.mark.filterwarnings("ignore::hashcomb.errors.DataDependentSpecWarning"),
    pytest.mark.filterwarnings("ignore::hashcomb.errors.InsecureRandomWarning"),
]
Learn = Callable[..., Spec]
Learner = type[ChannelNaiveBayes] | type[ChannelLinearClassifier]
LEARNERS = (ChannelNaiveBayes, ChannelLinearClassifier)
each_learner = pytest.mark.parametrize("learner", LEARNERS)


def uniform(n: int) -> tuple[Uniform, ...]:
    """Return features with values from 0 to 1."""
    return tuple(Uniform(name=f"x{j}", lo=0.0, hi=1.0) for j in range(n))


@pytest.fixture
def labeled() -> tuple[np.ndarray, np.ndarray]:
    """Four thousand rows of three classes and four features, two of which go together and one of which says nothing."""
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, 4000)
    shared = rng.normal(size=4000)
    columns = [y + shared, y - shared, rng.normal(size=4000), 1.5 * (y == 2) + rng.normal(size=4000)]
    ranks = np.argsort(np.argsort(columns, axis=1), axis=1) / 4000
    return ranks.T.copy(), np.array(["left", "middle", "right"])[y]


def codec(channel: Channel | None, key: Key, depth: int = 2, **rules: Any) -> HashComb:
    """Return a codec of four features in [0, 1]."""
    described = None if channel is None else channel.spec_for(1 << depth)
    return HashComb(Spec(features=uniform(4), depth=depth, channel=described, **rules), key)


# ---------------------------------------------------------------------- scikit-learn
@each_learner
def test_estimator_checks(learner: Learner) -> None:
    """All of scikit-learn's checks pass, and as many ran as there are; that of the array API needs its switch."""
    with threadpool_limits(1):  # threads of BLAS wait for each other where several tests run on few cores
        results = check_estimator(learner(), on_fail="raise", on_skip=None)
    statuses = [result["status"] for result in results]
    assert (statuses.count("passed"), statuses.count("skipped"), len(statuses)) == (61, 1, 62)


@each_learner
def test_cross_validation_of_reports(learner: Learner, labeled: Any, key: Key) -> None:
    """Slices of tokens carry their header, so that scikit-learn's tools see the channel."""
    X, y = labeled
    scores = cross_val_score(clone(learner()), codec(RandomizedResponse(4.0, depth="leaf"), key).encode(X, seed=1), y)
    assert scores.mean() > 0.5


# ---------------------------------------------------------------------- what is learned
def test_without_a_channel_shares_are_those_of_counts(labeled: Any, key: Key) -> None:
    """On deterministic tokens, naive Bayes learns the shares that CategoricalNB learns."""
    X, y = labeled
    tokens = codec(None, key).encode(X)
    numbers = np.stack([np.unique(column, return_inverse=True)[1] for column in np.asarray(tokens).T], axis=1)
    expected = CategoricalNB(alpha=1e-9).fit(numbers, y)
    found = ChannelNaiveBayes(alpha=1e-12).fit(tokens, y)
    for theirs, ours in zip(expected.feature_log_prob_, found.feature_log_prob_, strict=True):
        assert np.allclose(np.exp(theirs), np.exp(ours))
    assert (found.predict(tokens) == expected.predict(numbers)).mean() == 1


def test_without_a_channel_the_discriminant_is_that_of_one_hot_columns(labeled: Any, key: Key) -> None:
    """On deterministic tokens, the linear classifier all but agrees with LinearDiscriminantAnalysis."""
    X, y = labeled
    tokens = codec(None, key).encode(X)
    onehot = np.concatenate(
        [np.asarray(column)[:, None] == np.unique(column) for column in np.asarray(tokens).T], axis=1
    )
    kept = np.arange(onehot.shape[1]) % 4 > 0  # the others follow from these
    expected = LinearDiscriminantAnalysis().fit(onehot[:, kept], y)
    found = ChannelLinearClassifier(ridge=1e-6).fit(tokens, y)
    assert np.abs(expected.predict_proba(onehot[:, kept]) - found.predict_proba(tokens)).mean() < 0.01


@each_learner
def test_with_hardly_any_noise_it_learns_what_clean_tokens_teach(learner: Learner, labeled: Any, key: Key) -> None:
    """At epsilon 20, reports teach what the tokens of true values teach."""
    X, y = labeled
    own = codec(RandomizedResponse(20.0, depth="leaf"), key)
    clean = own.encode_clean(X)
    plain, undone = learner().fit(clean, y), learner().fit(own.encode(X, seed=1), y)
    assert np.allclose(plain.predict_proba(clean), undone.predict_proba(clean), atol=1e-3)


@each_learner
def test_undoing_the_channel_beats_plain_training(learner: Learner, key: Key) -> None:
    """Training that knows the channel finds the odds of true values, which plain training makes too even."""
    rng = np.random.default_rng(5)
    y = rng.integers(0, 2, 20_000)
    X = np.where(rng.random((20_000, 4)) < 0.75, y[:, None], 1 - y[:, None]) * 0.6 + 0.2
    own = codec(RandomizedResponse(1.0, depth="leaf"), key, depth=1)
    reports = own.encode(X, seed=2)
    clean = own.encode_clean(X)
    blind = learner().fit(np.asarray(reports), y)  # without its header
    undone = learner().fit(reports, y)
    truth = 1 / (1 + 3.0 ** -(2 * (X > 0.5).sum(axis=1) - 4))
    errors = [np.abs(model.predict_proba(clean)[:, 1] - truth).mean() for model in (blind, undone)]
    assert errors[1] < 0.03
    assert errors[0] > 0.1


@each_learner
def test_reports_are_scored_as_reports(learner: Learner, labeled: Any, key: Key) -> None:
    """The header tells reports from true values; odds of reports are nearer to even, and calibrated."""
    X, y = labeled
    own = codec(RandomizedResponse(1.5, depth="leaf"), key)
    reports = own.encode(X, seed=1)
    model = learner().fit(reports, y)
    fresh = own.encode(X, seed=2)
    noisy, clean = model.predict_proba(fresh), model.predict_proba(own.encode_clean(X))
    assert noisy.max(axis=1).mean() < clean.max(axis=1).mean() - 0.1
    assert model.score(own.encode_clean(X), y) > model.score(fresh, y) > 0.4
    assert abs(noisy.max(axis=1).mean() - model.score(fresh, y)) < 0.03


def test_probabilities_of_reports_are_bayes_rule(key: Key) -> None:
    """For naive Bayes a report's likelihood is the sum over the true values that may be behind it."""
    own = codec(RandomizedResponse(1.0, depth="leaf"), key)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 500)
    reports = own.encode(rng.random((500, 4)) * (0.5 + 0.5 * y[:, None]), seed=1)
    model = ChannelNaiveBayes().fit(reports, y)
    expected = np.tile(model.class_log_prior_, (500, 1))
    for j, law in enumerate(model.laws_):
        behind = np.exp(model.feature_log_prob_[j]) @ law.matrix
        expected += np.log(behind[:, np.searchsorted(law.reports, np.asarray(reports)[:, j])]).T
    assert np.allclose(model.decision_function(reports), expected[:, 1] - expected[:, 0])


@each_learner
def test_batches_add_up(learner: Learner, labeled: Any, key: Key) -> None:
    """Learning from owners one after the other is learning from all at once."""
    X, y = labeled
    own = codec(RandomizedResponse(2.0, depth="leaf"), key)
    reports, clean = own.encode(X, seed=1), own.encode_clean(X)
    whole, parts = learner().fit(reports, y), learner()
    for part in np.array_split(np.arange(len(X)), 3):
        parts.partial_fit(reports[part], y[part], classes=["left", "middle", "right"])
    assert np.allclose(whole.decision_function(clean), parts.decision_function(clean))


@each_learner
def test_weights_count_records(learner: Learner, labeled: Any, key: Key) -> None:
    """A weight of two is the record twice, a weight of zero is none."""
    X, y = labeled
    own = codec(RandomizedResponse(2.0, depth="leaf"), key)
    reports, clean = own.encode(X, seed=1), own.encode_clean(X)
    weights = np.arange(len(X)) % 3
    repeated = np.repeat(np.arange(len(X)), weights)
    expected = learner().fit(reports[repeated], y[repeated])
    found = learner().fit(reports, y, sample_weight=weights)
    assert np.allclose(expected.decision_function(clean), found.decision_function(clean))


# ---------------------------------------------------------------------- every kind of tokens
@each_learner
def test_frames_carry_the_channel(learner: Learner, labeled: Any, key: Key) -> None:
    """A pandas frame of tokens is learned from as its array is."""
    X, y = labeled
    own = codec(RandomizedResponse(2.0, depth="leaf"), key)
    frame = pd.DataFrame(X, columns=own.spec.names)
    tokens = own.encode(X, seed=1)
    from_array = learner().fit(tokens, y)
    from_frame = learner().fit(own.encode(frame, seed=1), y)
    expected = from_array.decision_function(own.encode_clean(X))
    assert np.allclose(from_frame.decision_function(own.encode_clean(frame)), expected)


@each_learner
def test_epsilons_of_features_missing_values_and_categories(learner: Learner, key: Key) -> None:
    """Features with their own epsilons, missing values and categories are undone, each by its own law."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 30_000)
    age = np.where(rng.random(len(y)) < 0.1 + 0.3 * y, np.nan, rng.random(len(y)))
    place = np.array(["bay", "cape", "fen"])[np.where(rng.random(len(y)) < 0.5, 2 * y, rng.integers(0, 3, len(y)))]
    features = (Uniform(name="age", lo=0.0, hi=1.0), Categorical(name="place", categories=("bay", "cape", "fen")))
    channel = describe("randomized_response", {"depth": "leaf"}, n_leaves=4, epsilon=[1.5, 2.5])
    own = HashComb(Spec(features=features, depth=2, channel=channel, missing="token"), key)
    table = {"age": age, "place": place.astype(object)}
    clean = own.encode_clean(table)
    found = learner().fit(own.encode(table, seed=1), y).predict_proba(clean)
    assert np.abs(found - learner().fit(clean, y).predict_proba(clean)).mean() < 0.03


@each_learner
def test_records_that_report_some_features(learner: Learner, labeled: Any, key: Key) -> None:
    """What a record does not report tells nothing; pairs are seen with their own probability."""
    X, y = labeled
    channel = describe("randomized_response", {"depth": "leaf"}, n_leaves=4, epsilon=8.0, report_features=2)
    own = HashComb(Spec(features=uniform(4), depth=2, channel=channel), key)
    reports, clean = own.encode(np.repeat(X, 8, axis=0), seed=1), own.encode_clean(X)
    model = learner().fit(reports, np.repeat(y, 8))
    expected = learner().fit(clean, y).predict_proba(clean)
    assert np.abs(model.predict_proba(clean) - expected).mean() < 0.03
    assert abs(model.predict_proba(reports).max(axis=1).mean() - model.score(reports, np.repeat(y, 8))) < 0.08


@each_learner
def test_features_that_nobody_has_reported_yet(learner: Learner, labeled: Any, key: Key) -> None:
    """In a few rows no record may report a feature: it tells nothing, and neither do its tokens later."""
    X, y = labeled
    channel = describe("randomized_response", {"depth": "leaf"}, n_leaves=4, epsilon=8.0, report_features=1)
    own = HashComb(Spec(features=uniform(4), depth=2, channel=channel), key)
    reports, clean = own.encode(X, seed=1), own.encode_clean(X)
    some = np.flatnonzero(np.asarray(reports)[:, 0] != reports.header.domain.blank[0])[:40]
    model = learner().fit(reports[some], y[some])
    assert [len(law.reports) for law in model.laws_] == [4, 0, 0, 0]
    alike = clean.copy()
    alike[:, 1:] = clean[0, 1:]
    assert np.isfinite(model.predict_proba(reports)).all()
    assert np.array_equal(model.predict_proba(clean), model.predict_proba(alike))


@each_learner
def test_a_class_that_reports_nothing_of_a_feature_is_like_the_others(learner: Learner, key: Key) -> None:
    """Where no record of a class reports a feature, the feature tells nothing for or against the class."""
    rng = np.random.default_rng(0)
    channel = describe("randomized_response", {"depth": "leaf"}, n_leaves=2, epsilon=8.0, report_features=1)
    features = tuple(Uniform(name=f"x{j}", lo=0.0, hi=1.0) for j in range(2))
    own = HashComb(Spec(features=features, depth=1, channel=channel), key)
    reports = own.encode(rng.random((4000, 2)) ** 6, seed=1)  # nearly all values are in the lower half
    silent = np.asarray(reports)[:, 1] == reports.header.domain.blank[1]
    y = silent & (np.arange(4000) % 9 == 0)
    low, high = (own.encode_clean(np.array([[0.1, value]])) for value in (0.1, 0.9))
    model = learner().fit(reports, y)
    assert np.allclose(model.decision_function(low), model.decision_function(high), atol=0.05)


@each_learner
def test_ordinal_channels_need_the_key_holders_laws(learner: Learner, labeled: Any, key: Key) -> None:
    """Reports of a geometric channel are undone with the key holder's laws; without, the error says who has them."""
    X, y = labeled
    own = codec(Geometric(6.0), key)
    reports, clean = own.encode(X, seed=1), own.encode_clean(X)
    with pytest.raises(ChannelError, match="laws="):
        learner().fit(reports, y)
    model = learner(laws=own.laws()).fit(reports, y)
    expected = learner().fit(clean, y)
    assert model.score(clean, y) > expected.score(clean, y) - 0.04


# ---------------------------------------------------------------------- what is refused
@each_learner
def test_a_channel_that_cannot_be_undone_names_the_column(learner: Learner, labeled: Any, key: Key) -> None:
    """Where reports do not tell the leaves apart, the error names the column."""
    from hashcomb.laws import TokenLaw, TokenLaws

    X, y = labeled
    own = codec(RandomizedResponse(2.0, depth="leaf"), key)
    good = own.laws()
    flat = TokenLaw("x1", good[1].reports, good[1].symbols, np.full((4, 4), 0.25), None)
    laws = TokenLaws(good.header, [good[0], flat, good[2], good[3]])
    with pytest.raises(ChannelError, match="'x1'"):
        learner(laws=laws).fit(own.encode(X, seed=1), y)


@each_learner
def test_columns_in_another_order(learner: Learner, labeled: Any, key: Key) -> None:
    """Laws belong to columns by their place, so a frame whose columns were moved or left out is refused."""
    X, y = labeled
    reports = codec(RandomizedResponse(2.0, depth="leaf"), key).encode(
        pd.DataFrame(X, columns=["x0", "x1", "x2", "x3"])
    )
    for wrong in (reports[["x1", "x0", "x2", "x3"]], reports[["x0", "x1"]]):
        with pytest.raises(DataError, match="in the order of encode"):
            learner().fit(wrong, y)


@each_learner
def test_laws_that_are_none(learner: Learner, labeled: Any, key: Key) -> None:
    """The encoder itself, or a list, in place of laws is an error that says what to pass."""
    X, y = labeled
    own = codec(RandomizedResponse(2.0, depth="leaf"), key)
    wrong: Any
    for wrong in (own, list(own.laws())):
        with pytest.raises(SpecError, match=r"HashComb.laws\(\)"):
            learner(laws=wrong).fit(own.encode(X, seed=1), y)


@each_learner
def test_tokens_of_another_spec(learner: Learner, labeled: Any, key: Key) -> None:
    """Tokens, batches and laws made under another Spec are refused."""
    X, y = labeled
    own, other = (codec(RandomizedResponse(epsilon, depth="leaf"), key) for epsilon in (1.0, 2.0))
    model = learner().fit(own.encode(X, seed=1), y)
    with pytest.raises(FingerprintError):
        model.predict(other.encode_clean(X))
    with pytest.raises(FingerprintError):
        model.partial_fit(other.encode(X, seed=1), y)
    with pytest.raises(FingerprintError):
        learner(laws=other.laws()).fit(own.encode(X, seed=1), y)


@each_learner
def test_tokens_that_nobody_issued(learner: Learner, labeled: Any, key: Key) -> None:
    """Through a channel, an unknown token is an error that names its place; without, it is one if asked."""
    X, y = labeled
    own = codec(RandomizedResponse(2.0, depth="leaf"), key)
    model = learner().fit(own.encode(X, seed=1), y)
    strange = own.encode_clean(X)
    strange[5, 2] = 1
    with pytest.raises(DataError, match="'x2', row 5"):
        model.predict(strange)
    plain = codec(None, key)
    unseen = plain.encode(X)
    unseen[5, 2] = 1
    with pytest.raises(DataError, match="'x2', row 5"):
        learner(handle_unknown="error").fit(plain.encode(X), y).predict(unseen)
    quiet = learner().fit(plain.encode(X), y)
    assert np.isfinite(quiet.decision_function(unseen)).all()


@each_learner
def test_other_shapes(learner: Learner, labeled: Any, key: Key) -> None:
    """No rows, another number of columns, labels of another length, one class: all are refused."""
    X, y = labeled
    own = codec(RandomizedResponse(2.0, depth="leaf"), key)
    tokens = own.encode(X, seed=1)
    model = learner().fit(tokens, y)
    with pytest.raises(DataError):
        model.partial_fit(tokens[:0], y[:0])
    with pytest.raises(DataError):
        model.predict(np.asarray(tokens)[:, :3])
    with pytest.raises(DataError, match="labels"):
        learner().fit(tokens, y[:-1])
    with pytest.raises(DataError, match="one class"):
        learner().fit(tokens, np.full(len(y), "left"))
    with pytest.raises(DataError, match="classes"):
        learner().partial_fit(tokens, y, classes=["left", "right"])
    with pytest.raises(SpecError, match="first call"):
        learner().partial_fit(tokens, y)
    with pytest.raises(SpecError, match="not those of the first call"):
        model.partial_fit(tokens, y, classes=["left", "middle"])
    with pytest.raises(DataError, match="2 laws"):
        learner(laws=type(own.laws())(None, own.laws()[:2])).fit(tokens, y)


@each_learner
def test_what_failed_is_not_fitted(learner: Learner, labeled: Any, key: Key) -> None:
    """After a first batch or a fit that was refused there is no model of before, and the next call begins anew."""
    X, y = labeled
    own = codec(RandomizedResponse(2.0, depth="leaf"), key)
    tokens, clean = own.encode(X, seed=1), own.encode_clean(X)
    model = learner()
    with pytest.raises(DataError, match="does not list"):
        model.partial_fit(tokens, y, classes=["left", "right"])
    with pytest.raises(NotFittedError):
        model.predict(clean)
    model.partial_fit(tokens, y, classes=["left", "middle", "right"])
    assert np.allclose(model.predict_proba(clean), learner().fit(tokens, y).predict_proba(clean))
    with pytest.raises(DataError, match="one class"):
        model.fit(tokens, np.full(len(y), "left"))
    with pytest.raises(NotFittedError):
        model.predict(clean)


@each_learner
def test_true_values_beside_reports(learner: Learner, labeled: Any, key: Key) -> None:
    """Tokens of true values are no batch of a model of reports."""
    X, y = labeled
    own = codec(RandomizedResponse(2.0, depth="leaf"), key)
    model = learner().fit(own.encode(X, seed=1), y)
    with pytest.raises(DataError, match="without their channel"):
        model.partial_fit(own.encode_clean(X), y)
    with pytest.raises(DataError, match="without their channel"):
        learner(laws=own.laws()).fit(own.encode_clean(X), y)


@each_learner
def test_paths_are_refused(learner: Learner, labeled: Any, key: Key) -> None:
    """Paths would count a feature once for every level."""
    X, y = labeled
    with pytest.raises(SpecError, match="leaf"):
        learner().fit(codec(None, key, tokens="comb").encode(X), y)


@pytest.mark.parametrize(
    "model",
    [
        ChannelNaiveBayes(alpha=0.0),
        ChannelLinearClassifier(ridge=-1.0),
        ChannelNaiveBayes(handle_unknown="skip"),  # type: ignore[arg-type]
    ],
)
def test_parameters_that_cannot_be(model: Any) -> None:
    """A parameter that makes no sense is named."""
    with pytest.raises(SpecError):
        model.fit(*load_iris(return_X_y=True))
