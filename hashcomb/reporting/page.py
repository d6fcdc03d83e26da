"""The privacy report of a Spec as one HTML page with its figures inside, which needs nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.resources import files
from itertools import groupby
from typing import Any

from hashcomb import __version__
from hashcomb.atomic import writing
from hashcomb.errors import ChannelError
from hashcomb.integrations import require
from hashcomb.privacy.report.report import FeaturePrivacy, PrivacyReport
from hashcomb.privacy.report.wording import (
    EDGES_GLOSS,
    EDGES_TITLE,
    channel_name,
    compared,
    cost_glosses,
    cost_name,
    costs_title,
    edges_figures,
    figures_of,
    percent,
    plain_delta,
    small,
    upward,
)
from hashcomb.reporting.curves import MAX_ROWS
from hashcomb.reporting.figures import FIGURES, draw, to_svg
from hashcomb.spec import Spec

jinja2 = require("plot", "jinja2")
_Markup = require("plot", "markupsafe").Markup

__all__ = ("html", "save_page")

_CAPTIONS = {
    "epsilon-error": "What an epsilon costs in error: the root of the mean squared error of one decoded value that is "
    "uniform over its range, decoded to its mean given the token. Lower is better to learn from. Dashed: the channel "
    "of least error that a linear program finds.",
    "epsilon-information": "What an epsilon leaves in a token: the mutual information of token and leaf, for a "
    "uniform leaf. A dip is where a channel changes its depth or window, which it chooses for the least error.",
    "delta": "Delta against epsilon of a whole record: what tokens show is at most e^epsilon times as probable for one "
    "record as for any other, plus delta. Every curve holds, and the tight one is the least. Added up, where it is "
    "drawn, has delta 0.",
    "renyi": "Renyi divergence by its order. Those of the features and of the rounds add up at each order, and give "
    "the curve called Renyi in the figure before.",
    "matrix": "The channel: how probable each report is (a column), for each true leaf (a row). Epsilon is the "
    "logarithm of the largest ratio of two entries of one column.",
}


def html(spec: Spec, *, rounds: int = 1, delta: float = 1e-5, attack: str | None = None) -> str:
    """Return the privacy report of a Spec as a page.

    Parameters
    ----------
    spec : Spec
        What is asked about; no data is needed.
    rounds, delta
        As for `PrivacyReport.of`.
    attack : str, optional
        The text of an `AttackReport`, shown at the end. It says what was recovered of real rows.

    Returns
    -------
    str
        An HTML document that loads nothing.

    Raises
    ------
    ChannelError
        If `rounds` or `delta` is out of its range.
    SpecError
        If the Spec's channel is unknown or does not fit.

    Notes
    -----
    Privacy: without an attack, the page tells nothing that the Spec does not.
    """
    report = PrivacyReport.of(spec, rounds=rounds, delta=delta, others=True)
    source = files("hashcomb.reporting").joinpath("page.html.jinja").read_text(encoding="utf-8")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)
    page: str = template.render(
        report=report,
        lead=_lead(report),
        channel=channel_name(report.channel) if report.channel else None,
        epsilons=[(_whole(what), one, many) for what, one, many in figures_of(report)],
        edges=edges_figures(report),
        edges_title=EDGES_TITLE,
        edges_gloss=EDGES_GLOSS,
        small=small,
        curves=_without_epsilon(report),
        costs=[_cost(cost, report) for cost in report.what_if if cost.own],
        errors=compared(report, "error"),
        bits=compared(report, "bits"),
        glosses=cost_glosses(report),
        costs_title=costs_title(report),
        figures=list(_figures(spec, rounds, delta)),
        features=_grouped(report),
        attack=attack,
        version=__version__,
        upward=upward,
        percent=percent,
    )
    return page


def save_page(page: str, path: str | os.PathLike[str]) -> None:
    """Write a page to a file; whole or not at all. An `OSError` says why it cannot."""
    with writing(path) as file:
        file.write(page.encode("utf-8"))


def _whole(what: str) -> str:
    """Return the name of a figure as it stands alone, where it is indented under another."""
    return f"one record, {what.strip()}" if what.startswith(" ") else what


def _lead(report: PrivacyReport) -> str:
    """Return the answer to the first question, in a sentence or two."""
    costs = "; ".join(f"{what}: {epsilon}" for what, epsilon in edges_figures(report))
    return _lead_of_tokens(report) + (f" On top of that come edges and ranges ({costs})." if costs else "")


def _lead_of_tokens(report: PrivacyReport) -> str:
    one, total = report.record, report.total
    if one is None or total is None:
        return "These tokens are deterministic: they have no differential privacy at any epsilon."
    if total.basic is None:
        return "This channel has no epsilon: some tokens are possible for one value and impossible for another."
    rounds = "" if report.rounds == 1 else f", encoded {report.rounds} times,"
    n = report.n_reported
    lead = f"A record of {n} value{'s' * (n != 1)}{rounds} has epsilon {upward(total.basic)}"
    if total.tight is not None and total.tight < total.basic:
        lead += f" (with delta 0), or {upward(total.tight)} at delta {plain_delta(report.delta)}"
    return lead + "."


def _without_epsilon(report: PrivacyReport) -> list[tuple[str, tuple[tuple[float, float], ...]]]:
    """Return the curves of delta of what has no epsilon, each curve of a value once."""
    values = {feature.deltas: f"one value of {feature.name}" for feature in reversed(report.features)}
    rows = [(name, deltas) for deltas, name in reversed(values.items())]
    if report.record and report.total:
        rows.append(("one record", report.record.deltas))
        rows += [(f"one record, {report.rounds} rounds", report.total.deltas)] * (report.rounds > 1)
    return [(name, deltas) for name, deltas in rows if deltas]


def _cost(cost: Any, report: PrivacyReport) -> dict[str, Any]:
    return {"name": cost_name(cost, report.channel), "cost": cost}


def _figures(spec: Spec, rounds: int, delta: float) -> Iterator[tuple[str, Any, str]]:
    """Yield the figures that the Spec has: name, picture, caption."""
    for name in FIGURES:
        try:
            figure = draw(spec, name, rounds=rounds, delta=delta)
        except ChannelError:
            continue
        caption = _CAPTIONS[name]
        if name == "matrix" and spec.n_leaves > MAX_ROWS:
            caption += f" {MAX_ROWS} of the leaves are shown, evenly spaced."
        yield name, _Markup(to_svg(figure, name)), caption  # our own


def _grouped(report: PrivacyReport) -> list[tuple[str, FeaturePrivacy, int]]:
    """Return features with equal figures as one row, if they stand together: names, figures, how many."""
    rows = []
    for _, several in groupby(report.features, key=_figures_alone):
        group = list(several)
        names = group[0].name if len(group) == 1 else f"{group[0].name} to {group[-1].name}"
        rows.append((names, group[0], len(group)))
    return rows


def _figures_alone(feature: FeaturePrivacy) -> tuple[Any, ...]:
    return tuple(getattr(feature, name) for name in feature.__struct_fields__ if name != "name")
