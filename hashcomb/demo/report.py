"""The demo's report: one HTML page with its figures inside."""

from __future__ import annotations

import io
import re
from importlib.resources import files
from typing import Any

import jinja2
import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from hashcomb import __version__
from hashcomb.demo.run import DemoResult
from hashcomb.demo.screen import summary
from hashcomb.privacy import PrivacyReport
from hashcomb.spec import Quantile

__all__ = ("html",)

RAW, TOKENS = "#8a97a6", "#0b6e8a"
N_COMBS = 12
_STYLE = {"svg.fonttype": "none", "svg.hashsalt": "hashcomb", "font.family": "sans-serif", "font.size": 10}


def html(result: DemoResult) -> str:
    """Return the report as one page that needs nothing else."""
    source = files("hashcomb.demo").joinpath("report.html.jinja").read_text(encoding="utf-8")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)
    first = next(iter(result.owners.values()))
    facts = summary(result)
    drawn = {"accuracy": _accuracy(facts), "steps": _steps(result), "leak": _leak(result), "combs": _combs(result)}
    figures = {name: _svg(name, figure) for name, figure in drawn.items()}
    return template.render(
        facts=facts,
        figures=figures,
        owners=list(result.owners.items()),
        n_owners=len(result.owners),
        key_id=first["key_id"],
        transcript=first["transcript"],
        statements=PrivacyReport.of(result.spec).statements,
        combs=_rows(result),
        n_shown=min(N_COMBS, len(result.spec.features)),
        command=result.command,
        version=__version__,
    )


def _rows(result: DemoResult) -> list[dict[str, Any]]:
    features = zip(result.spec.features, result.trainer["n_distinct"], strict=True)
    return [
        {"name": f.name, "lo": f.lo, "hi": f.hi, "used": len(set(f.edges) | {f.lo}), "tokens": n_tokens}
        for f, n_tokens in features
        if isinstance(f, Quantile)
    ]


def _svg(name: str, figure: Figure) -> Markup:
    file = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})
    _, begin, rest = file.getvalue().partition("<svg")
    # Every figure calls its parts alike; on one page, each gets names of its own.
    return Markup(re.sub(r'(\bid="|"#|url\(#)', rf"\g<1>{name}-", begin + rest))  # noqa: S704 our own figure


def _axes(width: float, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height))
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _accuracy(facts: dict[str, Any]) -> Figure:
    figure, axes = _axes(7, 2.6)
    rows = facts["accuracy"][::-1]
    for shift, kind, color, label in (
        (0.19, "raw", RAW, "raw rows, pooled"),
        (-0.19, "tokens", TOKENS, "tokens alone"),
    ):
        values = np.array([row[kind] for row in rows])
        error = np.sqrt(values * (100 - values) / facts["held_out"])
        axes.barh(np.arange(len(rows)) + shift, values, 0.34, xerr=error, color=color, label=label, ecolor="#333")
        for place, value in enumerate(values):
            axes.text(1, place + shift, f"{value:.2f} %", va="center", color="white", fontsize=9)
    axes.set_yticks(range(len(rows)), [row["model"] for row in rows])
    axes.set_xlim(0, 100)
    axes.set_xlabel("test accuracy, %")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    return figure


def _steps(result: DemoResult) -> Figure:
    slowest = max((owner["seconds"] for owner in result.owners.values()), key=lambda seconds: sum(seconds.values()))
    names = list(slowest)[::-1]
    figure, axes = _axes(7, 2.2)
    axes.barh(names, [slowest[name] for name in names], color=TOKENS)
    axes.set_xlabel("seconds")
    return figure


def _leak(result: DemoResult) -> Figure:
    recovered, guessed = np.array(result.leak.joint), np.array(result.leak.guessed)
    order = np.argsort(recovered)
    figure, axes = _axes(7, 2.8)
    axes.vlines(range(len(order)), guessed[order], recovered[order], color="#c9d2db", linewidth=1)
    axes.plot(range(len(order)), recovered[order], "o", color=TOKENS, markersize=4, label="columns together")
    axes.plot(
        range(len(order)), guessed[order], "_", color="#333", markersize=7, label="guessing the most frequent leaf"
    )
    axes.set_ylim(0, 105)
    axes.set_ylabel("leaves named rightly, %")
    axes.set_xlabel("features, from the least to the most recognizable")
    axes.set_xticks([])
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    return figure


def _combs(result: DemoResult) -> Figure:
    shown = [f for f in result.spec.features if isinstance(f, Quantile)][:N_COMBS][::-1]
    figure, axes = _axes(7, 0.6 + 0.26 * len(shown))
    for place, feature in enumerate(shown):
        width = (feature.hi - feature.lo) or 1.0
        positions = (np.unique(feature.edges) - feature.lo) / width
        axes.hlines(place, 0, 1, color="#e1e7ed", linewidth=6)
        axes.vlines(positions, place - 0.36, place + 0.36, color=TOKENS, linewidth=1)
    axes.set_yticks(range(len(shown)), [_short(feature.name) for feature in shown])
    axes.set_xlim(-0.01, 1.01)
    axes.set_xticks([0, 1], ["least", "largest"])
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)
    return figure


def _short(name: str) -> str:
    return (name if len(name) <= 24 else name[:23] + "…").replace("$", r"\$")  # two of them would be mathematics
