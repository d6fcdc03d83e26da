"""Seeds of XXH3 are solved for, and open the codebook."""

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from hashcomb import HashComb, Key, RandomizedResponse, Spec, Uniform, place
from hashcomb.attacks import (
    node_words,
    open_column,
    open_column_by_hints,
    search_seeds_32,
    solve_inputs,
    solve_seeds,
)
from hashcomb.errors import DataError
from hashcomb.tokens import Codebook

WORD = st.integers(0, 2**64 - 1)
pytestmark = pytest.mark.filterwarnings("ignore::hashcomb.errors.WeakPrivacyWarning")


def spec_of(**rules: object) -> Spec:
    """Return two features of sixteen leaves, hashed by xxh3."""
    features = tuple(Uniform(name=name, lo=0.0, hi=1.0) for name in "ab")
    return Spec(**{"features": features, "depth": 4, "hash": "xxh3", **rules})  # type: ignore[arg-type]


@given(word=WORD, seed=WORD)
def test_seed_and_input_of_one_hash(word: int, seed: int) -> None:
    """From the word and its hash comes the seed, and from the seed and the hash the word, in every case."""
    token = xxhash.xxh3_64_intdigest(word.to_bytes(8, "little"), seed)
    assert solve_seeds(np.uint64(word), np.uint64(token)) == seed
    assert solve_inputs(np.uint64(seed), np.uint64(token)) == word


def test_one_pair_opens_the_codebook(key: Key) -> None:
    """The seed from one node and its token gives the tokens of all nodes of all levels of the feature."""
    spec = spec_of(tokens="comb")
    book = Codebook(spec, key)
    leaves = np.arange(16, dtype=np.int32)[:, None].repeat(2, axis=1)
    tokens = np.empty((16, 2, 4), dtype=np.uint64)
    book.tokens(leaves, tokens)
    for j in range(2):
        seed = int(solve_seeds(node_words(4, [5]), tokens[[5], j, 3])[0])
        assert seed == int.from_bytes(key.derive("token", fingerprint=spec.fingerprint, feature=j)[:8], "little")
        for level in range(1, 5):
            words = node_words(level, leaves[:, j] >> (4 - level))
            hashes = [xxhash.xxh3_64_intdigest(word.tobytes(), seed) for word in words]
            assert hashes == tokens[:, j, level - 1].tolist()


def test_one_known_value_reads_a_column(key: Key) -> None:
    """Every token of a column is read from the value of its first row; a wrong value misleads."""
    rows, spec = np.random.default_rng(0).random((300, 2)), spec_of()
    tokens, leaves = np.asarray(HashComb(spec, key).encode(rows)), place(rows, spec)
    for j in range(2):
        assert (open_column(tokens[:, j], 4, int(leaves[0, j])) == leaves[:, j]).all()
        assert (open_column(tokens[:, j], 4, int(leaves[0, j]) ^ 1) != leaves[:, j]).all()


def test_reports_that_are_no_leaves_are_read_too(key: Key) -> None:
    """Numbers of reports are hashed as nodes of level 0."""
    rows = np.random.default_rng(0).random((100, 2))
    codec = HashComb(spec_of(channel=RandomizedResponse(2.0, depth=1).to_spec()), key)
    tokens = codec.encode(rows)
    reports = codec.reports(tokens)
    assert (open_column(np.asarray(tokens[:, 0]), 0, int(reports[0, 0])) == reports[:, 0]).all()


def test_hints_replace_the_known_value(key: Key) -> None:
    """Hints of which four in five are wrong read the whole column; hints that name nothing read none."""
    rows, spec = np.random.default_rng(0).random((400, 2)), spec_of(missing="token")
    rows[::50] = np.nan
    rng = np.random.default_rng(1)
    tokens, leaves = np.asarray(HashComb(spec, key).encode(rows)), place(rows, spec)
    hints = np.where(rng.random(400) < 0.2, leaves[:, 0], rng.integers(-2, 16, 400))
    assert (open_column_by_hints(tokens[:, 0], 4, hints) == leaves[:, 0]).all()
    assert (open_column_by_hints(tokens[:, 0], 4, np.full(400, -2)) != leaves[:, 0]).any()


def test_keyed_hashes_are_not_read(key: Key) -> None:
    """The same attack on BLAKE2b and SipHash gives noise: no word that it finds is a node's."""
    rows = np.random.default_rng(0).random((100, 2))
    for family in ("blake2b", "siphash"):
        spec = spec_of(hash=family)
        tokens, leaves = np.asarray(HashComb(spec, key).encode(rows))[:, 0], place(rows, spec)[:, 0]
        seed = solve_seeds(node_words(4, leaves[:1]), tokens[:1])
        words = solve_inputs(seed, tokens[leaves != leaves[0]])
        assert not ((words >= node_words(4, 0)) & (words <= node_words(4, 16))).any()


def test_32_bits_take_a_search(key: Key) -> None:
    """Of the upper halves that are tried, those of the true seed are found, and no other with three pairs."""
    seed = 0x0123456789ABCDEF
    words = node_words(4, [3, 9, 14])
    whole = [xxhash.xxh3_64_intdigest(word.tobytes(), seed) for word in words]
    tokens = np.array(whole, dtype=np.uint64).astype(np.uint32)
    upper = whole[0] >> 32
    assert search_seeds_32(words, tokens, max(0, upper - 70_000), upper + 70_000).tolist() == [seed]
    assert search_seeds_32(words, tokens, upper + 1, upper + 70_000).tolist() == []
    assert search_seeds_32(words[:2], tokens[:2], upper, upper + 1).tolist() == [seed]
    assert search_seeds_32(words, tokens, 5, 5).tolist() == []


def test_what_is_no_column_of_tokens_is_refused() -> None:
    """32-bit tokens, tables and nothing are no columns of 64-bit tokens; one pair is too few for a search."""
    for bad in (np.zeros(3, dtype=np.uint32), np.zeros((2, 2), dtype=np.uint64), np.zeros(0, dtype=np.uint64)):
        with pytest.raises(DataError):
            open_column(bad, 4, 0)
    with pytest.raises(DataError, match="two pairs"):
        search_seeds_32([1], [2])
