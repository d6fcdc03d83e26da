"""The command line: results on stdout, everything else on stderr; exit 0, 1 (refused) or 2 (usage)."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from hashcomb import __version__
from hashcomb.atomic import check_target
from hashcomb.errors import DataError, FileFormatError, HashcombError
from hashcomb.terminal import print_facts, progress_bar, run, step_lines

_json_flag = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_spec_option = click.option("--spec", "spec_path", required=True, type=click.Path(), help="The Spec.")
_key_option = click.option("--key", "key_path", required=True, type=click.Path(), help="The Key.")
_dataset_option = click.option("--dataset", default="", help="Name of the data set, a public salt.")
_round_option = click.option("--round", "round_", default=0, type=click.IntRange(0), help="Round, a public salt.")
_drop_option = click.option("--drop", multiple=True, metavar="COLUMN", help="Leave a column out.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hashcomb")
def cli() -> None:
    """Turn training data into tokens, under a Spec and a Key that their owners agree on."""


def main() -> None:
    """Run the command line; the entry point of the package."""
    run(cli)


def _refuse_one_file(out: str, *others: str) -> None:
    """Refuse to write a file that the same command reads or writes otherwise."""
    for other in others:
        if os.path.realpath(out) == os.path.realpath(other):
            raise FileFormatError(f"is {other!r} as well, and would be lost", file=out, hint="choose another name")


# ---------------------------------------------------------------------- spec
@cli.group()
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
@click.option("--epsilon", type=float, help="Randomize leaves: randomized response with this epsilon a value.")
@_drop_option
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
    epsilon: float | None,
    drop: tuple[str, ...],
) -> None:
    """Learn a Spec from TABLE, a CSV or Parquet file. Its edges are values of the data."""
    from hashcomb import RandomizedResponse, learn_spec
    from hashcomb.codec import check_usable
    from hashcomb.files import write_spec
    from hashcomb.formats import read_all

    _refuse_one_file(out, table)
    made = learn_spec(
        read_all(table, drop, categorical),
        depth=depth,
        edges=edges,
        margin=margin,
        categorical=categorical,
        means=means,
        channel=RandomizedResponse(epsilon) if epsilon is not None else None,
        outside=outside,
        missing=missing,
        unknown=unknown,
        hash=hash_,
        token_bits=int(token_bits),
        tokens=int(tokens) if tokens.isdecimal() else tokens,
    )
    check_usable(made)
    write_spec(made, out)
    click.echo(made.fingerprint)


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
@_json_flag
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


# ---------------------------------------------------------------------- key
@cli.group()
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


# ---------------------------------------------------------------------- encode, decode, inspect
@cli.command()
@click.argument("table", type=click.Path())
@_spec_option
@_key_option
@click.option("-o", "--out", required=True, type=click.Path(), help="Where to; CSV, or Parquet by its name.")
@click.option("--keep", multiple=True, metavar="COLUMN", help="Write a column beside the tokens, in the clear.")
@_drop_option
@_dataset_option
@_round_option
@click.option("--seed", type=int, help="Repeatable randomness, for tests only: it protects nothing.")
@_json_flag
def encode(
    table: str,
    spec_path: str,
    key_path: str,
    out: str,
    keep: tuple[str, ...],
    drop: tuple[str, ...],
    dataset: str,
    round_: int,
    seed: int | None,
    as_json: bool,
) -> None:
    """Encode the rows of TABLE, a CSV or Parquet file, to tokens."""
    from hashcomb.codec import HashComb
    from hashcomb.files import read_spec
    from hashcomb.formats import BATCH_ROWS, open_rows, require_columns, text_columns, token_writer
    from hashcomb.keys import Key

    _refuse_one_file(out, table, spec_path, key_path)
    codec = HashComb(read_spec(spec_path), Key.load(key_path), dataset=dataset, round=round_)
    if both := {*keep} & {*drop}:
        raise click.UsageError(f"column {both.pop()!r} cannot be kept and dropped")
    rows, aside = open_rows(table), {*keep, *drop}
    require_columns(rows.names, aside)
    n_rows = 0
    current: list[dict[str, Any]] = []

    def tables() -> Iterator[dict[str, Any]]:
        for batch in rows.batches(text_columns(codec.spec), BATCH_ROWS, aside=aside):
            current[:] = [batch]
            yield {name: column for name, column in batch.items() if name not in aside}

    with token_writer(out, codec.header, keep) as writer, progress_bar("encoding", rows.n_rows) as advance:
        for tokens in codec.encode_batches(tables(), seed=seed):
            writer.write(tokens, {name: current[0][name] for name in keep})
            n_rows += len(tokens)
            advance(len(tokens))
        if n_rows == 0:
            raise DataError("there are no rows", hint="pass at least one row")
    facts = {"rows": n_rows, "fingerprint": codec.spec.fingerprint, "key_id": codec.header.key_id, "out": out}
    print_facts(facts, as_json)


@cli.command()
@click.argument("tokens", type=click.Path())
@_spec_option
@_key_option
@click.option("-o", "--out", required=True, type=click.Path(), help="Where to; CSV, or Parquet by its name.")
@click.option("--representative", type=click.Choice(["center", "mean", "rank"]), help="What stands for a leaf.")
@_json_flag
def decode(tokens: str, spec_path: str, key_path: str, out: str, representative: Any, as_json: bool) -> None:
    """Decode the tokens in a file to representative values."""
    from hashcomb.codec import HashComb
    from hashcomb.files import read_spec
    from hashcomb.formats import BATCH_ROWS, open_tokens, row_writer
    from hashcomb.header import stamp
    from hashcomb.keys import Key

    _refuse_one_file(out, tokens, spec_path, key_path)
    source = open_tokens(tokens)
    source.verify()
    header = source.header
    codec = HashComb(read_spec(spec_path), Key.load(key_path), dataset=header.dataset, round=header.round)
    names = [*codec.spec.names, *source.kept]
    with row_writer(out, names, codec.spec) as writer, progress_bar("decoding", source.n_rows) as advance:
        for flat, kept in source.batches(BATCH_ROWS):
            shape = (len(flat), len(header.features), header.depth)
            array = flat.reshape(shape) if header.tokens == "comb" else flat
            values = codec.decode(stamp(array, header), representative)
            writer.write({name: values[:, j] for j, name in enumerate(codec.spec.names)} | kept)
            advance(len(flat))
    print_facts({"rows": source.n_rows, "fingerprint": codec.spec.fingerprint, "out": out}, as_json)


@cli.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@_json_flag
def inspect(paths: tuple[str, ...], as_json: bool) -> None:
    """Check files of tokens, show what they say of themselves, and whether they belong together."""
    import msgspec

    from hashcomb.files import same_origin
    from hashcomb.formats import open_tokens

    sources = [open_tokens(path) for path in paths]
    facts = []
    for path, source in zip(paths, sources, strict=True):
        source.verify()
        header = msgspec.to_builtins(source.header)
        facts.append({"file": path, "rows": source.n_rows, "kept": source.kept, **header})
    for fact in facts:
        print_facts(fact, as_json)
    for source in sources[1:]:
        same_origin(sources[0].header, source.header)


# ---------------------------------------------------------------------- report, agree, demo
@cli.command()
@click.argument("spec_path", metavar="SPEC", type=click.Path())
@click.option("--rounds", default=1, show_default=True, type=click.IntRange(1), help="Encodings of one record.")
@_json_flag
def report(spec_path: str, rounds: int, as_json: bool) -> None:
    """Say what a Spec protects, before any data is touched."""
    from hashcomb.files import read_spec
    from hashcomb.privacy import PrivacyReport

    made = PrivacyReport.of(read_spec(spec_path), rounds=rounds)
    click.echo(made.to_json() if as_json else made.to_text(), nl=as_json)


@cli.command()
@click.argument("party_path", metavar="PARTY", type=click.Path())
@click.option("-o", "--out", required=True, type=click.Path(), help="Where the Spec goes.")
@click.option("--key-out", type=click.Path(), help="Where the Key goes; the Spec's name with .key by default.")
@click.option("--me", help="This owner's name among the peers.")
@click.option("--data", type=click.Path(), help="This owner's rows, CSV or Parquet.")
@click.option("--drop", multiple=True, metavar="COLUMN", help="Leave a column out, such as the label.")
@click.option("--depth", type=click.IntRange(1, 20), help="This owner's vote on the depth.")
@click.option("--tls-key", type=click.Path(), help="This owner's private key, PEM.")
@_json_flag
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
    _refuse_one_file(out, key_path, party_path, own.data)
    _refuse_one_file(key_path, party_path, own.data)
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


@cli.command()
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
@_json_flag
def demo(data: str | None, owners: int | None, seed: int, report_path: str, as_json: bool) -> None:
    """Owners agree, encode real data, and a trainer learns from tokens alone: the whole path in one minute."""
    from hashcomb.demo.run import run_demo

    run_demo(data=data, owners=owners, seed=seed, report_path=report_path, as_json=as_json)


if __name__ == "__main__":
    main()
