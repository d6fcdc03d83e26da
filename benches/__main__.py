"""Print the tables: those that take under five minutes, those that are named, or all.

python -m benches                     encode and accuracy, the quick ones
python -m benches NAME... [OPTIONS]   these; options are the table's own
python -m benches --all               all of them, which takes hours
"""

from __future__ import annotations

import importlib
import sys

from benches.machine import describe

QUICK = ("encode", "accuracy")
TABLES = (
    *QUICK,
    "startup",
    "agreement",
    "edges",
    "accounting",
    "sums",
    "distance",
    "counts",
    "loader",
    "streams",
    "federated",
    "lifecycle",
    "growth",
    "versus",
    "unseen",
)


def main() -> None:
    """Run the benchmarks that are named on the command line; what begins with a dash, and what follows, is theirs."""
    words = sys.argv[1:]
    if words[:1] in (["-h"], ["--help"]):
        print(f"{__doc__}\nTables: {', '.join(TABLES)}")
        return
    everything = words == ["--all"]
    options = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
    chosen = TABLES if everything else words[:options] or QUICK
    unknown = set(chosen) - set(TABLES)
    if unknown:
        sys.exit(f"no such table: {', '.join(sorted(unknown))}; there are {', '.join(TABLES)}")
    sys.argv[1:] = [] if everything else words
    print(describe())
    for name in chosen:
        importlib.import_module(f"benches.{name}").main()


if __name__ == "__main__":
    main()
