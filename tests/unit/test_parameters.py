"""Models to tokens and back: what is agreed, what is refused, and what it costs."""

import itertools
import math
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest

from hashcomb import Key, RandomizedResponse
from hashcomb.channels import RQM, Channel, PoissonBinomial
from hashcomb.counts import ParameterCounts, ParameterTokens, count_parameters
from hashcomb.errors import (
    DataError,
    FingerprintError,
    HashcombWarning,
    InsecureRandomWarning,
    KeyMaterialError,
    SpecError,
    SpecVersionError,
)
from hashcomb.parameters import ParameterCodec, ParameterPrivacy, ParameterSpec, Tensor
from hashcomb.privacy import L2Clip, SumPrivacy

KEY = Key(bytes(range(32)))
MODEL: dict[str, Any] = {"w": np.array([[0.5, -0.25], [1.0, 0.0]], dtype=np.float32), "b": np.array(-0.75)}


def codec(round: int = 1, **fields: Any) -> ParameterCodec:
    """Return a codec for `MODEL`."""
    return ParameterCodec(ParameterSpec.of(MODEL, clip=1.0, **fields), KEY, round=round)


# ---------------------------------------------------------------------- the spec
def test_a_spec_takes_names_shapes_and_types() -> None:
    """A spec describes the tensors of a model, and never their values."""
    spec = ParameterSpec.of(MODEL, clip={"w": 1.0, "b": 3})
    assert spec.tensors == (
        Tensor(name="w", shape=(2, 2), dtype="float32", clip=1.0),
        Tensor(name="b", shape=(), dtype="float64", clip=3.0),
    )
    assert (spec.sizes, spec.n_parameters, spec.n_points) == ((4, 1), 5, 256)
    zeros = {name: np.zeros_like(array) for name, array in MODEL.items()}
    assert ParameterSpec.of(zeros, clip={"w": 1.0, "b": 3.0}).fingerprint == spec.fingerprint


def test_one_range_for_a_model_is_the_largest() -> None:
    """With per='model' all tensors get the largest of the ranges given."""
    spec = ParameterSpec.of(MODEL, clip={"w": 1.0, "b": 3.0}, per="model")
    assert {tensor.clip for tensor in spec.tensors} == {3.0}


def test_a_spec_survives_json() -> None:
    """A spec with a channel read from its JSON is the same, with the same fingerprint."""
    spec = ParameterSpec.of(MODEL, clip=1.0, depth=3, channel=RandomizedResponse(1.0, depth="leaf"))
    again = ParameterSpec.from_json(spec.to_json())
    assert again == spec
    assert again.fingerprint == spec.fingerprint


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"depth": 0}, "depth"),
        ({"depth": 13}, "depth"),
        ({"depth": True}, "depth"),
        ({"rounding": "up"}, "rounding"),
        ({"clip": 0.0}, "clip"),
        ({"clip": math.nan}, "clip"),
        ({"clip": {"w": 1.0}}, "clip"),
        ({"clip": {"w": 1.0, "b": 1.0, "c": 1.0}}, "clip"),
        ({"per": "row"}, "per"),
        ({"channel": "randomized_response"}, "channel"),
        ({"channel": RandomizedResponse(1.0), "depth": "8"}, "depth"),
        ({"channel": RandomizedResponse(1.0), "depth": 1 << 20}, "depth"),
    ],
)
def test_what_a_spec_refuses(fields: dict[str, Any], path: str) -> None:
    """A field that is out of its range is refused by its path."""
    with pytest.raises(SpecError) as caught:
        ParameterSpec.of(MODEL, **{"clip": 1.0, **fields})
    assert path in caught.value.path


@pytest.mark.parametrize(
    "arrays", [{}, {"n": np.array(3)}, {"x": np.zeros((2, 0))}, {"": np.zeros(1)}, {"t": np.array(["a"])}, [1.0]]
)
def test_what_is_no_model(arrays: Any) -> None:
    """No tensors, whole numbers, text, empty tensors and nameless ones are refused."""
    with pytest.raises(SpecError):
        ParameterSpec.of(arrays, clip=1.0)


def test_a_range_must_fit_the_type() -> None:
    """Grid points that a half cannot hold would decode to infinity: such a range is refused."""
    assert ParameterSpec.of({"h": np.zeros(1, dtype=np.float16)}, clip=65504.0).tensors[0].clip == 65504.0
    with pytest.raises(SpecError, match="float16"):
        ParameterSpec.of({"h": np.zeros(1, dtype=np.float16)}, clip=65505.0)


def test_a_shape_has_no_more_axes_than_arrays_have() -> None:
    """A shape of very many axes, whose product takes minutes, is refused before it is looked at."""
    with pytest.raises(SpecError, match="at most 64"):
        Tensor(name="w", shape=(1 << 40,) * 65, dtype="float32", clip=1.0)


def test_a_document_with_unknown_fields_or_of_another_version_is_refused() -> None:
    """A spec's JSON with a field too many, or of a later version, is no spec."""
    text = ParameterSpec.of(MODEL, clip=1.0).to_json()
    with pytest.raises(SpecError):
        ParameterSpec.from_json(text.replace('"depth"', '"width"'))
    with pytest.raises(SpecVersionError):
        ParameterSpec.from_json(text.replace('"version": 1', '"version": 2'))


def test_a_channel_must_have_an_unbiased_code() -> None:
    """A channel whose reports do not tell grid points apart is refused when the codec is made."""
    spec = ParameterSpec.of(MODEL, clip=1.0, depth=8, channel=RandomizedResponse(1.0, depth=1))
    with pytest.raises(SpecError) as caught:
        ParameterCodec(spec, KEY, round=1)
    assert caught.value.path == "channel"


@pytest.mark.parametrize(("salts", "path"), [({"round": -1}, "round"), ({"round": 1, "dataset": 3}, "dataset")])
def test_what_is_no_salt(salts: dict[str, Any], path: str) -> None:
    """A round that is no number, or a data set that is no text, is refused."""
    with pytest.raises(SpecError) as caught:
        ParameterCodec(ParameterSpec.of(MODEL, clip=1.0), KEY, **salts)
    assert caught.value.path == path


def test_what_is_no_key_or_spec() -> None:
    """A codec needs a Key and a ParameterSpec."""
    with pytest.raises(KeyMaterialError):
        ParameterCodec(ParameterSpec.of(MODEL, clip=1.0), b"secret", round=1)  # type: ignore[arg-type]
    with pytest.raises(SpecError):
        ParameterCodec(MODEL, KEY, round=1)  # type: ignore[arg-type]


# ---------------------------------------------------------------------- encoding
def test_grid_points_survive() -> None:
    """A model on the grid, its ends included, comes back as it was, in its types and shapes."""
    own = codec(depth=8)
    grid = own.spec.grid()
    model = {"w": grid[[0, 255, 127, 200]].reshape(2, 2).astype(np.float32), "b": np.array(grid[3])}
    back = own.decode(own.encode(model))
    assert back["w"].dtype == np.float32
    assert back["b"].shape == ()
    np.testing.assert_allclose(back["w"], model["w"], atol=1e-7)
    np.testing.assert_allclose(back["b"], model["b"], atol=1e-15)


def test_values_outside_are_clipped_and_counted() -> None:
    """What is outside the clip gets the end of the grid, and its share is told."""
    own = codec()
    model = {"w": np.array([[9.0, -9.0], [0.5, 0.5]]), "b": np.array(1.0)}
    back = own.decode(own.encode(model))
    assert back["w"][0].tolist() == [1.0, -1.0]
    assert own.clipped(model) == {"w": 0.5, "b": 0.0}


def test_nearest_rounding_has_no_randomness() -> None:
    """With nearest rounding two encodings are equal, and each value moves by half a step at most."""
    own = codec(rounding="nearest", depth=4)
    tokens = own.encode(MODEL)
    assert (tokens == own.encode(MODEL)).all()
    assert np.abs(own.decode(tokens)["w"] - MODEL["w"]).max() <= 1 / 15 + 1e-7


def test_equal_weights_have_unrelated_tokens_elsewhere() -> None:
    """Tokens of one grid point differ at every coordinate, in every tensor, round, data set and under every Key."""
    model = {name: np.ones_like(array) for name, array in MODEL.items()}
    spec = ParameterSpec.of(MODEL, clip=1.0)
    others = [
        ParameterCodec(spec, KEY, round=1),
        ParameterCodec(spec, KEY, round=2),
        ParameterCodec(spec, KEY, round=1, dataset="b"),
        ParameterCodec(spec, Key(bytes(range(1, 33))), round=1),
        ParameterCodec(ParameterSpec.of(MODEL, clip=2.0, rounding="nearest"), KEY, round=1),
    ]
    tokens = np.concatenate([np.asarray(own.encode(model)) for own in others])
    assert len(np.unique(tokens)) == len(others) * 5
    assert not (tokens & np.uint64(255)).any()


def test_threads_and_chunks_change_no_byte() -> None:
    """With a seed, tokens and means are the same on one thread and on three."""
    rng = np.random.default_rng(0)
    model = {"w": rng.normal(size=40_000)}
    spec = ParameterSpec.of(model, clip=2.0, depth=1, channel=RandomizedResponse(3.0, depth="leaf"))
    outs = []
    for n_threads in (1, 3):
        own = ParameterCodec(spec, KEY, round=1, n_threads=n_threads)
        with pytest.warns(InsecureRandomWarning):
            tokens = own.encode(model, seed=5)
        outs.append((np.asarray(tokens).tobytes(), own.decode(tokens)["w"].tobytes()))
    assert outs[0] == outs[1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_none_are_refused_by_tensor(bad: float) -> None:
    """NaN and infinities are refused with the tensor's name and their number, and without a value."""
    model = MODEL | {"w": np.array([[bad, 0.123], [bad, 0.0]])}
    with pytest.raises(DataError, match="tensor 'w' has 2 values") as caught:
        codec().encode(model)
    assert "0.123" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w": np.zeros(4)}, "tensor 'w' has shape"),
        ({"w": np.array([["a", "b"], ["c", "d"]])}, "tensor 'w' is not numeric"),
        ({"c": np.zeros(1)}, "tensor 'c' is not in"),
    ],
)
def test_other_tensors_are_refused_by_name(change: dict[str, Any], message: str) -> None:
    """A tensor of another shape or type, or one that was not agreed, is refused by its name."""
    with pytest.raises(DataError, match=message):
        codec().encode(MODEL | change)


def test_a_missing_tensor_is_refused_by_name() -> None:
    """A model without an agreed tensor is refused."""
    with pytest.raises(DataError, match="tensor 'b' is missing"):
        codec().encode({"w": MODEL["w"]})


# ---------------------------------------------------------------------- decoding
def test_counts_of_another_origin_are_refused() -> None:
    """Counts of another spec, Key, round or data set are refused before any token is looked at."""
    counts = count_parameters([codec().encode(MODEL)])
    spec = ParameterSpec.of(MODEL, clip=1.0)
    for own, what in (
        (codec(round=2), "round"),
        (codec(depth=4), "ParameterSpec"),
        (ParameterCodec(spec, Key(bytes(range(1, 33))), round=1), "Key"),
        (ParameterCodec(spec, KEY, round=1, dataset="b"), "data set"),
    ):
        with pytest.raises(FingerprintError, match=what):
            own.decode(counts)


def forged(own: ParameterCodec) -> ParameterTokens:
    """Return tokens of a client that made up those of tensor 'b'."""
    tokens = own.encode(MODEL).copy()
    tokens[4] = np.uint64(12345 << 8)
    return tokens


def test_tokens_nobody_issued_are_refused_by_tensor_and_client() -> None:
    """A made-up token is refused with the tensor's name, and the client's where its weight gives it away."""
    own = codec()
    tokens = {"a": own.encode(MODEL), "b": forged(own)}
    with pytest.raises(DataError, match=r"tensor 'b' has 1 tokens of client 'b' that nobody issued"):
        own.decode(count_parameters(tokens, {"a": 10, "b": 20}))
    with pytest.raises(DataError, match=r"tensor 'b' has 1 tokens that nobody issued"):
        own.decode(count_parameters(tokens, {"a": 10, "b": 10}))


def test_tokens_nobody_issued_can_be_dropped() -> None:
    """Without made-up tokens the mean is that of the other clients, and a warning says how many there were."""
    own = codec(rounding="nearest")
    counts = count_parameters([own.encode(MODEL), forged(own)], [10, 20])
    with pytest.warns(HashcombWarning, match="tensor 'b' has 1 tokens"):
        dropped = own.decode(counts, unissued="drop")
    assert dropped["b"] == own.decode(own.encode(MODEL))["b"]
    with pytest.raises(DataError):
        own.decode(count_parameters([forged(own)]), unissued="drop")
    with pytest.raises(DataError):
        own.decode(counts, unissued="keep")  # type: ignore[arg-type]


@pytest.mark.parametrize("n_clients", [1, 3])
def test_tokens_nobody_issued_are_found(n_clients: int) -> None:
    """The tokens that a client made up are found among those of honest ones, and no others."""
    own = codec()
    made_up = own.encode(MODEL).copy()
    made_up[[0, 4]] = np.array([777, 12345], dtype=np.uint64) << np.uint64(8)
    honest = [own.encode(MODEL) for _ in range(n_clients)]
    assert own.unissued(count_parameters(honest)).tolist() == []
    assert own.unissued(count_parameters([*honest, made_up])).tolist() == [777 << 8, 12345 << 8]
    with pytest.raises(FingerprintError):
        codec(round=2).unissued(count_parameters(honest))


def test_many_tokens_at_one_coordinate_take_little_memory() -> None:
    """Counts from anybody with a hundred thousand tokens at one of 4096 points are decoded in 64 MiB, as an error."""
    own = ParameterCodec(ParameterSpec.of({"w": np.zeros(1)}, clip=1.0, depth=12), KEY, round=1)
    tokens = np.arange(1, 100_001, dtype=np.uint64) << np.uint64(8)
    weights = np.ones(len(tokens), dtype=np.int64)
    counts = ParameterCounts(own.header, len(tokens), len(tokens), np.array([0, len(tokens)]), tokens, weights)
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            own.decode(counts)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


# ---------------------------------------------------------------------- what it costs
def joint_law(channel: Channel, reports: int) -> np.ndarray:
    """Return the law of independent reports, one row for each combination of grid points, by enumeration."""
    rows = itertools.product(channel.matrix(), repeat=reports)
    laws = []
    for row in rows:
        law = np.ones(1)
        for one in row:
            law = np.outer(law, one).reshape(-1)
        laws.append(law)
    return np.array(laws)


def true_delta(channel: Channel, reports: int, epsilon: float) -> float:
    """Return the exact delta of all reports together, over all pairs of models."""
    laws = joint_law(channel, reports)
    return max(float(np.maximum(a - math.exp(epsilon) * b, 0).sum()) for a in laws for b in laws)


def holds(cost: ParameterPrivacy, channel: Channel, reports: int) -> bool:
    """Return whether a claim is not below the truth."""
    pure = joint_law(channel, reports)
    exact = float(np.log(pure.max(axis=0) / pure.min(axis=0)).max())
    return cost.pure >= exact - 1e-12 and true_delta(channel, reports, cost.epsilon) <= cost.delta * (1 + 1e-9)


CHANNELS = [
    RandomizedResponse(0.7, depth="leaf"),
    PoissonBinomial(0.2, 2),
    RQM(0.4, 0.5, n_levels=3),
]


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.kind)
@pytest.mark.parametrize("delta", [1e-3, 0.05])
def test_claims_are_not_below_the_truth_nor_far_above(channel: Channel, delta: float) -> None:
    """Two coordinates in two rounds cost what enumerating all outcomes for all pairs of models says."""
    spec = ParameterSpec.of({"w": np.zeros(2)}, clip=1.0, depth=1, channel=channel)
    cost = spec.privacy(rounds=2, delta=delta)
    bound = channel.on(2)
    assert holds(cost, bound, 4)
    assert cost.epsilon == 0 or true_delta(bound, 4, 0.97 * cost.epsilon) > delta
    assert cost.one_round <= cost.epsilon <= cost.pure


def test_a_claim_that_forgets_rounds_is_caught() -> None:
    """The same check rejects a planted defect: the claim of one round for two."""
    channel = CHANNELS[0]
    spec = ParameterSpec.of({"w": np.zeros(2)}, clip=1.0, depth=1, channel=channel)
    assert not holds(spec.privacy(rounds=1, delta=1e-3), channel.on(2), 4)


def test_values_between_grid_points_cost_no_more() -> None:
    """Rounding mixes the laws of two grid points, and no pair of mixtures is easier to tell apart."""
    channel = CHANNELS[0].on(4)
    spec = ParameterSpec.of({"w": np.zeros(1)}, clip=1.0, depth=2, channel=CHANNELS[0])
    cost = spec.privacy(delta=1e-2)
    matrix = channel.matrix()
    mixed = [t * matrix[i] + (1 - t) * matrix[i + 1] for i in range(3) for t in (0.0, 0.3, 0.5, 1.0)]
    worst = max(float(np.maximum(a - math.exp(cost.epsilon) * b, 0).sum()) for a in mixed for b in mixed)
    assert worst <= 1e-2


def test_without_a_channel_nothing_is_claimed() -> None:
    """Deterministic tokens have no epsilon, and the report says so."""
    cost = ParameterSpec.of(MODEL, clip=1.0).privacy()
    assert cost.epsilon == cost.pure == math.inf
    assert "no differential privacy" in str(cost)


def test_sums_cost_what_sum_privacy_says() -> None:
    """Reports opened only in sums cost what SumPrivacy says, and never more than seen one by one."""
    channel = PoissonBinomial(0.1, 2)
    spec = ParameterSpec.of(MODEL, clip=2.0, depth=1, channel=channel)
    cost = spec.privacy(rounds=3, delta=1e-5, n_honest=3, norm=1.0)
    clip = L2Clip(norm=1.0, coordinate=2.0)
    wanted = SumPrivacy.of(channel.on(2), 3, coordinates=5, rounds=3, clip=clip).epsilon(1e-5)
    assert cost.epsilon == wanted < spec.privacy(rounds=3, delta=1e-5).epsilon
    assert spec.privacy(n_honest=1).epsilon <= spec.privacy().epsilon
    assert "3 honest clients" in str(cost)


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({}, {"n_honest": 3}),
        ({"channel": CHANNELS[0], "depth": 2}, {"norm": 1.0}),
        ({"channel": CHANNELS[0], "depth": 2, "clip": {"w": 1.0, "b": 2.0}}, {"n_honest": 3, "norm": 1.0}),
        ({"channel": CHANNELS[0], "depth": 2, "rounding": "nearest"}, {"n_honest": 3, "norm": 1.0}),
    ],
)
def test_what_has_no_price(fields: dict[str, Any], asked: dict[str, Any]) -> None:
    """Sums without a channel, and norms where they bound nothing, are refused."""
    spec = ParameterSpec.of(MODEL, **{"clip": 1.0, **fields})
    with pytest.raises(SpecError):
        spec.privacy(**asked)


def test_printed_figures_are_rounded_up() -> None:
    """No figure in the text is below the one it stands for."""
    spec = ParameterSpec.of(MODEL, clip=1.0, depth=2, channel=RandomizedResponse(0.123456, depth="leaf"))
    cost = spec.privacy(rounds=7)
    shown = [float(line.split("epsilon ")[1].split()[0]) for line in str(cost).splitlines() if "epsilon" in line]
    assert all(a >= b for a, b in zip(shown, [cost.per_report, cost.pure, cost.one_round, cost.epsilon], strict=True))


def test_encoding_warns_of_nothing_without_a_seed() -> None:
    """Encoding with fresh randomness gives no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        codec(depth=3, channel=RandomizedResponse(1.0, depth="leaf")).encode(MODEL)
