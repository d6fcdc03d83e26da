"""What an audit found, for people and for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from decimal import ROUND_FLOOR, Decimal
from typing import Literal

import msgspec

from hashcomb.privacy.report.wording import channel_name, upward

__all__ = ("AuditResult", "ChannelAudit", "Check")

_WIDTH = 96
_SHOWN_NAMES = 4


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One test of what was drawn against what is stated.

    Parameters
    ----------
    name : str
        What was compared.
    p_value : float
        At most this probable for a right channel, all comparisons of the check counted.
    passed : bool
        Whether `p_value` is not below the check's share of the false-alarm rate.
    where : str
        If it is: the most conspicuous place.
    """

    name: str
    p_value: float
    passed: bool
    where: str = ""


class ChannelAudit(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one channel, which several features may share.

    Parameters
    ----------
    kind : str
        Kind of the channel.
    features : tuple of str
        The features whose reports were pooled.
    claim : float or None
        Epsilon that is claimed for one report; None where no finite one is.
    lower_bound : float
        Certified: the code that ran has at least this epsilon.
    pair : (int, int) or None
        The two true leaves that the bound was proved with; the number behind the last leaf stands for missing
        values. None where every value falls in one leaf.
    event : tuple of int
        The reports that tell the first of the pair from the second.
    draws : int
        Reports of this channel that were drawn, those of the pilot among them.
    checks : tuple of Check
        Goodness of fit to the channel's matrix.
    """

    kind: str
    features: tuple[str, ...]
    claim: float | None
    lower_bound: float
    pair: tuple[int, int] | None
    event: tuple[int, ...]
    draws: int
    checks: tuple[Check, ...]

    @property
    def exceeded(self) -> bool:
        """Whether the certified epsilon is above the claim."""
        return self.claim is not None and self.lower_bound > self.claim


class AuditResult(msgspec.Struct, frozen=True, kw_only=True):
    """What an audit found.

    Parameters
    ----------
    fingerprint : str
        Fingerprint of the Spec.
    confidence : float
        All lower bounds together hold with at least this probability, and a right channel is called right.
    channels : tuple of ChannelAudit
        Each different channel once.
    record : tuple of Check
        Whether reports are independent of each other, given the values.
    verdict : {"consistent", "caught"}
        Caught: a lower bound is above its claim, or a check failed.
    statements : tuple of str
        How this was found, and what it does not say.
    """

    fingerprint: str
    confidence: float
    channels: tuple[ChannelAudit, ...]
    record: tuple[Check, ...]
    verdict: Literal["consistent", "caught"]
    statements: tuple[str, ...]

    @property
    def caught(self) -> bool:
        """Whether the claim, or the channel's matrix, is refuted."""
        return self.verdict == "caught"

    def to_json(self) -> str:
        """Return the result as JSON text."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()

    def to_text(self) -> str:
        """Return the result as text for people."""
        verdict = "CAUGHT" if self.caught else "consistent"
        lines = [f"Audit of the Spec {self.fingerprint[:16]}: {verdict}"]
        for found in self.channels:
            lines += ["", _title(found), *_epsilon_lines(found), *_check_lines(found.checks)]
        lines += ["", "Reports of records, given their values", *_check_lines(self.record), ""]
        for statement in self.statements:
            lines += textwrap.wrap(statement, _WIDTH, initial_indent="- ", subsequent_indent="  ")
        return "\n".join(lines) + "\n"


def _title(found: ChannelAudit) -> str:
    names = ", ".join(found.features[:_SHOWN_NAMES]) + (", ..." if len(found.features) > _SHOWN_NAMES else "")
    n_features = len(found.features)
    return f"{channel_name(found.kind)} on {n_features} feature{'s' * (n_features != 1)} ({names})"


def _epsilon_lines(found: ChannelAudit) -> Iterator[str]:
    claim = "none: no differential privacy" if found.claim is None else upward(found.claim)
    certified = str(Decimal(found.lower_bound).quantize(Decimal("0.0001"), rounding=ROUND_FLOOR))
    if found.pair is None:
        how = "every value falls in one leaf"
    else:
        n_told = len(found.event)
        how = (
            f"{found.draws:,} reports; {n_told} kind{'s' * (n_told != 1)} of report "
            f"tell{'s' * (n_told == 1)} leaf {found.pair[0]} from leaf {found.pair[1]}"
        )
    yield f"  epsilon claimed                {claim}"
    yield f"  epsilon certified, at least    {certified}{'  ABOVE THE CLAIM' * found.exceeded}  ({how})"


def _check_lines(checks: tuple[Check, ...]) -> Iterator[str]:
    for check in checks:
        outcome = "passed" if check.passed else "FAILED"
        where = f"  {check.where}" if check.where else ""
        yield f"  {check.name:30} {outcome}  (p <= {max(check.p_value, 1e-300):.2g}){where}"
