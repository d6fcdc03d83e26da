"""Say what the figures were taken on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

__all__ = ("describe",)


def describe() -> str:
    """Return processor, cores and versions in one line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    packages = ", ".join(f"{name} {version(name)}" for name in ("hashcomb-learn", "numpy", "numba", "scikit-learn"))
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}"
