"""From configurations of the PyPI package to a Spec."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hashcomb.comb import Comb
from hashcomb.errors import SpecError
from hashcomb.legacy.config import PypiConfig
from hashcomb.spec import ChannelSpec, Feature, Quantile, Spec, Uniform

__all__ = ("Conversion", "Note", "convert")


class Note(NamedTuple):
    """What becomes of one option.

    Attributes
    ----------
    option : str
        Its name in the PyPI package.
    kept : bool
        Whether the Spec means the same by it.
    now : str
        What it is here, or why it is gone.
    """

    option: str
    kept: bool
    now: str


class Conversion(NamedTuple):
    """A Spec made from configurations, and what became of their options."""

    spec: Spec
    notes: tuple[Note, ...]


def convert(configs: Sequence[PypiConfig], names: Sequence[str] = ("value",), *, exact: bool = False) -> Conversion:
    """Make a Spec of configurations: there one is of a column, here one is of a table.

    Parameters
    ----------
    configs : sequence of PypiConfig
        One for each column, or a single one for all.
    names : sequence of str
        The columns, in the order in which they are encoded; ``("value",)``, as in the package's own CSV files, by
        default.
    exact : bool
        Write out the edges of the old trees, so that every double has the very leaf that it had. By default the combs
        are uniform, whose edges are rounded otherwise than halving the range again and again rounds them: a note says
        how many differ, and by how much. Uniform combs encode faster, and their Spec is short.

    Returns
    -------
    Conversion
        ``spec``, and a note on every option.

    Raises
    ------
    SpecError
        If there are neither as many configurations as names nor a single one, if they differ in channels or in
        randomization, or if the names are one text or make no Spec.

    Notes
    -----
    Privacy: the Spec is as public as the old configuration. No token, salt or seed is taken over, and rows have to be
    encoded again: what the old tokens told to those who have them, they go on telling.

    Examples
    --------
    >>> from hashcomb.legacy import PypiConfig, convert
    >>> old = PypiConfig("old.pkl", 2, (0.0, 2.5, 5.0, 7.5, 10.0), None, None, salted=False, seeded=False)
    >>> made = convert([old], ["dose"], exact=True)
    >>> made.spec
    Spec(1 features, depth=2, fingerprint=08eb134a5b7a53e6)
    >>> [note.option for note in made.notes if not note.kept]
    ['tokens']
    """
    if isinstance(names, str):
        raise SpecError("names is one text, not a list of columns", path="features", hint=f"write names=[{names!r}]")
    if not configs or len(configs) not in {1, len(names)}:
        hint = "give one configuration for all columns, or one for each"
        raise SpecError(f"{len(configs)} configurations for {len(names)} columns", path="features", hint=hint)
    first = configs[0]
    if any((other.channels, other.heads) != (first.channels, first.heads) for other in configs):
        hint = "convert those that agree together; a Spec has one depth and one channel"
        raise SpecError("the configurations differ in channels or randomization", path="depth", hint=hint)
    of_columns = list(configs) * (len(names) // len(configs))
    features = tuple(_feature(config, name, exact) for config, name in zip(of_columns, names, strict=True))
    spec = Spec(features=features, depth=first.channels, outside="error", missing="error", channel=_channel(first))
    edges = np.array([config.edges for config in of_columns])
    return Conversion(spec, (*_notes_on_combs(spec, edges), *_notes_on_chance(configs, spec)))


def _feature(config: PypiConfig, name: str, exact: bool) -> Feature:
    lo, *inner, hi = config.edges
    return Quantile(name=name, lo=lo, hi=hi, edges=tuple(inner)) if exact else Uniform(name=name, lo=lo, hi=hi)


def _channel(config: PypiConfig) -> ChannelSpec | None:
    # A coin that always shows heads makes every report a leaf: nothing is random then.
    if config.heads is None or config.heads == 1.0:
        return None
    return ChannelSpec(kind="last_head", params={"heads": config.heads})


def _notes_on_combs(spec: Spec, edges: NDArray[np.float64]) -> Iterator[Note]:
    yield Note("channels", True, f"depth = {spec.depth}")
    yield Note("minValue, maxValue, delta", True, "lo and hi of each column; delta is in them, as it was")
    apart = np.abs(Comb(spec).edges - edges[:, 1:-1]) / (edges[:, -1:] - edges[:, :1])
    yield _note_on_edges(int(np.count_nonzero(apart)), apart.size, float(apart.max()))
    yield Note("values outside", True, 'refused, as NaN is: outside = "error", missing = "error"')
    yield Note("tokens", False, "28 bits of SHA3-256 without a key there, 64 bits under a Key here: encode rows again")


def _note_on_edges(n_other: int, n_edges: int, most: float) -> Note:
    if n_other == 0:
        return Note("edges", True, "the same, so every value has the leaf that it had")
    other = f"{n_other} of {n_edges} are rounded otherwise, by at most {most:.1e} of the range"
    return Note("edges", False, f"{other}; exact=True, or --exact, writes out the old ones")


def _notes_on_chance(configs: Sequence[PypiConfig], spec: Spec) -> Iterator[Note]:
    if spec.channel is not None:
        channel = (
            "channel last_head, up to depth 9; no epsilon is finite, and hashcomb spec randomize gives one that has"
        )
        yield Note("selectionProbability", True, channel)
    elif configs[0].heads is not None:
        yield Note("selectionProbability", True, "1: every report was the leaf, so there is no channel")
    if any(config.salted for config in configs):
        yield Note("salt", False, "not taken over: tokens are under a Key, and dataset= and round= are its salts")
    if any(config.seeded for config in configs):
        yield Note("seed", False, "not taken over: randomness is secret and fresh, or protects nothing")
