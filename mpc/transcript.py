"""What was said in public during an agreement: hashed as it goes, signed by all, checked by anybody afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hashcomb.documents import parse_json, to_record
from hashcomb.errors import PartyMismatch

__all__ = ("Entry", "Signer", "Transcript", "TranscriptFile", "public_digest", "sign")

Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The public messages of one step, hashed.

    Parameters
    ----------
    step : str
        Name of the step.
    n_messages : int
        How many there were, those of all participants counted.
    digest : str
        SHA-256 of all of them in order, with their lengths, 64 hexadecimal digits.
    """

    step: str
    n_messages: int
    digest: Hash


class Transcript:
    """A running hash over labelled public messages.

    Parameters
    ----------
    start : bytes
        Hash of the public configuration.
    """

    def __init__(self, start: bytes) -> None:
        self._start = start
        self._steps: list[tuple[str, int, Any]] = []

    def add(self, step: str, *messages: bytes) -> None:
        """Add messages of a step; lengths go in, so that no two sequences give one hash."""
        if not self._steps or self._steps[-1][0] != step:
            self._steps.append((step, 0, hashlib.sha256()))
        name, count, running = self._steps[-1]
        for message in messages:
            running.update(len(message).to_bytes(8, "big"))
            running.update(message)
        self._steps[-1] = (name, count + len(messages), running)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The steps so far."""
        return tuple(Entry(step, count, running.hexdigest()) for step, count, running in self._steps)

    def digest(self) -> bytes:
        """Return the hash of all that was added so far, 32 bytes."""
        return _chain(self._start, self.entries)


def _chain(start: bytes, entries: Sequence[Entry]) -> bytes:
    running = hashlib.sha256(b"hashcomb transcript 2\0" + start)
    for entry in entries:
        running.update(msgspec.json.encode(entry))
    return running.digest()


# ---------------------------------------------------------------------- signatures
def sign(secret: Ed25519PrivateKey, digest: bytes, name: str) -> bytes:
    """Sign the hash of a transcript as one of its participants (Ed25519, RFC 8032)."""
    return secret.sign(_statement(digest, name))


def _statement(digest: bytes, name: str) -> bytes:
    return b"hashcomb transcript signature 1\0" + digest + name.encode()


class Signer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A participant in a transcript's file.

    Parameters
    ----------
    name : str
        Its name.
    role : {"owner", "helper"}
        Whether it holds data.
    certificate : str
        SHA-256 of its certificate, or empty where there was no TLS.
    public_key : str
        Its raw Ed25519 public key, 64 hexadecimal digits; empty where it did not sign.
    signature : str
        128 hexadecimal digits; empty where it did not sign.
    """

    name: str
    role: Literal["owner", "helper"]
    certificate: str = ""
    public_key: str = ""
    signature: str = ""

    def has_signed(self, digest: bytes) -> bool:
        """Return whether the signature is right for a hash."""
        try:
            public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public_key))
            public.verify(bytes.fromhex(self.signature), _statement(digest, self.name))
        except (ValueError, InvalidSignature):
            return False
        return True


class TranscriptFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an owner keeps of an agreement as evidence; nothing in it is secret among the owners.

    Parameters
    ----------
    public : dict
        The public configuration that everything started from: owners, policy, features.
    steps : tuple of Entry
        Public messages, a hash for each step.
    fingerprint : str
        Fingerprint of the Spec that was agreed on.
    key_id : str
        Public identifier of the joint Key.
    digest : str
        Hash of all of the above.
    signers : tuple of Signer
        All participants, with their signatures under `digest`.
    format : str
        Name and version of this format.

    Notes
    -----
    Privacy: holds hashes, the policy and the names of features and owners, and what the fingerprint of a Spec
    tells to somebody who can guess the Spec. It is for the owners, not for the world.
    """

    public: dict[str, Any]
    steps: tuple[Entry, ...]
    fingerprint: Hash
    key_id: str
    digest: Hash
    signers: tuple[Signer, ...]
    format: Literal["hashcomb transcript 2"]

    def to_json(self) -> str:
        """Return the document as JSON, indented for people."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode() + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> TranscriptFile:
        """Read a document; raise `SpecError` if it is none."""
        return to_record(parse_json(text), cls)

    def verify(self, public_keys: Mapping[str, str] | None = None, fingerprint: str | None = None) -> None:
        """Make sure that every participant signed exactly this.

        Parameters
        ----------
        public_keys : mapping of str to str, optional
            Names of the participants and the public keys that you know of them, hexadecimal. Without them the
            signatures are checked against the keys in the document alone, which whoever wrote it could have made.
        fingerprint : str, optional
            Fingerprint of the Spec that you hold.

        Raises
        ------
        PartyMismatch
            If something was changed, a signature is missing or wrong, a key is not the one that you know, or the
            Spec is another one; names the owner where there is one.
        """
        if self.public.get("purpose") != "agree":
            raise PartyMismatch("the transcript is that of something else than an agreement")
        if _chain(public_digest(self.public), self.steps).hex() != self.digest:
            raise PartyMismatch("the hash of the transcript is not that of its steps: something was changed")
        if fingerprint is not None and fingerprint != self.fingerprint:
            raise PartyMismatch("the transcript is that of another Spec", hint="compare the fingerprints")
        self._check_result()
        self._check_signers(public_keys)

    def _check_result(self) -> None:
        last = Transcript(b"")
        last.add("result", self.fingerprint.encode(), self.key_id.encode())
        if not self.steps or self.steps[-1] != last.entries[0]:
            raise PartyMismatch("fingerprint or key id are not those that were signed")

    def _check_signers(self, public_keys: Mapping[str, str] | None) -> None:
        listed = [[signer.name, signer.role, signer.certificate, signer.public_key] for signer in self.signers]
        if listed != self.public.get("peers"):
            raise PartyMismatch("the signers are not the owners that took part")
        known = {name: key for name, _, _, key in listed} if public_keys is None else public_keys
        if set(known) != {signer.name for signer in self.signers}:
            raise PartyMismatch("the transcript has other owners than those you know")
        for signer in self.signers:
            if not signer.signature:
                hint = "an agreement without certificates (loopback only) is not signed"
                raise PartyMismatch("has not signed", party=signer.name, hint=hint)
            if known[signer.name] != signer.public_key:
                raise PartyMismatch("signed with another key than the one you know", party=signer.name)
            if not signer.has_signed(bytes.fromhex(self.digest)):
                raise PartyMismatch("has a wrong signature", party=signer.name)


def public_digest(public: Mapping[str, Any]) -> bytes:
    """Return the SHA-256 of a public configuration, 32 bytes."""
    return hashlib.sha256(b"hashcomb session 2\0" + msgspec.json.encode(public, order="deterministic")).digest()
