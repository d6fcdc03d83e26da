"""Known answers: bytes that must never change without a new version.

``vectors.json`` holds Specs with their canonical bytes, fingerprints, and the tokens and decoded values of some
rows under a fixed Key. Write it anew, after a change of version only, with: python -m tests.vectors.test_vectors
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashcomb import Categorical, ChannelSpec, HashComb, Key, Quantile, Spec, TokenHeader, Uniform
from hashcomb.counts import count_parameters
from hashcomb.errors import HashcombWarning
from hashcomb.parameters import ParameterCodec, ParameterSpec

FILE = Path(__file__).parent / "vectors.json"
KEY = Key(bytes(range(32)))
ROWS = [[-1.0, 0.0, "red"], [0.1, 0.25, "green"], [0.5, 0.3, "red"], [2.0, 9.0, None]]
FEATURES = (
    Uniform(name="width", lo=0.0, hi=1.0),
    Quantile(name="größe", lo=0.0, hi=1.0, edges=(0.1, 0.25, 0.25, 0.3, 0.5, 0.75, 1.0)),
    Categorical(name="color", categories=("red", "green")),
)


def cases() -> dict[str, dict[str, Any]]:
    """Return the rules of each case; all have missing='token' and depth 3."""
    return {
        "leaf": {},
        "comb": {"tokens": "comb"},
        "level": {"tokens": 2},
        "narrow": {"token_bits": 32},
        "siphash": {"hash": "siphash"},
        "xxh3": {"hash": "xxh3"},
        "salted": {"dataset": "2026-q4", "round": 3},
        "randomized": {"channel": ChannelSpec(kind="randomized_response", params={"epsilon": 1.5}), "seed": 42},
    }


def answers(rules: dict[str, Any]) -> dict[str, Any]:
    """Compute what a case must give."""
    rules = dict(rules)
    salts = {name: rules.pop(name) for name in ("dataset", "round") if name in rules}
    seed = rules.pop("seed", None)
    spec = Spec(features=FEATURES, depth=3, missing="token", **rules)
    codec = HashComb(spec, KEY, **salts)
    tokens = codec.encode(np.array(ROWS, dtype=object), seed=seed)
    return {
        "canonical": spec.canonical_bytes().decode(),
        "fingerprint": spec.fingerprint,
        "header": codec.header.to_json(),
        "tokens": np.asarray(tokens).tolist(),
        "ranks": np.nan_to_num(codec.decode(tokens, "rank"), nan=-1.0).tolist(),
    }


@pytest.mark.filterwarnings("ignore::hashcomb.errors.HashcombWarning")
@pytest.mark.parametrize("name", cases())
def test_known_answers(name: str) -> None:
    """Canonical bytes, fingerprint, header, tokens and ranks are those on file."""
    assert answers(cases()[name]) == json.loads(FILE.read_text(encoding="utf-8"))["cases"][name]


# As headers of randomized tokens were before version 2.
HEADER_1 = (
    '{"fingerprint":"0070a7de01e7d95e0621485719fd927c63d0696a53c0ea248f4c44da23cc7c53","key_id":"c521462f8299be5b",'
    '"features":["width","größe","color"],"tokens":"leaf","depth":3,"token_bits":64,"dataset":"","round":0,'
    '"channel":{"kind":"randomized_response","params":{"epsilon":1.5}},"version":1}'
)


def test_the_old_header_is_read() -> None:
    """A header of version 1 that names a channel is read, and written as it was."""
    assert TokenHeader.from_json(HEADER_1).to_json() == HEADER_1


def parameter_answers() -> dict[str, Any]:
    """Compute what models must give: tokens, a header, and the bytes of tokens and of counts."""
    model = {"größe.weight": np.array([[0.5, -1.0, 0.25], [0.0, 1.0, 9.0]], dtype=np.float32), "bias": np.array(-0.1)}
    answers = {}
    for name, fields in {
        "nearest": {"rounding": "nearest"},
        "stochastic": {"depth": 4},
        "randomized": {"depth": 2, "channel": ChannelSpec(kind="randomized_response", params={"epsilon": 1.5})},
    }.items():
        spec = ParameterSpec.of(model, clip=1.0, **fields)  # type: ignore[arg-type]
        codec = ParameterCodec(spec, KEY, round=3, dataset="trial")
        tokens = codec.encode(model, seed=42)
        counts = count_parameters([tokens, codec.encode(model, seed=43)], [10, 300])
        answers[name] = {
            "canonical": spec.canonical_bytes().decode(),
            "fingerprint": spec.fingerprint,
            "tokens": np.asarray(tokens).tolist(),
            "sent": tokens.to_bytes().hex(),
            "counts": counts.to_bytes().hex(),
            "mean": codec.decode(counts)["bias"].item(),
        }
    return answers


@pytest.mark.filterwarnings("ignore::hashcomb.errors.InsecureRandomWarning")
def test_known_answers_of_parameters() -> None:
    """Canonical bytes, tokens of parameters and what goes over the wire are those on file."""
    assert parameter_answers() == json.loads(FILE.read_text(encoding="utf-8"))["parameters"]


def test_key_id_and_derivation() -> None:
    """The id of a Key and what is derived from it are those on file."""
    known = json.loads(FILE.read_text(encoding="utf-8"))
    assert (KEY.id, KEY.derive("token", feature=1).hex()) == (known["key_id"], known["derived"])


def main() -> None:
    """Write the file anew."""
    warnings.simplefilter("ignore", HashcombWarning)
    known = {
        "key_id": KEY.id,
        "derived": KEY.derive("token", feature=1).hex(),
        "cases": {name: answers(rules) for name, rules in cases().items()},
        "parameters": parameter_answers(),
    }
    FILE.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
