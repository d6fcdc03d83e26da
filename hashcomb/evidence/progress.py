"""How far a run of measurements is: a bar where somebody is looking, a line now and then where not."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ("progress_of",)

_EVERY_S = 10.0  # between lines, where nobody is looking

Advance = Callable[[Any], None]  # takes a cell; its text says what was measured


@contextlib.contextmanager
def progress_of(n_cells: int, what: str = "accuracy") -> Iterator[Advance]:
    """Show progress on stderr; yields what to call with each cell that is done."""
    console = Console(stderr=True, highlight=False, markup=False)
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(_bar(n_cells, console)) if console.is_terminal else _lines(n_cells, what)


class _Clock:
    """Counts what is done, and estimates what is left by the pace since the first, which waited for processes."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.first = total, 0, math.nan

    def tick(self) -> str:
        """Count one more, and say how long the rest takes."""
        self.done += 1
        now = time.monotonic()
        if self.done == 1:
            self.first = now
            return "begun"
        seconds = (now - self.first) / (self.done - 1) * (self.total - self.done)
        return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"


@contextlib.contextmanager
def _bar(total: int, console: Console) -> Iterator[Advance]:
    clock = _Clock(total)
    columns = (BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task("starting", total=total)
        yield lambda cell: shown.update(task, advance=1, description=f"{clock.tick()}; {cell}")


def _lines(total: int, what: str) -> Advance:
    clock, last = _Clock(total), -math.inf

    def advance(cell: Any) -> None:
        nonlocal last
        left, now = clock.tick(), time.monotonic()
        if now - last >= _EVERY_S or clock.done == total:
            last = now
            click.echo(f"{what}: {clock.done} of {total}, {left}: {cell}", err=True)

    return advance
