"""What each participant sees: answers that follow from the result, and at a helper sizes alone."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from hashcomb.mpc.arithmetic import openings
from hashcomb.mpc.network import runtime
from hashcomb.mpc.protocols.categories import agree_categories
from hashcomb.mpc.protocols.epsilon import strictest
from hashcomb.mpc.protocols.means import agree_means
from hashcomb.mpc.protocols.quantiles import agree_edges
from hashcomb.mpc.protocols.ranges import agree_ranges
from hashcomb.mpc.protocols.robust_ranges import agree_robust_ranges
from hashcomb.mpc.protocols.rows import count_rows
from hashcomb.mpc.protocols.votes import choose, vote

Together = Callable[..., list[Any]]
ENDS = np.array([0.0, 1.0, 2.0, 4.0])


async def ranges(link: Any, values: Any) -> Any:
    """Agree on a range."""
    return await agree_ranges(link, np.array([min(values)]), np.array([max(values)]), exact=True)


async def robust(link: Any, values: Any) -> Any:
    """Agree on a robust range."""
    return await agree_robust_ranges(link, [np.array(values)], 2, "records", exact=True)


async def edges(link: Any, values: Any) -> Any:
    """Agree on edges in a known range."""
    return await agree_edges(link, [np.array(values)], np.array([0.0]), np.array([9.0]), 4, exact=True)


async def means(link: Any, values: Any) -> Any:
    """Agree on means of leaves."""
    return await agree_means(link, [np.array(values)], [ENDS], 2)


# Two worlds for each protocol: other inputs at every owner, and the same result.
WORLDS: dict[str, tuple[Any, Sequence[Any], Sequence[Any]]] = {
    "ranges": (ranges, ([1.0, 9.0], [2.0], [3.0]), ([5.0], [1.0, 4.0], [9.0, 8.0, 9.0])),
    "robust ranges": (robust, ([1.0, 2.0], [7.0, 8.0], [3.0]), ([-50.0, 7.0], [5.0], [2.0, 300.0])),
    "edges": (edges, ([0.0, 1.0, 2.0], [3.0, 4.0], [5.0, 6.0, 9.0]), ([9.0, 5.5], [0.5, 2.0, 4.0], [3.0, 6.0, 0.0])),
    "means": (means, ([0.5, 0.5], [1.0, 1.5], [3.9]), ([0.25, 0.75], [0.5, 1.25, 1.25], [2.5])),
    "categories": (
        lambda link, mine: agree_categories(link, [mine], 9),
        (["a", "b"], ["cde"], []),
        (["cde"], ["b", "cde"], ["a"]),
    ),
    "rounded rows": (lambda link, n: count_rows(link, n, "rounded"), (1000, 10, 5), (1, 1, 1097)),
    "exact rows": (lambda link, n: count_rows(link, n, "exact"), (1000, 10, 5), (5, 1000, 10)),
    "epsilon": (strictest, (1.0, 2.0, 3.0), (7.0, None, 1.0)),
    "vote": (lambda link, mine: vote(link, mine, 6, "median"), (1, 3, 6), (3, 3, 3)),
    "choice": (lambda link, mine: choose(link, mine, 4), (2, 2, 2), (2, None, 3)),
}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Return the list in which all answers are noted that the first owner sees."""
    answers: list[list[int]] = []

    def note(real: Any) -> Any:
        async def noting(first: Any, *rest: Any) -> Any:
            got = await real(first, *rest)
            link = getattr(first, "_link", first)
            if link.me == 0:
                answers.append(np.asarray(got).astype(int).tolist())
            return got

        return noting

    for name in ("_negative_sums", "_reached_by", "_largest_tally", "_sums"):
        monkeypatch.setattr(openings, name, note(getattr(openings, name)))
    monkeypatch.setattr(openings.Somebody, "answer", note(openings.Somebody.answer))
    return answers


@pytest.mark.parametrize("world", WORLDS)
def test_all_that_is_opened_follows_from_the_result(together: Together, opened: list[list[int]], world: str) -> None:
    """Where two sets of inputs have one result, every answer on the way is the same: nothing else can leak by them."""
    steps, one, other = WORLDS[world]
    first = together(steps, one)
    answers, opened[:] = list(opened), []
    second = together(steps, other)
    assert repr(first) == repr(second)
    assert answers
    assert answers == opened


@pytest.mark.parametrize("world", WORLDS)
def test_a_helper_changes_nothing(together: Together, world: str) -> None:
    """With two owners and a helper the result is that of the two owners' data."""
    steps, one, _ = WORLDS[world]
    with_helper = together(steps, one[:2], n_helpers=1)
    alone = together(steps, [*one[:2], one[0]]) if world in ("ranges", "categories", "epsilon") else None
    assert repr(with_helper[0]) == repr(with_helper[1])
    if alone is not None:
        assert repr(alone[0]) == repr(with_helper[0])


@pytest.mark.parametrize("world", [name for name in WORLDS if name != "edges"])
def test_a_helper_sees_sizes_alone(together: Together, monkeypatch: pytest.MonkeyPatch, world: str) -> None:
    """What a helper is told and how long each message to it is do not depend on the owners' inputs."""
    received: list[list[int]] = []
    told: list[bytes] = []
    cls = runtime._classes()[1]
    round_, brief = cls._round, cls.brief

    async def noting_round(self: Any, payloads: Any, to: Any, of: Any) -> Any:
        got = await round_(self, payloads, to, of)
        if not self.sees:
            received.append([len(got[pid]) for pid in of])
        return got

    async def noting_brief(self: Any, plan: bytes) -> Any:
        got = await brief(self, plan)
        if not self.sees and got[:1] == b"[":
            told.append(got)
        return got

    monkeypatch.setattr(cls, "_round", noting_round)
    monkeypatch.setattr(cls, "brief", noting_brief)
    steps, one, other = WORLDS[world]
    together(steps, (*one[:2], one[2]), n_helpers=1)
    first, received[:] = (list(received), list(told)), []
    told[:] = []
    together(steps, (*other[:2], other[2]), n_helpers=1)
    assert first[1]
    assert first == (received, told)


def test_nothing_that_is_opened_reaches_a_helper(together: Together, monkeypatch: pytest.MonkeyPatch) -> None:
    """Owners send what they open to owners only."""
    cls = runtime._classes()[1]
    round_ = cls._round
    rounds: list[tuple[int, ...]] = []

    async def noting(self: Any, payloads: Any, to: Any, of: Any) -> Any:
        if isinstance(payloads, bytes) and self.me == 0:
            rounds.append(tuple(to))
        return await round_(self, payloads, to, of)

    monkeypatch.setattr(cls, "_round", noting)
    together(edges, ([0.0, 1.0], [2.0, 3.0]), n_helpers=1)
    # The same bytes for all: a nonce goes to everybody at first, and then plans to the helper alone.
    assert set(rounds) == {(0, 1, 2), (2,), (0, 1)}
    assert rounds.count((0, 1, 2)) == 1
