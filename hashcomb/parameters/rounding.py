"""Rounding to whole numbers at random, so that the expectation is what was rounded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ("rounded_at_random",)


def rounded_at_random(places: NDArray[np.float64], top: int, words: NDArray[Any]) -> NDArray[np.int32]:
    """Round numbers to one of the two whole numbers next to them, without bias.

    Parameters
    ----------
    places : ndarray of float64
        From 0 to `top`.
    top : int
        The largest whole number there is.
    words : ndarray of uint64, same shape
        Uniform and secret. A word, as a number in [0, 1) of 53 bits, is below the fraction with that probability, up
        to 2**-53.

    Returns
    -------
    ndarray of int32, same shape
    """
    below = np.floor(places)
    up = (words >> np.uint64(11)) * 2.0**-53 < places - below
    return np.asarray(np.minimum(below + up, top).astype(np.int32))
