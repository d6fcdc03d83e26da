"""Owners as processes of their own: start them together, wait for all, read what each prints as JSON."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ("peak_mb", "run_together")

_ROOT = Path(__file__).resolve().parents[1]
_POLL_S = 0.02


def run_together(
    module: str, arguments: Sequence[Sequence[str]], folder: Path, *, timeout_s: float = 300.0
) -> list[dict[str, Any]]:
    """Run a module once for each list of arguments, all at the same time.

    Parameters
    ----------
    module : str
        As after ``python -m``.
    arguments : sequence of sequences of str
        What comes after it, for each process.
    folder : Path
        Working directory of all of them; what they print is kept here while they run.
    timeout_s : float
        How long they may take, in seconds.

    Returns
    -------
    list of dict
        The JSON that each process printed in its last line.

    Raises
    ------
    RuntimeError
        If one fails, or they do not end in time; with what it wrote on stderr.
    """
    python_path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    # One thread each: so many processes on so few cores would only wait for each other's threads.
    environment = {**os.environ, "PYTHONPATH": python_path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    running = [
        _start([sys.executable, "-m", module, *rest], folder, environment, place)
        for place, rest in enumerate(arguments)
    ]
    try:
        _wait(running, folder, time.monotonic() + timeout_s)
    finally:
        for process in running:
            process.kill()
            process.wait()
    return [json.loads(_printed(folder, "stdout", place).splitlines()[-1]) for place in range(len(running))]


def _start(command: list[str], folder: Path, environment: dict[str, str], place: int) -> subprocess.Popen[bytes]:
    with open(folder / f"stdout-{place}", "wb") as out, open(folder / f"stderr-{place}", "wb") as err:
        return subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err)


def _wait(running: Sequence[subprocess.Popen[bytes]], folder: Path, until: float) -> None:
    while True:
        codes = [process.poll() for process in running]
        if not any(code is None for code in codes) and not any(codes):
            return
        late = time.monotonic() > until
        for place, code in enumerate(codes):
            if code or (late and code is None):
                what = f"ended with {code}" if code else "did not end in time"
                raise RuntimeError(f"owner {place} {what}:\n{_printed(folder, 'stderr', place)}")
        time.sleep(_POLL_S)


def _printed(folder: Path, stream: str, place: int) -> str:
    return (folder / f"{stream}-{place}").read_text()


def peak_mb() -> float:
    """Return the most memory that this process has held, in megabytes (10**6 bytes)."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not ru_maxrss: on Linux that starts at what the parent held when it started this process.
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
