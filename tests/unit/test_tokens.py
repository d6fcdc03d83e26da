"""Tokens are keyed hashes of nodes, and only the codebook leads back."""

import hashlib
import json
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import xxhash

from hashcomb import Categorical, Key, Spec, TokenArray, Uniform
from hashcomb.errors import DataError, FileFormatError, SpecError, WeakPrivacyWarning
from hashcomb.header import TokenHeader, stamp
from hashcomb.kernels import compiled, reference
from hashcomb.tokens import Codebook

FEATURES = (Uniform(name="a", lo=0.0, hi=1.0), Uniform(name="b", lo=0.0, hi=1.0))


def book(key: Key, *, dataset: str = "", round: int = 0, **rules: Any) -> Codebook:
    """Return the codebook of two features of depth 3."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WeakPrivacyWarning)
        spec = Spec(**{"features": FEATURES, "depth": 3, **rules})
        return Codebook(spec, key, dataset=dataset, round=round)


def tokens_of(codebook: Codebook, leaves: np.ndarray) -> np.ndarray:
    """Return the tokens of leaves, shape (n_rows, n_features, n_levels)."""
    out = np.empty((*leaves.shape, len(codebook.spec.levels)), dtype=codebook.dtype)
    codebook.tokens(leaves.astype(np.int32), out)
    return out


def derived(codebook: Codebook, key: Key, feature: int) -> bytes:
    """Return the secret of one feature."""
    return key.derive("token", fingerprint=codebook.spec.fingerprint, feature=feature)


def expected(family: str, secret: bytes, level: int, node: int) -> int:
    """Compute a token with the hash libraries alone."""
    word = (level << 56 | node).to_bytes(8, "little")
    if family == "xxh3":
        return xxhash.xxh3_64_intdigest(word, seed=int.from_bytes(secret[:8], "little"))
    digest = hashlib.blake2b(word, key=secret, digest_size=8, person=b"hashcomb token 1").digest()
    return int.from_bytes(digest, "little")


@pytest.mark.parametrize("family", ["blake2b", "xxh3"])
def test_token_is_the_keyed_hash_of_level_and_node(key: Key, family: str) -> None:
    """Every token of a path is the library's hash of its level and node under the feature's secret."""
    codebook = book(key, tokens="comb", hash=family)
    paths = tokens_of(codebook, np.array([[5, 2]]))
    for feature, leaf in enumerate((5, 2)):
        secret = derived(codebook, key, feature)
        nodes = [leaf >> (3 - level) for level in (1, 2, 3)]
        wanted = [expected(family, secret, level, node) for level, node in zip((1, 2, 3), nodes, strict=True)]
        assert paths[0, feature].tolist() == wanted


def test_siphash_tokens_are_those_of_the_kernel_test(key: Key) -> None:
    """SipHash tokens use the first 128 bits of the secret; the published vector is checked in test_kernels."""
    from hashcomb.kernels import reference

    codebook = book(key, hash="siphash")
    halves = np.frombuffer(derived(codebook, key, 1)[:16], dtype="<u8").astype(np.uint64)
    out = np.zeros(1, dtype=np.uint64)
    reference.siphash_words(np.array([3 << 56 | 6], dtype=np.uint64), halves, out)
    assert tokens_of(codebook, np.array([[0, 6]]))[0, 1, 0] == out[0]


def test_narrow_tokens_are_the_low_half(key: Key) -> None:
    """A 32-bit token is the low half of what 64 bits would give under the same secret."""
    codebook = book(key, token_bits=32)
    secret = derived(codebook, key, 0)
    assert codebook.dtype == np.uint32
    assert tokens_of(codebook, np.array([[5, 0]]))[0, 0, 0] == expected("blake2b", secret, 3, 5) & 0xFFFFFFFF


@pytest.mark.parametrize("change", ["feature", "dataset", "round", "key", "spec"])
def test_equal_leaves_elsewhere_have_unrelated_tokens(key: Key, change: str) -> None:
    """No token of one feature, data set, round, key or Spec occurs under another."""
    leaves = np.tile(np.arange(8)[:, None], 2)
    here = tokens_of(book(key), leaves)
    other = {
        "feature": lambda: here[:, ::-1],
        "dataset": lambda: tokens_of(book(key, dataset="b"), leaves),
        "round": lambda: tokens_of(book(key, round=1), leaves),
        "key": lambda: tokens_of(book(Key(bytes(range(1, 33)))), leaves),
        "spec": lambda: tokens_of(book(key, outside="error"), leaves),
    }[change]()
    assert not (set(here[:, 0].ravel().tolist()) & set(other[:, 0].ravel().tolist()))


@pytest.mark.parametrize("rules", [{}, {"tokens": "comb"}, {"tokens": 2}, {"hash": "siphash"}, {"token_bits": 32}])
def test_nodes_are_found_again(key: Key, rules: dict[str, Any]) -> None:
    """The inverse finds the node of every token, missing values included."""
    codebook = book(key, missing="token", **rules)
    leaves = np.tile(np.arange(9)[:, None], 2)
    finest = np.ascontiguousarray(tokens_of(codebook, leaves)[:, :, -1])
    level = codebook.spec.levels[-1]
    assert (codebook.nodes(finest) == leaves >> (3 - level)).all()


def test_lazy_codebook_equals_the_eager_one(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deep comb, whose nodes are hashed as they occur, has the same tokens and inverse."""
    leaves = np.random.default_rng(0).integers(0, 9, (40, 2))
    for tokens in ("leaf", "comb", 2):
        eager = book(key, tokens=tokens, missing="token")
        monkeypatch.setattr("hashcomb.tokens.EAGER_DEPTH", 2)
        lazy = book(key, tokens=tokens, missing="token")
        assert lazy.by_leaf is None
        got = tokens_of(lazy, leaves)
        monkeypatch.undo()
        assert (got == tokens_of(eager, leaves)).all()
        finest = np.ascontiguousarray(got[:, :, -1])
        assert (lazy.nodes(finest) == eager.nodes(finest)).all()
        assert all((a == b).all() for a, b in zip(lazy.issued_tokens(), eager.issued_tokens(), strict=True))


def test_a_token_nobody_issued(key: Key) -> None:
    """An unknown token is a DataError that names row and column and does not repeat the token."""
    codebook = book(key)
    tokens = np.ascontiguousarray(tokens_of(codebook, np.array([[1, 1], [2, 2]]))[:, :, 0])
    tokens[1, 1] = 12345678901234
    with pytest.raises(DataError) as caught:
        codebook.nodes(tokens)
    assert (caught.value.column, caught.value.row) == ("b", 1)
    assert "12345678901234" not in str(caught.value)


def test_tokens_that_encoding_cannot_yield_are_unknown(key: Key) -> None:
    """The token of a missing value, and those behind the last category, are not issued unless they can occur."""
    color = Categorical(name="c", categories=("x", "y", "z"))
    codebook = book(key, features=(color,))
    all_nodes = tokens_of(codebook, np.arange(9)[:, None])[:, :, 0]
    assert codebook.nodes(np.ascontiguousarray(all_nodes[:3])).ravel().tolist() == [0, 1, 2]
    for node in (3, 7, 8):
        with pytest.raises(DataError):
            codebook.nodes(np.ascontiguousarray(all_nodes[node : node + 1]))
    assert len(codebook.issued_tokens()[0]) == 3


def test_collisions_are_refused(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    """A codebook in which two nodes share a token is refused; one hash value for two nodes is planted here."""
    families = {"blake2b": lambda words, secret: words & np.uint64(3)}
    monkeypatch.setattr("hashcomb.tokens._FAMILIES", families)
    with pytest.raises(SpecError, match="one token"):
        book(key)


def test_narrow_tokens_for_a_deep_comb_are_refused(key: Key) -> None:
    """32 bits cannot tell the nodes of a comb deeper than 12 apart."""
    with pytest.raises(SpecError, match="32-bit"):
        book(key, depth=13, token_bits=32)


def test_xxh3_warns(key: Key) -> None:
    """Using xxh3 says that it is no pseudorandom function."""
    with pytest.warns(WeakPrivacyWarning, match="pseudorandom"):
        Codebook(Spec(features=FEATURES, depth=3, hash="xxh3"), key)


# ---------------------------------------------------------------------- what tokens carry
@pytest.fixture
def header(key: Key) -> TokenHeader:
    """A header."""
    return book(key).header


def test_header_travels_with_the_tokens(header: TokenHeader) -> None:
    """Slices, copies and what another process gets carry the header; arithmetic gives plain arrays."""
    import copy

    tokens = stamp(np.arange(6, dtype=np.uint64).reshape(3, 2), header)
    rebuild, arguments = tokens.__reduce__()
    for same in (tokens[1:], tokens[[0, 2]], tokens.copy(), copy.deepcopy(tokens), rebuild(*arguments)):
        assert isinstance(same, TokenArray)
        assert same.header == header
    for plain in (tokens == tokens, tokens + tokens, np.unique(np.asarray(tokens))):
        assert type(plain) is np.ndarray


def test_in_place_arithmetic_works(header: TokenHeader) -> None:
    """ufuncs that write into tokens still do."""
    tokens = stamp(np.zeros(3, dtype=np.uint64), header)
    np.add(tokens, np.uint64(1), out=tokens)
    assert np.asarray(tokens).tolist() == [1, 1, 1]


def test_header_round_trip(header: TokenHeader) -> None:
    """A header reads back from its one line of JSON."""
    assert TokenHeader.from_json(header.to_json()) == header
    assert "\n" not in header.to_json()


@pytest.mark.parametrize("text", ["", "{}", "[" * 100_000, b"\xff", '{"fingerprint": 1}'])
def test_a_header_that_is_none(text: str | bytes) -> None:
    """A damaged header is a FileFormatError."""
    with pytest.raises(FileFormatError):
        TokenHeader.from_json(text)


def test_header_of_another_version(header: TokenHeader) -> None:
    """A header of another version is not guessed at."""
    with pytest.raises(FileFormatError, match="version"):
        TokenHeader.from_json(header.to_json().replace('"version":1', '"version":3'))


def test_columns_of_a_comb(key: Key) -> None:
    """Columns of all levels are named after feature and level, coarsest first."""
    assert book(key, tokens="comb").header.columns == ("a@1", "a@2", "a@3", "b@1", "b@2", "b@3")


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("kernel", [reference, compiled], ids=["numpy", "numba"])
def test_no_token_is_looked_up_behind_the_table(
    key: Key, bits: Any, kernel: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens at home in any slot of the inverse, the last one too, are found to be unknown, whatever the kernel."""
    monkeypatch.setattr("hashcomb.kernels.choose", lambda _: kernel)
    for number in range(40):
        spec = Spec(features=(Uniform(name="a", lo=0.0, hi=1.0),), depth=2, token_bits=bits)
        codebook = Codebook(spec, key, round=number)
        for home in range(16):
            with pytest.raises(DataError, match="not issued"):
                codebook.nodes(np.full((1, 1), (1 << 31) + home, dtype=codebook.dtype))


@pytest.mark.parametrize(
    "change",
    [
        {"token_bits": 4_000_000_000_000},
        {"token_bits": 16},
        {"features": []},
        {"features": ["a", "a"]},
        {"features": ["a\x1b[2J"]},
        {"depth": 30_000_000, "tokens": "comb"},
        {"depth": 0},
        {"tokens": 9},
        {"round": -1},
        {"fingerprint": "../../x"},
        {"key_id": "\x1b[2J"},
        {"version": 2},
    ],
    ids=str,
)
def test_a_header_that_no_encoding_writes_is_refused(key: Key, change: dict[str, Any]) -> None:
    """A file of tokens may come from anybody; its header is checked before anything is made from it."""
    document = json.loads(book(key).header.to_json())
    assert TokenHeader.from_json(json.dumps(document)) == book(key).header
    with pytest.raises(FileFormatError):
        TokenHeader.from_json(json.dumps(document | change))
