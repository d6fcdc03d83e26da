"""Figures of a Spec as files."""

from __future__ import annotations

import click

from hashcomb.cli.options import json_flag, refuse_one_file
from hashcomb.cli.report import delta_option, rounds_option
from hashcomb.terminal import print_facts

__all__ = ("plot",)

# As in hashcomb.reporting.figures, which takes a second to import.
_FIGURES = ("epsilon-error", "epsilon-information", "delta", "renyi", "matrix")


@click.command()
@click.argument("spec_path", metavar="SPEC", type=click.Path())
@click.option("-o", "--out", required=True, type=click.Path(), help="Where to; .png, .svg or .pdf.")
@click.option("--figure", default=_FIGURES[0], show_default=True, type=click.Choice(_FIGURES), help="What to draw.")
@rounds_option
@delta_option
@json_flag
def plot(spec_path: str, out: str, figure: str, rounds: int, delta: float, as_json: bool) -> None:
    """Draw what an epsilon costs, how it adds up, or the channel of a Spec."""
    from hashcomb.files import read_spec
    from hashcomb.reporting import drawing, figures

    drawing.check_name(out)
    refuse_one_file(out, spec_path)
    spec = read_spec(spec_path)
    drawing.save_figure(figures.draw(spec, figure, rounds=rounds, delta=delta), out)
    print_facts({"figure": figure, "fingerprint": spec.fingerprint, "out": out}, as_json)
