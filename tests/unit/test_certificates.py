"""Certificates of owners: mutual TLS 1.3 with pinned certificates takes them, and nobody else's."""

import os
import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from hashcomb.errors import FileFormatError, ProtocolError
from hashcomb.mpc.network.certificates import fingerprint, make_certificates

Made = dict[str, tuple[Path, Path]]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Make the certificates of three owners."""
    return make_certificates(["alice", "St. Mary's", "eve"], tmp_path)


def context(side: Any, mine: tuple[Path, Path], pinned: list[Path], strict: bool) -> ssl.SSLContext:
    """Return a context that demands one of the pinned certificates of the other end."""
    made = ssl.SSLContext(side)
    made.check_hostname = False
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if strict:
        made.verify_flags |= ssl.VERIFY_X509_STRICT
    made.load_cert_chain(*mine)
    for path in pinned:
        made.load_verify_locations(cafile=path)
    return made


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> tuple[bytes, str]:
    """Connect over loopback, send a word there and back; return the word and the server's error, if any."""
    errors = [""]
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            try:
                with server.wrap_socket(connection, server_side=True) as tls:
                    tls.sendall(tls.recv(5))
            except (ssl.SSLError, ConnectionError) as error:
                errors[0] = str(error)
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        word = b""
        try:
            with (
                socket.create_connection(listener.getsockname(), timeout=10) as connection,
                client.wrap_socket(connection) as tls,
            ):
                assert tls.version() == "TLSv1.3"
                tls.sendall(b"hello")
                word = tls.recv(5)
        except (ssl.SSLError, ConnectionError) as error:
            errors.append(str(error))
        thread.join(timeout=10)
    return word, " ".join(errors)


@pytest.mark.parametrize("strict", [False, True], ids=["as it is", "strict, as Python 3.13"])
def test_two_owners_shake_hands(made: Made, strict: bool) -> None:
    """Two owners that pinned each other's certificates talk by TLS 1.3, under RFC 5280's strict rules too."""
    alice, mary = made["alice"], made["St. Mary's"]
    pinned = [alice[0], mary[0]]
    client = context(ssl.PROTOCOL_TLS_CLIENT, alice, pinned, strict)
    assert shake_hands(client, context(ssl.PROTOCOL_TLS_SERVER, mary, pinned, strict)) == (b"hello", "")


@pytest.mark.parametrize("stranger_dials", [True, False])
def test_a_stranger_is_refused(made: Made, stranger_dials: bool) -> None:
    """A certificate that was made in the same way, but not pinned, opens nothing at either end."""
    pinned = [made["alice"][0], made["St. Mary's"][0]]
    client, server = ("eve", "alice") if stranger_dials else ("alice", "eve")
    dialing = context(ssl.PROTOCOL_TLS_CLIENT, made[client], pinned, strict=False)
    word, error = shake_hands(dialing, context(ssl.PROTOCOL_TLS_SERVER, made[server], pinned, strict=False))
    assert word == b""
    assert "CERTIFICATE_VERIFY_FAILED" in error


def test_an_owner_vouches_for_nobody(made: Made, tmp_path: Path) -> None:
    """A certificate that a pinned owner signed for somebody else is refused."""
    key = load_pem_private_key(made["alice"][1].read_bytes(), None)
    alice = x509.load_pem_x509_certificate(made["alice"][0].read_bytes())
    eve = x509.load_pem_x509_certificate(made["eve"][0].read_bytes())
    assert isinstance(key, Ed25519PrivateKey)
    builder = x509.CertificateBuilder(
        alice.subject, eve.subject, eve.public_key(), 7, eve.not_valid_before_utc, eve.not_valid_after_utc
    )
    forged = tmp_path / "forged.crt"
    forged.write_bytes(builder.sign(key, None).public_bytes(Encoding.PEM))
    pinned = [made["alice"][0], made["St. Mary's"][0]]
    client = context(ssl.PROTOCOL_TLS_CLIENT, (forged, made["eve"][1]), pinned, strict=False)
    word, error = shake_hands(client, context(ssl.PROTOCOL_TLS_SERVER, made["St. Mary's"], pinned, strict=False))
    assert word == b""
    assert "CERTIFICATE_VERIFY_FAILED" in error


def test_files_and_modes(made: Made, tmp_path: Path) -> None:
    """Each owner has two files, the certificate for all to read and the key for its owner alone."""
    assert {path.name for path in tmp_path.iterdir()} == {path.name for pair in made.values() for path in pair}
    for name, (certificate, key) in made.items():
        assert (certificate.name, key.name) == (f"{name}.crt", f"{name}-tls.key")
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert stat.S_IMODE(certificate.stat().st_mode) & 0o133 == 0


def test_key_and_certificate_belong_together(made: Made) -> None:
    """What the private key signs, the certificate's public key verifies: Ed25519, fit for a transcript too."""
    for certificate, key in made.values():
        secret = load_pem_private_key(key.read_bytes(), None)
        public = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
        assert isinstance(secret, Ed25519PrivateKey)
        assert isinstance(public, Ed25519PublicKey)
        public.verify(secret.sign(b"transcript"), b"transcript")


def test_extensions(made: Made) -> None:
    """A certificate vouches for no other, may only sign, serves both ends, and says whose key it is."""
    for path, _ in made.values():
        extensions = x509.load_pem_x509_certificate(path.read_bytes()).extensions
        basic = extensions.get_extension_for_class(x509.BasicConstraints)
        usage = extensions.get_extension_for_class(x509.KeyUsage)
        ends = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert (basic.critical, basic.value.ca, usage.critical, usage.value.key_cert_sign) == (True, False, True, False)
        assert {*ends} == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
        own = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        assert extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == own


def test_all_owners_have_their_own(made: Made) -> None:
    """Keys, serial numbers and fingerprints differ, and the fingerprint is that of the certificate."""
    certificates = [x509.load_pem_x509_certificate(path.read_bytes()) for path, _ in made.values()]
    assert len({certificate.serial_number for certificate in certificates}) == 3
    assert len({certificate.public_key().public_bytes_raw() for certificate in certificates}) == 3  # type: ignore[union-attr]
    assert len({fingerprint(path) for path, _ in made.values()}) == 3


@pytest.mark.parametrize("days", [1, 30, 3650])
def test_validity(tmp_path: Path, days: int) -> None:
    """Valid from an hour ago, for clocks that are behind, until so many days from now."""
    ((certificate, _),) = make_certificates(["alice"], tmp_path, days).values()
    read, now = x509.load_pem_x509_certificate(certificate.read_bytes()), datetime.now(UTC)
    assert timedelta(minutes=59) < now - read.not_valid_before_utc < timedelta(minutes=62)
    assert abs(read.not_valid_after_utc - now - timedelta(days=days)) < timedelta(minutes=2)


@pytest.mark.parametrize("days", [0, -1, 3651, 10**9, 1.5, True])
def test_impossible_days_are_refused(tmp_path: Path, days: Any) -> None:
    """Days are a whole number up to ten years, and nothing is written otherwise."""
    with pytest.raises(ProtocolError, match="days"):
        make_certificates(["alice"], tmp_path, days)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("taken", ["alice.crt", "alice-tls.key", "bob.crt", "bob-tls.key"])
def test_all_or_none(tmp_path: Path, taken: str) -> None:
    """If one of the files is there already, it stays as it is, and no other is written."""
    (tmp_path / taken).write_text("mine")
    with pytest.raises(FileFormatError, match=taken):
        make_certificates(["alice", "bob"], tmp_path)
    assert os.listdir(tmp_path) == [taken]
    assert (tmp_path / taken).read_text() == "mine"


@pytest.mark.parametrize(
    "names",
    [
        [],
        [""],
        ["a", "a"],
        ["../a"],
        ["a/b"],
        ["a\0"],
        ["a\x1b[2J"],
        [".a"],
        ["-a"],
        ["é" * 33],
        ["a" * 65],
        ["\ud800"],
    ],
)
def test_names_that_cannot_be_files_are_refused(tmp_path: Path, names: list[str]) -> None:
    """Names are those of files in the folder, and nothing is written otherwise."""
    folder = tmp_path / "in"
    folder.mkdir()
    with pytest.raises(ProtocolError):
        make_certificates(names, folder)
    assert [path.name for path in tmp_path.rglob("*")] == ["in"]


@pytest.mark.parametrize("name", ["a", "a" * 64, "é" * 32, "Klinik für Innere, Abt. 3 (Süd)"])
def test_names_that_can(tmp_path: Path, name: str) -> None:
    """Names in any script, up to 64 bytes, are those in the certificate."""
    ((certificate, _),) = make_certificates([name], tmp_path).values()
    (common_name,) = x509.load_pem_x509_certificate(certificate.read_bytes()).subject
    assert common_name.value == name


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """Certificates go to a folder that is there, and the error is ours."""
    with pytest.raises(FileFormatError, match="no such folder"):
        make_certificates(["alice"], tmp_path / "none")


def test_fingerprint_of_what_is_no_certificate(made: Made, tmp_path: Path) -> None:
    """A missing file, a private key and two certificates in one file have no fingerprint."""
    both = tmp_path / "both.crt"
    both.write_bytes(made["alice"][0].read_bytes() + made["eve"][0].read_bytes())
    for path in (tmp_path / "none.crt", made["alice"][1], both):
        with pytest.raises(ProtocolError, match="cannot be read"):
            fingerprint(path)
