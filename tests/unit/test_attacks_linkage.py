"""Rows of two files are joined by how their tokens repeat, though no token occurs in both."""

import numpy as np
import pytest

from hashcomb import HashComb, Key, RandomizedResponse, Spec, Uniform
from hashcomb.attacks import link_rows
from hashcomb.attacks.linkage import MAX_LINK_ROWS
from hashcomb.errors import DataError


def spec_of(n_features: int, channel: RandomizedResponse | None = None) -> Spec:
    """Return eight leaves a feature."""
    described = None if channel is None else channel.to_spec()
    features = tuple(Uniform(name=f"x{j}", lo=-3.0, hi=3.0) for j in range(n_features))
    return Spec(features=features, depth=3, channel=described)


def rows_of(n_rows: int, n_features: int, seed: int = 0) -> np.ndarray:
    """Return rows of columns that go together."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_rows, 1)) + 0.7 * rng.normal(size=(n_rows, n_features))


def test_a_fresh_round_hides_no_record(key: Key) -> None:
    """Without a channel, all rows of two rounds, or two data sets, are joined, and not one token is shared."""
    spec, rows = spec_of(8), rows_of(200, 8)
    first = HashComb(spec, key).encode(rows)
    for other in (HashComb(spec, key, round=1), HashComb(spec, key, dataset="b"), HashComb(spec, Key.create())):
        second = other.encode(rows)
        assert not np.intersect1d(first, second).size
        result = link_rows(first, second)
        assert result.joined > 0.95
        assert result.guessed == pytest.approx(1 / 200)


def test_the_order_of_rows_does_not_matter(key: Key) -> None:
    """A shuffled second file is joined as well, by its partners; rows without a partner count as lost."""
    spec, rows = spec_of(8), rows_of(150, 8)
    first, second = (np.asarray(HashComb(spec, key, round=r).encode(rows)) for r in (0, 1))
    order = np.random.default_rng(5).permutation(150)
    assert link_rows(first, second[order], partners=np.argsort(order)).joined > 0.95
    assert link_rows(first, second[order]).joined < 0.1
    assert link_rows(first, second, partners=np.full(150, -1)).joined == 0.0


def test_files_about_the_same_records_in_part(key: Key) -> None:
    """Records that both files hold are found among others."""
    spec, rows = spec_of(10), rows_of(400, 10)
    first = np.asarray(HashComb(spec, key).encode(rows[:300]))
    second = np.asarray(HashComb(spec, key, round=1).encode(rows[100:]))
    partners = np.where(np.arange(300) >= 100, np.arange(300) - 100, -1)
    assert link_rows(first, second, partners=partners).joined > 0.5


def test_other_records_are_not_joined() -> None:
    """On two files of independent rows, chance is all there is; ties do not help."""
    rng = np.random.default_rng(0)
    joined = [link_rows(*rng.integers(0, 8, (2, 100, 6)), seed=i).joined for i in range(30)]
    assert np.mean(joined) < 0.03
    same = np.zeros((100, 3), dtype=int)  # all rows alike: the only way is to guess
    assert np.mean([link_rows(same, same, seed=i).joined for i in range(30)]) < 0.03


def test_fresh_noise_hides_records_and_a_memo_does_not(key: Key) -> None:
    """With a channel of small epsilon nearly no row is joined; a memo repeats the reports, and all are."""
    spec, rows = spec_of(8, RandomizedResponse(0.5, depth="leaf")), rows_of(200, 8)
    codecs = [HashComb(spec, key, round=r) for r in (0, 1)]
    fresh = link_rows(*(codec.encode(rows) for codec in codecs))
    assert fresh.joined < 0.06
    memo_key = Key(bytes(range(1, 33)))
    memoized = link_rows(*(codec.encode(rows, record_ids=range(200), memo_key=memo_key) for codec in codecs))
    assert memoized.joined > 0.95


def test_weak_noise_hides_little(key: Key) -> None:
    """At a large epsilon most rows are joined in spite of fresh noise."""
    spec, rows = spec_of(12, RandomizedResponse(6.0, depth="leaf")), rows_of(200, 12)
    assert link_rows(*(HashComb(spec, key, round=r).encode(rows) for r in (0, 1))).joined > 0.8


def test_labels_tell_a_record_from_its_mirror_image(key: Key) -> None:
    """Where every record has a mirror image, tokens cannot tell the two apart, and the label can."""
    half = rows_of(60, 8)
    rows = np.concatenate([half, -half])
    first, second = (np.asarray(HashComb(spec_of(8), key, round=r).encode(rows)) for r in (0, 1))
    y = np.where(rows.mean(axis=1) > 0, "up", "down")
    plain = [link_rows(first, second, seed=i).joined for i in range(10)]
    helped = [link_rows(first, second, labels=(y, y), seed=i) for i in range(10)]
    assert min(result.joined for result in helped) > 0.9
    assert helped[0].guessed == pytest.approx(1 / 60)  # one of its label
    assert 0.2 < np.mean(plain) < 0.8
    assert link_rows(first, second, labels=(y == "up", 1.0 * (y == "up"))).joined > 0.9
    other = np.where(np.arange(120) < 5, "zz", y)  # a class that the other file does not have
    assert link_rows(first, second, labels=(other, y)).joined > 0.8
    assert link_rows(first, second, labels=(y, other)).joined > 0.8


def test_what_does_not_fit_is_refused() -> None:
    """Other columns, no rows, too many rows or tokens, and labels or partners of another length are refused."""
    table = np.zeros((4, 2), dtype=int)
    bad: list[tuple[np.ndarray, np.ndarray, dict[str, object]]] = [
        (table, table[:, :1], {}),
        (table[:0], table, {}),
        (table[0], table[0], {}),
        (table, table, {"partners": [0, 1]}),
        (table, table, {"labels": ([0, 1], [0, 1])}),
        (np.zeros((MAX_LINK_ROWS + 1, 1)), np.zeros((1, 1)), {}),
        (np.arange(5000)[:, None], np.arange(5000)[:, None], {}),
    ]
    for first, second, options in bad:
        with pytest.raises(DataError):
            link_rows(first, second, **options)  # type: ignore[arg-type]
