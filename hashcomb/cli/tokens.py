"""Rows to tokens and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from hashcomb.cli.options import (
    dataset_option,
    drop_option,
    json_flag,
    key_option,
    refuse_one_file,
    round_option,
    spec_option,
)
from hashcomb.errors import DataError
from hashcomb.terminal import print_facts, progress_bar

__all__ = ("decode", "encode", "inspect")


REPRESENTATIVES = ["center", "mean", "rank", "posterior", "unbiased"]


@click.command()
@click.argument("table", type=click.Path())
@spec_option
@key_option
@click.option("-o", "--out", required=True, type=click.Path(), help="Where to; CSV, or Parquet by its name.")
@click.option("--keep", multiple=True, metavar="COLUMN", help="Write a column beside the tokens, in the clear.")
@drop_option
@dataset_option
@round_option
@click.option("--record-id", metavar="COLUMN", help="Column of record ids: a record known again repeats its reports.")
@click.option("--memo-key", "memo_path", type=click.Path(), help="A Key of your own, for --record-id.")
@click.option("--seed", type=int, help="Repeatable randomness, for tests only: it protects nothing.")
@json_flag
def encode(
    table: str,
    spec_path: str,
    key_path: str,
    out: str,
    keep: tuple[str, ...],
    drop: tuple[str, ...],
    dataset: str,
    round_: int,
    record_id: str | None,
    memo_path: str | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """Encode the rows of TABLE, a CSV or Parquet file, to tokens."""
    from hashcomb.codec import HashComb
    from hashcomb.files import read_spec
    from hashcomb.formats import BATCH_ROWS, open_rows, require_columns, text_columns, token_writer
    from hashcomb.keys import Key

    refuse_one_file(out, table, spec_path, key_path, *filter(None, [memo_path]))
    codec = HashComb(read_spec(spec_path), Key.load(key_path), dataset=dataset, round=round_)
    if both := {*keep} & {*drop}:
        raise click.UsageError(f"column {both.pop()!r} cannot be kept and dropped")
    if (record_id is None) != (memo_path is None):
        raise click.UsageError("--record-id and --memo-key go together")
    memo_key = None if memo_path is None else Key.load(memo_path)
    named = set() if record_id is None else {record_id}
    rows, aside = open_rows(table), {*keep, *drop, *named}
    require_columns(rows.names, aside)
    n_rows = 0
    current: list[dict[str, Any]] = []

    def tables() -> Iterator[dict[str, Any]]:
        for batch in rows.batches(text_columns(codec.spec), BATCH_ROWS, aside=aside):
            current[:] = [batch]
            yield {name: column for name, column in batch.items() if name not in aside}

    def ids() -> Iterator[Any]:
        while True:
            yield current[0][record_id or ""]

    with token_writer(out, codec.header, keep) as writer, progress_bar("encoding", rows.n_rows) as advance:
        for tokens in codec.encode_batches(
            tables(), seed=seed, memo_key=memo_key, record_ids=ids() if memo_key else None
        ):
            writer.write(tokens, {name: current[0][name] for name in keep})
            n_rows += len(tokens)
            advance(len(tokens))
        if n_rows == 0:
            raise DataError("there are no rows", hint="pass at least one row")
    facts = {"rows": n_rows, "fingerprint": codec.spec.fingerprint, "key_id": codec.header.key_id, "out": out}
    print_facts(facts, as_json)


@click.command()
@click.argument("tokens", type=click.Path())
@spec_option
@key_option
@click.option("-o", "--out", required=True, type=click.Path(), help="Where to; CSV, or Parquet by its name.")
@click.option("--representative", type=click.Choice(REPRESENTATIVES), help="What stands for a report.")
@json_flag
def decode(tokens: str, spec_path: str, key_path: str, out: str, representative: Any, as_json: bool) -> None:
    """Decode the tokens in a file to representative values."""
    from hashcomb.codec import HashComb
    from hashcomb.files import read_spec
    from hashcomb.formats import BATCH_ROWS, open_tokens, row_writer
    from hashcomb.header import stamp
    from hashcomb.keys import Key

    refuse_one_file(out, tokens, spec_path, key_path)
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


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@json_flag
def inspect(paths: tuple[str, ...], as_json: bool) -> None:
    """Check files of tokens, show what they say of themselves, and whether they belong together."""
    import msgspec

    from hashcomb.formats import open_tokens

    sources = [open_tokens(path) for path in paths]
    facts = []
    for path, source in zip(paths, sources, strict=True):
        source.verify()
        header = msgspec.to_builtins(source.header)
        facts.append({"file": path, "rows": source.n_rows, "kept": source.kept, **header})
    for fact in facts:
        print_facts(fact, as_json)
    for path, source in zip(paths, sources, strict=True):
        sources[0].header.require_same(source.header, f"the tokens in {str(path)!r}")
