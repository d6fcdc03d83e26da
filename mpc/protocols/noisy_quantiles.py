"""Agree on ranges and quantile edges from noisy counts: differentially private, and in few rounds.

The owners open histograms of all their records together, each count with noise of which every owner adds a part.
The first histogram has a bin for each power of two; the later ones cut, into sixteen, the cells in which an
edge is looked for. Edges are computed from these counts alone, so they cost nothing more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hashcomb.comb import quantile_edges
from hashcomb.errors import ProtocolError
from hashcomb.keys import Keystream
from hashcomb.mpc.arithmetic.openings import sums
from hashcomb.mpc.arithmetic.shamir import Link
from hashcomb.order import from_keys, to_keys

if TYPE_CHECKING:
    from hashcomb.privacy import NoisyCounts

__all__ = ("ROUNDS", "agree_noisy_edges")

Keys = NDArray[np.uint64]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

ROUNDS = 5
_WAYS = 16  # into how many parts a cell is cut
_EXPONENTS = range(-20, 43)  # of the powers of two between bins; the outermost bins hold all that is beyond
_SURE = 0.05  # chance that some bin which is empty is taken for one that is not
_CERTAIN = 4  # standard deviations at which cells are sure enough to be an end of the range
_PLENTY = 400  # standard deviations of records, of which a few more or less do not count
_SEEN = 2  # standard deviations at which a part of a cell counts as not empty
_PSEUDO_RECORDS = 1 << 14
_MAX_COUNT = 1 << 40
_SPLIT = 64  # places in a cell, as if records were spread evenly


async def agree_noisy_edges(
    link: Link, columns: Sequence[Floats], n_leaves: int, noise: NoisyCounts
) -> tuple[Floats, Floats, Floats]:
    """Agree on range and inner edges of every feature, from noisy counts alone.

    Parameters
    ----------
    link : Link
        The connections.
    columns : sequence of ndarray of float64
        This owner's values of every feature, without missing ones, finite.
    n_leaves : int
        Number of leaves.
    noise : NoisyCounts
        The noise of the parts of all owners but as many as may collude; its ``n_counts`` must be `ROUNDS` times
        the number of features.

    Returns
    -------
    tuple of ndarray of float64, shapes (n_features,), (n_features,), (n_features, n_leaves - 1)
        Least and largest values, and edges; the same at every owner.

    Raises
    ------
    ProtocolError
        If noise hides most records of a feature, or an owner's count cannot be.

    Notes
    -----
    Privacy: every owner learns the noisy counts, and nothing else: what follows from them has the epsilon of
    `noise`, for one record of any owner, against any owners up to the threshold who put together what they see and
    take their own noise off. A record enters one count of each feature in each round. No claim is made against
    more colluders, nor against owners that leave their noise out, which nobody can notice.
    """
    if noise.n_counts != ROUNDS * len(columns):
        raise ProtocolError(f"the noise must be that of {ROUNDS} counts for each feature", step=link.step)
    own = [np.sort(to_keys(values)) for values in columns]
    # What is added to a count is the sum of all parts, of which the claim counts only those of honest owners.
    deviation = math.sqrt(noise.variance * len(link.owners) / noise.n_parts)
    bins = _first_bins()
    counts = await _open(link, [_count(keys, bins) for keys in own], noise)
    threshold = deviation * math.sqrt(2 * math.log(len(bins.first) * len(own) / _SURE))
    seen = [_seen(bins, count, threshold, feature, link.step) for feature, count in enumerate(counts)]
    cells = seen
    for _ in range(ROUNDS - 1):
        parts = [_parts(known, _wanted(known, n_leaves)) for known in cells]
        counts = await _open(link, [_count(keys, part) for keys, part in zip(own, parts, strict=True)], noise)
        cells = [
            _refined(known, part, count, math.ceil(_SEEN * deviation))
            for known, part, count in zip(cells, parts, counts, strict=True)
        ]
    edges = np.stack([quantile_edges(_pseudo_records(known), n_leaves) for known in cells])
    lo, hi = np.array([_range(*both, deviation) for both in zip(seen, cells, strict=True)]).T
    return lo, hi, np.clip(edges, lo[:, None], hi[:, None])


class _Cells(NamedTuple):
    """Intervals of keys, increasing, with about how many records each holds."""

    first: Keys
    width: Keys
    mass: Counts


def _first_bins() -> _Cells:
    powers = np.ldexp(1.0, list(_EXPONENTS))
    largest = np.finfo(np.float64).max
    ends = to_keys(np.concatenate([[-largest], -powers[::-1], [0.0], powers, [largest]]))
    return _Cells(ends[:-1], np.diff(ends), np.zeros(len(ends) - 1, dtype=np.int64))


def _count(keys: Keys, cells: _Cells) -> Counts:
    """Count this owner's records in each cell; the outermost doubles belong to the outermost bins."""
    last = cells.first + cells.width - (cells.first + cells.width < to_keys([np.finfo(np.float64).max]))
    return (np.searchsorted(keys, last, side="right") - np.searchsorted(keys, cells.first)).astype(np.int64)


async def _open(link: Link, counts: Sequence[Counts], noise: NoisyCounts) -> list[Counts]:
    """Open the counts of all owners together, with this owner's part of the noise added to its own."""
    mine = np.concatenate(counts)
    opened = await sums(link, mine + noise.draw(Keystream().words(0, len(mine))))
    if (np.abs(opened) > _MAX_COUNT).any():
        raise ProtocolError("a count is beyond all reason: some owner did not follow the protocol", step=link.step)
    return np.split(opened, np.cumsum([len(count) for count in counts])[:-1])


def _seen(bins: _Cells, count: Counts, threshold: float, feature: int, step: str) -> _Cells:
    seen = count >= threshold
    if not seen.any() or 2 * count[seen].sum() <= count.sum():
        problem = f"the noise hides most records of numeric feature {feature} (counted from 0)"
        raise ProtocolError(problem, step=step, hint="more rows, a larger edges_epsilon, or fewer features")
    return _Cells(bins.first[seen], bins.width[seen], count[seen])


def _pseudo_records(cells: _Cells) -> Floats:
    """Return values as the cells suggest them, in the cells' proportions: evenly spread in each."""
    n_places = np.minimum(np.where(_is_whole(cells), 1, _SPLIT), cells.width.astype(np.int64).clip(1))
    cell = np.repeat(np.arange(len(cells.first)), n_places)
    place = np.arange(len(cell)) - np.repeat(np.cumsum(n_places) - n_places, n_places)
    step = cells.width // n_places.astype(np.uint64)
    keys = cells.first[cell] + step[cell] * place.astype(np.uint64)
    reached = np.cumsum(cells.mass[cell] * _SPLIT // n_places[cell])
    # Python's integers, which do not overflow: all owners must find the same.
    upto = (reached.astype(object) * _PSEUDO_RECORDS // int(reached[-1])).astype(np.int64)
    return np.repeat(from_keys(keys), np.diff(upto, prepend=0))


def _range(seen: _Cells, cells: _Cells, deviation: float) -> tuple[float, float]:
    """Return the ends of the range.

    They are those of the first bins in which something was seen, which are at most twice too far out. Where there
    are so many records that a few more or less do not count, and for bins without end, they are those of the finer
    cells, but not of such as noise alone may have filled.
    """
    first = _outermost(cells.mass, deviation)
    last = len(cells.mass) - 1 - _outermost(cells.mass[::-1], deviation)
    fine = _ends(cells, first, last) if first <= last else _ends(cells, 0, -1)
    coarse = _ends(seen, 0, -1)
    if seen.mass.sum() >= _PLENTY * deviation:
        return fine
    lo, hi = (a if abs(b) > 2.0 ** _EXPONENTS[-1] else b for a, b in zip(fine, coarse, strict=True))
    return min(lo, fine[0]), max(hi, fine[1])


def _ends(cells: _Cells, first: int, last: int) -> tuple[float, float]:
    low, high = from_keys(np.array([cells.first[first], cells.first[last] + cells.width[last]]))
    return float(low), float(high)


def _outermost(mass: Counts, deviation: float) -> int:
    """Return the first cell at which all so far hold more than noise would put into as many."""
    noise = _CERTAIN * deviation * np.sqrt(np.arange(1, len(mass) + 1))
    return int(np.argmax(np.cumsum(mass) >= noise))


def _is_whole(cells: _Cells) -> NDArray[np.bool_]:
    """Return which cells have been cut as often as any can be: their records count as one value."""
    return cells.width <= np.uint64((1 << 52) // _WAYS ** (ROUNDS - 1))


def _wanted(cells: _Cells, n_leaves: int) -> NDArray[np.bool_]:
    """Return which cells hold an edge, as far as is known, and can still be cut."""
    edges = to_keys(quantile_edges(_pseudo_records(cells), n_leaves))
    wanted = np.zeros(len(cells.first), dtype=bool)
    wanted[np.searchsorted(cells.first, edges, side="right").clip(1) - 1] = True
    wanted[[0, -1]] = True  # for the ends of the range: the outermost bins are very wide
    return wanted & (cells.width >= np.uint64(_WAYS)) & ~_is_whole(cells)


def _parts(cells: _Cells, wanted: NDArray[np.bool_]) -> _Cells:
    """Cut the cells that are wanted into sixteen."""
    width = cells.width[wanted] // np.uint64(_WAYS)
    first = (cells.first[wanted, None] + width[:, None] * np.arange(_WAYS, dtype=np.uint64)).astype(np.uint64)
    widths = np.repeat(width[:, None], _WAYS, axis=1)
    widths[:, -1] = cells.first[wanted] + cells.width[wanted] - first[:, -1]  # what division left over
    return _Cells(first.reshape(-1), widths.reshape(-1), np.zeros(first.size, dtype=np.int64))


def _refined(cells: _Cells, parts: _Cells, count: Counts, least: int) -> _Cells:
    """Put the parts that hold something in the place of their cell, if they hold most of it."""
    kept = [_taken(cells, [])]
    seen = np.where(count >= least, count, 0).reshape(-1, _WAYS)
    place = {int(first): row for row, first in enumerate(parts.first.reshape(-1, _WAYS)[:, 0])}
    for index, first in enumerate(cells.first.tolist()):
        row = place.get(first)
        if row is None or 4 * seen[row].sum() < 3 * cells.mass[index]:
            kept.append(_taken(cells, [index]))
            continue
        some = np.flatnonzero(seen[row]) + row * _WAYS
        mass = seen[row][seen[row] > 0] * int(cells.mass[index]) // int(seen[row].sum())
        kept.append(_Cells(parts.first[some], parts.width[some], np.maximum(mass, 1)))
    first, width, mass = (np.concatenate(columns) for columns in zip(*kept, strict=True))
    return _Cells(first, width, mass)


def _taken(cells: _Cells, indices: list[int]) -> _Cells:
    chosen = np.array(indices, dtype=np.intp)
    return _Cells(cells.first[chosen], cells.width[chosen], cells.mass[chosen])
