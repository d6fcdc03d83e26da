"""What a client's randomized parameters cost it: report by report, or opened only in sums."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hashcomb.channels import Channel
from hashcomb.channels.channel import positive

__all__ = ("ParameterPrivacy", "cost_in_sums", "cost_of_reports")


@dataclass(frozen=True, kw_only=True)
class ParameterPrivacy:
    """What all reports of one client cost together; `str` says it in words.

    Neighbors are any two models of one client, in every round it takes part in. All figures are upper bounds, rounded
    up; those of single reports and their sum are exact for the channel's integers.

    Attributes
    ----------
    n_parameters, rounds : int
        Reports in a round, and rounds in which the client takes part.
    delta : float
        For which `epsilon` and `one_round` hold.
    channel : str or None
        Kind of the channel.
    per_report : float
        Exact epsilon of one report, in nats; infinity without a channel.
    pure : float
        Sum of those over all coordinates and rounds: holds with delta 0. Of sums, too.
    epsilon : float
        Of all coordinates and rounds together: of tight and Renyi composition, the smaller.
    one_round : float
        The same for one round.
    n_honest : int or None
        How many honest clients' reports hide each other in sums; None where reports are seen one by one.
    norm : float or None
        Bound on the Euclidean norm of what is encoded in a round, which `cost_in_sums` relied on.
    """

    n_parameters: int
    rounds: int
    delta: float
    channel: str | None
    per_report: float
    pure: float
    epsilon: float
    one_round: float
    n_honest: int | None = None
    norm: float | None = None

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def cost_of_reports(channel: Channel | None, n_parameters: int, *, rounds: int, delta: float) -> ParameterPrivacy:
    """Return what reports cost that are seen one by one, as tokens are by key holders.

    Parameters
    ----------
    channel : Channel, optional
        Bound to the points of the grid; without one there is no privacy.
    n_parameters : int
        Reports of a client in a round.
    rounds : int
        Rounds in which a client takes part.
    delta : float
        At least 0 and below 1.

    Raises
    ------
    ChannelError
        If a number is out of its range.

    Notes
    -----
    Privacy: neighbors are any two models of one client in every round. Values between points of the grid are rounded to
    one of them at random; their laws are mixtures of the points' laws, and no pair of mixtures is easier to tell
    apart than some pair of points.
    """
    from hashcomb.privacy import compose  # noqa: PLC0415 SciPy takes a second to load, and encoding does without

    if channel is None:
        blank = compose([([[1.0, 0.0], [0.0, 1.0]], n_parameters)], rounds=rounds)  # checks the numbers
        nothing = blank.epsilon(delta)
        return ParameterPrivacy(
            n_parameters=n_parameters,
            rounds=rounds,
            delta=delta,
            channel=None,
            per_report=math.inf,
            pure=math.inf,
            epsilon=nothing,
            one_round=nothing,
        )
    total, single = (compose([(channel, n_parameters)], rounds=times) for times in (rounds, 1))
    epsilon, one_round = (min(one.epsilon(delta), one.epsilon(delta, by="renyi")) for one in (total, single))
    return ParameterPrivacy(
        n_parameters=n_parameters,
        rounds=rounds,
        delta=delta,
        channel=channel.kind,
        per_report=channel.epsilon,
        pure=total.basic,
        epsilon=epsilon,
        one_round=one_round,
    )


def cost_in_sums(
    channel: Channel,
    n_parameters: int,
    *,
    n_honest: int,
    rounds: int,
    delta: float,
    norm: float | None = None,
    clip: float | None = None,
) -> ParameterPrivacy:
    """Return what reports cost that secure aggregation opens only in sums over clients, each counting the same.

    Parameters
    ----------
    channel : Channel
        Bound to the points of the grid; report j counts j in the sum.
    n_parameters : int
        Reports of a client in a round.
    n_honest : int
        How many clients, the one in question included, follow the protocol and do not drop out.
    rounds : int
        Rounds in which a client takes part.
    delta : float
        Above 0 and below 1.
    norm : float, optional
        Bound on the Euclidean norm of a client's model, all tensors together, before it is rounded to the grid. The
        client must see to it: the codec clips coordinates only.
    clip : float, optional
        The range of coordinates, the same for all tensors; with `norm` only.

    Raises
    ------
    ChannelError
        If a number is out of its range.

    Notes
    -----
    Privacy: as `hashcomb.privacy.SumPrivacy`, against anybody who sees the sums, other owners included.
    """
    from hashcomb.privacy import L2Clip, SumPrivacy  # noqa: PLC0415 as above

    bound = None
    if norm is not None:
        bound = L2Clip(norm=norm, coordinate=positive(clip, "clip"))
    figures = [
        SumPrivacy.of(channel, n_honest, coordinates=n_parameters, rounds=times, clip=bound) for times in (rounds, 1)
    ]
    local = cost_of_reports(channel, n_parameters, rounds=rounds, delta=delta)
    return ParameterPrivacy(
        n_parameters=n_parameters,
        rounds=rounds,
        delta=delta,
        channel=channel.kind,
        per_report=channel.epsilon,
        pure=local.pure,
        # A sum tells no more than its terms.
        epsilon=min(local.epsilon, figures[0].epsilon(delta)),
        one_round=min(local.one_round, figures[1].epsilon(delta)),
        n_honest=n_honest,
        norm=norm,
    )


# ---------------------------------------------------------------------- in words
def _lines(cost: ParameterPrivacy) -> list[str]:
    scope = f"{cost.n_parameters} parameters, {cost.rounds} round{'s'[: cost.rounds != 1]} of a client"
    if cost.channel is None:
        return [
            f"Parameters as tokens without a channel: {scope}",
            "  no differential privacy: no epsilon holds",
            "  the server, without the Key: sees which clients share a grid point at a coordinate, and how many",
            "  key holders: read each client's model from its tokens, and the clients' histogram from counts",
        ]
    lines = [
        f"Parameters through {cost.channel}: {scope}; neighbors: any two models of one client in every round",
        f"  one report               epsilon {_up(cost.per_report)} (exact)",
        f"  all, basic               epsilon {_up(cost.pure)} (delta 0)",
        f"  one round                epsilon {_up(cost.one_round)} at delta {cost.delta:g}",
        f"  all rounds               epsilon {_up(cost.epsilon)} at delta {cost.delta:g}",
    ]
    if cost.n_honest is not None:
        seen = f"  opened only in sums over {cost.n_honest} honest clients that stay, by secure aggregation"
        lines.append(seen + ("" if cost.norm is None else f"; each model of norm at most {cost.norm:g}"))
    else:
        lines.append("  against anybody, the server and key holders included")
    return [*lines, "  not covered: the weight of a client, its taking part, and what is not encoded"]


def _up(epsilon: float) -> str:
    """Write an epsilon with four digits, rounded up."""
    if not 0 < epsilon < math.inf:
        return "none" if epsilon else "0"
    unit = 10.0 ** (math.floor(math.log10(epsilon)) - 3)
    text = f"{math.ceil(epsilon / unit) * unit:.4g}"
    return text if float(text) >= epsilon else f"{math.nextafter(epsilon, math.inf):.17g}"
