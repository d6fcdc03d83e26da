"""One list of tests for the compiled kernels and for their twins in NumPy."""

import subprocess
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from hashcomb import kernels
from hashcomb.comb import _guide, _merge_equal
from hashcomb.kernels import compiled, reference

i32 = np.int32
BOTH = pytest.mark.parametrize("kernel", [compiled, reference], ids=["compiled", "reference"])

# The test vector of the SipHash paper, appendix A: key 00..0f, message 00..07.
SIPHASH_KEY = np.frombuffer(bytes(range(16)), dtype="<u8").astype(np.uint64)
SIPHASH_VECTORS = [(0x0706050403020100, 0x93F5F5799A932462)]


def blocks(n_features: int, n_leaves: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return first and last index of every feature's block, and a table whose entries are all different."""
    first = (np.arange(n_features) * (n_leaves + 1)).astype(i32)
    return first, first + i32(n_leaves), np.arange(n_features * (n_leaves + 1), dtype=np.uint64) * 3 + 1


@BOTH
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_uniform_lookup_is_its_formula(kernel: ModuleType, dtype: Any) -> None:
    """Leaf = clamp(int((x - lo) * scale)), NaN is last, and what is outside is counted by feature."""
    lo, scale, top = np.array([0.0, -1.0]), np.array([4.0, 2.0]), np.array([3.0, 3.0])
    values = np.array([[0.0, -1.0], [0.25, 0.99], [0.9999, 1.0], [1.0, 5.0], [-3.0, np.nan], [np.inf, -np.inf]], dtype)
    first, last, table = blocks(2, 4)
    bad, out = np.zeros(2, dtype=i32), np.zeros(values.size, dtype=np.uint64)
    bounds = (np.array([0.0, -1.0]), np.array([1.0, 1.0]))
    kernel.uniform_lookup(values.reshape(-1), *bounds, last, lo, scale, top, first, table, bad, out)
    leaves = [[0, 0], [1, 3], [3, 3], [3, 3], [0, 4], [3, 0]]
    assert (out.reshape(-1, 2) == table[np.array(leaves) + first]).all()
    assert bad.tolist() == [2, 3]


@BOTH
def test_edges_lookup_counts_edges(kernel: ModuleType) -> None:
    """Leaf = number of edges <= x, also at, just below and just above every edge, with ties and long tails."""
    rng = np.random.default_rng(1)
    edges = np.sort(np.stack([rng.normal(size=31), np.exp(4 * rng.normal(size=31)), rng.integers(0, 4, 31)]), axis=1)
    distinct, leaf_at = _merge_equal(edges)
    near = np.concatenate([edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)], axis=1)
    values = np.concatenate([near, [[np.inf, -np.inf, 0.0, -0.0]] * 3, [[np.nan] * 2] * 3], axis=1).T.copy()
    _, last, table = blocks(3, 32)
    by_position = np.take_along_axis(table.reshape(3, -1), leaf_at, axis=1).reshape(-1)
    bad, out = np.zeros(3, dtype=i32), np.zeros(values.size, dtype=np.uint64)
    anywhere = (np.full(3, -np.inf), np.full(3, np.inf))
    kernel.edges_lookup(values.reshape(-1), *anywhere, last, *_guide(distinct), by_position, bad, out)
    expected = (edges[None, :, :] <= values[:, :, None]).sum(axis=2)
    expected = np.where(np.isnan(values), 32, expected)
    assert (out.reshape(-1, 3) == np.take_along_axis(table.reshape(3, -1), expected.T, axis=1).T).all()
    assert bad.tolist() == [2, 2, 2]


@BOTH
def test_lookup_and_paths(kernel: ModuleType) -> None:
    """A leaf's entry, and those of its nodes from the coarsest level, come from the feature's own block."""
    first, _, table = blocks(2, 4)
    leaves = np.array([[0, 3], [2, 4]], dtype=i32)
    out = np.zeros(4, dtype=np.uint64)
    kernel.lookup(leaves.reshape(-1), first, table, out)
    assert (out.reshape(2, 2) == table[leaves + first]).all()
    offset, shift = np.array([0, 3], dtype=i32), np.array([1, 0], dtype=i32)  # levels of 2 + 1 and 4 + 1 nodes
    starts = np.array([0, 8], dtype=i32)
    heap = np.arange(16, dtype=np.uint64)
    paths = np.zeros(8, dtype=np.uint64)
    kernel.paths(leaves.reshape(-1), starts, offset, shift, heap, paths)
    assert paths.reshape(2, 2, 2).tolist() == [[[0, 3], [9, 14]], [[1, 5], [10, 15]]]


@BOTH
def test_find_leaves_probes_to_the_end(kernel: ModuleType) -> None:
    """Tokens of one home slot are all found, and a token that is not there gives -1."""
    keys = np.array([8, 4, 12, 0, 0, 0], dtype=np.uint64)  # all three are at home in slot 0 of 4
    nodes = np.array([5, 6, 7, -1, -1, -1], dtype=i32)
    tokens = np.array([4, 8, 12, 16, 3], dtype=np.uint64)
    out = np.zeros(5, dtype=i32)
    kernel.find_leaves(tokens, 1, 6, 3, keys, nodes, out)
    assert out.tolist() == [6, 5, 7, -1, -1]


@BOTH
def test_randomized_response_follows_its_words(kernel: ModuleType) -> None:
    """A word whose high half is below the threshold keeps the leaf; else its low half, scaled, is the report."""
    leaves = np.array([2, 2, 2, 2], dtype=i32)
    words = np.array(
        [9 << 32, (10 << 32) | 0, (10 << 32) | 0xFFFFFFFF, (2**32 - 1) << 32 | 0x80000000], dtype=np.uint64
    )
    out = np.zeros(4, dtype=i32)
    kernel.randomized_response(leaves, words, 10, 5, out)
    assert out.tolist() == [2, 0, 4, 2]


# SipHash adds modulo 2**64, of which plain NumPy scalars warn where nothing is compiled.
WRAPS = pytest.mark.filterwarnings("ignore:overflow encountered in scalar add:RuntimeWarning")


@WRAPS
@BOTH
def test_siphash_gives_the_published_vector(kernel: ModuleType) -> None:
    """SipHash-2-4 of eight bytes is that of its authors' appendix."""
    words = np.array([word for word, _ in SIPHASH_VECTORS], dtype=np.uint64)
    out = np.zeros_like(words)
    kernel.siphash_words(words, SIPHASH_KEY, out)
    assert out.tolist() == [digest for _, digest in SIPHASH_VECTORS]


@WRAPS
def test_twins_agree_on_siphash() -> None:
    """Compiled and NumPy SipHash agree on a thousand random words under random keys."""
    rng = np.random.default_rng(2)
    words = rng.integers(0, 2**64, 1000, dtype=np.uint64)
    for key in rng.integers(0, 2**64, (5, 2), dtype=np.uint64):
        outs = [np.zeros_like(words) for _ in range(2)]
        compiled.siphash_words(words, key, outs[0])
        reference.siphash_words(words, key, outs[1])
        assert (outs[0] == outs[1]).all()


# The hash of a node multiplies modulo 2**64, of which plain NumPy scalars warn where nothing is compiled.
MULTIPLIES = pytest.mark.filterwarnings("ignore:overflow encountered in scalar multiply:RuntimeWarning")


def codes_of(kernel: ModuleType, first: np.ndarray, second: np.ndarray, n_nodes: int = 100) -> tuple[Any, ...]:
    """Return the codes of both tables of paths, the largest numbers of siblings, and how many features are full."""
    n_features, depth = first.shape[1:]
    outs = [np.zeros(table.shape[:2], dtype=i32) for table in (first, second)]
    scratch = (np.zeros(256, dtype=np.uint64), np.zeros((4, 256), dtype=i32), np.zeros((2, n_nodes), dtype=i32))
    widest, full = np.ones(depth, dtype=np.int64), np.zeros(1, dtype=i32)
    tables = (first.reshape(-1), second.reshape(-1), 0, n_features, n_features, np.ones(depth, dtype=np.int64))
    kernel.tree_codes(*tables, *scratch, widest, full, outs[0].reshape(-1), outs[1].reshape(-1))
    return (*outs, widest.tolist(), full.tolist())


@MULTIPLIES
@BOTH
def test_tree_codes_number_children_in_order_of_occurrence(kernel: ModuleType) -> None:
    """A code is the numbers of a path's nodes among their siblings, in both tables, feature by feature."""
    first = np.array([[[7, 70], [5, 50]], [[7, 71], [6, 60]], [[8, 80], [5, 51]]], dtype=np.uint64)
    second = np.array([[[9, 90], [6, 61]], [[8, 80], [5, 50]]], dtype=np.uint64)
    codes, others, widest, full = codes_of(kernel, first, second)
    assert codes.tolist() == [[0b00, 0b00], [0b01, 0b10], [0b10, 0b01]]
    assert others.tolist() == [[0b100, 0b11], [0b10, 0b00]]
    assert (widest, full) == ([3, 2], [0])


@MULTIPLIES
def test_tree_codes_count_features_that_are_full() -> None:
    """Where there are more nodes than places, the feature is counted, and nothing is written behind the last place."""
    paths = np.arange(20, dtype=np.uint64).reshape(10, 2, 1)
    assert codes_of(compiled, paths, paths[:0], n_nodes=10)[3] == [2]


def parted(kernel: ModuleType, words: np.ndarray, others: np.ndarray, width: int, keep: int) -> np.ndarray:
    """Return 10 and half the number of bits kept, after spreading over fields of this width, for all pairs of rows."""
    fields = [
        sum((((1 << width) - 1) >> step) << at for at in range(0, 65 - width, width)) for step in (1, 2, 4, 8, 16)
    ]
    smear = np.array(fields, dtype=np.uint64)
    sums, out = np.zeros(len(others), dtype=np.int64), np.full((len(words), len(others)), 10.0)
    columns = np.ascontiguousarray(others.T).reshape(-1)
    numbers = (words.shape[1], smear, width > 8, np.uint64(keep), 3.0, 6.0)
    kernel.add_parted(words.reshape(-1), columns, *numbers, sums, out.reshape(-1))
    return out


@BOTH
@pytest.mark.parametrize("n_words", [1, 4, 6])
def test_add_parted_counts_the_levels_from_the_parting_down(kernel: ModuleType, n_words: int) -> None:
    """In every field, the highest bit that differs sets all below it; those that are kept are counted and added."""
    words = np.tile(np.array([[0b000_000], [0b100_001]], dtype=np.uint64), n_words)
    others = np.tile(np.array([[0b000_000], [0b001_010]], dtype=np.uint64), n_words)
    levels = np.array([[0, 1 + 2], [3 + 1, 3 + 2]])
    assert parted(kernel, words, others, 3, 0b111_111).tolist() == (10 + 0.5 * n_words * levels).tolist()
    assert (
        parted(kernel, words, others, 3, 0b100_001).tolist()
        == (10 + 0.5 * n_words * np.array([[0, 1], [2, 2]])).tolist()
    )


@MULTIPLIES
def test_twins_agree_on_paths() -> None:
    """Compiled and NumPy codes and sums are the same, bit for bit, few and many children, narrow and wide fields."""
    rng = np.random.default_rng(5)
    for n_tokens in (2, 5):
        first, second = rng.integers(0, n_tokens, (2, 12, 4, 3), dtype=np.uint64)
        for one, other in zip(codes_of(compiled, first, second), codes_of(reference, first, second), strict=True):
            assert np.array_equal(one, other)
    words, others = rng.integers(0, 2**63, (2, 9, 5), dtype=np.uint64)
    for width in (1, 4, 9, 31):
        fast, slow = (parted(kernel, words, others, width, 0x5555_5555_5555_5555) for kernel in (compiled, reference))
        assert (fast == slow).all()


# ---------------------------------------------------------------------- counting
def grouped(flat: np.ndarray, distinct: np.ndarray) -> list[list[int]]:
    """Cut what belongs to each coordinate out of a flat array."""
    ends = np.cumsum(distinct)
    return [flat[end - n : end].tolist() for end, n in zip(ends, distinct, strict=True)]


@BOTH
def test_packed_tokens_are_added_up_by_coordinate(kernel: ModuleType) -> None:
    """Weights of equal tokens of a coordinate are added up, in order of tokens; token 0 is one like others."""
    clients = [np.array([5, 9, 0], dtype=np.uint64) << np.uint64(8) for _ in range(2)]
    clients.append(np.array([2, 9, 7], dtype=np.uint64) << np.uint64(8))
    packed = np.zeros((3, 3), dtype=np.uint64)
    padded = np.array([[1 << 8, *tokens] for tokens in clients], dtype=np.uint64)
    kernel.pack_tokens(padded, 1, packed)
    packed.sort(axis=1)
    distinct, out, sums = np.zeros(3, np.int64), np.zeros(9, np.uint64), np.zeros(9, np.int64)
    kernel.add_runs(packed, np.array([1, 10, 100]), distinct, out, sums)
    assert distinct.tolist() == [2, 1, 2]
    assert grouped(out >> np.uint64(8), distinct) == [[2, 5], [9], [0, 7]]
    assert grouped(sums, distinct) == [[100, 11], [111], [11, 100]]


@BOTH
def test_merged_counts_are_those_of_both(kernel: ModuleType) -> None:
    """Two counts of the same coordinates are merged token by token."""
    one = np.array([2, 1]), np.array([3, 5, 4], dtype=np.uint64), np.array([1, 2, 3])
    two = np.array([2, 2]), np.array([4, 5, 1, 4], dtype=np.uint64), np.array([10, 20, 30, 40])
    distinct, out, sums = np.zeros(2, np.int64), np.zeros(7, np.uint64), np.zeros(7, np.int64)
    kernel.merge_counts(*one, *two, distinct, out, sums)
    assert grouped(out, distinct) == [[3, 4, 5], [1, 4]]
    assert grouped(sums, distinct) == [[1, 10, 22], [30, 43]]


@WRAPS
@BOTH
@pytest.mark.parametrize(("n_reports", "near"), [(2, 0), (5, 4), (256, 128), (300, 7)])
def test_reports_are_found_by_hashing_candidates(kernel: ModuleType, n_reports: int, near: int) -> None:
    """Every report is found from its token wherever the search begins, and a made-up token gives -1."""
    rng = np.random.default_rng(3)
    first = 40
    reports = [rng.choice(n_reports, size=rng.integers(1, n_reports + 1), replace=False) for _ in range(3)]
    expected, tokens, distinct = [], [], []
    for coordinate, own in enumerate(reports, start=first):
        words = (np.uint64(coordinate) << np.uint64(12)) | own.astype(np.uint64)
        hashes = np.zeros_like(words)
        kernel.siphash_words(words, SIPHASH_KEY, hashes)
        known = dict(zip((hashes & ~np.uint64(255)).tolist(), own.tolist(), strict=True)) | {1 << 20: -1}
        tokens += sorted(known)
        expected += [known[token] for token in sorted(known)]
        distinct.append(len(known))
    out = np.full(len(tokens), 99, dtype=i32)
    places = np.full(3, near)
    arrays = np.array(distinct), np.array(tokens, dtype=np.uint64), out
    kernel.find_reports(SIPHASH_KEY, first, 12, n_reports, places, *arrays)
    assert out.tolist() == expected


def test_both_modules_offer_the_same_kernels() -> None:
    """Every compiled kernel has a twin with the same parameters."""
    import inspect

    assert compiled.__all__ == reference.__all__
    for name in compiled.__all__:
        fast = getattr(compiled, name)
        names = list(inspect.signature(getattr(fast, "py_func", fast)).parameters)
        assert names == list(inspect.signature(getattr(reference, name)).parameters), name


def test_small_work_does_not_wait_for_the_compiler() -> None:
    """In a new process, little work is done by the twins and numba is not even imported; much work compiles."""
    code = (
        "import sys; from hashcomb import kernels;"
        "first = kernels.choose(1000).__name__; early = 'numba' in sys.modules;"
        "print(first, early, kernels.choose(10**9).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["hashcomb.kernels.reference", "False", "hashcomb.kernels.compiled"]
    assert kernels.TWIN_VALUES > 1000


@pytest.mark.e2e
def test_kernels_run_without_a_compiler() -> None:
    """The same list passes with NUMBA_DISABLE_JIT=1, where the kernels run as plain Python."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", __file__]
    chosen = ["-k", "not without_a_compiler and not small_work"]
    done = subprocess.run([*command, *chosen], capture_output=True, text=True, env=_environment(), check=False)
    assert done.returncode == 0, done.stdout


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "NUMBA_DISABLE_JIT": "1"}
