"""hashcomb migrate: files of tokens to another Key, Spec or salts, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hashcomb import HashComb, Key
from hashcomb.files import CsvTokens, read_spec
from hashcomb.formats import open_tokens
from hashcomb.tables import CsvRows

Run = Callable[..., Any]

SPEC = ("--spec", "spec.toml", "--key", "old.key")


@pytest.fixture
def made(hashcomb: Run, rows: Path) -> Run:
    """Make a Spec, two Keys and tokens.csv with a kept label, and return the runner."""
    assert rows.exists()
    for name in ("old.key", "new.key"):
        assert hashcomb("key", "new", "-o", name).status == 0
    new = hashcomb("spec", "new", "rows.csv", "-o", "spec.toml", "--drop", "label", "--categorical", "color")
    assert new.status == 0, new.err
    done = hashcomb("encode", "rows.csv", *SPEC, "--keep", "label", "--dataset", "2026", "-o", "tokens.csv")
    assert done.status == 0, done.err
    return hashcomb


def again(folder: Path, key: str, spec: str = "spec.toml", dataset: str = "2026", round: int = 0) -> Any:
    """Return the rows encoded again."""
    ((batch),) = CsvRows(folder / "rows.csv").batches({"color", "label"})
    batch.pop("label")
    codec = HashComb(read_spec(folder / spec), Key.load(folder / key), dataset=dataset, round=round)
    return codec.encode(batch)


@pytest.mark.parametrize("out", ["moved.csv", "moved.parquet"])
def test_a_new_key_gives_the_tokens_of_the_rows(made: Run, tmp_path: Path, out: str) -> None:
    """A migrated file is what encoding the rows under the new Key gives, kept columns and salts included."""
    done = made("migrate", "tokens.csv", *SPEC, "--to-key", "new.key", "-o", out, "--json")
    facts = json.loads(done.out)
    assert (done.status, done.err, facts["rows"], facts["exact"], facts["inexact"]) == (0, "", 200, True, [])
    source = open_tokens(str(tmp_path / out))
    source.verify()
    ((tokens, kept),) = source.batches(65_536)
    wanted = again(tmp_path, "new.key")
    assert (tokens == wanted).all()
    assert source.header == wanted.header
    (rows,) = CsvRows(tmp_path / "rows.csv").batches({"color", "label"})
    assert [str(label) for label in kept["label"].tolist()] == rows["label"].tolist()


def test_salts_alone_may_change(made: Run, tmp_path: Path) -> None:
    """Without --to-spec and --to-key, tokens go to another data set name or round."""
    assert made("migrate", "tokens.csv", *SPEC, "--dataset", "2027", "--round", 2, "-o", "moved.csv").status == 0
    ((tokens, _),) = CsvTokens(tmp_path / "moved.csv").batches()
    assert (tokens == again(tmp_path, "old.key", dataset="2027", round=2)).all()


def test_an_inexact_migration_is_refused_and_writes_nothing(made: Run, tmp_path: Path) -> None:
    """Other edges are refused with the share of leaves that straddle; --approximate goes on and says which."""
    options = ("--drop", "label", "--categorical", "color", "--edges", "uniform")
    assert made("spec", "new", "rows.csv", "-o", "other.toml", *options).status == 0
    command = ("migrate", "tokens.csv", *SPEC, "--to-spec", "other.toml", "--to-key", "new.key", "-o", "moved.csv")
    refused = made(*command)
    assert refused.status == 1
    assert "straddle" in refused.err
    assert not (tmp_path / "moved.csv").exists()
    done = made(*command, "--approximate")
    assert done.status == 0, done.err
    assert "age: " in done.out
    ((tokens, _),) = CsvTokens(tmp_path / "moved.csv").batches()
    wanted = again(tmp_path, "new.key", "other.toml")
    assert (tokens[:, 2] == wanted[:, 2]).all()
    assert (tokens[:, 0] == wanted[:, 0]).mean() > 0.5


@pytest.mark.parametrize("damage", ["edited", "other key", "onto itself"])
def test_what_cannot_be_read_is_refused(made: Run, tmp_path: Path, damage: str) -> None:
    """An edited file, one of another Key, and writing over what is read are refused, and nothing is written."""
    out, key = "moved.csv", "old.key"
    if damage == "edited":
        path = tmp_path / "tokens.csv"
        path.write_text(path.read_text()[:-2] + "9\n")
    elif damage == "other key":
        key = "new.key"
    else:
        out = "tokens.csv"
    before = sorted(path.name for path in tmp_path.iterdir())
    done = made("migrate", "tokens.csv", "--spec", "spec.toml", "--key", key, "--to-key", "new.key", "-o", out)
    assert done.status == 1, done.out
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_reports_keep_their_channel_and_cost(made: Run, tmp_path: Path) -> None:
    """Randomized tokens go to another Key report by report, and to a Spec with another epsilon not at all."""
    for epsilon in (1, 2):
        made("spec", "randomize", "spec.toml", "-o", f"noisy-{epsilon}.toml", "--epsilon", epsilon)
    files = ("--spec", "noisy-1.toml", "--key", "old.key")
    assert made("encode", "rows.csv", *files, "--drop", "label", "-o", "reports.csv").status == 0
    assert made("migrate", "reports.csv", *files, "--to-key", "new.key", "-o", "moved.csv").status == 0
    codecs = [HashComb(read_spec(tmp_path / "noisy-1.toml"), Key.load(tmp_path / k)) for k in ("old.key", "new.key")]
    ((old, _),), ((new, _),) = (CsvTokens(tmp_path / name).batches() for name in ("reports.csv", "moved.csv"))
    assert (codecs[0].reports(old) == codecs[1].reports(new)).all()
    assert CsvTokens(tmp_path / "moved.csv").header.channel == codecs[0].spec.channel
    refused = made("migrate", "reports.csv", *files, "--to-spec", "noisy-2.toml", "-o", "more.csv", "--approximate")
    assert refused.status == 1
    assert "same channel" in refused.err
