"""The Skellam law in whole numbers: probabilities that are not above the exact ones, and how far a table is from it.

Bessel functions in double precision are wrong by 1e-12 where arguments are large, nobody states a bound, and
machines differ. What is computed here is the same everywhere, and its error is known (docs/proofs/noisy_counts.md).
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

__all__ = ("BITS", "TAIL_BITS", "deficit", "distance", "missing", "probabilities")

BITS = 192  # probabilities are in units of 2**-BITS
TAIL_BITS = 100  # of the law, less than 2**-100 is cut off
_TABLE_BITS = 62  # a table's counts sum to 2**62


def probabilities(variance: Fraction) -> list[int]:
    """Return how probable 0, 1, ..., K are, in units of 2**-192 and not above the exact probabilities.

    Parameters
    ----------
    variance : Fraction
        Of the difference of two Poisson variables of half that mean each; 2**-36 to 2**26.

    Returns
    -------
    list of int
        The exact ones are larger by less than 2**-99, relatively, and one unit. The law is symmetric; K or more
        and -K or less have a probability below 2**-100 together.

    Notes
    -----
    Pr[k] = exp(-v) I_k(v), whose recurrence I_(k-1) = I_(k+1) + (2k / v) I_k is followed downwards from far
    outside (Miller's algorithm): all terms are positive, so relative errors do not grow. What remains is scaled
    to a sum of one, less all that can be wrong.

    References
    ----------
    J. G. Skellam, "The frequency distribution of the difference between two Poisson variates belonging to
    different populations", Journal of the Royal Statistical Society 109, 1946.
    W. Gautschi, "Computational aspects of three-term recurrence relations", SIAM Review 9, 1967.
    """
    last = _reach(float(variance))
    bessel = _recurrence(variance, 3 * last + 8, last)
    kept = (1 << BITS) - (1 << (BITS - TAIL_BITS)) - 1
    total = bessel[0] + 2 * sum(bessel[1:])
    return [value * kept // total for value in bessel]


def missing(law: list[int]) -> int:
    """Return what is missing to a sum of one, in units: what was cut off, and what rounding down took away."""
    return (1 << BITS) - law[0] - 2 * sum(law[1:])


def distance(counts: NDArray[np.int64], law: list[int]) -> int:
    """Return a bound on the total variation distance of a table's law from the Skellam law, in units.

    Parameters
    ----------
    counts : ndarray of int64, shape (2K + 1,)
        The table's whole numbers for -K to K, positive and with the sum 2**62.
    law : list of int, length K + 1
        What `probabilities` gave.
    """
    scale, last = BITS - _TABLE_BITS, len(law) - 1
    off: int = sum(abs((count << scale) - law[abs(i - last)]) for i, count in enumerate(counts.tolist()))
    return (off + missing(law) + 1) // 2


def deficit(counts: NDArray[np.int64], law: list[int]) -> int:
    """Return a bound on how much the Skellam law exceeds a table's from -K to K, relative to the table, in units.

    Parameters
    ----------
    counts, law
        As for `distance`.
    """
    last = len(law) - 1
    ratio = max(-((-(law[abs(i - last)] + 1) << _TABLE_BITS) // count) for i, count in enumerate(counts.tolist()))
    return max(0, int(ratio) - (1 << BITS) + (int(ratio) >> (TAIL_BITS - 1)) + 1)


def _reach(variance: float) -> int:
    """Return the least k for which the moments bound Pr[|X| >= k] by 2**-100, with room for rounding."""

    def exponent(k: int) -> float:
        return k * math.asinh(k / variance) - k * k / (math.hypot(variance, k) + variance)

    wanted = (TAIL_BITS + 1) * math.log(2) + 0.1
    low, high = 0, 1
    while exponent(high) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if exponent(middle) >= wanted else (middle, high)
    return high


def _recurrence(variance: Fraction, first: int, last: int) -> list[int]:
    """Return what is nearly proportional to I_0, ..., I_last, rounded down, by the recurrence from `first` down."""
    top, bottom = variance.numerator, variance.denominator
    above, here = 0, 1 << (BITS + 32)
    kept: list[int] = []
    for k in range(first, 0, -1):
        above, here = here, above + 2 * k * bottom * here // top
        if k <= last + 1:
            kept.append(here)
    return kept[::-1]
