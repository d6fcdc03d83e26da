"""The arms of the comparison: every model on every encoding that it is tried on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from sklearn.datasets import load_breast_cancer, load_iris

from hashcomb.errors import SpecError
from hashcomb.evidence.arms import GRIDS, MODELS, score
from hashcomb.evidence.encodings import (
    BY_LAW,
    DELTA,
    EMBEDDING,
    EMBEDDING_ALL,
    MEAN_LABELS,
    NUMBERS,
    ONE_HOT,
    ONE_HOT_ALL,
    PROFILES,
    PROFILES_AND_MEANS,
    PROFILES_AND_ODDS,
    TAKEN_FOR_TRUE,
    Encoding,
    combs_of,
    encoded,
    epsilons_of,
    uses_clean_rows,
)
from hashcomb.evidence.fold import Fold
from hashcomb.evidence.learners import learner, trained
from hashcomb.privacy import PrivacyReport
from hashcomb.spec import ChannelSpec

RAW = Encoding(family="raw")


def _fold(load: Any, n_features: int, share: float = 0.7) -> Fold:
    X, y = load(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    train, test = np.split(order, [int(share * len(y))])
    X = X[:, :n_features]
    return Fold(X[train], y[train].astype(np.int64), X[test], y[test].astype(np.int64))


TWO = _fold(load_breast_cancer, 6)
THREE = _fold(load_iris, 4)


def _tokens(representation: str, edges: Any = "quantile") -> Encoding:
    return Encoding(family="tokens", representation=representation, edges=edges, depth=3)


def _channel(kind: str, representation: str, epsilon: float | None = 4.0, depth: int | None = 2) -> Encoding:
    return Encoding(
        family="channel", representation=representation, edges="quantile", depth=depth, channel=kind, epsilon=epsilon
    )


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("fold", [TWO, THREE], ids=["two classes", "three"])
def test_every_model_learns_from_values(model: str, fold: Fold) -> None:
    """On values every model names far more rows than the most frequent label would."""
    assert score(fold, model, RAW, 0).accuracy > 0.7


@pytest.mark.parametrize(
    ("model", "representation"),
    [
        ("logistic regression", PROFILES_AND_ODDS),
        ("logistic regression", MEAN_LABELS),
        ("logistic regression", ONE_HOT),
        ("logistic regression", ONE_HOT_ALL),
        ("random forest", PROFILES_AND_MEANS),
        ("gradient boosting", PROFILES),
        ("neural network", PROFILES_AND_ODDS),
        ("torch network", EMBEDDING),
        ("torch network", EMBEDDING_ALL),
    ],
)
@pytest.mark.parametrize("fold", [TWO, THREE], ids=["two classes", "three"])
def test_every_model_learns_from_tokens(model: str, representation: str, fold: Fold) -> None:
    """On tokens every model names far more rows than the most frequent label would."""
    assert score(fold, model, _tokens(representation), 0).accuracy > 0.75


@pytest.mark.parametrize("edges", ["quantile", "uniform"])
def test_token_numbers_can_be_learned_from(edges: str) -> None:
    """Numbers of tokens have no order, but a forest still cuts them apart."""
    assert score(TWO, "random forest", _tokens(NUMBERS, edges), 0).accuracy > 0.75


@pytest.mark.parametrize("kind", sorted({one.channel for _, many in GRIDS["channels"] for one in many if one.channel}))
def test_every_channel_can_be_learned_from_by_its_law(kind: str) -> None:
    """With a weak channel and its law, clean rows are named far better than by the most frequent label."""
    assert score(TWO, "linear discriminant", _channel(kind, BY_LAW, 8.0), 0).accuracy > 0.75


@pytest.mark.parametrize("kind", ["randomized_response", "square_wave"])
def test_reports_taken_for_true_can_be_learned_from(kind: str) -> None:
    """Logistic regression learns from reports as they are, whether or not they are leaves."""
    assert score(TWO, "logistic regression", _channel(kind, TAKEN_FOR_TRUE, 8.0), 0).accuracy > 0.7


@pytest.mark.parametrize("kind", sorted({one.channel for _, many in GRIDS["channels"] for one in many if one.channel}))
def test_clean_rows_are_tested_where_their_tokens_are_reports(kind: str) -> None:
    """Models that take reports for true are tested on clean rows exactly where training shows those rows' tokens."""
    encoding = _channel(kind, TAKEN_FOR_TRUE)
    by_law = encoded(TWO, replace(encoding, representation=BY_LAW), 0)
    assert uses_clean_rows(encoding) == bool(np.isin(by_law.test, by_law.train).mean() > 0.9)


def test_the_last_head_has_no_epsilon() -> None:
    """The paper's rule can be learned from, and has no finite epsilon to report."""
    found = score(TWO, "logistic regression", _channel("last_head", TAKEN_FOR_TRUE, None), 0)
    assert found.accuracy > 0.7
    assert found.epsilon_feature is None
    assert found.epsilon_record is None


@pytest.mark.parametrize("representation", [EMBEDDING, BY_LAW])
def test_a_network_learns_from_reports(representation: str) -> None:
    """The torch network learns from reports with and without their law."""
    found = score(TWO, "torch network", _channel("randomized_response", representation), 0)
    assert found.accuracy > 0.7


@pytest.mark.parametrize("model", ["naive Bayes", "linear discriminant"])
def test_the_depth_of_reports_is_chosen_among_the_training_rows(model: str) -> None:
    """Without a depth one is chosen, and the choice does not look at test labels."""
    encoding = _channel("randomized_response", BY_LAW, 2.0, None)
    right, wrong = (score(fold, model, encoding, 0) for fold in (TWO, TWO._replace(y_test=1 - TWO.y_test)))
    assert right.accuracy == pytest.approx(1 - wrong.accuracy)


@pytest.mark.parametrize("model", ["random forest", "torch network"])
def test_a_seed_makes_it_repeatable(model: str) -> None:
    """The same seed gives the same accuracy."""
    encoding = GRIDS["headline"][MODELS.index(model)][1][1]
    assert score(TWO, model, encoding, 3).accuracy == score(TWO, model, encoding, 3).accuracy


@pytest.mark.parametrize("model", MODELS[:5])
def test_test_labels_only_count_what_is_right(model: str) -> None:
    """With every test label wrong, every right answer is wrong: nothing is trained on test labels."""
    encoding = GRIDS["headline"][MODELS.index(model)][1][1]
    flipped = score(TWO._replace(y_test=1 - TWO.y_test), model, encoding, 0)
    assert flipped.accuracy == pytest.approx(1 - score(TWO, model, encoding, 0).accuracy)


@pytest.mark.parametrize("representation", [MEAN_LABELS, PROFILES, PROFILES_AND_MEANS, PROFILES_AND_ODDS, ONE_HOT])
def test_tokens_are_but_names(representation: str) -> None:
    """Other tokens for the same leaves give the same predictions: no arm uses an order that only a key holder has."""
    rows = encoded(TWO, _tokens(representation), 0)
    train, test = np.asarray(rows.train), np.asarray(rows.test)
    renamed = np.random.default_rng(1).permutation(np.unique(np.concatenate([train, test])))
    names = dict(zip(np.unique(np.concatenate([train, test])).tolist(), renamed.tolist(), strict=True))
    rename = np.vectorize(names.get, otypes=[np.uint64])
    kept, other = (
        trained(learner("logistic regression", representation, 0), own, TWO.y).predict_proba(tested)
        for own, tested in ((train, test), (rename(train), rename(test)))
    )
    assert np.abs(kept - other).max() < 1e-3


def test_combs_are_cut_without_test_rows() -> None:
    """Other test rows leave the training tokens as they are."""
    other = TWO._replace(X_test=TWO.X_test * 100)
    kept = encoded(TWO, _tokens(ONE_HOT), 0)
    assert np.array_equal(kept.train, encoded(other, _tokens(ONE_HOT), 0).train)


@pytest.mark.parametrize("kind", ["randomized_response", "rqm"])
def test_epsilons_are_those_of_the_privacy_report(kind: str) -> None:
    """The epsilons beside an accuracy are what the privacy report says of the same Spec."""
    found = epsilons_of(encoded(TWO, _channel(kind, BY_LAW, 1.0), 0).spec)
    spec = combs_of(TWO, 2)
    own: dict[str, Any] = {"depth": "leaf", "epsilon": 1.0} if kind == "randomized_response" else {}
    if not own:
        from hashcomb.channels import describe

        own = dict(describe(kind, n_leaves=4, epsilon=1.0).params)
    report = PrivacyReport.of(replace(spec, channel=ChannelSpec(kind=kind, params=own)), delta=DELTA)
    assert report.record is not None
    assert found[0] == max(feature.epsilon or 0.0 for feature in report.features)
    assert found[1] == report.record.tight


def test_names_tell_encodings_apart() -> None:
    """No two encodings of one model have one name."""
    for grid in GRIDS.values():
        for _, encodings in grid:
            names = [one.name for one in encodings]
            assert len(set(names)) == len(names)


def test_names_are_as_they_stand_in_files() -> None:
    """Names are stable: files of measurements are continued by them."""
    shown = [_tokens(ONE_HOT), _channel("randomized_response", BY_LAW, 0.5, None)]
    shown.append(Encoding(family="laplace", epsilon=2.0))
    assert [RAW.name, *(one.name for one in shown)] == [
        "raw",
        "quantile depth 3, one-hot",
        "randomized response, epsilon 0.5, by the law",
        "laplace noise, epsilon 2",
    ]


def test_an_unknown_model_is_refused() -> None:
    """A model that is not in the comparison is named as such."""
    with pytest.raises(SpecError, match="no model of this comparison"):
        score(TWO, "oracle", RAW, 0)


def test_a_model_that_undoes_no_channel_is_refused() -> None:
    """A forest has no way to learn by a law."""
    with pytest.raises(SpecError, match="undoes a channel"):
        score(TWO, "random forest", _channel("randomized_response", BY_LAW), 0)
