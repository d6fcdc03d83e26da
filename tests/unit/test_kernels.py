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
