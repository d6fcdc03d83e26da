"""The trainer's process: it has an inbox with tokens and labels, and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb.demo.messages import main, receive, send
from hashcomb.demo.models import MODELS, on_tokens
from hashcomb.errors import DataError
from hashcomb.files import CsvTokens
from hashcomb.header import TokenHeader
from hashcomb.rows import MAX_CLASSES

__all__ = ("check_labels", "read_tokens", "work")

MIN_ROWS = 5  # target encoding is cross-fitted in five parts


def work(config: dict[str, Any]) -> None:
    """Train on the tokens in the inbox, predict the held-out ones."""
    inbox, outbox = Path(config["inbox"]), Path(config["outbox"])
    receive()  # the owners have handed over
    train, tests = sorted(inbox.glob("*.train.csv")), sorted(inbox.glob("*.test.csv"))
    header = CsvTokens(train[0]).header
    X, y = (np.concatenate(parts) for parts in zip(*(read_tokens(path, header) for path in train), strict=True))
    check_labels(y)
    tested = {path.name.removesuffix(".test.csv"): read_tokens(path, header)[0] for path in tests}
    predictions: dict[str, dict[str, list[str]]] = {owner: {} for owner in tested}
    for model in MODELS:
        send("step", step=model)
        fitted = on_tokens(model, len(X), config["seed"]).fit(X, y)
        for owner, rows in tested.items():
            predictions[owner][model] = fitted.predict(rows).tolist() if len(rows) else []
    for owner, predicted_by in predictions.items():
        (outbox / f"{owner}.json").write_text(json.dumps(predicted_by), encoding="utf-8")
    files = [*train, *tests]
    send(
        "trained",
        n_files=len(files),
        n_bytes=sum(path.stat().st_size for path in files),
        n_tokens=int(X.size) + sum(rows.size for rows in tested.values()),
        n_labels=len(y),
        n_distinct=[len(np.unique(column)) for column in X.T],
        columns=[*header.columns, "label"],
        sample=[f"{token:016x}" for token in X[0, :4].tolist()],
    )


def check_labels(y: NDArray[Any]) -> None:
    """Raise `DataError` if the labels are no classes, or there are too few of one to train on."""
    n_classes = len(set(y.tolist()))
    if not 2 <= n_classes <= MAX_CLASSES:
        raise DataError(
            f"the last column holds {n_classes} different labels", hint=f"it must hold 2 to {MAX_CLASSES} classes"
        )
    if min(Counter(y.tolist()).values()) < MIN_ROWS:
        raise DataError(f"a class has fewer than {MIN_ROWS} rows to train on", hint="leave the class out, or add rows")


def read_tokens(path: Path, header: TokenHeader | None = None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read tokens, and labels where there are any; check them, and that they belong to `header`."""
    source = CsvTokens(path)
    source.verify()
    header = header or source.header
    header.require_same(source.header)
    batches = list(source.batches())
    if not batches:
        return np.empty((0, len(header.columns)), dtype=np.uint64), np.empty(0, dtype=object)
    labels = [kept.get("label", np.full(len(tokens), None)) for tokens, kept in batches]
    return np.concatenate([tokens for tokens, _ in batches]), np.concatenate(labels)


if __name__ == "__main__":
    main(work)
