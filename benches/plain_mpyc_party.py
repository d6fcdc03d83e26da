"""One party of plain MPyC, to be run as a process: ``python -m benches.plain_mpyc_party KEYS.npy`` and MPyC's options.

MPyC reads its own options from the command line as it is imported, and takes them off it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from typing import Any

import numpy as np
from mpyc.runtime import mpc

from benches.processes import peak_mb

__all__ = ("main",)

# The difference of two keys, which is what MPyC compares, is below 2**64 in magnitude: 65 bits with its sign.
SECURE_BITS = 65


async def measure(keys: np.ndarray) -> dict[str, Any]:
    """Find the maxima over all parties; say what that took from the moment all are connected."""
    await mpc.start()
    secure = mpc.SecInt(SECURE_BITS)
    await mpc.transfer(None)  # comes back once everybody is here
    sent, cpu, wall = _bytes_sent(), time.process_time(), time.perf_counter()
    mine = secure.array(keys.astype(object))  # Python ints
    everybody = mpc.np_stack(mpc.input(mine), axis=0)
    found = await mpc.output(mpc.np_amax(everybody, axis=0))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    figures = {"wall_s": wall, "cpu_s": cpu, "n_bytes": _bytes_sent() - sent, "tls": _tls_version()}
    await mpc.shutdown()
    return {**figures, "maxima": [int(value) for value in found], "has_gmpy2": _has_gmpy2(), "peak_mb": peak_mb()}


def _peers() -> list[Any]:
    return [party for party in mpc.parties if party.pid != mpc.pid]


def _bytes_sent() -> int:
    return sum(peer.protocol.nbytes_sent for peer in _peers())


def _tls_version() -> str | None:
    session = _peers()[0].protocol.transport.get_extra_info("ssl_object")
    return None if session is None else session.version()


def _has_gmpy2() -> bool:
    # The variable is what MPyC itself sets under --no-gmpy2.
    return importlib.util.find_spec("gmpy2") is not None and os.environ.get("MPYC_NOGMPY") != "1"


def main() -> None:
    """Print the figures as JSON."""
    print(json.dumps(mpc.run(measure(np.load(sys.argv[1])))))


if __name__ == "__main__":
    main()
