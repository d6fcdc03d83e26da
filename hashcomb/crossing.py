"""Where a falling function crosses zero, from the safe side."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ("crossing",)


def crossing(f: Callable[[float], float], low: float, high: float, tolerance: float) -> float:
    """Return an x with ``f(x) <= 0`` that is above the least such x by at most a tolerance.

    Parameters
    ----------
    f : callable
        Falls.
    low, high : float
        Where to search; `high` is known to be safe, and returned if ``f(high) > 0``.
    tolerance : float
        Positive.

    Returns
    -------
    float
        `high`, or a place where `f` was found to be at most 0.

    Notes
    -----
    Regula falsi as of Illinois (M. Dowell, P. Jarratt, BIT 11, 1971), with a bisection at every third step.
    """
    at_low, at_high = f(low), f(high)
    if at_low <= 0:
        return low
    step, moved = 0, ""
    while high - low > tolerance and at_high <= 0:
        step += 1
        guess = (low * at_high - high * at_low) / (at_high - at_low) if step % 3 else (low + high) / 2
        guess = min(max(guess, low + tolerance / 2), high - tolerance / 2)
        value = f(guess)
        if value <= 0:
            at_low = at_low / 2 if moved == "high" else at_low
            high, at_high, moved = guess, value, "high"
        else:
            at_high = at_high / 2 if moved == "low" else at_high
            low, at_low, moved = guess, value, "low"
    return high
