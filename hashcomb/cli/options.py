"""Options that several commands have."""

from __future__ import annotations

import os

import click

from hashcomb.errors import FileFormatError

__all__ = ("dataset_option", "drop_option", "json_flag", "key_option", "refuse_one_file", "round_option", "spec_option")


json_flag = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
spec_option = click.option("--spec", "spec_path", required=True, type=click.Path(), help="The Spec.")
key_option = click.option("--key", "key_path", required=True, type=click.Path(), help="The Key.")
dataset_option = click.option("--dataset", default="", help="Name of the data set, a public salt.")
round_option = click.option("--round", "round_", default=0, type=click.IntRange(0), help="Round, a public salt.")
drop_option = click.option("--drop", multiple=True, metavar="COLUMN", help="Leave a column out.")


def refuse_one_file(out: str, *others: str) -> None:
    """Refuse to write a file that the same command reads or writes otherwise."""
    for other in others:
        if os.path.realpath(out) == os.path.realpath(other):
            problem = "is read by this command, and would be lost"
            raise FileFormatError(problem, file=out, hint="choose another name for what is written")
