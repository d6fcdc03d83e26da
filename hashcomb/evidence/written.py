"""What was written about the measurements of a folder."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ("Summary",)


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
