"""Processes that measure, so that one can be ended at any moment, and several use several cores."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import Any

import msgspec
import numpy as np
from threadpoolctl import threadpool_limits

from hashcomb.errors import HashcombError, unforeseen
from hashcomb.evidence.arms import score
from hashcomb.evidence.data import DataSet
from hashcomb.evidence.fold import Fold
from hashcomb.evidence.plan import VERSION, Cell
from hashcomb.evidence.results import Result
from hashcomb.evidence.splits import trained_and_tested

__all__ = ("Failure", "measure", "measured")

Crew = dict[Any, tuple[Any, Cell]]  # by the connection to a process: the process, and what it works on


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A measurement that could not be made, and why."""

    cell: Cell
    reason: str


class Answer(msgspec.Struct):
    """What a process says of a cell: a result, or why there is none."""

    result: Result | None = None
    reason: str = ""


def measure(data: DataSet, cell: Cell) -> Result:
    """Train and test once.

    Parameters
    ----------
    data : DataSet
        Rows.
    cell : Cell
        What is measured; its `data` names these rows.

    Raises
    ------
    DataError
        If the split leaves nothing to test, or the model cannot learn from these rows.
    """
    train, test = trained_and_tested(data, cell.split, cell.seed)
    fold = Fold(data.X[train], data.y[train], data.X[test], data.y[test])
    found = score(fold, cell.model, cell.encoding, cell.seed)
    return Result(
        data=data.name,
        rows_sha=data.sha,
        split=cell.split,
        seed=cell.seed,
        model=cell.model,
        encoding=cell.encoding.name,
        family=cell.encoding.family,
        representation=cell.encoding.representation,
        edges=cell.encoding.edges,
        depth=cell.encoding.depth,
        channel=cell.encoding.channel,
        epsilon_feature=found.epsilon_feature,
        epsilon_record=found.epsilon_record,
        n_train=int(train.sum()),
        n_train_distinct=len(np.unique(data.row[train])),
        n_test=int(test.sum()),
        accuracy=found.accuracy,
        seconds=round(found.seconds, 3),
        version=VERSION,
    )


def measured(data: Sequence[DataSet], cells: Iterable[Cell], n_processes: int) -> Generator[Result | Failure]:
    """Measure cells in processes, and yield each as it is done; ends all of them when the caller ends.

    Parameters
    ----------
    data : sequence of DataSet
        Rows, by whose names the cells ask for them.
    cells : iterable of Cell
        What is measured, begun in this order.
    n_processes : int
        How many at a time, each of one thread.

    Yields
    ------
    Result or Failure
        A process that dies is a failure of the cell that it worked on, and is replaced.
    """
    left = iter(cells)
    crew: Crew = {}
    try:
        for cell in islice(left, n_processes):
            _begin(crew, data, cell)
        while crew:
            for ready in wait(list(crew)):
                yield _next(crew, data, ready, left)
    finally:
        for process, _ in crew.values():
            process.kill()
            process.join()


def _begin(crew: Crew, data: Sequence[DataSet], cell: Cell) -> None:
    """Start a process with its first cell; it never sees Ctrl-C, which is for this process."""
    context = multiprocessing.get_context("spawn")
    mine, its = context.Pipe()
    process = context.Process(target=_work, args=(its, list(data)), daemon=True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
        crew[mine] = (process, cell)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    its.close()
    _give(mine, cell)


def _give(line: Connection, cell: Cell) -> None:
    with contextlib.suppress(BrokenPipeError):  # a process that died is seen when its answer is waited for
        line.send_bytes(msgspec.json.encode(cell))


def _next(crew: Crew, data: Sequence[DataSet], ready: Any, left: Iterator[Cell]) -> Result | Failure:
    """Take an answer, and give its process the next cell, or let it end."""
    process, cell = crew[ready]
    answer = _answer_of(process, ready)
    following = next(left, None)
    if following is not None and process.exitcode is None:
        crew[ready] = (process, following)
        _give(ready, following)
    else:
        del crew[ready]
        ready.close()
        process.join()
        if following is not None:
            _begin(crew, data, following)
    return answer.result or Failure(cell=cell, reason=answer.reason)


def _answer_of(process: Any, line: Connection) -> Answer:
    try:
        return msgspec.json.decode(line.recv_bytes(), type=Answer)
    except (EOFError, ConnectionError):
        process.join()
        return Answer(reason=f"its process was ended ({process.exitcode}); was there too little memory?")


def _work(line: Connection, data: Sequence[DataSet]) -> None:
    """Measure what comes over the line until nobody is at its other end."""
    warnings.simplefilter("ignore")  # a model that has not converged after so many steps is measured as it is
    sets = {one.name: one for one in data}
    with threadpool_limits(limits=1), contextlib.suppress(EOFError, ConnectionError):
        while True:
            cell = msgspec.json.decode(line.recv_bytes(), type=Cell)
            line.send_bytes(msgspec.json.encode(_answer(sets[cell.data], cell)))


def _answer(data: DataSet, cell: Cell) -> Answer:
    try:
        return Answer(result=measure(data, cell))
    except HashcombError as error:
        return Answer(reason=str(error))
    except Exception as error:
        return Answer(reason=unforeseen(error))
