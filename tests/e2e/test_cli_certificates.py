"""hashcomb agree certs: files and fingerprints, and how it refuses."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hashcomb.cli import certificates
from hashcomb.mpc.network.certificates import fingerprint
from hashcomb.terminal import run


class Done(NamedTuple):
    """What became of a command."""

    status: int
    out: str
    err: str


@pytest.fixture
def certs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Done]:
    """Return a function that runs ``hashcomb agree certs`` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: Any) -> Done:
        monkeypatch.setattr(sys, "argv", ["hashcomb agree certs", *map(str, arguments)])
        capsys.readouterr()
        status = 0
        try:
            run(certificates.certs)
        except SystemExit as end:
            status = int(end.code or 0)
        return Done(status, *capsys.readouterr())

    return command


def test_an_owner_makes_its_own(certs: Callable[..., Done], tmp_path: Path) -> None:
    """One name gives two files here, and the fingerprint to tell the others; there is nothing to warn of."""
    done = certs("alice")
    assert (done.status, done.err) == (0, "")
    assert fingerprint("alice.crt") in done.out
    assert {path.name for path in tmp_path.iterdir()} == {"alice.crt", "alice-tls.key"}


def test_a_set_for_tests(certs: Callable[..., Done], tmp_path: Path) -> None:
    """Several names give a set, and stderr says that whoever makes it can pose as each owner."""
    (tmp_path / "certs").mkdir()
    done = certs("alice", "bob", "-o", "certs", "--days", "7", "--json")
    assert "warning: whoever makes the keys of several owners" in done.err
    assert json.loads(done.out) == {
        name: {
            "cert": f"certs/{name}.crt",
            "key": f"certs/{name}-tls.key",
            "sha256": fingerprint(f"certs/{name}.crt"),
        }
        for name in ("alice", "bob")
    }


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(("alice", "alice"), 1), (("../alice",), 1), (("alice", "-o", "none"), 1), ((), 2), (("alice", "--days", "0"), 2)],
)
def test_refused(certs: Callable[..., Done], tmp_path: Path, arguments: tuple[str, ...], status: int) -> None:
    """Doubled names, names that are no file's, missing folders and impossible days write nothing."""
    done = certs(*arguments)
    assert (done.status, done.out) == (status, "")
    assert list(tmp_path.rglob("*")) == []


def test_nothing_is_overwritten(certs: Callable[..., Done]) -> None:
    """A second run leaves the first one's files as they were."""
    certs("alice")
    before = Path("alice-tls.key").read_bytes(), Path("alice.crt").read_bytes()
    done = certs("bob", "alice")
    assert (done.status, done.out) == (1, "")
    assert (Path("alice-tls.key").read_bytes(), Path("alice.crt").read_bytes()) == before
    assert not Path("bob.crt").exists()
