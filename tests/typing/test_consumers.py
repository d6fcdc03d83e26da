"""Somebody else's type checker sees our types."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

RIGHT = """
import numpy as np
from hashcomb import HashComb, Key, PrivacyReport, Spec, Uniform
from hashcomb.mpc import Agreement, Party, agree

spec: Spec = Spec(features=(Uniform(name="a", lo=0.0, hi=1.0),), depth=4)
codec = HashComb(spec, Key.create(), dataset="d", round=1)
codec.encode(np.zeros((2, 1)))
epsilon: float | None = PrivacyReport.of(spec).record_epsilon
fingerprint: str = spec.fingerprint


async def owner(party: Party) -> Agreement:
    return await agree(party, np.zeros((2, 1)))
"""

WRONG = """
from hashcomb import Key, Spec, Uniform

number: int = Spec(features=(Uniform(name="a", lo=0.0, hi=1.0),), depth=4).fingerprint
Spec(features=(Uniform(name="a", lo=0.0, hi=1.0),), depth="4")
Key("secret")
"""


def mypy(folder: Path) -> tuple[int, list[int]]:
    """Run mypy --strict over a file outside the repository; return its status, and the lines it finds wrong."""
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder / "cache"), "consumer.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, [int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line]


def pyright(folder: Path) -> tuple[int, list[int]]:
    """Run pyright, strict, over a file outside the repository; return its status, and the lines it finds wrong."""
    settings = {"typeCheckingMode": "strict", "include": ["consumer.py"]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout[done.stdout.index("{") :])["generalDiagnostics"]
    return done.returncode, [one["range"]["start"]["line"] + 1 for one in found if one["severity"] == "error"]


@pytest.mark.e2e
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_right_and_wrong_use(checker: Callable[[Path], tuple[int, list[int]]], tmp_path: Path) -> None:
    """Right code passes strict checks of mypy and of pyright; each wrong line is an error of its own."""
    (tmp_path / "consumer.py").write_text(RIGHT)
    assert checker(tmp_path) == (0, [])
    (tmp_path / "consumer.py").write_text(WRONG)
    assert checker(tmp_path) == (1, [4, 5, 6])
