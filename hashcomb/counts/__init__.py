"""Counting tokens without a key: those of parameters, coordinate by coordinate, and those of data, column by column."""

from hashcomb.counts.counted import MAX_TOTAL, ParameterCounts
from hashcomb.counts.counting import ParameterCounter, count_parameters
from hashcomb.counts.histograms import Histogram, TokenCounts, count_tokens, estimate_histogram, estimate_means
from hashcomb.counts.stamped import MAX_REPORTS, ParameterHeader, ParameterTokens

__all__ = (
    "MAX_REPORTS",
    "MAX_TOTAL",
    "Histogram",
    "ParameterCounter",
    "ParameterCounts",
    "ParameterHeader",
    "ParameterTokens",
    "TokenCounts",
    "count_parameters",
    "count_tokens",
    "estimate_histogram",
    "estimate_means",
)
