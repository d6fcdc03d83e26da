"""Certificates for the connections between owners, and for the signatures under a transcript.

The certificate itself is the identity: every owner pins those of the others, so that no authority has to be trusted
and no host names have to match. A certificate from elsewhere serves as well.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hashcomb.errors import ProtocolError
from hashcomb.mpc.new_files import check_file_names, write_new

__all__ = ("MAX_DAYS", "fingerprint", "load_certificate", "make_certificates")

MAX_DAYS = 3650
_SKEW = timedelta(hours=1)  # how far another owner's clock may be behind


def make_certificates(
    names: Sequence[str], folder: str | os.PathLike[str] = ".", days: int = 30
) -> dict[str, tuple[Path, Path]]:
    """Make a private key and a certificate for each owner: Ed25519, X.509, signed by itself.

    Parameters
    ----------
    names : sequence of str
        Names of the owners, which are the names of the files too.
    folder : path, optional
        A folder that is there.
    days : int, optional
        How long they are valid, from an hour ago: 1 to 3650 days.

    Returns
    -------
    dict of str to tuple of Path and Path
        For each name its certificate, ``NAME.crt`` with mode 0644, and its private key, ``NAME-tls.key`` with
        mode 0600: PEM, PKCS #8, not encrypted.

    Raises
    ------
    ProtocolError
        If a name cannot be that of a file, or the days are out of range.
    FileFormatError
        If a file exists or cannot be written; then none is there.

    Notes
    -----
    Privacy: whoever makes the keys of several owners can pose as each of them and read what they send. In earnest,
    every owner makes its own and gives the certificate alone to the others, who compare its `fingerprint` by a way
    that they trust.
    """
    check_file_names(names)
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= MAX_DAYS:
        raise ProtocolError(f"a certificate must be valid for a whole number of days from 1 to {MAX_DAYS}")
    paths = {name: (Path(folder) / f"{name}.crt", Path(folder) / f"{name}-tls.key") for name in names}
    files = {}
    for name, (certificate, key) in paths.items():
        files[certificate], files[key] = _make(name, days)
    write_new(files)
    return paths


def _make(name: str, days: int) -> tuple[tuple[bytes, int], tuple[bytes, int]]:
    """Return the contents and modes of an owner's two files."""
    key = Ed25519PrivateKey.generate()
    certificate = _certificate(name, days, key).public_bytes(Encoding.PEM)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (certificate, 0o644), (secret, 0o600)


def _certificate(name: str, days: int, key: Ed25519PrivateKey) -> x509.Certificate:
    subject, now, public = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
        datetime.now(UTC),
        key.public_key(),
    )
    builder = x509.CertificateBuilder(
        issuer_name=subject,
        subject_name=subject,
        public_key=public,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - _SKEW,
        not_valid_after=now + timedelta(days=days),
    )
    for extension, critical in _extensions(x509.SubjectKeyIdentifier.from_public_key(public)):
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, algorithm=None)  # Ed25519 brings its own hash


def _extensions(identifier: x509.SubjectKeyIdentifier) -> list[tuple[x509.ExtensionType, bool]]:
    """Return what RFC 5280 asks of a certificate: from Python 3.13 on, strict verification is the default."""
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    only_signs = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    both_ends = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    nobody = x509.BasicConstraints(ca=False, path_length=None)  # it vouches for no other certificate
    return [(nobody, True), (only_signs, True), (both_ends, False), (identifier, False), (authority, False)]


def fingerprint(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a certificate, 64 hexadecimal digits, as ``openssl x509 -fingerprint -sha256`` has it.

    Parameters
    ----------
    path : path
        A PEM file with one certificate.

    Raises
    ------
    ProtocolError
        If it cannot be read, or holds none or several.
    """
    return load_certificate(path).fingerprint(SHA256()).hex()


def load_certificate(path: str | os.PathLike[str]) -> x509.Certificate:
    """Read a PEM file with one certificate; raise `ProtocolError` if it is none."""
    try:
        (certificate,) = x509.load_pem_x509_certificates(Path(path).read_bytes())
    except (OSError, ValueError):
        hint = "it must be a PEM file with exactly one certificate"
        raise ProtocolError(f"the certificate {os.fspath(path)!r} cannot be read", hint=hint) from None
    return certificate
