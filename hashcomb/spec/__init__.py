"""The Spec: what the owners agree on, and may publish among themselves.

A Spec holds the combs (public to the owners) and the rules of encoding. It holds no key material and no
salt. Its canonical bytes are the same on every machine; their SHA-256 is the fingerprint that is stamped on
everything encoded under it.
"""

from hashcomb.spec.checks import MAX_DEPTH, MAX_NAME, VERSION, can_be_cut
from hashcomb.spec.parts import (
    MAX_NOISE_PARTS,
    MAX_NOISY_COUNTS,
    NOISE_VARIANCES,
    Categorical,
    ChannelSpec,
    EdgesNoise,
    Feature,
    Quantile,
    Uniform,
)
from hashcomb.spec.spec import Spec, TokenKind

__all__ = (
    "MAX_DEPTH",
    "MAX_NAME",
    "MAX_NOISE_PARTS",
    "MAX_NOISY_COUNTS",
    "NOISE_VARIANCES",
    "VERSION",
    "Categorical",
    "ChannelSpec",
    "EdgesNoise",
    "Feature",
    "Quantile",
    "Spec",
    "TokenKind",
    "Uniform",
    "can_be_cut",
)
