"""Laws of tokens: what one who learns from randomized tokens must know of the channel, without a value or an edge.

For randomized response the header of the tokens says all of it: every report is as likely as every other unless it is
the true one, so that it does not matter which token stands for which leaf. For channels that respect the order of
leaves it does matter, and only a holder of the Key can say (`hashcomb.HashComb.laws`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, cast, overload

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashcomb.channels import Channel, RandomizedResponse, channels_of, reported_features
from hashcomb.columns import as_frame
from hashcomb.documents import parse_json
from hashcomb.errors import ChannelError, DataError, FileFormatError
from hashcomb.header import TokenHeader, header_of
from hashcomb.spec import Categorical, ChannelSpec, Feature, Spec, Uniform

__all__ = ("TokenLaw", "TokenLaws", "laws_of", "table_of")

Array = NDArray[Any]
Floats = NDArray[np.float64]

MAX_SYMBOLS = 1 << 12  # more would make matrices of more than 128 MiB a column
_BIASED = 1e-8  # how far the mean of codes that are called unbiased may be off


@dataclass(frozen=True, eq=False)
class TokenLaw:
    """How the tokens of one column come about.

    Parameters
    ----------
    column : str
        Name of the token column.
    reports : ndarray of uint, shape (n_reports,)
        Tokens that the column can hold, sorted.
    symbols : ndarray of uint, shape (n_symbols,)
        Tokens of true values (`hashcomb.HashComb.encode_clean`), sorted.
    matrix : ndarray of float64, shape (n_symbols, n_reports)
        Probability of each report for each true value, where it is reported. Rows sum to one, or to less where
        a report has not occurred in the tokens that the law was read from.
    codes : ndarray of float64, shape (n_reports, n_symbols), or None
        Unbiased indicators: the mean over reports of row ``codes[report]`` is the indicator of the true value.
        None where there are none.
    reported : float
        Probability that a record reports this feature at all.
    blank : int or None
        Token of a feature that is not reported.
    """

    column: str
    reports: Array
    symbols: Array
    matrix: Floats
    codes: Floats | None
    reported: float = 1.0
    blank: int | None = None

    @property
    def randomized(self) -> bool:
        """Whether there is a channel to undo."""
        return self.reported < 1 or not np.array_equal(self.matrix, np.eye(len(self.matrix)))

    def require_codes(self) -> Floats:
        """Return the unbiased indicators; raise `ChannelError` if there are none."""
        if self.codes is None:
            raise ChannelError(
                f"column {self.column!r}: this channel cannot be undone: its reports do not tell the leaves apart",
                hint="encode at a lower depth, or with randomized response",
            )
        return self.codes

    def posterior(self, prior: ArrayLike | None = None) -> Floats:
        """Return ``Pr[symbol | report]``, shape (n_reports, n_symbols).

        Parameters
        ----------
        prior : array_like of float, shape (n_symbols,), optional
            Share of each symbol; uniform by default.
        """
        weights = np.ones(len(self.symbols)) if prior is None else np.asarray(prior, dtype=np.float64)
        joint = (weights[:, None] * self.matrix).T
        total = joint.sum(axis=1, keepdims=True)
        return np.asarray(np.divide(joint, total, out=np.full_like(joint, 1 / len(weights)), where=total > 0))


class TokenLaws(Sequence[TokenLaw]):
    """The laws of all columns of a table of tokens.

    Parameters
    ----------
    header : TokenHeader or None
        Of the tokens that the laws are of; None for tokens that carry none.
    laws : sequence of TokenLaw
        One for each column.

    Notes
    -----
    Privacy: laws from a holder of the Key (`hashcomb.HashComb.laws`) tell which tokens of a column are likely
    reports of each other's values, and so the order of leaves, up to its direction, where the channel respects it;
    and which tokens a record without noise would have. They hold no value and no edge.
    """

    def __init__(self, header: TokenHeader | None, laws: Sequence[TokenLaw]) -> None:
        self.header, self._laws = header, tuple(laws)

    @overload
    def __getitem__(self, index: int) -> TokenLaw: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[TokenLaw]: ...
    def __getitem__(self, index: int | slice) -> TokenLaw | Sequence[TokenLaw]:
        return self._laws[index]

    @property
    def randomized(self) -> bool:
        """Whether any column went through a channel."""
        return any(law.randomized for law in self)

    def __repr__(self) -> str:
        channel = self.header.channel if self.header is not None else None
        return f"TokenLaws({len(self)} columns, {'no channel' if channel is None else channel.kind})"

    def __len__(self) -> int:
        return len(self._laws)

    def __iter__(self) -> Iterator[TokenLaw]:
        return iter(self._laws)

    def to_json(self) -> str:
        """Return the laws as JSON, for a key holder to give to a trainer.

        Raises
        ------
        DataError
            If they were read off tokens without a header: whoever has those reads the same.
        """
        if self.header is None:
            raise DataError("laws of tokens without a header are not written", hint="read them off the tokens")
        columns = [
            _Column(
                column=law.column,
                reports=law.reports.tolist(),
                symbols=law.symbols.tolist(),
                matrix=law.matrix.tolist(),
                reported=law.reported,
                blank=law.blank,
            )
            for law in self
        ]
        return msgspec.json.encode(_Document(header=self.header.to_json(), columns=columns)).decode()

    @classmethod
    def from_json(cls, text: str | bytes, *, file: str = "laws") -> Self:
        """Read laws.

        Raises
        ------
        FileFormatError
            If these are none.
        """
        try:
            document = msgspec.convert(parse_json(text), _Document)
        except (msgspec.ValidationError, ValueError):
            raise FileFormatError("holds no laws of tokens", file=file) from None
        header = TokenHeader.from_json(document.header, file=file)
        if document.version != 1 or tuple(column.column for column in document.columns) != header.columns:
            raise FileFormatError("holds no laws of its header's columns, or another version of them", file=file)
        return cls(header, [column.law(header, file) for column in document.columns])


class _Column(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    column: str
    reports: list[int]
    symbols: list[int]
    matrix: list[list[float]]
    reported: float
    blank: int | None

    def law(self, header: TokenHeader, file: str) -> TokenLaw:
        """Return the law, checked; raise `FileFormatError` if it is none."""
        shape, dtype = (len(self.symbols), len(self.reports)), f"uint{header.token_bits}"
        try:
            refuse_too_many(self.column, self.symbols)
            matrix = np.array(self.matrix, dtype=np.float64)
            reports, symbols = (np.array(tokens, dtype=dtype) for tokens in (self.reports, self.symbols))
        except (ValueError, OverflowError, ChannelError):
            raise FileFormatError("holds laws that are none", file=file) from None
        stochastic = matrix.shape == shape and (matrix >= 0).all() and np.abs(matrix.sum(axis=1) - 1).max() <= _BIASED
        ordered = all((tokens[1:] > tokens[:-1]).all() for tokens in (reports, symbols))
        blank = self.blank is None or (0 <= self.blank < 1 << header.token_bits and self.blank not in self.reports)
        if not stochastic or not ordered or not blank or not 0 < self.reported <= 1:
            raise FileFormatError("holds laws that are none", file=file)
        return TokenLaw(self.column, reports, symbols, matrix, unbiased_codes(matrix), self.reported, self.blank)


class _Document(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    header: str
    columns: list[_Column]
    version: int = 1


# ---------------------------------------------------------------------- from the header alone
def laws_of(tokens: Any, header: TokenHeader | None = None) -> TokenLaws:
    """Read the laws of tokens off their header; no Key is needed.

    Parameters
    ----------
    tokens : TokenArray or data frame, shape (n_rows, n_features)
        Leaf tokens; of a frame those columns that the header names. Those tokens that occur in a column are taken for
        all that there are: where there are very few rows, ones that did not occur are unknown.
    header : TokenHeader, optional
        By default that of the tokens. Without any, or with one that names no channel, tokens are those of true values.

    Returns
    -------
    TokenLaws

    Raises
    ------
    ChannelError
        If the channel is none whose law the header tells: anything but randomized response; or if a column has more
        different tokens than 4096.
    DataError
        If the tokens are not one a feature.
    """
    header = header_of(tokens) if header is None else header
    array = table_of(tokens, None if header is None else header.columns)
    if array.ndim != 2 or len(array) == 0:
        raise DataError("laws are those of tables of leaf tokens with at least one row", hint="pass two dimensions")
    names = [f"x{j}" for j in range(array.shape[1])] if header is None else list(header.columns)
    if len(names) != array.shape[1]:
        raise DataError(f"{array.shape[1]} columns of tokens, where the header names {len(names)}")
    seen = [np.unique(column) for column in array.T]
    if header is None or header.channel is None:
        return TokenLaws(header, [_certain(name, tokens) for name, tokens in zip(names, seen, strict=True)])
    outline = cast(Spec, _outline(header))
    channels, share = channels_of(outline) or (), reported_features(outline) / len(header.features)
    each = zip(names, seen, channels, _blanks(header), strict=True)
    return TokenLaws(header, [_of_header(name, tokens, channel, share, blank) for name, tokens, channel, blank in each])


def table_of(tokens: Any, columns: Sequence[str] | None) -> Array:
    """Return tokens as an array; of a frame the columns of these names, all of them if there are no names.

    Raises
    ------
    DataError
        If a frame lacks one of these columns.
    """
    frame = as_frame(tokens)
    if frame is None:
        return np.asarray(tokens)
    names = frame.columns if columns is None else columns
    for name in names:
        if name not in frame.columns:
            raise DataError("is missing", column=name, hint="pass the frame that encode gave")
    return np.stack([frame[name].to_numpy() for name in names], axis=1)


def _blanks(header: TokenHeader) -> Sequence[int | None]:
    domain = header.domain
    return [None] * len(header.features) if domain is None or domain.blank is None else domain.blank


def _certain(column: str, tokens: Array) -> TokenLaw:
    refuse_too_many(column, tokens)
    eye = np.eye(len(tokens))
    return TokenLaw(column, tokens, tokens, eye, eye)


class _Outline(NamedTuple):
    """What `channels_of` looks at of a Spec: a header tells it, without edges and categories."""

    features: tuple[Feature, ...]
    used_leaves: tuple[int, ...]
    missing: str
    channel: ChannelSpec | None
    tokens: str = "leaf"


def _outline(header: TokenHeader) -> _Outline:
    """Return the channel and the symbols of a header."""
    kind = header.channel.kind if header.channel is not None else ""
    if kind != RandomizedResponse.kind or header.domain is None or header.tokens != "leaf":
        problem = f"the header does not tell the law of these tokens (channel {kind!r}, tokens {header.tokens!r})"
        hint = "pass laws=, which a key holder has from HashComb.laws(), or encode leaf tokens with randomized response"
        if header.version == 1:
            hint = "these tokens are of an older version: encode again, or pass laws= from HashComb.laws()"
        raise ChannelError(problem, hint=hint)
    domain = header.domain
    features = tuple(map(_feature_like, header.features, domain.ordered))
    return _Outline(features, domain.used, "token" if domain.missing else "error", header.channel)


def _feature_like(name: str, ordered: bool) -> Feature:
    return Uniform(name=name, lo=0.0, hi=1.0) if ordered else Categorical(name=name, categories=(name,))


def _of_header(column: str, tokens: Array, channel: Channel, share: float, blank: int | None) -> TokenLaw:
    if blank is not None:
        refuse_two_blanks(column, channel)
        tokens = tokens[tokens != blank]
    if len(tokens) > channel.n_reports:
        problem = f"{len(tokens)} different tokens, where its channel has {channel.n_reports} reports"
        raise DataError(problem, column=column, hint="the tokens were edited, or are of several encodings")
    return symmetric_law(column, tokens, cast(RandomizedResponse, channel), share, blank)


def symmetric_law(column: str, tokens: Array, channel: RandomizedResponse, share: float, blank: int | None) -> TokenLaw:
    """Return the law of randomized response: all reports but the true one are as likely, to 2**-32.

    Parameters
    ----------
    column : str
        Name of the token column.
    tokens : ndarray of uint, shape (n_reports,)
        Its reports, sorted, or those of them that occur.
    channel : RandomizedResponse
        Bound to the column's symbols.
    share : float
        Probability that a record reports the feature.
    blank : int or None
        Token of a feature that is not reported.

    Raises
    ------
    ChannelError
        If there are too many tokens for a matrix.
    """
    refuse_too_many(column, tokens)
    stay = float(channel.worst_pair()[0, 0])
    other = (1 - stay) / (channel.n_reports - 1)
    eye = np.eye(len(tokens))
    return TokenLaw(column, tokens, tokens, other + (stay - other) * eye, (eye - other) / (stay - other), share, blank)


def refuse_too_many(column: str, tokens: Array | Sequence[int]) -> None:
    """Raise `ChannelError` where the law of a column would be too large a matrix."""
    if len(tokens) > MAX_SYMBOLS:
        raise ChannelError(
            f"column {column!r}: the law of {len(tokens)} different tokens is too large, at most {MAX_SYMBOLS} fit",
            hint="encode at a lower depth",
        )


def refuse_two_blanks(column: str, channel: Channel) -> None:
    """Raise `ChannelError` where missing values and features that are not reported have one token."""
    if channel.has_missing:
        raise ChannelError(
            f"column {column!r}: a missing value and a feature that is not reported have one token",
            hint="fill missing values, or report all features",
        )


def unbiased_codes(matrix: Floats) -> Floats | None:
    """Return the unbiased indicators of least variance under uniform symbols, shape (n_reports, n_symbols).

    None where there are none: some symbols have the same law, or one of their mixtures has.
    """
    weight = np.sqrt(matrix.mean(axis=0))
    scaled = np.divide(matrix, weight, out=np.zeros_like(matrix), where=weight > 0)
    codes = np.linalg.lstsq(scaled, np.eye(len(matrix)), rcond=None)[0]
    codes = np.divide(codes, weight[:, None], out=np.zeros_like(codes), where=weight[:, None] > 0)
    return codes if np.abs(matrix @ codes - np.eye(len(matrix))).max() <= _BIASED else None
