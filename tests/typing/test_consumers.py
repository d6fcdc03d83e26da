"""Somebody else's type checker sees our types."""

import subprocess
import sys
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


def check(folder: Path, code: str) -> tuple[int, str]:
    """Run mypy --strict over a file outside the repository."""
    (folder / "consumer.py").write_text(code)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder / "cache"), "consumer.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.e2e
def test_right_and_wrong_use(tmp_path: Path) -> None:
    """Right code passes strict checks; each wrong line is an error of its own."""
    status, out = check(tmp_path, RIGHT)
    assert status == 0, out
    status, out = check(tmp_path, WRONG)
    assert status == 1
    assert [line.split(":")[1] for line in out.splitlines() if ": error:" in line] == ["4", "5", "6"]
