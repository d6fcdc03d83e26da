"""Take over what the PyPI package `hashcomb` wrote."""

from __future__ import annotations

import json
from typing import Any

import click

from hashcomb.cli.channel_options import channel_options, say_cost, with_channel
from hashcomb.cli.options import json_flag, refuse_one_file

__all__ = ("spec_convert",)


@click.command("convert")
@click.argument("configs", metavar="CONFIG...", nargs=-1, required=True, type=click.Path())
@click.option("-o", "--out", required=True, type=click.Path(), help="Where to; TOML, or JSON by its name.")
@click.option("--name", "names", multiple=True, metavar="COLUMN", help="A column, in order; value by default.")
@click.option("--exact", is_flag=True, help="Write out the old edges, so that no value changes its leaf.")
@channel_options
@json_flag
def spec_convert(
    configs: tuple[str, ...], out: str, names: tuple[str, ...], exact: bool, as_json: bool, **choices: Any
) -> None:
    """Make a Spec of configurations that hashcomb 1.0.0 from PyPI pickled; nothing is unpickled."""
    from hashcomb.codec import check_usable
    from hashcomb.files import write_spec
    from hashcomb.legacy import convert, read_config

    refuse_one_file(out, *configs)
    spec, notes = convert([read_config(path) for path in configs], names or ("value",), exact=exact)
    if any(value not in (None, ()) for value in choices.values()):
        spec = with_channel(spec, choices)
    check_usable(spec)
    write_spec(spec, out)
    if as_json:
        click.echo(json.dumps({"fingerprint": spec.fingerprint, "notes": [note._asdict() for note in notes]}, indent=2))
        return
    for note in notes:
        click.echo(f"{note.option}: {'kept' if note.kept else 'CHANGED'}; {note.now}", err=True)
    click.echo(spec.fingerprint)
    say_cost(spec)
