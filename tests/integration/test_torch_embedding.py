"""Embeddings of tokens: what they compute, what they are saved with, and what they make of a channel."""

import copy
import io
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Literal

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from hashcomb import HashComb, Key, RandomizedResponse, Spec
from hashcomb.channels import SquareWave, describe
from hashcomb.errors import DataError, FileFormatError, FingerprintError, SpecError
from hashcomb.header import stamp
from hashcomb.integrations.torch import CombEmbedding, Vocabulary
from hashcomb.integrations.torch.posterior import prior_of
from hashcomb.laws import TokenLaws, laws_of

pytestmark = pytest.mark.filterwarnings("ignore::hashcomb.errors.InsecureRandomWarning")

torch.set_num_threads(1)  # threads of several test processes on few cores wait for each other

Learn = Callable[..., Spec]
Mode = Literal["features", "sum"]


@pytest.fixture
def encode(table: Any, key: Key, learn: Learn) -> Callable[..., Any]:
    """Return a function that encodes the table."""

    def tokens(**rules: Any) -> Any:
        codec = HashComb(learn(table, **{"depth": 3, **rules}), key)
        return codec.encode(table, seed=1) if "channel" in rules else codec.encode(table)

    return tokens


def embedding_of(tokens: Any, dim: int = 4, **options: Any) -> CombEmbedding:
    """Return an embedding whose numbers are the same in every run."""
    torch.manual_seed(0)
    return CombEmbedding(Vocabulary.learn(tokens), dim, **options)


# ---------------------------------------------------------------------- what it computes
@pytest.mark.parametrize("mode", ["features", "sum"])
@pytest.mark.parametrize("kind", ["leaf", "comb", 2])
def test_vectors_are_summed_over_levels(encode: Callable[..., Any], mode: Mode, kind: Any) -> None:
    """The output is the sum of rows of the table, over the levels of a feature or over all columns."""
    tokens = encode(tokens=kind)
    embedding = embedding_of(tokens, mode=mode)
    indices = embedding.indices(tokens)
    rows = embedding.weight[indices.long()]
    wanted = rows.flatten(1, -2).sum(1) if mode == "sum" else rows.sum(2) if kind == "comb" else rows
    assert torch.allclose(embedding(indices), wanted, atol=1e-6)
    assert torch.equal(embedding(indices), embedding(indices.long()))


def test_unknown_tokens_embed_as_zero_until_they_are_learned(encode: Callable[..., Any]) -> None:
    """A token that training did not have has the vector zero; a step in which it occurs changes that."""
    tokens = encode()
    embedding = embedding_of(tokens)
    strange = embedding.indices(np.zeros_like(np.asarray(tokens[:1])))
    assert embedding(strange).abs().sum() == 0
    optimizer = torch.optim.AdamW(embedding.parameters())
    for indices, moves in ((embedding.indices(tokens), False), (strange, True)):
        optimizer.zero_grad()
        embedding(indices).sum().backward()
        optimizer.step()
        assert bool(embedding(strange).abs().sum() > 0) == moves


def test_outputs_begin_with_variance_one(encode: Callable[..., Any]) -> None:
    """However many vectors are summed, what leaves the module begins at the same scale."""
    modes: tuple[Mode, ...] = ("features", "sum")
    for kind in ("leaf", "comb"):
        for mode in modes:
            tokens = encode(tokens=kind)
            embedding = embedding_of(tokens, 256, mode=mode)
            assert 0.7 < embedding(embedding.indices(tokens)).var().item() < 1.4


def test_a_network_learns_from_tokens_alone(encode: Callable[..., Any], table: NDArray[np.float64]) -> None:
    """A network over tokens finds a rule that is not linear in any one feature."""
    tokens = encode(tokens="comb")
    labels = torch.from_numpy(((table[:, 0] > 0) ^ (table[:, 1] > 1)).astype(np.int64))
    net = nn.Sequential(embedding_of(tokens, 16, mode="sum"), nn.ReLU(), nn.Linear(16, 2))
    indices = net[0].indices(tokens)  # type: ignore[operator]
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(indices), labels).backward()
        optimizer.step()
    assert (net(indices).argmax(1) == labels).float().mean() > 0.9


def test_compile_does_not_break_it(encode: Callable[..., Any]) -> None:
    """One graph without breaks, forward and backward, with a channel's posterior too."""
    tokens, reports = encode(tokens="comb"), encode(depth=2, channel=RandomizedResponse(2.0))
    laws = CombEmbedding(Vocabulary.learn(reports, laws=laws_of(reports)), 4)
    for embedding, rows in (
        (embedding_of(tokens, mode="sum"), tokens),
        (embedding_of(tokens), tokens),
        (laws, reports),
    ):
        indices = embedding.indices(rows)
        compiled = torch.compile(embedding, backend="aot_eager", fullgraph=True)
        compiled(indices).square().sum().backward()
        found = embedding.weight.grad
        embedding.zero_grad()
        embedding(indices).square().sum().backward()
        assert found is not None
        assert embedding.weight.grad is not None
        assert torch.allclose(found, embedding.weight.grad, atol=1e-4)


def test_it_is_exported_for_any_number_of_rows(encode: Callable[..., Any]) -> None:
    """torch.export keeps the number of rows open."""
    reports = encode(depth=2, channel=RandomizedResponse(2.0))
    embedding = CombEmbedding(Vocabulary.learn(reports, laws=laws_of(reports)), 4, mode="sum")
    indices = embedding.indices(reports)
    exported = torch.export.export(embedding, (indices,), dynamic_shapes=({0: torch.export.Dim("n_rows")},)).module()
    assert torch.equal(exported(indices[:7]), embedding(indices[:7]))


def test_it_runs_on_the_device_it_is_on(encode: Callable[..., Any]) -> None:
    """Tables, indices and results are on one device: the meta device refuses any other mixture."""
    for rules in ({"tokens": "comb"}, {"depth": 2, "channel": RandomizedResponse(2.0)}):
        tokens = encode(**rules)
        vocabulary = Vocabulary.learn(tokens, laws=laws_of(tokens) if "channel" in rules else None)
        made = CombEmbedding(vocabulary, 4, device="meta")
        moved = CombEmbedding(vocabulary, 4).to("meta")
        assert made(made.indices(tokens)).device == moved(moved.indices(tokens)).device == torch.device("meta")


def test_autocast_and_half_precision(encode: Callable[..., Any]) -> None:
    """Under autocast, and cast to bfloat16, results are those of single precision but for rounding."""
    reports = encode(depth=2, channel=RandomizedResponse(2.0))
    embedding = CombEmbedding(Vocabulary.learn(reports, laws=laws_of(reports)), 4)
    indices = embedding.indices(reports)
    wanted = embedding(indices)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(embedding(indices).float(), wanted, atol=0.05)
    half = copy.deepcopy(embedding).bfloat16()
    assert half(indices).dtype == torch.bfloat16
    assert torch.allclose(half(indices).float(), wanted, atol=0.05)


def test_gradients_may_be_sparse(encode: Callable[..., Any]) -> None:
    """With sparse=True the table gets a sparse gradient, which SparseAdam takes; not with laws."""
    tokens = encode(tokens="comb")
    embedding = embedding_of(tokens, sparse=True)
    embedding(embedding.indices(tokens)).sum().backward()
    assert embedding.weight.grad is not None
    assert embedding.weight.grad.is_sparse
    torch.optim.SparseAdam(embedding.parameters()).step()
    reports = encode(depth=2, channel=RandomizedResponse(2.0))
    with pytest.raises(SpecError, match="sparse"):
        CombEmbedding(Vocabulary.learn(reports, laws=laws_of(reports)), 4, sparse=True)


# ---------------------------------------------------------------------- saved and loaded
def saved(module: nn.Module) -> Any:
    """Return a state_dict that went through torch.save and came back as weights only."""
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("rules", [{"tokens": "comb"}, {"token_bits": 32}, {"channel": RandomizedResponse(1.0)}])
def test_a_saved_model_brings_its_vocabulary(encode: Callable[..., Any], rules: dict[str, Any]) -> None:
    """Weights load into a fresh module without a vocabulary, and into one with another, with the same results."""
    tokens = encode(**rules)
    laws = laws_of(tokens) if "channel" in rules else None
    first = nn.Sequential(CombEmbedding(Vocabulary.learn(tokens, laws=laws), 4), nn.Flatten())
    state = saved(first)
    wanted = first(first[0].indices(tokens))  # type: ignore[operator]
    smaller = Vocabulary.learn(tokens[:3])
    for vocabulary in (None, smaller):
        second = nn.Sequential(CombEmbedding(vocabulary, 4), nn.Flatten())
        second.load_state_dict(state)
        assert torch.equal(second(second[0].indices(tokens)), wanted)  # type: ignore[operator]
    assert [name for name, tensor in state.items() if tensor.is_floating_point()] == ["0.weight"]


def test_a_model_of_another_spec_does_not_load(encode: Callable[..., Any]) -> None:
    """Weights of another Spec, and tokens of another Spec, are FingerprintErrors."""
    tokens, others = encode(), encode(depth=2)
    embedding = embedding_of(tokens)
    with pytest.raises(FingerprintError, match="another Spec"):
        embedding.load_state_dict(embedding_of(others).state_dict())
    with pytest.raises(FingerprintError, match="another Spec"):
        embedding.indices(others)


def test_a_table_of_another_shape_is_refused(encode: Callable[..., Any]) -> None:
    """A table that does not fit is named, and the module stays as it was; so it does without any table."""
    embedding = embedding_of(encode()[:3], 8)
    wanted, indices = embedding.weight.clone(), torch.zeros(1, 5, dtype=torch.int32)
    with pytest.raises(DataError, match=r"tensor '0\.weight' has shape \(\d+, 4\), where"):
        nn.Sequential(embedding).load_state_dict(nn.Sequential(embedding_of(encode())).state_dict())
    state = embedding_of(encode()[:9], 8).state_dict()
    del state["weight"]
    with pytest.raises(RuntimeError, match="size mismatch"):
        embedding.load_state_dict(state, strict=False)
    assert torch.equal(embedding.weight, wanted)
    assert embedding(indices).shape == (1, 5, 8)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_tensors_may_be_assigned(encode: Callable[..., Any], device: str) -> None:
    """With assign=True a module takes the device and the type of what it loads, also one that was made without data."""
    reports = encode(depth=2, channel=RandomizedResponse(2.0))
    first = CombEmbedding(Vocabulary.learn(reports, laws=laws_of(reports)), 4).double()
    indices = first.indices(reports)
    with torch.device(device):
        modules = [CombEmbedding(vocabulary, 4) for vocabulary in (None, first.vocabulary)]
    for second in modules:
        second.load_state_dict(first.state_dict(), assign=True)
        assert torch.allclose(second(indices), first(indices), atol=1e-6)
        assert second(indices).dtype == torch.float64


def test_tensors_that_are_no_vocabulary_are_refused(encode: Callable[..., Any]) -> None:
    """An edited header, sizes that do not add up and unsorted tokens are FileFormatErrors."""
    good = embedding_of(encode()).state_dict()
    edits: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "vocabulary_header": lambda tensor: tensor[:-1],
        "vocabulary_sizes": lambda tensor: tensor + 1,
        "vocabulary_tokens": lambda tensor: tensor.flip(0),
    }
    for name, edit in edits.items():
        with pytest.raises(FileFormatError):
            CombEmbedding(None, 4).load_state_dict({**good, name: edit(good[name])})


def test_copies_are_independent(encode: Callable[..., Any]) -> None:
    """Two modules of one vocabulary share nothing that loading would overwrite."""
    reports = encode(depth=2, channel=RandomizedResponse(1.0))
    vocabulary = Vocabulary.learn(reports, laws=laws_of(reports))
    one, two = CombEmbedding(vocabulary, 4), CombEmbedding(vocabulary, 4)
    wanted = two(two.indices(reports)).clone()
    for buffer in one.buffers():
        buffer.zero_()
    assert torch.equal(two(two.indices(reports)), wanted)
    assert Vocabulary.from_tensors(vocabulary.to_tensors()).posterior is not None


# ---------------------------------------------------------------------- channels
def test_a_report_embeds_as_the_mean_of_true_values_behind_it(key: Key, learn: Learn) -> None:
    """The vector of a report is sum_v Pr[v | report] vector(v) by Bayes' rule; a true value has its own vector."""
    table = np.random.default_rng(0).choice([0.0, 1.0, 2.0, 3.0], p=[0.5, 0.25, 0.15, 0.1], size=(4000, 1))
    codec = HashComb(learn(table, depth=2, channel=RandomizedResponse(1.5, depth="leaf")), key)
    reports, true = codec.encode(table, seed=3), codec.encode_clean(np.arange(4.0)[:, None])
    embedding = CombEmbedding(Vocabulary.learn(reports, laws=laws_of(reports)), 3)
    vectors = embedding(embedding.indices(true))[:, 0]
    (law,) = laws_of(reports)
    order = np.searchsorted(law.symbols, np.asarray(true)[:, 0])
    counts = (np.asarray(reports) == law.reports).sum(0)
    shares = np.linalg.solve(law.matrix.T, counts / counts.sum())[order]  # positive here, so this is the likeliest
    joint = shares[:, None] * law.matrix[order]
    wanted = torch.from_numpy((joint / joint.sum(0)).T).float() @ vectors
    found = embedding(embedding.indices(stamped(law.reports[:, None], reports)))[:, 0]
    assert torch.allclose(found, wanted, atol=1e-3)
    assert not torch.allclose(found, vectors[np.argsort(order)], atol=0.05)


def stamped(tokens: Any, like: Any, **other: Any) -> Any:
    """Return tokens with the header of others, but for some fields."""
    return stamp(tokens, msgspec.structs.replace(like.header, **other))


def test_the_prior_is_the_likeliest() -> None:
    """From exact shares of reports, the shares of true values come back; from none, all are alike."""
    matrix = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
    prior = np.array([0.6, 0.3, 0.1])
    assert np.allclose(prior_of(matrix, 1000 * prior @ matrix), prior, atol=1e-6)
    assert np.allclose(prior_of(matrix, np.zeros(3)), 1 / 3)


def test_weak_reports_are_told_apart_as_well_as_strong_ones(table: Any, key: Key, learn: Learn) -> None:
    """Whatever the epsilon, vectors of reports begin as far apart as without a channel, about the same mean."""
    for epsilon in (0.2, 1.0, 5.0):
        codec = HashComb(learn(table[:, :2], depth=1, channel=RandomizedResponse(epsilon)), key)
        reports = codec.encode(np.repeat(table[:, :2], 20, axis=0), seed=1)
        embedding = CombEmbedding(Vocabulary.learn(reports, laws=laws_of(reports)), 512)
        vectors = embedding(torch.tensor([[1, 4], [2, 5]]))
        distance = (vectors[0] - vectors[1]).square().mean(1).sqrt()
        assert torch.allclose(distance, torch.tensor(2.0), rtol=0.2)


def test_laws_of_a_key_holder_and_blanks(table: Any, key: Key, learn: Learn) -> None:
    """A channel that keeps the order of leaves works with the key holder's laws; a blank tells only the prior."""
    codec = HashComb(learn(table, depth=2, channel=SquareWave(2.0)), key)
    reports = codec.encode(table, seed=1)
    embedding = CombEmbedding(Vocabulary.learn(reports, laws=codec.laws()), 2)
    assert embedding(embedding.indices(reports)).isfinite().all()
    assert (embedding(embedding.indices(codec.encode_clean(table))).abs().sum(2) > 0).all()
    share = describe("randomized_response", n_leaves=2, epsilon=2.0, report_features=2)
    some = HashComb(learn(table, depth=1, channel=share), key)
    laws = some.laws()
    vocabulary = Vocabulary.learn(some.encode(table, seed=1), laws=laws)
    assert vocabulary.posterior is not None
    for slots, known, law in zip(vocabulary.posterior, vocabulary.columns, laws, strict=True):
        blank = 1 + int(np.searchsorted(known, np.uint64(law.blank or 0)))
        assert np.isclose(slots.sum(1)[: 1 + len(known)], 1).all()
        assert slots[blank, blank] == 0


def test_laws_of_other_tokens_are_refused(encode: Callable[..., Any]) -> None:
    """Laws of another Spec are a FingerprintError, of other columns a DataError."""
    reports = encode(depth=2, channel=RandomizedResponse(2.0))
    others = encode(depth=2, channel=RandomizedResponse(1.0))
    with pytest.raises(FingerprintError):
        Vocabulary.learn(reports, laws=laws_of(others))
    with pytest.raises(DataError, match="without their channel"):
        Vocabulary.learn(
            stamped(np.asarray(reports), others, channel=None, domain=None, version=1), laws=laws_of(others)
        )
    with pytest.raises(DataError, match="laws of 2 columns"):
        Vocabulary.learn(reports, laws=TokenLaws(None, laws_of(reports)[:2]))


# ---------------------------------------------------------------------- bad input
def test_rows_that_do_not_fit_are_refused(encode: Callable[..., Any]) -> None:
    """No rows, other columns and a module without a vocabulary are DataErrors."""
    tokens = encode(tokens="comb")
    embedding = embedding_of(tokens)
    indices = embedding.indices(tokens)
    with pytest.raises(DataError, match="a batch without rows"):
        embedding(indices[:0])
    with pytest.raises(DataError, match=r"shape \(4, 3\), where the vocabulary has \(5, 3\)"):
        embedding(indices[:, :4])
    with pytest.raises(DataError, match="no vocabulary yet"):
        CombEmbedding(None, 4).indices(tokens)
    with pytest.raises(DataError, match="no vocabulary yet"):
        CombEmbedding(None, 4)(indices)
    for wrong in (tokens, indices.float()):
        with pytest.raises(DataError, match=r"embedding.indices\(tokens\)"):
            embedding(wrong)
    with pytest.raises(SpecError, match=r"Vocabulary.learn\(tokens\)"):
        CombEmbedding(tokens, 4)


def test_arguments_that_cannot_be_are_refused(encode: Callable[..., Any]) -> None:
    """An unknown mode and a length that is none are SpecErrors."""
    vocabulary = Vocabulary.learn(encode())
    with pytest.raises(SpecError, match="mode"):
        CombEmbedding(vocabulary, 4, mode="mean")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="dim"):
        CombEmbedding(vocabulary, 0)
    assert CombEmbedding(vocabulary, np.int64(3)).dim == 3  # type: ignore[arg-type] # as random searches draw it


def test_without_torch_the_extra_is_named() -> None:
    """Importing the adapter where torch is not installed says how to get it."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from hashcomb.errors import MissingExtraError\n"
        "try:\n    import hashcomb.integrations.torch\n"
        "except MissingExtraError as error:\n    print(error.extra)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "torch\n"
