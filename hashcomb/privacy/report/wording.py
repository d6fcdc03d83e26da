"""A privacy report as text for people: short lines, every word explained once."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING

from hashcomb.privacy.release import added_up

if TYPE_CHECKING:
    from hashcomb.privacy.report.costs import Cost
    from hashcomb.privacy.report.report import PrivacyReport

__all__ = (
    "EDGES_GLOSS",
    "EDGES_TITLE",
    "NONE",
    "channel_name",
    "compared",
    "cost_glosses",
    "cost_name",
    "costs_title",
    "edges_figures",
    "figures_of",
    "percent",
    "report_text",
    "span",
    "upward",
)

NONE = "none: no differential privacy"
EDGES_TITLE = "Epsilon of edges and ranges, from counts with noise"
EDGES_GLOSS = "For every record that was counted, whoever holds it, and on top of what its tokens cost."
WIDTH = 96
_TIMES = {0.25: "a quarter", 0.5: "half", 1.0: "now", 2.0: "twice"}
_NAMES = {"rqm": "RQM", "poisson_binomial": "Poisson-binomial", "none": "no channel"}


def report_text(report: PrivacyReport) -> str:
    """Return a report as text that ends with a line break."""
    blocks = [
        _title(report),
        _epsilons(report),
        _without_epsilon(report),
        _edges(report),
        _left(report),
        _costs(report),
        _listed("Who learns what", report.statements),
        _listed("Taken for granted", report.assumptions),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


# ---------------------------------------------------------------------- numbers
def upward(value: float | None, digits: int = 4) -> str:
    """Return a figure with some decimals, rounded up: a claim must not be below the truth in print either."""
    if value is None or not math.isfinite(value):
        return "none"
    return str(Decimal(value).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_CEILING))


def small(delta: float) -> str:
    """Return a delta that is claimed, rounded up in its third digit."""
    if delta <= 0 or delta >= 1e-3:
        return "0" if delta <= 0 else upward(delta)
    exact = Decimal(delta)
    return _short(exact.quantize(Decimal(1).scaleb(exact.adjusted() - 2), rounding=ROUND_CEILING))


def plain_delta(delta: float) -> str:
    """Return a delta that was asked for, as it was."""
    return _short(Decimal(repr(delta))) if delta < 1e-3 else repr(delta)


def _short(number: Decimal) -> str:
    return f"{number.normalize():e}"


def span(values: Iterable[float | None], show: Callable[[float], str] | None = None) -> str:
    """Return the least and the largest of some figures, or the one that they all are; none beats every number."""
    ordered = sorted((math.inf if value is None else value) for value in values)
    shown = [(show or upward)(end) for end in (ordered[0], ordered[-1])]
    return shown[0] if shown[0] == shown[1] else f"{shown[0]} to {shown[1]}"


def percent(error: float | None) -> str:
    """Return the root of a mean squared error as a share of the range."""
    return "-" if error is None else f"{100 * math.sqrt(error):.1f} %"


def channel_name(kind: str) -> str:
    """Return the name of a kind of channel as people write it."""
    return _NAMES.get(kind, kind.replace("_", " "))


# ---------------------------------------------------------------------- blocks
def _title(report: PrivacyReport) -> list[str]:
    n_features = len(report.features)
    what = f"{n_features} feature{'s' * (n_features != 1)}"
    if report.n_reported < n_features:
        what += f", of which each record reports {report.n_reported}"
    how = f"channel: {channel_name(report.channel)}" if report.channel else "no channel: deterministic tokens"
    return [f"Privacy of the Spec {report.fingerprint[:16]}", f"{what}; {how}"]


def figures_of(report: PrivacyReport) -> list[tuple[str, str, str]]:
    """Return the epsilons as rows: what, in one round, in all rounds (empty for a single round)."""
    values = [feature.epsilon for feature in report.features]
    repeated = [None if value is None else added_up([value], 1, report.rounds) for value in values]
    record = report.n_reported
    rows = [("one value", span(values), span(repeated))]
    one, total = report.record, report.total
    if one and total:
        name = f"one record of {record} value{'s' * (record != 1)}"
        rows += [
            (f"{name}, added up", upward(one.basic), upward(total.basic)),
            (f"  by Renyi divergences, at delta {plain_delta(report.delta)}", upward(one.renyi), upward(total.renyi)),
            (f"  tight, at delta {plain_delta(report.delta)}", upward(one.tight), upward(total.tight)),
        ]
    return [(what, single, many if report.rounds > 1 else "") for what, single, many in rows]


def _epsilons(report: PrivacyReport) -> list[str]:
    if report.record is None:
        return [f"epsilon of a value, of a record: {NONE}"]
    heads = ("epsilon, in nats", "1 round", f"{report.rounds} rounds" if report.rounds > 1 else "")
    table = _table([heads, *figures_of(report)], "<>>")
    gloss = (
        "Whatever tokens show is at most e^epsilon times as probable for one value, or record, as for any other, plus "
        "delta. Smaller protects more. Added up holds with delta 0; every line holds, the least may be claimed."
    )
    if report.record.basic is None:
        gloss = "No epsilon holds with delta 0. One that is printed holds with its delta, and so do the pairs below."
    bound = (
        [] if report.record.exact else ["  (Renyi and tight may be far too high: too many values to compare all pairs)"]
    )
    return [*table, *bound, *_wrapped(gloss, "  ")]


def _without_epsilon(report: PrivacyReport) -> list[str]:
    """Return the delta curves of what has no epsilon."""
    rows: list[tuple[str, ...]] = []
    curves = {feature.deltas: feature.name for feature in reversed(report.features) if feature.deltas}
    for curve, name in reversed(curves.items()):
        what = "one value" if len(curves) == 1 else f"one value of {name}"
        rows.append((f"{what}, least delta", *(small(delta) for _, delta in curve)))
    for what, record in (("one record", report.record), (f"{report.rounds} rounds", report.total)):
        if record and record.deltas and (record is not report.record or what == "one record"):
            rows.append((f"{what}, delta", *(small(delta) for _, delta in record.deltas)))
    if not rows:
        return []
    at = next(curve for curve in [*curves, report.record.deltas if report.record else ()] if curve)
    heads = ("No epsilon holds alone; at epsilon", *(f"{epsilon:g}" for epsilon, _ in at))
    return _table([heads, *rows], "<" + ">" * len(at))


def edges_figures(report: PrivacyReport) -> list[tuple[str, str]]:
    """Return what ranges and edges from counts with noise cost as rows: what, and its epsilon."""
    if report.edges is None:
        return []
    at = f"at delta {plain_delta(report.delta)}"
    return [
        (f"one record added or removed, {at}", upward(report.edges.presence)),
        (f"one record replaced, {at}", upward(report.edges.replacement)),
    ]


def _edges(report: PrivacyReport) -> list[str]:
    rows = [(f"  {what}", figure) for what, figure in edges_figures(report)]
    if not rows:
        return []
    table = _table([(EDGES_TITLE, ""), *rows], "<>")
    return [*table, *_wrapped(EDGES_GLOSS, "  ")]


def _left(report: PrivacyReport) -> list[str]:
    bits = [feature.bits for feature in report.features]
    errors = [feature.error for feature in report.features if feature.error is not None]
    full = span([math.log2(feature.n_symbols) for feature in report.features], _two)
    known = "not computed" if None in bits else f"{span(bits, _two)} bits"
    tokens, leaves = (
        span((getattr(feature, name) for feature in report.features), _whole) for name in ("n_tokens", "n_symbols")
    )
    lines = [
        ("different tokens of a feature", f"{tokens}, for {leaves} leaves"),
        ("a token tells about its leaf", f"{known}, of {full}"),
    ]
    if errors:
        lines.append(("typical error of one decoded value", f"{span(errors, percent)} of the range"))
        lines.append(("  (without any token", f"{percent(1 / 12)})"))
    if report.n_reported < len(report.features):
        lines.append(
            ("values that a record does not report", f"{len(report.features) - report.n_reported}, of these nothing")
        )
    return ["What is left to learn from", *_table([(f"  {what}", value) for what, value in lines], "<<")]


def _whole(count: float) -> str:
    return f"{count:.0f}"


def _two(bits: float) -> str:
    return f"{bits:.2f}"


def _costs(report: PrivacyReport) -> list[str]:
    if len(report.what_if) < 2:
        return []
    own = [cost for cost in report.what_if if cost.own]
    heads = ("  epsilon", "a value", "a record", "error", "typical", "bits")
    rows = [(f"  {cost_name(cost, report.channel)}", *_cost_row(cost)) for cost in own]
    lines = [costs_title(report), *_table([heads, *rows], "<>>>>>")]
    for title, figure in (("Error of other channels", "error"), ("Bits under other channels", "bits")):
        lines += _compared(report, title, figure)
    return [*lines, *(line for gloss in cost_glosses(report) for line in _wrapped(gloss, "  "))]


def _compared(report: PrivacyReport, title: str, figure: str) -> list[str]:
    """Return a row for each other kind of channel, the best first, and a column for each epsilon."""
    rows = compared(report, figure)
    if not rows:
        return []
    heads = (f"{title}, at epsilon of a value", *rows[0][1])
    digits = 4 if figure == "error" else 2
    shown = [(f"  {name}", *("-" if x is None else f"{x:.{digits}f}" for x in by.values())) for name, by in rows]
    return ["", *_table([heads, *shown], "<" + ">" * len(rows[0][1]))]


def compared(report: PrivacyReport, figure: str) -> list[tuple[str, dict[str, float | None]]]:
    """Return error or bits of each other kind of channel by epsilon of a value, the best kind first."""
    others = [cost for cost in report.what_if if not cost.own and getattr(cost, figure) is not None]
    asked = sorted({cost.asked for cost in others if cost.asked is not None})
    found: dict[str, dict[float, float]] = {}
    for cost in others:
        found.setdefault(cost_name(cost, report.channel), {})[cost.asked or 0.0] = getattr(cost, figure)
    worst = math.inf if figure == "error" else -math.inf
    sign = 1 if figure == "error" else -1
    order = sorted(found, key=lambda name: [sign * found[name].get(epsilon, worst) for epsilon in reversed(asked)])
    return [(name, {upward(epsilon): found[name].get(epsilon) for epsilon in asked}) for name in order]


def costs_title(report: PrivacyReport) -> str:
    """Return the head of the costs, with the channel that they are about."""
    return f"What another epsilon would cost ({channel_name(report.what_if[0].kind)})"


def cost_name(cost: Cost, own_kind: str | None) -> str:
    """Return what a row of the costs is about."""
    name = channel_name(cost.kind)
    if cost.factor is not None:
        return _TIMES[cost.factor]
    return f"{name}, best depth" if cost.kind == own_kind == "randomized_response" else name


def cost_glosses(report: PrivacyReport) -> list[str]:
    """Return what the columns of the costs mean."""
    said = [
        "Epsilon of a value, and of a record, added up. Error: mean squared error of one decoded value that is "
        "uniform on [0, 1] (where quantiles cut the comb: of its rank), and its root as a share of the range; 0.0833 "
        "and 28.9 % without any token. Bits: what a token tells about its leaf."
    ]
    if report.compared is not None:
        said.append(f"Features differ: all of this but the record is about {report.compared!r}.")
    own = report.what_if[0]
    fewer = [cost.n_symbols for cost in report.what_if if not cost.own and cost.n_symbols < own.n_symbols]
    if fewer:
        said.append(f"Channels that need a table are compared on {min(fewer)} leaves; a deep comb cannot have them.")
    if any(cost.own and not cost.now and cost.record_epsilon is None for cost in report.what_if):
        said.append("A quarter, half and twice are those of the leaf's report; the token is a node above the leaf.")
    return said


def _cost_row(cost: Cost) -> tuple[str, ...]:
    return (
        upward(cost.epsilon),
        "-" if cost.record_epsilon is None else upward(cost.record_epsilon),
        "-" if cost.error is None else f"{cost.error:.4f}",
        percent(cost.error),
        "-" if cost.bits is None else f"{cost.bits:.2f}",
    )


def _listed(head: str, sentences: Sequence[str]) -> list[str]:
    return [head, *(line for sentence in sentences for line in _wrapped(sentence, "- "))]


def _wrapped(text: str, first: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent="  ", break_on_hyphens=False)


def _table(rows: Sequence[Sequence[str]], sides: str) -> list[str]:
    """Lay out rows in columns, each set to its side: < or >."""
    columns = [column for column in zip(*rows, strict=True) if any(column)]
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for row in zip(*columns, strict=True):
        cells = [f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=False)]
        lines.append("  ".join(cells).rstrip())
    return lines
