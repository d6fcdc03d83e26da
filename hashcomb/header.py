"""What is public about tokens, and the array that carries it."""

from __future__ import annotations

import re
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from hashcomb.errors import FileFormatError, FingerprintError
from hashcomb.spec import MAX_DEPTH, MAX_NAME, ChannelSpec, TokenKind

__all__ = ("SymbolDomain", "TokenArray", "TokenHeader", "header_of", "stamp")

_MAX_ROUND = 1 << 63
_ORIGIN = {"fingerprint": "Spec", "key_id": "Key", "dataset": "data set", "round": "round"}


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
        return next((field for field in _ORIGIN if getattr(self, field) != getattr(other, field)), None)

    def require_same(self, other: TokenHeader | None, what: str = "the tokens") -> None:
        """Raise an error unless tokens of both headers can be compared.

        Parameters
        ----------
        other : TokenHeader or None
            What is compared with these tokens; of what has no header, nothing is known, and nothing is refused.
        what : str, optional
            What that is, for the error.

        Raises
        ------
        FingerprintError
            If it was made under another Spec, Key, data set name or round.
        """
        field = None if other is None else self.differs_from(other)
        if field is not None:
            theirs, ours = (str(getattr(header, field))[:16] for header in (other, self))
            problem = f"{what} were made under another {_ORIGIN[field]} ({theirs!r}, here {ours!r})"
            raise FingerprintError(problem, hint="tokens go together only if they were encoded alike, salts included")

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


def header_of(tokens: Any) -> TokenHeader | None:
    """Return the header that tokens carry, as an array or a pandas or pyarrow frame; None if there is none."""
    header = getattr(tokens, "header", None)
    if isinstance(header, TokenHeader):
        return header
    attributes = getattr(tokens, "attrs", None)
    text = attributes.get("hashcomb") if isinstance(attributes, dict) else None
    if text is None and getattr(getattr(tokens, "schema", None), "metadata", None):
        text = tokens.schema.metadata.get(b"hashcomb")
    return TokenHeader.from_json(text) if text is not None else None


class TokenArray(np.ndarray[Any, np.dtype[Any]]):
    """An array of tokens that carries its `TokenHeader`.

    Slices, copies and pickles carry it too, and so do tables that `numpy.concatenate` and `numpy.vstack` put one below
    the other, which must have been made alike; the result of arithmetic or comparison is a plain array.

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

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        done = super().__array_function__(function, types, inputs, options)
        below = function is np.concatenate and options.get("axis", inputs[1] if len(inputs) > 1 else 0) == 0
        if not below or done.ndim < 2:  # one column of tokens beside another: what set operations are made of
            return done
        return stamp(_plain(done), _common([header_of(part) for part in inputs[0]]))

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


def _common(headers: list[TokenHeader | None]) -> TokenHeader | None:
    """Return the header of tables put one below the other, None if some have none; refuse what was not made alike."""
    first = headers[0]
    if first is None or None in headers:
        return None
    for other in headers[1:]:
        first.require_same(other)
        if other is not None and other.channel != first.channel:
            problem = "reports and tokens of true values are to be put into one table"
            raise FingerprintError(problem, hint="learn from reports alone, or from true values alone")
    return first


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, TokenArray) else value


def stamp(tokens: NDArray[Any], header: TokenHeader | None) -> TokenArray:
    """Return a view of the tokens that carries the header."""
    stamped = tokens.view(TokenArray)
    stamped.header = header
    return stamped
