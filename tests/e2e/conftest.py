"""The command line as its users run it: in this process for speed, and as processes of its own."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from hashcomb.cli import main as cli


class Done(NamedTuple):
    """What became of a command."""

    status: int
    out: str
    err: str


@pytest.fixture
def hashcomb(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Done]:
    """Return a function that runs a command in an empty folder, through the entry point."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: Any) -> Done:
        monkeypatch.setattr(sys, "argv", ["hashcomb", *map(str, arguments)])
        capsys.readouterr()
        status = 0
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            try:
                cli.main()
            except SystemExit as end:
                status = int(end.code or 0)
        return Done(status, *capsys.readouterr())

    return run


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return a function that starts a command as a process of its own; none outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "hashcomb.cli.main", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path}
        started.append(subprocess.Popen(command, **{**pipes, **options}))
        return started[-1]

    yield start
    for child in started:
        child.kill()
        child.wait()
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Write rows.csv: two columns of numbers, one of text, one label."""
    rng = np.random.default_rng(0)
    path = tmp_path / "rows.csv"
    lines = ["age,income,color,label"]
    for _ in range(200):
        age, income = int(rng.integers(18, 90)), float(np.round(np.exp(rng.normal(10, 1)), 2))
        lines.append(f"{age},{income},{rng.choice(['red', 'green', 'NA'])},{int(rng.integers(0, 2))}")
    path.write_text("\n".join(lines) + "\n")
    return path
