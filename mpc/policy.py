"""What the owners settle in public before they meet: the same at every owner, or there is no agreement."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from hashcomb.documents import settle_types
from hashcomb.errors import SpecError
from hashcomb.spec import MAX_DEPTH, ChannelSpec, TokenKind

__all__ = ("Policy",)

MAX_MARGIN = 1_000_000


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The public part of an agreement.

    Parameters
    ----------
    label : str
        Any text that tells two agreements apart.
    edges : {"quantile", "uniform"}
        Leaves of equal mass over the records of all owners, or of equal width.
    precision : {"grid", "exact"}
        "grid" rounds ranges outward to 24 bits (a relative slack below 2.5e-4) and finds edges on a grid of
        at most 2**24 cells in the range; "exact" opens the exact doubles, which are values of real records.
        Numbers of few digits, such as ages, are on the grid already.
    depth_rule : {"median", "min", "max"}
        How the owners' votes on the depth are combined.
    depth_max : int
        Largest depth that can be voted for, 1 to 20.
    margin : float
        Enlarge every agreed range by this part of its width on both sides, 0 to a million.
    outside, missing, hash, token_bits, tokens, channel
        As in `hashcomb.Spec`.

    Raises
    ------
    SpecError
        If a field has another type or none of the values above; ``path`` names it.
    """

    label: str = ""
    edges: Literal["quantile", "uniform"] = "quantile"
    precision: Literal["grid", "exact"] = "grid"
    depth_rule: Literal["median", "min", "max"] = "median"
    depth_max: int = 12
    margin: float = 0.0
    outside: Literal["clip", "error"] = "clip"
    missing: Literal["error", "token"] = "error"
    hash: Literal["blake2b", "siphash", "xxh3"] = "blake2b"
    token_bits: Literal[64, 32] = 64
    tokens: TokenKind = "leaf"
    channel: ChannelSpec | None = None

    def __post_init__(self) -> None:
        settle_types(self)
        if not 1 <= self.depth_max <= MAX_DEPTH:
            raise SpecError(f"must be from 1 to {MAX_DEPTH}", path="depth_max")
        if not 0 <= self.margin <= MAX_MARGIN:
            raise SpecError(f"must be a number from 0 to {MAX_MARGIN}", path="margin")

    @property
    def digest(self) -> bytes:
        """SHA-256 of the policy, 32 bytes."""
        return hashlib.sha256(b"hashcomb policy 1\0" + msgspec.json.encode(self, order="deterministic")).digest()
