"""What a configuration of the PyPI package says."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from hashcomb.errors import FileFormatError, SpecError
from hashcomb.legacy.walk import Record, Walk
from hashcomb.scalars import number
from hashcomb.tables import require_regular

__all__ = ("PypiConfig", "read_config")

_MAX_BYTES = 16 << 20  # a comb of 16 channels takes 6.5 MB, and each further one doubles that
_SCHEMA = "hashcomb.config.v1"
_ENCODERS = ("deterministic", "randomized")


@dataclass(frozen=True)
class PypiConfig:
    """What a configuration of the PyPI package says.

    Attributes
    ----------
    file : str
        Where it was read.
    channels : int
        Levels of its tree, which are channels there and the depth here.
    edges : tuple of float
        Bounds of its ``2**channels`` leaves, ``2**channels + 1`` values; the first and the last are the range,
        `delta` included.
    delta : float or None
        By how much the range was widened at both ends.
    heads : float or None
        Probability of a head of a `RandomizedEncoder`; None for a deterministic `Encoder`.
    salted, seeded : bool
        Whether it holds a salt, and a seed. Neither is kept.
    """

    file: str
    channels: int
    edges: tuple[float, ...] = field(repr=False)
    delta: float | None
    heads: float | None
    salted: bool
    seeded: bool


def read_config(path: str | os.PathLike[str]) -> PypiConfig:
    """Read a configuration that an `Encoder` or `RandomizedEncoder` of the PyPI package wrote.

    Parameters
    ----------
    path : path
        The ``.pkl`` file. It may come from anybody: nothing in it is imported, called or unpickled.

    Returns
    -------
    PypiConfig

    Raises
    ------
    FileFormatError
        If the file cannot be read, is larger than 16 MiB, has an opcode that is not on the list (the message names it
        and its offset), or does not describe an encoder whose parts fit together.

    Notes
    -----
    Privacy: the file's salt and seed are looked at only to say that there are some.
    """
    name = os.fspath(path)
    require_regular(Path(path))
    try:
        with Path(path).open("rb") as source:
            data = source.read(_MAX_BYTES + 1)
    except OSError as error:
        raise FileFormatError(f"cannot be read: {error.strerror}", file=name) from None
    if len(data) > _MAX_BYTES:
        hint = "write the Spec yourself: each column is Uniform(name=, lo=, hi=), channels are its depth"
        raise FileFormatError(f"is larger than {_MAX_BYTES >> 20} MiB", file=name, hint=hint)
    return _Parts(name).config(Walk(data, name).value())


class _Parts:
    """Takes the parts of a configuration, and refuses what does not fit together."""

    def __init__(self, name: str) -> None:
        self._name = name

    def config(self, found: Any) -> PypiConfig:
        whole = self._dict(found, "the whole")
        if whole.get("schema") != _SCHEMA or whole.get("encoder") not in _ENCODERS:
            self._refuse(f"is not of the schema {_SCHEMA!r}")
        params = self._dict(whole.get("params"), "params")
        channels, bounds = self._tree(whole.get("tree"))
        edges = tuple(bounds.tolist())
        stated = (params.get("channels"), params.get("min"), params.get("max"))
        if stated != (channels, edges[0], edges[-1]):
            self._refuse("states other channels, or another range, than its tree has")
        delta = params.get("delta")
        return PypiConfig(
            self._name,
            channels,
            edges,
            None if delta is None else self._number(delta, "delta"),
            self._heads(params) if whole["encoder"] == "randomized" else None,
            salted=whole.get("salt") is not None,
            seeded=params.get("seed") is not None,
        )

    def _refuse(self, problem: str) -> NoReturn:
        raise FileFormatError(problem, file=self._name, hint="let hashcomb 1.0.0 from PyPI write it again")

    def _dict(self, found: Any, what: str) -> dict[str, Any]:
        return found if isinstance(found, dict) else self._refuse(f"{what} is no dictionary")

    def _number(self, found: Any, what: str) -> float:
        try:
            return number(found, what)
        except SpecError as error:
            self._refuse(f"{what} {error.problem}")

    def _heads(self, params: dict[str, Any]) -> float:
        heads = self._number(params.get("selectionProbability"), "selectionProbability")
        return heads if 0.0 < heads <= 1.0 else self._refuse("selectionProbability is not within (0, 1]")

    def _record(self, found: Any, kind: str) -> dict[str, Any]:
        if not isinstance(found, Record) or found.kind != kind or found.parts is None:
            self._refuse(f"its tree lacks a {kind.lower()}")
        return found.parts

    def _tree(self, found: Any) -> tuple[int, NDArray[np.float64]]:
        """Return the depth of the tree, and the bounds of its leaves."""
        tree = self._record(found, "Tree")
        channels = tree.get("channels")
        if isinstance(channels, bool) or not isinstance(channels, int) or not 1 <= channels <= 20:
            self._refuse("its tree has other channels than 1 to 20")
        nodes = [self._record(tree.get("root"), "Node")]
        bounds = self._bounds(nodes)
        for _ in range(channels):
            nodes = [self._record(node.get(side), "Node") for node in nodes for side in ("left", "right")]
            above, bounds = bounds, self._bounds(nodes)
            if not np.array_equal(bounds[::2], above):
                self._refuse("its tree has children that do not share the range of their parent")
        return channels, bounds

    def _bounds(self, nodes: list[dict[str, Any]]) -> NDArray[np.float64]:
        lo = np.array([self._number(node.get("min"), "the least of a node") for node in nodes])
        hi = np.array([self._number(node.get("max"), "the largest of a node") for node in nodes])
        if not np.array_equal(lo[1:], hi[:-1]) or not (lo <= hi).all() or lo[0] == hi[-1]:
            self._refuse("its tree has nodes that do not lie side by side")
        return np.append(lo, hi[-1])
