"""What can be agreed on, each protocol alone between connected owners: the result is that of the pooled data."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashcomb.errors import DataError, ProtocolError
from hashcomb.mpc.protocols.categories import agree_categories
from hashcomb.mpc.protocols.epsilon import strictest
from hashcomb.mpc.protocols.keys import joint_key, round_salt
from hashcomb.mpc.protocols.means import agree_means
from hashcomb.mpc.protocols.robust_ranges import agree_robust_ranges
from hashcomb.mpc.protocols.rows import ROUND_NUMBERS, count_rows
from hashcomb.mpc.protocols.votes import choose

Together = Callable[..., list[Any]]


def same(results: list[Any]) -> Any:
    """Return the result that all owners have."""
    assert all(repr(result) == repr(results[0]) for result in results)
    return results[0]


# ---------------------------------------------------------------------- robust ranges
@pytest.mark.parametrize("rank", [1, 2, 5])
def test_robust_ranges_are_order_statistics_of_all_records(together: Together, rank: int) -> None:
    """The range reaches from the k-th smallest to the k-th largest of all owners' values, bit for bit."""
    rng = np.random.default_rng(rank)
    tables = [rng.standard_cauchy(size=(n, 3)).round(1) for n in (1, 7, 12)]
    tables[0][0] = 1e300  # a wild owner
    pooled = np.sort(np.concatenate(tables), axis=0)

    async def steps(link: Any, table: np.ndarray) -> Any:
        return await agree_robust_ranges(link, list(table.T), rank, "records", exact=True)

    lo, hi = same(together(steps, tables))
    assert lo.tolist() == pooled[rank - 1].tolist()
    assert hi.tolist() == pooled[-rank].tolist()


def test_robust_ranges_over_owners_ignore_a_wild_one(together: Together) -> None:
    """Ranked by owner, the second largest of the owners' extremes wins, however many wild values one owner has."""
    tables = [np.full((50, 1), 1e9), np.array([[1.0], [2.0]]), np.array([[-3.0], [5.0]]), np.array([[0.0], [4.0]])]

    async def steps(link: Any, table: np.ndarray) -> Any:
        return await agree_robust_ranges(link, list(table.T), 2, "owners", exact=True)

    lo, hi = same(together(steps, tables))
    assert (lo[0], hi[0]) == (0.0, 5.0)


def test_too_few_values_for_a_rank(together: Together) -> None:
    """Where there is no k-th value, all owners are told which feature lacks it."""

    async def steps(link: Any, table: np.ndarray) -> Any:
        return await agree_robust_ranges(link, list(table.T), 4, "records", exact=False)

    with pytest.raises(ProtocolError, match="fewer than 4 values of feature 0"):
        together(steps, [np.ones((1, 1))] * 3)


# ---------------------------------------------------------------------- votes
def plurality(votes: Sequence[int | None], n_choices: int) -> int:
    """Count openly."""
    tally = [sum(vote == choice for vote in votes) for choice in range(n_choices)]
    return tally.index(max(tally))


def test_plurality_for_all_ballots(together: Together) -> None:
    """For every ballot of four owners over three choices, abstentions too, the choice with the most votes wins."""
    ballots = list(itertools.product([None, 0, 1, 2], repeat=4))[::3]

    async def steps(link: Any, votes: Sequence[int | None]) -> Any:
        return [await choose(link, vote, 3) for vote in votes]

    columns = [[ballot[owner] for ballot in ballots] for owner in range(4)]
    assert same(together(steps, columns)) == [plurality(ballot, 3) for ballot in ballots]


def test_plurality_among_many(together: Together) -> None:
    """Seven owners over six choices, and over a single one."""
    rng = np.random.default_rng(0)
    ballots = rng.integers(0, 6, (12, 7)).tolist()

    async def steps(link: Any, votes: Sequence[int]) -> Any:
        return [await choose(link, vote, 6) for vote in votes] + [await choose(link, 0, 1)]

    columns = [[ballot[owner] for ballot in ballots] for owner in range(7)]
    assert same(together(steps, columns)) == [plurality(ballot, 6) for ballot in ballots] + [0]


@pytest.mark.parametrize(
    ("named", "agreed"), [((1.0, 0.1, 2.0), 0.1), ((None, 3.0, None), 3.0), ((None, None, None), None)]
)
def test_the_strictest_epsilon_wins(together: Together, named: tuple[float | None, ...], agreed: float | None) -> None:
    """The least epsilon that is named wins, to the last bit; who names none leaves it to the others."""
    assert same(together(strictest, named)) == agreed


# ---------------------------------------------------------------------- rows
def test_numbers_of_rows(together: Together) -> None:
    """The exact sum, or its first two digits: for small, round and large numbers."""
    totals = [(0, 0, 1), (33, 33, 33), (40, 30, 30), (500, 499, 0), (12345, 6789, 10), (10**9, 1, 2)]

    async def steps(link: Any, counts: Sequence[int]) -> Any:
        return [(await count_rows(link, n, "exact"), await count_rows(link, n, "rounded")) for n in counts]

    results = same(together(steps, list(zip(*totals, strict=True))))
    for (exact, rounded), counts in zip(results, totals, strict=True):
        assert exact == sum(counts)
        assert rounded == max(number for number in ROUND_NUMBERS if number <= sum(counts))
    assert max(ROUND_NUMBERS) > 1 << 39


# ---------------------------------------------------------------------- categories
def union(together: Together, *owners: Any, most: int = 100) -> Any:
    """Let owners agree on the categories of some columns."""

    async def steps(link: Any, columns: Any) -> Any:
        return await agree_categories(link, columns, most)

    return same(together(steps, owners))


def test_categories_are_the_union(together: Together) -> None:
    """Categories of several columns at once: beginnings of each other, other scripts, empty text, negative numbers."""
    found = union(
        together,
        [["a", "ab", "abc"], [3, -1], ["x"]],
        [["ab", "日本"], [10**15, 3], []],
        [["", "A"], [], []],
    )
    assert found == [("", "A", "a", "ab", "abc", "日本"), (-1, 3, 10**15), ("x",)]


@given(lists=st.lists(st.sets(st.text(max_size=6), max_size=5), min_size=3, max_size=3))
@settings(max_examples=15, deadline=None)
def test_any_text_is_agreed_on(lists: list[set[str]]) -> None:
    """Whatever text is a category in a file comes out of the union as it went in; what cannot is refused at home."""
    from hashcomb.mpc.protocols.categories import _categories, to_bytes

    union_ = sorted(set().union(*lists) or {"a"})
    if any("\0" in text or any("\ud800" <= c <= "\udfff" for c in text) for text in union_):
        return
    assert _categories([to_bytes(text).hex() for text in union_], 0) == tuple(union_)


@pytest.mark.parametrize(
    ("owners", "most", "match"),
    [
        (([["a"]], [["b"]], [["c"]]), 2, "more than 2 categories"),
        (([["1"]], [[1]], [["1"]]), 9, "text at one owner and numbers at another"),
        (([[]], [[]], [[]]), 9, "no owner has a category"),
    ],
)
def test_categories_that_make_no_list(together: Together, owners: Any, most: int, match: str) -> None:
    """Too many, of two kinds, or none: every owner is told which column."""
    with pytest.raises(ProtocolError, match=match):
        union(together, *owners, most=most)


def test_a_category_too_long_is_refused_at_home(together: Together) -> None:
    """A category of more than 200 bytes never reaches the network, and is not in the message."""
    with pytest.raises(DataError, match="longer") as caught:
        union(together, [["SECRET" * 50]], [["a"]], [["b"]])
    assert "SECRET" not in str(caught.value)


# ---------------------------------------------------------------------- means
def test_means_of_leaves(together: Together) -> None:
    """Means are those of all owners' values, to a 65,536th of the leaf; leaves with too few keep their center."""
    rng = np.random.default_rng(0)
    tables = [rng.exponential(size=n) for n in (30, 1, 200)]
    pooled, ends = np.concatenate(tables), np.array([0.0, 0.25, 0.25, 0.7, 1.5, 40.0, 50.0])

    async def steps(link: Any, values: np.ndarray) -> Any:
        return await agree_means(link, [values, values], [ends, ends], 5)

    first, second = same(together(steps, tables))
    assert first.tolist() == second.tolist()
    leaf = np.searchsorted(ends[1:-1], pooled, side="right")
    for place, (left, right, mean) in enumerate(zip(ends, ends[1:], first, strict=False)):
        own = pooled[leaf == place]
        expected = own.mean() if len(own) >= 5 else (left + right) / 2
        assert abs(mean - expected) <= (right - left) / 2**16
        assert left <= mean <= right


def test_means_of_the_widest_range(together: Together) -> None:
    """Leaves as wide as the doubles go do not overflow."""
    ends = np.array([-1.7e308, 0.0, 1.7e308])

    async def steps(link: Any, values: np.ndarray) -> Any:
        return await agree_means(link, [values], [ends], 1)

    (means,) = same(together(steps, [np.array([-1e308]), np.array([1e308]), np.array([1.5e308])]))
    assert np.allclose(means, [-1e308, 1.25e308], rtol=1e-4)


# ---------------------------------------------------------------------- key and salts
def test_salts_follow_from_key_and_transcript(together: Together) -> None:
    """Every owner has the same salt for a round; other rounds, keys and transcripts have others."""

    async def steps(link: Any, _: Any) -> Any:
        return bytes(await joint_key(link, bytes(32)))

    from hashcomb import Key

    key, other = Key(same(together(steps, [0, 1, 2]))), Key(bytes(range(32)))
    salts = [round_salt(key, bytes(32), round_) for round_ in range(4)]
    salts += [round_salt(key, b"x" * 32, 0), round_salt(other, bytes(32), 0)]
    assert len(set(salts)) == 6
    assert {len(salt) for salt in salts} == {32}
    for wrong in (-1, 1 << 64, True):
        with pytest.raises(ProtocolError):
            round_salt(key, bytes(32), wrong)
