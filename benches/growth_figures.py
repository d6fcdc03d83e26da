"""Growth as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hashcomb.reporting.drawing import INK, STYLE, draw_ends, log_scale, mpl, new_axes, save_figure

__all__ = ("draw",)

# Okabe and Ito's palette, which people with any color vision tell apart; gray is what all is held against.
_COLORS = ("#0072b2", "#e69f00", "#d55e00", "#009e73")
_COPY = "#8a97a6"
_AXES = {
    "rows": ("rows of 57 features", "CPU time of a value, ns"),
    "features": ("features of 3 million values", "CPU time of a value, ns"),
    "depth": ("depth of the comb", "CPU time of a leaf token, ns"),
    "levels": ("depth of the comb", "CPU time of all levels, ns"),
    "memory": ("input, MB", "memory above base, MB"),
}

Lines = Mapping[str, Sequence[tuple[float, float]]]


def draw(figures: Mapping[str, Lines], folder: Path) -> None:
    """Draw each figure on logarithmic axes, and write it as ``growth-NAME.svg``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in figures.items():
        with mpl.rc_context(STYLE):
            figure = _figure(lines, *_AXES[name])
        save_figure(figure, folder / f"growth-{name}.svg")


def _figure(lines: Lines, x_label: str, y_label: str) -> Any:
    figure, axes = new_axes(names=True)
    axes.margins(x=0)
    colors, ends = iter(_COLORS), []
    for name, points in lines.items():
        color = _COPY if name == "np.copyto" else next(colors, INK)
        x, y = zip(*points, strict=True)
        axes.plot(x, y, color=color, linewidth=2, marker="o", markersize=4, clip_on=False)
        ends.append((name, float(y[-1]), color))
    for axis in (axes.xaxis, axes.yaxis):
        log_scale(axis)
    axes.xaxis.set_major_formatter(lambda value, _: _plain(value))
    _thin(axes, [point[0] for points in lines.values() for point in points])
    draw_ends(axes, ends)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return figure


def _thin(axes: Any, x: Sequence[float]) -> None:
    """Write powers of ten only on an axis that spans more than a factor of fifty, so that numbers do not touch."""
    if max(x) > 50 * min(x):
        axes.xaxis.get_major_locator().set_params(subs=(1,))


def _plain(value: float) -> str:
    for size, letter in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
