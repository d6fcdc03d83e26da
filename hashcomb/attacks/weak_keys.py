"""Weak keys: one that was made from a password or a counter is found by trying."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from hashcomb.errors import KeyMaterialError
from hashcomb.header import TokenHeader
from hashcomb.keys import KEY_BYTES, Key

__all__ = ("guess_key", "obvious_secrets")


def guess_key(header: TokenHeader, candidates: Iterable[bytes]) -> Key | None:
    """Return the Key of some tokens if it is among candidates.

    The id of the Key is in every header, so that owners notice which Key they lack. It is a hash, and tells a
    right guess from a wrong one: one SHA-256 a candidate, and no token is looked at.

    Parameters
    ----------
    header : TokenHeader
        Public: it is stamped on everything encoded.
    candidates : iterable of bytes
        Secrets to try, 32 bytes each; `obvious_secrets` makes some.

    Returns
    -------
    Key or None

    Raises
    ------
    KeyMaterialError
        If a candidate has not 32 bytes.

    Notes
    -----
    A Key of `Key.create` or of the agreement is one of 2**256, and no list of `n` candidates has it with a
    probability above ``n / 2**256``. A wrong candidate has the same id with probability 2**-64.

    Examples
    --------
    >>> import hashlib
    >>> from hashcomb import HashComb, Key, Spec, Uniform
    >>> spec = Spec(features=(Uniform(name="age", lo=0.0, hi=120.0),), depth=4)
    >>> header = HashComb(spec, Key(hashlib.sha256(b"letmein").digest())).header
    >>> guess_key(header, obvious_secrets(["secret", "letmein"])) is not None
    True
    >>> guess_key(HashComb(spec, Key.create()).header, obvious_secrets(["secret", "letmein"])) is None
    True
    """
    for secret in candidates:
        if len(secret) != KEY_BYTES:
            raise KeyMaterialError(f"a candidate has exactly {KEY_BYTES} bytes")
        if len(set(secret)) > 1 and Key(secret).id == header.key_id:
            return Key(secret)
    return None


def obvious_secrets(passwords: Iterable[str] = (), n_counters: int = 0) -> Iterator[bytes]:
    """Yield the 32 bytes that people make of passwords and of counters.

    Parameters
    ----------
    passwords : iterable of str
        For each: its text, filled up with zeros or spaces or repeated; its SHA-256, SHA3-256, BLAKE2b and
        BLAKE2s, and its MD5 in hexadecimal digits.
    n_counters : int, optional
        Numbers from 0 to try, big and little endian, and hashed in decimal digits.

    Yields
    ------
    bytes
        32 of them.
    """
    for password in passwords:
        yield from _made_of(password.encode())
    for number in range(n_counters):
        yield number.to_bytes(KEY_BYTES, "big")
        yield number.to_bytes(KEY_BYTES, "little")
        yield hashlib.sha256(str(number).encode()).digest()


def _made_of(text: bytes) -> Iterator[bytes]:
    yield hashlib.sha256(text).digest()
    yield hashlib.sha3_256(text).digest()
    yield hashlib.blake2b(text, digest_size=KEY_BYTES).digest()
    yield hashlib.blake2s(text).digest()
    yield hashlib.md5(text, usedforsecurity=False).hexdigest().encode()
    yield text.ljust(KEY_BYTES, b"\0")[:KEY_BYTES]
    yield text.ljust(KEY_BYTES)[:KEY_BYTES]
    if text:
        yield (text * KEY_BYTES)[:KEY_BYTES]
