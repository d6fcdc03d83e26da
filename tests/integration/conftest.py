"""Owners that agree, each with real sockets, in one process and one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hashcomb.mpc import Agreement, Party, Peer, Policy, agree, free_ports


@pytest.fixture
def seats() -> Callable[..., list[Party]]:
    """Return a function that seats owners at free ports on loopback."""

    def seat(n_owners: int, **options: Any) -> list[Party]:
        ports = free_ports(n_owners)
        peers = tuple(Peer(name=f"owner-{i}", host="127.0.0.1", port=port) for i, port in enumerate(ports))
        return [Party(me=peer.name, peers=peers, **options) for peer in peers]

    return seat


@pytest.fixture
def agreed(seats: Callable[..., list[Party]]) -> Callable[..., list[Agreement]]:
    """Return a function that lets owners agree and gives every owner's result."""

    def run(tables: Sequence[Any], votes: Sequence[int] | None = None, **policy: Any) -> list[Agreement]:
        async def all_owners() -> list[Agreement]:
            parties = seats(len(tables), connect_timeout_s=20.0, deadline_s=100.0)
            depths = votes or [4] * len(tables)
            work = [
                agree(party, table, Policy(**policy), depth=depth)
                for party, table, depth in zip(parties, tables, depths, strict=True)
            ]
            return await asyncio.gather(*work)

        return asyncio.run(all_owners())

    return run
