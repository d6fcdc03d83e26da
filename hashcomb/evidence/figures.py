"""Figures of a folder of measurements: accuracy against depth, and against epsilon of a record."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hashcomb.evidence.summary import Line
from hashcomb.privacy.report.wording import channel_name
from hashcomb.reporting.drawing import INK, QUIET, STYLE, draw_ends, log_scale, mpl, name_short, new_axes, save_figure

__all__ = ("draw_all",)

# Okabe and Ito's palette, as in the figures of a Spec.
_PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", INK, "#8a97a6")
_DASHED: Any = (0, (3, 2))
_DOTTED: Any = (0, (1, 2))
_BY = {"random": "split at random", "owner": "split by owner"}

Series = Mapping[str, Sequence[Line]]


def draw_all(lines: Sequence[Line], out: Path) -> list[tuple[str, str]]:
    """Draw every figure that the measurements have points for.

    Parameters
    ----------
    lines : sequence of Line
        From `summarized`.
    out : Path
        A folder, where files ``depth-*.svg`` and ``epsilon-*.svg`` are written over.

    Returns
    -------
    list of (str, str)
        Names of the files, and their captions.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    drawn = []
    with mpl.rc_context(STYLE):
        for name, caption, figure in _figures(lines):
            save_figure(figure, out / name)
            drawn.append((name, caption))
    return drawn


def _figures(lines: Sequence[Line]) -> Iterator[tuple[str, str, Any]]:
    for (data, split), several in _by(lines, lambda line: (line.example.data, line.example.split)).items():
        depths = _of_depths(several)
        if any(len(points) > 1 for _, points in depths.values()):
            caption = f"{data}, {_BY[split]}: accuracy against depth; quantile combs drawn through, uniform ones dashed"
            yield f"{_file('depth', data, split)}.svg", caption, _depth_figure(several, depths)
        for model, of_model in _by(several, lambda line: line.example.model).items():
            series = _of_epsilons(of_model)
            if any(len(points) > 1 for points in series.values()):
                caption = f"{data}, {_BY[split]}, {model}: accuracy against epsilon of a whole record"
                yield f"{_file('epsilon', data, split, model)}.svg", caption, _epsilon_figure(of_model, series)


def _file(*parts: str) -> str:
    return "-".join(re.sub(r"[^\w.]+", "-", part) for part in parts)


def _by(lines: Sequence[Line], key: Callable[[Line], Any]) -> dict[Any, list[Line]]:
    groups: dict[Any, list[Line]] = {}
    for line in lines:
        groups.setdefault(key(line), []).append(line)
    return groups


def _plain(line: Line) -> bool:
    """Whether a line is of tokens as a model takes them by default, without a channel."""
    one = line.example
    return one.family == "tokens" and one.channel is None and one.depth is not None


# ---------------------------------------------------------------------- depth
def _of_depths(lines: Sequence[Line]) -> dict[tuple[str, str], tuple[str, list[Line]]]:
    """Return the points of each curve by model and edges: those of the representation that has most depths."""
    curves: dict[tuple[str, str], tuple[str, list[Line]]] = {}
    key = _by([line for line in lines if _plain(line)], lambda line: (line.example.model, line.example.edges))
    for name, several in key.items():
        by = _by(several, lambda line: line.example.representation)
        representation, points = max(by.items(), key=lambda item: len(item[1]))
        curves[name] = (str(representation), sorted(points, key=lambda line: line.example.depth or 0))
    return curves


def _depth_figure(lines: Sequence[Line], curves: Mapping[tuple[str, str], tuple[str, list[Line]]]) -> Any:
    figure, axes = new_axes(names=True)
    models = list(dict.fromkeys(model for (model, _), (_, points) in curves.items() if len(points) > 1))
    deepest = max(line.example.depth or 0 for _, points in curves.values() for line in points)
    ends = []
    for model, color in zip(models, _PALETTE, strict=False):
        for edges, look in (("quantile", "-"), ("uniform", _DASHED)):
            _, points = curves.get((model, edges), ("", []))
            _draw(axes, [float(line.example.depth or 0) for line in points], points, color, look)
        last = curves.get((model, "quantile")) or curves[model, "uniform"]
        ends.append((model, last[1][-1].accuracy, color))
    axes.set_xlim(0.8, deepest + 0.2)
    _draw_raw(axes, lines, dict(zip(models, _PALETTE, strict=False)))
    draw_ends(axes, ends)
    axes.set_xticks(range(1, deepest + 1))
    axes.set_xlabel("depth (dotted: raw rows)")
    axes.set_ylabel("accuracy, %")
    return figure


def _draw(axes: Any, x: Sequence[float], points: Sequence[Line], color: str, look: Any) -> None:
    """Draw a curve with a mark at each point."""
    y = [line.accuracy for line in points]
    axes.plot(x, y, color=color, linewidth=1.8, linestyle=look, marker="o", markersize=3.5)


def _draw_raw(axes: Any, lines: Sequence[Line], colors: Mapping[str, str]) -> None:
    for line in lines:
        if line.example.family == "raw" and line.example.model in colors:
            axes.axhline(line.accuracy, color=colors[line.example.model], linewidth=1.2, linestyle=_DOTTED)


# ---------------------------------------------------------------------- epsilon
def _of_epsilons(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """Return the points of each curve by what makes the noise, and how it is learned from."""
    noisy = [line for line in lines if line.epsilon_record is not None and line.epsilon_record > 0]
    curves = _by(noisy, lambda line: (_noise(line), line.example.representation, line.example.depth))
    several = [(key, sorted(points, key=lambda line: line.epsilon_record or 0.0)) for key, points in curves.items()]
    many = {name for name, *_ in curves if sum(other == name for other, *_ in curves) > 1}
    return {
        f"{name}, {representation}" if name in many else name: points for (name, representation, _), points in several
    }


def _noise(line: Line) -> str:
    one = line.example
    return channel_name(one.channel) if one.channel else one.family


def _epsilon_figure(lines: Sequence[Line], series: Series) -> Any:
    figure, axes = new_axes(height=4.2, names=True)
    axes.margins(x=0.02)
    ends = []
    for place, (name, points) in enumerate(series.items()):
        color = _PALETTE[place % len(_PALETTE)]
        look = "-" if place < len(_PALETTE) else _DASHED
        _draw(axes, [line.epsilon_record or 0.0 for line in points], points, color, look)
        ends.append((name_short(name), points[-1].accuracy, color))
    log_scale(axes.xaxis, base=2)
    _draw_raw(axes, lines, dict.fromkeys((line.example.model for line in lines), QUIET))
    draw_ends(axes, ends)
    axes.set_xlabel("epsilon of a record, nats (dotted: raw rows)")
    axes.set_ylabel("accuracy, %")
    return figure
