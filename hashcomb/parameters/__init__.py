"""Parameters as tokens: models are encoded by their owners, counted by a server without the Key, and decoded again."""

from hashcomb.counts import ParameterTokens
from hashcomb.parameters.codec import ParameterCodec
from hashcomb.parameters.costs import ParameterPrivacy
from hashcomb.parameters.spec import MAX_PARAMETER_DEPTH, ParameterSpec, Tensor

__all__ = ("MAX_PARAMETER_DEPTH", "ParameterCodec", "ParameterPrivacy", "ParameterSpec", "ParameterTokens", "Tensor")
