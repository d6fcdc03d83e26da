"""What an agreement costs: owners as tasks of one process, real sockets on loopback."""

from __future__ import annotations

import asyncio
import time

import numpy as np

from hashcomb.mpc import Agreement, Party, Peer, Policy, agree, free_ports

__all__ = ("main",)

ROWS = 6000  # of all owners together


async def run(n_owners: int, n_features: int, policy: Policy) -> Agreement:
    """Let owners agree; return the first one's result."""
    ports = free_ports(n_owners)
    peers = tuple(Peer(name=f"owner-{i}", host="127.0.0.1", port=port) for i, port in enumerate(ports))
    rows = np.random.default_rng(0).normal(size=(ROWS, n_features))
    tables = np.array_split(rows, n_owners)
    work = [agree(Party(me=p.name, peers=peers), t, policy) for p, t in zip(peers, tables, strict=True)]
    return (await asyncio.gather(*work))[0]


def main() -> None:
    """Print the table."""
    print("\n### Agreement on ranges, depth 4, quantile edges and a key (all owners on one core, no TLS)\n")
    print("| owners | features | precision | CPU s an owner | rounds | MB sent by an owner | edges / ranges, wall |")
    print("|---:|---:|---|---:|---:|---:|---:|")
    for n_owners, n_features in ((3, 12), (3, 57), (5, 57), (10, 57), (3, 1000)):
        for precision in ("grid", "exact"):
            if precision == "exact" and (n_owners, n_features) in ((10, 57), (3, 1000)):
                continue
            begun = time.process_time()
            result = asyncio.run(run(n_owners, n_features, Policy(precision=precision)))
            cpu = (time.process_time() - begun) / n_owners
            ratio = result.seconds["edges"] / result.seconds["ranges"]
            row = (n_owners, n_features, precision, f"{cpu:.2f}", result.n_rounds, f"{result.n_bytes / 1e6:.1f}")
            print("| " + " | ".join(map(str, row)) + f" | {ratio:.0f} |")
