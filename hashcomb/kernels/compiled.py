"""The compiled kernels, under the same names as in ``reference``."""

from hashcomb.kernels.combs import edges_lookup, lookup, paths, uniform_lookup
from hashcomb.kernels.hashes import siphash_words
from hashcomb.kernels.inverse import find_leaves
from hashcomb.kernels.responses import randomized_response, table_reports

__all__ = (
    "edges_lookup",
    "find_leaves",
    "lookup",
    "paths",
    "randomized_response",
    "siphash_words",
    "table_reports",
    "uniform_lookup",
)
