"""Tokens from one Spec, Key and salts to others."""

from __future__ import annotations

import click

from hashcomb.cli.options import json_flag, key_option, refuse_one_file, spec_option
from hashcomb.terminal import print_facts, progress_bar

__all__ = ("migrate",)


@click.command()
@click.argument("tokens", type=click.Path())
@spec_option
@key_option
@click.option("--to-spec", type=click.Path(), help="The new Spec; by default the same.")
@click.option("--to-key", type=click.Path(), help="The new Key; by default the same.")
@click.option("-o", "--out", required=True, type=click.Path(), help="Where to; CSV, or Parquet by its name.")
@click.option("--dataset", help="New name of the data set, a public salt; by default as in the file.")
@click.option("--round", "round_", type=click.IntRange(0), help="New round, a public salt; by default as in the file.")
@click.option("--approximate", is_flag=True, help="Go by what stands for a leaf where a new cut goes through it.")
@json_flag
def migrate(
    tokens: str,
    spec_path: str,
    key_path: str,
    to_spec: str | None,
    to_key: str | None,
    out: str,
    dataset: str | None,
    round_: int | None,
    approximate: bool,
    as_json: bool,
) -> None:
    """Bring the tokens in a file to another Key, Spec, data set name or round; columns kept beside them stay."""
    from hashcomb.codec import HashComb
    from hashcomb.files import read_spec
    from hashcomb.formats import BATCH_ROWS, open_tokens, token_writer
    from hashcomb.header import stamp
    from hashcomb.keys import Key
    from hashcomb.migration import Migration

    refuse_one_file(out, tokens, spec_path, key_path, *filter(None, [to_spec, to_key]))
    source = open_tokens(tokens)
    source.verify()
    header = source.header
    old = HashComb(read_spec(spec_path), Key.load(key_path), dataset=header.dataset, round=header.round)
    new = HashComb(
        read_spec(to_spec or spec_path),
        Key.load(to_key or key_path),
        dataset=header.dataset if dataset is None else dataset,
        round=header.round if round_ is None else round_,
    )
    migration = Migration(old, new)
    with token_writer(out, new.header, source.kept) as writer, progress_bar("migrating", source.n_rows) as advance:
        for flat, kept in source.batches(BATCH_ROWS):
            shape = (len(flat), len(header.features), header.depth)
            array = flat.reshape(shape) if header.tokens == "comb" else flat
            writer.write(migration.apply(stamp(array, header), approximate=approximate), kept)
            advance(len(flat))
    inexact = [f"{f.column}: {f.straddling} of {f.tokens}" for f in migration.report if f.straddling]
    facts = {"rows": source.n_rows, "fingerprint": new.spec.fingerprint, "key_id": new.header.key_id, "out": out}
    print_facts({**facts, "exact": migration.exact, "inexact": inexact}, as_json)
