"""What attacks achieve on tokens of data of one's own, beside guessing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from hashcomb.cli.measuring import bundles, facts_of, kept_when_stopped, measuring_options
from hashcomb.terminal import print_facts

__all__ = ("attacks",)


@click.command()
@measuring_options
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1, 1000), help="Choices of rows and noise.")
def attacks(
    out: str,
    data: Sequence[str],
    openml: Sequence[str],
    bundled: Sequence[str],
    seeds: int,
    summary_only: bool,
    as_json: bool,
) -> None:
    """Attack tokens of rows under many encodings, and write what each attack achieves beside guessing."""
    from hashcomb.evidence.attacks import attack_all, summarize_attacks
    from hashcomb.evidence.data import load_all

    folder = Path(out)
    with kept_when_stopped(folder, summarize_attacks):
        if not summary_only:
            attack_all(load_all(bundles(bundled, data, openml), data, openml), folder, seeds)
        facts = facts_of(folder, summarize_attacks)
    print_facts(facts, as_json)
