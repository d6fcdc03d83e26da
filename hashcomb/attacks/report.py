"""What attacks on the user's own data achieve: figures beside their baselines, for people and for programs."""

from __future__ import annotations

import textwrap
from typing import Literal

import msgspec

__all__ = ("AttackFigure", "AttackReport", "Measure")

Measure = Literal["leaves named", "error of places", "rows joined", "tokens read", "advantage"]
_WIDTHS = (23, 17, 11, 11)
_LINE = 95


class AttackFigure(msgspec.Struct, frozen=True, kw_only=True):
    """What one attack achieves.

    Parameters
    ----------
    attack : str
        Its name.
    has : str
        What the attacker has.
    measure : str
        What is measured: shares of leaves named, rows joined or tokens read (in [0, 1], more is worse); the mean
        squared error of places in [0, 1] (less is worse); the advantage in telling members from others.
    figure : float
        What the attack achieves.
    baseline : float
        The same for guessing, without any token.
    bound : float or None
        What no attack can exceed, where an epsilon says so.
    meaning : str
        What it means, in a sentence.
    """

    attack: str
    has: str
    measure: Measure
    figure: float
    baseline: float
    meaning: str
    bound: float | None = None


class AttackReport(msgspec.Struct, frozen=True, kw_only=True):
    """What attacks without the Key achieve on given rows under a Spec.

    Parameters
    ----------
    fingerprint : str
        Fingerprint of the Spec.
    randomized : bool
        Whether the Spec has a channel.
    n_features : int
        Features attacked.
    n_target, n_auxiliary : int
        Rows whose tokens were attacked, and other rows that the attacker knows.
    figures : tuple of AttackFigure
        One or more for each attack.
    notes : tuple of str
        What was left out, and why.

    Notes
    -----
    Privacy: figures are statistics of the rows; a report is for those who may know the rows. Each attack is one
    way and not the best: what it achieves is a lower bound of what tokens tell.
    """

    fingerprint: str
    randomized: bool
    n_features: int
    n_target: int
    n_auxiliary: int
    figures: tuple[AttackFigure, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()

    def to_text(self) -> str:
        """Return the report as text for people."""
        kind = "randomized" if self.randomized else "deterministic"
        lines = [
            f"Attacks on {kind} tokens of the Spec {self.fingerprint[:16]}, without the Key",
            f"  {self.n_target} rows of {self.n_features} features are attacked; {self.n_auxiliary} others are known",
            "",
            "  " + _row(("attack", "measure", "achieved", "guessing")),
            *(f"  {_row(_cells(figure))}" for figure in self.figures),
            "",
            *(_wrap(f"{figure.attack} (has {figure.has}): {figure.meaning}") for figure in self._first_of_each()),
            *(_wrap(f"Note: {note}") for note in self.notes),
        ]
        return "\n".join(lines) + "\n"

    def _first_of_each(self) -> list[AttackFigure]:
        return list({figure.attack: figure for figure in reversed(self.figures)}.values())[::-1]


def _wrap(text: str) -> str:
    return textwrap.fill(text, _LINE, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)


def _cells(figure: AttackFigure) -> tuple[str, ...]:
    achieved, baseline = (_show(value, figure.measure) for value in (figure.figure, figure.baseline))
    bound = "" if figure.bound is None else f"no attack above {figure.bound:.4f}"
    return figure.attack, figure.measure, achieved, baseline, bound


def _row(cells: tuple[str, ...]) -> str:
    padded = [
        text.ljust(width) if i < 2 else text.rjust(width)
        for i, (text, width) in enumerate(zip(cells, _WIDTHS, strict=False))
    ]
    return "  ".join([*padded, *cells[len(_WIDTHS) :]]).rstrip()


def _show(value: float, measure: Measure) -> str:
    return f"{value:.4f}" if measure in ("error of places", "advantage") else f"{100 * value:.1f} %"
