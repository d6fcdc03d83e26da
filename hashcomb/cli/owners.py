"""What owners do together."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from hashcomb.atomic import check_target
from hashcomb.cli.options import json_flag, refuse_one_file
from hashcomb.errors import FileFormatError
from hashcomb.terminal import print_facts, step_lines

__all__ = ("agree", "demo")


@click.command()
@click.argument("party_path", metavar="PARTY", type=click.Path())
@click.option("-o", "--out", required=True, type=click.Path(), help="Where the Spec goes.")
@click.option("--key-out", type=click.Path(), help="Where the Key goes; the Spec's name with .key by default.")
@click.option("--me", help="This owner's name among the peers.")
@click.option("--data", type=click.Path(), help="This owner's rows, CSV or Parquet.")
@click.option("--drop", multiple=True, metavar="COLUMN", help="Leave a column out, such as the label.")
@click.option("--depth", type=click.IntRange(1, 20), help="This owner's vote on the depth.")
@click.option("--tls-key", type=click.Path(), help="This owner's private key, PEM.")
@json_flag
def agree(
    party_path: str,
    out: str,
    key_out: str | None,
    me: str | None,
    data: str | None,
    drop: tuple[str, ...],
    depth: int | None,
    tls_key: str | None,
    as_json: bool,
) -> None:
    """Agree with the other owners in PARTY (TOML) on a Spec and a Key, without showing them the data."""
    from hashcomb import mpc
    from hashcomb.files import write_spec
    from hashcomb.formats import read_all

    mine = {"name": me, "drop": drop or None, "depth": depth}
    party, policy, own = mpc.load_party(
        party_path,
        **mine,
        data=str(Path(data).absolute()) if data else None,
        tls_key=str(Path(tls_key).absolute()) if tls_key else None,
    )
    if not own.data:
        raise click.UsageError("where are this owner's rows? Set me.data in the file, or pass --data")
    key_path = key_out or str(Path(out).parent / f"{Path(out).stem}.key")
    if Path(key_path).exists():
        raise FileFormatError("exists, and a key is never overwritten", file=key_path, hint="choose --key-out")
    refuse_one_file(out, key_path, party_path, own.data)
    refuse_one_file(key_path, party_path, own.data)
    for path in (out, key_path):
        check_target(path)
    table = read_all(own.data, own.drop)
    work = mpc.agree(party, table, policy, depth=own.depth, progress=step_lines(mpc.STEPS))
    agreed = asyncio.run(work)
    agreed.key.save(key_path)
    try:
        write_spec(agreed.spec, out)
    except BaseException:
        Path(key_path).unlink()  # a Key without its Spec would only be in the way
        raise
    facts = {
        "fingerprint": agreed.spec.fingerprint,
        "key_id": agreed.key.id,
        "transcript": agreed.transcript,
        "spec": out,
        "key": key_path,
        "rounds": agreed.n_rounds,
        "bytes_sent": agreed.n_bytes,
        "seconds": {step: round(seconds, 3) for step, seconds in agreed.seconds.items()},
    }
    print_facts(facts, as_json)


@click.command()
@click.option(
    "--data", type=click.Path(exists=True, file_okay=False), help="Folder of owner-*.csv; last column the label."
)
@click.option("--owners", type=click.IntRange(3, 64), help="Number of owners: 3, or as many as there are files.")
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, (1 << 32) - 1),
    help="Makes split and training repeatable.",
)
@click.option("--report", "report_path", default="report.html", show_default=True, type=click.Path())
@json_flag
def demo(data: str | None, owners: int | None, seed: int, report_path: str, as_json: bool) -> None:
    """Owners agree, encode real data, and a trainer learns from tokens alone: the whole path in one minute."""
    from hashcomb.demo.run import run_demo

    run_demo(data=data, owners=owners, seed=seed, report_path=report_path, as_json=as_json)
