"""Figures of a folder of attacks: what each achieves against epsilon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hashcomb.evidence.attacks_summary import AIM, Average
from hashcomb.reporting.drawing import (
    INK,
    QUIET,
    STYLE,
    aside,
    draw_ends,
    log_scale,
    mpl,
    name_short,
    new_axes,
    save_figure,
    write,
)

__all__ = ("draw_attacks",)

# Okabe and Ito's palette, as in the figures of a Spec.
_PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", INK, "#8a97a6")
_DOTTED: Any = (0, (1, 2))
_WAYS: tuple[tuple[str, Any], ...] = (
    ("randomized response, epsilon", "-"),
    ("randomized response over 16 leaves, epsilon", (0, (3, 2))),
)


class _Drawing(NamedTuple):
    """A figure: its file, what is drawn of an average, the name of its axis, and its caption."""

    file: str
    value: Callable[[Average], float]
    label: str
    caption: str
    aim: float | None = None


def _share(field: str) -> Callable[[Average], float]:
    return lambda average: 100 * (average.mean(field) or 0.0)


def _gain(field: str, guessed: str) -> Callable[[Average], float]:
    return lambda average: 100 * ((average.mean(field) or 0.0) - (average.mean(guessed) or 0.0))


_LOOK = "solid: randomized response at the depth that fits epsilon (the default), dashed: over all 16 leaves"
_DRAWINGS = (
    _Drawing(
        "attacks-frequencies.svg",
        _gain("named_frequencies", "named_guessed"),
        "named by frequencies,\npoints above guessing",
        f"Leaves named by frequencies, above always naming the most frequent one, against epsilon of a value ({_LOOK})",
        AIM,
    ),
    _Drawing(
        "attacks-columns.svg",
        _gain("named_columns", "named_guessed_by_label"),
        "named by columns,\npoints above guessing",
        "Leaves named by columns together, above naming the most frequent one of the label, against epsilon of a value "
        f"({_LOOK})",
    ),
    _Drawing(
        "attacks-joined.svg",
        _share("joined_round"),
        "rows joined over two rounds, %",
        f"Rows joined over two rounds with fresh noise, against epsilon of a value ({_LOOK})",
    ),
    _Drawing(
        "attacks-recognized.svg",
        _share("recognized"),
        "rebuilt rows recognized, %",
        f"Rebuilt rows that are nearest to their own true row, against epsilon of a value ({_LOOK})",
    ),
)


def draw_attacks(averages: Sequence[Average], out: Path) -> list[tuple[str, str]]:
    """Draw every figure that the attacks have points for.

    Parameters
    ----------
    averages : sequence of Average
        From `averaged`.
    out : Path
        A folder, where files ``attacks-*.svg`` are written over.

    Returns
    -------
    list of (str, str)
        Names of the files, and their captions.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    lines = _lines(averages)
    if not lines:
        return []
    with mpl.rc_context(STYLE):
        for drawing in _DRAWINGS:
            save_figure(_figure(drawing, lines), out / drawing.file)
    return [(drawing.file, drawing.caption) for drawing in _DRAWINGS]


def _lines(averages: Sequence[Average]) -> list[tuple[str, Any, list[Average]]]:
    """Return the points of each line, with its data set and its look; of one point there is no line."""
    data = dict.fromkeys(one.data for one in averages)
    lines = [
        (name, look, [one for one in averages if one.data == name and one.encoding.startswith(way)])
        for name in data
        for way, look in _WAYS
    ]
    return [(name, look, points) for name, look, points in lines if len(points) > 1]


def _figure(drawing: _Drawing, lines: Sequence[tuple[str, Any, list[Average]]]) -> Any:
    figure, axes = new_axes(names=True)
    colors = dict(zip(dict.fromkeys(name for name, _, _ in lines), _PALETTE, strict=False))
    axes.margins(x=0)
    ends: dict[str, tuple[str, float, str]] = {}
    for name, look, points in lines:
        x, y = [one.epsilon for one in points], [drawing.value(one) for one in points]
        color = colors.get(name, QUIET)
        axes.plot(x, y, color=color, linewidth=1.8, linestyle=look, marker="o", markersize=3.5)
        ends.setdefault(name, (name_short(name), y[-1], color))
    log_scale(axes.xaxis)
    axes.set_xticks(sorted({one.epsilon or 0.0 for _, _, points in lines for one in points}))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    if drawing.aim is not None:
        axes.axhline(drawing.aim, color=QUIET, linewidth=1, linestyle=_DOTTED)
        write(axes, f"aim: at most {drawing.aim:g}", (0, drawing.aim), (4, 4), color=QUIET, xycoords=aside(axes))
    draw_ends(axes, list(ends.values()))
    axes.set_xlabel("epsilon of one value, nats")
    axes.set_ylabel(drawing.label)
    return figure
