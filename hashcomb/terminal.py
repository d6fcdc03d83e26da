"""What people see in a terminal: results on stdout, progress on stderr."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

__all__ = ("print_facts", "progress_bar", "step_lines")


def print_facts(facts: dict[str, Any], as_json: bool) -> None:
    """Print facts as lines of a name and a value, or as one line of JSON."""
    if as_json:
        click.echo(json.dumps(facts))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        # What a file says of itself must not move the cursor.
        shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in _shown(value))
        click.echo(f"{name:{width}}  {shown}")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None or value == "" else str(value)


@contextlib.contextmanager
def progress_bar(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show progress over rows on stderr, where somebody is looking."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("rows"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda n_rows: progress.advance(task, n_rows)


def step_lines(steps: Sequence[str]) -> Callable[[str], None]:
    """Return what prints a line on stderr for each step as it begins."""

    def show(step: str) -> None:
        click.echo(f"agreement: {step} ({list(steps).index(step) + 1} of {len(steps)})", err=True)

    return show
