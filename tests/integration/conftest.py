"""Owners that agree, each with real sockets, in one process and one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from hashcomb.mpc import Agreement, Party, Peer, Policy, agree, free_ports, meet


@pytest.fixture
def seats() -> Callable[..., list[Party]]:
    """Return a function that seats owners, and helpers behind them, at free ports on loopback."""

    def seat(n_owners: int, n_helpers: int = 0, host: str = "127.0.0.1", **options: Any) -> list[Party]:
        names = [f"owner-{i}" for i in range(n_owners)] + [f"helper-{i}" for i in range(n_helpers)]
        peers = tuple(
            Peer(name=name, host=host, port=port, role="owner" if name.startswith("owner") else "helper")
            for name, port in zip(names, free_ports(len(names)), strict=True)
        )
        return [Party(me=peer.name, peers=peers, **options) for peer in peers]

    return seat


@pytest.fixture
def agreed(seats: Callable[..., list[Party]]) -> Callable[..., list[Agreement]]:
    """Return a function that lets owners agree and gives every owner's result."""

    def run(
        tables: Sequence[Any], votes: Sequence[int] | None = None, ballots: Sequence[Any] | None = None, **policy: Any
    ) -> list[Agreement]:
        async def all_owners() -> list[Agreement]:
            parties = seats(len(tables), connect_timeout_s=20.0, deadline_s=100.0)
            named = ballots or [{"depth": depth} for depth in votes or [4] * len(tables)]
            work = [
                agree(party, table, Policy(**policy), **vote)
                for party, table, vote in zip(parties, tables, named, strict=True)
            ]
            return await asyncio.gather(*work)

        return asyncio.run(all_owners())

    return run


@pytest.fixture
def together(seats: Callable[..., list[Party]]) -> Callable[..., list[Any]]:
    """Return a function that runs one protocol alone between connected owners, and helpers if asked.

    It gives every owner's result. `steps` is called with the owner's connections and its own input.
    """

    def run(steps: Callable[[Any, Any], Awaitable[Any]], inputs: Sequence[Any], n_helpers: int = 0) -> list[Any]:
        async def one(party: Party, mine: Any) -> Any:
            return await meet(party, lambda link: steps(link, mine), "a test")

        async def everybody() -> list[Any]:
            parties = seats(len(inputs), n_helpers, connect_timeout_s=20.0, deadline_s=60.0)
            work = [one(party, mine) for party, mine in zip(parties, [*inputs, *[None] * n_helpers], strict=True)]
            return list(await asyncio.gather(*work, return_exceptions=True))[: len(inputs)]

        results = asyncio.run(everybody())
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return results

    return run
