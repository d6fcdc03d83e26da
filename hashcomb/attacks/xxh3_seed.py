"""Seeds of XXH3: solved for, not searched. The hash is a chain of steps that can each be taken back.

For an input of 8 bytes and a seed, XXH3-64 does this with 64-bit words (all sums and products modulo 2**64):

1. mix the seed: xor its lower half, bytes swapped, into its upper half;
2. flip = constant - mixed seed;
3. x = (input, its two halves exchanged) xor flip;
4. x = x xor rotl(x, 49) xor rotl(x, 24);
5. x = x * prime; 6. x = x xor ((x >> 35) + 8); 7. x = x * prime; 8. x = x xor (x >> 28).

Steps 4 to 8 permute the words, so the hash gives x of step 3 back. Then the input and the seed are one word each
with one equation between them: whoever has one of them has the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashcomb.errors import DataError

__all__ = ("node_words", "open_column", "open_column_by_hints", "search_seeds_32", "solve_inputs", "solve_seeds")

Words = NDArray[np.uint64]

_PRIME = 0x9FB21C651E98DF25
_UNPRIME = np.uint64(pow(_PRIME, -1, 1 << 64))
_LENGTH = np.uint64(8)
# Bytes 8 to 15 and 16 to 23 of the fixed secret of XXH3, xored.
_FLIP = np.uint64(0x1CAD21F72C81017C ^ 0xDB979083E96DD4DE)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_CHUNK = 1 << 20


def node_words(level: int, nodes: ArrayLike) -> Words:
    """Return the 8-byte inputs, as numbers, that stand for nodes of a level in the codebook."""
    return np.uint64(level << 56) | np.asarray(nodes).astype(np.uint64)


@np.errstate(over="ignore")  # modulo 2**64 is what is meant
def solve_seeds(words: ArrayLike, tokens: ArrayLike) -> Words:
    """Solve for the seed that hashes each word to its token.

    Parameters
    ----------
    words : array_like of uint64
        Inputs; `node_words` gives them.
    tokens : array_like of uint64
        Their XXH3-64 hashes, whole.

    Returns
    -------
    ndarray of uint64
        The only seed for each pair.

    References
    ----------
    Y. Collet, "xxHash fast digest algorithm", specification 0.2.0, XXH3 for inputs of 4 to 8 bytes (2023).
    """
    flip = _unmix_hash(np.asarray(tokens, dtype=np.uint64)) ^ _exchange(np.asarray(words, dtype=np.uint64))
    return _mix_seed(_FLIP - flip)


@np.errstate(over="ignore")  # modulo 2**64 is what is meant
def solve_inputs(seeds: ArrayLike, tokens: ArrayLike) -> Words:
    """Solve for the word that each seed hashes to its token: the inverse of the hash, without any codebook.

    Parameters
    ----------
    seeds : array_like of uint64
        As from `solve_seeds`.
    tokens : array_like of uint64
        XXH3-64 hashes, whole.

    Returns
    -------
    ndarray of uint64
        The only word for each pair.
    """
    flip = _FLIP - _mix_seed(np.asarray(seeds, dtype=np.uint64))
    return _exchange(_unmix_hash(np.asarray(tokens, dtype=np.uint64)) ^ flip)


def open_column(tokens: ArrayLike, level: int, node: int) -> NDArray[np.int64]:
    """Read a column of xxh3 tokens without the Key, from one known value.

    Parameters
    ----------
    tokens : array_like of uint64, shape (n_rows,)
        64-bit tokens of one feature.
    level : int
        Their level, 1 to 20; 0 for reports that are no leaves.
    node : int
        What the first row's token stands for.

    Returns
    -------
    ndarray of int64, shape (n_rows,)
        The node of every row.

    Raises
    ------
    DataError
        If these are no 64-bit tokens.

    Notes
    -----
    Privacy: this is why ``hash="xxh3"`` protects nothing from anybody who knows one value of each feature.
    """
    column = _column(tokens)
    seed = solve_seeds(node_words(level, [node]), column[:1])
    return _nodes_of(solve_inputs(seed, column))


def open_column_by_hints(tokens: ArrayLike, level: int, hints: ArrayLike) -> NDArray[np.int64]:
    """Read a column of xxh3 tokens without the Key and without a known value, from hints that are mostly wrong.

    Between two tokens the seed cancels: they give the xor of their nodes. So one number, the node of the first
    token, names all others, and the attacker takes the one that the most hints agree with.

    Parameters
    ----------
    tokens : array_like of uint64, shape (n_rows,)
        64-bit tokens of one feature.
    level : int
        Their level, 1 to 20; 0 for reports that are no leaves.
    hints : array_like of int, shape (n_rows,)
        What another attack names, by frequencies or columns together; negative where it names nothing.

    Returns
    -------
    ndarray of int64, shape (n_rows,)
        The node of every row, by the reading that most hints agree with.

    Raises
    ------
    DataError
        If these are no 64-bit tokens.
    """
    column, guess = _column(tokens), np.asarray(hints, dtype=np.int64)
    reading = open_column(column, level, 0)
    votes = (reading ^ guess)[guess >= 0]
    return reading ^ (np.bincount(votes).argmax() if len(votes) else 0)


def _column(tokens: ArrayLike) -> Words:
    column = np.asarray(tokens)
    if column.dtype != np.uint64 or column.ndim != 1 or not len(column):
        raise DataError("a column of 64-bit tokens is needed", hint="for 32-bit ones, see search_seeds_32")
    return column


def _nodes_of(words: Words) -> NDArray[np.int64]:
    return (words & ~node_words(0xFF, 0)).astype(np.int64)


def search_seeds_32(words: ArrayLike, tokens: ArrayLike, start: int = 0, stop: int = 1 << 32) -> Words:
    """Search the seeds that hash words to 32-bit tokens, the lower halves of their hashes.

    The upper half of the first hash is unknown: each of its 2**32 values gives one seed, which the other pairs
    accept or not. One further pair leaves one wrong seed on average, two further ones none.

    Parameters
    ----------
    words : array_like of uint64, shape (n_pairs,)
        Inputs; `node_words` gives them.
    tokens : array_like of uint32, shape (n_pairs,)
        Their tokens; at least two pairs.
    start, stop : int, optional
        Which upper halves to try; all by default.

    Returns
    -------
    ndarray of uint64
        All seeds that fit.

    Raises
    ------
    DataError
        If there are not at least two pairs.
    """
    known, wanted = np.asarray(words, dtype=np.uint64), np.asarray(tokens).astype(np.uint64)
    if known.ndim != 1 or known.shape != wanted.shape or len(known) < 2:
        raise DataError("at least two pairs of a word and a token are needed")
    found = [_search_part(known, wanted, upper, min(upper + _CHUNK, stop)) for upper in range(start, stop, _CHUNK)]
    return np.concatenate(found) if found else np.empty(0, dtype=np.uint64)


def _search_part(words: Words, tokens: Words, start: int, stop: int) -> Words:
    hashes = (np.arange(start, stop, dtype=np.uint64) << _HALF) | tokens[0]
    seeds = solve_seeds(words[0], hashes)
    for word, token in zip(words[1:], tokens[1:], strict=True):
        seeds = seeds[(_hash(word, seeds) & _LOW) == token]
    return seeds


# ---------------------------------------------------------------------- the steps, and the way back
def _exchange(words: Words) -> Words:
    return np.asarray((words << _HALF) | (words >> _HALF))


def _mix_seed(seeds: Words) -> Words:
    """Do step 1, or take it back: it is its own inverse."""
    low = seeds & _LOW
    swapped = (low >> np.uint64(24)) | ((low >> np.uint64(8)) & np.uint64(0xFF00))
    swapped |= ((low << np.uint64(8)) & np.uint64(0xFF0000)) | (low << np.uint64(24))
    return np.asarray(seeds ^ (swapped << _HALF))


def _rotate_xor(x: Words, first: int, second: int) -> Words:
    turned = [(x << np.uint64(by)) | (x >> np.uint64(64 - by)) if by else x for by in (first % 64, second % 64)]
    return np.asarray(x ^ turned[0] ^ turned[1])


def _unmix_hash(hashes: Words) -> Words:
    """Take steps 8 to 4 back."""
    x: Words = hashes ^ (hashes >> np.uint64(28)) ^ (hashes >> np.uint64(56))
    x = x * _UNPRIME
    x = x ^ ((x >> np.uint64(35)) + _LENGTH)  # reaches bits 0 to 29 only, so bits 35 to 63 are what they were
    x = x * _UNPRIME
    # Step 4 is a polynomial in the rotation r, p = 1 + r^49 + r^24; r^64 = 1, so p^64 = p(r^64) = 1 and the
    # inverse is p^63 = p p^2 p^4 ... p^32, whose factors are p with all rotations multiplied.
    for power in (1, 2, 4, 8, 16, 32):
        x = _rotate_xor(x, 49 * power, 24 * power)
    return x


@np.errstate(over="ignore")  # modulo 2**64 is what is meant
def _hash(words: Any, seeds: Words) -> Words:
    """Return XXH3-64 of 8-byte inputs under seeds."""
    x = _exchange(np.asarray(words, dtype=np.uint64)) ^ (_FLIP - _mix_seed(seeds))
    x = _rotate_xor(x, 49, 24) * np.uint64(_PRIME)
    x = (x ^ ((x >> np.uint64(35)) + _LENGTH)) * np.uint64(_PRIME)
    return np.asarray(x ^ (x >> np.uint64(28)))
