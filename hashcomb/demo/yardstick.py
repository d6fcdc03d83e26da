"""The yardstick's process: the same models on raw rows in one place, which the owners would never allow.

It also judges what the trainer's tokens tell, which takes the raw rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb import Spec, place
from hashcomb.attacks import frequency_matching, joint_matching
from hashcomb.demo.messages import main, receive, send
from hashcomb.demo.models import MODELS, on_raw
from hashcomb.demo.trainer import check_labels, read_tokens
from hashcomb.files import read_spec
from hashcomb.rows import held_out, load

__all__ = ("work",)

Table = NDArray[Any]


def work(config: dict[str, Any]) -> None:
    """Train on all owners' raw training rows, score their held-out ones as the owners do."""
    then = receive()  # the trainer is done; the two would share the cores
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
    send("step", step="attack")
    leak = _attack(read_spec(then["spec"]), Path(then["tokens"]), X, y, X_test, y_test)
    send("scored", right=right, n_scored=len(y_test), leak=leak)


def _attack(spec: Spec, inbox: Path, X: Table, y: Table, X_test: Table, y_test: Table) -> dict[str, Any]:
    """Attack the trainer's tokens with its labels, the edges and the held-out rows, and judge by the raw rows."""
    read = [read_tokens(path)[0] for path in sorted(inbox.glob("*.train.csv"))]
    tokens, truth = np.concatenate(read), place(X, spec)
    known = place(X_test, spec) if len(X_test) else truth
    beside = y_test if len(X_test) else y
    joint = joint_matching(tokens, known, truth, labels=y, auxiliary_labels=beside)
    alone = frequency_matching(tokens, known, truth)
    shares = {"joint": joint.recovered, "near": joint.near, "frequency": alone.recovered, "guessed": joint.guessed}
    return {name: [100 * share for share in by_feature] for name, by_feature in shares.items()} | {
        "n_known": len(known)
    }


if __name__ == "__main__":
    main(work)
