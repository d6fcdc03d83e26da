"""Privacy: exact figures from channels' matrices, and the report of a Spec. It sees no data and no key."""

from hashcomb.privacy.exact import hockey_stick, pure_epsilon, renyi
from hashcomb.privacy.report import PrivacyReport

__all__ = ("PrivacyReport", "hockey_stick", "pure_epsilon", "renyi")
