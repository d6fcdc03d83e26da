"""An exact, order-preserving map between finite doubles and unsigned integers.

``key(x) = 2**63 + sign(x) * bits(|x|)``. It is odd-symmetric (``key(-x) = 2**64 - key(x)``), gives -0.0 and 0.0
one key, and never gives 0, which is free to mean "no value".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ("from_keys", "to_keys")

_HALF = np.uint64(1 << 63)


def to_keys(values: ArrayLike) -> NDArray[np.uint64]:
    """Map doubles to keys.

    Parameters
    ----------
    values : array_like of float, any shape
        No NaN.

    Returns
    -------
    ndarray of uint64, same shape
        Ordered as the values are.
    """
    bits = np.asarray(values, dtype=np.float64).view(np.uint64)
    magnitude = bits & (_HALF - np.uint64(1))
    return np.where(bits >= _HALF, _HALF - magnitude, _HALF + magnitude)


def from_keys(keys: ArrayLike) -> NDArray[np.float64]:
    """Map keys back to doubles; the inverse of `to_keys`, with 0.0 for both zeros."""
    number = np.asarray(keys, dtype=np.uint64)
    above = number >= _HALF
    magnitude = np.where(above, number - _HALF, _HALF - number)
    return np.where(above, magnitude.view(np.float64), -magnitude.view(np.float64)) + 0.0
