"""What a client's reports cost when secure aggregation opens only their sum with those of others."""

from hashcomb.privacy.sums.client import L2Clip, SumPrivacy
from hashcomb.privacy.sums.exact_sums import renyi_of_sum, worst_renyi_of_sum

__all__ = ("L2Clip", "SumPrivacy", "renyi_of_sum", "worst_renyi_of_sum")
