"""One owner's process: agree, encode the own rows, hand tokens to the trainer, score its predictions."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb import HashComb, Key
from hashcomb.demo.messages import main, receive, send
from hashcomb.demo.models import MODELS
from hashcomb.files import CsvTokenWriter, write_spec
from hashcomb.mpc import Agreement, agree, load_party
from hashcomb.rows import Rows, held_out, load

__all__ = ("work",)

_MEASURE_S = 0.2
_MEASURE_VALUES = 5_000_000
_ROWS_A_LEAF = 8


def work(config: dict[str, Any]) -> None:
    """Take part as the owner that `config` describes."""
    home, inbox = Path(config["home"]), Path(config["inbox"])
    rows = load(config["files"])
    test = held_out(rows.X, config["seed"])
    train, tested = rows.part(~test), rows.part(test)
    send("step", step="rows")
    agreed = asyncio.run(_agree(config, train))
    write_spec(agreed.spec, home / "spec.toml")
    agreed.key.save(home / "owners.key")
    codec = HashComb(agreed.spec, Key.load(home / "owners.key"))
    send("step", step="encode")
    _hand_over(codec, inbox / f"{config['name']}.train.csv", train.X, train.y)
    _hand_over(codec, inbox / f"{config['name']}.test.csv", tested.X, None)
    speed = _rows_per_second(HashComb(agreed.spec, agreed.key, n_threads=1), train.X) if config["measures"] else None
    send("encoded", rows_per_s=speed, **_facts(agreed, rows, train, tested))
    predicted = json.loads(Path(receive()["predictions"]).read_text(encoding="utf-8"))
    send("scored", **_score(predicted, tested))


async def _agree(config: dict[str, Any], train: Rows) -> Agreement:
    tls_key = str(Path(config["home"]) / f"{config['name']}-tls.key")
    party, policy, _ = load_party(config["party"], name=config["name"], tls_key=tls_key)
    # The vote: as deep as leaves of eight of this owner's rows allow, 4 at most.
    depth = int(np.clip(np.log2(max(len(train.X), 2) / _ROWS_A_LEAF), 1, 4))
    table = dict(zip(train.names, train.X.T, strict=True))
    return await agree(party, table, policy, depth=depth, progress=lambda step: send("step", step=step))


def _hand_over(codec: HashComb, path: Path, X: NDArray[np.float64], y: NDArray[Any] | None) -> None:
    """Write tokens, and labels where there are any, into the trainer's inbox."""
    kept = {} if y is None else {"label": y}
    with CsvTokenWriter(path, codec.header, list(kept)) as writer:
        if len(X):
            writer.write(codec.encode(X), kept)


def _facts(agreed: Agreement, rows: Rows, train: Rows, tested: Rows) -> dict[str, Any]:
    return {
        "fingerprint": agreed.spec.fingerprint,
        "key_id": agreed.key.id,
        "transcript": agreed.transcript,
        "seconds": agreed.seconds,
        "n_rounds": agreed.n_rounds,
        "n_bytes": agreed.n_bytes,
        "n_rows": len(rows.X),
        "n_train": len(train.X),
        "n_test": len(tested.X),
        "n_features": len(rows.names),
    }


def _rows_per_second(codec: HashComb, X: NDArray[np.float64]) -> float:
    """Encode five million values, the own rows repeated, for a fifth of a second and on one thread, and count."""
    many = np.tile(X, (_MEASURE_VALUES // X.size + 1, 1))
    codec.encode(many)  # the first time compiles
    n_rows, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < _MEASURE_S:
        codec.encode(many)
        n_rows += len(many)
    return n_rows / (time.perf_counter() - begun)


def _score(predicted: dict[str, list[str]], tested: Rows) -> dict[str, Any]:
    """Count right predictions; a row that this owner holds several times counts once."""
    once = tested.distinct()
    right = {model: int((np.array(predicted[model], dtype=object) == tested.y)[once].sum()) for model in MODELS}
    return {"right": right, "n_scored": int(once.sum())}


if __name__ == "__main__":
    main(work)
