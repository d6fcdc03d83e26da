"""Channels from the command line: a Spec is randomized, encoded under, reported and audited."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hashcomb.files import read_spec
from hashcomb.privacy import compose_spec

pytestmark = pytest.mark.filterwarnings("ignore::hashcomb.errors.HashcombWarning")
Run = Callable[..., Any]


@pytest.fixture
def made(hashcomb: Run, rows: Path) -> Run:
    """Make numbers.toml (two columns of numbers), mixed.toml (with categories) and two Keys; return the runner."""
    assert rows.exists()
    for name, more in (("numbers.toml", ["--drop", "color"]), ("mixed.toml", ["--categorical", "color"])):
        assert hashcomb("spec", "new", "rows.csv", "-o", name, "--drop", "label", *more).status == 0
    for name in ("owners.key", "memo.key"):
        assert hashcomb("key", "new", "-o", name).status == 0
    return hashcomb


def encode(out: str, spec: str, *more: str) -> tuple[str, ...]:
    """Return the words of a command that encodes."""
    return ("encode", "rows.csv", "--spec", spec, "--key", "owners.key", "-o", out, "--drop", "label", *more)


KINDS = {
    "randomized_response": ("--epsilon", "1"),
    "interval": ("--channel", "interval", "--epsilon", "1"),
    "square_wave": ("--channel", "square_wave", "--epsilon", "1", "--param", "reach=2"),
    "geometric": ("--channel", "geometric", "--epsilon", "1", "--param", "ends=renormalize"),
    "rqm": ("--channel", "rqm", "--epsilon", "2", "--param", "keep=0.5"),
    "poisson_binomial": ("--channel", "poisson_binomial", "--param", "theta=0.1", "--param", "n_trials=8"),
    "optimal": ("--channel", "optimal", "--epsilon", "2"),
    "random_depth": ("--channel", "random_depth", "--epsilon", "1", "--param", "weights=1,2,3,4"),
    "last_head": ("--channel", "last_head", "--param", "heads=0.5"),
    "matrix": ("--channel", "matrix", "--param", "law=" + ",".join(["0.0625"] * 256), "--param", "n_reports=16"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_channel_from_the_command_line(made: Run, tmp_path: Path, kind: str) -> None:
    """A Spec gets the channel, rows are encoded and decoded under it, and the report states its epsilon."""
    assert made("spec", "randomize", "numbers.toml", "-o", "noisy.toml", *KINDS[kind]).status == 0
    spec = read_spec(tmp_path / "noisy.toml")
    assert spec.channel is not None
    assert spec.channel.kind == kind
    assert made(*encode("tokens.csv", "noisy.toml", "--drop", "color")).status == 0
    decode = ("decode", "tokens.csv", "--spec", "noisy.toml", "--key", "owners.key", "-o", "back.csv")
    assert made(*decode, "--representative", "posterior").status == 0
    assert len((tmp_path / "back.csv").read_text().splitlines()) == 201
    report = json.loads(made("report", "noisy.toml", "--json").out)
    cost = compose_spec(spec)
    assert cost is not None
    assert report["record_epsilon"] == (None if kind == "last_head" else pytest.approx(cost.basic, abs=1e-9))


@pytest.mark.parametrize("delta", ["0", "1e-6"])
def test_a_total_is_kept_by_the_spec_itself(made: Run, tmp_path: Path, delta: str) -> None:
    """With categories, whose few symbols cost more than leaves, a record still stays within what was asked for."""
    options = ("--total", "4", "--delta", delta, "--rounds", "5", "--param", "depth=leaf")
    assert made("spec", "randomize", "mixed.toml", "-o", "noisy.toml", *options).status == 0
    cost = compose_spec(read_spec(tmp_path / "noisy.toml"), rounds=5)
    assert cost is not None
    assert 3.99 < cost.epsilon(float(delta)) <= 4.0


@pytest.mark.parametrize(
    ("spec", "options", "total"),
    [
        ("numbers.toml", ("--param", "depth=leaf"), 900),
        ("numbers.toml", ("--channel", "optimal"), 6),
        ("levels.toml", (), 4),
    ],
)
def test_totals_at_the_edge(made: Run, tmp_path: Path, spec: str, options: tuple[str, ...], total: float) -> None:
    """A total beyond what a channel can realize gets its largest epsilon, and coarser tokens their own cost."""
    new = ("spec", "new", "rows.csv", "-o", "levels.toml", "--drop", "label", "--drop", "color", "--tokens", "2")
    assert made(*new).status == 0
    assert made("spec", "randomize", spec, "-o", "noisy.toml", "--total", total, *options).status == 0
    cost = compose_spec(read_spec(tmp_path / "noisy.toml"))
    assert cost is not None
    assert (45 if total == 900 else 0.999 * total) < cost.basic <= total


def test_budgets_for_each_feature_and_some_features(made: Run, tmp_path: Path) -> None:
    """Commas give each feature an epsilon, and a record may report only some."""
    options = ("--epsilon", "1,2", "--report-features", "1")
    assert made("spec", "randomize", "numbers.toml", "-o", "noisy.toml", *options).status == 0
    report = json.loads(made("report", "noisy.toml", "--json").out)
    assert [round(feature["epsilon"], 3) for feature in report["features"]] == [1.0, 2.0]
    assert (report["n_reported"], round(report["record_epsilon"], 3)) == (1, 2.0)


def test_only_channel_none_takes_the_channel_away(made: Run, tmp_path: Path) -> None:
    """Without options nothing is done; with none, a Spec without channel comes back as it was before."""
    assert made("spec", "randomize", "numbers.toml", "-o", "noisy.toml", "--epsilon", "1").status == 0
    assert made("spec", "randomize", "noisy.toml", "-o", "plain.toml").status == 2
    done = made("spec", "randomize", "noisy.toml", "-o", "plain.toml", "--channel", "none")
    assert (done.status, "no differential privacy" in done.err) == (0, True)
    assert read_spec(tmp_path / "plain.toml") == read_spec(tmp_path / "numbers.toml")


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("--channel", "laplace"), 1, "known: geometric"),
        (("--channel", "rqm"), 1, "rqm needs keep, margin"),
        (("--epsilon", "1", "--delta", "1e-6"), 2, "are for --total"),
        (("--rounds", "3"), 2, "are for --total"),
        (("--epsilon", "1", "--param", "widht=3"), 1, "no parameter 'widht'"),
        (("--epsilon", "0"), 1, "epsilon must be a number, positive"),
        (("--epsilon", "1,2,3"), 1, "channel.params.epsilon: has 3 budgets for 2 features"),
        (("--epsilon", "one"), 2, "--epsilon needs a number"),
        (("--epsilon", "1", "--total", "2"), 2, "exclude each other"),
        (("--total", "2", "--delta", "1"), 1, "delta must be a number"),
        (("--total", "-2"), 1, "epsilon must be a number, positive"),
        (("--channel", "last_head", "--total", "2"), 1, "no epsilon to choose"),
        (("--report-features", "1"), 2, "which channel"),
        (("--epsilon", "1", "--report-features", "3"), 1, "report_features must be a whole number from 1 to 2"),
        (("--epsilon", "1", "--param", "depth"), 2, "NAME=VALUE"),
        (("--epsilon", "1", "--param", "depth=9"), 1, "depth must be a whole number from 1 to 4"),
    ],
)
def test_randomize_refuses(made: Run, tmp_path: Path, options: tuple[str, ...], status: int, said: str) -> None:
    """Each mistake is named, with what would be right, and nothing is written."""
    done = made("spec", "randomize", "numbers.toml", "-o", "noisy.toml", *options)
    assert (done.status, done.out) == (status, "")
    assert said in done.err
    assert not (tmp_path / "noisy.toml").exists()


def test_records_are_recognized_by_their_ids(made: Run, tmp_path: Path) -> None:
    """With a memo key, encoding the same file again writes the same tokens, and without it others."""
    lines = (tmp_path / "rows.csv").read_text().splitlines()
    named = [f"id,{lines[0]}", *(f"p{i},{line}" for i, line in enumerate(lines[1:]))]
    (tmp_path / "rows.csv").write_text("\n".join(named) + "\n")
    assert made("spec", "randomize", "mixed.toml", "-o", "noisy.toml", "--epsilon", "0.5").status == 0
    memo = ("--record-id", "id", "--memo-key", "memo.key")
    written = []
    for name, more in (("a.csv", memo), ("b.csv", memo), ("c.csv", ("--drop", "id"))):
        assert made(*encode(name, "noisy.toml", *more)).status == 0
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1] != written[2]


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        (("--record-id", "color"), 2, "go together"),
        (("--record-id", "color", "--memo-key", "owners.key"), 1, "the Key that the owners share"),
        (("--record-id", "nobody", "--memo-key", "memo.key"), 1, "nobody"),
        (("--record-id", "label", "--memo-key", "memo.key"), 1, "this record id occurs twice"),
    ],
)
def test_record_ids_that_are_refused(made: Run, tmp_path: Path, more: tuple[str, ...], status: int, said: str) -> None:
    """Ids without a key, the shared Key, no such column, ids that are not unique: refused, and nothing is written."""
    assert made("spec", "randomize", "numbers.toml", "-o", "noisy.toml", "--epsilon", "0.5").status == 0
    drops = [] if "color" in more else ["--drop", "color"]
    words = [word for word in encode("a.csv", "noisy.toml") if word not in ("--drop", "label")]
    done = made(*words, *drops, *([] if "label" in more else ["--drop", "label"]), *more)
    assert done.status == status
    assert said in done.err
    assert not (tmp_path / "a.csv").exists()


def test_what_is_said_of_the_cost_is_not_below_it(made: Run) -> None:
    """The line on stderr rounds up, and speaks of no epsilon where there is none."""
    said = made("spec", "randomize", "numbers.toml", "-o", "noisy.toml", "--epsilon", "1.00049").err
    assert "epsilon 1.0005 a value, 2.0010 a record" in said
    said = made(
        "spec", "randomize", "numbers.toml", "-o", "none.toml", "--channel", "last_head", "--param", "heads=.5"
    ).err
    assert "last_head: no finite epsilon" in said
