"""A Key is 256 secret bits that nothing shows."""

import logging
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from hashcomb import HashComb, Key, Spec, Uniform
from hashcomb.errors import KeyMaterialError
from hashcomb.keys import Keystream

SECRET = bytes(range(32))


def test_created_keys_differ() -> None:
    """Two new Keys are two secrets."""
    assert Key.create() != Key.create()


@pytest.mark.parametrize("secret", [b"", bytes(31), bytes(range(33)), bytes(32), b"\xff" * 32, "a" * 32, None])
def test_wrong_secret_is_refused(secret: object) -> None:
    """A Key has exactly 32 bytes, not all of them equal."""
    with pytest.raises(KeyMaterialError):
        Key(secret)  # type: ignore[arg-type]


def test_file_round_trip_with_mode_0600(tmp_path: Path) -> None:
    """A saved Key is readable by its owner only, and loads as the same Key."""
    path = tmp_path / "owners.key"
    Key(SECRET).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Key.load(path) == Key(SECRET)


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    """Saving where a file is leaves that file as it was."""
    path = tmp_path / "owners.key"
    Key(SECRET).save(path)
    with pytest.raises(KeyMaterialError, match="exists"):
        Key.create().save(path)
    assert Key.load(path) == Key(SECRET)
    assert os.listdir(tmp_path) == ["owners.key"]


def damage(text: str, how: str) -> str:
    """Return the text of a key file after an accident."""
    return {
        "empty": "",
        "truncated": text[:40],
        "one digit changed": text.replace("0001", "0002", 1),
        "appended": text + "more\n",
        "other format": "-----BEGIN PRIVATE KEY-----\n",
        "long": "x" * 5000,
    }[how]


@pytest.mark.parametrize("how", ["empty", "truncated", "one digit changed", "appended", "other format", "long"])
def test_damaged_file_is_refused(tmp_path: Path, how: str) -> None:
    """A truncated or edited key file is no key, and the message shows none of it."""
    path = tmp_path / "owners.key"
    Key(SECRET).save(path)
    path.write_text(damage(path.read_text(), how))
    with pytest.raises(KeyMaterialError) as caught:
        Key.load(path)
    assert SECRET.hex()[:16] not in str(caught.value)


def test_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """A Key that others may read is no secret; the message says how to mend it."""
    path = tmp_path / "owners.key"
    Key(SECRET).save(path)
    path.chmod(0o640)
    with pytest.raises(KeyMaterialError, match="chmod 600"):
        Key.load(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    """A path that cannot be opened is an error of ours, not a traceback."""
    with pytest.raises(KeyMaterialError):
        Key.load(tmp_path / "none.key")
    with pytest.raises(KeyMaterialError):
        Key(SECRET).save(tmp_path / "none" / "owners.key")


def test_derivations_are_unrelated() -> None:
    """Purpose, Spec, feature, data set and round each give other bytes, also where their texts run together."""
    key = Key(SECRET)
    derived = [
        key.derive("token"),
        key.derive("confirm"),
        key.derive("token", fingerprint="a"),
        key.derive("token", fingerprint="a", feature=1),
        key.derive("token", dataset="a"),
        key.derive("token", dataset="a1"),
        key.derive("token", dataset="a", round=1),
        key.derive("token", round=1),
        key.derive("tokena"),
    ]
    assert len(set(derived)) == len(derived)
    assert all(len(secret) == 32 for secret in derived)


def test_derivation_is_hkdf_sha256() -> None:
    """The derivation is RFC 5869 over length-prefixed parts, computed here from HMAC alone."""
    import hashlib
    import hmac

    parts = ("hashcomb 1", "token", "f" * 64, "3", "cohort", "7")
    info = b"".join(len(part).to_bytes(4, "big") + part.encode() for part in parts)
    extracted = hmac.new(bytes(32), SECRET, hashlib.sha256).digest()
    expected = hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()
    assert Key(SECRET).derive("token", fingerprint="f" * 64, feature=3, dataset="cohort", round=7) == expected


def test_nothing_shows_the_key(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    """No repr, text or log of a Key, a codec or a Spec holds key material."""
    caplog.set_level(logging.DEBUG)
    key = Key(SECRET)
    codec = HashComb(Spec(features=(Uniform(name="a", lo=0.0, hi=1.0),), depth=4), key)
    codec.encode([[0.5]])
    print(key, codec, codec.header, repr(codec.spec), vars(codec.header) if hasattr(codec.header, "__dict__") else "")
    shown = capsys.readouterr().out + caplog.text + codec.header.to_json() + codec.spec.to_toml()
    for piece in (SECRET.hex()[:12], repr(SECRET)[2:20], key.derive("token").hex()[:12]):
        assert piece not in shown


def test_keystream_is_addressed_by_word() -> None:
    """Any cut of the stream gives the same words as the whole, at even and odd places."""
    stream = Keystream(SECRET)
    whole = stream.words(0, 70_001)  # longer than what the cipher is given at a time
    for start, count in ((0, 1), (1, 1), (1, 2), (7, 30), (50, 51), (100, 1), (13, 0), (1, 70_000)):
        assert stream.words(start, count).tolist() == whole[start : start + count].tolist()
    secret = Cipher(AES(SECRET), CTR(bytes(16))).encryptor()
    assert whole.astype("<u8").tobytes() == secret.update(bytes(8 * 70_001))


def test_keystreams_without_a_secret_differ() -> None:
    """Each stream that is given no secret draws its own."""
    assert Keystream().words(0, 4).tolist() != Keystream().words(0, 4).tolist()
