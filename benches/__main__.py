"""Print the tables: all, or those that are named."""

from __future__ import annotations

import importlib
import sys

from benches.machine import describe

TABLES = (
    "encode",
    "startup",
    "agreement",
    "edges",
    "accounting",
    "sums",
    "distance",
    "counts",
    "loader",
    "embedding",
    "streams",
    "accuracy",
    "randomized",
    "federated",
)


def main() -> None:
    """Run the benchmarks that are named on the command line; what begins with a dash, and what follows, is theirs."""
    words = sys.argv[1:]
    options = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
    chosen = words[:options] or list(TABLES)
    unknown = set(chosen) - set(TABLES)
    if unknown:
        sys.exit(f"no such table: {', '.join(sorted(unknown))}; there are {', '.join(TABLES)}")
    print(describe())
    for name in chosen:
        importlib.import_module(f"benches.{name}").main()


if __name__ == "__main__":
    main()
