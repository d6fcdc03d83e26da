"""What was written about the measurements of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hashcomb.atomic import writing

__all__ = ("Summary", "write_page")


class Summary(NamedTuple):
    """Where tables and figures are, and what they say of the aims.

    Attributes
    ----------
    n_results : int
        Measurements that are there.
    csv, page : str
        The measurements, and the page of tables.
    figures : list of str
        Pictures; none without the extra ``plot``.
    aims : list of str
        A sentence about each data set.
    """

    n_results: int
    csv: str
    page: str
    figures: list[str]
    aims: list[str]


def write_page(
    out: Path, name: str, text: str, csv: str, n_results: int, figures: Sequence[tuple[str, str]], aims: list[str]
) -> Summary:
    """Write the page of tables whole or not at all, and return what was written in all.

    Parameters
    ----------
    out : Path
        The folder.
    name, text : str
        The page.
    csv : str
        Name of the file of measurements.
    n_results : int
        How many there are.
    figures : sequence of (file, caption)
        Pictures beside the page.
    aims : list of str
        A sentence about each data set.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    with writing(out / name) as file:
        file.write(text.encode())
    return Summary(n_results, str(out / csv), str(out / name), [str(out / one) for one, _ in figures], aims)
