"""The compiled kernels, under the same names as in ``reference``."""

from hashcomb.kernels.combs import edges_lookup, lookup, paths, uniform_lookup
from hashcomb.kernels.counting import add_runs, find_reports, merge_counts, pack_tokens
from hashcomb.kernels.distances import add_parted, tree_codes
from hashcomb.kernels.hashes import siphash_words
from hashcomb.kernels.inverse import find_leaves
from hashcomb.kernels.responses import randomized_response, table_reports

__all__ = (
    "add_parted",
    "add_runs",
    "edges_lookup",
    "find_leaves",
    "find_reports",
    "lookup",
    "merge_counts",
    "pack_tokens",
    "paths",
    "randomized_response",
    "siphash_words",
    "table_reports",
    "tree_codes",
    "uniform_lookup",
)
