"""What is to be measured, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from hashcomb.evidence.data import DataSet
from hashcomb.evidence.encodings import Encoding
from hashcomb.evidence.splits import seeds_of

__all__ = ("VERSION", "Cell", "Grid", "Key", "planned")

# Of the definitions: to be raised when a split, a model or an encoding of the same name gives another figure.
VERSION = "1"

Grid = Sequence[tuple[Sequence[str], Sequence[Encoding]]]
Key = tuple[str, str, int, str, str]


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """A single measurement: one model, trained once and tested once.

    Attributes
    ----------
    data : str
        Name of the data set.
    split : {"random", "owner"}
        How rows were divided.
    seed : int
        Seed of the split and of the model.
    model : str
        Name of the model.
    encoding : Encoding
        What the model sees of the rows.
    """

    data: str
    split: str
    seed: int
    model: str
    encoding: Encoding

    @property
    def key(self) -> Key:
        """What tells a cell from all others."""
        return (self.data, self.split, self.seed, self.model, self.encoding.name)

    def __str__(self) -> str:
        by = {"owner": "by owner"}.get(self.split, self.split)
        return f"{self.data}, {by}, seed {self.seed}, {self.model}, {self.encoding.name}"


def planned(
    data: Sequence[DataSet], grids: Mapping[str, Grid], models: Sequence[str], splits: Sequence[str], n_seeds: int
) -> list[Cell]:
    """Return the cells of a run, each once.

    All of seed 0 comes first, and of it the first grid: what is there early says something about everything.

    Parameters
    ----------
    data : sequence of DataSet
        Rows.
    grids : mapping of str to grid
        A grid is a sequence of (models, encodings): each of the models sees each of the encodings.
    models : sequence of str
        The models that are asked for; others are left out of all grids.
    splits : sequence of {"random", "owner"}
        How rows are divided.
    n_seeds : int
        How often.
    """
    cells: dict[Key, Cell] = {}
    for seed in range(n_seeds):
        for grid in grids.values():
            for one in data:
                for split in splits:
                    if seed in seeds_of(one, split, n_seeds):
                        cells.update((cell.key, cell) for cell in _of_grid(one.name, split, seed, grid, models))
    return list(cells.values())


def _of_grid(data: str, split: str, seed: int, grid: Grid, models: Sequence[str]) -> Iterator[Cell]:
    for several, encodings in grid:
        for model in several:
            if model in models:
                for encoding in encodings:
                    yield Cell(data=data, split=split, seed=seed, model=model, encoding=encoding)
