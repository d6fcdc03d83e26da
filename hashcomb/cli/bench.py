"""What tokens keep of the accuracy of models, measured on data of one's own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashcomb.cli.bench_attacks import attacks
from hashcomb.cli.measuring import bundles, facts_of, kept_when_stopped, measuring_options, refuse_unknown
from hashcomb.terminal import print_facts

if TYPE_CHECKING:
    from hashcomb.evidence.accuracy import Asked
    from hashcomb.evidence.workers import Failure

__all__ = ("bench",)


@click.group()
def bench() -> None:
    """Measure on data of your own what encoding costs, and what attacks achieve."""


bench.add_command(attacks)


@bench.command()
@measuring_options
@click.option("--model", multiple=True, metavar="NAME", help="All by default; repeatable.")
@click.option("--grid", multiple=True, metavar="NAME", help="What is compared, all by default; repeatable.")
@click.option("--seeds", type=click.IntRange(1, 1000), help="Splits of each kind: 10, or 8 with --quick.")
@click.option("--split", default="both", show_default=True, type=click.Choice(["random", "owner", "both"]))
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1, 256), help="Processes that measure.")
@click.option("--quick", is_flag=True, help="The grid 'headline' with 8 seeds, if not said otherwise.")
def accuracy(out: str, jobs: int, summary_only: bool, as_json: bool, **asked: Any) -> None:
    """Train models on raw rows and on tokens of them, and write what each keeps of its accuracy."""
    from hashcomb.evidence.accuracy import measure_all, summarize

    folder = Path(out)
    failures: list[Failure] = []
    with kept_when_stopped(folder, summarize):
        if not summary_only:
            failures = measure_all(_asked(**asked), folder, jobs)
            _tell(failures)
        facts = facts_of(folder, summarize)
    print_facts(facts | {"failed": len(failures)}, as_json)
    if failures:
        sys.exit(1)


def _asked(
    data: Sequence[str],
    openml: Sequence[str],
    bundled: Sequence[str],
    model: Sequence[str],
    grid: Sequence[str],
    seeds: int | None,
    split: str,
    quick: bool,
) -> Asked:
    from hashcomb.evidence.accuracy import Asked, default_models
    from hashcomb.evidence.arms import GRIDS, MODELS
    from hashcomb.evidence.splits import SPLITS

    refuse_unknown("model", model, MODELS)
    refuse_unknown("grid", grid, tuple(GRIDS))
    models = model or default_models()
    if not model and len(models) < len(MODELS):
        click.echo("no torch network: it needs the extra 'torch'", err=True)
    return Asked(
        bundled=bundles(bundled, data, openml),
        folders=data,
        openml=openml,
        grids=grid or (("headline",) if quick else tuple(GRIDS)),
        models=models,
        splits=SPLITS if split == "both" else (split,),
        n_seeds=seeds or (8 if quick else 10),
    )


def _tell(failures: Sequence[Failure]) -> None:
    """Say what could not be measured, each reason once."""
    reasons: dict[str, list[str]] = {}
    for one in failures:
        where = f"{one.cell.data}, {one.cell.model}, {one.cell.encoding.name}"
        reasons.setdefault(one.reason, []).append(where)
    for reason, cells in reasons.items():
        click.echo(f"not measured ({len(cells)}, such as {cells[0]}): {reason}", err=True)
