"""What people see in a terminal: results on stdout, progress on stderr."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from hashcomb.errors import HashcombError, HashcombWarning, unforeseen

__all__ = ("print_facts", "progress_bar", "run", "step_lines")


def run(command: click.Command) -> None:
    """Run the command of this process to its end: an error becomes a line on stderr, and exit status 1 or 2."""
    warnings.showwarning = _show_warning
    _end_in_order()
    try:
        command.main(standalone_mode=False)
    except click.exceptions.Abort:
        _fail("stopped; nothing was written")
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except HashcombError as error:
        _fail(str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at exit
        sys.exit(1)
    except OSError as error:
        _fail(f"{error.filename or 'a file'}: {error.strerror}")
    except Exception as error:
        _fail(unforeseen(error))


def _end_in_order() -> None:
    """Let a command that is told to end do so as after Ctrl-C: without half a file or a process left behind."""
    if threading.current_thread() is not threading.main_thread():
        return
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def _fail(message: str) -> None:
    click.echo(f"error: {message}", err=True)
    sys.exit(1)


def _show_warning(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, HashcombWarning):
        click.echo(f"warning: {message}", err=True)


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
