"""Who somebody is: pinned certificates for the connections, Ed25519 keys for the signatures."""

from __future__ import annotations

import contextlib
import ssl
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from hashcomb.errors import ProtocolError
from hashcomb.mpc.network.certificates import load_certificate
from hashcomb.mpc.network.parties import Party, Peer
from hashcomb.mpc.network.party_file import load_peers

__all__ = ("contexts", "fingerprints", "known_keys", "public_keys", "signing_key")


def fingerprints(party: Party) -> list[str]:
    """Return the SHA-256 of every participant's certificate, hexadecimal; empty where there is none.

    Raises
    ------
    ProtocolError
        If one cannot be read, has expired, or is another participant's as well.
    """
    found = [_certificate(peer.cert).fingerprint(SHA256()).hex() if peer.cert else "" for peer in party.peers]
    for peer, fingerprint in zip(party.peers, found, strict=True):
        if fingerprint and found.count(fingerprint) > 1:
            raise ProtocolError("has another owner's certificate", party=peer.name)
    return found


def public_keys(party: Party) -> list[str]:
    """Return every participant's raw Ed25519 public key, hexadecimal; empty where there is neither key nor TLS.

    Raises
    ------
    ProtocolError
        If one cannot be read, or a participant with a certificate has none.
    """
    return [_public_key(peer) for peer in party.peers]


def _public_key(peer: Peer) -> str:
    if peer.sign:
        public = _load(peer.sign, load_pem_public_key)
    elif peer.cert:
        public = load_certificate(peer.cert).public_key()  # an old transcript verifies with an expired one too
    else:
        return ""
    if not isinstance(public, Ed25519PublicKey):
        hint = "make an Ed25519 certificate (hashcomb agree certs), or give the peer an Ed25519 public key as 'sign'"
        raise ProtocolError("has no Ed25519 key to sign the transcript with", party=peer.name, hint=hint)
    return public.public_bytes_raw().hex()


def known_keys(party_path: str) -> dict[str, str]:
    """Return the public keys of all participants in a party.toml, by name; whoever it says "me" is."""
    return {peer.name: _public_key(peer) for peer in load_peers(party_path)}


def signing_key(party: Party) -> Ed25519PrivateKey | None:
    """Return this participant's private key for signatures, None where it has no public one.

    Raises
    ------
    ProtocolError
        If it cannot be read, or is not that of the public key which all others know.
    """
    expected = _public_key(party.peers[party.index])
    if not expected:
        return None
    path = party.sign_key or party.tls_key or ""
    secret = _load(path, lambda pem: load_pem_private_key(pem, password=None))
    if not isinstance(secret, Ed25519PrivateKey) or secret.public_key().public_bytes_raw().hex() != expected:
        hint = "sign_key is the private key of 'sign', tls_key that of 'cert'"
        raise ProtocolError("the private key is not that of this owner's public key", party=party.me, hint=hint)
    return secret


def _load(path: str, parse: Any) -> Any:
    try:
        return parse(Path(path).read_bytes())
    except TypeError:
        _no_passphrase()
    except (OSError, ValueError):
        raise ProtocolError(f"the key {path!r} cannot be read", hint="it must be a PEM file") from None


# ---------------------------------------------------------------------- TLS
def contexts(party: Party) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    """Return TLS contexts for listening and for dialing, or two None on loopback without TLS.

    Raises
    ------
    ProtocolError
        If a certificate or the private key cannot be used.
    """
    if party.tls_key is None:
        return None, None
    return _context(party, ssl.PROTOCOL_TLS_SERVER), _context(party, ssl.PROTOCOL_TLS_CLIENT)


def _context(party: Party, side: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.check_hostname = False  # the pinned certificate is the identity, wherever it answers from
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a pinned certificate needs no issuer
    _refuse_open_key(party)
    try:
        context.load_cert_chain(party.peers[party.index].cert or "", party.tls_key, password=_no_passphrase)
        for peer in party.peers:
            context.load_verify_locations(cafile=peer.cert)
    except (OSError, ssl.SSLError) as error:
        raise ProtocolError(
            f"a certificate or the private key cannot be used: {error.strerror or type(error).__name__}",
            party=party.me,
            hint="they must be PEM files, and the key must belong to this owner's certificate",
        ) from None
    return context


def _refuse_open_key(party: Party) -> None:
    """Refuse a private key that everybody on this machine can read."""
    with contextlib.suppress(OSError):  # what cannot be looked at cannot be loaded either, which says why
        if Path(party.tls_key or "").stat().st_mode & stat.S_IROTH:
            raise ProtocolError("the private key can be read by everybody", party=party.me, hint="chmod 600")


def _certificate(path: str) -> x509.Certificate:
    certificate = load_certificate(path)
    if certificate.not_valid_after_utc < datetime.now(UTC):
        raise ProtocolError(f"the certificate {path!r} has expired", hint="let its owner make a new one")
    return certificate


def _no_passphrase() -> str:
    raise ProtocolError("the private key is encrypted", hint="decrypt it for this run: nobody may be there to ask")
