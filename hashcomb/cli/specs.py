"""Make, check and show Specs."""

from __future__ import annotations

import sys
from typing import Any

import click

from hashcomb.cli.channel_options import channel_options, say_cost, with_channel
from hashcomb.cli.options import drop_option, json_flag, refuse_one_file
from hashcomb.errors import HashcombError

__all__ = ("spec",)


@click.group()
def spec() -> None:
    """Make, check and show Specs."""


@spec.command("new")
@click.argument("table", type=click.Path())
@click.option("-o", "--out", required=True, type=click.Path(), help="Where to; TOML, or JSON by its name.")
@click.option("--depth", default=4, show_default=True, type=click.IntRange(1, 20), help="Levels of the comb.")
@click.option("--edges", default="quantile", show_default=True, type=click.Choice(["quantile", "uniform"]))
@click.option("--margin", default=0.0, show_default=True, type=click.FloatRange(0.0))
@click.option("--categorical", multiple=True, metavar="COLUMN", help="Treat a column as categories.")
@click.option("--outside", default="clip", show_default=True, type=click.Choice(["clip", "error"]))
@click.option("--missing", default="error", show_default=True, type=click.Choice(["error", "token"]))
@click.option("--unknown", default="error", show_default=True, type=click.Choice(["error", "token"]))
@click.option(
    "--hash", "hash_", default="blake2b", show_default=True, type=click.Choice(["blake2b", "siphash", "xxh3"])
)
@click.option("--token-bits", default="64", show_default=True, type=click.Choice(["64", "32"]))
@click.option("--tokens", default="leaf", show_default=True, help="leaf, comb, or the number of a level.")
@click.option("--means", is_flag=True, help="Learn the mean of every leaf too, to decode to.")
@channel_options
@drop_option
def spec_new(
    table: str,
    out: str,
    depth: int,
    edges: Any,
    margin: float,
    categorical: tuple[str, ...],
    outside: str,
    missing: str,
    unknown: str,
    hash_: str,
    token_bits: str,
    tokens: str,
    means: bool,
    drop: tuple[str, ...],
    **choices: Any,
) -> None:
    """Learn a Spec from TABLE, a CSV or Parquet file. Its edges are values of the data."""
    from hashcomb import learn_spec
    from hashcomb.codec import check_usable
    from hashcomb.files import write_spec
    from hashcomb.formats import read_all

    refuse_one_file(out, table)
    made = learn_spec(
        read_all(table, drop, categorical),
        depth=depth,
        edges=edges,
        margin=margin,
        categorical=categorical,
        means=means,
        outside=outside,
        missing=missing,
        unknown=unknown,
        hash=hash_,
        token_bits=int(token_bits),
        tokens=int(tokens) if tokens.isdecimal() else tokens,
    )
    made = with_channel(made, choices)
    check_usable(made)
    write_spec(made, out)
    click.echo(made.fingerprint)
    if made.channel is not None:
        say_cost(made)


@spec.command("randomize")
@click.argument("path", metavar="SPEC", type=click.Path())
@click.option("-o", "--out", required=True, type=click.Path(), help="Where to; TOML, or JSON by its name.")
@channel_options
def spec_randomize(path: str, out: str, **choices: Any) -> None:
    """Write a Spec with the combs of SPEC and another channel, or none."""
    from hashcomb.codec import check_usable
    from hashcomb.files import read_spec, write_spec

    refuse_one_file(out, path)
    if all(value is None or value == () for value in choices.values()):
        raise click.UsageError("which channel? Give --channel, --epsilon or --total; --channel none takes it away")
    made = with_channel(read_spec(path), choices)
    check_usable(made)
    write_spec(made, out)
    click.echo(made.fingerprint)
    say_cost(made)


@spec.command("check")
@click.argument("paths", nargs=-1, required=True, type=click.Path())
def spec_check(paths: tuple[str, ...]) -> None:
    """Say of each file whether it is a valid Spec."""
    from hashcomb.codec import check_usable
    from hashcomb.files import read_spec

    refused = False
    for path in paths:
        try:
            check_usable(read_spec(path))
            click.echo(f"{path}: valid")
        except HashcombError as error:
            refused = True
            click.echo(f"error: {path}: {error}", err=True)
    sys.exit(refused)


@spec.command("show")
@click.argument("path", type=click.Path())
@json_flag
def spec_show(path: str, as_json: bool) -> None:
    """Show a Spec to people, or as JSON."""
    from hashcomb.files import read_spec

    made = read_spec(path)
    click.echo(made.to_json() if as_json else made.to_toml(), nl=as_json)


@spec.command("fingerprint")
@click.argument("path", type=click.Path())
def spec_fingerprint(path: str) -> None:
    """Print the fingerprint of a Spec."""
    from hashcomb.files import read_spec

    click.echo(read_spec(path).fingerprint)
