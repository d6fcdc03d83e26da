"""The demo's own data: rows of scikit-learn's breast_cancer, dealt to owners."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hashcomb.tables import CsvWriter

__all__ = ("deal_bundled",)


def deal_bundled(homes: Sequence[Path], seed: int) -> list[list[str]]:
    """Deal the rows of scikit-learn's breast_cancer to owners, at random, into a file in each one's home."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    order = np.random.default_rng(seed).permutation(len(data.target))
    names = [*map(str, data.feature_names), "diagnosis"]
    paths = []
    for home, chosen in zip(homes, np.array_split(order, len(homes)), strict=True):
        path = home / "rows.csv"
        columns = [*data.data[chosen].T, data.target_names[data.target[chosen]].astype(object)]
        with CsvWriter(path, names) as writer:
            writer.write(dict(zip(names, columns, strict=True)))
        paths.append([str(path)])
    return paths
