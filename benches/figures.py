"""Draw the pictures of docs/explanation/scheme.md and quantile-combs.md: `python -m benches.figures [FOLDER]`.

What is shown of data is scikit-learn's breast_cancer, encoded by the library; nothing is drawn by hand but boxes.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer

from hashcomb import Comb, HashComb, Key, RandomizedResponse, Spec, learn_spec
from hashcomb.errors import HashcombWarning
from hashcomb.integrations import require
from hashcomb.reporting.drawing import INK, QUIET, save_figure

__all__ = ("main",)

_Figure = require("plot", "matplotlib.figure").Figure
_Rectangle = require("plot", "matplotlib.patches").Rectangle

BLUE, RED, PALE, PAPER = "#0072b2", "#d55e00", "#e8f1f7", "#fbeee6"
WIDTH = 5.6  # inches, as all figures of the library: letters keep their size on a page
COLUMN, OTHER = "area error", "mean radius"


def _page(height: float) -> tuple[Any, Any]:
    """Return an empty figure, with axes that count hundredths of its width in both directions."""
    figure = _Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 100), ylim=(100 * height / WIDTH, 0))
    axes.axis("off")
    return figure, axes


def _box(axes: Any, x: float, y: float, width: float, height: float, text: str, **style: Any) -> None:
    color, fill, size = style.get("color", QUIET), style.get("fill", "white"), style.get("size", 10)
    axes.add_patch(_Rectangle((x, y), width, height, facecolor=fill, edgecolor=color, linewidth=1.2))
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=size, color=INK, linespacing=1.35)


def _arrow(axes: Any, start: tuple[float, float], end: tuple[float, float], color: str = INK, **style: Any) -> None:
    look = {"arrowstyle": "-|>", "color": color, "linewidth": 1.3, "shrinkA": 0, "shrinkB": 0, **style}
    axes.annotate("", end, start, arrowprops=look)


# ---------------------------------------------------------------------- a value's way
def draw_value(spec: Spec, row: Any) -> Any:
    """Draw one value on its way: comb, leaf, report, token."""
    position, value = spec.names.index(OTHER), float(row[OTHER])
    comb = Comb(spec)
    leaf = int(comb.leaves(row.to_numpy(float).reshape(1, -1).copy())[0, position])
    figure, axes = _page(5.6)
    xs = 6 + 88 * (np.arange(8) + 0.5) / 8
    axes.text(50, 4, f"{OTHER} = {value:g}", ha="center", fontsize=12, weight="bold")
    _draw_tree(axes, xs, leaf)
    _draw_leaves(axes, xs, comb.edges[position], leaf)
    channel = RandomizedResponse(2.0, 8, depth="leaf")
    stay, move = channel.matrix()[leaf, leaf], channel.matrix()[leaf, leaf - 1]
    axes.text(
        50,
        57,
        f"optional channel: keep the leaf with {stay:.0%}, else one of the others, {move:.1%} each",
        ha="center",
        fontsize=10,
        color=RED,
    )
    other = 3
    _arrow(axes, (xs[leaf], 59.5), (xs[leaf], 69), color=RED)
    for i in set(range(8)) - {leaf}:
        _arrow(axes, (xs[leaf], 59.5), (xs[i], 69), color=RED, alpha=0.55 if i == other else 0.18)
    for i, x in enumerate(xs):
        _box(axes, x - 4.5, 70, 9, 7, str(i), fill=PAPER if i == leaf else "white", color=RED if i == leaf else QUIET)
    axes.text(
        50, 82.5, "keyed hash of (level, leaf): each has a token of its own", ha="center", fontsize=10, color=BLUE
    )
    _draw_tokens(axes, xs, spec, position, leaf)
    return figure


def _draw_tree(axes: Any, xs: Any, leaf: int) -> None:
    """Draw the three levels above the leaves, and the path."""
    places = [xs.reshape(1 << level, -1).mean(axis=1) for level in range(4)]
    heights = [10, 20, 30, 41]
    for level in (1, 2, 3):
        for node, x in enumerate(places[level]):
            on_path = node == leaf >> (3 - level)
            line = {"color": BLUE if on_path else "#b8c4cf", "linewidth": 2.4 if on_path else 1.1}
            axes.plot([places[level - 1][node // 2], x], [heights[level - 1], heights[level]], **line)
    for level, text in ((1, "level 1"), (2, "level 2"), (3, "level 3")):
        axes.text(0.5, heights[level] - 2.2, text, fontsize=9, color=QUIET, va="center")


def _draw_leaves(axes: Any, xs: Any, edges: Any, leaf: int) -> None:
    """Draw the leaves, with the edges between them."""
    for i, x in enumerate(xs):
        fill, color = (PALE, BLUE) if i == leaf else ("white", QUIET)
        _box(axes, x - 5.5, 41, 11, 7, f"leaf {i}", fill=fill, color=color, size=9)
    for i, edge in enumerate(edges):
        axes.text((xs[i] + xs[i + 1]) / 2, 51, f"{edge:.4g}", ha="center", va="center", fontsize=9, color=QUIET)


def _draw_tokens(axes: Any, xs: Any, spec: Spec, position: int, leaf: int) -> None:
    key = Key(bytes(range(32)))  # for a picture only: whoever reads this file knows it
    tokens = _tokens_of_leaves(spec, key, position)
    for i, x in enumerate(xs):
        chosen = i == leaf
        _arrow(axes, (x, 84.5), (x, 88), color=BLUE, alpha=1 if chosen else 0.35)
        axes.text(
            x,
            91.5,
            f"{tokens[i] >> 32:08x}\n{tokens[i] & 0xFFFFFFFF:08x}",
            ha="center",
            va="center",
            fontsize=8.5,
            family="monospace",
            color=INK if chosen else QUIET,
            weight="bold" if chosen else "normal",
        )


def _tokens_of_leaves(spec: Spec, key: Key, position: int) -> list[int]:
    """Return the tokens of all leaves of a column, by encoding a value of each."""
    comb = Comb(spec)
    bounds = comb.bounds()
    rows = np.repeat(bounds[:, :1], 8, axis=1).T.copy()
    rows[:, position] = bounds[position, :-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HashcombWarning)
        return [int(token) for token in np.asarray(HashComb(spec, key).encode(rows))[:, position]]


# ---------------------------------------------------------------------- uniform and quantile edges
def draw_edges(values: Any, edges: dict[str, Any], lo: float, hi: float) -> Any:
    """Draw the edges of two combs over the rows of a column, and how full the leaves are."""
    figure = _Figure(figsize=(WIDTH, 5.0))
    for place, (name, inner) in enumerate(edges.items()):
        bottom = 0.58 - 0.48 * place
        axes = figure.add_axes((0.12, bottom, 0.85, 0.33))
        axes.hist(values, bins=np.linspace(lo, hi, 109), color="#b8c4cf")
        axes.set(xlim=(lo, hi), ylim=(0, None), ylabel="rows")
        axes.spines[["top", "right"]].set_visible(False)
        for edge in inner:
            axes.axvline(edge, color=BLUE if name == "quantile" else RED, linewidth=1)
        shares = np.histogram(values, np.concatenate([[lo], inner, [hi]]))[0] / len(values)
        fullest, empty = shares.max(), int((shares == 0).sum())
        text = f"{name}: the fullest of 16 leaves has {fullest:.0%} of rows, {empty or 'none'} empty"
        axes.set_title(text, fontsize=10.5, loc="left", color=INK)
    axes.set_xlabel(COLUMN)
    return figure


def _draw_edges(frame: Any) -> Any:
    values = frame[COLUMN].to_numpy()
    specs = {name: learn_spec(frame[[COLUMN]], depth=4, edges=name) for name in ("uniform", "quantile")}
    return draw_edges(values, {name: Comb(spec).edges[0] for name, spec in specs.items()}, values.min(), values.max())


# ---------------------------------------------------------------------- who holds what
def draw_who() -> Any:
    """Draw who holds what, and what goes from whom to whom."""
    figure, axes = _page(4.6)
    for i, name in enumerate("ABC"):
        top = 3 + 26 * i
        _box(axes, 1, top, 37, 21, "", fill=PALE, color=BLUE)
        axes.text(19.5, top + 4, f"owner {name}", ha="center", va="center", fontsize=11, weight="bold")
        axes.text(
            19.5,
            top + 13,
            "its rows\nSpec: ranges, edges, rules\nKey",
            ha="center",
            va="center",
            fontsize=9.5,
            linespacing=1.35,
        )
        _arrow(axes, (38.5, top + 10.5), (61, 27 + 3 * (i - 1)), color=INK)
    axes.text(51, 5.5, "tokens, labels,\nheader", ha="center", va="center", fontsize=9.5, linespacing=1.3)
    _box(axes, 61.5, 13, 37, 28, "", fill=PAPER, color=RED)
    axes.text(80, 17, "trainer", ha="center", va="center", fontsize=11, weight="bold")
    axes.text(
        80,
        29,
        "tokens and labels of all\nnames of columns, depth,\nfingerprint, id of the Key\nthe model",
        ha="center",
        va="center",
        fontsize=9.5,
        linespacing=1.35,
    )
    axes.text(80, 45.5, "no Key, no edge, no value", ha="center", va="center", fontsize=9.5, color=RED)
    _box(axes, 61.5, 56, 37, 21, "", color=QUIET)
    axes.text(80, 60, "helper", ha="center", va="center", fontsize=11, weight="bold")
    axes.text(
        80,
        68.5,
        "only where owners are two:\nshares and sizes,\nno Spec, no Key, no answer",
        ha="center",
        va="center",
        fontsize=9.5,
        linespacing=1.35,
    )
    _arrow(axes, (38.5, 70), (61, 70), color=QUIET, arrowstyle="<|-|>", linestyle=(0, (4, 2)))
    axes.text(50, 73.5, "shares", ha="center", va="center", fontsize=9.5, color=QUIET)
    for top in (24.5, 50.5):
        _arrow(axes, (10, top), (10, top + 4), color=QUIET, arrowstyle="<|-|>", mutation_scale=7)
        axes.text(12, top + 2, "agree", va="center", fontsize=9, color=QUIET)
    return figure


# ---------------------------------------------------------------------- the agreement
STEPS = (
    (
        "connect",
        "all meet in TLS with pinned certificates,\nsame policy and columns, or nobody goes on",
        "digests of both",
    ),
    ("votes, depth", "shares of votes go around;\nonly who won is computed", "the winners"),
    (
        "ranges, edges",
        'shares of counts go around; of a candidate\nonly "too low" or "too high" is computed',
        "edges and ranges",
    ),
    ("key", "each commits to 64 random bytes,\nthen reveals them to owners", "the Key, to owners"),
    ("confirm", "each proves that it holds the same,\nand signs the transcript", "signatures"),
)


def draw_agreement() -> Any:
    """Draw the main steps of an agreement, and what each opens."""
    figure, axes = _page(5.0)
    for x, name in ((29, "what happens"), (80, "what all owners see")):
        axes.text(x, 3, name, ha="center", va="center", fontsize=10, color=QUIET)
    for i, (name, text, opened) in enumerate(STEPS):
        top = 6.5 + 16.6 * i
        _box(axes, 1, top, 60, 12.6, "", fill=PALE, color=BLUE)
        axes.text(3, top + 3, name, va="center", fontsize=10, weight="bold")
        axes.text(3, top + 8.4, text, va="center", fontsize=9, linespacing=1.25)
        _arrow(axes, (61.5, top + 6.3), (66, top + 6.3))
        _box(axes, 66.5, top + 1.8, 32.5, 9, opened, fill=PAPER, color=RED, size=9.5)
        if i < len(STEPS) - 1:
            _arrow(axes, (30, top + 12.8), (30, top + 16.4), color=QUIET)
    return figure


def main() -> None:
    """Write the figures into docs/figures, or the folder that is named."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/figures")
    folder.mkdir(parents=True, exist_ok=True)
    frame = load_breast_cancer(as_frame=True).data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HashcombWarning)
        figures = {
            "value": draw_value(learn_spec(frame, depth=3), frame.iloc[0]),
            "edges": _draw_edges(frame),
            "who": draw_who(),
            "agreement": draw_agreement(),
        }
    for name, figure in figures.items():
        save_figure(figure, folder / f"scheme-{name}.svg")
        print(folder / f"scheme-{name}.svg")


if __name__ == "__main__":
    main()
