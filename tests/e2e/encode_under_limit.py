"""Encode a Parquet file under a limit of memory that the operating system sets; ``whole`` reads it all at once.

Usage: python encode_under_limit.py SOURCE TARGET MEGABYTES {stream|whole}
"""

from __future__ import annotations

import resource
import sys

import pyarrow as pa
import pyarrow.parquet as pq

from hashcomb import HashComb, Key, Spec, Uniform, kernels
from hashcomb.integrations.arrow import ParquetRows, encode_stream, write_tokens


def main(source: str, target: str, megabytes: str, how: str) -> None:
    """Print how many rows were written; end with 3 if there was not enough memory."""
    # RLIMIT_DATA counts all private memory that can be written: heap, stacks and anonymous mappings of the whole
    # process, its libraries' too. Pages of the file itself, which is mapped, are the system's cache: it drops them as
    # it likes, and they are not counted until somebody copies them.
    limit = int(megabytes) * 10**6
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    pa.set_cpu_count(1)
    kernels.TWIN_VALUES = 1 << 62  # numba would add some 100 MB, whatever the size of the file
    names = pq.ParquetFile(source).schema_arrow.names
    part = len(names) // 8  # to be quick: the others are read, and dropped
    features = tuple(Uniform(name=name, lo=0.0, hi=1.0) for name in names[:part])
    codec = HashComb(Spec(features=features, depth=4), Key(bytes(range(32))), n_threads=1)
    try:
        batches = (
            ParquetRows(source).reader(16_384)
            if how == "stream"
            else pq.ParquetFile(source).read(use_threads=False).to_batches()
        )
        n_rows = write_tokens(target, encode_stream(codec, batches, drop=names[part:]))
    except (MemoryError, pa.ArrowMemoryError):
        sys.exit(3)
    print(n_rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
