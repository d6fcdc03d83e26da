"""Our agreement as organizations would run it: each owner a process, TLS between them, all on loopback."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import tomli_w
from numpy.typing import NDArray

from benches.processes import run_together
from hashcomb.mpc import Policy, free_ports, make_certificates

__all__ = ("OwnerRun", "exchange_ms", "least", "run_owners")


class OwnerRun(NamedTuple):
    """What one agreement took at one owner."""

    wall_s: float  # of all steps, connecting too
    seconds: dict[str, float]  # wall time of each step
    cpu_s: dict[str, float]  # CPU time of each step
    n_rounds: int
    n_bytes: int  # sent, TLS not counted
    peak_mb: float  # of the whole process
    fingerprint: str  # of the Spec


def run_owners(
    tables: Sequence[NDArray[np.float64]], policy: Policy, *, depth: int = 4, secure: bool = True
) -> list[OwnerRun]:
    """Let owners agree, each in a process of its own; return what it took at each of them.

    Parameters
    ----------
    tables : sequence of ndarray of float64, shape (n_rows_i, n_features)
        The rows of every owner.
    policy : Policy
        What is public.
    depth : int
        The vote of all owners.
    secure : bool
        With TLS 1.3, or in the clear.

    Raises
    ------
    RuntimeError
        If an owner fails, or they end with different Specs.
    """
    with _party_folder(len(tables), policy, secure) as (folder, names):
        for name, table in zip(names, tables, strict=True):
            np.save(folder / f"{name}.npy", table)
        printed = _run("agree", names, folder, str(depth))
    runs = [OwnerRun(**figures) for figures in printed]
    if len({run.fingerprint for run in runs}) != 1:
        raise RuntimeError("the owners ended with different Specs")
    return runs


def exchange_ms(n_owners: int, *, n_bytes: int = 64, n_rounds: int = 200, secure: bool = True) -> float:
    """Return the milliseconds in which every owner has a message of every other: the floor of a round."""
    with _party_folder(n_owners, Policy(), secure) as (folder, names):
        printed = _run("exchange", names, folder, str(n_rounds), str(n_bytes))
    return max(float(figures["ms"]) for figures in printed)


def least(runs: Sequence[Sequence[OwnerRun]], step: str) -> float:
    """Return the wall seconds of a step in the quickest of several agreements, each as long as its slowest owner."""
    return min(max(owner.seconds[step] for owner in run) for run in runs)


def _run(work: str, names: Sequence[str], folder: Path, *rest: str) -> list[dict[str, Any]]:
    return run_together("benches.owner_process", [[work, name, *rest] for name in names], folder)


@contextmanager
def _party_folder(n_owners: int, policy: Policy, secure: bool) -> Iterator[tuple[Path, list[str]]]:
    """Make a folder with a party.toml that all owners read, and their certificates and keys if wanted."""
    names = [f"owner-{i}" for i in range(n_owners)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if secure:
            make_certificates(names, folder, days=1)
        peers = [_peer(name, port, secure) for name, port in zip(names, free_ports(n_owners), strict=True)]
        document = {"peer": peers, "policy": _without_none(msgspec.to_builtins(policy))}
        (folder / "party.toml").write_text(tomli_w.dumps(document))
        yield folder, names


def _peer(name: str, port: int, secure: bool) -> dict[str, Any]:
    peer: dict[str, Any] = {"name": name, "host": "127.0.0.1", "port": port}
    return {**peer, "cert": f"{name}.crt"} if secure else peer


def _without_none(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what TOML cannot say."""
    return {
        name: _without_none(value) if isinstance(value, dict) else value
        for name, value in fields.items()
        if value is not None
    }
