"""Tokens: keyed hashes of the nodes of combs, their codebook and its inverse.

``token = PRF(key_j, level, node)``, where ``key_j`` is derived from the Key, the Spec's fingerprint, the feature
and, if given, the names of a data set and of a round. So equal values in different features, data sets or
rounds give unrelated tokens. (Rows can still be joined by how their tokens go together: `hashcomb.attacks.link_rows`.)
"""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import xxhash
from numpy.typing import NDArray

from hashcomb import kernels
from hashcomb.channels import Channel, reported_features
from hashcomb.channels.randomizer import n_slots, reports_leaves
from hashcomb.columns import refuse_where
from hashcomb.errors import KeyMaterialError, SpecError, WeakPrivacyWarning
from hashcomb.header import SymbolDomain, TokenHeader
from hashcomb.keys import Key
from hashcomb.scalars import is_utf8
from hashcomb.spec import Categorical, Spec

__all__ = ("Codebook", "check_salts")

# Up to this depth the whole codebook is hashed at once (0.4 s for 57 features at depth 12); deeper combs have
# their nodes hashed as they occur.
EAGER_DEPTH = 12


# ---------------------------------------------------------------------- hash families
def _blake2b(words: NDArray[np.uint64], key: bytes) -> NDArray[np.uint64]:
    keyed = hashlib.blake2b(digest_size=8, key=key, person=b"hashcomb token 1")
    digests = bytearray()
    for word in words.astype("<u8").view("V8"):
        copy = keyed.copy()
        copy.update(word)
        digests += copy.digest()
    return np.frombuffer(bytes(digests), dtype="<u8").astype(np.uint64)


def _siphash(words: NDArray[np.uint64], key: bytes) -> NDArray[np.uint64]:
    out = np.empty_like(words)
    halves = np.frombuffer(key[:16], dtype="<u8").astype(np.uint64)
    kernels.choose(len(words)).siphash_words(words, halves, out)
    return out


def _xxh3(words: NDArray[np.uint64], key: bytes) -> NDArray[np.uint64]:
    seed = int.from_bytes(key[:8], "little")
    hashes = (xxhash.xxh3_64_intdigest(word.tobytes(), seed) for word in words.astype("<u8"))
    return np.fromiter(hashes, dtype=np.uint64, count=len(words))


_FAMILIES: dict[str, Callable[[NDArray[np.uint64], bytes], NDArray[np.uint64]]] = {
    "blake2b": _blake2b,
    "siphash": _siphash,
    "xxh3": _xxh3,
}


# ---------------------------------------------------------------------- codebook
class Codebook:
    """The tokens of all nodes, or reports, that a Spec encodes, under one Key and salt.

    Parameters
    ----------
    spec : Spec
        Which nodes there are, and how they are hashed.
    key : Key
        The secret.
    dataset : str, optional
        Name of the data set, a public salt.
    round : int, optional
        Number of the round, a public salt.
    channels : sequence of Channel, optional
        The channels of the Spec. Where their reports are no leaves, their numbers are hashed instead of nodes.

    Raises
    ------
    SpecError
        If two nodes of a feature and level have one token (a question of luck with 32 bits), or a salt is
        none.
    KeyMaterialError
        If `key` is no Key.

    Warns
    -----
    WeakPrivacyWarning
        If the hash is xxh3.

    Notes
    -----
    Privacy: the codebook is as secret as the Key; whoever has it reads every token.
    """

    def __init__(
        self,
        spec: Spec,
        key: Key,
        *,
        dataset: str = "",
        round: int = 0,
        channels: Sequence[Channel] | None = None,
    ) -> None:
        _warn(spec)
        number = check_salts(key, dataset, round)
        self.spec = spec
        fingerprint = spec.fingerprint
        self._lay_out(spec, channels)
        self.header = TokenHeader(
            fingerprint=fingerprint,
            key_id=key.id,
            features=spec.names,
            tokens=spec.tokens,
            depth=spec.depth,
            token_bits=spec.token_bits,
            dataset=dataset,
            round=number,
            channel=spec.channel,
        )
        self._keys = [
            key.derive("token", fingerprint=fingerprint, feature=j, dataset=dataset, round=number)
            for j in range(len(spec.features))
        ]
        self._offset = np.cumsum([0, *self._sizes[:-1]]).astype(np.int32)
        self._block = sum(self._sizes)
        self._first = (np.arange(len(self._keys)) * self._block).astype(np.int32)
        self._table = np.zeros((len(self._keys), self._block), dtype=self.dtype)
        self._known = np.zeros(self._table.shape, dtype=bool)
        self._lock = threading.Lock()
        self._inverse: tuple[int, int, NDArray[Any], NDArray[np.int32]] | None = None
        if self._eager:
            self._hash_all()
        if spec.channel is not None:
            self.header = msgspec.structs.replace(self.header, domain=self._domain(), version=2)

    def _domain(self) -> SymbolDomain:
        spec, blank = self.spec, None
        if reported_features(spec) < len(spec.features):
            last = len(self._sizes) - 1
            blank = tuple(int(self._hashed_node(j, last, self.blank)) for j in range(len(spec.features)))
        ordered = tuple(not isinstance(feature, Categorical) for feature in spec.features)
        return SymbolDomain(used=spec.used_leaves, ordered=ordered, missing=spec.missing == "token", blank=blank)

    def _lay_out(self, spec: Spec, channels: Sequence[Channel] | None) -> None:
        """Say which nodes there are: those of combs, or reports of another kind, which take level 0."""
        leaves = channels is None or reports_leaves(channels)
        self._levels = spec.levels if leaves else (0,)
        if channels is None or leaves:
            self._sizes = [(1 << level) + 1 for level in spec.levels]
            self._shift = np.array([spec.depth - level for level in spec.levels], dtype=np.int32)
            self._used = spec.used_leaves
        else:
            self._sizes = [n_slots(channels, spec.n_leaves) + 1]
            self._shift = np.zeros(1, dtype=np.int32)
            self._used = tuple(channel.n_reports - channel.has_missing for channel in channels)
        if spec.token_bits == 32 and self._sizes[-1] > (1 << EAGER_DEPTH) + 1:
            raise SpecError(f"32 bits are too few for {self._sizes[-1]} tokens", path="token_bits", hint="use 64")
        self._blank = spec.missing == "token" or reported_features(spec) < len(spec.features)
        self._eager = self._sizes[-1] <= (1 << EAGER_DEPTH) + 1 and (not leaves or spec.depth <= EAGER_DEPTH)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a token: uint64 or uint32."""
        return np.dtype(np.uint64 if self.spec.token_bits == 64 else np.uint32)

    @property
    def blank(self) -> int:
        """Number that stands for a missing value, or a feature that is not reported."""
        return self._sizes[-1] - 1

    # ------------------------------------------------------------------ leaf -> token
    @property
    def by_leaf(self) -> NDArray[Any] | None:
        """Tokens by leaf, shape (n_features, 2**depth + 1), where one token a value is all there is."""
        if self.spec.tokens == "comb" or self.spec.depth > EAGER_DEPTH:
            return None
        nodes = np.arange(self.spec.n_leaves + 1) >> int(self._shift[0])
        return np.ascontiguousarray(self._table[:, nodes])

    def tokens(self, leaves: NDArray[np.int32], out: NDArray[Any]) -> None:
        """Fill `out`, shape (n_rows, n_features, n_levels), with the tokens of the leaves' nodes."""
        if not self._eager:
            self._hash_new(leaves)
        kernel, flat = kernels.choose(leaves.size), leaves.reshape(-1)
        table = self._table.reshape(-1)
        if len(self._sizes) == 1:
            nodes = flat >> self._shift[0] if self._shift[0] else flat
            kernel.lookup(nodes, self._first, table, out.reshape(-1))
        else:
            kernel.paths(flat, self._first, self._offset, self._shift, table, out.reshape(-1))

    def _hash(self, feature: int, position: int, nodes: NDArray[np.int64]) -> None:
        """Put the tokens of some nodes of one level into the table."""
        level = np.uint64(self._levels[position])
        words = (level << np.uint64(56)) | nodes.astype(np.uint64)
        tokens = _FAMILIES[self.spec.hash](words, self._keys[feature]).astype(self.dtype)
        at = self._offset[position] + nodes
        self._table[feature, at] = tokens
        self._known[feature, at] = True

    def _hash_all(self) -> None:
        for feature in range(len(self._keys)):
            for position, size in enumerate(self._sizes):
                self._hash(feature, position, np.arange(size))
                self._refuse_collisions(feature, position)

    def _hash_new(self, leaves: NDArray[np.int32]) -> None:
        for position, shift in enumerate(self._shift):
            nodes = leaves >> shift
            # Mostly all are known, and a look into the table says so far sooner than sorting the nodes would.
            if not self._known.reshape(-1)[nodes + (self._first + self._offset[position])].all():
                with self._lock:
                    self._hash_unknown(position, nodes)

    def _hash_unknown(self, position: int, nodes: NDArray[np.int32]) -> None:
        for feature in range(len(self._keys)):
            start, size = self._offset[position], self._sizes[position]
            new = np.zeros(size, dtype=bool)
            new[nodes[:, feature]] = True
            new &= ~self._known[feature, start : start + size]
            if new.any():
                self._hash(feature, position, np.flatnonzero(new))

    def _level(self, feature: int, position: int) -> NDArray[Any]:
        start = self._offset[position]
        return self._table[feature, start : start + self._sizes[position]]

    def _refuse_collisions(self, feature: int, position: int) -> None:
        tokens = self._level(feature, position)
        if len(np.unique(tokens)) != len(tokens):
            raise SpecError(
                f"two nodes of feature {self.spec.names[feature]!r} have one token",
                path="token_bits",
                hint="use 64 bits, or another key, data set or round",
            )

    # ------------------------------------------------------------------ token -> node
    def nodes(self, tokens: NDArray[Any]) -> NDArray[np.int32]:
        """Find the nodes of tokens of the finest encoded level.

        Parameters
        ----------
        tokens : ndarray, shape (n_rows, n_features), C order
            Tokens of this codebook.

        Returns
        -------
        ndarray of int32, shape (n_rows, n_features)

        Raises
        ------
        DataError
            If a token was not issued under this Spec, Key and salt.
        """
        width, mask, keys, values = self._slots()
        out = np.empty(tokens.shape, dtype=np.int32)
        kernel = kernels.choose(tokens.size)
        kernel.find_leaves(tokens.reshape(-1), tokens.shape[1], width, mask, keys, values, out.reshape(-1))
        refuse_where(
            out < 0,
            self.spec.names,
            "this token was not issued under this Spec, Key, data set and round",
            "check which file, key and salt belong together",
        )
        return out

    def _slots(self) -> tuple[int, int, NDArray[Any], NDArray[np.int32]]:
        with self._lock:
            if self._inverse is None:
                self._inverse = self._build_slots()
            return self._inverse

    def _build_slots(self) -> tuple[int, int, NDArray[Any], NDArray[np.int32]]:
        """Lay out the slots of ``find_leaves``: a quarter full, without wrapping round at the end."""
        last = len(self._sizes) - 1
        n_home = 4 << (self._sizes[-1] - 2).bit_length()
        placed = []
        for feature in range(len(self._keys)):
            issued = self._issued(feature, last)
            placed.append((issued, *_probe(self._hashed_level(feature, last)[issued], n_home)))
        # An unknown token may be at home in any slot: there are all of them, and an empty one behind the last.
        width = 1 + max(n_home, *(1 + int(slots.max()) for _, _, slots in placed))
        keys = np.zeros((len(placed), width), dtype=self.dtype)
        nodes = np.full((len(placed), width), -1, dtype=np.int32)
        for feature, (issued, order, slots) in enumerate(placed):
            keys[feature, slots] = self._level(feature, last)[issued[order]]
            nodes[feature, slots] = issued[order]
        return width, n_home - 1, keys.reshape(-1), nodes.reshape(-1)

    def issued_tokens(self) -> list[NDArray[Any]]:
        """Return the tokens that encoding can yield, sorted, for every feature and encoded level."""
        places = [(j, position) for j in range(len(self._keys)) for position in range(len(self._sizes))]
        return [np.sort(self._hashed_level(j, position)[self._issued(j, position)]) for j, position in places]

    def _hashed_node(self, feature: int, position: int, node: int) -> Any:
        """Return the token of one node, hashing it if it has not occurred yet."""
        if not self._known[feature, self._offset[position] + node]:
            self._hash(feature, position, np.array([node]))
        return self._table[feature, self._offset[position] + node]

    def _hashed_level(self, feature: int, position: int) -> NDArray[Any]:
        """Return the tokens of all nodes of a level, hashing those that have not occurred yet."""
        start, size = self._offset[position], self._sizes[position]
        if not self._known[feature, start : start + size].all():
            self._hash(feature, position, np.arange(size))
            self._refuse_collisions(feature, position)
        return self._level(feature, position)

    def _issued(self, feature: int, position: int) -> NDArray[np.int64]:
        """Return the nodes that encoding can yield: not every category or missing value is possible."""
        n_used = ((self._used[feature] - 1) >> int(self._shift[position])) + 1
        return np.concatenate([np.arange(n_used), np.full(int(self._blank), self._sizes[position] - 1)])


def _probe(tokens: NDArray[Any], n_home: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the tokens' order by home slot, and the slots that linear probing gives them in that order."""
    home = (tokens & tokens.dtype.type(n_home - 1)).astype(np.int64)
    order = np.argsort(home, kind="stable")
    rank = np.arange(len(tokens))
    # A token goes to its home, or right behind the one before it: slot[i] = max(home[i], slot[i-1] + 1).
    return order, np.maximum.accumulate(home[order] - rank) + rank


def check_salts(key: Any, dataset: Any, round: Any) -> int:
    """Return the round as a plain number.

    Raises
    ------
    KeyMaterialError
        If `key` is no Key.
    SpecError
        If a salt is none.
    """
    if not isinstance(key, Key):
        raise KeyMaterialError("a hashcomb.Key is needed", hint="make one with Key.create() or Key.load()")
    if isinstance(round, bool) or not isinstance(round, int | np.integer) or not 0 <= round < 1 << 63:
        raise SpecError("must be a whole number of at least 0", path="round")
    if not isinstance(dataset, str) or not is_utf8(dataset):
        raise SpecError("must be text", path="dataset")
    return int(round)


def _warn(spec: Spec) -> None:
    if spec.hash == "xxh3":
        warnings.warn(
            "xxh3 is no pseudorandom function: one known (value, token) pair is enough to find the seed and "
            "with it the whole codebook; use hash='blake2b' where somebody may attack",
            WeakPrivacyWarning,
            stacklevel=4,
        )
