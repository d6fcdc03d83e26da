"""The audit of a Spec, from the first draw to the verdict."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb.audit.drawing import Drawing
from hashcomb.audit.evidence import epsilon_bound, features_apart, places_apart, unlikely
from hashcomb.audit.result import AuditResult, ChannelAudit, Check
from hashcomb.audit.subject import Subject, subjects_of
from hashcomb.channels import reported_features
from hashcomb.channels.channel import positive, whole
from hashcomb.errors import ChannelError
from hashcomb.spec import Spec

__all__ = ("audit",)

Floats = NDArray[np.float64]

MIN_DRAWS = 1000
MAX_DRAWS = 1 << 40
_PILOT_DRAWS = 25_000  # enough to find the pair, and to look at every symbol
_CHECKED = 0.1  # of the false-alarm rate, for the checks; the bounds on epsilon have the rest
_MAX_VALUES = 32  # values encoded for each draw asked for, where features have channels of their own
_MIN_ROWS = 64


def audit(
    spec: Spec,
    *,
    n_draws: int = 1_000_000,
    confidence: float = 0.999,
    feature: str | None = None,
    seed: int | None = None,
) -> AuditResult:
    """Draw reports from the code that encodes, and hold them against what is claimed for it.

    Rows whose values lie in known leaves are encoded by `HashComb` under a fresh Key, and the reports are read
    back from their tokens. From them follows a lower bound on epsilon, certified whatever the code does; and the
    reports are compared with the channel's matrix, and with each other.

    Parameters
    ----------
    spec : Spec
        With a channel; no data is needed.
    n_draws : int, optional
        Reports of each different channel, at least 1000. A tenth (of few, up to a quarter) is spread over all
        leaves, the rest goes to the pair of leaves that then looks worst.
    confidence : float, optional
        From 0.5 to below 1. All lower bounds together hold with this probability at least, and code that does
        what it states is called consistent with this probability at least.
    feature : str, optional
        Name of a feature to audit alone, with all draws for it; by default features that share a channel are
        audited together.
    seed : int, optional
        Makes the audit repeatable, for tests: of the Key and of all noise.

    Returns
    -------
    AuditResult

    Raises
    ------
    SpecError
        If the Spec has no channel, no such feature, or a channel whose matrix is too large to be looked at.
    ChannelError
        If `n_draws` or `confidence` is out of its range.

    Notes
    -----
    Privacy: no record is touched, and the Key is forgotten.

    References
    ----------
    Z. Ding, Y. Wang, G. Wang, D. Zhang, D. Kifer, "Detecting violations of differential privacy", CCS 2018.
    B. Bichsel, S. Steffen, I. Bogunovic, M. Vechev, "DP-Sniper", S&P 2021.

    Examples
    --------
    >>> from hashcomb import RandomizedResponse, Uniform
    >>> ages = (Uniform(name="age", lo=0.0, hi=120.0),)
    >>> spec = Spec(features=ages, depth=3, channel=RandomizedResponse(2.0, depth="leaf").to_spec())
    >>> found = audit(spec, n_draws=100_000, seed=0)
    >>> found.verdict, 1.8 < found.channels[0].lower_bound <= found.channels[0].claim
    ('consistent', True)
    """
    n_draws = whole(n_draws, "n_draws", MIN_DRAWS, MAX_DRAWS)
    if positive(confidence, "confidence", below=1.0) < 0.5:
        raise ChannelError("confidence must be from 0.5 to below 1")
    subjects = subjects_of(spec, feature, int(n_draws * _pilot(n_draws)))
    audited = subjects if feature is None else subjects[:1]
    alpha = (1 - _CHECKED) * (1 - confidence) / len(audited)
    n_rows = _n_rows(spec, audited, n_draws)
    drawing = Drawing(spec, subjects, seed)
    n_pilot = int(n_rows * _pilot(n_draws))
    drawing.draw(n_pilot, batches=False)
    for subject in subjects:
        subject.choose_event((n_rows - n_pilot) * len(subject.names), alpha)
    drawing.draw(n_rows - n_pilot, batches=True)
    return _judge(spec, audited, drawing, confidence, n_draws, alpha)


def _pilot(n_draws: int) -> float:
    """Return the part of the draws that only finds the pair and the event."""
    return min(0.25, max(0.1, _PILOT_DRAWS / n_draws))


def _n_rows(spec: Spec, audited: list[Subject], n_draws: int) -> int:
    """Return how many rows give every audited channel its draws, as far as that does not take forever."""
    width, fewest = len(spec.features), min(len(subject.names) for subject in audited)
    wanted = math.ceil(n_draws * width / (reported_features(spec) * fewest))
    return max(_MIN_ROWS, min(wanted, _MAX_VALUES * n_draws // width))


# ---------------------------------------------------------------------- judging
def _judge(
    spec: Spec, audited: list[Subject], drawing: Drawing, confidence: float, n_draws: int, alpha: float
) -> AuditResult:
    fits = [_fit(subject) for subject in audited]
    together = _independence(drawing)
    limit = _CHECKED * (1 - confidence) / (sum(map(len, fits)) + len(together))
    share = reported_features(spec) / len(spec.features)
    channels = tuple(
        _finding(subject, tuple(_check(*one, limit) for one in fit), share, alpha)
        for subject, fit in zip(audited, fits, strict=True)
    )
    record = tuple(_check(*one, limit) for one in together)
    checks = [*record, *(check for found in channels for check in found.checks)]
    caught = any(found.exceeded for found in channels) or not all(check.passed for check in checks)
    return AuditResult(
        fingerprint=spec.fingerprint,
        confidence=confidence,
        channels=channels,
        record=record,
        verdict="caught" if caught else "consistent",
        statements=_statements(confidence, channels, n_draws),
    )


def _finding(subject: Subject, checks: tuple[Check, ...], share: float, alpha: float) -> ChannelAudit:
    event, bound = subject.event, 0.0
    if event is not None:
        bound = epsilon_bound(subject.hits, subject.draws, alpha)
    return ChannelAudit(
        kind=subject.channel.kind,
        features=subject.names,
        claim=subject.claim if math.isfinite(subject.claim) else None,
        lower_bound=bound,
        pair=None if event is None else (int(subject.symbols[event.first]), int(subject.symbols[event.second])),
        event=() if event is None else tuple(np.flatnonzero(event.reports).tolist()),
        draws=int(subject.counts.sum() * share),
        checks=checks,
    )


def _check(name: str, p_value: float, where: str, limit: float) -> Check:
    passed = p_value >= limit
    return Check(name=name, p_value=p_value, passed=passed, where="" if passed else where)


_Found = tuple[str, float, str]


def _fit(subject: Subject) -> list[_Found]:
    """Compare counts with the stated law: cell by cell, feature by feature, and all in one."""
    symbols = subject.counts.sum(axis=1, keepdims=True)
    cells = unlikely(subject.counts, symbols, subject.law)
    row, column = np.unravel_index(cells.argmin(), cells.shape)
    place = f"at leaf {subject.symbols[row]}, report {column}: {subject.counts[row, column]} of {symbols[row, 0]}"
    drawn = subject.given.sum(axis=1, keepdims=True)
    law = subject.given @ subject.law / drawn
    features = unlikely(subject.by_feature, drawn, law)
    feature, report = np.unravel_index(features.argmin(), features.shape)
    near = (subject.law * subject.near).sum(axis=1)
    expected, seen = subject.given @ near, subject.near_truth
    totals = np.append(drawn[:, 0], drawn.sum())
    means = np.append(expected, expected.sum()) / totals
    nearness = unlikely(np.append(seen, seen.sum()), totals, means)
    return [
        ("every leaf and report", _least(cells), f"{place}, stated {subject.law[row, column]:.6f}"),
        ("every feature and report", _least(features), f"at feature {subject.names[feature]!r}, report {report}"),
        ("reports near the truth", _least(nearness), f"{seen.sum()} of {drawn.sum()}, stated {means[-1]:.6f}"),
    ]


def _least(p_values: Floats) -> float:
    return min(1.0, float(p_values.min()) * p_values.size)


def _independence(drawing: Drawing) -> list[_Found]:
    """Correlate the scores of all reports: features of a row, and any two places at one distance."""
    scores, variances = (np.concatenate(parts, axis=1) for parts in (drawing.scores, drawing.variances))
    width = scores.shape[2]
    found: list[_Found] = []
    if width > 1:
        pairs = [features_apart(score, variance) for score, variance in zip(scores, variances, strict=True)]
        p_value, (a, b) = min(pairs)
        names = drawing.spec.names
        found.append(("two features of one record", min(1.0, len(pairs) * p_value), f"{names[a]!r} and {names[b]!r}"))
    places = [places_apart(s.reshape(-1), v.reshape(-1)) for s, v in zip(scores, variances, strict=True)]
    if reported_features(drawing.spec) < width:
        p_value, n_rows = places_apart(*np.concatenate(drawing.appearances, axis=1))
        places.append((p_value, n_rows * width))
    p_value, distance = min(places)
    starts = np.cumsum([0, *(part.shape[1] * width for part in drawing.scores)])
    found.append(("any two reports", min(1.0, len(places) * p_value), _distance(distance, width, starts)))
    return found


def _distance(distance: int, width: int, starts: NDArray[Any]) -> str:
    if np.isin(distance, starts[:, None] - starts):
        return "at the same place of two calls or batches"
    rows, places = divmod(distance, width)
    return f"{rows} row{'s' * (rows != 1)} and {places} feature{'s' * (places != 1)} apart"


def _statements(confidence: float, channels: tuple[ChannelAudit, ...], n_draws: int) -> tuple[str, ...]:
    alarm = f"{1 - confidence:.2g}"
    said = [
        f"With probability {confidence:.10g} or more, no certified epsilon is above that of the code that ran. It is "
        "no upper bound: what no event told apart may still be told apart by another one.",
        f"Code that does what it states is called CAUGHT with probability {alarm} at most; p-values are bounds, and "
        f"all checks together have a tenth of it.",
        "A part of the draws (a tenth, of few up to a quarter) is spread over all leaves and chooses the pair and "
        "the event; the rest, with all noise drawn anew, goes to that pair and certifies. Every draw is compared "
        "with the channel's matrix.",
        "Bounds take draws for independent, which the checks of the record look into.",
        "Not seen: whether the randomness can be guessed, what a memo key repeats, timing, and everything that is "
        "not drawn with fresh noise from this Spec on this machine.",
    ]
    if any(found.claim is None for found in channels):
        said.append("Where no epsilon is claimed, the certified one grows with the draws and has no limit.")
    if len(channels) > 1 and any(found.draws < 0.9 * n_draws for found in channels):
        said.append("Some channels have fewer draws than were asked for: name a feature to give it all of them.")
    return tuple(said)
