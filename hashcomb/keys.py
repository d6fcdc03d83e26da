"""The Key: 256 secret bits that the owners share and the trainer never has.

Everything secret is derived from it by HKDF-SHA256, with the Spec's fingerprint, the feature, the data set
and the round in the derivation, so that equal values in different places give unrelated tokens.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR, ECB
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from hashcomb.atomic import KEY_MARK, writing
from hashcomb.errors import KeyMaterialError

__all__ = ("Key", "Keystream", "RecordWords", "read_secret", "write_secret")

KEY_BYTES = 32
_FILE = re.compile(KEY_MARK.decode() + r"1:([0-9a-f]{64}):([0-9a-f]{16})\n?")


class Key:
    """A 256-bit secret; its ``repr`` shows the id only.

    Parameters
    ----------
    secret : bytes
        Exactly 32 bytes that nobody can guess; `create` draws them.

    Raises
    ------
    KeyMaterialError
        If there are not exactly 32 bytes, or they are all equal.

    Notes
    -----
    Pickling a Key (joblib does, to send an estimator to another process) writes the secret.

    Examples
    --------
    >>> key = Key.create()
    >>> key == Key(bytes(key))
    True
    """

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        if not isinstance(secret, bytes | bytearray) or len(secret) != KEY_BYTES:
            raise KeyMaterialError(f"a key has exactly {KEY_BYTES} bytes", hint="make one with Key.create()")
        if len(set(secret)) == 1:
            raise KeyMaterialError("all bytes of the key are equal", hint="make one with Key.create()")
        self._secret = bytes(secret)

    @classmethod
    def create(cls) -> Key:
        """Draw a new Key from the operating system's randomness."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Key:
        """Read a Key from a file that `save` wrote.

        Parameters
        ----------
        path : path
            A file that only its owner may read (mode 0600).

        Raises
        ------
        KeyMaterialError
            If the file cannot be read, is damaged, or others may read it.
        """
        path = Path(path)
        return cls(_parse(read_secret(path, "key", 1024).decode("ascii", "replace"), path))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the Key to a new file with mode 0600.

        Parameters
        ----------
        path : path
            Where to; an existing file is never overwritten.

        Raises
        ------
        KeyMaterialError
            If the file exists or cannot be written.
        """
        line = f"{KEY_MARK.decode()}1:{self._secret.hex()}:{self.id}\n".encode("ascii")
        write_secret(path, "key", line)

    @property
    def id(self) -> str:
        """Public name of the Key: 16 hexadecimal digits of a hash of it."""
        return hashlib.sha256(b"hashcomb key id 1\0" + self._secret).hexdigest()[:16]

    def derive(
        self, purpose: str, *, fingerprint: str = "", feature: int = 0, dataset: str = "", round: int = 0
    ) -> bytes:
        """Derive 32 secret bytes for one purpose by HKDF-SHA256 (RFC 5869).

        Parameters
        ----------
        purpose : str
            What the bytes are for; different purposes give unrelated bytes.
        fingerprint : str, optional
            Fingerprint of the Spec.
        feature : int, optional
            Position of the feature.
        dataset : str, optional
            Name of the data set: a public salt.
        round : int, optional
            Number of the round: a public salt.

        Returns
        -------
        bytes
            32 bytes.
        """
        parts = ("hashcomb 1", purpose, fingerprint, str(feature), dataset, str(round))
        # Lengths go in front, so that no two lists of parts give one sequence of bytes.
        info = b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode() for part in parts))
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(self._secret)

    def __bytes__(self) -> bytes:
        return self._secret

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and secrets.compare_digest(self._secret, other._secret)

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"Key(id={self.id!r})"


def write_secret(path: str | os.PathLike[str], what: str, content: bytes) -> None:
    """Write a new file with mode 0600; raise `KeyMaterialError` if it exists or cannot be written."""
    try:
        with writing(path, mode=0o600, overwrite=False) as file:
            file.write(content)
    except FileExistsError:
        hint = f"a {what} is never overwritten; choose another name"
        raise KeyMaterialError(f"{what} file {os.fspath(path)!r} exists", hint=hint) from None
    except OSError as error:
        raise KeyMaterialError(f"{what} file {os.fspath(path)!r}: {error.strerror}") from None


def read_secret(path: Path, what: str, limit: int) -> bytes:
    """Read at most so many bytes of a file; raise `KeyMaterialError` if it cannot be, or others can read it too."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(limit)
    except OSError as error:
        raise KeyMaterialError(f"{what} file {str(path)!r}: {error.strerror}") from None
    if os.name == "posix" and mode & 0o077:
        problem = f"{what} file {str(path)!r} can be read by others (mode {mode:04o})"
        raise KeyMaterialError(problem, hint=f"run: chmod 600 {path}")
    return content


def _parse(text: str, path: Path) -> bytes:
    match = _FILE.fullmatch(text)
    if match is None:
        raise KeyMaterialError(
            f"key file {str(path)!r} is not a whole hashcomb key", hint="restore it from a copy of another owner"
        )
    secret, wanted = bytes.fromhex(match[1]), match[2]
    if Key(secret).id != wanted:
        raise KeyMaterialError(f"key file {str(path)!r} is damaged: its check digits do not match")
    return secret


_ZEROS = bytes(1 << 18)  # what the keystream is added to; never written


class Keystream:
    """A stream of secret random 64-bit words, addressed by their number.

    AES-256 in counter mode; word `i` depends on the secret and `i` alone, so that work can be cut into any
    chunks, over any threads, and use the same words.

    Parameters
    ----------
    secret : bytes, optional
        32 bytes; drawn anew by default, and then never stored.
    """

    def __init__(self, secret: bytes | None = None) -> None:
        self._cipher = AES(secret if secret is not None else secrets.token_bytes(32))

    def words(self, start: int, count: int) -> NDArray[np.uint64]:
        """Return `count` words from number `start`, shape (count,)."""
        block, skip = divmod(start, 2)  # a block of AES holds two words
        stream = Cipher(self._cipher, CTR(block.to_bytes(16, "big"))).encryptor()
        if skip:
            stream.update(bytes(8))
        words = np.empty(count + 2, dtype="<u8")  # the cipher asks for room for a block more
        written = 0
        while written < 8 * count:
            n_bytes = min(8 * count - written, len(_ZEROS))
            stream.update_into(memoryview(_ZEROS)[:n_bytes], words.view(np.uint8).data[written:])
            written += n_bytes
        return words[:count].astype(np.uint64, copy=False)


class RecordWords:
    """Secret random 64-bit words for records by their ids: the same record has the same words in any run.

    A word is AES-256 of one block that holds a keyed hash of the record's id, the feature and the leaf. Blocks
    of different records, features or leaves differ, so their words look random and unrelated.

    Parameters
    ----------
    block_key : bytes
        32 secret bytes.
    id_key : bytes
        32 other secret bytes.
    """

    ID_BYTES = 11
    NO_LEAF = (1 << 24) - 1

    def __init__(self, block_key: bytes, id_key: bytes) -> None:
        # One call of the block cipher on blocks that never repeat is a pseudorandom function; no message is
        # encrypted here, and so nothing that a mode of operation would hide.
        self._cipher = Cipher(AES(block_key), ECB())  # noqa: S305
        self._id_key = id_key

    def hash_ids(self, ids: list[str]) -> NDArray[np.uint8]:
        """Return the keyed hash of every id, shape (n_ids, 11)."""
        keyed = hashlib.blake2b(digest_size=self.ID_BYTES, key=self._id_key, person=b"hashcomb record ")
        digests = bytearray()
        for name in ids:
            copy = keyed.copy()
            copy.update(name.encode())
            digests += copy.digest()
        return np.frombuffer(bytes(digests), dtype=np.uint8).reshape(len(ids), self.ID_BYTES)

    def words(self, records: NDArray[np.uint8], leaves: NDArray[Any]) -> NDArray[np.uint64]:
        """Return one word for each value.

        Parameters
        ----------
        records : ndarray of uint8, shape (n_rows, 11)
            What `hash_ids` gave.
        leaves : ndarray of int, shape (n_rows, n_features)
            Leaves, or `NO_LEAF` for words that do not depend on them.

        Returns
        -------
        ndarray of uint64, shape (n_rows, n_features)
        """
        blocks = np.empty((*leaves.shape, 16), dtype=np.uint8)
        blocks[..., : self.ID_BYTES] = records[:, None, :]
        place = (np.arange(leaves.shape[1], dtype=np.uint64) << np.uint64(24)) | leaves.astype(np.uint64)
        blocks[..., self.ID_BYTES :] = place.astype("<u8")[..., None].view(np.uint8)[..., :5]
        encrypted = self._cipher.encryptor().update(blocks.tobytes())
        words = np.frombuffer(encrypted, dtype="<u8").reshape(*leaves.shape, 2)[..., 0]
        return np.ascontiguousarray(words, dtype=np.uint64)
