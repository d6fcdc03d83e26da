"""Streams and Dask against the same rows in memory: time of the processor, and memory against the size of the file."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benches.timing import Case, print_table, side_by_side
from hashcomb import HashComb, Key, RandomizedResponse, Spec, Uniform
from hashcomb.integrations import dask as hashcomb_dask
from hashcomb.integrations.arrow import ParquetRows, encode_stream, write_tokens

N_FEATURES, GROUP_ROWS = 32, 65_536
NAMES = [f"x{j}" for j in range(N_FEATURES)]


def codec(**rules: Any) -> HashComb:
    """Return a codec on one thread."""
    features = tuple(Uniform(name=name, lo=0.0, hi=1.0) for name in NAMES)
    return HashComb(Spec(features=features, depth=4, **rules), Key(bytes(range(32))), n_threads=1)


def write_rows(path: Path, n_groups: int) -> pa.Table:
    """Write a file of random numbers, and return its first group of rows."""
    rows = np.random.default_rng(0).random((N_FEATURES, GROUP_ROWS))
    group = pa.table(dict(zip(NAMES, rows, strict=True)))
    with pq.ParquetWriter(path, group.schema, compression="none", use_dictionary=False) as writer:
        for _ in range(n_groups):
            writer.write_table(group)
    return group


def speed(path: Path, n_groups: int) -> list[Case]:
    """Time the same rows in memory, as batches in memory, and from and to files."""
    encoder, table = codec(), pq.read_table(path)
    matrix = np.column_stack([table[name].to_numpy() for name in NAMES])
    chunked = da.from_array(matrix, chunks=(GROUP_ROWS, N_FEATURES))
    target = path.with_name("tokens.parquet")

    def drain(batches: Any) -> None:
        for _ in encode_stream(encoder, batches):
            pass

    cases: dict[str, Any] = {
        "encode, an Arrow table": lambda: encoder.encode(table),
        "encode, an array": lambda: encoder.encode(matrix),
        "encode_stream, batches in memory": lambda: drain(table.to_batches(max_chunksize=GROUP_ROWS)),
        "encode_stream, a Parquet file": lambda: drain(ParquetRows(path).reader()),
        "reading the Parquet file alone": lambda: [None for _ in ParquetRows(path).reader()],
        "encode_stream, Parquet to Parquet": lambda: write_tokens(
            target, encode_stream(encoder, ParquetRows(path).reader())
        ),
        "Dask array, one thread": lambda: hashcomb_dask.encode(encoder, chunked).compute(scheduler="sync"),
    }
    return side_by_side(cases, n_groups * GROUP_ROWS * N_FEATURES, rounds=5)


def noisy_speed() -> list[Case]:
    """Time a channel in memory, by record ids, and under Dask, whose noise comes from ids that it makes itself."""
    encoder = codec(channel=RandomizedResponse(1.0).spec_for(16))
    matrix = np.random.default_rng(0).random((GROUP_ROWS, N_FEATURES))
    ids, memo_key = list(map(str, range(GROUP_ROWS))), Key(bytes(range(1, 33)))
    chunked = da.from_array(matrix, chunks=(GROUP_ROWS, N_FEATURES))
    cases: dict[str, Any] = {
        "encode": lambda: encoder.encode(matrix),
        "encode, with record ids": lambda: encoder.encode(matrix, record_ids=ids, memo_key=memo_key),
        "Dask array, one thread": lambda: hashcomb_dask.encode(encoder, chunked).compute(scheduler="sync"),
    }
    return side_by_side(cases, matrix.size, rounds=5)


PEAK = """
import sys
from pathlib import Path
from benches.streams import codec
from hashcomb.integrations.arrow import ParquetRows, ParquetTokenWriter, encode_stream

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024

encoder = codec()
before = peak = anonymous()
with ParquetTokenWriter(sys.argv[2], encoder.header) as writer:
    for batch in encode_stream(encoder, ParquetRows(sys.argv[1]).reader()):
        writer.write_batch(batch)
        peak = max(peak, anonymous())
print(before, peak)
"""


def memory(folder: Path) -> None:
    """Print the resident memory, pages of mapped files apart, while files of several sizes are encoded."""
    print("\n### Memory of a process that encodes a Parquet file to a Parquet file (RssAnon, after each batch)\n")
    print("| file, MB | before, MB | peak, MB | peak / file |")
    print("|---:|---:|---:|---:|")
    for n_groups in (5, 15, 45):
        path = folder / "sized.parquet"
        write_rows(path, n_groups)
        command = [sys.executable, "-c", PEAK, str(path), str(folder / "t.parquet")]
        before, peak = map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
        size = path.stat().st_size
        print(f"| {size / 1e6:.0f} | {before / 1e6:.0f} | {peak / 1e6:.0f} | {peak / size:.2f} |")


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        path, n_groups = Path(folder) / "rows.parquet", 5
        write_rows(path, n_groups)
        shape = f"{n_groups * GROUP_ROWS:,} x {N_FEATURES} float64, depth 4, CPU time, median of 5 rounds"
        print_table(f"Streams beside memory ({shape})", speed(path, n_groups), "encode of an Arrow table")
        print_table(f"A channel ({GROUP_ROWS:,} x {N_FEATURES}, epsilon 1)", noisy_speed(), "encode")
        memory(Path(folder))
