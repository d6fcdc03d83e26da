"""What a Spec protects, what that costs, and whether it can be attacked on one's own rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from hashcomb.cli.options import drop_option, json_flag, refuse_one_file
from hashcomb.errors import DataError

if TYPE_CHECKING:
    from hashcomb.attacks import AttackReport
    from hashcomb.spec import Spec

__all__ = ("delta_option", "report", "rounds_option")

rounds_option = click.option(
    "--rounds", default=1, show_default=True, type=click.IntRange(1), help="Encodings of one record."
)
delta_option = click.option(
    "--delta",
    default=1e-5,
    show_default="1e-5",
    type=click.FloatRange(0.0, 1.0, min_open=True, max_open=True),
    help="Delta of a record's epsilon; well below 1 / rows.",
)


@click.command()
@click.argument("spec_path", metavar="SPEC", type=click.Path())
@rounds_option
@delta_option
@click.option("--what-if", is_flag=True, help="Compare other channels at these epsilons too.")
@click.option("--attack", metavar="TABLE", type=click.Path(), help="Attack the rows of a CSV or Parquet file.")
@click.option("--label", metavar="COLUMN", help="A column of that file that goes beside the tokens in the clear.")
@drop_option
@click.option("--html", "page_path", metavar="FILE", type=click.Path(), help="Write a page with figures as well.")
@json_flag
def report(
    spec_path: str,
    rounds: int,
    delta: float,
    what_if: bool,
    attack: str | None,
    label: str | None,
    drop: tuple[str, ...],
    page_path: str | None,
    as_json: bool,
) -> None:
    """Say what a Spec protects and what that costs, before any data is touched."""
    from hashcomb.atomic import check_target
    from hashcomb.files import read_spec
    from hashcomb.privacy import PrivacyReport

    if attack is None and (label or drop):
        raise click.UsageError("--label and --drop name columns of the file of --attack")
    if page_path is not None:
        from hashcomb.reporting import page

        refuse_one_file(page_path, spec_path, *([attack] if attack else []))
        check_target(page_path)
    spec = read_spec(spec_path)
    made = PrivacyReport.of(spec, rounds=rounds, delta=delta, others=what_if)
    attacked = None if attack is None else _attacked(spec, attack, label, drop)
    if page_path is not None:
        text = None if attacked is None else attacked.to_text()
        page.save_page(page.html(spec, rounds=rounds, delta=delta, attack=text), page_path)
    click.echo(_document(made, attacked) if as_json else _text(made, attacked), nl=as_json)


def _attacked(spec: Spec, path: str, label: str | None, drop: Sequence[str]) -> AttackReport:
    from hashcomb.attacks import run_attacks
    from hashcomb.formats import read_all, text_columns

    if label is not None and label in (*spec.names, *drop):
        raise DataError("is a feature of the Spec, or dropped, and no label", column=label)
    table = read_all(path, drop, text_columns(spec) | ({label} if label else set()))
    labels = None if label is None else table.pop(label)
    return run_attacks(spec, table, labels)


def _document(made: Any, attacked: Any) -> str:
    if attacked is None:
        return str(made.to_json())
    return json.dumps({**json.loads(made.to_json()), "attack": json.loads(attacked.to_json())}, indent=2)


def _text(made: Any, attacked: Any) -> str:
    return str(made.to_text()) if attacked is None else f"{made.to_text()}\n{attacked.to_text()}"
