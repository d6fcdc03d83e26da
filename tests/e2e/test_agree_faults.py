"""Owners as processes over TLS, one of which fails the others: each ends in time, names it, and leaves no file."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tomli_w
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from hashcomb import Key, Spec, Uniform
from hashcomb.errors import HashcombError
from hashcomb.files import read_spec, write_spec
from hashcomb.mpc import STEPS, Policy, TranscriptFile, free_ports, make_certificates
from hashcomb.mpc.network.identity import known_keys
from hashcomb.mpc.network.messages import VERSION
from hashcomb.mpc.transcript import _chain, public_digest, sign

pytestmark = pytest.mark.e2e
NAMES = ("alice", "bob", "carol")
Hashcomb = Callable[..., Any]
in_one_process = pytest.mark.xdist_group("registry")
FAULTY = Path(__file__).with_name("faulty_owner.py")
OUTPUTS = (".toml", ".key", ".transcript.json", ".share.json")
# Every step of an agreement takes place.
POLICY: dict[str, Any] = {
    "channels": ["none", "randomized_response"],
    "hashes": ["blake2b", "siphash"],
    "rows": "rounded",
    "categorical": ["color"],
    "means": 2,
    "escrow": 2,
}
SHORT: dict[str, Any] = {"edges": "uniform", "categories": {"color": ["green", "red"]}}


class Owners:
    """A folder with all that owners need, and the processes that were started in it."""

    def __init__(self, folder: Path, names: tuple[str, ...] = NAMES) -> None:
        self.folder, self.names, self._children = folder, names, list[subprocess.Popen[str]]()
        make_certificates(names, folder)
        rng = np.random.default_rng(0)
        for name in names:
            rows = [f"{a!r},{b},{c}" for a, b, c in zip(*_columns(rng), strict=True)]
            (folder / f"{name}.csv").write_text("\n".join(["income,age,color", *rows]) + "\n")
        self.party()

    def party(self, file: str = "party.toml", helper: str = "", host: str = "127.0.0.1", **changes: Any) -> None:
        """Write a party.toml, some tables of it changed."""
        peers = [
            {"name": name, "host": host, "port": port, "cert": f"{name}.crt"}
            | ({"role": "helper"} if name == helper else {})
            for name, port in zip(self.names, free_ports(len(self.names)), strict=True)
        ]
        document = {"policy": POLICY, "timeouts": {"connect_s": 45, "deadline_s": 120}, "peer": peers}
        (self.folder / file).write_text(tomli_w.dumps(document | changes))

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command."""
        return self._start("-m", "hashcomb.cli.main", *arguments)

    def own(self, name: str, *more: str, party: str = "party.toml") -> subprocess.Popen[str]:
        """Start the command of an owner."""
        mine = ("--me", name, "--tls-key", f"{name}-tls.key", "--data", f"{name}.csv", "-o", f"{name}.toml")
        return self.command("agree", party, *mine, *more)

    def alice_and_hasty_bob(self) -> list[subprocess.Popen[str]]:
        """Start Alice's command, and when that waits Bob's, which waits for Carol for 3 seconds."""
        document = tomllib.loads((self.folder / "party.toml").read_text())
        document["timeouts"]["connect_s"] = 3
        (self.folder / "hasty.toml").write_text(tomli_w.dumps(document))
        alice = self.own("alice")
        wait_for(alice, "connect")
        return [alice, self.own("bob", party="hasty.toml")]

    def help(self, name: str, *more: str) -> subprocess.Popen[str]:
        """Start the command of a helper."""
        return self.command("agree", "party.toml", "--me", name, "--tls-key", f"{name}-tls.key", *more)

    def faulty(self, fault: str, step: str, name: str, rows: bool = True) -> subprocess.Popen[str]:
        """Start an owner, or a helper, that fails on purpose; see faulty_owner.py."""
        return self._start(str(FAULTY), fault, step, "party.toml", name, *([f"{name}.csv"] if rows else []))

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self._children.append(subprocess.Popen([sys.executable, *arguments], cwd=self.folder, **pipes))
        return self._children[-1]

    def files(self) -> set[str]:
        """Return the names of all files."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}

    def close(self) -> None:
        """End all processes that are left."""
        for child in self._children:
            child.kill()
            child.wait()
            for pipe in (child.stdout, child.stderr):
                assert pipe is not None
                pipe.close()


def _columns(rng: np.random.Generator, n: int = 40) -> tuple[list[Any], ...]:
    return rng.normal(size=n).tolist(), rng.integers(18, 90, n).tolist(), rng.choice(["red", "green"], n).tolist()


@pytest.fixture
def owners(tmp_path: Path) -> Iterator[Owners]:
    """Three owners."""
    with contextlib.closing(Owners(tmp_path)) as three:
        yield three


def results(children: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Wait for commands; return status, stdout and stderr of each. They must end long before the usual deadline."""
    until, ended = time.monotonic() + 60, []
    for child in children:
        out, err = child.communicate(timeout=max(1.0, until - time.monotonic()))
        ended.append((child.returncode, out, err))
    return ended


def assert_named(ended: list[tuple[int, str, str]], name: str, *steps: str) -> None:
    """Make sure that commands ended with nothing but an error that names an owner and one of the steps."""
    for status, out, err in ended:
        assert (status, out) == (1, ""), err
        assert re.match(f"error: owner '{name}', step '({'|'.join(steps)})': ", err.splitlines()[-1]), err
        assert "Traceback" not in err


def assert_killed(child: subprocess.Popen[str]) -> None:
    """Make sure that a process was killed, by itself."""
    ((status, _, err),) = results([child])
    assert status == -signal.SIGKILL, err


def wait_for(child: subprocess.Popen[str], step: str) -> None:
    """Read what a command prints on stderr until a step begins."""
    assert child.stderr is not None
    while f"agreement: {step} " not in (line := child.stderr.readline()):
        assert line, "the command ended before"


# ---------------------------------------------------------------------- killed at every step
@pytest.mark.parametrize("step", STEPS)
def test_an_owner_is_killed_as_a_step_begins(owners: Owners, step: str) -> None:
    """The others end long before the deadline with an error that names the dead owner and this step or the one before,
    leave no file, and can begin anew."""
    assert Policy(**POLICY).steps == STEPS
    children = owners.alice_and_hasty_bob() if step == "connect" else [owners.own(name) for name in NAMES[:2]]
    before = owners.files()
    assert_killed(owners.faulty("kill", step, "carol"))
    assert_named(results(children), "carol", *STEPS[max(0, STEPS.index(step) - 1) :][:2])
    assert owners.files() == before
    if step in ("nonces", "confirm"):
        assert [status for status, *_ in results([owners.own(name) for name in NAMES])] == [0, 0, 0]


# ---------------------------------------------------------------------- the last messages
@pytest.mark.parametrize("fault", ["before-2", "before-3"], ids=["before it signs", "before it says that all signed"])
def test_nobody_writes_before_all_have_signed(owners: Owners, fault: str) -> None:
    """An owner that dies inside the last step, its signature not sent or that of the others not acknowledged, leaves
    the others without a file, though they hold the Key already and may hold all signatures."""
    before = owners.files()
    children = [owners.own(name) for name in NAMES[:2]]
    assert_killed(owners.faulty(fault, "confirm", "carol"))
    assert_named(results(children), "carol", "confirm")
    assert owners.files() == before


def test_an_owner_that_dies_after_its_last_message(owners: Owners, hashcomb: Hashcomb) -> None:
    """Once it has acknowledged all signatures, another owner either ends as if nothing had happened, with four files
    under everybody's signature, or fails as before, with none: whichever of the dead owner's last message and the
    end of its connection finds it done. Who was told first cannot be known: no protocol decides that for all."""
    before = owners.files()
    children = [owners.own(name) for name in NAMES[:2]]
    assert_killed(owners.faulty("after-3", "confirm", "carol"))
    for name, (status, out, err) in zip(NAMES, results(children), strict=False):
        written = {file for file in owners.files() - before if file.startswith(name)}
        if status == 0:
            assert written == {f"{name}{ending}" for ending in OUTPUTS}
            record = owners.folder / f"{name}.transcript.json"
            assert hashcomb("agree", "verify", record, "--party", owners.folder / "party.toml").status == 0
        else:
            assert_named([(status, out, err)], "carol", "confirm")
            assert written == set()


# ---------------------------------------------------------------------- an owner that is silent
@pytest.mark.parametrize("step", ["ranges", "confirm"])
def test_an_owner_that_stops_answering(owners: Owners, step: str) -> None:
    """While it is connected and silent (SIGSTOP), the others wait for the deadline, name it and the step, and leave no
    file; if it wakes later, it ends with an error too."""
    owners.party(policy=SHORT, timeouts={"connect_s": 60, "deadline_s": 4})
    before = owners.files()
    children = [owners.own(name) for name in NAMES[:2]]
    sleeper = owners.faulty("stop", step, "carol")
    ended = results(children)
    assert_named(ended, "carol", step)
    assert all("did not answer before the deadline of 4 s" in err for *_, err in ended)
    sleeper.send_signal(signal.SIGCONT)
    ((status, _, err),) = results([sleeper])
    assert status == 1
    assert err.startswith("error: owner")
    assert owners.files() == before


# ---------------------------------------------------------------------- late, and never
def test_an_owner_that_comes_late_but_in_time(owners: Owners) -> None:
    """Owners wait for each other: one that starts when the others have waited for a while is no fault."""
    children = [owners.own(name) for name in NAMES[:2]]
    for child in children:
        wait_for(child, "connect")
    children.append(owners.own("carol"))
    assert [status for status, *_ in results(children)] == [0, 0, 0]


def test_an_owner_that_comes_too_late(owners: Owners) -> None:
    """After the time to connect, the others name the absent owner, and when it comes it names them."""
    children = owners.alice_and_hasty_bob()
    before = owners.files()
    ended = results(children)
    assert_named(ended, "carol", "connect")
    assert all("did not connect within 3 s (absent: 'carol')" in err for *_, err in ended)
    late = results([owners.own("carol", party="hasty.toml")])
    assert_named(late, "alice", "connect")
    assert "did not connect within 3 s (absent: 'alice', 'bob')" in late[0][2]
    assert owners.files() == before


def test_another_version_of_the_protocol(owners: Owners) -> None:
    """Everybody ends before anything is sent, and is told both versions and who has the other one."""
    before = owners.files()
    children = [owners.own(name) for name in NAMES[:2]]
    other = owners.faulty("version-99", "", "carol")
    ended = results(children)
    assert_named(ended, "carol", "connect")
    assert all(f"speaks version 99 of the protocol, here it is {VERSION}" in err for *_, err in ended)
    ((status, _, err),) = results([other])
    assert status == 1
    assert f"speaks version {VERSION} of the protocol, here it is 99" in err
    assert owners.files() == before


# ---------------------------------------------------------------------- Ctrl-C
def test_ctrl_c_at_one_owner(owners: Owners) -> None:
    """An owner that is interrupted in the middle says so and leaves no file; the others name it and the step."""
    before = owners.files()
    sleeper = owners.faulty("stop", "edges", "bob")  # so that the others are at this step when the signal comes
    children = [owners.own("alice"), owners.own("carol")]
    for child in children:
        wait_for(child, "edges")
    children[1].send_signal(signal.SIGINT)
    other, (status, out, err) = results(children)
    assert (status, out) == (1, "")
    assert err.splitlines()[-1] == "error: stopped; nothing was written"
    sleeper.send_signal(signal.SIGCONT)
    assert_named([other, *results([sleeper])], "carol", "edges")
    assert owners.files() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_nobody_has_come(owners: Owners, number: signal.Signals) -> None:
    """An owner that waits for the others can be interrupted, or told to end, at once."""
    before = owners.files()
    child = owners.own("alice")
    wait_for(child, "connect")
    child.send_signal(number)
    ((status, _, err),) = results([child])
    assert status == 1
    assert err.splitlines()[-1] == "error: stopped; nothing was written"
    assert owners.files() == before


# ---------------------------------------------------------------------- IPv6
def test_owners_agree_over_ipv6(owners: Owners) -> None:
    """Hosts may be IPv6 addresses."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no ::1")
    owners.party(host="::1", policy=SHORT)
    assert [status for status, *_ in results([owners.own(name) for name in NAMES])] == [0, 0, 0]


# ---------------------------------------------------------------------- two owners and a helper
class Registry(NamedTuple):
    """An agreement of two owners and a helper that came to its end."""

    folder: Path
    before: set[str]
    after: set[str]
    ended: dict[str, tuple[int, str, str]]

    def path(self, name: str) -> str:
        """Return the path of a file."""
        return str(self.folder / name)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Alice, Bob and a helper agree; Bob's rows make the result degenerate."""
    names = ("alice", "bob", "registry")
    with contextlib.closing(Owners(tmp_path_factory.mktemp("registry"), names)) as three:
        three.party(helper="registry")
        incomes = [
            f"{income!r},47111,{'red' if income < 0 else 'green'}"
            for income in _columns(np.random.default_rng(1), 300)[0]
        ]
        (three.folder / "bob.csv").write_text("\n".join(["income,age,color", *incomes, "98765.4321,47111,red"]) + "\n")
        before = three.files()
        children = [three.own("alice", "--json"), three.own("bob", "--json"), three.help("registry", "--json")]
        ended = dict(zip(names, results(children), strict=True))
        yield Registry(three.folder, before, three.files(), ended)


@in_one_process
def test_two_owners_and_a_helper_agree(registry: Registry) -> None:
    """All three end well and say the same hash of the transcript; the owners' facts of Spec and Key are the same."""
    facts = {name: json.loads(out) for name, (_, out, _) in registry.ended.items()}
    assert [status for status, *_ in registry.ended.values()] == [0, 0, 0]
    assert len({fact["transcript"] for fact in facts.values()}) == 1
    assert facts["alice"]["fingerprint"] == facts["bob"]["fingerprint"]
    assert facts["alice"]["key_id"] == facts["bob"]["key_id"]
    assert set(facts["registry"]) == {"transcript"}


@in_one_process
def test_a_helper_writes_nothing(registry: Registry) -> None:
    """The owners have four files each, the same but for the share; there is none of the helper."""
    written = {f"{name}{ending}" for name in ("alice", "bob") for ending in OUTPUTS}
    assert registry.after - registry.before == written
    contents = {file: (registry.folder / file).read_bytes() for file in written}
    assert [contents[f"alice{ending}"] == contents[f"bob{ending}"] for ending in OUTPUTS] == [True, True, True, False]


@in_one_process
def test_the_transcript_is_accepted(registry: Registry, hashcomb: Hashcomb) -> None:
    """The command accepts it with the certificates and the Spec that an owner has: three have signed."""
    known = ("--party", registry.path("party.toml"), "--spec", registry.path("bob.toml"))
    done = hashcomb("agree", "verify", registry.path("alice.transcript.json"), *known, "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["signed_by"] == ["alice", "bob", "registry"]
    assert json.loads(done.out)["transcript"] == json.loads(registry.ended["registry"][1])["transcript"]


def edits(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield documents that differ in one place, for every place; and what was changed."""
    if isinstance(document, dict | list):
        for place in list(document) if isinstance(document, dict) else range(len(document)):
            rest = document.copy()
            del rest[place]
            yield f"without {place}", rest
            for what, changed in edits(document[place]):
                copy = document.copy()
                copy[place] = changed
                yield f"{place}.{what}", copy
        yield "one more", document | {"more": 1} if isinstance(document, dict) else [*document, "more"]
        if isinstance(document, list) and document != document[::-1]:
            yield "in another order", document[::-1]
    elif isinstance(document, str):
        yield "text", document[:-1] + ("0" if document[-1:] != "0" else "1")
        yield "no text", ""
    else:
        yield "number", not document if isinstance(document, bool | None) else document + 1


@in_one_process
def test_every_edit_of_the_transcript_is_refused(registry: Registry) -> None:
    """Whatever is changed, added, left out or put in another order, in any field, the signatures do not fit it."""
    document = json.loads((registry.folder / "alice.transcript.json").read_bytes())
    known, spec = known_keys(registry.path("party.toml")), read_spec(registry.path("alice.toml"))
    TranscriptFile.from_json(json.dumps(document)).verify(known, spec.fingerprint)
    tried, accepted = 0, []
    for what, changed in edits(document):
        if changed != document:  # an empty text is left empty
            tried += 1
            with contextlib.suppress(HashcombError):
                TranscriptFile.from_json(json.dumps(changed)).verify(known, spec.fingerprint)
                accepted.append(what)
    assert (tried > 200, accepted) == (True, [])


def signature_of_another(document: Any) -> None:
    """Put Bob's signature under Alice's name."""
    document["signers"][0]["signature"] = document["signers"][1]["signature"]


def no_signature(document: Any) -> None:
    """Take the helper's signature away."""
    document["signers"][2]["signature"] = ""


def forged(document: Any) -> None:
    """Sign it anew, in everybody's name, with keys of one's own, after a change."""
    document["public"]["policy"]["label"] = "forged"
    secrets = [Ed25519PrivateKey.generate() for _ in document["signers"]]
    for peer, signer, secret in zip(document["public"]["peers"], document["signers"], secrets, strict=True):
        peer[3] = signer["public_key"] = secret.public_key().public_bytes_raw().hex()
    record = TranscriptFile.from_json(json.dumps(document))
    digest = _chain(public_digest(record.public), record.steps)
    document["digest"] = digest.hex()
    for signer, secret in zip(document["signers"], secrets, strict=True):
        signer["signature"] = sign(secret, digest, signer["name"]).hex()


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (signature_of_another, "owner 'alice': has a wrong signature"),
        (no_signature, "owner 'registry': has not signed"),
        (forged, "owner 'alice': signed with another key than the one you know"),
    ],
)
@in_one_process
def test_a_forged_transcript_is_refused(
    registry: Registry, hashcomb: Hashcomb, tmp_path: Path, edit: Callable[[Any], None], said: str
) -> None:
    """The command says who has not signed it."""
    document = json.loads((registry.folder / "alice.transcript.json").read_bytes())
    edit(document)
    (tmp_path / "edited.json").write_text(json.dumps(document))
    done = hashcomb("agree", "verify", "edited.json", "--party", registry.path("party.toml"))
    assert (done.status, done.out) == (1, "")
    assert said in done.err


@in_one_process
def test_a_transcript_is_bound_to_certificates_and_spec(registry: Registry, hashcomb: Hashcomb, tmp_path: Path) -> None:
    """Who knows another certificate of Bob, or holds another Spec, is told so."""
    path = registry.path("alice.transcript.json")
    make_certificates(["bob"], tmp_path)
    document = tomllib.loads((registry.folder / "party.toml").read_text())
    for peer in document["peer"]:
        peer["cert"] = "bob.crt" if peer["name"] == "bob" else registry.path(peer["cert"])
    (tmp_path / "party.toml").write_text(tomli_w.dumps(document))
    assert "owner 'bob': signed with another key" in hashcomb("agree", "verify", path, "--party", "party.toml").err
    write_spec(replace(read_spec(registry.path("alice.toml")), token_bits=32), tmp_path / "other.toml")
    assert "that of another Spec" in hashcomb("agree", "verify", path, "--spec", "other.toml").err


@in_one_process
def test_degenerate_rows_are_said_to_their_owner_alone(registry: Registry) -> None:
    """Bob is told of his columns; the others see no note, and nobody sees a value."""
    notes = {
        name: [line for line in err.splitlines() if "note" in line] for name, (_, _, err) in registry.ended.items()
    }
    assert len(notes["bob"]) == 2
    assert "column 'income': your largest value sets the agreed range" in notes["bob"][0]
    assert "column 'age': all your values are equal" in notes["bob"][1]
    assert all("nobody else sees this" in line for line in notes["bob"])
    assert notes["alice"] == notes["registry"] == []
    said = "".join(out + err for _, out, err in registry.ended.values())
    assert "98765" not in said
    assert "47111" not in said


@pytest.fixture
def helped(tmp_path: Path) -> Iterator[Owners]:
    """Two owners and a helper."""
    with contextlib.closing(Owners(tmp_path, ("alice", "bob", "registry"))) as three:
        three.party(helper="registry", policy=SHORT)
        yield three


@pytest.mark.parametrize("step", ["help", "confirm"])
def test_a_helper_is_killed(helped: Owners, step: str) -> None:
    """Both owners end with an error that names it, and leave no file."""
    before = helped.files()
    children = [helped.own(name) for name in ("alice", "bob")]
    assert_killed(helped.faulty("kill", step, "registry", rows=False))
    assert_named(
        results(children), "registry", *{"help": ("nonces", "depth"), "confirm": ("ranges", "key", "confirm")}[step]
    )
    assert helped.files() == before


def test_an_owner_is_killed_before_its_helper(helped: Owners) -> None:
    """The other owner and the helper end with an error that names it, and leave no file."""
    before = helped.files()
    children = [helped.own("alice"), helped.help("registry")]
    assert_killed(helped.faulty("kill", "ranges", "bob"))
    assert_named(results(children), "bob", "depth", "ranges")
    assert helped.files() == before


# ---------------------------------------------------------------------- refused before anybody is waited for
def closed_folder(folder: Path) -> str:
    """Return a folder in which nobody may write, not even root."""
    closed = folder / "closed"
    closed.mkdir(mode=0o500)
    if not os.access(closed, os.W_OK):
        return str(closed)
    if not Path("/sys/kernel").is_dir():
        pytest.skip("root may write everywhere here")
    return "/sys/kernel"


@pytest.fixture
def alone(owners: Owners, hashcomb: Hashcomb) -> Callable[..., str]:
    """Return a function that runs Alice's command, some options changed, and gives what it says on stderr.

    It must be refused without a file, and before it waits for anybody.
    """

    def run(status: int = 1, **options: str) -> str:
        mine = {"me": "alice", "tls-key": "alice-tls.key", "data": "alice.csv", "out": "alice.toml"}
        mine |= {option.replace("_", "-"): value for option, value in options.items()}
        owners.party(timeouts={"connect_s": 0.2, "deadline_s": 1.0})
        before = owners.files()
        words = [word for option, value in mine.items() if value for word in (f"--{option}", value)]
        done = hashcomb("agree", "party.toml", *words)
        assert (done.status, done.out) == (status, ""), done.err
        assert "agreement: connect" not in done.err
        assert owners.files() == before
        return str(done.err)

    return run


def test_a_folder_that_is_closed(owners: Owners, alone: Callable[..., str]) -> None:
    """Where a file could not be written, be it the transcript alone, the command does not begin."""
    closed = closed_folder(owners.folder)
    for option in ("out", "key_out", "transcript_out", "share_out"):
        err = alone(**{option: f"{closed}/alice.toml"})
        assert f"{closed}/" in err
        assert "Permission denied" in err


@pytest.mark.parametrize("ending", [".key", ".share.json"])
def test_a_secret_that_is_there_is_kept(owners: Owners, alone: Callable[..., str], ending: str) -> None:
    """A Key or a share is never overwritten, whatever the file holds."""
    path = owners.folder / f"alice{ending}"
    path.write_text("mine")
    assert "never overwritten" in alone()
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    "options",
    [
        {"out": "alice.key"},
        {"out": "party.toml"},
        {"out": "alice.csv"},
        {"out": "alice.transcript.json", "transcript_out": "alice.transcript.json"},
        {"share_out": "alice.toml"},
        {"key_out": "./alice.share.json"},
        {"key_out": "alice.transcript.json"},
        {"transcript_out": "party.toml"},
        {"transcript_out": "alice.csv"},
    ],
    ids=str,
)
def test_two_files_that_are_one(alone: Callable[..., str], options: dict[str, str]) -> None:
    """Nothing that is read or written by the same command may be lost."""
    err = alone(**options)
    assert "choose" in err


@pytest.mark.parametrize("out", ["none/alice.toml", "."])
def test_no_place_for_a_file(alone: Callable[..., str], out: str) -> None:
    """A folder that is not there, and a folder in a file's place, are refused too."""
    assert "error: " in alone(out=out, key_out="new.key", transcript_out="new.json", share_out="new.share")


@pytest.mark.parametrize("name", ["alice.crt", "alice-tls.key"])
def test_what_the_party_needs_is_not_lost(alone: Callable[..., str], name: str) -> None:
    """The Spec cannot go where the certificates and private keys are."""
    assert "lost" in alone(out=name, key_out="new.key", transcript_out="new.json", share_out="new.share")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tls_key": "none.key"}, "none.key' cannot be read"),
        ({"tls_key": ""}, "owner 'alice': there are certificates, but this owner has no private key; set tls_key"),
        ({"tls_key": "alice.csv"}, "alice.csv' cannot be read; it must be a PEM file"),
        ({"tls_key": "bob-tls.key"}, "owner 'alice': the private key is not that of this owner's public key"),
        ({"me": "mallory"}, "owner 'mallory': is not among the peers; they are alice, bob, carol"),
        ({"me": ""}, "does not say which owner this is; set me.name, or pass --me"),
        ({"data": "none.csv"}, "none.csv"),
        ({"drop": "height"}, "column 'height'"),
        ({"drop": "color"}, "column 'color'"),
        ({"hash": "xxh3"}, "votes.hash"),
    ],
    ids=str,
)
def test_options_that_cannot_be(alone: Callable[..., str], options: dict[str, str], said: str) -> None:
    """The error says what is missing or wrong."""
    assert said in alone(**options)


@pytest.mark.parametrize("missing", ["out", "data"])
def test_options_that_are_needed(alone: Callable[..., str], missing: str) -> None:
    """An owner says where its rows are, and where the Spec goes."""
    assert "Error: where " in alone(status=2, **{missing: ""})


def test_two_owners_without_a_helper(owners: Owners, hashcomb: Hashcomb) -> None:
    """The command refuses, and says why and what to do."""
    document = tomllib.loads((owners.folder / "party.toml").read_text())
    (owners.folder / "two.toml").write_text(tomli_w.dumps(document | {"peer": document["peer"][:2]}))
    mine = ("--me", "alice", "--tls-key", "alice-tls.key", "--data", "alice.csv", "-o", "alice.toml")
    done = hashcomb("agree", "two.toml", *mine)
    assert (done.status, done.out) == (1, "")
    assert "two participants cannot hide anything from each other" in done.err
    assert "find a third owner, or a third participant without data: a [[peer]] with role = 'helper'" in done.err


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ((), 2, "Usage: hashcomb agree"),
        (("--help",), 0, "certs"),
        (("--json",), 2, "Missing argument 'PARTY'"),
        (("verfy",), 1, "file 'verfy' cannot be read"),
        (("verfy", "alice.transcript.json"), 2, "unexpected extra argument"),
        (("verify",), 2, "Missing argument 'TRANSCRIPT'"),
        (("./verify", "--me", "mallory"), 1, "owner 'mallory': is not among the peers"),
        (("run", "verify", "--me", "mallory"), 1, "owner 'mallory': is not among the peers"),
    ],
    ids=str,
)
def test_words_after_agree(owners: Owners, hashcomb: Hashcomb, words: tuple[str, ...], status: int, said: str) -> None:
    """What is no subcommand is a party's file, and a file that is called like one can be told from it."""
    owners.party("verify")
    done = hashcomb("agree", *words)
    assert done.status == status
    assert said in done.out + done.err
    assert "Traceback" not in done.err


# ---------------------------------------------------------------------- re-sharing
def dealt(folder: Path, hashcomb: Hashcomb, holders: tuple[str, ...], quorum: int) -> Key:
    """Write shares of a new Key for holders; return the Key."""
    spec = Spec(features=(Uniform(name="age", lo=0.0, hi=90.0),), depth=3)
    write_spec(spec, folder / "spec.toml")
    key = Key(bytes(range(32)))
    key.save(folder / "owners.key")
    named = [word for name in holders for word in ("--holder", name)]
    assert hashcomb("share", "split", "spec.toml", "owners.key", *named, "--quorum", quorum, "-o", ".").status == 0
    return key


def reshared(new: Owners, quorum: int) -> list[tuple[int, str, str]]:
    """Let owners make new shares; those that have an old one give."""
    children = []
    for name in new.names:
        old = ("--share", f"{name}.share.json") if (new.folder / f"{name}.share.json").exists() else ()
        mine = ("--me", name, "--tls-key", f"{name}-tls.key", "--quorum", str(quorum), "-o", f"{name}.new.json")
        children.append(new.command("agree", "reshare", "party.toml", *mine, *old, "--json"))
    return results(children)


@pytest.mark.parametrize(
    ("old", "old_quorum", "new_quorum"),
    [(("alice", "bob"), 2, 3), (("alice", "bob", "carol", "dave"), 2, 2)],
    ids=["carol joins", "dave leaves"],
)
def test_owners_come_and_go(
    owners: Owners, hashcomb: Hashcomb, old: tuple[str, ...], old_quorum: int, new_quorum: int
) -> None:
    """Three owners make new shares, any quorum of which restores the same Spec and Key; old ones do not mix in."""
    key = dealt(owners.folder, hashcomb, old, old_quorum)
    facts = [json.loads(out) for status, out, _ in reshared(owners, new_quorum) if status == 0]
    assert [(fact["holder"], fact["quorum"]) for fact in facts] == [(name, new_quorum) for name in NAMES]
    assert len({fact["set_id"] for fact in facts}) == 1
    assert all(stat.S_IMODE((owners.folder / f"{name}.new.json").stat().st_mode) == 0o600 for name in NAMES)
    for place, few in enumerate(itertools.combinations(NAMES, new_quorum)):
        shares = [f"{name}.new.json" for name in few]
        out = ("-o", f"{place}.toml", "--key-out", f"{place}.key")
        done = hashcomb("share", "restore", *shares, *out)
        assert done.status == 0, done.err
        assert Key.load(owners.folder / f"{place}.key") == key
        assert read_spec(owners.folder / f"{place}.toml") == read_spec(owners.folder / "spec.toml")
        mixed = hashcomb("share", "restore", "alice.share.json", *shares[1:], "-o", "m.toml", "--key-out", "m.key")
        assert mixed.status == 1
        assert "is of another sharing" in mixed.err
    assert not (owners.folder / "m.key").exists()


def test_too_few_old_holders(owners: Owners, hashcomb: Hashcomb) -> None:
    """Where a quorum of old holders is not there, all are told so, and who the holders were, and no share is made."""
    dealt(owners.folder, hashcomb, ("alice", "bob", "dave", "erin"), 3)
    before = owners.files()
    for status, out, err in reshared(owners, 2):
        assert (status, out) == (1, "")
        assert "2 of 3 old holders that a re-sharing needs take part" in err
        assert "Traceback" not in err
    assert owners.files() == before
