"""How figures look, and how they become files: light, legible in print and on a phone, the same bytes every time."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hashcomb.atomic import writing
from hashcomb.errors import FileFormatError
from hashcomb.integrations import require

mpl = require("plot", "matplotlib")
_Figure = require("plot", "matplotlib.figure").Figure
_ticker = require("plot", "matplotlib.ticker")
_transforms = require("plot", "matplotlib.transforms")

__all__ = (
    "INK",
    "QUIET",
    "STYLE",
    "aside",
    "check_name",
    "draw_ends",
    "log_scale",
    "name_short",
    "new_axes",
    "save_figure",
    "to_svg",
    "write",
)

INK, QUIET, _LINE = "#1d2733", "#5b6b7c", "#d9e0e7"
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "hashcomb",
    "pdf.fonttype": 42,
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}
# What keeps the time out of a file.
_UNDATED: dict[str, dict[str, Any]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
_GAP = 0.078  # between two names beside a figure, as a share of its height


def new_axes(*, height: float = 3.4, names: bool = False) -> tuple[Any, Any]:
    """Return a figure so many inches high, and its axes, with room for names of lines at the right if asked for.

    All figures are equally wide, so that their letters are equally large on a page.
    """
    figure = _Figure(figsize=(5.6, height))
    below = 0.6 / height
    axes = figure.add_axes((0.15, below, 0.545 if names else 0.825, 0.93 - below))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=_LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    return figure, axes


def log_scale(axis: Any, *, base: int = 10) -> None:
    """Make an axis logarithmic, with plain numbers at 1, 2 and 5 or at powers of two."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_locator(_ticker.LogLocator(base, subs=(1,) if base == 2 else (1, 2, 5)))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_locator(_ticker.NullLocator())


def aside(axes: Any) -> Any:
    """Return coordinates whose x is a share of the width, and whose y is data."""
    return _transforms.blended_transform_factory(axes.transAxes, axes.transData)


def write(axes: Any, text: str, at: tuple[float, float], offset: tuple[float, float], **style: Any) -> None:
    """Write beside a point, so many points away, on white paper so that lines do not hide it."""
    paper = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
    axes.annotate(
        text,
        at,
        offset,
        **{"textcoords": "offset points", "annotation_clip": False, "fontsize": 10, "bbox": paper, **style},
    )


def draw_ends(axes: Any, ends: Sequence[tuple[str, float, str]]) -> None:
    """Name lines at their right ends, one under the other, with a thread from each line to its name.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        With its limits set.
    ends : sequence of (name, y, color)
        The lines, by their last points.
    """
    to_share = axes.transData + axes.transAxes.inverted()
    ordered = sorted(ends, key=lambda end: end[1])
    heights = [float(to_share.transform((axes.get_xlim()[1], y))[1]) for _, y, _ in ordered]
    for (name, _, color), at, place in zip(ordered, heights, _apart(heights), strict=True):
        axes.plot([1, 1.04], [at, place], color=color, linewidth=1, transform=axes.transAxes, clip_on=False)
        axes.text(1.05, place, name, transform=axes.transAxes, va="center", fontsize=10)


def _apart(places: Sequence[float]) -> list[float]:
    """Move ascending places apart, each as little as its neighbors let it."""
    moved = list(places)
    for _ in range(200):
        for i in range(len(moved) - 1):
            short = _GAP - (moved[i + 1] - moved[i])
            if short > 0:
                moved[i] -= short / 2
                moved[i + 1] += short / 2
        moved[0], moved[-1] = max(moved[0], 0.0), min(moved[-1], 1.0)
    return moved


def name_short(name: str) -> str:
    """Return a name of a column as a figure can show it."""
    return (name if len(name) <= 24 else name[:23] + "…").replace("$", r"\$")  # two of them would be mathematics


# ---------------------------------------------------------------------- files
def check_name(path: str | os.PathLike[str]) -> str:
    """Return the format that the name of a file asks for.

    Raises
    ------
    FileFormatError
        If it is none for figures.
    """
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in _UNDATED:
        raise FileFormatError("is no name for a figure", file=str(path), hint="let it end in .png, .svg or .pdf")
    return kind


def save_figure(figure: Any, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG, SVG or PDF, by the name of the file; whole or not at all.

    Raises
    ------
    FileFormatError
        If the name ends in none of these.
    OSError
        If the file cannot be written.
    """
    kind = check_name(path)
    with mpl.rc_context(STYLE), writing(path) as file:
        figure.savefig(file, format=kind, dpi=200, metadata=_UNDATED[kind])


def to_svg(figure: Any, name: str) -> str:
    """Return a figure as an SVG element for a page; `name` tells its parts from those of others."""
    file = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(file, format="svg", metadata=_UNDATED["svg"])
    _, begin, rest = file.getvalue().partition("<svg")
    # Every figure calls its parts alike; on one page, each gets names of its own.
    return re.sub(r'(\bid="|"#|url\(#)', rf"\g<1>{name}-", begin + rest)
