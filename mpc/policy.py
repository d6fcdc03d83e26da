"""What the owners settle in public before they meet: the same at every owner, or there is no agreement."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from hashcomb.channels import kind_of
from hashcomb.documents import settle_types
from hashcomb.errors import ChannelError, SpecError
from hashcomb.scalars import category_tuple
from hashcomb.spec import MAX_DEPTH, ChannelSpec, TokenKind

__all__ = ("HASHES", "NO_CHANNEL", "STEPS", "Policy", "Votes")

MAX_MARGIN = 1_000_000
MAX_RANK = 1 << 20
NO_CHANNEL = "none"
HASHES = ("blake2b", "siphash", "xxh3")


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The public part of an agreement.

    Parameters
    ----------
    label : str
        Any text that tells two agreements apart.
    edges : {"quantile", "noisy", "uniform"}
        Leaves of equal mass over the records of all owners, found exactly by secure bisection ("quantile") or
        from noisy counts with differential privacy ("noisy"); or leaves of equal width ("uniform").
    edges_epsilon, edges_delta : float
        What a record's presence may cost by noisy edges, of all features together.
    precision : {"grid", "exact"}
        "grid" rounds ranges outward to 24 bits (a relative slack below 2.5e-4) and finds edges on a grid of
        at most 2**24 cells in the range; "exact" opens the exact doubles, which are values of real records.
        Numbers of few digits, such as ages, are on the grid already. Noisy edges have a grid of their own.
    range_rank : int
        Ranges reach from the k-th smallest to the k-th largest; k - 1 wild values at each end are left out.
    range_of : {"records", "owners"}
        What is ranked: all values, or the extremes of every owner.
    categorical : tuple of str
        Columns of categories; their lists are the union of those of all owners.
    categories : dict of str to tuple
        Columns of categories whose list is public knowledge: nothing of them is opened.
    unknown : {"error", "token"}
        As in `hashcomb.Spec`.
    means : int
        Agree on the conditional mean of each leaf with at least so many records; 0 for none.
    rows : {"hidden", "rounded", "exact"}
        What is opened of the number of rows of all owners together.
    depth_rule : {"median", "min", "max"}
        How the owners' votes on the depth are combined.
    depth_max : int
        Largest depth that can be voted for, 1 to 20.
    margin : float
        Enlarge every agreed range by this part of its width on both sides, 0 to a million.
    channels : tuple of str
        Kinds of channels to vote on, "none" among them if owners may ask for deterministic tokens. The epsilon
        of a value is then the least that an owner names.
    hashes : tuple of str
        Hash families to vote on.
    escrow : int
        Share the Key so that so many owners can restore it; 0 for no shares.
    outside, missing, hash, token_bits, tokens, channel
        As in `hashcomb.Spec`.

    Raises
    ------
    SpecError
        If a field has another type or none of the values above, or two exclude each other; ``path`` names it.
    """

    label: str = ""
    edges: Literal["quantile", "noisy", "uniform"] = "quantile"
    edges_epsilon: float = 1.0
    edges_delta: float = 1e-6
    precision: Literal["grid", "exact"] = "grid"
    range_rank: int = 1
    range_of: Literal["records", "owners"] = "records"
    categorical: tuple[str, ...] = ()
    categories: dict[str, tuple[str | int, ...]] = {}
    unknown: Literal["error", "token"] = "error"
    means: int = 0
    rows: Literal["hidden", "rounded", "exact"] = "hidden"
    depth_rule: Literal["median", "min", "max"] = "median"
    depth_max: int = 12
    margin: float = 0.0
    outside: Literal["clip", "error"] = "clip"
    missing: Literal["error", "token"] = "error"
    hash: Literal["blake2b", "siphash", "xxh3"] = "blake2b"
    hashes: tuple[str, ...] = ()
    token_bits: Literal[64, 32] = 64
    tokens: TokenKind = "leaf"
    channel: ChannelSpec | None = None
    channels: tuple[str, ...] = ()
    escrow: int = 0

    def __post_init__(self) -> None:
        settle_types(self)
        _within(self.depth_max, 1, MAX_DEPTH, "depth_max")
        _within(self.margin, 0, MAX_MARGIN, "margin")
        _within(self.range_rank, 1, MAX_RANK, "range_rank")
        _within(self.means, 0, MAX_RANK, "means")
        _within(self.escrow, 0, 64, "escrow")
        if self.escrow == 1:
            raise SpecError(
                "one owner alone would restore the Key", path="escrow", hint="0 for no shares, or 2 or more"
            )
        _check_ballots(self)
        _check_categories(self)
        if self.edges == "noisy":
            _check_noisy(self)

    @property
    def public(self) -> dict[str, Any]:
        """The policy as a document; what stands at its default is part of it."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document

    @property
    def text_columns(self) -> tuple[str, ...]:
        """Columns of categories, listed or to be listed."""
        return (*self.categorical, *self.categories)

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps of an agreement under this policy, in order."""
        wanted = {
            "rows": self.rows != "hidden",
            "votes": bool(self.channels or self.hashes),
            "categories": bool(self.categorical),
            "ranges": self.edges != "noisy",
            "edges": self.edges != "uniform",
            "means": self.means > 0,
            "escrow": self.escrow > 0,
        }
        return tuple(step for step in STEPS if wanted.get(step, True))


STEPS = (
    "connect",
    "nonces",
    "depth",
    "votes",
    "rows",
    "categories",
    "ranges",
    "edges",
    "means",
    "key",
    "escrow",
    "confirm",
)
"""Names of all steps of an agreement, in order; a policy takes some of them."""


def _within(value: float, low: float, high: float, path: str) -> None:
    if not low <= value <= high:
        raise SpecError(f"must be a number from {low} to {high}", path=path)


def _check_ballots(policy: Policy) -> None:
    if policy.channel is not None and policy.channels:
        raise SpecError("excludes a vote on channels", path="channel", hint="leave out one of the two")
    for name, listed in (("channels", policy.channels), ("hashes", policy.hashes)):
        if len(set(listed)) != len(listed):
            raise SpecError("a choice occurs twice", path=name)
    if not set(policy.hashes) <= set(HASHES):
        raise SpecError(f"must be some of {', '.join(HASHES)}", path="hashes")
    for kind in policy.channels:
        try:
            _ = kind == NO_CHANNEL or kind_of(kind)
        except ChannelError as error:
            raise SpecError(error.problem, path="channels", hint=error.hint) from None


def _check_categories(policy: Policy) -> None:
    if len(set(policy.text_columns)) != len(policy.text_columns):
        raise SpecError("a column occurs twice", path="categorical")
    for name, listed in policy.categories.items():
        try:
            category_tuple(listed)
        except SpecError as error:
            raise error.within(f"categories.{name}") from None


def _check_noisy(policy: Policy) -> None:
    if not 0 < policy.edges_epsilon < 100:
        raise SpecError("must be above 0 and below 100", path="edges_epsilon")
    if not 0 < policy.edges_delta < 1:
        raise SpecError("must be between 0 and 1", path="edges_delta", hint="well below one in the number of records")
    for path, spoils in (
        ("means", policy.means > 0),
        ("rows", policy.rows != "hidden"),
        ("range_rank", policy.range_rank > 1),
        ("range_of", policy.range_of != "records"),
    ):
        if spoils:
            hint = "noisy edges bring their own ranges and counts; or choose edges = 'quantile'"
            raise SpecError("would open figures without noise beside noisy edges", path=path, hint=hint)


class Votes(msgspec.Struct, frozen=True, kw_only=True):
    """What one owner wants, where the policy leaves it to the owners; nobody else sees it.

    Parameters
    ----------
    depth : int
        Levels of the comb.
    epsilon : float, optional
        The largest epsilon of a value that this owner agrees to; None to leave it to the others.
    channel, hash : str, optional
        One of the policy's ``channels`` and ``hashes``; None to leave it to the others.
    """

    depth: int = 4
    epsilon: float | None = None
    channel: str | None = None
    hash: str | None = None

    def check(self, policy: Policy) -> None:
        """Raise `SpecError` if the policy knows no such votes."""
        if isinstance(self.depth, bool) or not isinstance(self.depth, int) or not 1 <= self.depth <= policy.depth_max:
            raise SpecError(f"must be a whole number from 1 to {policy.depth_max}", path="votes.depth")
        if self.epsilon is not None and not 0 < self.epsilon < float("inf"):
            raise SpecError("must be a finite number above 0", path="votes.epsilon")
        for name, chosen, listed in (
            ("channel", self.channel, policy.channels),
            ("hash", self.hash, policy.hashes),
            ("epsilon", None if self.epsilon is None else "", ("",) if policy.channels else ()),
        ):
            if chosen is not None and chosen not in listed:
                hint = f"the policy lists {', '.join(filter(None, listed)) or 'none'}"
                raise SpecError("is not put to the vote", path=f"votes.{name}", hint=hint)
