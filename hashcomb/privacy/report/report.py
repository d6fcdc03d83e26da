"""What a Spec protects, computed from the Spec alone, before any data is touched."""

from __future__ import annotations

import math

import msgspec

from hashcomb.channels import reported_features
from hashcomb.errors import ChannelError
from hashcomb.privacy.composition.total import Composition, compose_spec
from hashcomb.privacy.release import CURVE, MAX_MATRIX, Release, added_up, releases_of
from hashcomb.privacy.report.costs import Cost, compared_feature, what_if
from hashcomb.privacy.report.edges import EdgesPrivacy, edges_of
from hashcomb.privacy.report.statements import Statements, statements_of
from hashcomb.privacy.report.wording import report_text
from hashcomb.spec import Spec

__all__ = ("MAX_MATRIX", "FeaturePrivacy", "PrivacyReport", "RecordPrivacy")


class FeaturePrivacy(msgspec.Struct, frozen=True, kw_only=True):
    """Privacy of one report of one feature.

    Parameters
    ----------
    name : str
        The feature.
    epsilon : float or None
        Epsilon of what is encoded, in nats, rounded up by at most 1e-12; None where no epsilon holds.
    exact : bool
        Whether `epsilon` is the least one. It is a bound, that of the leaf's report, where a level above the leaf
        is encoded and the channel's matrix has more than `MAX_MATRIX` entries.
    deltas : tuple of (epsilon, delta)
        Where no epsilon holds: the least delta at some epsilons, rounded up by at most 1e-12 (the hockey-stick
        divergence, the largest over all pairs of values). Empty otherwise, for deterministic tokens, and where
        there are too many pairs to compare.
    bits : float or None
        Bits that a token carries about the leaf, for a uniform leaf; None where the channel's matrix has more than
        `MAX_MATRIX` entries.
    error : float or None
        Mean squared error of decoding a token to its posterior mean, for a value uniform on [0, 1] cut into leaves
        of equal width; 1/12 is that of no token at all. None for categories, and as for `bits`.
    n_symbols : int
        Leaves that the feature can fill, that of missing values among them.
    n_tokens : int
        Different tokens that it can have.
    """

    name: str
    epsilon: float | None
    exact: bool
    deltas: tuple[tuple[float, float], ...]
    bits: float | None
    error: float | None
    n_symbols: int
    n_tokens: int


class RecordPrivacy(msgspec.Struct, frozen=True, kw_only=True):
    """Privacy of all reports of one record, three ways; each holds, and the least of them may be claimed.

    Parameters
    ----------
    basic : float or None
        Sum of the epsilons of what is reported (delta 0); None where no epsilon holds.
    renyi : float or None
        Epsilon at the report's delta, by adding up Renyi divergences; None where none is found.
    tight : float or None
        Epsilon at the report's delta, from the privacy loss distributions; None where none holds.
    deltas : tuple of (epsilon, delta)
        Where `basic` is None: the delta at some epsilons.
    exact : bool
        False where a channel has too many symbols to compare all pairs of them, and randomized response with its
        epsilon stands in for it: `renyi`, `tight` and `deltas` may then be far above the least that hold.
    """

    basic: float | None
    renyi: float | None
    tight: float | None
    deltas: tuple[tuple[float, float], ...]
    exact: bool


class PrivacyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a Spec protects, against whom, and how that was computed.

    Parameters
    ----------
    fingerprint : str
        Fingerprint of the Spec.
    channel : str or None
        Kind of the Spec's channel; None for deterministic tokens.
    features : tuple of FeaturePrivacy
        One report of each feature.
    n_reported : int
        How many of its features a record reports.
    record_epsilon : float or None
        Epsilon of a whole record, the sum over the features that it reports (basic composition); None where none
        holds.
    rounds : int
        How many times the same record is encoded with fresh randomness.
    total_epsilon : float or None
        Epsilon of all rounds, again by basic composition.
    delta : float
        The delta of the figures in `record` and `total`.
    record, total : RecordPrivacy or None
        One record in one round, and in all of them; None for deterministic tokens.
    edges : EdgesPrivacy or None
        What ranges and edges cost the records from which they were found, on top of all that; None if they were
        not found from counts with noise.
    neighbors, key_holder, outsider : str
        What is compared with what; what somebody with the Key learns, and somebody without it.
    assumptions : tuple of str
        What the figures take for granted.
    statements : tuple of str
        What follows for whom, in sentences; the three above are among them.
    what_if : tuple of Cost
        What one value costs now, and at other epsilons or with other channels.
    compared : str or None
        Where features differ, the one that `what_if` is about.

    Notes
    -----
    Privacy: a report is computed from the Spec alone and tells nothing that the Spec does not.

    Examples
    --------
    >>> from hashcomb.channels import RandomizedResponse
    >>> from hashcomb.spec import Spec, Uniform
    >>> ages = (Uniform(name="age", lo=0.0, hi=120.0),)
    >>> report = PrivacyReport.of(Spec(features=ages, depth=4, channel=RandomizedResponse(2.0).to_spec()))
    >>> round(report.record_epsilon, 4)
    2.0
    """

    fingerprint: str
    channel: str | None
    features: tuple[FeaturePrivacy, ...]
    n_reported: int
    record_epsilon: float | None
    rounds: int
    total_epsilon: float | None
    delta: float
    record: RecordPrivacy | None
    total: RecordPrivacy | None
    edges: EdgesPrivacy | None
    neighbors: str
    key_holder: str
    outsider: str
    assumptions: tuple[str, ...]
    statements: tuple[str, ...]
    what_if: tuple[Cost, ...]
    compared: str | None

    @classmethod
    def of(cls, spec: Spec, *, rounds: int = 1, delta: float = 1e-5, others: bool = False) -> PrivacyReport:
        """Compute the report of a Spec.

        Parameters
        ----------
        spec : Spec
            What is asked about; no data is needed.
        rounds : int, optional
            How many times the same record is encoded, at least 1.
        delta : float, optional
            The delta at which a record's epsilon is also given, above 0 and below 1.
        others : bool, optional
            Whether `what_if` compares other kinds of channel too.

        Raises
        ------
        ChannelError
            If `rounds` is no whole number of at least 1, or `delta` is not between 0 and 1.
        SpecError
            If the Spec names an unknown channel.
        """
        _check(rounds, delta)
        releases = releases_of(spec)
        one = compose_spec(spec)
        epsilons, n_reported = [release.epsilon for release in releases], reported_features(spec)
        record = _record(one, delta, added_up(epsilons, n_reported))
        total = record
        if rounds > 1:
            many = compose_spec(spec, rounds=rounds)
            total = _record(many, delta, added_up(epsilons, n_reported, rounds))
        edges = edges_of(spec, delta)
        said: Statements = statements_of(spec, releases, rounds, edges, delta)
        return cls(
            fingerprint=spec.fingerprint,
            channel=spec.channel.kind if spec.channel else None,
            features=tuple(_feature(*pair) for pair in zip(spec.names, releases, strict=True)),
            n_reported=n_reported,
            record_epsilon=record.basic if record else None,
            rounds=rounds,
            total_epsilon=total.basic if total else None,
            delta=float(delta),
            record=record,
            total=total,
            edges=edges,
            neighbors=said.neighbors,
            key_holder=said.key_holder,
            outsider=said.outsider,
            assumptions=said.assumptions,
            statements=said.all,
            what_if=what_if(spec, others=others),
            compared=compared_feature(spec),
        )

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()

    def to_text(self) -> str:
        """Return the report as text for people."""
        return report_text(self)


def _check(rounds: int, delta: float) -> None:
    if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 1:
        raise ChannelError("rounds must be a whole number, at least 1")
    if isinstance(delta, bool) or not isinstance(delta, int | float) or not 0 < delta < 1:
        raise ChannelError("delta must be a number above 0 and below 1", hint="1e-5 is usual; below 1 / n_rows")


def _record(composition: Composition | None, delta: float, basic: float) -> RecordPrivacy | None:
    if composition is None:
        return None
    return RecordPrivacy(
        basic=_finite(basic),
        renyi=_finite(min(basic, composition.epsilon(delta, by="renyi"))),
        tight=_finite(min(basic, composition.epsilon(delta, by="tight"))),
        deltas=tuple((e, float(composition.delta(e))) for e in CURVE) if math.isinf(basic) else (),
        exact=composition.exact,
    )


def _finite(epsilon: float) -> float | None:
    return float(epsilon) if math.isfinite(epsilon) else None


def _feature(name: str, release: Release) -> FeaturePrivacy:
    return FeaturePrivacy(
        name=name,
        epsilon=_finite(release.epsilon),
        exact=release.exact,
        deltas=release.deltas,
        bits=release.bits,
        error=release.error,
        n_symbols=release.n_symbols,
        n_tokens=release.n_tokens,
    )
