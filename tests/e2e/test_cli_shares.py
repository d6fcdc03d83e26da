"""hashcomb share: split, inspect, restore, and every way in which they refuse."""

import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hashcomb import Key, Spec, Uniform
from hashcomb.cli import shares
from hashcomb.files import read_spec, write_spec
from hashcomb.mpc.escrow.shamir_shares import Share
from hashcomb.terminal import run

SPEC = Spec(features=(Uniform(name="age", lo=0.0, hi=120.0),), depth=4)
KEY = Key(bytes(range(32)))
OUT = ("-o", "back.toml", "--key-out", "back.key")
HOLDERS = ("--holder", "alice", "--holder", "bob", "--holder", "carol", "--quorum", "2")


class Done(NamedTuple):
    """What became of a command."""

    status: int
    out: str
    err: str


@pytest.fixture
def share(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Done]:
    """Return a function that runs ``hashcomb share`` in a folder with spec.toml, owners.key and an empty out."""
    monkeypatch.chdir(tmp_path)
    write_spec(SPEC, "spec.toml")
    KEY.save("owners.key")
    (tmp_path / "out").mkdir()

    def command(*arguments: Any) -> Done:
        monkeypatch.setattr(sys, "argv", ["hashcomb share", *map(str, arguments)])
        capsys.readouterr()
        status = 0
        try:
            run(shares.share)
        except SystemExit as end:
            status = int(end.code or 0)
        return Done(status, *capsys.readouterr())

    return command


@pytest.fixture
def split(share: Callable[..., Done]) -> Callable[..., Done]:
    """Split between alice, bob and carol, and return the runner."""
    assert share("split", "spec.toml", "owners.key", *HOLDERS, "-o", "out").status == 0
    return share


def test_split_and_restore(share: Callable[..., Done], tmp_path: Path) -> None:
    """Files go to the folder with mode 0600, any two restore Spec and Key, and facts are on stdout."""
    done = share("split", "spec.toml", "owners.key", *HOLDERS, "-o", "out", "--json")
    facts = json.loads(done.out)
    assert (facts["quorum"], facts["holders"], facts["key_id"]) == (2, ["alice", "bob", "carol"], KEY.id)
    assert facts["files"] == [f"out/{name}.share.json" for name in ("alice", "bob", "carol")]
    assert "warning:" in done.err
    assert all(stat.S_IMODE(Path(path).stat().st_mode) == 0o600 for path in facts["files"])
    done = share("restore", *facts["files"][1:], *OUT, "--json")
    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out)["fingerprint"] == SPEC.fingerprint
    assert (read_spec("back.toml"), Key.load("back.key")) == (SPEC, KEY)
    assert stat.S_IMODE((tmp_path / "back.key").stat().st_mode) == 0o600


def test_inspect_shows_public_facts_alone(split: Callable[..., Done]) -> None:
    """Whose share, of which sharing, how many restore; never the value."""
    made = Share.load("out/bob.share.json")
    plain, facts = split("inspect", "out/bob.share.json").out, split("inspect", "out/bob.share.json", "--json").out
    assert f"{made.value:x}"[:20] not in plain + facts
    assert json.loads(facts) == {
        "holder": "bob",
        "fingerprint": SPEC.fingerprint,
        "set_id": made.set_id,
        "origin": made.set_id,
        "quorum": 2,
        "holders": ["alice", "bob", "carol"],
        "key_id": KEY.id,
    }
    assert "holders      alice, bob, carol\n" in plain


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["alice"], "1 of 2 shares"),
        (["alice", "alice"], "'alice' is there twice"),
        (["alice", "../other/bob"], "'bob' is of another sharing"),
        (["alice", "edited"], "edited.share.json"),
        (["alice", "open"], "chmod 600"),
        (["alice", "none"], "none.share.json"),
    ],
)
def test_restore_refuses(split: Callable[..., Done], tmp_path: Path, names: list[str], said: str) -> None:
    """Too few, doubled, mixed, edited, readable and missing shares write nothing, and the error names the one."""
    (tmp_path / "other").mkdir()
    split("split", "spec.toml", "owners.key", *HOLDERS, "-o", "other")
    text = (tmp_path / "out" / "carol.share.json").read_text()
    (tmp_path / "out" / "edited.share.json").write_text(text.replace('"quorum": 2', '"quorum": 3'))
    (tmp_path / "out" / "edited.share.json").chmod(0o600)
    (tmp_path / "out" / "open.share.json").write_text(text)
    (tmp_path / "out" / "open.share.json").chmod(0o644)
    done = split("restore", *(f"out/{name}.share.json" for name in names), *OUT)
    assert (done.status, done.out) == (1, "")
    assert said in done.err
    assert not list(tmp_path.glob("back*"))


@pytest.mark.parametrize(
    "options",
    [
        ("-o", "back.toml", "--key-out", "owners.key"),
        ("-o", "out/alice.share.json", "--key-out", "back.key"),
        ("-o", "same", "--key-out", "same"),
        ("-o", "none/back.toml", "--key-out", "back.key"),
        ("-o", "back.toml", "--key-out", "none/back.key"),
        ("-o", "owners.key", "--key-out", "back.key"),
    ],
)
def test_restore_overwrites_no_secret(split: Callable[..., Done], tmp_path: Path, options: tuple[str, ...]) -> None:
    """A Key or a share in the way stays as it is, and what cannot be written is said before anything is."""
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert split("restore", "out/alice.share.json", "out/bob.share.json", *options).status == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_split_writes_all_or_none(split: Callable[..., Done], tmp_path: Path) -> None:
    """Where one share is there already, no other is written, and it stays as it is."""
    before = (tmp_path / "out" / "carol.share.json").read_bytes()
    for name in ("alice", "bob"):
        (tmp_path / "out" / f"{name}.share.json").unlink()
    done = split("split", "spec.toml", "owners.key", *HOLDERS, "-o", "out")
    assert (done.status, done.out) == (1, "")
    assert "carol.share.json" in done.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["carol.share.json"]
    assert (tmp_path / "out" / "carol.share.json").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (("--holder", "alice", "--quorum", "2"), 1),
        (("--holder", "alice", "--holder", "bob", "--quorum", "3"), 1),
        (("--holder", "alice", "--holder", "alice", "--quorum", "2"), 1),
        (("--holder", "alice", "--holder", "../bob", "--quorum", "2"), 1),
        (("--holder", "alice", "--holder", "bob", "--quorum", "1"), 2),
        (("--quorum", "2"), 2),
    ],
)
def test_split_refuses(share: Callable[..., Done], tmp_path: Path, options: tuple[str, ...], status: int) -> None:
    """Impossible quorums and names end with an error and no file."""
    assert share("split", "spec.toml", "owners.key", *options, "-o", "out").status == status
    assert not list(tmp_path.rglob("*.share.json"))
