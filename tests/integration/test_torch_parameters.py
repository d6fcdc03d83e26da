"""Parameters and gradients of torch models as tokens."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hashcomb import HashComb, Key, Spec, Uniform
from hashcomb.counts import ParameterCounts, ParameterTokens, count_parameters
from hashcomb.errors import DataError, FingerprintError, SpecError
from hashcomb.integrations.torch import (
    CombEmbedding,
    GradientTokens,
    Vocabulary,
    decode_counts,
    encode_state_dict,
    parameter_spec,
)

torch.set_num_threads(1)  # threads of several test processes on few cores wait for each other

CLIP = 2.0
STEP = 2 * CLIP / 255  # between points of the grid at depth 8


def model(seed: int) -> nn.Sequential:
    """Return a model with a buffer of whole numbers."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def worst(first: Any, second: Any) -> float:
    """Return the largest difference between tensors of two state_dicts."""
    return max(float((first[name].double() - second[name].double()).abs().max()) for name in second)


# ---------------------------------------------------------------------- parameters
def test_counts_decode_to_the_weighted_mean(key: Key) -> None:
    """Two owners' models, counted without the Key, decode to their mean, a step of the grid apart at most."""
    owners = [model(0), model(1)]
    spec = parameter_spec(owners[0], clip=CLIP)
    counts = count_parameters([encode_state_dict(own, spec, key, round=3) for own in owners], weights=[10, 30])
    state = decode_counts(counts, spec, key, round=3, like=owners[0])
    first, second = (own.state_dict() for own in owners)
    learned = [name for name in first if first[name].is_floating_point()]
    assert worst(state, {name: 0.25 * first[name] + 0.75 * second[name] for name in learned}) <= STEP
    assert [*state] == [*first]
    owners[1].load_state_dict(state)


def test_types_are_kept_and_whole_numbers_are_left_alone(key: Key) -> None:
    """Half, bfloat16 and double come back as they were; whole numbers, truth values and other things are copied."""
    state = {
        "half": torch.tensor([0.5], dtype=torch.float16),
        "brain": torch.tensor([[-1.0, 0.25]], dtype=torch.bfloat16),
        "double": torch.tensor(1.5, dtype=torch.float64),
        "count": torch.tensor(7),
        "mask": torch.tensor([True, False]),
        "note": "any",
    }
    spec = parameter_spec(state, clip=CLIP)
    assert spec.names == ("half", "brain", "double")
    back = decode_counts(encode_state_dict(state, spec, key, round=0), spec, key, round=0, like=state)
    assert {name: getattr(value, "dtype", None) for name, value in back.items()} == {
        name: getattr(value, "dtype", None) for name, value in state.items()
    }
    assert worst(back, {name: state[name] for name in (*spec.names, "count", "mask")}) <= STEP
    assert back["count"] is not state["count"]


def test_a_model_is_described_without_its_values() -> None:
    """A model on the meta device, which has no values, has the spec of the same model with values."""
    empty = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).to("meta")
    assert parameter_spec(empty, clip=CLIP) == parameter_spec(model(0), clip=CLIP)


def test_an_embedding_travels_without_its_vocabulary(key: Key) -> None:
    """Of a CombEmbedding only the table is encoded; vocabulary and header stay as they are."""
    spec = Spec(features=(Uniform(name="a", lo=0.0, hi=1.0),), depth=3)
    tokens = HashComb(spec, key).encode(np.linspace(0, 1, 50)[:, None])
    embedding = CombEmbedding(Vocabulary.learn(tokens), 4)
    described = parameter_spec(embedding, clip=5.0, depth=10)
    assert described.names == ("weight",)
    back = decode_counts(encode_state_dict(embedding, described, key, round=0), described, key, round=0, like=embedding)
    embedding.load_state_dict(back)
    assert embedding(embedding.indices(tokens)).shape == (50, 1, 4)


def test_parameters_that_do_not_fit_are_named(key: Key) -> None:
    """NaN weights, other shapes, missing, unexpected and complex tensors are DataErrors that name the tensor."""
    own = model(0)
    spec = parameter_spec(own, clip=CLIP)
    good = own.state_dict()
    bad = {
        "'0.weight' has 1 values that are NaN": {**good, "0.weight": good["0.weight"].clone()},
        "'0.bias' has shape": {**good, "0.bias": torch.zeros(5)},
        "'2.bias' is missing": {name: tensor for name, tensor in good.items() if name != "2.bias"},
        "'extra' is not in the ParameterSpec": {**good, "extra": torch.zeros(1)},
        "'phase' is not in the ParameterSpec": {**good, "phase": torch.zeros(1, dtype=torch.complex64)},
    }
    next(iter(bad.values()))["0.weight"][1, 1] = torch.nan
    for problem, state in bad.items():
        with pytest.raises(DataError, match=problem):
            encode_state_dict(state, spec, key, round=0)


def test_what_was_decoded_must_fit_the_model(key: Key) -> None:
    """Another model, round or spec is a typed error, and nothing is half loaded."""
    own = model(0)
    spec = parameter_spec(own, clip=CLIP)
    tokens = encode_state_dict(own, spec, key, round=1)
    with pytest.raises(FingerprintError, match="another round"):
        decode_counts(tokens, spec, key, round=2, like=own)
    with pytest.raises(DataError, match=r"'2\.weight' is missing in the model"):
        decode_counts(tokens, spec, key, round=1, like=own[:2])
    with pytest.raises(DataError, match=r"'0\.weight' has shape"):
        decode_counts(tokens, spec, key, round=1, like={**own.state_dict(), "0.weight": torch.zeros(1)})


# ---------------------------------------------------------------------- gradients
def steps(own: nn.Module, optimizer: torch.optim.Optimizer, count: int) -> list[float]:
    """Train on a made-up task; return the losses."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(64, 3, generator=generator)
    y = (X[:, 0] > 0).long()
    losses = []
    for _ in range(count):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(own(X), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def gradients(own: nn.Module) -> dict[str, torch.Tensor]:
    """Return copies of all gradients."""
    return {name: p.grad.clone() for name, p in own.named_parameters() if p.grad is not None}


def test_a_step_sees_gradients_as_their_tokens_decode(key: Key) -> None:
    """Gradients are on the grid, at most a step from the clipped ones, until the hook is removed."""
    own, plain = model(0), model(0)
    clip = 0.05
    spec = parameter_spec(dict(own.named_parameters()), clip=clip, depth=4)
    optimizer = torch.optim.SGD(own.parameters(), lr=0.0)
    with GradientTokens(optimizer, own, spec, key, round=5) as hook:
        steps(own, optimizer, 1)
        assert hook.round == 6
    steps(plain, torch.optim.SGD(plain.parameters(), lr=0.0), 1)
    found = gradients(own)
    assert worst(found, {name: g.clamp(-clip, clip) for name, g in gradients(plain).items()}) <= 2 * clip / 15 * 1.001
    places = torch.cat([(g.flatten() / clip + 1) * 7.5 for g in found.values()])
    assert torch.allclose(places, places.round(), atol=1e-4)
    steps(own, optimizer, 1)
    assert hook.round == 6
    assert worst(gradients(own), gradients(plain)) < 1e-6


def test_a_plain_loop_learns_with_it(key: Key) -> None:
    """Training goes on as before in a loop that knows nothing of tokens."""
    own = model(0)
    optimizer = torch.optim.Adam(own.parameters(), lr=0.1)
    GradientTokens(optimizer, own, parameter_spec(dict(own.named_parameters()), clip=0.1), key)
    losses = steps(own, optimizer, 12)
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("by_name", [True, False])
def test_gradients_of_a_closure_become_tokens(key: Key, by_name: bool) -> None:
    """Where a step computes gradients itself, in a closure, the optimizer sees those that tokens decode to."""
    own = nn.Linear(3, 2)
    clip = 0.05
    optimizer = torch.optim.LBFGS(own.parameters(), max_iter=3)
    hook = GradientTokens(optimizer, own, parameter_spec(own, clip=clip, depth=4), key)
    calls = []

    def closure() -> torch.Tensor:
        calls.append(1)
        optimizer.zero_grad()
        loss: torch.Tensor = own(torch.ones(2, 3)).square().sum()
        loss.backward()
        return loss

    assert (optimizer.step(closure=closure) if by_name else optimizer.step(closure)) is not None
    places = torch.cat([(g.flatten() / clip + 1) * 7.5 for g in gradients(own).values()])
    assert torch.allclose(places, places.round(), atol=1e-4)
    assert hook.round == len(calls) > 1


def test_frozen_parameters_stay_as_they_are(key: Key) -> None:
    """A parameter that needs no gradient gets none, though it counts as having zeros."""
    own = model(0)
    own[0].requires_grad_(requires_grad=False)
    before = {name: tensor.clone() for name, tensor in own[0].state_dict().items()}
    optimizer = torch.optim.SGD(own.parameters(), lr=1.0)
    with GradientTokens(optimizer, own, parameter_spec(dict(own.named_parameters()), clip=0.1), key):
        steps(own, optimizer, 1)
    assert worst(own[0].state_dict(), before) == 0
    assert own[2].weight.grad is not None


@pytest.mark.parametrize("fused", [False, True])
def test_a_scaler_takes_its_scale_off_first(key: Key, fused: bool) -> None:
    """Gradients are encoded as they are; ones that are still scaled, as fused optimizers take them, are refused."""
    own = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(own.parameters(), lr=0.0, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    GradientTokens(optimizer, own, parameter_spec(own, clip=0.1), key)
    scaler.scale(0.05 * own(torch.ones(1, 3)).sum()).backward()
    if fused:
        with pytest.raises(DataError, match="unscale_"):
            scaler.step(optimizer)
        return
    scaler.step(optimizer)
    assert worst(gradients(own), {"weight": torch.full((2, 3), 0.05)}) <= 0.2 / 255 * 1.001


def test_owners_exchange_gradients(key: Key) -> None:
    """What exchange brings back is the mean gradient: a server counts this owner's tokens beside those of another."""
    own, other = model(0), model(7)
    steps(other, torch.optim.SGD(other.parameters(), lr=0.0), 1)
    theirs = gradients(other)
    spec = parameter_spec(dict(own.named_parameters()), clip=CLIP)

    def server(tokens: ParameterTokens) -> ParameterCounts:
        assert tokens.header is not None
        return count_parameters([tokens, encode_state_dict(theirs, spec, key, round=tokens.header.round)])

    optimizer = torch.optim.SGD(own.parameters(), lr=0.0)
    with GradientTokens(optimizer, own, spec, key, exchange=server):
        steps(own, optimizer, 1)
    mean = gradients(own)
    steps(own, optimizer, 1)
    assert worst(mean, {name: (g + theirs[name]) / 2 for name, g in gradients(own).items()}) <= STEP


def test_parameters_without_gradient_count_as_zero(key: Key) -> None:
    """A part of the model that a step did not use sends zeros, rounded like everything else; a sparse one is dense."""
    used, unused = nn.EmbeddingBag(4, 2, sparse=True, mode="sum"), nn.Linear(2, 1)
    own = nn.ModuleDict({"used": used, "unused": unused})
    spec = parameter_spec(own, clip=1.0)
    optimizer = torch.optim.SGD(own.parameters(), lr=0.1)
    with GradientTokens(optimizer, own, spec, key):
        used(torch.tensor([[1, 2]])).sum().backward()
        optimizer.step()
    assert unused.weight.grad is not None
    assert unused.weight.grad.abs().max() <= 2 / 255
    assert used.weight.grad is not None
    assert worst({"g": used.weight.grad}, {"g": torch.tensor([[0.0] * 2, [1.0] * 2, [1.0] * 2, [0.0] * 2])}) <= 2 / 255


def test_gradients_that_do_not_fit_are_named(key: Key) -> None:
    """NaN gradients fail at the step, and use up its round; other parameters than the spec's fail at once."""
    own = model(0)
    spec = parameter_spec(dict(own.named_parameters()), clip=0.1)
    optimizer = torch.optim.SGD(own.parameters(), lr=0.1)
    hook = GradientTokens(optimizer, own, spec, key)
    own[2].bias.grad = torch.tensor([0.0, torch.nan])
    with pytest.raises(DataError, match=r"'2\.bias' has 1 values that are NaN"):
        optimizer.step()
    assert hook.round == 1
    with pytest.raises(DataError, match=r"'2\.weight' is missing in the model"):
        GradientTokens(optimizer, own[:2], spec, key)
    with pytest.raises(DataError, match=r"'1\.running_mean' is missing in the model; describe dict"):
        GradientTokens(optimizer, own, parameter_spec(own, clip=0.1), key)
    with pytest.raises(DataError, match="'weight' is not in the ParameterSpec"):
        GradientTokens(optimizer, nn.Linear(2, 2), spec, key)
    with pytest.raises(SpecError, match="round"):
        GradientTokens(optimizer, own, spec, key, round=-1)
