"""Environments for packages that must not touch ours: made, used, and gone again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ("Environment", "NotMeasured", "run_case")

RUNNER = Path(__file__).with_name("versus_runner.py")
MADE = "made.txt"  # is written last, so that an environment that was only half made is made again
INSTALL_S, CASE_S = 600, 300


class NotMeasured(Exception):
    """What kept a peer from being measured, in one line."""


class Environment(NamedTuple):
    """Packages of PyPI that are installed together.

    Parameters
    ----------
    name : str
        The peer.
    requirements : tuple of str
        What pip is told, each with its version.
    took : str
        What it took to get it to run, if pip alone was not enough.
    """

    name: str
    requirements: tuple[str, ...]
    took: str = ""

    def make(self, folder: Path) -> Path:
        """Make the environment in a folder, unless it is there; return its Python.

        Raises
        ------
        NotMeasured
            If it cannot be made; with what pip said.
        """
        home = folder / self.name
        python, made = home / "bin" / "python", home / MADE
        if made.exists() and made.read_text().split() == list(self.requirements):
            return python
        shutil.rmtree(home, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(home)], folder, INSTALL_S)
        # Wheels only, so that nothing of a peer runs while it is installed; what is imported is compiled then.
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "--only-binary=:all:", "--no-compile", *self.requirements], folder, INSTALL_S)
        made.write_text("\n".join(self.requirements))
        return python


def run_case(python: Path, case: str, rows: Path) -> dict[str, Any]:
    """Run a case of the runner under some Python, and return what it measured.

    Raises
    ------
    NotMeasured
        If it fails, or does not end in time.
    """
    printed = _run([str(python), "-I", str(RUNNER), case, str(rows)], rows.parent, CASE_S)
    measured: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return measured


def _run(command: Sequence[str], folder: Path, timeout_s: float) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=timeout_s, cwd=folder, env=environment
        )
    except subprocess.CalledProcessError as error:
        raise NotMeasured(_reason(error.stderr) or f"ended with {error.returncode}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotMeasured(str(error)) from error
    return done.stdout


def _reason(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or [""])[-1]
