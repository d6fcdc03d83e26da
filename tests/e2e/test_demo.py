"""The demo, as its users run it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("demo")]
Start = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write four owners' files: two informative columns, one of noise, a constant, a label of text."""
    rng = np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    for owner in range(1, 5):
        x = rng.normal(size=(150, 3))
        y = np.where(x[:, 0] + x[:, 1] > 0, "yes", "no")
        lines = ["a,b,noise,constant,label"]
        lines += [f"{p!r},{q!r},{r!r},3.5,{label}" for (p, q, r), label in zip(x.tolist(), y, strict=True)]
        lines += lines[1:20]  # rows that repeat
        (tmp_path / "data" / f"owner-{owner:02d}.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "data"


def run(process: Start, *options: Any, within_s: float = 150) -> tuple[int, str, str]:
    """Run a demo to its end."""
    child = process("demo", *options)
    out, err = child.communicate(timeout=within_s)
    return child.returncode, out, err


def test_four_owners_and_a_trainer(process: Start, folder: Path, tmp_path: Path) -> None:
    """One fingerprint at all owners, tokens about as good as raw rows, and the same result from the same seed."""
    status, out, err = run(process, "--data", folder, "--seed", 3, "--json")
    assert status == 0, err
    first = json.loads(out)
    assert first["owners"] == 4
    assert set(first["fingerprints"].values()) == {first["fingerprint"]}
    assert first["features"] == 4
    for row in first["accuracy"]:
        assert row["tokens"] > 80
        assert abs(row["tokens"] - row["raw"]) < 10
    page = (tmp_path / "report.html").read_text()
    assert first["fingerprint"] in page
    assert page.count("<svg") == 4
    again = json.loads(run(process, "--data", folder, "--seed", 3, "--json")[1])
    for fact in ("fingerprint", "accuracy", "held_out", "leak"):
        assert again[fact] == first[fact]
    assert again["trainer"]["sample"] != first["trainer"]["sample"]  # the Key is new


def test_the_trainer_has_tokens_and_labels_alone(process: Start, folder: Path, tmp_path: Path) -> None:
    """Nothing of a raw value, an edge or the Key is in what the trainer was given."""
    inbox = tmp_path / "inbox"
    assert not inbox.exists()
    child = process("demo", "--data", folder, env={**os.environ, "TMPDIR": str(tmp_path)})
    seen: dict[str, bytes] = {}
    secrets: list[bytes] = []
    while child.poll() is None:
        with contextlib.suppress(FileNotFoundError):  # the demo clears its folder while we look
            for work in tmp_path.glob("hashcomb-demo-*"):
                for path in (work / "inbox").glob("owner-*.csv"):
                    seen[path.name] = path.read_bytes()
                for path in work.glob("owner-*/owners.key"):
                    secrets.append(path.read_bytes())
        time.sleep(0.05)
    child.communicate()
    assert child.returncode == 0
    assert len(seen) == 8
    values = set(re.findall(rb"-?\d\.\d{6,}", b"".join(path.read_bytes() for path in folder.glob("*.csv"))))
    assert len(values) > 1000
    handed = b"".join(seen.values())
    assert not [value for value in values if value in handed]
    assert secrets
    key = secrets[0].split(b":")[1]
    assert key[:16] not in handed
    assert b"edges" not in handed
    for name, content in seen.items():
        assert (b",label\n" in content) == name.endswith(".train.csv")


def test_the_bundled_data(process: Start, tmp_path: Path) -> None:
    """Without any option: three owners, breast_cancer, tables on stdout, progress on stderr, a report."""
    status, out, err = run(process)
    assert status == 0, err
    for words in ("the same at all 3 owners", "logistic regression", "What each party saw", "no differential privacy"):
        assert words in out
    assert "owner-01: ranges" in err
    assert (tmp_path / "report.html").stat().st_size > 20_000


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--owners", 9], "4 files named owner-*.csv"),
        (["--report", "none/report.html"], "none"),
    ],
)
def test_what_cannot_be_run(process: Start, folder: Path, options: list[Any], says: str) -> None:
    """Too few files, and a report that cannot be written, are one line on stderr."""
    status, out, err = run(process, "--data", folder, *options)
    assert (status, out) == (1, "")
    assert says in err
    assert "Traceback" not in err


def test_a_bad_file_is_named(process: Start, folder: Path) -> None:
    """An owner's bad row ends the demo, names the owner and the place, and shows no value."""
    path = folder / "owner-03.csv"
    path.write_text(path.read_text() + "0.5,SECRET,0.5,3.5,yes\n")
    status, _, err = run(process, "--data", folder)
    assert status == 1
    assert "owner-03: column 'b', row 169" in err
    assert "SECRET" not in err


@pytest.mark.parametrize(
    ("place", "who", "when"),
    [(1, "owner-02", "trainer: random forest"), (4, "trainer", "owner-01: depth"), (5, "yardstick", "owner-01: depth")],
    ids=["owner", "trainer", "yardstick"],
)
def test_a_process_that_is_killed(
    process: Start, folder: Path, tmp_path: Path, place: int, who: str, when: str
) -> None:
    """Whichever process dies, whenever: the demo ends at once, names it, and leaves nothing."""
    child = process("demo", "--data", folder, env={**os.environ, "TMPDIR": str(tmp_path)})
    while when not in child.stderr.readline():
        assert child.poll() is None
    children = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
    os.kill(int(children[place]), signal.SIGKILL)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 1
    assert f"the process of {who} ended" in err
    assert sorted(os.listdir(tmp_path)) == ["data"]


def test_odd_names_and_a_program_in_the_way(folder: Path, tmp_path: Path) -> None:
    """Names that look like markup or mathematics are shown, and files of the current folder are not run."""
    for path in folder.glob("*.csv"):
        path.write_text(path.read_text().replace("a,b,noise", "$\\bad{$,[b],[/x]", 1))
    (tmp_path / "secrets.py").write_text("raise RuntimeError('SECRET')\n")
    folder = folder.rename(tmp_path / "my [old] data")
    command = [str(Path(sys.executable).with_name("hashcomb")), "demo", "--data", str(folder), "--report", "[r].html"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    assert "[old]" in done.stdout  # the path may be broken over two lines
    page = (tmp_path / "[r].html").read_text()
    assert "$\\bad{$" in page
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("label\n", "target\n", "other columns"),
        (",yes\n", ",no\n", "1 different labels"),
    ],
    ids=["label's name", "one class"],
)
def test_data_that_nobody_can_learn_from(process: Start, folder: Path, old: str, new: str, says: str) -> None:
    """Files that name their labels differently, and labels of one class, end the demo with a reason."""
    paths = sorted(folder.glob("*.csv"))
    for path in paths if "yes" in old else paths[:1]:
        path.write_text(path.read_text().replace(old, new))
    options = ["--data", folder, "--owners", 3] if "label" in old else ["--data", folder]
    status, _, err = run(process, *options)
    assert status == 1
    assert says in err


def test_ctrl_c_ends_every_process(process: Start, tmp_path: Path) -> None:
    """An interrupted demo leaves no process, no temporary folder and no report."""
    child = process("demo", env={**os.environ, "TMPDIR": str(tmp_path)}, start_new_session=True)
    while "owner-01: " not in child.stderr.readline():
        pass
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "Traceback" not in err
    assert os.listdir(tmp_path) == []
    time.sleep(0.5)
    assert not [path for path in Path("/proc").glob("[0-9]*/cwd") if _target(path) == str(tmp_path)]


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""
