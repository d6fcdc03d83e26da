"""What a Spec protects and what that costs, computed from the Spec alone."""

from hashcomb.privacy.report.costs import Cost, what_if
from hashcomb.privacy.report.edges import EdgesPrivacy
from hashcomb.privacy.report.report import FeaturePrivacy, PrivacyReport, RecordPrivacy

__all__ = ("Cost", "EdgesPrivacy", "FeaturePrivacy", "PrivacyReport", "RecordPrivacy", "what_if")
