"""Use an installed hashcomb as somebody would who has just installed it: command line, pipeline, agreement."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import hashcomb
from hashcomb import HashComb, Key, learn_spec
from hashcomb.errors import DataDependentSpecWarning
from hashcomb.integrations.sklearn import TokenOneHot
from hashcomb.mpc import local

COMMAND = str(Path(sys.executable).with_name("hashcomb"))


def main() -> None:
    """Go through what the first page shows."""
    if not Path(hashcomb.__file__).is_relative_to(sys.prefix):
        sys.exit(f"this is not the installed package: {hashcomb.__file__}")
    warnings.simplefilter("ignore", DataDependentSpecWarning)
    X, y = load_breast_cancer(return_X_y=True)
    with tempfile.TemporaryDirectory() as folder:
        _command_line(Path(folder), X)
    tokens = HashComb(learn_spec(X, depth=4), Key.create()).encode(X)
    model = make_pipeline(TokenOneHot(), LogisticRegression(max_iter=1000)).fit(tokens[::2], y[::2])
    if model.score(tokens[1::2], y[1::2]) < 0.9:
        sys.exit("a model on tokens is worse than it should be")
    _agreement(X)


def _command_line(folder: Path, X: np.ndarray) -> None:
    names = ",".join(f"f{j}" for j in range(X.shape[1]))
    np.savetxt(folder / "rows.csv", X, delimiter=",", header=names, comments="")
    for words in (
        "spec new rows.csv -o spec.toml",
        "key new -o owner.key",
        "encode rows.csv --spec spec.toml --key owner.key -o tokens.csv",
        "inspect tokens.csv",
        "decode tokens.csv --spec spec.toml --key owner.key -o back.csv",
        "report spec.toml",
    ):
        subprocess.run([COMMAND, *words.split()], cwd=folder, check=True, capture_output=True)
    back = np.loadtxt(folder / "back.csv", delimiter=",", skiprows=1)
    if back.shape != X.shape or np.corrcoef(back[:, 0], X[:, 0])[0, 1] < 0.95:
        sys.exit("what was decoded is far from what was encoded")


def _agreement(X: np.ndarray) -> None:
    agreed = local.run([X[:200, :3], X[200:400, :3], X[400:, :3]])
    if len({one.spec.fingerprint for one in agreed}) != 1:
        sys.exit("the owners agreed on different Specs")


if __name__ == "__main__":
    main()
