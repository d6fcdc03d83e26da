"""Models of any shape, and rounds of any clients: what comes back, and what cannot."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hashcomb import Key
from hashcomb.counts import ParameterCounts, ParameterTokens, count_parameters
from hashcomb.errors import FileFormatError, HashcombError
from hashcomb.parameters import ParameterCodec, ParameterSpec

KEY = Key(bytes(range(32)))
CLIPS = st.floats(2.0**-40, 2.0**40)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, max_side=4)


@st.composite
def models(draw: st.DrawFn, clip: float) -> dict[str, np.ndarray]:
    """Draw a model whose values lie within the clip, its ends included."""
    values = st.floats(-clip, clip)
    names = draw(st.lists(st.text("abc.", min_size=1, max_size=4), min_size=1, max_size=3, unique=True))
    return {name: draw(hnp.arrays(np.float64, draw(SHAPES), elements=values)) for name in names}


@settings(max_examples=60, deadline=None)
@given(st.data(), CLIPS, st.integers(1, 12), st.sampled_from(["nearest", "stochastic"]))
def test_each_value_comes_back_within_a_step(data: st.DataObject, clip: float, depth: int, rounding: str) -> None:
    """A value within the clip comes back as a grid point next to it: half a step away at most if the nearest."""
    model = data.draw(models(clip))
    codec = ParameterCodec(ParameterSpec.of(model, clip=clip, depth=depth, rounding=rounding), KEY, round=1)  # type: ignore[arg-type]
    back = codec.decode(ParameterTokens.from_bytes(codec.encode(model).to_bytes()))
    step = 2 * clip / (2**depth - 1)
    for name, array in model.items():
        away = np.abs(back[name] - array).max()
        assert away <= (0.5 if rounding == "nearest" else 1.0) * step + 4e-15 * clip
        assert np.abs(back[name]).max() <= clip * (1 + 1e-15)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=9),
    st.data(),
)
def test_counting_in_any_parts_is_counting_all(leaves: list[list[int]], data: st.DataObject) -> None:
    """Any partition of the clients, counted part by part and merged, gives the same bytes, and the exact mean."""
    weights = data.draw(st.lists(st.integers(1, 1 << 30), min_size=len(leaves), max_size=len(leaves)))
    cut = data.draw(st.integers(0, len(leaves) - 1))
    spec = ParameterSpec.of({"w": np.zeros(3)}, clip=1.5, depth=2, rounding="nearest")
    codec = ParameterCodec(spec, KEY, round=1)
    tokens = [codec.encode({"w": np.array(row) - 1.5}) for row in leaves]
    whole = count_parameters(tokens, weights)
    if cut:
        parts = count_parameters(tokens[cut:], weights[cut:]).merge(count_parameters(tokens[:cut], weights[:cut]))
        assert parts.to_bytes() == whole.to_bytes()
    exact = [sum(w * row[j] for w, row in zip(weights, leaves, strict=True)) / sum(weights) - 1.5 for j in range(3)]
    np.testing.assert_allclose(codec.decode(ParameterCounts.from_bytes(whole.to_bytes()))["w"], exact, atol=1e-14)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
def test_bytes_from_anybody_are_tokens_or_refused(noise: bytes, place: int, byte: int) -> None:
    """Random bytes, and frames with one byte changed, are refused or decode to what their header says."""
    spec = ParameterSpec.of({"w": np.zeros(3)}, clip=1.0)
    codec = ParameterCodec(spec, KEY, round=1)
    tokens = codec.encode({"w": np.ones(3)})
    with pytest.raises(FileFormatError):
        ParameterTokens.from_bytes(noise)
    for kind, raw in ((ParameterTokens, tokens.to_bytes()), (ParameterCounts, count_parameters([tokens]).to_bytes())):
        changed = bytearray(raw)
        changed[place % len(raw)] = byte
        with contextlib.suppress(HashcombError):
            codec.decode(kind.from_bytes(bytes(changed)))
