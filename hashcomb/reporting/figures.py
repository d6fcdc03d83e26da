"""Figures of a Spec: what an epsilon costs, how it adds up, and the channel itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hashcomb.errors import ChannelError
from hashcomb.integrations import require
from hashcomb.privacy.report.costs import Cost
from hashcomb.privacy.report.wording import channel_name, plain_delta, upward
from hashcomb.reporting.curves import Curve, cost_curves, delta_curves, heat, own_cost, renyi_curves
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
    to_svg,
    write,
)
from hashcomb.spec import Spec

__all__ = ("FIGURES", "draw", "save_figure", "to_svg")

_Colors = require("plot", "matplotlib.colors").LinearSegmentedColormap

# Okabe and Ito's palette, which people with any color vision tell apart; a gray for what few will choose.
_BLUE, _RED = "#0072b2", "#d55e00"
_COLORS = {
    "randomized_response": _BLUE,
    "interval": _RED,
    "square_wave": "#cc79a7",
    "random_depth": "#56b4e9",
    "geometric": "#009e73",
    "rqm": "#e69f00",
    "poisson_binomial": "#8a97a6",
    "optimal": INK,
}
_DASHED: Any = (0, (3, 2))
_DOTTED: Any = (0, (1, 2))
_LOOKS: dict[str, dict[str, Any]] = {
    "randomized_response": {"linewidth": 2.6, "zorder": 3},
    "optimal": {"linewidth": 1.6, "zorder": 4, "linestyle": _DASHED},
}
# Color, the side on which the name stands, and how far up that is, in points.
_WAYS = {
    "tight": (_BLUE, "right", -13),
    "by Renyi": (_RED, "left", 5),
    "added up": (INK, "right", 5),
    "one record": (_BLUE, "right", 5),
    "one value": (_RED, "right", -13),
}
_NOTHING = 100 * (1 / 12) ** 0.5  # typical error without any token, in % of the range
_WRITTEN = 64  # entries of a matrix that are written into its figure, at most


class _Asked(NamedTuple):
    """What a figure is of."""

    spec: Spec
    rounds: int
    delta: float


def draw(spec: Spec, name: str, *, rounds: int = 1, delta: float = 1e-5) -> Any:
    """Draw a figure of a Spec.

    Parameters
    ----------
    spec : Spec
        What is drawn; no data is needed.
    name : str
        One of `FIGURES`.
    rounds : int, optional
        How many times the same record is encoded, for the figures of a record.
    delta : float, optional
        The delta that is marked in the figure of deltas.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ChannelError
        If there is no such figure, the Spec has nothing of that kind to draw, or `rounds` or `delta` is out of
        its range.
    SpecError
        If the Spec's channel is unknown or does not fit.

    Notes
    -----
    Privacy: a figure is computed from the Spec alone and tells nothing that the Spec does not.
    """
    if name not in FIGURES:
        raise ChannelError(f"{name!r} is no figure", hint=f"choose one of {', '.join(FIGURES)}")
    with mpl.rc_context(STYLE):
        return FIGURES[name](_Asked(spec, rounds, delta))


# ---------------------------------------------------------------------- epsilon against error and information
def _error(asked: _Asked) -> Any:
    curves, own = cost_curves(asked.spec), own_cost(asked.spec)
    if all(cost.error is None for several in curves.values() for cost in several):
        raise ChannelError("categories have no error to draw", hint="draw epsilon-information")
    figure, axes = new_axes(names=True)
    axes.set_ylim(0, 31)
    axes.axhline(_NOTHING, color=QUIET, linewidth=1, linestyle=_DOTTED)
    write(axes, "without any token 28.9 %", (1, _NOTHING), (0, 3), ha="right", color=QUIET, xycoords=aside(axes))
    _draw_costs(axes, curves, own, -16, lambda cost: None if cost.error is None else 100 * cost.error**0.5)
    axes.set_ylabel("typical error of a value,\n% of the range")
    return figure


def _information(asked: _Asked) -> Any:
    curves, own = cost_curves(asked.spec), own_cost(asked.spec)
    if not curves:
        raise ChannelError("no channel fits this Spec", hint="a feature needs at least two values")
    figure, axes = new_axes(names=True)
    axes.set_ylim(0, 1.08 * max(cost.bits or 0.0 for several in curves.values() for cost in several))
    _draw_costs(axes, curves, own, 9, lambda cost: cost.bits)
    axes.set_ylabel("what a token tells\nabout its leaf, bits")
    return figure


def _draw_costs(
    axes: Any, curves: Mapping[str, Sequence[Cost]], own: Cost, lift: float, figure_of: Callable[[Cost], float | None]
) -> None:
    """Draw a line for each kind of channel, and a ring at the Spec with its name `lift` points above."""
    axes.margins(x=0)
    ends = []
    for kind, several in curves.items():
        points = [(cost.epsilon, figure_of(cost)) for cost in several if figure_of(cost) is not None]
        if points:
            x, y = zip(*points, strict=True)
            color = _COLORS.get(kind, QUIET)
            axes.plot(x, y, color=color, **_LOOKS.get(kind, {"linewidth": 1.6}))
            ends.append((channel_name(kind), float(y[-1]), color))
    log_scale(axes.xaxis, base=2)
    draw_ends(axes, ends)
    mark = figure_of(own)
    if own.epsilon is not None and mark is not None:
        axes.plot([own.epsilon], [mark], "o", color=INK, markerfacecolor="white", markersize=8, zorder=6)
        write(axes, "this Spec", (own.epsilon, mark), (-6, lift), ha="right", fontweight="bold")
    axes.set_xlabel("epsilon of one value, nats")


# ---------------------------------------------------------------------- composition
def _delta(asked: _Asked) -> Any:
    curves = delta_curves(asked.spec, asked.rounds, asked.delta)
    figure, axes = new_axes()
    axes.set_yscale("log")
    axes.set_ylim(min(1e-12, asked.delta / 100), 3)
    axes.set_xlim(0, 1.1 * max(max(curve.x) for curve in curves))
    axes.axhline(asked.delta, color=QUIET, linewidth=1, linestyle=_DOTTED)
    write(axes, f"delta {plain_delta(asked.delta)}", (0.0, asked.delta), (5, 4), color=QUIET, xycoords=aside(axes))
    for curve in curves:
        _draw_way(axes, curve, asked.delta)
    over = "" if asked.rounds == 1 else f" over {asked.rounds} rounds"
    axes.set_xlabel(f"epsilon of one record{over}, nats")
    axes.set_ylabel("delta, a probability")
    return figure


def _draw_way(axes: Any, curve: Curve, delta: float) -> None:
    """Draw a way to compose, and name it where it has the delta asked for, or where it ends."""
    color, side, lift = _WAYS[curve.name]
    axes.plot(curve.x, curve.y, color=color, linewidth=2, linestyle=_DASHED if curve.name == "added up" else "-")
    if curve.x[-1] > 0.75 * axes.get_xlim()[1]:
        side = "right"  # there is no room on the other one
    offset, name = (-7 if side == "right" else 7, lift), curve.name
    if name == "added up":
        write(axes, f"{name} {upward(curve.x[0], 2)}", (curve.x[0], axes.get_ylim()[0]), offset, ha=side, color=color)
    elif curve.mark is None:
        write(axes, name, (curve.x[-1], curve.y[-1]), offset, ha=side, color=color)
    else:
        axes.plot([curve.mark], [delta], "o", color=color, markersize=6, zorder=5)
        write(axes, f"{name} {upward(curve.mark, 2)}", (curve.mark, delta), offset, ha=side, color=color)


def _renyi(asked: _Asked) -> Any:
    figure, axes = new_axes(names=True)
    axes.margins(x=0)
    ends = []
    for curve in renyi_curves(asked.spec, asked.rounds):
        color = _WAYS[curve.name][0]
        axes.plot(curve.x, curve.y, color=color, linewidth=2)
        ends.append((curve.name, curve.y[-1], color))
    log_scale(axes.xaxis)
    log_scale(axes.yaxis)
    draw_ends(axes, ends)
    axes.set_xlabel(f"order alpha{'' if asked.rounds == 1 else f' (record: {asked.rounds} rounds)'}")
    axes.set_ylabel("Renyi divergence, nats")
    return figure


# ---------------------------------------------------------------------- the channel
def _matrix(asked: _Asked) -> Any:
    shown = heat(asked.spec)
    figure, axes = new_axes(height=4.2)
    colors = _Colors.from_list("hashcomb", ["#f7fafc", "#9ecae1", _BLUE, "#08244a"])
    image = axes.imshow(shown.matrix, cmap=colors, vmin=0, aspect="auto", interpolation="nearest")
    if shown.matrix.size <= _WRITTEN:
        _write_entries(axes, shown.matrix)
    axes.set_xlabel("report")
    axes.set_ylabel(f"true leaf of {name_short(shown.feature)}")
    _number(axes.set_xticks, range(shown.matrix.shape[1]))
    _number(axes.set_yticks, shown.symbols)
    axes.spines[:].set_visible(False)
    axes.grid(visible=False)
    figure.colorbar(image, ax=axes, label="probability of the report", pad=0.03).outline.set_visible(False)
    return figure


def _write_entries(axes: Any, matrix: Any) -> None:
    for (i, j), value in np.ndenumerate(matrix):
        color = "white" if value > 0.55 * matrix.max() else INK
        axes.text(j, i, f"{value:.3f}", ha="center", va="center", fontsize=9, color=color)


def _number(set_ticks: Callable[..., Any], numbers: Iterable[int]) -> None:
    """Write the numbers of leaves, at most some nine of them."""
    named = list(numbers)
    places = range(0, len(named), max(1, -(-len(named) // 9)))
    set_ticks(list(places), [str(named[place]) for place in places])


FIGURES: dict[str, Callable[[_Asked], Any]] = {
    "epsilon-error": _error,
    "epsilon-information": _information,
    "delta": _delta,
    "renyi": _renyi,
    "matrix": _matrix,
}
