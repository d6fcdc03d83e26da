"""`hashcomb bench accuracy`: what models keep on tokens of given data, measured beside raw rows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from hashcomb.errors import MissingExtraError
from hashcomb.evidence.arms import GRIDS, MODELS
from hashcomb.evidence.data import DataSet, load_all
from hashcomb.evidence.page import judged, markdown
from hashcomb.evidence.plan import Cell, planned
from hashcomb.evidence.progress import progress_of
from hashcomb.evidence.results import FILE_NAME, Result, ResultsFile, opened, read_results
from hashcomb.evidence.summary import Line, summarized
from hashcomb.evidence.workers import Failure, measured
from hashcomb.evidence.written import Summary, write_page

__all__ = ("PAGE_NAME", "Asked", "default_models", "measure_all", "summarize")

PAGE_NAME = "accuracy.md"


class Asked(NamedTuple):
    """What is to be measured; the fields are the options of the command."""

    bundled: Sequence[str]
    folders: Sequence[str]
    openml: Sequence[str]
    grids: Sequence[str]
    models: Sequence[str]
    splits: Sequence[str]
    n_seeds: int

    def plan(self, data: Sequence[DataSet]) -> list[Cell]:
        """Return the cells of a run over these rows."""
        return planned(data, {name: GRIDS[name] for name in self.grids}, self.models, self.splits, self.n_seeds)


def default_models() -> tuple[str, ...]:
    """Return all models, without the torch network where torch is not installed."""
    return tuple(model for model in MODELS if model != "torch network" or find_spec("torch"))


def measure_all(asked: Asked, out: Path, n_processes: int) -> list[Failure]:
    """Measure what is asked for and not there yet; each measurement is on the disk before the next is taken.

    Parameters
    ----------
    asked : Asked
        What to measure.
    out : Path
        The folder of the results, which is made if it is not there.
    n_processes : int
        How many measurements at a time.

    Returns
    -------
    list of Failure
        What could not be measured.

    Raises
    ------
    DataError
        If data cannot be loaded.
    FileFormatError
        If the folder holds measurements of other rows or definitions, or another process writes to it.
    OSError
        If the folder cannot be written.

    Notes
    -----
    Privacy: the file holds counts and accuracies on raw rows, and a hash that tells whether somebody has the very
    same rows. It was computed from raw rows and has no differential privacy: whoever may not see the rows should
    not see it.
    """
    data = load_all(asked.bundled, asked.folders, asked.openml)
    with opened(out) as file:
        file.refuse_others(data)
        cells = [cell for cell in asked.plan(data) if cell.key not in file.results]
        return _append_all(file, data, cells, n_processes)


def _append_all(file: ResultsFile, data: Sequence[DataSet], cells: Sequence[Cell], n_processes: int) -> list[Failure]:
    failures = []
    by_key = {cell.key: cell for cell in cells}
    with closing(measured(data, cells, n_processes)) as stream, progress_of(len(cells)) as advance:
        for found in stream:
            if isinstance(found, Result):
                file.append(found)
                advance(by_key[found.key])
            else:
                failures.append(found)
                advance(found.cell)
    return failures


def summarize(out: Path) -> Summary:
    """Write tables and figures about the measurements of a folder.

    Raises
    ------
    FileFormatError
        If there are none, or the file is none of ours.
    OSError
        If the folder cannot be written.
    """
    results = read_results(out)
    lines = summarized(results)
    figures = _figures(lines, out)
    return write_page(out, PAGE_NAME, markdown(lines, figures), FILE_NAME, len(results), figures, judged(lines))


def _figures(lines: Sequence[Line], out: Path) -> list[tuple[str, str]]:
    """Draw, where that can be done; return the file and the caption of each figure."""
    try:
        from hashcomb.evidence.figures import draw_all  # noqa: PLC0415
    except MissingExtraError:
        return []
    return draw_all(lines, out)
