"""What a Spec protects, computed from the Spec alone, before any data is touched."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hashcomb.channels import Channel, channels_of
from hashcomb.privacy.exact import pure_epsilon
from hashcomb.spec import Spec

__all__ = ("MAX_MATRIX", "FeaturePrivacy", "PrivacyReport")

Floats = NDArray[np.float64]

MAX_MATRIX = 1 << 10
_ROUNDING = 1e-12  # more than sums of so many doubles and a logarithm can be wrong: a claim is not below the truth


class FeaturePrivacy(msgspec.Struct, frozen=True, kw_only=True):
    """Privacy of one report of one feature.

    Parameters
    ----------
    name : str
        The feature.
    epsilon : float or None
        Exact epsilon of what is encoded, in nats, rounded up by at most 1e-12; None where no epsilon holds. (With
        more than `MAX_MATRIX` symbols and a level above the leaf encoded: that of the leaf's report, a bound.)
    bits : float or None
        Bits that a token carries about the leaf, for a uniform leaf; None where a channel has more than
        `MAX_MATRIX` symbols.
    """

    name: str
    epsilon: float | None
    bits: float | None


class PrivacyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a Spec protects, against whom, and how that was computed.

    Parameters
    ----------
    fingerprint : str
        Fingerprint of the Spec.
    features : tuple of FeaturePrivacy
        One report of each feature.
    record_epsilon : float or None
        Epsilon of a whole record, the sum over its features (basic composition); None where none holds.
    rounds : int
        How many times the same record is encoded with fresh randomness.
    total_epsilon : float or None
        Epsilon of all rounds, again by basic composition.
    statements : tuple of str
        What follows for whom, in sentences.

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
    features: tuple[FeaturePrivacy, ...]
    record_epsilon: float | None
    rounds: int
    total_epsilon: float | None
    statements: tuple[str, ...]

    @classmethod
    def of(cls, spec: Spec, *, rounds: int = 1) -> PrivacyReport:
        """Compute the report of a Spec.

        Parameters
        ----------
        spec : Spec
            What is asked about; no data is needed.
        rounds : int, optional
            How many times the same record is encoded, at least 1.

        Raises
        ------
        ValueError
            If `rounds` is below 1.
        SpecError
            If the Spec names an unknown channel.
        """
        if rounds < 1:
            raise ValueError("rounds must be at least 1")
        channels = channels_of(spec)
        chosen = channels or (None,) * len(spec.features)
        known: _Known = {}
        asked = zip(spec.names, spec.used_leaves, chosen, strict=True)
        features = tuple(_feature(spec, *one, known) for one in asked)
        record = _sum([feature.epsilon for feature in features])
        return cls(
            fingerprint=spec.fingerprint,
            features=features,
            record_epsilon=record,
            rounds=rounds,
            total_epsilon=None if record is None else record * rounds,
            statements=_statements(spec, channels is not None),
        )

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()

    def to_text(self) -> str:
        """Return the report as text for people."""
        lines = [f"Privacy of the Spec {self.fingerprint[:16]}", ""]
        lines += [f"  {key}: {value}" for key, value in self._figures()]
        lines += ["", *(f"- {statement}" for statement in self.statements)]
        return "\n".join(lines) + "\n"

    def _figures(self) -> list[tuple[str, str]]:
        return [
            ("epsilon of one value", _span([_show(feature.epsilon) for feature in self._by("epsilon")])),
            (f"epsilon of one record of {len(self.features)} values (basic composition)", _show(self.record_epsilon)),
            (f"epsilon after {self.rounds} round(s) of the same record", _show(self.total_epsilon)),
            (
                "bits that a token carries about its leaf",
                _span([_bits(feature.bits) for feature in self._by("bits")]),
            ),
        ]

    def _by(self, figure: str) -> list[FeaturePrivacy]:
        """Return the features in the order of a figure, those without one last."""

        def place(feature: FeaturePrivacy) -> tuple[bool, float]:
            value = getattr(feature, figure)
            return (True, 0.0) if value is None else (False, value)

        return sorted(self.features, key=place)


# Figures by number of symbols and of leaves in use: most features of a Spec share them.
_Known = dict[tuple[int | None, int], tuple[float, float | None]]


def _feature(spec: Spec, name: str, n_used: int, channel: Channel | None, known: _Known) -> FeaturePrivacy:
    shift = spec.depth - spec.levels[-1]
    if channel is None:
        n_nodes = ((n_used - 1) >> shift) + 1
        return FeaturePrivacy(name=name, epsilon=None, bits=math.log2(n_nodes + (spec.missing == "token")))
    key = channel.n_symbols, n_used
    if key not in known:
        known[key] = _release(channel, n_used, shift)
    epsilon, information = known[key]
    return FeaturePrivacy(name=name, epsilon=epsilon if math.isfinite(epsilon) else None, bits=information)


def _release(channel: Channel, n_used: int, shift: int) -> tuple[float, float | None]:
    """Return epsilon and information of the node `shift` levels above the report."""
    n_symbols = channel.n_symbols or 0
    if n_symbols > MAX_MATRIX:
        return channel.epsilon, None  # the matrix would be large; the report's own epsilon bounds that of its node
    if shift == 0:
        return channel.epsilon, _information(channel.matrix())
    # Leaves that one node joins cannot be told apart by it; missing values have a node of their own.
    nodes = np.where(np.arange(n_symbols) < n_used, np.arange(n_symbols) >> shift, -1)
    _, node_of = np.unique(nodes, return_inverse=True)
    matrix = channel.matrix() @ np.eye(node_of.max() + 1)[node_of]
    return min(pure_epsilon(matrix) + _ROUNDING, channel.epsilon), _information(matrix)


def _information(matrix: Floats) -> float:
    """Return the mutual information of symbol and report for a uniform symbol, in bits."""
    ratio = np.divide(matrix, matrix.mean(axis=0), out=np.ones_like(matrix), where=matrix > 0)
    return float((matrix * np.log2(ratio)).sum() / len(matrix))


def _sum(epsilons: list[float | None]) -> float | None:
    return None if any(e is None for e in epsilons) else math.fsum(e for e in epsilons if e is not None)


def _span(shown: list[str]) -> str:
    return shown[0] if shown[0] == shown[-1] else f"{shown[0]} to {shown[-1]}"


def _bits(bits: float | None) -> str:
    return "not computed" if bits is None else f"{bits:.2f}"


def _show(epsilon: Any) -> str:
    return "none: no differential privacy" if epsilon is None else f"{epsilon:.4f}"


def _statements(spec: Spec, randomized: bool) -> tuple[str, ...]:
    said = [
        "Neighbors (local model): any two values, for the epsilon of a value; any two records, for that of a record."
        if randomized
        else "Deterministic tokens have no differential privacy at any epsilon; what protects them is the Key.",
        "Edges, ranges, depth and Key are public to the owners; the report does not count what they tell.",
        "A key holder reads every token: " + ("its report, noise included." if randomized else "its leaf."),
        _outsider(spec, randomized),
    ]
    if spec.hash == "xxh3":
        said.append("xxh3 is no pseudorandom function: one known (value, token) pair opens the whole codebook.")
    if randomized:
        said.append("Encoding the same record again with fresh randomness costs its epsilon again.")
        said.append("A run with a seed carries no privacy, whatever is printed here.")
    return tuple(said)


def _outsider(spec: Spec, randomized: bool) -> str:
    what = "reported leaf" if randomized else "leaf"
    if spec.tokens == "comb":
        return (
            f"Without the Key, a path of tokens shows at which level any two {what}s of a feature part, and so "
            "nearly their order and distance."
        )
    return (
        f"Without the Key, a token shows which rows of a feature have the same {what}, and how frequent each is; "
        "with outside knowledge of frequencies, and above all of how features go together, many leaves can be "
        "recognized (hashcomb.attacks)."
    )
