"""The numbers behind the figures of a Spec, computed from the Spec alone."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hashcomb.channels import Channel, channels_of, reported_features
from hashcomb.errors import ChannelError
from hashcomb.privacy.composition.total import Composition, compose, compose_spec
from hashcomb.privacy.release import CURVE, MAX_MATRIX, added_up, releases_of
from hashcomb.privacy.report.costs import Cost, costs, what_if
from hashcomb.spec import Categorical, Spec

__all__ = ("Curve", "Heat", "cost_curves", "delta_curves", "heat", "own_cost", "renyi_curves")

Floats = NDArray[np.float64]

DELTAS = tuple(np.geomspace(1e-12, 0.99, 200).tolist())
ORDERS = tuple((1 + np.geomspace(0.05, 500, 97)).tolist())
N_EPSILONS = 17
MAX_ROWS = 256
N_QUICK, N_SLOW = 121, 17  # points of a curve of delta: they cost much where pairs of values had to be compared
_LEAST = 1e-300  # in place of 0, which a logarithmic axis does not have


class Curve(NamedTuple):
    """A line of a figure.

    Parameters
    ----------
    name : str
        What it is: a kind of channel, or a way to compose.
    x, y : tuple of float
        Its points; in x they do not decrease.
    mark : float or None
        The epsilon at the delta asked for.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    mark: float | None = None


class Heat(NamedTuple):
    """The law of a channel.

    Parameters
    ----------
    feature : str
        The feature whose channel it is.
    matrix : ndarray, shape (n_rows, n_reports)
        Probability of each report, for some of the true symbols.
    symbols : tuple of int
        The true symbol of each row.
    """

    feature: str
    matrix: Floats
    symbols: tuple[int, ...]


def own_cost(spec: Spec) -> Cost:
    """Return what one value costs under the Spec as it is."""
    return next(cost for cost in what_if(spec) if cost.now)


@lru_cache(maxsize=4)  # two figures of a page show the same
def cost_curves(spec: Spec) -> dict[str, tuple[Cost, ...]]:
    """Return what one value costs by kind of channel, over a range of epsilons around that of the Spec."""
    own = own_cost(spec).epsilon or 1.0
    epsilons = np.geomspace(min(0.25, own / 4), max(8.0, 2 * own), N_EPSILONS).tolist()
    found: dict[str, list[Cost]] = {}
    for cost in costs(spec, epsilons):
        found.setdefault(cost.kind, []).append(cost)
    return {kind: tuple(several) for kind, several in found.items()}


def delta_curves(spec: Spec, rounds: int, delta: float) -> tuple[Curve, ...]:
    """Return delta against epsilon of a record over its rounds: tight, by Renyi divergences, and added up.

    Parameters
    ----------
    spec : Spec
        What is drawn.
    rounds : int
        How many times the record is encoded.
    delta : float
        A delta, at which the curves are marked.

    Raises
    ------
    ChannelError
        If the tokens are deterministic.
    """
    whole, releases = _composed(spec, rounds), releases_of(spec)
    basic = added_up((release.epsilon for release in releases), reported_features(spec), rounds)
    if math.isinf(basic):
        record = Curve("one record", CURVE, tuple(whole.delta(epsilon) for epsilon in CURVE))
        points = releases[_first(spec)].deltas
        if not points:
            return (record,)
        return (record, Curve("one value", CURVE, tuple(delta for _, delta in points)))
    quick = all(isinstance(release.law, Channel) and release.law.worst_pair() is not None for release in releases)
    return (
        _tight(whole, delta, basic, N_QUICK if quick else N_SLOW),
        _renyi(whole, delta, basic),
        Curve("added up", (basic, basic), (_LEAST, 1.0)),
    )


def _tight(whole: Composition, marked: float, basic: float, n_points: int) -> Curve:
    top, mark = (min(basic, whole.epsilon(delta)) for delta in (DELTAS[0], marked))
    # The curve is steepest at its end, and points are closest there.
    epsilons = (top * (1 - (1 - np.linspace(0, 1, n_points)) ** 2)).tolist()
    found = {epsilon: max(_LEAST, whole.delta(epsilon)) for epsilon in epsilons}
    found[mark] = min(marked, found.get(mark, 1.0))
    found[top] = min(DELTAS[0], found[top])
    x = sorted(found)
    # A delta that holds at one epsilon holds at every larger one.
    return Curve("tight", tuple(x), tuple(np.minimum.accumulate([found[epsilon] for epsilon in x]).tolist()), mark)


def _renyi(whole: Composition, marked: float, basic: float) -> Curve:
    orders = np.array(ORDERS)
    divergences = np.array([whole.renyi(order) for order in ORDERS])
    points: list[tuple[float, float]] = []
    for delta in reversed(DELTAS):
        # Canonne, Kamath and Steinke 2020, proposition 12; each order gives a bound, the least is drawn.
        bounds = divergences + np.log1p(-1 / orders) - (math.log(delta) + np.log(orders)) / (orders - 1)
        points.append((min(basic, float(bounds.min())), delta))
    x, y = zip(*(point for point in points if point[0] > 0), strict=True)
    return Curve("by Renyi", x, y, min(basic, whole.epsilon(marked, by="renyi")))


def renyi_curves(spec: Spec, rounds: int) -> tuple[Curve, ...]:
    """Return the Renyi divergence against its order: of a record over its rounds, and of one value.

    Raises
    ------
    ChannelError
        If the tokens are deterministic, or their channel has no epsilon.
    """
    whole = _composed(spec, rounds)
    if math.isinf(whole.basic):
        raise ChannelError("this channel has no Renyi divergence: it is infinite at every order")
    law = releases_of(spec)[_first(spec)].law
    assert law is not None
    named = {"one value": compose([(law, 1)]), "one record": whole}
    if len(spec.features) * rounds == 1:
        del named["one record"]
    return tuple(Curve(name, ORDERS, tuple(what.renyi(order) for order in ORDERS)) for name, what in named.items())


def heat(spec: Spec) -> Heat:
    """Return the matrix of the channel of the first numeric feature, or of the first one.

    Raises
    ------
    ChannelError
        If the tokens are deterministic, or the matrix is too large to look at.
    """
    bound = channels_of(spec)
    if bound is None:
        raise _deterministic()
    index = _first(spec)
    channel: Channel = bound[index]
    n_symbols = channel.n_symbols or 0
    if n_symbols * channel.n_reports > MAX_MATRIX:
        raise ChannelError(
            f"a matrix of {n_symbols} x {channel.n_reports} is too large to draw", hint="draw that of a lower depth"
        )
    symbols = np.unique(np.linspace(0, n_symbols - 1, min(n_symbols, MAX_ROWS)).round().astype(int))
    return Heat(spec.names[index], channel.matrix()[symbols], tuple(symbols.tolist()))


def _first(spec: Spec) -> int:
    return min(range(len(spec.features)), key=lambda j: isinstance(spec.features[j], Categorical))


def _composed(spec: Spec, rounds: int) -> Composition:
    whole = compose_spec(spec, rounds=rounds)
    if whole is None:
        raise _deterministic()
    return whole


def _deterministic() -> ChannelError:
    return ChannelError("deterministic tokens have no differential privacy to draw", hint="give the Spec a channel")
