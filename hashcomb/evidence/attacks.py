"""`hashcomb bench attacks`: what attacks achieve on given data under many encodings, beside guessing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hashcomb.errors import MissingExtraError
from hashcomb.evidence.attacks_measures import Finding, attack_cell
from hashcomb.evidence.attacks_page import attacks_markdown
from hashcomb.evidence.attacks_plan import planned_attacks
from hashcomb.evidence.attacks_summary import Average, aims_of, averaged
from hashcomb.evidence.data import DataSet
from hashcomb.evidence.lines import opened_lines, read_lines
from hashcomb.evidence.progress import progress_of
from hashcomb.evidence.written import Summary, write_page

__all__ = ("attack_all", "summarize_attacks")

FILE_NAME, PAGE_NAME = "attacks.csv", "attacks.md"


def attack_all(data: Sequence[DataSet], out: Path, n_seeds: int) -> None:
    """Attack what is not attacked yet; each line is on the disk before the next attack begins.

    Parameters
    ----------
    data : sequence of DataSet
        What is attacked.
    out : Path
        The folder of the results, which is made if it is not there.
    n_seeds : int
        Choices of rows, noise and models.

    Raises
    ------
    DataError
        If a data set has too few rows.
    FileFormatError
        If the folder holds attacks on other rows or by other definitions, or another process writes to it.
    OSError
        If the folder cannot be written.

    Notes
    -----
    Privacy: the file holds statistics of the rows, without any epsilon. Whoever may not see the rows should not see
    it.
    """
    by_name = {one.name: one for one in data}
    on_raw: dict[tuple[str, int], float] = {}
    with opened_lines(out / FILE_NAME, Finding) as file:
        file.refuse_others(data)
        cells = [cell for cell in planned_attacks(data, n_seeds) if cell.key not in file.results]
        with progress_of(len(cells), "attacks") as advance:
            for cell in cells:
                file.append(attack_cell(by_name[cell.data], cell, on_raw))
                advance(cell)


def summarize_attacks(out: Path) -> Summary:
    """Write tables and figures about the attacks of a folder.

    Raises
    ------
    FileFormatError
        If there are none, or the file is none of ours.
    OSError
        If the folder cannot be written.
    """
    findings = read_lines(out / FILE_NAME, Finding)
    averages = averaged(findings)
    figures = _figures(averages, out)
    text = attacks_markdown(averages, figures)
    return write_page(out, PAGE_NAME, text, FILE_NAME, len(findings), figures, aims_of(averages))


def _figures(averages: Sequence[Average], out: Path) -> list[tuple[str, str]]:
    """Draw, where that can be done; return the file and the caption of each figure."""
    try:
        from hashcomb.evidence.attacks_figures import draw_attacks  # noqa: PLC0415
    except MissingExtraError:
        return []
    return draw_attacks(averages, out)
