"""scikit-learn: the encoder as a transformer, and trainer-side estimators that need no Key."""

from __future__ import annotations

from hashcomb.integrations.sklearn.encoder import HashCombEncoder
from hashcomb.integrations.sklearn.kernel import CombKernel
from hashcomb.integrations.sklearn.linear import ChannelLinearClassifier
from hashcomb.integrations.sklearn.log_odds import TokenLogOdds
from hashcomb.integrations.sklearn.naive_bayes import ChannelNaiveBayes
from hashcomb.integrations.sklearn.onehot import TokenOneHot
from hashcomb.integrations.sklearn.profiles import TokenProfiles

__all__ = (
    "ChannelLinearClassifier",
    "ChannelNaiveBayes",
    "CombKernel",
    "HashCombEncoder",
    "TokenLogOdds",
    "TokenOneHot",
    "TokenProfiles",
)
