"""Owners agree over real sockets, and the result is that of the pooled data."""

import asyncio
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hashcomb import Categorical, ChannelSpec, HashComb, Quantile, RandomizedResponse, Uniform, quantile_edges
from hashcomb.errors import DataError, PartyAborted, PartyMismatch, PartyTimeout, ProtocolError, SpecError
from hashcomb.mpc import Agreement, Party, Peer, Policy, agree
from hashcomb.mpc.arithmetic.openings import negative_sums
from hashcomb.order import to_keys

Agreed = Callable[..., list[Agreement]]
Seats = Callable[..., list[Party]]


def pooled(n: int = 900, seed: int = 0) -> np.ndarray:
    """Return rows of every kind: a bell, three values, a rare flag, a long tail with zeros, a constant, late dates."""
    rng = np.random.default_rng(seed)
    columns = [
        rng.normal(size=n),
        rng.integers(0, 3, n),
        rng.random(n) < 0.03,
        np.exp(3 * rng.normal(size=n)) * (rng.random(n) < 0.3),
        np.full(n, 7.25),
        1.7e9 + rng.integers(0, 10**6, n),
    ]
    return np.column_stack(columns).astype(np.float64)


def numeric(agreement: Agreement) -> list[Quantile | Uniform]:
    """Return the agreed features."""
    return [feature for feature in agreement.spec.features if not isinstance(feature, Categorical)]


@pytest.mark.parametrize("n_owners", [3, 4, 5, 10])
def test_all_owners_hold_one_result(agreed: Agreed, n_owners: int) -> None:
    """Spec, Key and transcript are the same at every owner, and new ones come with every run."""
    tables = np.array_split(pooled(), n_owners)
    first, second = agreed(tables), agreed(tables)
    assert len({a.spec.fingerprint for a in first}) == 1
    assert len({bytes(a.key) for a in first}) == 1
    assert len({a.transcript for a in first}) == 1
    assert second[0].spec == first[0].spec
    assert second[0].key != first[0].key
    assert second[0].transcript != first[0].transcript


@pytest.mark.parametrize("n_owners", [3, 4, 5])
def test_exact_mode_gives_the_pooled_datas_own_spec(agreed: Agreed, n_owners: int) -> None:
    """Ranges and quantile edges are, bit for bit, those computed from all rows in one place."""
    rows = pooled()
    order = np.random.default_rng(n_owners).permutation(len(rows))
    sizes = [1, *np.sort(np.random.default_rng(n_owners).integers(2, len(rows), n_owners - 2))]
    tables = np.split(rows[order], sizes)  # one owner has a single row
    result = agreed(tables, precision="exact")[0]
    for feature, column in zip(numeric(result), rows.T, strict=True):
        assert isinstance(feature, Quantile)
        assert (feature.lo, feature.hi) == (column.min(), column.max())
        assert list(feature.edges) == quantile_edges(column, 16).tolist()


def test_the_grid_hides_exact_ends_and_keeps_the_leaves(agreed: Agreed) -> None:
    """On the grid, ranges cover the data with little slack, and edges lie in the cells of the exact ones."""
    rows = pooled()
    result = agreed(np.array_split(rows, 3))[0]
    for feature, column in zip(numeric(result), rows.T, strict=True):
        assert isinstance(feature, Quantile)
        slack = 2.5e-4 * max(abs(column.min()), abs(column.max()))
        assert column.min() - slack <= feature.lo <= column.min()
        assert column.max() <= feature.hi <= column.max() + slack
        exact = np.unique(quantile_edges(column, 16))
        found = np.unique(feature.edges)
        assert len(found) == len(exact)
        assert np.allclose(found, exact, rtol=5e-4, atol=1e-300)
        same = np.searchsorted(feature.edges, column, side="right") == np.searchsorted(
            quantile_edges(column, 16), column, side="right"
        )
        assert same.mean() > 0.98


@pytest.mark.parametrize("column", [[-0.0, 0.0, 5e-324, -5e-324, 1.0], [3.0] * 5, [1e308, -1e308, 0.0, 1.0, 2.0]])
def test_corners_of_the_doubles(agreed: Agreed, column: list[float]) -> None:
    """Both zeros, subnormals, constants and the widest ranges agree exactly."""
    tables = [np.array(part)[:, None] for part in (column[:2], column[2:3], column[3:])]
    feature = numeric(agreed(tables, precision="exact", edges="quantile", votes=[2, 2, 2])[0])[0]
    assert isinstance(feature, Quantile)
    assert (feature.lo, feature.hi) == (min(column), max(column))
    assert list(feature.edges) == quantile_edges(column, 4).tolist()


def test_missing_values_take_no_part(agreed: Agreed) -> None:
    """An owner without a value of a feature abstains; with all values missing at one owner the others agree."""
    tables = [np.array([[np.nan], [np.nan]]), np.array([[1.0], [np.nan]]), np.array([[2.0], [5.0]])]
    feature = numeric(agreed(tables, precision="exact", missing="token")[0])[0]
    assert (feature.lo, feature.hi) == (1.0, 5.0)


def test_uniform_edges_and_margin(agreed: Agreed) -> None:
    """With uniform edges only the ranges are agreed; a margin enlarges them; a constant feature is no obstacle."""
    rows = pooled()[:, [0, 4]]
    result = agreed(np.array_split(rows, 3), precision="exact", edges="uniform", margin=0.5)[0]
    first, constant = numeric(result)
    assert isinstance(first, Uniform)
    width = rows[:, 0].max() - rows[:, 0].min()
    assert first.lo == rows[:, 0].min() - 0.5 * width
    assert isinstance(constant, Quantile)


@pytest.mark.parametrize(
    ("rule", "votes", "depth"),
    [
        ("median", [2, 5, 3], 3),
        ("median", [1, 2, 8, 9], 2),
        ("min", [4, 2, 3], 2),
        ("max", [4, 2, 3], 4),
        ("median", [12] * 5, 12),
        ("max", [1] * 3, 1),
    ],
)
def test_votes_on_the_depth(agreed: Agreed, rule: str, votes: list[int], depth: int) -> None:
    """The median (the lower of an even number), least or largest vote wins."""
    tables = [np.arange(10.0)[:, None] + i for i in range(len(votes))]
    assert agreed(tables, votes=votes, depth_rule=rule, edges="uniform")[0].spec.depth == depth


def test_policy_goes_into_the_spec(agreed: Agreed) -> None:
    """Rules, hash and channel are those of the policy, and the owners' tokens are the same."""
    frames = [pd.DataFrame({"a": np.random.default_rng(i).normal(size=50), "b": np.arange(50.0)}) for i in range(3)]
    policy = {"missing": "token", "outside": "clip", "hash": "siphash", "tokens": "comb"}
    results = agreed(frames, **policy, channel=RandomizedResponse(2.0, depth="leaf").to_spec())
    assert results[0].spec.names == ("a", "b")
    assert {name: getattr(results[0].spec, name) for name in policy} == policy
    agreed_plain = agreed(frames)
    tokens = [HashComb(a.spec, a.key).encode(frames[0]) for a in agreed_plain]
    assert (tokens[0] == tokens[1]).all(axis=None)
    assert (tokens[0] == tokens[2]).all(axis=None)


def test_many_features(agreed: Agreed) -> None:
    """Fifty-seven features at depth 4 among ten owners, all of whom compute."""
    rows = np.random.default_rng(0).normal(size=(1000, 57))
    result = agreed(np.array_split(rows, 10), precision="grid")[0]
    assert len(result.spec.features) == 57
    masses = [
        np.bincount(np.searchsorted(f.edges, x, side="right"))
        for f, x in zip(result.spec.features, rows.T, strict=True)
        if isinstance(f, Quantile)
    ]
    assert max(mass.max() for mass in masses) <= 64  # 62 or 63 of a thousand each, and one more where cells are shared


# ---------------------------------------------------------------------- inside somebody's program
def test_the_host_program_is_left_alone(seats: Seats, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agreement runs inside a running loop, and changes neither argv, logging, environment, loop nor its handler."""
    import os

    monkeypatch.setattr(sys, "argv", ["host", "-M3", "-V", "--unknown"])
    root = logging.getLogger()
    before = (list(sys.argv), list(root.handlers), root.level, dict(os.environ), asyncio.get_event_loop_policy())

    def handler(loop: Any, context: Any) -> None:
        raise AssertionError(context)

    async def host() -> list[Agreement]:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(handler)
        table = np.arange(12.0).reshape(4, 3)
        for _ in range(2):  # several agreements, one after another
            results = await asyncio.gather(*[agree(party, table) for party in seats(3)])
        assert loop.get_exception_handler() is handler
        return results

    asyncio.run(host())
    assert (
        list(sys.argv),
        list(root.handlers),
        root.level,
        dict(os.environ),
        asyncio.get_event_loop_policy(),
    ) == before


def test_agreements_in_threads(seats: Seats) -> None:
    """Each owner may run in a thread with a loop of its own while the host's loop goes on."""

    async def host() -> set[str]:
        table, parties = np.arange(12.0).reshape(4, 3), seats(3)
        runs = [asyncio.to_thread(asyncio.run, agree(party, table)) for party in parties]
        return {result.transcript for result in await asyncio.gather(*runs)}

    assert len(asyncio.run(host())) == 1


def test_progress_names_every_step(seats: Seats) -> None:
    """The caller is told of each step in order."""
    told: list[str] = []

    async def owners() -> None:
        table, parties = np.arange(6.0).reshape(2, 3), seats(3)
        runs = [agree(party, table, progress=told.append if party.index == 1 else None) for party in parties]
        await asyncio.gather(*runs)

    asyncio.run(owners())
    assert tuple(told) == Policy().steps


# ---------------------------------------------------------------------- bad data, before anything is sent
@pytest.mark.parametrize(
    "table",
    [
        np.zeros((0, 2)),
        np.array([[np.nan, 1.0]]),
        np.array([[np.inf, 1.0]]),
        np.array([["SECRET", 1.0]], dtype=object),
        np.zeros(3),
    ],
    ids=["empty", "missing", "infinite", "text", "flat"],
)
def test_bad_data_never_reaches_the_network(seats: Seats, table: np.ndarray) -> None:
    """Data that cannot take part are refused before this owner listens or dials."""
    party = seats(3, connect_timeout_s=0.001)[0]
    with pytest.raises(DataError) as caught:
        asyncio.run(agree(party, table))
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("depth", [0, 13, 4.0, True])
def test_impossible_votes(seats: Seats, depth: Any) -> None:
    """A vote is a whole number up to the policy's largest."""
    with pytest.raises(SpecError, match="vote"):
        asyncio.run(agree(seats(3)[0], np.zeros((2, 2)), depth=depth))


def outcomes(seats: Seats, *tables: Any, policies: list[Policy] | None = None, **options: Any) -> list[Any]:
    """Let three owners try, and return what became of each."""

    async def owners() -> list[Any]:
        parties = seats(3, **options)
        kinds = policies or [Policy()] * 3
        runs = [agree(*seat) for seat in zip(parties, tables, kinds, strict=False)]
        return await asyncio.gather(*runs, return_exceptions=True)

    return asyncio.run(owners())


def test_a_feature_that_nobody_has(seats: Seats) -> None:
    """If all values of a feature are missing everywhere, every owner is told which feature."""
    table = np.array([[1.0, np.nan], [2.0, np.nan]])
    errors = outcomes(seats, table, table, table, policies=[Policy(missing="token")] * 3)
    assert all(isinstance(error, ProtocolError) and "feature 1" in str(error) for error in errors)


def test_another_number_of_features_is_named(seats: Seats) -> None:
    """All owners end at once, and those with the right number are told who has another."""
    errors = outcomes(seats, np.zeros((3, 4)), np.zeros((3, 5)), np.zeros((3, 4)), connect_timeout_s=10.0)
    assert all(isinstance(error, PartyMismatch) for error in errors)
    assert [errors[0].party, errors[2].party] == ["owner-1", "owner-1"]
    assert "5 features" in str(errors[0])
    assert "5 features" in str(errors[2])


def test_other_names_and_other_policies_are_mismatches(seats: Seats) -> None:
    """Columns with other names, and another policy, end in PartyMismatch before any private byte is sent."""
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 2.0]})
    for error in outcomes(seats, frame, frame, frame.rename(columns={"b": "c"}), connect_timeout_s=10.0):
        assert isinstance(error, PartyMismatch)
    policies = [Policy(), Policy(), Policy(margin=0.1)]
    for error in outcomes(seats, frame, frame, frame, policies=policies, connect_timeout_s=10.0):
        assert isinstance(error, PartyMismatch)
        assert error.step == "connect"


def test_an_owner_that_never_comes_is_named(seats: Seats) -> None:
    """After the time to connect, both others name the absent one."""
    errors = outcomes(seats, np.zeros((2, 2)), np.zeros((2, 2)), connect_timeout_s=1.0)
    assert all(isinstance(error, PartyTimeout) for error in errors)
    assert {error.party for error in errors} == {"owner-2"}
    assert {error.step for error in errors} == {"connect"}


def test_a_port_that_is_taken(seats: Seats) -> None:
    """An owner that cannot listen says so at once; the others are told or wait in vain, and end too."""
    import socket

    async def owners() -> list[Any]:
        parties = seats(3, connect_timeout_s=2.0)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", parties[1].peers[1].port))
            taken.listen()
            return await asyncio.gather(*[agree(p, np.zeros((2, 2))) for p in parties], return_exceptions=True)

    errors = asyncio.run(owners())
    assert "cannot listen" in str(errors[1])
    assert all(isinstance(error, ProtocolError) for error in errors), errors
    assert issubclass(PartyAborted, ProtocolError)


# ---------------------------------------------------------------------- what is opened
def stated_openings(values: list[float], n_leaves: int) -> list[list[int]]:
    """List, from the pooled values, all answers that `agree_edges` says it opens for one feature."""
    keys = [int(key) for key in to_keys(np.array(values))]
    least, opened = min(keys), []
    n_bits = (max(keys) - least + 1).bit_length()
    starts: set[int] = set()
    while True:
        has_least = least in starts
        if starts:
            opened.append([int(has_least)])
        free = n_leaves - 1 - (len(starts) - has_least)
        if free == 0:
            return opened
        rest = sorted(key - least for key in keys if key not in starts)
        places = [i * len(rest) // free if has_least else (i + 1) * len(rest) // (free + 1) for i in range(free)]
        found = [rest[place] for place in places] if rest else [(1 << n_bits) - 1] * free
        opened += [[cell >> bit & 1 for cell in found] for bit in reversed(range(n_bits))]
        if not rest:
            return opened
        starts |= {least + cell for cell in found}


@pytest.mark.parametrize(
    "values",
    [
        [0.0] * 20 + [1.0, 2.0, 2.0, 5.0, 7.5, 7.5, 9.0, 11.0, 12.0],
        [1.0] * 3 + [4.0] * 25 + [5.0, 6.0, 6.0],
        [float(v) for v in range(40)],
        [3.0] * 12,
    ],
    ids=["ties at the least value", "ties inside", "no ties", "constant"],
)
def test_everything_opened_is_stated(agreed: Agreed, values: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer of the search for edges follows from the list in the docstring; there is not one more."""
    opened: list[list[int]] = []

    async def spy(link: Any, mine: Any, n_bits: int) -> Any:
        answers = await negative_sums(link, mine, n_bits)
        if link.me == 0:
            opened.append(answers.astype(int).tolist())
        return answers

    monkeypatch.setattr("hashcomb.mpc.protocols.quantiles.negative_sums", spy)
    rows = np.random.default_rng(0).permutation(values)[:, None]
    agreed(np.array_split(rows, 3), votes=[3, 3, 3], precision="exact")
    assert opened == stated_openings(values, 8)


def test_what_makes_no_spec_is_refused_before_connecting(seats: Seats) -> None:
    """Names of features, channels and levels that no Spec can have, and types, never reach the network."""
    party = seats(3, connect_timeout_s=0.001)[0]
    table = {"a": np.arange(3.0), "": np.arange(3.0)}
    unknown = ChannelSpec(kind="unheard-of", params={})
    for rows, policy in ((table, Policy()), (np.eye(3), Policy(channel=unknown)), (np.eye(3), Policy(tokens=13))):
        with pytest.raises(SpecError):
            asyncio.run(agree(party, rows, policy))
    for words in ({"edges": "quantiles"}, {"depth_rule": "mean"}, {"margin": -1.0}, {"depth_max": 4.5}):
        with pytest.raises(SpecError) as caught:
            Policy(**words)
        assert caught.value.path == next(iter(words))


def test_a_level_below_the_agreed_depth_ends_before_ranges(seats: Seats) -> None:
    """If the vote makes the policy's level impossible, all owners stop with nothing opened but the depth."""
    steps: list[str] = []

    async def owners() -> list[Any]:
        rows = np.random.default_rng(0).normal(size=(9, 2))
        runs = [agree(party, rows, Policy(tokens=6), progress=steps.append) for party in seats(3)]
        return await asyncio.gather(*runs, return_exceptions=True)

    for error in asyncio.run(owners()):
        assert isinstance(error, SpecError | PartyAborted)
    assert "ranges" not in steps


def test_a_range_that_cannot_be_cut_has_one_leaf(agreed: Agreed) -> None:
    """Uniform combs over a range of one unit in the last place fall back to a single leaf, as for constants."""
    one, two = 1.0, np.nextafter(1.0, 2.0)
    feature = numeric(
        agreed([np.array([[one]]), np.array([[two]]), np.array([[one]])], edges="uniform", precision="exact")[0]
    )[0]
    assert isinstance(feature, Quantile)
    assert (feature.lo, feature.hi) == (one, two)


def test_numbers_that_cannot_be_rounded_outward_are_named(seats: Seats) -> None:
    """A code such as the largest double would make every owner's range infinite; its owner is told where it is."""
    rows = np.zeros((3, 2))
    rows[1, 1] = np.finfo(float).max
    with pytest.raises(DataError, match="row 1"):
        asyncio.run(agree(seats(3, connect_timeout_s=0.001)[0], rows))


def test_no_socket_is_left(seats: Seats) -> None:
    """Silent strangers that connected while owners met do not keep a socket open after the agreement."""

    async def owners() -> list[Any]:
        parties = seats(3)
        listening = [asyncio.create_task(agree(party, np.eye(3))) for party in parties[1:]]
        strangers = [await _connect(parties[1].peers[1].port) for _ in range(3)]
        await asyncio.gather(agree(parties[0], np.eye(3)), *listening)
        said = [await asyncio.wait_for(reader.read(), 5.0) for reader, _ in strangers]
        for _, writer in strangers:
            writer.close()
        return said

    assert all(len(said) <= 90 for said in asyncio.run(owners()))  # each got an end, after the greeting at most


async def _connect(port: int) -> Any:
    """Connect as soon as somebody listens."""
    for _ in range(200):
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
    raise AssertionError("nobody listens")


def test_the_largest_depth_need_not_be_usable(agreed: Agreed) -> None:
    """A policy that goes with the depth that is voted is enough."""
    rows = np.arange(12.0)[:, None]
    assert agreed([rows, rows, rows], token_bits=32, depth_max=16)[0].spec.depth == 4


def test_policies_and_peers_take_what_python_users_have() -> None:
    """NumPy's numbers and paths become what a file would hold."""
    given: dict[str, Any] = {"margin": np.float64(0.5), "depth_max": np.int64(5)}
    assert Policy(**given) == Policy(margin=0.5, depth_max=5)
    peer = Peer(name="a", host="h", port=np.int64(4000), cert=Path("x.pem"))  # type: ignore[arg-type]
    assert peer == Peer(name="a", host="h", port=4000, cert="x.pem")
