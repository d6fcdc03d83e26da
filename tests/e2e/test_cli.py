"""Every command, on real files: what it prints, what it writes, and how it refuses."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from hashcomb import HashComb, Key
from hashcomb.files import CsvTokens, read_spec
from hashcomb.tables import CsvRows

Run = Callable[..., Any]


@pytest.fixture
def made(hashcomb: Run, rows: Path) -> Run:
    """Make spec.toml and owners.key for rows.csv, and return the runner."""
    assert rows.exists()
    assert hashcomb("key", "new", "-o", "owners.key").status == 0
    done = hashcomb("spec", "new", "rows.csv", "-o", "spec.toml", "--drop", "label", "--categorical", "color")
    assert done.status == 0, done.err
    return hashcomb


ENCODE = ("encode", "rows.csv", "--spec", "spec.toml", "--key", "owners.key", "--keep", "label")


def test_key_new_and_id(hashcomb: Run, tmp_path: Path) -> None:
    """A new key file has mode 0600; both commands print its id, on stdout alone."""
    new = hashcomb("key", "new", "-o", "owners.key")
    assert stat.S_IMODE((tmp_path / "owners.key").stat().st_mode) == 0o600
    again = hashcomb("key", "id", "owners.key")
    assert new.out == again.out == Key.load(tmp_path / "owners.key").id + "\n"
    assert new.err == ""


def test_spec_new_warns_on_stderr_and_prints_the_fingerprint(hashcomb: Run, rows: Path, tmp_path: Path) -> None:
    """The result is on stdout, the warning that edges are values of the data on stderr."""
    assert rows.exists()
    done = hashcomb("spec", "new", "rows.csv", "-o", "spec.json", "--drop", "label", "--drop", "color", "--depth", 3)
    spec = read_spec(tmp_path / "spec.json")
    assert done.out == spec.fingerprint + "\n"
    assert "warning:" in done.err
    assert (spec.depth, spec.names) == (3, ("age", "income"))


def test_spec_new_takes_every_rule(hashcomb: Run, rows: Path, tmp_path: Path) -> None:
    """Every option reaches the Spec."""
    assert rows.exists()
    options = [
        "--edges",
        "uniform",
        "--margin",
        "0.1",
        "--outside",
        "error",
        "--missing",
        "token",
        "--unknown",
        "token",
        "--hash",
        "siphash",
    ]
    more = [
        "--token-bits",
        "32",
        "--tokens",
        "comb",
        "--epsilon",
        "2",
        "--means",
        "--categorical",
        "color",
        "--drop",
        "label",
    ]
    assert hashcomb("spec", "new", "rows.csv", "-o", "s.toml", *options, *more).status == 0
    spec = read_spec(tmp_path / "s.toml")
    assert (spec.outside, spec.missing, spec.unknown, spec.hash) == ("error", "token", "token", "siphash")
    assert (spec.token_bits, spec.tokens) == (32, "comb")
    assert spec.channel is not None
    assert spec.channel.params == {"epsilon": 2.0, "depth": "leaf"}
    assert getattr(spec.features[0], "means", None) is not None


def test_spec_check_show_fingerprint(made: Run, tmp_path: Path) -> None:
    """A Spec is checked, shown as TOML or JSON, and named by its fingerprint."""
    assert made("spec", "check", "spec.toml").out == "spec.toml: valid\n"
    assert made("spec", "show", "spec.toml").out == (tmp_path / "spec.toml").read_text()
    assert json.loads(made("spec", "show", "spec.toml", "--json").out)["depth"] == 4
    assert made("spec", "fingerprint", "spec.toml").out.strip() == read_spec(tmp_path / "spec.toml").fingerprint


@pytest.mark.parametrize("name", ["tokens.csv", "tokens.parquet"])
def test_encode_inspect_decode(made: Run, tmp_path: Path, name: str) -> None:
    """Rows go to tokens and back through files of either kind, with the label beside them."""
    done = made(*ENCODE, "-o", name, "--json")
    facts = json.loads(done.out)
    assert (done.status, done.err, facts["rows"]) == (0, "", 200)
    looked = json.loads(made("inspect", name, "--json").out)
    assert (looked["rows"], looked["kept"], looked["features"]) == (200, ["label"], ["age", "income", "color"])
    assert looked["fingerprint"] == facts["fingerprint"]
    assert made("decode", name, "--spec", "spec.toml", "--key", "owners.key", "-o", "back.csv").status == 0
    (back,) = CsvRows(tmp_path / "back.csv").batches({"color", "label"})
    (rows,) = CsvRows(tmp_path / "rows.csv").batches({"color", "label"})
    assert back["label"].tolist() == rows["label"].tolist()
    assert back["color"].tolist() == rows["color"].tolist()
    assert np.corrcoef(back["age"], rows["age"])[0, 1] > 0.98


def test_files_of_both_kinds_hold_the_same_tokens(made: Run, tmp_path: Path) -> None:
    """CSV and Parquet hold the tokens that the library gives."""
    made(*ENCODE, "-o", "t.csv")
    made(*ENCODE, "-o", "t.parquet")
    ((tokens, _),) = CsvTokens(tmp_path / "t.csv").batches()
    table = pq.read_table(tmp_path / "t.parquet")
    assert (tokens == np.stack([table[name].to_numpy() for name in ("age", "income", "color")], axis=1)).all()
    (batch,) = CsvRows(tmp_path / "rows.csv").batches({"color", "label"})
    batch.pop("label")
    codec = HashComb(read_spec(tmp_path / "spec.toml"), Key.load(tmp_path / "owners.key"))
    assert (codec.encode(batch) == tokens).all()


def test_parquet_in(made: Run, tmp_path: Path) -> None:
    """Rows may come as Parquet too, and give the same tokens."""
    import pandas as pd

    pd.read_csv(tmp_path / "rows.csv", keep_default_na=False).to_parquet(tmp_path / "rows.parquet")
    made(*ENCODE, "-o", "a.csv")
    assert made("encode", "rows.parquet", *ENCODE[2:], "-o", "b.csv").status == 0
    digests = [json.loads(made("inspect", name, "--json").out)["fingerprint"] for name in ("a.csv", "b.csv")]
    first, second = (next(CsvTokens(tmp_path / name).batches())[0] for name in ("a.csv", "b.csv"))
    assert (first == second).all()
    assert digests[0] == digests[1]


def test_salts_are_read_from_the_file_at_decode(made: Run, tmp_path: Path) -> None:
    """Data set and round are public: they stand in the file, and decode needs no option for them."""
    made(*ENCODE, "-o", "plain.csv")
    made(*ENCODE, "-o", "salted.csv", "--dataset", "2026-q4", "--round", 3)
    plain, salted = (next(CsvTokens(tmp_path / name).batches())[0] for name in ("plain.csv", "salted.csv"))
    assert not (plain == salted).any()
    assert made("decode", "salted.csv", "--spec", "spec.toml", "--key", "owners.key", "-o", "back.csv").status == 0


def test_inspect_of_files_that_do_not_belong_together(made: Run) -> None:
    """Files made under different salts, Specs or Keys are shown, and then refused together."""
    made(*ENCODE, "-o", "a.csv")
    made(*ENCODE, "-o", "b.csv", "--round", 1)
    assert made("inspect", "a.csv", "a.csv").status == 0
    done = made("inspect", "a.csv", "b.csv")
    assert done.status == 1
    assert "'b.csv' were made under another round" in done.err


def test_report(made: Run) -> None:
    """The report says what a Spec protects, in sentences or as JSON."""
    assert "no differential privacy" in made("report", "spec.toml").out
    made("spec", "new", "rows.csv", "-o", "noisy.toml", "--epsilon", 1, "--categorical", "color", "--drop", "label")
    report = json.loads(made("report", "noisy.toml", "--rounds", 2, "--json").out)
    assert report["record_epsilon"] == pytest.approx(3.0, abs=1e-5)
    assert report["total_epsilon"] == pytest.approx(6.0, abs=1e-5)


def test_a_seed_repeats_and_warns(made: Run, tmp_path: Path) -> None:
    """Seeded reports are repeatable, and the warning is on stderr."""
    made("spec", "new", "rows.csv", "-o", "noisy.toml", "--epsilon", 1, "--categorical", "color", "--drop", "label")
    command = ["encode", "rows.csv", "--spec", "noisy.toml", "--key", "owners.key", "--keep", "label", "--seed", 5]
    assert "protects nothing" in made(*command, "-o", "a.csv").err
    made(*command, "-o", "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


# ---------------------------------------------------------------------- refusals
REFUSED: dict[str, tuple[list[Any], str]] = {
    "no rows file": (["encode", "none.csv", *ENCODE[2:], "-o", "out.csv"], "none.csv"),
    "no spec": (["encode", "rows.csv", "--spec", "none.toml", "--key", "owners.key", "-o", "out.csv"], "none.toml"),
    "no key": (["encode", "rows.csv", "--spec", "spec.toml", "--key", "none.key", "-o", "out.csv"], "none.key"),
    "extra column": (["encode", "rows.csv", "--spec", "spec.toml", "--key", "owners.key", "-o", "out.csv"], "'label'"),
    "kept column is none": ([*ENCODE, "--keep", "nothing", "-o", "out.csv"], "'nothing'"),
    "text column": (["spec", "new", "rows.csv", "-o", "out.toml"], "'color'"),
    "over a key": ([*ENCODE, "-o", "owners.key"], "lost"),
    "spec over a key": (["spec", "new", "rows.csv", "-o", "owners.key", "--categorical", "color"], "never overwritten"),
    "level": (["spec", "new", "rows.csv", "-o", "out.toml", "--tokens", "²", "--drop", "color"], "tokens"),
    "over the rows": ([*ENCODE, "-o", "rows.csv"], "lost"),
    "over the spec": ([*ENCODE, "-o", "./spec.toml"], "lost"),
    "spec over the rows": (["spec", "new", "rows.csv", "-o", "rows.csv"], "lost"),
    "no folder": ([*ENCODE, "-o", "none/out.csv"], "none"),
    "a folder": ([*ENCODE, "-o", "."], "regular"),
    "key exists": (["key", "new", "-o", "owners.key"], "exists"),
    "no tokens": (["decode", "rows.csv", "--spec", "spec.toml", "--key", "owners.key", "-o", "out.csv"], "rows.csv"),
    "no parquet": (["inspect", "rows.parquet"], "rows.parquet"),
    "depth and level": (["spec", "new", "rows.csv", "-o", "out.toml", "--tokens", "9", "--drop", "color"], "tokens"),
    "epsilon": (["spec", "new", "rows.csv", "-o", "out.toml", "--epsilon", "-1", "--drop", "color"], "epsilon"),
}


@pytest.mark.parametrize(("command", "says"), REFUSED.values(), ids=REFUSED)
def test_refusals(made: Run, tmp_path: Path, command: list[Any], says: str) -> None:
    """What cannot be done ends with status 1, one line on stderr that says why, and no file."""
    before = sorted(os.listdir(tmp_path))
    done = made(*command)
    assert done.status == 1
    assert done.out == ""
    assert says in done.err
    assert "Traceback" not in done.err
    assert sorted(os.listdir(tmp_path)) == before


USAGE: list[list[Any]] = [
    [*ENCODE],
    ["encode", "rows.csv"],
    ["spec", "new", "rows.csv", "-o", "out.toml", "--depth", "21"],
    ["spec", "new", "rows.csv", "-o", "out.toml", "--edges", "log"],
    ["nonsense"],
    ["report", "spec.toml", "--rounds", "0"],
    [*ENCODE, "-o", "out.csv", "--drop", "label"],
    ["demo", "--seed", "-1"],
    ["demo", "--seed", str(1 << 32)],
]


@pytest.mark.parametrize("command", USAGE, ids=range(len(USAGE)))
def test_usage_errors(made: Run, command: list[Any]) -> None:
    """Wrong words end with status 2 and a hint on stderr."""
    done = made(*command)
    assert (done.status, done.out) == (2, "")
    assert "Usage" in done.err


BAD_ROWS = {
    "text": ("30,SECRET,red,1", "column 'income', row 150"),
    "blank": ("30,,red,1", "column 'income', row 150"),
    "short": ("30,5", "row 150"),
    "unknown category": ("30,5,SECRET,1", "column 'color', row 150"),
}


@pytest.mark.parametrize(("line", "place"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_named_and_nothing_is_written(made: Run, tmp_path: Path, line: str, place: str) -> None:
    """The place of the bad row is shown, its content is not, and the old output stays."""
    lines = (tmp_path / "rows.csv").read_text().splitlines()
    lines[151] = line
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "out.csv").write_text("old")
    done = made(*ENCODE, "-o", "out.csv")
    assert done.status == 1
    assert place in done.err
    assert "SECRET" not in done.err
    assert (tmp_path / "out.csv").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["out.csv", "owners.key", "rows.csv", "spec.toml"]


def test_edited_tokens_are_not_decoded(made: Run, tmp_path: Path) -> None:
    """One changed digit in a file of tokens is noticed before anything is written."""
    made(*ENCODE, "-o", "t.csv")
    text = (tmp_path / "t.csv").read_text()
    place = text.rindex(",t") + 5
    (tmp_path / "t.csv").write_text(text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :])
    done = made("decode", "t.csv", "--spec", "spec.toml", "--key", "owners.key", "-o", "back.csv")
    assert done.status == 1
    assert "edited" in done.err
    assert not (tmp_path / "back.csv").exists()


@pytest.mark.parametrize("text", ['{"depth": 1000000000}', "[" * 100_000, '{"depth": 4, "depth": 4}'])
def test_hostile_spec_file(made: Run, tmp_path: Path, text: str) -> None:
    """A hostile Spec file is refused by every command that reads one."""
    (tmp_path / "bad.json").write_text(text)
    for command in (["spec", "check", "bad.json"], ["report", "bad.json"], ["spec", "fingerprint", "bad.json"]):
        done = made(*command)
        assert (done.status, done.out) == (1, "")
        assert done.err.startswith("error: ")
        assert "spec" in done.err


@pytest.mark.e2e
def test_as_a_process(process: Run, rows: Path, tmp_path: Path) -> None:
    """The installed command does the same as a process, and a closed pipe is no traceback."""
    assert rows.exists()
    assert process("key", "new", "-o", "k.key").wait(60) == 0
    new = process("spec", "new", "rows.csv", "-o", "s.toml", "--drop", "label", "--drop", "color")
    out, err = new.communicate(timeout=60)
    assert out.strip() == read_spec(tmp_path / "s.toml").fingerprint
    assert err.startswith("warning: ")
    shown = process("spec", "show", "s.toml")
    shown.stdout.close()
    assert "Traceback" not in shown.stderr.read()


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_command_told_to_end_leaves_nothing(process: Run, tmp_path: Path, name: str) -> None:
    """A command that is interrupted in the middle ends with status 1, and leaves no file behind."""
    import signal
    import time

    with (tmp_path / "big.csv").open("w") as file:
        file.write("a,b,c\n" + "0.5,0.25,0.125\n" * 1_500_000)
    (tmp_path / "small.csv").write_text("a,b,c\n0,0,0\n1,1,1\n")
    assert process("key", "new", "-o", "k.key").wait(60) == 0
    assert process("spec", "new", "small.csv", "-o", "s.toml").wait(60) == 0
    command = process("encode", "big.csv", "--spec", "s.toml", "--key", "k.key", "-o", "t.csv")
    for _ in range(600):
        time.sleep(0.05)
        if any(name.startswith(".t.csv") for name in os.listdir(tmp_path)):
            break
    command.send_signal(getattr(signal, name))
    _, err = command.communicate(timeout=60)
    # CPython ends as killed by SIGINT if the interrupt passed through an exec of text, as in some imports.
    assert command.returncode in (1, -signal.SIGINT)
    assert "stopped" in err
    assert "Traceback" not in err
    assert sorted(os.listdir(tmp_path)) == ["big.csv", "k.key", "s.toml", "small.csv"]


def test_every_bad_spec_is_named(made: Run, tmp_path: Path) -> None:
    """One bad file does not keep the others from being looked at, and each is named."""
    (tmp_path / "bad.json").write_text("{")
    done = made("spec", "check", "bad.json", "spec.toml", "none.toml")
    assert (done.status, done.out) == (1, "spec.toml: valid\n")
    assert "bad.json" in done.err
    assert "none.toml" in done.err


def test_an_error_of_ours_shows_its_type_only(made: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw ends with status 1 and one line without the text of the error, which may be a record."""

    def fail(*_: Any) -> None:
        raise RuntimeError("SECRET")

    monkeypatch.setattr("hashcomb.files.read_spec", fail)
    done = made("spec", "show", "spec.toml")
    assert done.status == 1
    assert "RuntimeError" in done.err
    assert "SECRET" not in done.err


@pytest.mark.parametrize("tokens", ["comb", "leaf"])
def test_tokens_of_another_spec_are_refused(made: Run, tokens: str) -> None:
    """Decoding under a Spec with other features and depth says so, whatever the shape of the tokens."""
    made(
        "spec",
        "new",
        "rows.csv",
        "-o",
        "paths.toml",
        "--tokens",
        tokens,
        "--depth",
        "3",
        "--drop",
        "color",
        "--drop",
        "label",
    )
    done = made(
        "encode",
        "rows.csv",
        "--spec",
        "paths.toml",
        "--key",
        "owners.key",
        "-o",
        "p.csv",
        "--drop",
        "color",
        "--drop",
        "label",
    )
    assert done.status == 0, done.err
    done = made("decode", "p.csv", "--spec", "spec.toml", "--key", "owners.key", "-o", "out.csv")
    assert done.status == 1
    assert "another Spec" in done.err
