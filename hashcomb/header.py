"""What is public about tokens, and the array that carries it."""

from __future__ import annotations

import re
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from hashcomb.errors import FileFormatError
from hashcomb.spec import MAX_DEPTH, MAX_NAME, ChannelSpec, TokenKind

__all__ = ("SymbolDomain", "TokenArray", "TokenHeader", "header_of_frame", "stamp")

_MAX_ROUND = 1 << 63


class SymbolDomain(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a channel's symbols are, so that one who has no Key can rebuild the channel.

    Parameters
    ----------
    used : tuple of int
        How many leaves each feature can fill.
    ordered : tuple of bool
        Whether they are the leaves of a comb, in order; categories are not.
    missing : bool
        Whether missing values have a symbol of their own, behind the others.
    blank : tuple of int, optional
        Each feature's token of what is not reported, where records report only some of their features.
    """

    used: tuple[int, ...]
    ordered: tuple[bool, ...]
    missing: bool
    blank: tuple[int, ...] | None = None

    def fits(self, header: TokenHeader) -> bool:
        """Return whether a Spec with these names and this depth can have such symbols."""
        n_features = len(header.features)
        lengths = {len(self.used), len(self.ordered), n_features if self.blank is None else len(self.blank)}
        tokens = all(0 <= token < 1 << header.token_bits for token in self.blank or ())
        return lengths == {n_features} and tokens and all(1 <= used <= 1 << header.depth for used in self.used)


class TokenHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is public about tokens, stamped on everything encoded.

    Parameters
    ----------
    fingerprint : str
        Fingerprint of the Spec.
    key_id : str
        Public name of the Key.
    features : tuple of str
        Column names, in order.
    tokens : {"leaf", "comb"} or int
        Which nodes the tokens stand for.
    depth : int
        Levels of the comb.
    token_bits : int
        64 or 32.
    dataset : str
        Name of the data set, a public salt.
    round : int
        Number of the round, a public salt.
    channel : ChannelSpec, optional
        The randomizer that the leaves went through; none for tokens of true leaves.
    domain : SymbolDomain, optional
        The symbols of the channel, from version 2 on.
    version : int
        Version of this format: 2 where there is a domain, else 1.
    """

    fingerprint: str
    key_id: str
    features: tuple[str, ...]
    tokens: TokenKind
    depth: int
    token_bits: int
    dataset: str = ""
    round: int = 0
    channel: ChannelSpec | None = None
    domain: SymbolDomain | None = None
    version: int = 1

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the token columns: a feature's name, with ``@level`` behind it for all levels."""
        if self.tokens != "comb":
            return self.features
        return tuple(f"{name}@{level}" for name in self.features for level in range(1, self.depth + 1))

    def differs_from(self, other: TokenHeader) -> str | None:
        """Return the first field for which tokens of both cannot be compared, None if they can."""
        origin = ("fingerprint", "key_id", "dataset", "round")
        return next((field for field in origin if getattr(self, field) != getattr(other, field)), None)

    def to_json(self) -> str:
        """Return the header as one line of JSON."""
        document = msgspec.to_builtins(self)
        if self.domain is None:
            del document["domain"]  # version 1, which has no such field
        return msgspec.json.encode(document).decode()

    @classmethod
    def from_json(cls, text: str | bytes, *, file: str = "tokens") -> Self:
        """Read a header; raise `FileFormatError` if it is none."""
        try:
            header = msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise FileFormatError("the header cannot be read", file=file) from None
        if header.version not in (1, 2):
            raise FileFormatError("the header is of another version", file=file)
        if not _is_plausible(header):
            raise FileFormatError("the header holds what no header can", file=file)
        return header


def header_of_frame(frame: Any) -> TokenHeader | None:
    """Return the header that a pandas or pyarrow frame of tokens carries, None if there is none."""
    attributes = getattr(frame, "attrs", None)
    text = attributes.get("hashcomb") if isinstance(attributes, dict) else None
    if text is None and getattr(getattr(frame, "schema", None), "metadata", None):
        text = frame.schema.metadata.get(b"hashcomb")
    return TokenHeader.from_json(text) if text is not None else None


class TokenArray(np.ndarray[Any, np.dtype[Any]]):
    """An array of tokens that carries its `TokenHeader`.

    Slices, copies and pickles carry it too; the result of arithmetic or comparison is a plain array.

    Attributes
    ----------
    header : TokenHeader or None
        What is public about the tokens.
    """

    header: TokenHeader | None = None

    def __array_finalize__(self, parent: Any) -> None:
        self.header = getattr(parent, "header", None)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if options.get("out"):
            options["out"] = tuple(map(_plain, options["out"]))
        return getattr(ufunc, method)(*map(_plain, inputs), **options)

    def __reduce__(self) -> Any:
        return stamp, (np.array(self, subok=False), self.header)


def _is_plausible(header: TokenHeader) -> bool:
    """Return whether a header, which may come from anybody, is one that encoding could have written."""
    names = header.features
    return (
        0 < len(names) == len(set(names))
        and all(0 < len(name) <= MAX_NAME and name.isprintable() for name in names)
        and 1 <= header.depth <= MAX_DEPTH
        and (isinstance(header.tokens, str) or 1 <= header.tokens <= header.depth)
        and header.token_bits in (32, 64)
        and 0 <= header.round < _MAX_ROUND
        and re.fullmatch("[0-9a-f]{64}", header.fingerprint) is not None
        and re.fullmatch("[0-9a-f]{16}", header.key_id) is not None
        and (header.channel is None or header.channel.kind.isprintable())
        and (header.version == 2) == (header.domain is not None)
        and (header.domain is None or (header.channel is not None and header.domain.fits(header)))
    )


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, TokenArray) else value


def stamp(tokens: NDArray[Any], header: TokenHeader | None) -> TokenArray:
    """Return a view of the tokens that carries the header."""
    stamped = tokens.view(TokenArray)
    stamped.header = header
    return stamped
