"""Memoized randomness: what repeats, what does not, and what is refused."""

from typing import Any

import numpy as np
import pytest

from hashcomb import ChannelSpec, HashComb, Key, RandomizedResponse, Spec, Uniform
from hashcomb.errors import DataError, KeyMaterialError, SpecError

MEMO = Key(bytes(range(7, 39)))
FEATURES = tuple(Uniform(name=f"f{j}", lo=0.0, hi=1.0) for j in range(5))
NOISY = Spec(features=FEATURES, depth=4, channel=RandomizedResponse(0.5, depth="leaf").to_spec())
ROWS = np.random.default_rng(0).random((300, 5))
IDS = [f"patient-{i}" for i in range(300)]


def reports(codec: HashComb, rows: Any = ROWS, ids: Any = IDS, memo: Key = MEMO) -> np.ndarray:
    """Encode with memoized noise, and return the reports."""
    return codec.reports(codec.encode(rows, record_ids=ids, memo_key=memo))


def test_the_same_record_gives_the_same_report(key: Key) -> None:
    """In another call, another object, another round and in any order, a record's reports repeat."""
    first = reports(HashComb(NOISY, key))
    order = np.random.default_rng(1).permutation(300)
    again = reports(HashComb(NOISY, key, round=9), ROWS[order], [IDS[i] for i in order])
    assert np.array_equal(again, first[order])


def test_without_a_memo_key_reports_are_fresh(key: Key) -> None:
    """Two plain calls do not give the same reports."""
    codec = HashComb(NOISY, key)
    assert (codec.reports(codec.encode(ROWS)) != codec.reports(codec.encode(ROWS))).mean() > 0.5


@pytest.mark.parametrize("what", ["memo key", "data set", "spec", "ids"])
def test_reports_elsewhere_are_unrelated(key: Key, what: str) -> None:
    """Under another memo key, data set, Spec or id, the noise is another: reports agree as chance has it."""
    first = reports(HashComb(NOISY, key))
    other = Spec(features=FEATURES, depth=4, outside="error", channel=NOISY.channel)
    second = {
        "memo key": lambda: reports(HashComb(NOISY, key), memo=Key(bytes(range(8, 40)))),
        "data set": lambda: reports(HashComb(NOISY, key, dataset="b")),
        "spec": lambda: reports(HashComb(other, key)),
        "ids": lambda: reports(HashComb(NOISY, key), ids=[f"x{i}" for i in range(300)]),
    }[what]()
    assert 0.02 < (first == second).mean() < 0.2


def test_a_changed_value_gets_an_independent_report(key: Key) -> None:
    """Where a record's leaf changes its report is drawn anew, and elsewhere it stays: no words are shared."""
    codec, changed = HashComb(NOISY, key), ROWS.copy()
    changed[:, 2] = (changed[:, 2] + 0.5) % 1.0
    first, second = reports(codec), reports(codec, changed)
    others = [0, 1, 3, 4]
    assert np.array_equal(first[:, others], second[:, others])
    # With shared words a report that is noise would be the same one for both leaves: nine in ten are noise.
    assert (first[:, 2] == second[:, 2]).mean() < 0.2


def test_batches_and_threads_do_not_matter(key: Key) -> None:
    """Batches with their ids give what one call gives."""
    codec = HashComb(NOISY, key, n_threads=2)
    whole = codec.encode(ROWS, record_ids=IDS, memo_key=MEMO)
    cuts = [slice(0, 7), slice(7, 150), slice(150, 300)]
    parts = codec.encode_batches((ROWS[cut] for cut in cuts), record_ids=[IDS[cut] for cut in cuts], memo_key=MEMO)
    assert np.array_equal(np.concatenate(list(parts)), whole)


def test_whole_numbers_are_ids_too(key: Key) -> None:
    """A number and its text are one id, for CSV files hold text."""
    codec = HashComb(NOISY, key)
    assert np.array_equal(reports(codec, ids=np.arange(300)), reports(codec, ids=[str(i) for i in range(300)]))


@pytest.mark.parametrize(
    ("ids", "match"),
    [
        (IDS[:-1], "299 record ids for 300 rows"),
        ([*IDS[:-1], IDS[0]], "row 299: this record id occurs twice"),
        ([*IDS[:-1], None], "row 299: a record id must be"),
        ([*IDS[:-1], 1.5], "row 299"),
        ([*IDS[:-1], ""], "row 299"),
        ("patient", "sequence"),
        (set(IDS), "in the order of the rows"),
        (dict.fromkeys(IDS), "in the order of the rows"),
        ([*IDS[:-1], "\ud800patient"], "row 299: a record id holds half"),
    ],
)
def test_ids_that_are_none(key: Key, ids: Any, match: str) -> None:
    """An id for every row, each once, of text or whole numbers; the message shows no id."""
    with pytest.raises(DataError, match=match) as caught:
        reports(HashComb(NOISY, key), ids=ids)
    assert "patient" not in str(caught.value)


def test_an_id_of_an_earlier_batch_is_refused(key: Key) -> None:
    """Two records of one id would share their noise, in one batch or in two."""
    batches = HashComb(NOISY, key).encode_batches([ROWS, ROWS], record_ids=[IDS, IDS], memo_key=MEMO)
    next(batches)
    with pytest.raises(DataError, match="row 300: this record id occurs twice"):
        next(batches)


def test_memo_keys_that_are_refused(key: Key) -> None:
    """The shared Key, something that is no Key, a key without ids, ids without a key, and a seed besides."""
    codec = HashComb(NOISY, key)
    for options, match in (
        ({"memo_key": key, "record_ids": IDS}, "owners share"),
        ({"memo_key": bytes(32), "record_ids": IDS}, "hashcomb.Key"),
        ({"memo_key": MEMO}, "go together"),
        ({"record_ids": IDS}, "go together"),
        ({"memo_key": MEMO, "record_ids": IDS, "seed": 1}, "exclude"),
    ):
        with pytest.raises(KeyMaterialError, match=match):
            codec.encode(ROWS, **options)


def test_without_a_channel_there_is_nothing_to_repeat(key: Key) -> None:
    """A memo key for deterministic tokens is a mistake."""
    with pytest.raises(SpecError, match="channel"):
        HashComb(Spec(features=FEATURES, depth=4), key).encode(ROWS, record_ids=IDS, memo_key=MEMO)


# ---------------------------------------------------------------------- channels in a Spec
def spec_with(params: Any, kind: str = "randomized_response", **rules: Any) -> Spec:
    """Return a Spec of five features with a channel."""
    return Spec(features=FEATURES, **{"depth": 4, "channel": ChannelSpec(kind=kind, params=params), **rules})


def test_every_feature_may_have_a_budget_of_its_own() -> None:
    """A list of epsilons is dealt out over the features, in order."""
    from hashcomb.channels import channels_of

    budgets = (0.5, 1.0, 1.5, 2.0, 2.5)
    channels = channels_of(spec_with({"epsilon": budgets})) or ()
    assert [round(channel.epsilon, 6) for channel in channels] == list(budgets)


@pytest.mark.parametrize(
    ("params", "rules", "path"),
    [
        ({"epsilon": (1.0, 2.0)}, {}, "channel.params.epsilon"),
        ({"epsilon": (1.0, 2.0, 0.0, 1.0, 1.0)}, {}, "channel.params"),
        ({"epsilon": 1.0, "report_features": 6.0}, {}, "channel.params.report_features"),
        ({"epsilon": 1.0, "report_features": 1.5}, {}, "channel.params.report_features"),
        ({"epsilon": 1.0, "depth": 5.0}, {}, "channel.params"),
        ({"epsilon": 1.0, "depth": 2.0}, {"tokens": "comb"}, "tokens"),
        ({"epsilon": 1.0, "reach": 1.0}, {}, "channel.params"),
    ],
)
def test_channels_that_do_not_fit_name_the_field(key: Key, params: Any, rules: Any, path: str) -> None:
    """Budgets of the wrong length, more features than there are, a depth that the comb does not have."""
    with pytest.raises(SpecError) as caught:
        HashComb(spec_with(params, **rules), key)
    assert caught.value.path == path


@pytest.mark.parametrize("kind", ["interval", "square_wave", "geometric", "random_depth"])
def test_ordered_channels_refuse_missing_values(key: Key, kind: str) -> None:
    """Missing values have no place in an order; the error names the feature."""
    with pytest.raises(SpecError, match=r"does not fit feature 'f0'.*missing values"):
        HashComb(spec_with({"epsilon": 1.0}, kind, missing="token"), key)
