"""Attacks as evidence: measured, kept, put together and drawn."""

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.ensemble import RandomForestClassifier

from hashcomb.cli.bench_attacks import attacks
from hashcomb.errors import DataError, FileFormatError
from hashcomb.evidence.attacks import FILE_NAME, attack_all, summarize_attacks
from hashcomb.evidence.attacks_measures import Finding, _draw, _told_apart, attack_cell
from hashcomb.evidence.attacks_model import N_TREES, _loss, advantage_from_loss, on_raw_rows
from hashcomb.evidence.attacks_page import QUESTIONS, attacks_markdown
from hashcomb.evidence.attacks_plan import ENCODINGS, VERSION, AttackCell, planned_attacks
from hashcomb.evidence.attacks_summary import AIM, averaged, verdicts
from hashcomb.evidence.data import DataSet, bundled
from hashcomb.evidence.lines import opened_lines, read_lines


def rows_of(n_rows: int = 160, n_features: int = 4, sha: str = "0123456789ab") -> DataSet:
    """Return rows of columns that go together, and a label that they tell."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 1)) + 0.5 * rng.normal(size=(n_rows, n_features))
    y = (X.sum(axis=1) > 0).astype(np.int64)
    return DataSet("trial", sha, X, y, np.zeros(n_rows, dtype=np.int64), np.arange(n_rows))


def finding(encoding: str = "quantile, depth 4", seed: int = 0, **changes: object) -> Finding:
    """Return a line whose figures are all one half, but for what is said."""
    numbers = dict.fromkeys(Finding.__struct_fields__, 0.5)
    named = {"data": "trial", "rows_sha": "0123456789ab", "encoding": encoding, "seed": seed, "version": VERSION}
    counts = {"n_features": 4, "n_target": 80, "n_auxiliary": 80, "epsilon_feature": ENCODINGS[encoding].epsilon}
    return Finding(**{**numbers, **named, **counts, **changes})  # type: ignore[arg-type]


def test_plain_tokens_fall_to_attacks_and_noise_withstands() -> None:
    """On rows whose columns go together every attack beats guessing on plain tokens, and loses at epsilon 0.1."""
    data = rows_of()
    plain = attack_cell(data, AttackCell(data="trial", encoding="quantile, depth 4", seed=0), {})
    noisy = attack_cell(data, AttackCell(data="trial", encoding="randomized response, epsilon 0.1", seed=0), {})
    assert plain.named_columns is not None
    assert plain.named_columns > 2 * plain.named_guessed
    assert plain.named_guessed < plain.named_guessed_by_label < plain.named_columns
    assert plain.rebuilt_named_tenth > plain.rebuilt_named_tenth_guessed >= plain.named_guessed
    assert plain.joined_round > 0.9
    assert plain.joined_dataset > 5 * plain.joined_dataset_guessed
    assert plain.joined_dataset_guessed == pytest.approx(2 / 52, rel=0.1)  # two labels among 52 rows
    assert plain.recognized > 0.2
    assert plain.rebuilt_error < 0.5
    assert plain.named_with_key == 1.0
    assert plain.named_paths is plain.joined_memoized is plain.epsilon_feature is None
    assert noisy.joined_round < 0.1
    assert noisy.recognized < 0.1
    assert noisy.rebuilt_error == pytest.approx(1.0, abs=0.05)
    assert noisy.named_with_key < 0.15
    assert noisy.joined_memoized is not None
    assert noisy.joined_memoized > noisy.joined_round
    assert noisy.counted_bound == pytest.approx(math.tanh(0.2), abs=1e-6)
    assert noisy.trained_raw == plain.trained_raw


@pytest.mark.parametrize("encoding", ["quantile, depth 4", "square wave, epsilon 2"])
def test_a_cell_is_repeatable(encoding: str) -> None:
    """The same cell gives the same figures under another Key."""
    cell = AttackCell(data="trial", encoding=encoding, seed=1)
    one, again = (msgspec.structs.replace(attack_cell(rows_of(60), cell, {}), seconds=0.0) for _ in range(2))
    assert one == again


def test_losses_tell_members_from_others() -> None:
    """A forest that knows its rows by heart gives members away; equal losses tell nothing."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 5)), rng.integers(0, 2, 200)
    assert on_raw_rows(X, y, np.arange(100), np.arange(100), np.arange(100, 200), 0) > 0.4
    assert advantage_from_loss(np.ones(4), np.ones(7)) == 0.0
    assert advantage_from_loss(np.zeros(4), np.ones(7)) == 1.0
    assert advantage_from_loss(np.array([0.0, 0.0, 0.0, 4.0]), np.array([0.0, 2.0])) == 0.25
    with pytest.raises(DataError):
        advantage_from_loss(np.ones(4), np.ones(0))


def test_a_label_that_no_tree_names_costs_no_more_than_half_a_tree() -> None:
    """Whatever a forest has learned, no loss is so large that it alone moves the members' mean."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 2)), rng.integers(0, 2, 60)
    forest = RandomForestClassifier(N_TREES, random_state=0).fit(X, y)
    losses = _loss(forest, X[:3], np.array([0, 1, 7]))
    assert losses[2] == pytest.approx(math.log(2 * N_TREES))
    assert losses.max() == losses[2]


def test_members_and_others_are_alike() -> None:
    """A record in both halves is neither; so members are not the more frequent records, and halves could be swapped."""
    data = rows_of(100)
    copied = np.concatenate([np.arange(100), np.repeat(np.arange(10), 10)])
    drawn = _draw(data._replace(X=data.X[copied], y=data.y[copied], row=copied), 0)
    trained, members, others = _told_apart(drawn)
    target, auxiliary = drawn.row[drawn.target], drawn.row[drawn.auxiliary]
    assert set(target[trained]) == set(target)
    assert set(target[members]) == set(target) - set(auxiliary)
    assert set(auxiliary[others]) == set(auxiliary) - set(target)
    assert len(set(target[members])) == members.sum()
    assert _told_apart(drawn._replace(target=drawn.auxiliary, auxiliary=drawn.target))[1].tolist() == others.tolist()


def test_copies_are_no_strangers() -> None:
    """A record that is in both halves is not asked about, so a data set of copies alone is refused."""
    data = rows_of(8)
    copies = data._replace(X=np.tile(data.X[:1], (8, 1)), row=np.zeros(8, dtype=np.int64), y=np.arange(8) % 2)
    with pytest.raises(DataError, match="too few distinct rows"):
        attack_cell(copies, AttackCell(data="trial", encoding="quantile, depth 4", seed=0), {})


def test_all_of_one_seed_comes_first() -> None:
    """Cells go seed by seed, and every encoding is attacked once a seed."""
    cells = planned_attacks([rows_of()], 2)
    assert [cell.seed for cell in cells] == [0] * len(ENCODINGS) + [1] * len(ENCODINGS)
    assert len({cell.key for cell in cells}) == 2 * len(ENCODINGS)


def test_what_is_there_is_not_attacked_again(tmp_path: Path) -> None:
    """A run goes on behind an interruption: with every line but a torn one there, one cell is attacked; then none."""
    data, path = rows_of(60), tmp_path / FILE_NAME
    with opened_lines(path, Finding) as file:
        for encoding in list(ENCODINGS)[1:]:
            file.append(finding(encoding))
    with path.open("ab") as torn:
        torn.write(b"trial,0123")
    attack_all([data], tmp_path, 1)
    lines = read_lines(path, Finding)
    assert len(lines) == len(ENCODINGS)
    assert lines[-1].encoding == "quantile, depth 4"
    assert lines[-1].recognized != 0.5
    before = path.read_bytes()
    attack_all([data], tmp_path, 1)
    assert path.read_bytes() == before
    with pytest.raises(FileFormatError, match="other rows"):
        attack_all([rows_of(sha="ffff")], tmp_path, 1)


def test_the_aim_is_held_against_the_mean() -> None:
    """Frequency matching holds the aim where its mean gain over seeds is at most 2 points, and not above."""
    name = "randomized response over 16 leaves, epsilon 2"
    several = [finding(name, seed, named_frequencies=0.5 + extra) for seed, extra in enumerate((0.01, 0.028))]
    (verdict,) = verdicts(averaged(several))
    assert verdict.gain == pytest.approx(1.9)
    assert verdict.spread == pytest.approx(1.8 / math.sqrt(2))
    assert verdict.holds
    (beyond,) = verdicts(averaged([finding(name, named_frequencies=0.5 + (AIM + 0.1) / 100)]))
    assert not beyond.holds


def test_the_page_has_a_table_for_each_question() -> None:
    """Means, spreads and guesses stand in the tables; an attack that does not apply leaves its cell empty."""
    several = [finding(seed=seed, named_columns=0.2 + 0.2 * seed, named_paths=None) for seed in (0, 1)]
    page = attacks_markdown(averaged(several), [("a.svg", "A figure")])
    for question in QUESTIONS:
        assert (f"## {question.title}\n" in page) == (question.field != "named_paths")
    assert "| quantile, depth 4 | 30.0 ± 14.1 (50.0) |" in page
    assert "| quantile, depth 4 | 0.50 ± 0.00 |" in page
    assert "![A figure](a.svg)" in page


def test_summary_writes_tables_and_figures(tmp_path: Path) -> None:
    """The command sums up what is there: a page, and figures where epsilons make lines; without lines it says so."""
    runner = CliRunner()
    assert isinstance(runner.invoke(attacks, ["--out", str(tmp_path), "--summary-only"]).exception, FileFormatError)
    with opened_lines(tmp_path / FILE_NAME, Finding) as file:
        for encoding in ENCODINGS:
            file.append(finding(encoding))
    result = runner.invoke(attacks, ["--out", str(tmp_path), "--summary-only", "--json"])
    told = msgspec.json.decode(result.stdout)
    assert told["measurements"] == len(ENCODINGS)
    assert all(Path(name).read_text(encoding="utf-8").startswith("<?xml") for name in told["figures"])
    assert len(told["figures"]) == 4
    assert "+0.0 points" in told["aims"][0]
    again = summarize_attacks(tmp_path)
    assert Path(again.page).read_text(encoding="utf-8").startswith("# Attacks on tokens")


def test_bundled_rows_can_be_attacked() -> None:
    """Every encoding gives a Spec of the bundled rows, constant columns included."""
    digits = bundled("digits")
    for encoding in ENCODINGS.values():
        assert len(encoding.spec(digits.X[:200]).features) == 64
