"""Make Keys and show their ids."""

from __future__ import annotations

import click

__all__ = ("key",)


@click.group()
def key() -> None:
    """Make Keys and show their ids."""


@key.command("new")
@click.option("-o", "--out", required=True, type=click.Path(), help="Where to; nothing is overwritten.")
def key_new(out: str) -> None:
    """Draw a new Key, write it with mode 0600 and print its id."""
    from hashcomb.keys import Key

    made = Key.create()
    made.save(out)
    click.echo(made.id)


@key.command("id")
@click.argument("path", type=click.Path())
def key_id(path: str) -> None:
    """Print the id of a Key."""
    from hashcomb.keys import Key

    click.echo(Key.load(path).id)
