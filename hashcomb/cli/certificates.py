"""Make certificates for the connections between owners."""

from __future__ import annotations

import click

from hashcomb.cli.options import json_flag
from hashcomb.terminal import print_facts

__all__ = ("certs",)


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("-o", "--out", default=".", show_default=True, type=click.Path(), help="Folder; nothing is overwritten.")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 3650), help="How long they are valid.")
@json_flag
def certs(names: tuple[str, ...], out: str, days: int, as_json: bool) -> None:
    """Make NAME.crt and NAME-tls.key for each owner, and print the certificates' SHA-256."""
    from hashcomb.mpc.network.certificates import fingerprint, make_certificates

    made = make_certificates(names, out, days)
    if len(made) > 1:
        click.echo(
            "warning: whoever makes the keys of several owners can pose as each of them: this is for tests; "
            "in earnest every owner makes its own",
            err=True,
        )
    facts = {
        name: {"cert": str(cert), "key": str(key), "sha256": fingerprint(cert)} for name, (cert, key) in made.items()
    }
    print_facts(facts, as_json)
