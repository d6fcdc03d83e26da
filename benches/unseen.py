"""Accuracy on data sets that had no part in choosing how models are fed with tokens.

    python -m benches unseen [options of `hashcomb bench accuracy`]

scikit-learn's wine and diabetes (above the median or not), and where statsmodels is installed, which brings data with
it: fair (6,366 women in a survey, with or without an affair) and anes96 (944 voters). Rows are dealt to ten owners.
Without ``--out`` nothing is kept.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes, load_wine

from benches.accuracy import measure

__all__ = ("main",)

N_OWNERS = 10


def _tables() -> Iterator[tuple[str, Any, Any]]:
    yield "wine", *load_wine(return_X_y=True)
    X, y = load_diabetes(return_X_y=True)
    yield "diabetes", X, (y > np.median(y)).astype(int)
    if find_spec("statsmodels"):
        from statsmodels.datasets import anes96, fair  # noqa: PLC0415 it is no package of ours

        table = fair.load_pandas().data
        yield "fair", table.drop(columns="affairs").to_numpy(float), (table.affairs > 0).to_numpy(int)
        table = anes96.load_pandas().data.drop(columns=["logpopul"])
        yield "anes96", table.drop(columns="vote").to_numpy(float), table.vote.to_numpy(int)


def _deal(folder: Path, X: Any, y: Any) -> None:
    """Write the rows as the files of ten owners."""
    folder.mkdir()
    owner = np.random.default_rng(0).integers(0, N_OWNERS, len(y))
    for one in range(N_OWNERS):
        with open(folder / f"owner-{one}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*(f"f{j}" for j in range(X.shape[1])), "label"])
            writer.writerows([*row, label] for row, label in zip(X[owner == one], y[owner == one], strict=True))


def main() -> None:
    """Deal the rows, measure, and print the page."""
    with tempfile.TemporaryDirectory(prefix="hashcomb-unseen-") as folder:
        named = []
        for name, X, y in _tables():
            _deal(Path(folder) / name, X, y)
            named += ["--data", str(Path(folder) / name)]
        measure(sys.argv[sys.argv.index("unseen") + 1 :] if "unseen" in sys.argv else [], *named)
