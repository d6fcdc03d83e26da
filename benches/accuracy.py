"""Accuracy preserved: `hashcomb bench accuracy --quick`, the five-minute subset, with its tables printed.

    python -m benches accuracy [options of `hashcomb bench accuracy`]

Without ``--out`` nothing is kept. All models on all encodings take hours: that is the command's own work.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from hashcomb.cli.bench import accuracy
from hashcomb.evidence.accuracy import PAGE_NAME

__all__ = ("main", "measure")


def measure(words: list[str], *more: str) -> None:
    """Measure the quick subset with two processes, and print the page; words of the command line change what it is."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--out")
    asked, options = parser.parse_known_args(words)
    with tempfile.TemporaryDirectory(prefix="hashcomb-accuracy-") as folder:
        out = asked.out or folder
        accuracy.main(["--quick", "--jobs", "2", "--out", out, *more, *options], standalone_mode=False)
        print((Path(out) / PAGE_NAME).read_text())


def main() -> None:
    """Measure the bundled sets, or what the command line says."""
    measure(sys.argv[sys.argv.index("accuracy") + 1 :] if "accuracy" in sys.argv else [])
