"""scikit-learn: the encoder as a transformer, and trainer-side estimators that need no Key."""

from __future__ import annotations

from hashcomb.integrations.sklearn.encoder import HashCombEncoder
from hashcomb.integrations.sklearn.kernel import CombKernel
from hashcomb.integrations.sklearn.linear import ChannelLinearClassifier
from hashcomb.integrations.sklearn.naive_bayes import ChannelNaiveBayes
from hashcomb.integrations.sklearn.onehot import TokenOneHot

__all__ = ("ChannelLinearClassifier", "ChannelNaiveBayes", "CombKernel", "HashCombEncoder", "TokenOneHot")
