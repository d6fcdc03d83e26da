"""`hashcomb bench accuracy`, as its users run it: on folders of owners, stopped, killed, and gone on with."""

import contextlib
import json
import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashcomb.evidence.arms import GRIDS
from hashcomb.evidence.attacks_measures import Finding
from hashcomb.evidence.data import from_folder
from hashcomb.evidence.lines import opened_lines
from hashcomb.evidence.plan import VERSION, planned
from hashcomb.evidence.results import FILE_NAME, Result, opened, read_results
from hashcomb.evidence.workers import Failure, measured

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("bench")]
Run = Callable[..., Any]
Start = Callable[..., Any]

FEW = ("--model", "logistic regression", "--grid", "headline")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write five owners' files: two informative columns, one of noise."""
    rng = np.random.default_rng(0)
    (tmp_path / "trial").mkdir()
    for owner in range(1, 6):
        X = rng.normal(size=(60, 3))
        y = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")
        lines = [f"{a!r},{b!r},{c!r},{label}" for (a, b, c), label in zip(X.tolist(), y, strict=True)]
        (tmp_path / "trial" / f"owner-{owner}.csv").write_text("\n".join(["a,b,noise,label", *lines]) + "\n")
    return tmp_path / "trial"


def of_others(rows_sha: str = "0123456789ab") -> Result:
    """Return a measurement of rows that are called like those of the folder."""
    made = {"data": "trial", "split": "random", "seed": 0, "model": "random forest", "encoding": "raw", "family": "raw"}
    nothing = dict.fromkeys(("representation", "edges", "depth", "channel", "epsilon_feature", "epsilon_record"))
    counts = {"n_train": 30, "n_train_distinct": 30, "n_test": 10, "accuracy": 0.75, "seconds": 0.1}
    return Result(**made, **nothing, **counts, rows_sha=rows_sha, version=VERSION)  # type: ignore[arg-type]


def test_a_run(hashcomb: Run, folder: Path, tmp_path: Path) -> None:
    """Measurements and tables are written, models learn from tokens, and no value or label is in what is written."""
    done = hashcomb("bench", "accuracy", "--data", folder, "--out", "out", *FEW, "--seeds", 2, "--json")
    assert done.status == 0, done.err
    facts = json.loads(done.out)
    assert (facts["measurements"], facts["failed"]) == (8, 0)
    assert facts["aims"][0].startswith("trial: ")
    assert "accuracy: 8 of 8" in done.err
    page = (tmp_path / "out" / "accuracy.md").read_text()
    assert "| logistic regression | raw | 2 | " in page
    assert min(one.accuracy for one in read_results(tmp_path / "out")) > 0.75
    values = re.findall(r"-?\d\.\d{6,}|yes", "".join(path.read_text() for path in folder.glob("*.csv")))
    assert not [value for value in values if value in page + (tmp_path / "out" / FILE_NAME).read_text()]


def test_stopped_and_killed_and_gone_on_with(process: Start, folder: Path, tmp_path: Path) -> None:
    """Ctrl-C ends a run soon, with tables of what is there; the same command measures the rest, and nothing twice.

    Killed in the middle of that, it leaves a file that another can go on with. No worker stays either time.
    """
    options = ("bench", "accuracy", "--data", folder, "--out", "out", *FEW, "--seeds", 50, "--split", "random")
    child = process(*options, start_new_session=True)
    assert begun(child) == "1 of 100"
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does, to all processes
    _, err = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "the same command goes on from there" in err
    assert "Traceback" not in err
    kept = read_results(tmp_path / "out")
    assert 0 < len(kept) < 100
    assert "random" in (tmp_path / "out" / "accuracy.md").read_text()
    assert not working_in(tmp_path)
    again = process(*options)
    assert begun(again) == f"1 of {100 - len(kept)}"
    again.kill()
    again.wait()
    with opened(tmp_path / "out") as file:
        assert len(file.results) > len(kept)
    assert read_results(tmp_path / "out")[: len(kept)] == kept
    until = time.monotonic() + 30
    while working_in(tmp_path) and time.monotonic() < until:
        time.sleep(0.1)
    assert not working_in(tmp_path)


def begun(child: Any) -> str:
    """Wait for the first measurement, and return how many there are to be."""
    for line in child.stderr:
        if line.startswith("accuracy: "):
            return str(line).removeprefix("accuracy: ").partition(",")[0]
    raise AssertionError("it ended without a measurement")


def test_attacks_stopped_before_the_first(process: Start, hashcomb: Run, folder: Path, tmp_path: Path) -> None:
    """Ctrl-C during the first attack says how to go on, and a summary of nothing says what to do."""
    child = process("bench", "attacks", "--data", folder, "--out", "out", "--seeds", 1)
    while not (tmp_path / "out" / "attacks.csv").exists():
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "the same command goes on from there" in err
    assert "inside hashcomb" not in err
    empty = tmp_path / "empty"
    with opened_lines(empty / "attacks.csv", Finding):
        pass
    refused = hashcomb("bench", "attacks", "--out", "empty", "--summary-only")
    assert refused.status == 1
    assert "measure first" in refused.err


def working_in(folder: Path) -> list[str]:
    """Return the processes whose working folder this is, less this one."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if os.readlink(link) == str(folder) and link.parent.name != str(os.getpid()):
                found.append(link.parent.name)
    return found


def test_a_worker_that_dies(folder: Path) -> None:
    """What it worked on is not measured, and says so; another worker measures the rest."""
    data = from_folder(str(folder))
    models = ["logistic regression", "random forest"]  # the first is done in no time, the second takes a second
    cells = planned([data], {"headline": GRIDS["headline"]}, models, ["random"], 1)
    done: list[Result | Failure] = []
    for found in measured([data], cells, 1):
        done.append(found)
        if len(done) == 2:
            (worker,) = multiprocessing.active_children()
            os.kill(worker.pid or 0, signal.SIGKILL)
    assert [type(one) for one in done] == [Result, Result, Failure, Result]
    failure = done[2]
    assert isinstance(failure, Failure)
    assert failure.cell == cells[2]
    assert "its process was ended (-9)" in failure.reason


def test_the_summary_alone(hashcomb: Run, tmp_path: Path) -> None:
    """Tables of a folder are written without its data; of an empty one they cannot be."""
    with opened(tmp_path / "out") as file:
        file.append(of_others())
    done = hashcomb("bench", "accuracy", "--out", "out", "--summary-only")
    assert done.status == 0, done.err
    assert "| random forest | raw | 1 | 75.00" in (tmp_path / "out" / "accuracy.md").read_text()
    refused = hashcomb("bench", "accuracy", "--out", "none", "--summary-only")
    assert refused.status == 1
    assert "measure first" in refused.err


def test_other_rows_are_refused(hashcomb: Run, folder: Path, tmp_path: Path) -> None:
    """What was measured on other rows of the same name is not mixed with new measurements, and stays as it is."""
    with opened(tmp_path / "out") as file:
        file.append(of_others())
    before = (tmp_path / "out" / FILE_NAME).read_bytes()
    refused = hashcomb("bench", "accuracy", "--data", folder, "--out", "out", *FEW)
    assert refused.status == 1
    assert "other rows that are called 'trial'" in refused.err
    assert (tmp_path / "out" / FILE_NAME).read_bytes() == before


def test_what_cannot_be_measured_is_said(hashcomb: Run, folder: Path, tmp_path: Path) -> None:
    """A split that leaves one class to train on is named with its reason, and the status is 1; others are measured."""
    for path in sorted(folder.glob("*.csv"))[1:]:
        path.write_text(path.read_text().replace("yes", "no"))
    options = ("bench", "accuracy", "--data", folder, *FEW, "--split", "owner", "--json")
    done = hashcomb(*options, "--out", "out", "--seeds", 3)
    assert done.status == 1
    assert 0 < json.loads(done.out)["failed"] < 6
    assert "not measured (" in done.err
    assert "one class to train" in done.err
    assert read_results(tmp_path / "out")


def test_nothing_can_be_measured(hashcomb: Run, folder: Path) -> None:
    """Where all owners hold the same rows, the reason is given, though there is nothing to make tables of."""
    same = (folder / "owner-1.csv").read_text()
    for path in folder.glob("*.csv"):
        path.write_text(same)
    done = hashcomb("bench", "accuracy", "--data", folder, "--out", "out", *FEW, "--split", "owner", "--seeds", 1)
    assert done.status == 1
    assert "not measured (2, such as trial, logistic regression, raw): split 'owner' with seed 0" in done.err
    assert "holds no measurements" in done.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--model", "oracle"), "there are: logistic regression"),
        (("--grid", "all"), "there are: headline"),
        (("--bundled", "titanic"), "there are: breast_cancer, digits"),
    ],
)
def test_unknown_names(hashcomb: Run, options: tuple[str, ...], says: str) -> None:
    """The error lists what there is, and nothing is made."""
    refused = hashcomb("bench", "accuracy", "--out", "out", *options)
    assert refused.status == 2
    assert says in refused.err
    assert not Path("out").exists()
