"""What ranges and edges that were found from counts with noise cost a record, and what is said of it."""

from __future__ import annotations

import math

import msgspec

from hashcomb.privacy.noisy_counts import NoisyCounts
from hashcomb.privacy.report.wording import plain_delta, upward
from hashcomb.spec import Categorical, Spec

__all__ = ("EdgesPrivacy", "edges_assumptions", "edges_of", "edges_statements")


class EdgesPrivacy(msgspec.Struct, frozen=True, kw_only=True):
    """Privacy of the records from which ranges and edges were found, by counts with noise.

    Parameters
    ----------
    variance : float
        Variance of the noise of a count.
    n_counts : int
        How many counts the presence of a record changes at most.
    n_parts : int
        How many owners must have kept their part of the noise to themselves.
    presence, replacement : float or None
        Epsilon at the report's delta if a record is added or removed, and if it is replaced by any other; None
        where none is found.
    """

    variance: float
    n_counts: int
    n_parts: int
    presence: float | None
    replacement: float | None


def edges_of(spec: Spec, delta: float) -> EdgesPrivacy | None:
    """Return what ranges and edges of a Spec cost at a delta; None if they were not found from counts with noise."""
    noise = spec.edges_noise
    if noise is None:
        return None
    counts = NoisyCounts(noise.variance, noise.n_counts, noise.n_parts)
    presence, replacement = counts.epsilon(delta), counts.epsilon(delta, neighbors="replacement")
    return EdgesPrivacy(
        variance=noise.variance,
        n_counts=noise.n_counts,
        n_parts=noise.n_parts,
        presence=presence if math.isfinite(presence) else None,
        replacement=replacement if math.isfinite(replacement) else None,
    )


def edges_statements(spec: Spec, edges: EdgesPrivacy | None, delta: float) -> list[str]:
    """Return what edges, ranges, and what else a Spec holds of data tell, in sentences."""
    public = "Edges, ranges, depth and Key are public to the owners;"
    if edges is None:
        return [f"{public} the report does not count what they tell."]
    said = [
        f"{public} the epsilons of values and records do not count what they tell.",
        "Edges and ranges were found from counts of all owners' records, with noise. Whatever record was counted "
        f"there has, against everybody and on top of what its tokens cost, {_epsilon(edges.presence)} if it is added "
        f"or removed, and {_epsilon(edges.replacement)} if it is replaced by any other, at delta "
        f"{plain_delta(delta)}. Epsilons add up, and so do deltas.",
    ]
    if any(isinstance(feature, Categorical) for feature in spec.features):
        said.append("Lists of categories carry no noise; the report does not count what they tell.")
    if any(getattr(feature, "means", None) is not None for feature in spec.features):
        said.append("Means of leaves carry no noise; the report does not count what they tell.")
    return said


def _epsilon(value: float | None) -> str:
    return "no epsilon" if value is None else f"epsilon {upward(value)}"


def edges_assumptions(edges: EdgesPrivacy | None) -> list[str]:
    """Return what the figures of edges take for granted."""
    if edges is None:
        return []
    return [
        f"At least {edges.n_parts} of the owners who counted ran this code as it is and told nobody their parts of "
        "the noise, and of the counts nothing but sums was opened. Counting began on intervals that do not depend on "
        f"the data, and no record was in more than {edges.n_counts} counts."
    ]
