"""What follows from a Spec for whom, in sentences. Each must be true as it stands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hashcomb.channels import reported_features
from hashcomb.privacy.release import Release
from hashcomb.privacy.report.edges import EdgesPrivacy, edges_assumptions, edges_statements
from hashcomb.spec import Spec

__all__ = ("Statements", "statements_of")


@dataclass(frozen=True)
class Statements:
    """The sentences of a report, by what they are about."""

    neighbors: str
    key_holder: str
    outsider: str
    others: tuple[str, ...]
    assumptions: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Everything but the assumptions, in the order in which it is read."""
        return (self.neighbors, self.key_holder, self.outsider, *self.others)


def statements_of(
    spec: Spec, releases: Sequence[Release], rounds: int, edges: EdgesPrivacy | None, delta: float
) -> Statements:
    """Return the sentences of a Spec.

    Parameters
    ----------
    spec : Spec
        What is asked about.
    releases : sequence of Release
        One for each feature.
    rounds : int
        How many times a record is encoded.
    edges : EdgesPrivacy or None
        What ranges and edges cost, if they were found from counts with noise.
    delta : float
        The delta of that.
    """
    randomized = spec.channel is not None
    what = "leaf" if not randomized else "reported leaf" if _reports_leaves(releases) else "report"
    return Statements(
        neighbors=_neighbors(randomized, spec),
        key_holder=_key_holder(what, randomized),
        outsider=_outsider(spec, what),
        others=(*edges_statements(spec, edges, delta), *_others(spec, releases, randomized)),
        assumptions=_assumptions(randomized, rounds, edges),
    )


def _reports_leaves(releases: Sequence[Release]) -> bool:
    return all(release.n_tokens == release.n_symbols for release in releases)


def _neighbors(randomized: bool, spec: Spec) -> str:
    if not randomized:
        return "Deterministic tokens have no differential privacy at any epsilon; what protects them is the Key."
    about = "one record is replaced by any other, and everything else stays (local model)."
    if len(spec.features) == 1:
        return f"Neighbors: {about}"
    return f"Neighbors: {about} For the epsilon of a value, any value of the feature by any other."


def _key_holder(what: str, randomized: bool) -> str:
    if randomized:
        return f"A key holder reads every token: its {what}, noise included. Every claim holds against them too."
    return "A key holder reads every token: its leaf."


def _outsider(spec: Spec, what: str) -> str:
    if spec.tokens == "comb":
        return (
            f"Without the Key, a path of tokens shows at which level any two {what}s of a feature part, and so "
            "nearly their order and distance."
        )
    return (
        f"Without the Key, a token shows which rows of a feature have the same {what}, and how frequent each is; "
        f"with outside knowledge of frequencies, and above all of how features go together, many {_plural(what)} can "
        "be recognized (hashcomb.attacks)."
    )


def _plural(what: str) -> str:
    return what.replace("leaf", "leaves") if what.endswith("leaf") else what + "s"


def _others(spec: Spec, releases: Sequence[Release], randomized: bool) -> tuple[str, ...]:
    said = []
    if spec.hash == "xxh3":
        said.append("xxh3 is no pseudorandom function: one known (value, token) pair opens the whole codebook.")
    if not randomized:
        return tuple(said)
    n_reported, n_features = reported_features(spec), len(spec.features)
    if n_reported < n_features:
        said.append(
            f"A record reports {n_reported} of its {n_features} features, drawn at random for each record whatever "
            "it holds. Which ones may be known: the epsilon of a record is the worst over all choices."
        )
    if any(math.isinf(release.epsilon) for release in releases):
        said.append(
            "This channel has no epsilon: some token is possible for one value and impossible for another. At "
            "every epsilon, its delta is at least the probability of such tokens, at the worst pair of values."
        )
        said.append("Encoding the same record again with fresh randomness tells more, and has no epsilon either.")
    else:
        said.append("Encoding the same record again with fresh randomness costs its epsilon again.")
    said.append("A run with a seed carries no privacy, whatever is printed here.")
    return tuple(said)


def _assumptions(randomized: bool, rounds: int, edges: EdgesPrivacy | None) -> tuple[str, ...]:
    said = ["The Key is secret: without that, tokens are their leaves."]
    if randomized:
        times = "once" if rounds == 1 else f"{rounds} times at most"
        said = [
            "Each value of each record has random words of its own, independent and uniform: those of AES-256 under a "
            "secret that nobody else has, and not of a seed.",
            f"Owners run this code as it is, and encode each record with fresh randomness {times}.",
            "The Spec is public and was not chosen by looking at a record whose privacy is claimed here"
            + (", but for edges and ranges, whose cost is said." if edges else "."),
        ]
    said += edges_assumptions(edges)
    said.append(
        "Labels, columns that are kept, the index, the number and order of rows and timing are not covered: what "
        "they tell comes on top."
    )
    return tuple(said)
