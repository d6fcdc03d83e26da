"""SipHash-2-4 (Aumasson and Bernstein, 2012) of one 64-bit word, for combs too deep for slower hashes."""

from __future__ import annotations

from typing import Any

import numpy as np

from hashcomb.kernels.jit import inlined, kernel

Array = np.ndarray[Any, np.dtype[Any]]
u64 = np.uint64


@inlined
def _round(a, b, c, d):  # type: ignore[no-untyped-def]
    a = a + b
    b = ((b << u64(13)) | (b >> u64(51))) ^ a
    a = (a << u64(32)) | (a >> u64(32))
    c = c + d
    d = ((d << u64(16)) | (d >> u64(48))) ^ c
    a = a + d
    d = ((d << u64(21)) | (d >> u64(43))) ^ a
    c = c + b
    b = ((b << u64(17)) | (b >> u64(47))) ^ c
    c = (c << u64(32)) | (c >> u64(32))
    return a, b, c, d


@inlined
def siphash(key_0: Any, key_1: Any, word: Any) -> Any:
    """Return the hash of one word under the key of two words."""
    a = key_0 ^ u64(0x736F6D6570736575)
    b = key_1 ^ u64(0x646F72616E646F6D)
    c = key_0 ^ u64(0x6C7967656E657261)
    d = key_1 ^ u64(0x7465646279746573) ^ word
    a, b, c, d = _round(a, b, c, d)
    a, b, c, d = _round(a, b, c, d)
    a = a ^ word
    d = d ^ u64(0x0800000000000000)  # the length, 8, in the last block
    a, b, c, d = _round(a, b, c, d)
    a, b, c, d = _round(a, b, c, d)
    a = a ^ u64(0x0800000000000000)
    c = c ^ u64(0xFF)
    a, b, c, d = _round(a, b, c, d)  # not a loop, which would cost find_reports its vectors
    a, b, c, d = _round(a, b, c, d)
    a, b, c, d = _round(a, b, c, d)
    a, b, c, d = _round(a, b, c, d)
    return a ^ b ^ c ^ d


@kernel
def siphash_words(words: Array, key: Array, out: Array) -> None:
    """Hash every word, taken as eight bytes in little-endian order, under the 128-bit key of two words."""
    for i in range(words.size):
        out[i] = siphash(key[0], key[1], words[i])
