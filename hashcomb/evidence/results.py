"""The file of accuracies: what a line of it holds."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar

import msgspec

from hashcomb.evidence.lines import LinesFile, opened_lines, read_lines
from hashcomb.evidence.plan import VERSION, Key

__all__ = ("FILE_NAME", "Result", "ResultsFile", "opened", "read_results")

FILE_NAME = "accuracy.csv"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A measurement, as it stands in a line of the file.

    Attributes
    ----------
    data, rows_sha : str
        Name of the data set, and what tells its rows from others.
    split, seed, model, encoding
        With `data`, what tells this measurement from others.
    family, representation, edges, depth, channel
        What the encoding is made of; empty where there is no such thing.
    epsilon_feature, epsilon_record : float or None
        Privacy of one value, and of a whole record, in nats; None where there is none.
    n_train, n_train_distinct, n_test : int
        Rows trained on, distinct rows among them, and rows tested, which are all distinct.
    accuracy : float
        Share of the tested rows that were classified rightly.
    seconds : float
        Time that it took, encoding included.
    version : str
        Of the definitions behind the names.
    """

    current: ClassVar[str] = VERSION

    data: str
    rows_sha: str
    split: str
    seed: int
    model: str
    encoding: str
    family: str
    representation: str | None
    edges: str | None
    depth: int | None
    channel: str | None
    epsilon_feature: float | None
    epsilon_record: float | None
    n_train: int
    n_train_distinct: int
    n_test: int
    accuracy: float
    seconds: float
    version: str

    @property
    def key(self) -> Key:
        """What tells a measurement from all others."""
        return (self.data, self.split, self.seed, self.model, self.encoding)


ResultsFile = LinesFile[Result]


def opened(folder: Path) -> AbstractContextManager[ResultsFile]:
    """Open the measurements of a folder; as `opened_lines`."""
    return opened_lines(folder / FILE_NAME, Result)


def read_results(folder: Path) -> list[Result]:
    """Read the measurements of a folder; as `read_lines`."""
    return read_lines(folder / FILE_NAME, Result)
