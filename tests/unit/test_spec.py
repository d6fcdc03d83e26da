"""A Spec is validated, frozen, and has one sequence of bytes."""

import copy
import json
import pickle  # noqa: TID251 what users may do with a Spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from hashcomb import Categorical, ChannelSpec, EdgesNoise, Quantile, Spec, Uniform
from hashcomb.errors import SpecError, SpecVersionError

AGE = Uniform(name="age", lo=0.0, hi=120.0)


def make(**changes: Any) -> Spec:
    """Return a valid Spec with some fields changed."""
    return Spec(**{"features": (AGE,), "depth": 4, **changes})


def full() -> Spec:
    """Return a Spec that uses every kind of field."""
    edges = tuple(np.linspace(-1.0, 1.0, 15))
    return make(
        features=(
            AGE,
            Quantile(name="größe 😀", lo=-2, hi=2, edges=edges, means=tuple(np.linspace(-1.5, 1.5, 16))),
            Categorical(name="color", categories=("red\n", 'gr"een', "blue\x7f")),
            Categorical(name="code", categories=(3, 1, 2)),
        ),
        missing="token",
        unknown="token",
        tokens=2,
        channel=ChannelSpec(kind="randomized_response", params={"epsilon": 2}),
        edges_noise=EdgesNoise(variance=100, n_counts=9, n_parts=3),
    )


def test_texts_round_trip() -> None:
    """JSON and TOML give back an equal Spec with the same fingerprint."""
    spec = full()
    for again in (Spec.from_json(spec.to_json()), Spec.from_toml(spec.to_toml())):
        assert again == spec
        assert again.fingerprint == spec.fingerprint


def test_equal_numbers_give_equal_bytes() -> None:
    """Integers, NumPy scalars and both zeros are one number in the canonical bytes."""
    plain = make(features=(Uniform(name="a", lo=0.0, hi=2.0),))
    ends: list[tuple[Any, Any]] = [(0, 2), (-0.0, np.float64(2)), (np.int64(0), np.float32(2))]
    for lo, hi in ends:
        assert make(features=(Uniform(name="a", lo=lo, hi=hi),)).canonical_bytes() == plain.canonical_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"depth": 5},
        {"outside": "error"},
        {"missing": "token"},
        {"hash": "siphash"},
        {"tokens": "comb"},
        {"token_bits": 32},
        {"features": (Uniform(name="age", lo=0.0, hi=120.00000000000001),)},
        {"features": (Uniform(name="Age", lo=0.0, hi=120.0),)},
        {"channel": ChannelSpec(kind="randomized_response", params={"epsilon": 1.0})},
        {"edges_noise": EdgesNoise(variance=100.0, n_counts=9, n_parts=3)},
    ],
)
def test_every_field_changes_the_fingerprint(changes: dict[str, Any]) -> None:
    """No two different Specs share a fingerprint."""
    assert make(**changes).fingerprint != make().fingerprint


def test_the_noise_of_edges_is_left_out_where_there_is_none() -> None:
    """Specs without it have the bytes, and so the fingerprints, from before there was such a field."""
    spec = make()
    assert spec.fingerprint == "a40214b5490579537d5f2440eb1ad70741be6a003185c5e9b56b6cbcd090ab5a"
    assert not any("edges_noise" in text for text in (spec.to_json(), spec.to_toml(), spec.canonical_bytes().decode()))
    assert Spec.from_json(spec.to_json().replace('"depth"', '"edges_noise": null, "depth"')) == spec
    assert Spec.from_toml(full().to_toml()).edges_noise == EdgesNoise(variance=100.0, n_counts=9, n_parts=3)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        *(({"variance": value}, "variance") for value in (0, -1.0, float("nan"), float("inf"), 1e9, "1", True)),
        *(({"n_counts": value}, "n_counts") for value in (0, 1.0, True, 1 << 33)),
        *(({"n_parts": value}, "n_parts") for value in (0, "2", 1 << 17)),
    ],
)
def test_noise_of_edges_that_cannot_be(changes: dict[str, Any], path: str) -> None:
    """Its numbers have ranges, in which the report can say what they cost; the error names the one."""
    with pytest.raises(SpecError) as caught:
        EdgesNoise(**{"variance": 100.0, "n_counts": 9, "n_parts": 3, **changes})
    assert caught.value.path == path
    document = json.loads(full().to_json())
    document["edges_noise"].update({key: value if value == value else None for key, value in changes.items()})
    with pytest.raises(SpecError):
        Spec.from_json(json.dumps(document))


def test_spec_is_frozen() -> None:
    """A Spec cannot be changed after its fingerprint was taken."""
    with pytest.raises(AttributeError):
        make().depth = 3  # type: ignore[misc]
    spec = make(channel=ChannelSpec(kind="randomized_response", params={"epsilon": 2.0}))
    assert spec.channel is not None
    for twin in (spec, copy.deepcopy(spec), pickle.loads(pickle.dumps(spec)), Spec.from_json(spec.to_json())):
        assert twin == spec
        assert hash(twin) == hash(spec)
        with pytest.raises(TypeError):
            twin.channel.params["epsilon"] = 9.0  # type: ignore[union-attr]


BAD = [
    ({"depth": 0}, "depth"),
    ({"depth": 21}, "depth"),
    ({"depth": True}, "depth"),
    ({"depth": 4.0}, "depth"),
    ({"features": ()}, "features"),
    ({"features": (AGE, AGE)}, "features[1].name"),
    ({"features": (Uniform(name="", lo=0.0, hi=1.0),)}, "features[0].name"),
    ({"features": (Uniform(name="a\x1b[31m", lo=0.0, hi=1.0),)}, "features[0].name"),
    ({"features": (Uniform(name="a", lo=1.0, hi=1.0),)}, "features[0].lo"),
    ({"features": (Uniform(name="a", lo=1.0, hi=float(np.nextafter(1.0, 2.0))),)}, "features[0].hi"),
    ({"features": (Uniform(name="a", lo=-1.7e308, hi=1.7e308),)}, "features[0].hi"),
    ({"features": (Uniform(name="a", lo=0.0, hi=5e-324),)}, "features[0].hi"),
    ({"features": (Quantile(name="a", lo=0.0, hi=1.0, edges=(0.5,) * 14),)}, "features[0].edges"),
    ({"features": (Quantile(name="a", lo=0.0, hi=1.0, edges=(0.5,) * 14 + (0.4,)),)}, "features[0].edges[14]"),
    ({"features": (Quantile(name="a", lo=0.0, hi=1.0, edges=(0.5,) * 14 + (1.1,)),)}, "features[0].edges[14]"),
    ({"features": (Quantile(name="a", lo=0.0, hi=1.0, edges=(-0.1,) + (0.5,) * 14),)}, "features[0].edges[0]"),
    ({"features": (Uniform(name="a", lo=0.0, hi=1.0, means=(0.5,)),)}, "features[0].means"),
    ({"features": (Categorical(name="a", categories=tuple(range(17))),)}, "features[0].categories"),
    ({"features": (Categorical(name="a", categories=tuple(range(16))),), "unknown": "token"}, "features[0].categories"),
    ({"outside": "wrap"}, "outside"),
    ({"hash": "md5"}, "hash"),
    ({"token_bits": 16}, "token_bits"),
    ({"token_bits": 64.0}, "token_bits"),
    ({"token_bits": 32, "depth": 13, "features": (AGE,)}, "token_bits"),
    ({"tokens": 5}, "tokens"),
    ({"tokens": "path"}, "tokens"),
    ({"channel": "randomized_response"}, "channel"),
    ({"edges_noise": 7500.0}, "edges_noise"),
]


@pytest.mark.parametrize(("changes", "path"), BAD, ids=[f"{i}-{path}" for i, (_, path) in enumerate(BAD)])
def test_bad_field_is_refused_and_named(changes: dict[str, Any], path: str) -> None:
    """A field that cannot be raises SpecError with its path."""
    with pytest.raises(SpecError) as caught:
        make(**changes)
    assert caught.value.path == path


@pytest.mark.parametrize("value", ["1", None, float("nan"), float("inf"), 10**400, True, 1j])
def test_what_is_no_finite_number_is_refused(value: Any) -> None:
    """Range ends must be finite numbers in double precision."""
    with pytest.raises(SpecError):
        Uniform(name="a", lo=value, hi=1.0)


@pytest.mark.parametrize("values", [("a", 1), (1, 1), ("a", "a"), (1.5,), (True,), (2**53,), "abc", ("\ud800",)])
def test_bad_categories_are_refused(values: Any) -> None:
    """Categories are distinct, and all text or all whole numbers."""
    with pytest.raises(SpecError):
        Categorical(name="a", categories=values)


HOSTILE = {
    "no json": "{",
    "no object": "[]",
    "unknown field": '{"depth": 4, "features": [], "secret": 1}',
    "duplicate key": '{"depth": 4, "depth": 5, "features": []}',
    "deep nesting": "[" * 200_000,
    "huge depth": '{"depth": 1000000000, "features": [{"edges_by": "uniform", "name": "a", "lo": 0, "hi": 1}]}',
    "overflow": '{"depth": 4, "features": [{"edges_by": "uniform", "name": "a", "lo": 0, "hi": 1e999}]}',
    "nan": '{"depth": 4, "features": [{"edges_by": "uniform", "name": "a", "lo": NaN, "hi": 1}]}',
    "long integer": '{"depth": 4, "features": [{"edges_by": "uniform", "name": "a", "lo": 0, "hi": '
    + "9" * 9000
    + "}]}",
    "wrong tag": '{"depth": 4, "features": [{"edges_by": "pickle", "name": "a"}]}',
    "not utf-8": b"\xff\xfe",
    "lone surrogate": '{"depth": 4, "features": [{"edges_by": "uniform", "name": "\\ud800", "lo": 0, "hi": 1}]}',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_json_is_refused(text: str | bytes) -> None:
    """A hostile document ends in SpecError, whatever it holds."""
    with pytest.raises(SpecError):
        Spec.from_json(text)


@pytest.mark.parametrize(
    "text",
    [
        "depth = 4\ndepth = 5",
        "a = " + "[" * 100_000,
        "depth = 1979-05-27",
        "a" + ".a" * 5000 + " = 1",
        ".".join("1" * 50_000) + "=1",
        "[" + " . ".join(['"a"'] * 50_000) + "]",
        "x = {" + ".".join("a" * 50_000) + "=1}",
    ],
    ids=range(7),
)
def test_hostile_toml_is_refused(text: str) -> None:
    """TOML is read as strictly as JSON."""
    with pytest.raises(SpecError):
        Spec.from_toml(text)


def test_a_spec_of_implausible_size_is_refused_before_it_is_parsed() -> None:
    """More than 64 MiB are not even looked at."""
    with pytest.raises(SpecError, match="longer than"):
        Spec.from_json(b" " * ((64 << 20) + 1))


@pytest.mark.parametrize("version", [0, 2, "1", True, None, 1.5])
def test_another_version_is_refused(version: Any) -> None:
    """A Spec of another version of the format is not guessed at."""
    document = json.loads(make().to_json()) | {"version": version}
    with pytest.raises(SpecVersionError):
        Spec.from_json(json.dumps(document))


def test_repr_is_short() -> None:
    """A Spec with thousands of edges prints as one line."""
    assert len(repr(full())) < 100


def test_published_schema_is_current() -> None:
    """The JSON Schema in docs/reference is the one the code has; write it again with: python -m tests.write_schema."""
    published = Path(__file__).parents[2] / "docs" / "reference" / "spec.schema.json"
    assert json.loads(published.read_text()) == json.loads(msgspec.json.encode(Spec.json_schema()))


def test_dots_in_names_and_categories_are_no_nesting() -> None:
    """A Spec whose texts hold many dots is written and read back; quotes and backslashes do not confuse that."""
    dotted = ".".join("a" * 70)
    categories = (dotted, '"' + dotted, dotted + "\\", "it's " + dotted, "# " + dotted)
    spec = make(features=(Uniform(name=dotted, lo=0.0, hi=1.0), Categorical(name="c", categories=categories)))
    assert Spec.from_toml(spec.to_toml()) == spec
