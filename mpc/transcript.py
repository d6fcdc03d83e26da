"""What was said in public during an agreement, hashed in order."""

from __future__ import annotations

import hashlib

__all__ = ("Transcript",)


class Transcript:
    """A running SHA-256 over labelled public messages.

    Parameters
    ----------
    start : bytes
        Hash of the public configuration.
    """

    def __init__(self, start: bytes) -> None:
        self._hash = hashlib.sha256(b"hashcomb transcript 1\0" + start)

    def add(self, label: str, *messages: bytes) -> None:
        """Add messages under a label; lengths go in, so that no two sequences give one hash."""
        for part in (label.encode(), len(messages).to_bytes(4, "big"), *messages):
            self._hash.update(len(part).to_bytes(8, "big") + part)

    def digest(self) -> bytes:
        """Return the hash of all that was added so far, 32 bytes."""
        return self._hash.copy().digest()
