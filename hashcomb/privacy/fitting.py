"""The Spec whose record costs what was asked for, whatever its features are."""

from __future__ import annotations

import math
from collections.abc import Callable

from hashcomb.channels.channel import positive
from hashcomb.errors import ChannelError, SpecError
from hashcomb.privacy.composition.total import compose_spec
from hashcomb.spec import Spec

__all__ = ("spec_for_total",)

_CLOSE = 1e-6  # how close the epsilon of a value comes to the largest that fits, relatively
_LARGEST = 1e3  # epsilons of one value above it are not tried
_STEP = 1.3  # small, lest the few epsilons that a channel can realize at all lie between two tries
_LEAST = 2.0**-60  # and none below this part of the whole


def spec_for_total(spec_of: Callable[[float], Spec], epsilon: float, *, delta: float = 0.0, rounds: int = 1) -> Spec:
    """Return the Spec with the least noise whose record stays within a budget.

    Where all features have the same number of symbols, `for_total` finds the channel; here they may differ, as
    with categories, and every Spec that is tried is composed as it is.

    Parameters
    ----------
    spec_of : callable
        Returns the Spec for an epsilon of one value; more of it must not cost less.
    epsilon : float
        What a record may cost, in nats; positive and finite.
    delta : float, optional
        At least 0 and below 1; with 0, epsilons are added.
    rounds : int, optional
        How many times a record is encoded.

    Returns
    -------
    Spec
        Its composition was evaluated, and is at most (`epsilon`, `delta`).

    Raises
    ------
    ChannelError
        If an argument is out of its range, or no epsilon of a value fits.
    """
    total = positive(epsilon, "epsilon")
    delta = 0.0 if delta == 0 else positive(delta, "delta", below=1.0)

    refused: list[ChannelError | SpecError] = []

    def fitting(value: float) -> Spec | None:
        try:
            spec = spec_of(value)
            cost = compose_spec(spec, rounds=rounds)
        except (ChannelError, SpecError) as error:
            refused[:] = [error]  # too small or too large for this channel
            return None
        return spec if cost is not None and cost.epsilon(delta) <= total else None

    low, best = total, fitting(total)
    while best is None and low > total * _LEAST:  # too costly, or more than this channel can realize
        low /= _STEP
        best = fitting(low)
    if best is None and refused:
        raise refused[0]
    if best is None:
        raise ChannelError("no epsilon of a value fits the budget", hint="raise epsilon, or report fewer features")
    high = 2 * low
    while high < _LARGEST and (found := fitting(high)) is not None:
        low, high, best = high, 2 * high, found
    while high / low > 1 + _CLOSE:
        middle = math.sqrt(low * high)
        found = fitting(middle)
        low, high, best = (low, middle, best) if found is None else (middle, high, found)
    return best
