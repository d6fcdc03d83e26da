"""Make, check and show Specs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashcomb.cli.channel_options import channel_options, say_cost, with_channel
from hashcomb.cli.legacy import spec_convert
from hashcomb.cli.options import drop_option, json_flag, refuse_one_file
from hashcomb.errors import HashcombError, KeyMaterialError

if TYPE_CHECKING:
    from hashcomb import Spec

__all__ = ("spec",)


@click.group()
def spec() -> None:
    """Make, check and show Specs."""


spec.add_command(spec_convert)


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
@click.option("--key-out", type=click.Path(), help="Draw a Key too; nothing is overwritten.")
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
    key_out: str | None,
    drop: tuple[str, ...],
    **choices: Any,
) -> None:
    """Learn a Spec from TABLE, a CSV or Parquet file. Its edges are values of the data."""
    from hashcomb import learn_spec
    from hashcomb.codec import check_usable
    from hashcomb.files import write_spec
    from hashcomb.formats import read_all

    refuse_one_file(out, table, *filter(None, [key_out]))
    if key_out is not None and os.path.lexists(key_out):  # known before the table is read
        hint = "leave --key-out out to use it with the new Spec, or choose another name"
        raise KeyMaterialError(f"key file {key_out!r} exists, and is never overwritten", hint=hint)
    rows = read_all(table, drop, categorical)
    if missing == "error":
        _say_missing(rows)
    made = learn_spec(
        rows,
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
    if key_out is None:
        write_spec(made, out)
    else:
        _write_with_key(made, out, key_out)
    click.echo(made.fingerprint)
    if made.channel is not None:
        say_cost(made)


def _say_missing(rows: dict[str, Any]) -> None:
    """Warn of columns whose missing values `encode` is going to refuse."""
    from numpy import isnan

    gaps = {name: isnan(c).any() if c.dtype.kind == "f" else None in c for name, c in rows.items()}
    if names := [repr(name) for name, missing in gaps.items() if missing]:
        problem = f"missing values in {', '.join(names)}: encode will refuse these rows"
        click.echo(f"warning: {problem}; --missing token gives missing values a token of their own", err=True)


def _write_with_key(made: Spec, out: str, key_out: str) -> None:
    """Write a Spec and a new Key, both or neither, and say whose file is secret."""
    from hashcomb import Key
    from hashcomb.files import write_spec

    key = Key.create()
    key.save(key_out)
    try:
        write_spec(made, out)
    except BaseException:
        Path(key_out).unlink()  # a Key without its Spec would only be in the way
        raise
    click.echo(f"new key {key.id} in {key_out}, readable by you alone: keep it secret, and keep a copy", err=True)


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
