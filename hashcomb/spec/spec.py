"""The Spec: what the owners agree on, and may publish among themselves."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

import msgspec
import tomli_w

from hashcomb.documents import parse_json, parse_toml, to_record, without_none
from hashcomb.spec.checks import VERSION, check_spec, check_version
from hashcomb.spec.parts import Categorical, ChannelSpec, EdgesNoise, Feature, FrozenStruct

__all__ = ("Spec", "TokenKind")

TokenKind = Literal["leaf", "comb"] | int


class Spec(FrozenStruct, frozen=True):
    """What the owners agree on: combs, and the rules of encoding.

    Parameters
    ----------
    features : tuple of Uniform, Quantile or Categorical
        The columns, in the order in which they are encoded.
    depth : int
        Levels of the comb, 1 to 20; every feature has ``2**depth`` leaves.
    outside : {"clip", "error"}
        What to do with values outside a feature's range. Infinities are outside.
    missing : {"error", "token"}
        Refuse missing values (NaN, None), or give them a node of their own.
    unknown : {"error", "token"}
        Refuse categories that are not in the list, or give them one leaf of their own.
    hash : {"blake2b", "siphash", "xxh3"}
        The keyed hash family. The first two are pseudorandom functions, xxh3 is not.
    token_bits : {64, 32}
        Width of a token.
    tokens : {"leaf", "comb"} or int
        Which nodes become tokens: the leaf, every level (coarsest first), or one level.
    channel : ChannelSpec, optional
        The randomizer of leaves; none leaves the tokens deterministic.
    edges_noise : EdgesNoise, optional
        How ranges and quantile edges were found, if from counts with noise; none if by other means.
    version : int
        Version of this format.

    Raises
    ------
    SpecError
        If a field is out of its range or does not fit the others; ``path`` names it.
    SpecVersionError
        If `version` is not one that this library reads.

    Examples
    --------
    >>> from hashcomb.spec import Spec, Uniform
    >>> spec = Spec(features=(Uniform(name="age", lo=0.0, hi=120.0),), depth=4)
    >>> spec.fingerprint[:16]
    'a40214b549057953'
    """

    features: tuple[Feature, ...]
    depth: int
    outside: Literal["clip", "error"] = "clip"
    missing: Literal["error", "token"] = "error"
    unknown: Literal["error", "token"] = "error"
    hash: Literal["blake2b", "siphash", "xxh3"] = "blake2b"
    token_bits: Literal[64, 32] = 64
    tokens: TokenKind = "leaf"
    channel: ChannelSpec | None = None
    edges_noise: EdgesNoise | None = None
    version: int = VERSION

    def __post_init__(self) -> None:
        check_spec(self)

    def __repr__(self) -> str:
        return f"Spec({len(self.features)} features, depth={self.depth}, fingerprint={self.fingerprint[:16]})"

    # ------------------------------------------------------------------ what it is
    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(feature.name for feature in self.features)

    @property
    def n_leaves(self) -> int:
        """Leaves of a comb, the one for missing values not counted."""
        return 1 << self.depth

    @property
    def used_leaves(self) -> tuple[int, ...]:
        """Leaves that each feature can fill: all for numbers, as many as there are categories otherwise."""
        extra = self.unknown == "token"
        return tuple(len(f.categories) + extra if isinstance(f, Categorical) else self.n_leaves for f in self.features)

    @property
    def levels(self) -> tuple[int, ...]:
        """Levels that are encoded, coarsest first; level `depth` is the leaf."""
        if self.tokens == "comb":
            return tuple(range(1, self.depth + 1))
        return (self.depth if self.tokens == "leaf" else int(self.tokens),)

    def canonical_bytes(self) -> bytes:
        """Return the bytes that are hashed: JSON, sorted keys, shortest round-trip floats, ASCII."""
        return json.dumps(self._document(), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    def _document(self) -> dict[str, Any]:
        document: dict[str, Any] = msgspec.to_builtins(self)
        # Without a field that came later, fingerprints stay those of Specs from before there was this field.
        if self.edges_noise is None:
            del document["edges_noise"]
        for feature in document["features"]:
            if feature.get("origin", ...) is None:
                del feature["origin"]
        return document

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical bytes, 64 hexadecimal digits."""
        return hashlib.sha256(b"hashcomb spec 1\0" + self.canonical_bytes()).hexdigest()

    # ------------------------------------------------------------------ reading and writing
    def to_json(self) -> str:
        """Return the Spec as JSON text, indented for people."""
        return json.dumps(self._document(), indent=2, allow_nan=False)

    def to_toml(self) -> str:
        """Return the Spec as TOML text, for people to read and edit."""
        return tomli_w.dumps(without_none(self._document()))

    @classmethod
    def from_json(cls, text: str | bytes) -> Spec:
        """Read a Spec from JSON.

        Parameters
        ----------
        text : str or bytes
            JSON text of at most 64 MiB.

        Raises
        ------
        SpecError
            If the text is no JSON, repeats a key, nests too deep or is no valid Spec.
        """
        return cls._from_document(parse_json(text))

    @classmethod
    def from_toml(cls, text: str | bytes) -> Spec:
        """Read a Spec from TOML; same errors as `from_json`."""
        return cls._from_document(parse_toml(text))

    @classmethod
    def _from_document(cls, document: Any) -> Spec:
        if isinstance(document, dict):
            check_version(document.get("version", VERSION))
        return to_record(document, cls)

    @staticmethod
    def json_schema() -> dict[str, Any]:
        """Return the JSON Schema (draft 2020-12) of a Spec."""
        schema = msgspec.json.schema(Spec)
        for definition in schema["$defs"].values():
            definition.pop("description", None)  # docstrings, whose wording is no part of the format
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "hashcomb Spec 1", **schema}
