"""What importing and the first call cost, each in new processes."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile

__all__ = ("main",)

MEASURE = """
import json, resource, sys, time
def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
before, wall = cpu(), time.perf_counter()
{code}
print(json.dumps([cpu() - before, time.perf_counter() - wall]))
"""

IMPORT = "import hashcomb"
ENCODE = """
import numpy as np
from hashcomb import HashComb, Key, Spec, Uniform
spec = Spec(features=tuple(Uniform(name=f"f{{j}}", lo=-4.0, hi=4.0) for j in range(57)), depth=8)
HashComb(spec, Key(bytes(range(32)))).encode(np.zeros(({n_rows}, 57)))
"""


def measure(code: str, cache: str) -> tuple[float, float]:
    """Run code in a new process; return its CPU and wall seconds, the interpreter's own start not counted."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    command = [sys.executable, "-c", MEASURE.replace("{code}", code)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    cpu, wall = json.loads(done.stdout)
    return cpu, wall


def main() -> None:
    """Print the table."""
    small, large = (ENCODE.replace("{{j}}", "{j}").replace("{n_rows}", n) for n in ("1000", "100_000"))
    print("\n### Starting up (new processes, median of 5)\n")
    print("| what | CPU s | wall s |")
    print("|---|---:|---:|")
    for name, code, fresh in (
        ("import hashcomb", IMPORT, False),
        ("first encode, 1,000 rows, nothing compiled", small, True),
        ("first encode, 100,000 rows, fresh install (compiles)", large, True),
        ("first encode, 100,000 rows, from the cache", large, False),
    ):
        with tempfile.TemporaryDirectory() as shared:
            if not fresh:
                measure(code, shared)
            figures = []
            for _ in range(5):
                with tempfile.TemporaryDirectory() as empty:
                    figures.append(measure(code, empty if fresh else shared))
        cpu, wall = (statistics.median(column) for column in zip(*figures, strict=True))
        print(f"| {name} | {cpu:.2f} | {wall:.2f} |")
