"""What the commands of `hashcomb bench` have in common: their data, their folder, and how they are stopped."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashcomb.cli.options import json_flag

if TYPE_CHECKING:
    from hashcomb.evidence.written import Summary

__all__ = ("bundles", "facts_of", "kept_when_stopped", "measuring_options", "refuse_unknown")

Summarize = Callable[[Path], "Summary"]

_OPTIONS: tuple[Callable[..., Any], ...] = (
    click.option(
        "--out", type=click.Path(file_okay=False), required=True, help="Folder of the results; made, or resumed."
    ),
    click.option(
        "--data",
        multiple=True,
        metavar="DIR",
        type=click.Path(exists=True, file_okay=False),
        help="Folder of owner-*.csv, last column the label; repeatable.",
    ),
    click.option("--openml", multiple=True, metavar="NAME", help="A data set of openml.org; repeatable."),
    click.option("--bundled", multiple=True, metavar="NAME", help="breast_cancer or digits; both if no data is named."),
    click.option("--summary-only", is_flag=True, help="Measure nothing; tables and figures of what is there."),
    json_flag,
)


def measuring_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name the data and the folder of the results."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def bundles(bundled: Sequence[str], data: Sequence[str], openml: Sequence[str]) -> Sequence[str]:
    """Return which of the bundled data sets are asked for: both, where no data is named.

    Raises
    ------
    click.UsageError
        If there is none of that name.
    """
    from hashcomb.evidence.data import BUNDLED

    refuse_unknown("bundled", bundled, tuple(BUNDLED))
    return bundled or (() if data or openml else tuple(BUNDLED))


def refuse_unknown(option: str, named: Sequence[str], known: Sequence[str]) -> None:
    """Raise `click.UsageError` if an option names what there is not."""
    for name in named:
        if name not in known:
            raise click.UsageError(f"--{option} {name!r} is not known; there are: {', '.join(known)}")


def facts_of(folder: Path, summarize: Summarize) -> dict[str, Any]:
    """Write tables and figures, and return what the command prints about them."""
    from importlib.util import find_spec

    found = summarize(folder)
    if not find_spec("matplotlib"):
        click.echo("no figures: they need the extra 'plot'", err=True)
    return {
        "measurements": found.n_results,
        "csv": found.csv,
        "page": found.page,
        "figures": found.figures,
        "aims": found.aims,
    }


@contextlib.contextmanager
def kept_when_stopped(folder: Path, summarize: Summarize) -> Iterator[None]:
    """After Ctrl-C say how to go on, and write tables of what is there; Ctrl-C once more leaves that too."""
    from hashcomb.errors import FileFormatError

    try:
        yield
    except KeyboardInterrupt:
        said = f"stopped; what was measured is kept in {folder}, and the same command goes on from there"
        click.echo(said, err=True)
        with contextlib.suppress(KeyboardInterrupt, FileFormatError):
            facts_of(folder, summarize)
        sys.exit(1)
