"""Share a Spec and Key between owners, and restore them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashcomb.cli.options import json_flag, refuse_one_file
from hashcomb.terminal import print_facts

if TYPE_CHECKING:
    from hashcomb.mpc.escrow.shamir_shares import Sharing

__all__ = ("share",)


@click.group()
def share() -> None:
    """Share a Spec and Key between owners, and restore them."""


@share.command("split")
@click.argument("spec_path", metavar="SPEC", type=click.Path())
@click.argument("key_path", metavar="KEY", type=click.Path())
@click.option("--holder", "holders", multiple=True, required=True, metavar="NAME", help="An owner that gets a share.")
@click.option("--quorum", required=True, type=click.IntRange(2), help="How many of the holders restore.")
@click.option("-o", "--out", required=True, type=click.Path(), help="Folder; nothing is overwritten.")
@json_flag
def share_split(spec_path: str, key_path: str, holders: tuple[str, ...], quorum: int, out: str, as_json: bool) -> None:
    """Write a share of SPEC and KEY for each holder, NAME.share.json with mode 0600."""
    from hashcomb.files import read_spec
    from hashcomb.keys import Key
    from hashcomb.mpc.escrow.shamir_shares import save_shares, split

    shares = split(read_spec(spec_path), Key.load(key_path), holders, quorum)
    paths = save_shares(shares, out)
    click.echo(
        f"warning: any {quorum} of these files are the Key: give each to its holder alone, and delete it here", err=True
    )
    print_facts({**_facts(shares[0]), "files": [str(path) for path in paths]}, as_json)


@share.command("restore")
@click.argument("paths", metavar="SHARE...", nargs=-1, required=True, type=click.Path())
@click.option("-o", "--out", required=True, type=click.Path(), help="Where the Spec goes.")
@click.option("--key-out", required=True, type=click.Path(), help="Where the Key goes; nothing is overwritten.")
@json_flag
def share_restore(paths: tuple[str, ...], out: str, key_out: str, as_json: bool) -> None:
    """Restore the Spec and Key from the shares of a quorum of holders."""
    from hashcomb.files import write_spec
    from hashcomb.mpc.escrow.shamir_shares import Share, restore

    refuse_one_file(out, key_out, *paths)
    spec, key = restore([Share.load(path) for path in paths])
    key.save(key_out)
    try:
        write_spec(spec, out)
    except BaseException:
        Path(key_out).unlink()  # a Key without its Spec would only be in the way
        raise
    print_facts({"fingerprint": spec.fingerprint, "key_id": key.id, "spec": out, "key": key_out}, as_json)


@share.command("inspect")
@click.argument("path", metavar="SHARE", type=click.Path())
@json_flag
def share_inspect(path: str, as_json: bool) -> None:
    """Show what is public of a share: whose it is, of which sharing, and how many restore."""
    from hashcomb.mpc.escrow.shamir_shares import Share

    one = Share.load(path)
    print_facts({"holder": one.holder, **_facts(one)}, as_json)


def _facts(sharing: Sharing) -> dict[str, Any]:
    """Return what is public of a sharing; of the Spec, its fingerprint."""
    return {name: value for name, value in sharing.facts().items() if name != "spec"}
