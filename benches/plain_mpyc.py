"""The yardstick: per-column maxima over the owners by plain MPyC's `np_amax`, as its users would run it.

Stock MPyC, its own command line, its own TLS, one process for each party, all on loopback. It listens on all
interfaces and unpickles what its peers send, so it wants a machine that no stranger can reach; with TLS, only who
holds one of the certificates of this run gets that far.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from benches.owner_tables import end_keys, owner_tables
from benches.processes import run_together
from hashcomb.mpc import free_ports

__all__ = ("PlainRun", "main", "plain_amax")


class PlainRun(NamedTuple):
    """What one run took: the largest figure over the parties."""

    n_owners: int
    n_features: int
    wall_s: float  # from all connected to the result
    cpu_s: float  # in the same time
    n_bytes: int  # sent, TLS not counted
    peak_mb: float  # of the whole process
    tls: str | None
    has_gmpy2: bool  # without it, MPyC computes with Python's own integers


def plain_amax(n_owners: int, n_features: int, secure: bool = True) -> PlainRun:
    """Run plain MPyC on the exact keys of the ends of all columns, ``2 * n_features`` maxima.

    Raises
    ------
    RuntimeError
        If a party fails or finds other maxima than the true ones, or the connections are not as asked.
    """
    keys = [end_keys(table) for table in owner_tables(n_owners, n_features)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for party, own in enumerate(keys):
            np.save(folder / f"keys-{party}.npy", own)
        if secure:
            _write_certificates(n_owners, folder / ".config")
        parties = run_together("benches.plain_mpyc_party", _arguments(n_owners, secure), folder)
    truth = np.max(keys, axis=0).tolist()
    if any(party["maxima"] != truth or (party["tls"] is not None) != secure for party in parties):
        raise RuntimeError("plain MPyC did not find the true maxima, or not over the connections that were asked for")
    return PlainRun(n_owners, n_features, *_largest(parties))


def _arguments(n_owners: int, secure: bool) -> list[list[str]]:
    addresses = [option for port in free_ports(n_owners) for option in ("-P", f"127.0.0.1:{port}")]
    common = [*addresses, "--no-log", *(["--ssl"] if secure else [])]
    return [[f"keys-{party}.npy", *common, "-I", str(party)] for party in range(n_owners)]


def _largest(parties: list[dict[str, Any]]) -> tuple[Any, ...]:
    most = [max(party[field] for party in parties) for field in ("wall_s", "cpu_s", "n_bytes", "peak_mb")]
    return (*most, parties[0]["tls"], parties[0]["has_gmpy2"])


# ---------------------------------------------------------------------- certificates as MPyC wants them
def _write_certificates(n_parties: int, folder: Path) -> None:
    """Write what MPyC looks for in ``.config``: an authority, and a certificate and a key for each party."""
    folder.mkdir()
    ca_name, ca_key = _name("MPyC authority of one run"), Ed25519PrivateKey.generate()
    ca = _signed(ca_name, ca_key, ca_name, ca_key, x509.BasicConstraints(ca=True, path_length=0))
    (folder / "mpyc_ca.crt").write_bytes(ca.public_bytes(Encoding.PEM))
    for party in range(n_parties):
        # MPyC asks for this name when it dials, whatever the host is called.
        asked, key = f"MPyC party {party}", Ed25519PrivateKey.generate()
        certificate = _signed(_name(asked), key, ca_name, ca_key, x509.SubjectAlternativeName([x509.DNSName(asked)]))
        (folder / f"party_{party}.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / f"party_{party}.key").write_bytes(secret)


def _signed(
    subject: x509.Name,
    key: Ed25519PrivateKey,
    issuer: x509.Name,
    issuer_key: Ed25519PrivateKey,
    extension: x509.BasicConstraints | x509.SubjectAlternativeName,
) -> x509.Certificate:
    now, is_authority = datetime.now(UTC), isinstance(extension, x509.BasicConstraints)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(extension, critical=is_authority)
    builder = builder.add_extension(_usage(is_authority), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    known_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return builder.add_extension(known_by, critical=False).sign(issuer_key, None)


def _usage(is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def main() -> None:
    """Print the table."""
    print("\n### Plain MPyC, np_amax of exact minima and maxima (one process for each party, loopback)\n")
    print("| owners | features | wall s | CPU s a party | MB sent by a party | peak MB | TLS | gmpy2 |")
    print("|---:|---:|---:|---:|---:|---:|---|---|")
    for n_owners, n_features in ((3, 57), (5, 57), (3, 12)):
        run = min((plain_amax(n_owners, n_features) for _ in range(3)), key=lambda run: run.wall_s)
        figures = f"{run.wall_s:.3f} | {run.cpu_s:.3f} | {run.n_bytes / 1e6:.2f} | {run.peak_mb:.0f}"
        print(f"| {n_owners} | {n_features} | {figures} | {run.tls} | {'yes' if run.has_gmpy2 else 'no'} |", flush=True)


if __name__ == "__main__":
    main()
