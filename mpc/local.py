"""All owners in one program, over real connections: for notebooks, for trying a policy, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from hashcomb.columns import as_frame
from hashcomb.errors import DataError, PartyAborted
from hashcomb.mpc.agree import Agreement, agree
from hashcomb.mpc.network.certificates import make_certificates
from hashcomb.mpc.network.parties import Party, Peer, free_ports
from hashcomb.mpc.policy import Policy
from hashcomb.mpc.watch import Progress

__all__ = ("run", "seats")

T = TypeVar("T")

_TIMEOUT_S = 600.0
_GRACE_S = 1.0


def run(
    data: Any,
    owners: int | None = None,
    policy: Policy | None = None,
    *,
    votes: Sequence[Mapping[str, Any]] | None = None,
    progress: bool = True,
    **fields: Any,
) -> list[Agreement]:
    """Let several owners agree on this machine, each over TLS with a certificate of its own.

    Parameters
    ----------
    data : table, or list of tables
        One table for each owner (arrays, mappings of columns or data frames); or a single one, whose rows are
        dealt to the owners in order.
    owners : int, optional
        How many there are; by default one for each table, or three.
    policy : Policy, optional
        The policy; or give its fields by keyword.
    votes : sequence of mapping, optional
        For each owner what it votes for: ``depth``, ``epsilon``, ``channel``, ``hash``.
    progress : bool, optional
        Whether to show the steps of the first owner, on a terminal or in a notebook.
    **fields
        Fields of `Policy`.

    Returns
    -------
    list of Agreement
        That of each owner.

    Raises
    ------
    DataError
        If the tables do not go with the number of owners.
    HashcombError
        What the agreement raised at the owner that stopped it.

    Notes
    -----
    Privacy: all owners are in one program, which sees everything. Nothing of it is different from an agreement
    between machines but that.

    It may be called where an event loop runs already, as in a notebook: it works in a thread of its own. Several
    calls one after another, or at once, do not disturb each other.

    Examples
    --------
    >>> import numpy as np
    >>> from hashcomb.mpc import local
    >>> rows = np.random.default_rng(0).normal(size=(300, 2))
    >>> first, *others = local.run(rows, owners=5, progress=False)
    >>> all(other.spec == first.spec for other in others)
    True
    """
    if policy is not None and fields:
        raise DataError("a policy and fields of one exclude each other", hint="pass one or the other")
    policy = policy or Policy(**fields)
    tables = _tables(data, owners)
    ballots = [dict(vote) for vote in votes] if votes is not None else [{} for _ in tables]
    if len(ballots) != len(tables):
        raise DataError(f"{len(ballots)} votes for {len(tables)} owners")
    with tempfile.TemporaryDirectory(prefix="hashcomb-") as folder, _shown(policy.steps, progress) as show:
        jobs = list(zip(seats(len(tables), folder), tables, ballots, strict=True))
        results = _in_thread(_all(jobs, policy, show))
    return [_settled(result, results) for result in results]


def seats(n_owners: int, folder: str, **options: Any) -> list[Party]:
    """Seat owners on loopback, with certificates in a folder.

    Parameters
    ----------
    n_owners : int
        How many.
    folder : path
        Where certificates and private keys are written.
    **options
        Further fields of `Party`.

    Returns
    -------
    list of Party
        ``owner-1``, ``owner-2``, ...
    """
    names = [f"owner-{place + 1}" for place in range(n_owners)]
    files = make_certificates(names, folder)
    peers = tuple(
        Peer(name=name, host="127.0.0.1", port=port, cert=str(files[name][0]))
        for name, port in zip(names, free_ports(n_owners), strict=True)
    )
    timeouts = {"connect_timeout_s": _TIMEOUT_S, "deadline_s": _TIMEOUT_S}
    return [Party(me=name, peers=peers, tls_key=str(files[name][1]), **{**timeouts, **options}) for name in names]


def _in_thread(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a loop and thread of its own; if the caller is interrupted, cancel it."""
    running: list[Any] = []

    async def noted() -> T:
        running.extend((asyncio.get_running_loop(), asyncio.current_task()))
        return await work

    with ThreadPoolExecutor(1, thread_name_prefix="hashcomb-local") as thread:
        future = thread.submit(asyncio.run, noted())
        try:
            return future.result()
        except KeyboardInterrupt:
            if running:
                running[0].call_soon_threadsafe(running[1].cancel)
            raise


async def _all(jobs: list[tuple[Party, Any, dict[str, Any]]], policy: Policy, show: Progress) -> list[Any]:
    runs = [
        asyncio.create_task(agree(party, table, policy, **votes, progress=show if party.index == 0 else None))
        for party, table, votes in jobs
    ]
    try:
        await asyncio.wait(runs, return_when=asyncio.FIRST_EXCEPTION)
    except asyncio.CancelledError:
        for task in runs:
            task.cancel()
        await asyncio.wait(runs)
        raise
    # The others are told why, unless it was before they met: then they would wait in vain.
    _, waiting = await asyncio.wait(runs, timeout=_GRACE_S)
    for task in waiting:
        task.cancel()
    return await asyncio.gather(*runs, return_exceptions=True)


def _settled(result: Any, results: list[Any]) -> Agreement:
    """Return a result; raise the error that came first, not what the others were told of it."""
    errors = [error for error in results if isinstance(error, BaseException)]
    if errors:
        own = [error for error in errors if not isinstance(error, PartyAborted | asyncio.CancelledError)]
        raise (own or errors)[0]
    agreement: Agreement = result
    return agreement


# ---------------------------------------------------------------------- rows
def _tables(data: Any, owners: int | None) -> list[Any]:
    if isinstance(data, list | tuple) and not np.isscalar(data[0] if len(data) else 0) and _are_tables(data):
        if owners not in (None, len(data)):
            raise DataError(f"{len(data)} tables for {owners} owners")
        return list(data)
    if owners is not None and (not isinstance(owners, int) or owners < 1):
        raise DataError("the number of owners must be a whole number from 1")
    return _dealt(data, 3 if owners is None else owners)


def _are_tables(items: Sequence[Any]) -> bool:
    return all(isinstance(item, Mapping) or as_frame(item) is not None or np.ndim(item) == 2 for item in items)


def _dealt(table: Any, n_owners: int) -> list[Any]:
    """Cut one table into as many as there are owners, of nearly equal length."""
    frame = as_frame(table)
    n_rows = len(next(iter(table.values()))) if isinstance(table, Mapping) else len(table if frame is None else frame)
    if n_rows < n_owners:
        raise DataError(f"{n_rows} rows for {n_owners} owners", hint="every owner needs one")
    ends = [n_rows * place // n_owners for place in range(n_owners + 1)]
    slices = [slice(*pair) for pair in pairwise(ends)]
    if isinstance(table, Mapping):
        return [{name: column[part] for name, column in table.items()} for part in slices]
    return [table[part] if frame is None else frame[part].to_native() for part in slices]


# ---------------------------------------------------------------------- progress
@contextlib.contextmanager
def _shown(steps: Sequence[str], progress: bool) -> Iterator[Progress]:
    """Show the steps on stderr, where somebody is looking, or in a notebook."""
    if not progress:
        yield lambda _: None
        return
    console = Console(stderr=True)
    columns = (TextColumn("agreement: {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=console, disable=not (console.is_terminal or console.is_jupyter)) as bar:
        task = bar.add_task(steps[0], total=len(steps))
        yield lambda step: bar.update(task, description=step, completed=list(steps).index(step))
        bar.update(task, description="done", completed=len(steps))
