"""The benches of speed: what they run, and what they leave behind. How fast anything is, they do not assert."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benches import growth, growth_figures, growth_memory, versus, versus_runner
from benches.timing import Case
from benches.versus_environment import RUNNER, Environment, NotMeasured, run_case


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Return a file of few rows."""
    return versus.write_rows(tmp_path, 100)


def test_the_runner_prints_what_it_measured(
    rows: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A case prints its ratio to copying, its rate, its rows and the packages of its environment."""
    monkeypatch.setattr(versus_runner, "COMPILED", 0)
    monkeypatch.setattr(sys, "argv", ["versus_runner.py", "leaf", str(rows)])
    versus_runner.main()
    measured = json.loads(capsys.readouterr().out)
    assert measured["n_rows"] == 100
    assert measured["ratio"] > 0
    assert measured["values_per_s"] > 0
    assert any(package.startswith("numpy ") for package in measured["packages"])


@pytest.mark.e2e
def test_the_runner_knows_nothing_of_this_repository() -> None:
    """The runner alone imports nothing but the standard library and NumPy, so that any environment can run it."""
    code = f"import runpy, sys; runpy.run_path({str(RUNNER)!r}); print({{'hashcomb', 'benches'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.e2e
def test_a_peer_that_fails_says_why(rows: Path) -> None:
    """What a peer dies of is the last line of what it wrote."""
    with pytest.raises(NotMeasured, match="KeyError: 'no-such-case'"):
        run_case(Path(sys.executable), "no-such-case", rows)


@pytest.mark.e2e
def test_a_peer_that_is_not_there_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row says that an environment could not be made, and the peers after it still run."""
    monkeypatch.setattr(versus, "OURS", ())
    monkeypatch.setattr(versus, "KEPT", tmp_path)
    python = tmp_path / "there" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (tmp_path / "there" / "made.txt").write_text("")
    (tmp_path / "missing").write_text("a file where the environment should be")
    failing = (versus.Case("no-such-case", "that", "fails", "leaf"),)
    monkeypatch.setattr(versus, "PEERS", {Environment("missing", ()): (), Environment("there", ()): failing})
    monkeypatch.setattr(sys, "argv", ["benches", "versus", "--keep", "--rows", "100"])
    handler = signal.getsignal(signal.SIGTERM)
    try:
        versus.main()
    finally:
        signal.signal(signal.SIGTERM, handler)
    printed = capsys.readouterr().out
    assert "| missing | not installed: " in printed
    assert "| that | not measured: " in printed


def test_an_interruption_leaves_no_environment() -> None:
    """The folder of the environments goes when a run is interrupted."""
    with pytest.raises(KeyboardInterrupt), versus.place_for(keep=False) as folder:
        (folder / "bin").mkdir()
        raise KeyboardInterrupt
    assert not folder.exists()


@pytest.mark.e2e
def test_a_run_that_is_ended_leaves_nothing(tmp_path: Path) -> None:
    """A run that is told to end while a case is measured takes its folders with it."""
    command = [sys.executable, "-c", "from benches import versus; versus.main()", "--only"]
    root = Path(versus.__file__).parents[1]
    with subprocess.Popen(
        command, cwd=root, env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        while not list(tmp_path.glob("hashcomb-rows-*/rows.npy")):
            assert process.poll() is None
            time.sleep(0.05)
        process.terminate()
        assert process.wait(30) == 143
    assert list(tmp_path.iterdir()) == []


def test_every_case_is_in_the_table() -> None:
    """Each case that can run is a row, each row can run, and each peer is compared with a case of ours."""
    ours = [case.case for case in versus.OURS]
    peers = [case for cases in versus.PEERS.values() for case in cases]
    assert sorted(ours + [case.case for case in peers]) == sorted(versus_runner.CASES)
    assert {case.like for case in peers} <= set(ours)


@pytest.mark.filterwarnings("ignore::hashcomb.errors.WeakPrivacyWarning")
@pytest.mark.parametrize("name", ["leaf", "leaf-quantile", "randomized", "last-head"])
def test_our_cases_encode(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A case of ours gives a token for every value."""
    monkeypatch.setattr(versus_runner, "COMPILED", 0)
    X = np.random.default_rng(0).normal(size=(10, 3)).clip(-3.9, 3.9)
    assert np.shape(versus_runner.CASES[name](X)()) == (10, 3)


def test_bins_are_those_of_the_uniform_comb() -> None:
    """The leaves that peers are given are the leaves that ours finds itself."""
    from hashcomb import Comb, Spec, Uniform

    X = np.random.default_rng(0).normal(size=(200, 1)).clip(-3.99, 3.99)
    comb = Comb(Spec(features=(Uniform(name="f0", lo=versus_runner.LO, hi=versus_runner.HI),), depth=8))
    np.testing.assert_array_equal(versus_runner.bins(X, 256), comb.leaves(X))


def test_growth_prints_a_row_for_each_size(capsys: pytest.CaptureFixture[str]) -> None:
    """The table has time and ratio of each case, and the lines of the figure have the same times."""
    cases = [Case("np.copyto", 0.002, 1.0, 1e9), Case("other", 0.004, 2.0, 5e8)]
    lines = growth.print_growth("Rows", "rows", iter([(1_000, cases), (2_000, cases)]))
    assert "| 2,000 | 1.00 (1.0) | 2.00 (2.0) |" in capsys.readouterr().out
    assert lines == {"np.copyto": [(1_000, 1.0), (2_000, 1.0)], "other": [(1_000, 2.0), (2_000, 2.0)]}


def test_growth_measures_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of codec is timed beside copying, at every size."""
    monkeypatch.setattr(growth, "AT_ONCE", 1)
    monkeypatch.setattr(growth, "N_VALUES", 60)
    ((size, cases),) = growth.by_features([3])
    assert (size, [case.name for case in cases]) == (3, ["np.copyto", *growth.kinds(1)])


def test_a_file_is_read_whole_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batches of a file are its rows, in order."""
    monkeypatch.setattr(growth_memory, "BATCH_ROWS", 3)
    monkeypatch.setattr(growth_memory, "WRITE_ROWS", 4)
    path = growth_memory.write_rows(tmp_path, 10)
    parts = list(growth_memory.batches(path))
    assert [len(part) for part in parts] == [3, 3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(parts), np.fromfile(path).reshape(-1, 57))


def test_growth_is_drawn(tmp_path: Path) -> None:
    """Each figure is a file with the names of its lines."""
    lines = {"np.copyto": [(1, 0.5), (1_000_000, 0.9)], "other": [(1, 2.0), (1_000_000, 3.0)]}
    growth_figures.draw({"rows": lines}, tmp_path)
    assert ">other<" in (tmp_path / "growth-rows.svg").read_text()
