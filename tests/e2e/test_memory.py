"""A file larger than memory, under a limit that the operating system keeps."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hashcomb import HashComb, Key, Spec, Uniform
from hashcomb.integrations.arrow import ParquetTokens

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_DATA counts mappings on Linux only"),
]

SCRIPT = Path(__file__).with_name("encode_under_limit.py")
# What Python, NumPy, Arrow and one batch take is most of it.
LIMIT_MB = 190
N_FEATURES, GROUP_ROWS = 16, 65_536


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a Parquet file of random numbers, at least three times as large as the limit."""
    path = tmp_path_factory.mktemp("large") / "rows.parquet"
    names = [f"x{j}" for j in range(N_FEATURES)]
    rows = np.random.default_rng(0).random((N_FEATURES, GROUP_ROWS))
    group = pa.table(dict(zip(names, rows, strict=True)))
    with pq.ParquetWriter(path, group.schema, compression="none", use_dictionary=False) as writer:
        while path.stat().st_size < 3 * LIMIT_MB * 10**6:
            writer.write_table(group)
    yield path
    path.unlink()


def encode(source: Path, target: Path, how: str) -> subprocess.CompletedProcess[str]:
    """Encode the file in a process of its own, under the limit."""
    alone = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    command = [sys.executable, str(SCRIPT), str(source), str(target), str(LIMIT_MB), how]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, env=os.environ | alone)


def test_a_file_three_times_larger_than_memory_is_encoded(large: Path, tmp_path: Path) -> None:
    """Batch by batch it fits, with the tokens that rows in memory get."""
    assert large.stat().st_size >= 3 * LIMIT_MB * 10**6
    done = encode(large, tmp_path / "t.parquet", "stream")
    assert done.returncode == 0, done.stderr
    tokens = ParquetTokens(tmp_path / "t.parquet")
    assert int(done.stdout.split()[0]) == tokens.n_rows == pq.ParquetFile(large).metadata.num_rows
    features = tuple(Uniform(name=name, lo=0.0, hi=1.0) for name in tokens.header.features)
    codec = HashComb(Spec(features=features, depth=4), Key(bytes(range(32))))
    first = next(iter(tokens.batches(1000)))[0]
    assert np.array_equal(
        first, codec.encode(np.random.default_rng(0).random((N_FEATURES, GROUP_ROWS))[: N_FEATURES // 8, :1000].T)
    )


def test_the_same_file_read_whole_does_not_fit(large: Path, tmp_path: Path) -> None:
    """The limit is real: with the defect of reading the file at once, there is not enough memory."""
    done = encode(large, tmp_path / "t.parquet", "whole")
    assert done.returncode == 3, done.stderr
    assert not (tmp_path / "t.parquet").exists()
