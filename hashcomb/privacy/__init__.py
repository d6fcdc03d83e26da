"""Privacy: exact figures from channels' matrices, and the report of a Spec. It sees no data and no key."""

from hashcomb.privacy.budget import Budget, for_total, suggest_reported
from hashcomb.privacy.composition import Composition, compose, compose_spec
from hashcomb.privacy.exact import hockey_stick, pure_epsilon, renyi
from hashcomb.privacy.fitting import spec_for_total
from hashcomb.privacy.noisy_counts import NoisyCounts
from hashcomb.privacy.report import Cost, EdgesPrivacy, FeaturePrivacy, PrivacyReport, RecordPrivacy, what_if
from hashcomb.privacy.sums import L2Clip, SumPrivacy, renyi_of_sum, worst_renyi_of_sum

__all__ = (
    "Budget",
    "Composition",
    "Cost",
    "EdgesPrivacy",
    "FeaturePrivacy",
    "L2Clip",
    "NoisyCounts",
    "PrivacyReport",
    "RecordPrivacy",
    "SumPrivacy",
    "compose",
    "compose_spec",
    "for_total",
    "hockey_stick",
    "pure_epsilon",
    "renyi",
    "renyi_of_sum",
    "spec_for_total",
    "suggest_reported",
    "what_if",
    "worst_renyi_of_sum",
)
