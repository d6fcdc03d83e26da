"""The most memory that encoding takes, each case in a process of its own."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from hashcomb import HashComb, Key, RandomizedResponse, Spec, Uniform

__all__ = ("memory",)

N_FEATURES, BATCH_ROWS, WRITE_ROWS, MADE_ROWS = 57, 65_536, 100_000, 80_000
CASES = {
    "encode": {},
    "encode, randomized": {"channel": RandomizedResponse(2.0).spec_for(256)},
    "encode_batches": {},
    "batches, all levels": {"tokens": "comb"},
}


def memory(sizes: Sequence[int]) -> list[tuple[str, int, float, float]]:
    """Return case, rows, megabytes of input, and by how many megabytes the peak exceeds what was held before."""
    measured = []
    with tempfile.TemporaryDirectory(prefix="hashcomb-growth-") as folder:
        for n_rows in sizes:
            path = write_rows(Path(folder), n_rows)
            for name in CASES:
                command = [sys.executable, "-m", "benches.growth_memory", name, str(path)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                measured.append((name, n_rows, path.stat().st_size / 1e6, json.loads(done.stdout) / 1e6))
    return sorted(measured, key=lambda row: list(CASES).index(row[0]))


def write_rows(folder: Path, n_rows: int) -> Path:
    """Write rows as plain numbers, a part after the other."""
    path, rng = folder / "rows", np.random.default_rng(0)
    with path.open("wb") as file:
        for start in range(0, n_rows, WRITE_ROWS):
            rng.normal(size=(min(WRITE_ROWS, n_rows - start), N_FEATURES)).tofile(file)
    return path


def batches(path: Path) -> Iterator[np.ndarray]:
    """Read rows a batch after the other."""
    with path.open("rb") as file:
        while len(values := np.fromfile(file, count=BATCH_ROWS * N_FEATURES)):
            yield values.reshape(-1, N_FEATURES)


def held(name: str) -> int:
    """Return what this process holds, in bytes, or the most that it has held since that was set back."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


def main() -> None:
    """Measure one case on a file of rows."""
    name, path = sys.argv[1], Path(sys.argv[2])
    features = tuple(Uniform(name=f"f{j}", lo=-4.0, hi=4.0) for j in range(N_FEATURES))
    codec = HashComb(Spec(features=features, depth=8, **CASES[name]), Key(bytes(range(32))))
    codec.encode(np.zeros((MADE_ROWS, N_FEATURES)))  # compiles: what the compiler holds is no part of the growth
    X = None if "batches" in name else np.fromfile(path).reshape(-1, N_FEATURES)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the high-water mark becomes what is held now
    before = held("VmHWM")
    if X is None:
        for _ in codec.encode_batches(batches(path)):
            pass
    else:
        codec.encode(X)
    print(json.dumps(held("VmHWM") - before))


if __name__ == "__main__":
    main()
