"""What the code of a channel does, held against what is claimed for it."""

from __future__ import annotations

import sys

import click

from hashcomb.cli.options import json_flag

__all__ = ("audit",)


@click.command()
@click.argument("spec_path", metavar="SPEC", type=click.Path())
@click.option("--draws", default=1_000_000, show_default=True, type=click.IntRange(1000), help="Reports a channel.")
@click.option(
    "--confidence",
    default=0.999,
    show_default=True,
    type=click.FloatRange(0.5, 1.0, max_open=True),
    help="That the certified epsilon holds, and that right code is not accused.",
)
@click.option("--feature", metavar="NAME", help="Audit one feature alone; by default every different channel.")
@click.option("--seed", type=int, help="Repeat the same audit, for tests.")
@json_flag
def audit(spec_path: str, draws: int, confidence: float, feature: str | None, seed: int | None, as_json: bool) -> None:
    """Draw reports, certify a lower bound on epsilon, and say whether the claim stands."""
    from hashcomb.audit import audit as audit_spec
    from hashcomb.files import read_spec

    found = audit_spec(read_spec(spec_path), n_draws=draws, confidence=confidence, feature=feature, seed=seed)
    click.echo(found.to_json() if as_json else found.to_text(), nl=as_json)
    sys.exit(found.caught)
