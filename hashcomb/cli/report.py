"""What a Spec protects."""

from __future__ import annotations

import click

from hashcomb.cli.options import json_flag

__all__ = ("report",)


@click.command()
@click.argument("spec_path", metavar="SPEC", type=click.Path())
@click.option("--rounds", default=1, show_default=True, type=click.IntRange(1), help="Encodings of one record.")
@json_flag
def report(spec_path: str, rounds: int, as_json: bool) -> None:
    """Say what a Spec protects, before any data is touched."""
    from hashcomb.files import read_spec
    from hashcomb.privacy import PrivacyReport

    made = PrivacyReport.of(read_spec(spec_path), rounds=rounds)
    click.echo(made.to_json() if as_json else made.to_text(), nl=as_json)
