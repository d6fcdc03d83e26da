"""A Key that was made from little is found by trying."""

import hashlib

import numpy as np
import pytest

from hashcomb import HashComb, Key, Spec, Uniform
from hashcomb.attacks import guess_key, obvious_secrets
from hashcomb.errors import KeyMaterialError

SPEC = Spec(features=(Uniform(name="a", lo=0.0, hi=1.0),), depth=2)
WORDS = ["password", "hunter2", "correct horse battery staple", "geheim"]


@pytest.mark.parametrize(
    "secret",
    [
        hashlib.sha256(b"hunter2").digest(),
        hashlib.blake2b(b"geheim", digest_size=32).digest(),
        hashlib.md5(b"hunter2").hexdigest().encode(),
        b"correct horse battery staple".ljust(32, b"\0"),
        b"geheim" * 5 + b"ge",
        (77).to_bytes(32, "big"),
        (77).to_bytes(32, "little"),
        hashlib.sha256(b"77").digest(),
    ],
)
def test_a_key_made_of_little_is_found(secret: bytes) -> None:
    """What people make of passwords and counters is found by the header alone, and decodes the tokens."""
    rows = np.random.default_rng(0).random((20, 1))
    tokens = HashComb(SPEC, Key(secret)).encode(rows)
    found = guess_key(tokens.header, obvious_secrets(WORDS, 100))
    assert found == Key(secret)
    assert (HashComb(SPEC, found).decode(tokens) == HashComb(SPEC, Key(secret)).decode(tokens)).all()


def test_a_key_of_full_entropy_is_not_found() -> None:
    """A drawn Key is in no list."""
    header = HashComb(SPEC, Key.create()).header
    assert guess_key(header, obvious_secrets([*WORDS, ""], 2000)) is None
    assert guess_key(header, []) is None


def test_candidates_are_whole_secrets(key: Key) -> None:
    """A candidate that is no secret of 32 bytes is refused; one that no Key can have is passed over."""
    header = HashComb(SPEC, key).header
    with pytest.raises(KeyMaterialError):
        guess_key(header, [b"short"])
    assert guess_key(header, [bytes(32), bytes(key)]) == key
