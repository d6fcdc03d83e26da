"""One owner as a process: ``python -m benches.owner_process agree NAME DEPTH`` in a folder with party.toml.

``exchange NAME N_ROUNDS N_BYTES`` sends messages around instead: nothing that is agreed on can be faster.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np

from benches.processes import peak_mb
from hashcomb.mpc import Party, Policy, agree, load_party
from hashcomb.mpc.network.messages import Hello
from hashcomb.mpc.network.runtime import connect

__all__ = ("main",)

_WARM_UP = 20


async def agree_on_rows(name: str, depth: str) -> dict[str, Any]:
    """Agree on the rows in ``NAME.npy``; return what that took, as a whole and step by step."""
    party, policy = _seat(name)
    table = np.load(f"{name}.npy")
    cpu = _CpuByStep()
    wall = time.perf_counter()
    agreement = await agree(party, table, policy, depth=int(depth), progress=cpu.start)
    wall = time.perf_counter() - wall
    cpu.start("")
    return {
        "wall_s": wall,
        "seconds": agreement.seconds,
        "cpu_s": cpu.seconds,
        "n_rounds": agreement.n_rounds,
        "n_bytes": agreement.n_bytes,
        "peak_mb": peak_mb(),
        "fingerprint": agreement.spec.fingerprint,
    }


async def exchange_messages(name: str, n_rounds: str, n_bytes: str) -> dict[str, Any]:
    """Exchange messages between all owners, round after round; return the milliseconds of a round."""
    party, _ = _seat(name)
    link = await connect(party, Hello(session=bytes(32), n_features=1, features=bytes(32)))
    message = bytes(int(n_bytes))
    for _ in range(_WARM_UP):
        await link.exchange(message)
    begun = time.perf_counter()
    for _ in range(int(n_rounds)):
        await link.exchange(message)
    took = time.perf_counter() - begun
    await link.close()
    return {"ms": 1e3 * took / int(n_rounds)}


class _CpuByStep:
    """Takes the CPU time of each step, told when one begins."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._step, self._since = "", 0.0

    def start(self, step: str) -> None:
        now = time.process_time()
        if self._step:
            self.seconds[self._step] = now - self._since
        self._step, self._since = step, now


def _seat(name: str) -> tuple[Party, Policy]:
    key = f"{name}-tls.key"
    party, policy, _ = load_party("party.toml", name=name, tls_key=key if Path(key).exists() else None)
    return party, policy


_WORK: dict[str, Callable[..., Coroutine[Any, Any, dict[str, Any]]]] = {
    "agree": agree_on_rows,
    "exchange": exchange_messages,
}


def main() -> None:
    """Print the figures as JSON."""
    print(json.dumps(asyncio.run(_WORK[sys.argv[1]](*sys.argv[2:]))))


if __name__ == "__main__":
    main()
