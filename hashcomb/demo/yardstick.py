"""The yardstick's process: the same models on raw rows in one place, which the owners would never allow."""

from __future__ import annotations

from typing import Any

import numpy as np

from hashcomb.demo.messages import main, receive, send
from hashcomb.demo.models import MODELS, on_raw
from hashcomb.demo.rows import held_out, load
from hashcomb.demo.trainer import check_labels

__all__ = ("work",)


def work(config: dict[str, Any]) -> None:
    """Train on all owners' raw training rows, score their held-out ones as the owners do."""
    receive()  # the trainer is done; the two would share the cores
    owners = [load(files) for files in config["files"]]
    tests = [held_out(rows.X, config["seed"]) for rows in owners]
    train = [rows.part(~test) for rows, test in zip(owners, tests, strict=True)]
    tested = [rows.part(test) for rows, test in zip(owners, tests, strict=True)]
    tested = [rows.part(rows.distinct()) for rows in tested]
    X, y = np.concatenate([rows.X for rows in train]), np.concatenate([rows.y for rows in train])
    check_labels(y)
    X_test, y_test = np.concatenate([rows.X for rows in tested]), np.concatenate([rows.y for rows in tested])
    right = {}
    for model in MODELS:
        send("step", step=model)
        right[model] = int((on_raw(model, len(X), config["seed"]).fit(X, y).predict(X_test) == y_test).sum())
    send("scored", right=right, n_scored=len(y_test))


if __name__ == "__main__":
    main(work)
