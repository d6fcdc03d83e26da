"""The whole path at once, to look at."""

from __future__ import annotations

import click

from hashcomb.cli.options import json_flag

__all__ = ("demo",)


@click.command()
@click.option(
    "--data", type=click.Path(exists=True, file_okay=False), help="Folder of owner-*.csv; last column the label."
)
@click.option("--owners", type=click.IntRange(3, 64), help="Number of owners: 3, or as many as there are files.")
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, (1 << 32) - 1),
    help="Makes split and training repeatable.",
)
@click.option("--report", "report_path", default="report.html", show_default=True, type=click.Path())
@json_flag
def demo(data: str | None, owners: int | None, seed: int, report_path: str, as_json: bool) -> None:
    """Owners agree, encode real data, and a trainer learns from tokens alone: the whole path in one minute."""
    from hashcomb.demo.run import run_demo

    run_demo(data=data, owners=owners, seed=seed, report_path=report_path, as_json=as_json)
