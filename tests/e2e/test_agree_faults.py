"""Owners as processes over TLS, one of which fails the others: each ends in time, names it, and leaves no file."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from hashcomb.mpc import STEPS, Policy, free_ports, make_certificates
from hashcomb.mpc.network.messages import VERSION

pytestmark = pytest.mark.e2e
NAMES = ("alice", "bob", "carol")
FAULTY = Path(__file__).with_name("faulty_owner.py")
OUTPUTS = (".toml", ".key", ".transcript.json", ".share.json")
# Every step of an agreement takes place.
POLICY: dict[str, Any] = {
    "channels": ["none"],
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
        document = {"policy": POLICY, "timeouts": {"connect_s": 30, "deadline_s": 30}, "peer": peers}
        (self.folder / file).write_text(tomli_w.dumps(document | changes))

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command."""
        return self._start("-m", "hashcomb.cli.main", *arguments)

    def own(self, name: str, *more: str, party: str = "party.toml") -> subprocess.Popen[str]:
        """Start the command of an owner."""
        mine = ("--me", name, "--tls-key", f"{name}-tls.key", "--data", f"{name}.csv", "-o", f"{name}.toml")
        return self.command("agree", party, *mine, *more)

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


def _columns(rng: np.random.Generator) -> tuple[list[Any], ...]:
    return rng.normal(size=40).tolist(), rng.integers(18, 90, 40).tolist(), rng.choice(["red", "green"], 40).tolist()


@pytest.fixture
def owners(tmp_path: Path) -> Iterator[Owners]:
    """Three owners."""
    with contextlib.closing(Owners(tmp_path)) as three:
        yield three


def results(children: list[subprocess.Popen[str]], within_s: float) -> list[tuple[int, str, str]]:
    """Wait for commands; return status, stdout and stderr of each. They must end in time."""
    begun, ended = time.monotonic(), []
    for child in children:
        out, err = child.communicate(timeout=max(1.0, within_s - (time.monotonic() - begun)))
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
    ((status, _, err),) = results([child], 20)
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
    before = owners.files()
    if step == "connect":
        # The others wait for it as long as for anybody who has not come yet.
        owners.party(timeouts={"connect_s": 4, "deadline_s": 30})
        assert_killed(owners.faulty("kill", step, "carol"))
    children = [owners.own(name) for name in NAMES[:2]]
    if step != "connect":
        assert_killed(owners.faulty("kill", step, "carol"))
    assert_named(results(children, 20), "carol", *STEPS[max(0, STEPS.index(step) - 1) :][:2])
    assert owners.files() == before
    if step in ("nonces", "edges", "confirm"):
        assert [status for status, *_ in results([owners.own(name) for name in NAMES], 30)] == [0, 0, 0]


# ---------------------------------------------------------------------- the last messages
@pytest.mark.parametrize("fault", ["before-2", "before-3"], ids=["before it signs", "before it says that all signed"])
def test_nobody_writes_before_all_have_signed(owners: Owners, fault: str) -> None:
    """An owner that dies inside the last step, its signature not sent or that of the others not acknowledged, leaves
    the others without a file, though they hold the Key already and may hold all signatures."""
    before = owners.files()
    children = [owners.own(name) for name in NAMES[:2]]
    assert_killed(owners.faulty(fault, "confirm", "carol"))
    assert_named(results(children, 20), "carol", "confirm")
    assert owners.files() == before


def test_an_owner_that_dies_after_its_last_message(owners: Owners, hashcomb: Callable[..., Any]) -> None:
    """Once it has acknowledged all signatures, another owner either ends as if nothing had happened, with four files
    under everybody's signature, or fails as before, with none: whichever of the dead owner's last message and the
    end of its connection finds it done. Who was told first cannot be known: no protocol decides that for all."""
    before = owners.files()
    children = [owners.own(name) for name in NAMES[:2]]
    assert_killed(owners.faulty("after-3", "confirm", "carol"))
    for name, (status, out, err) in zip(NAMES, results(children, 20), strict=False):
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
    owners.party(policy=SHORT, timeouts={"connect_s": 30, "deadline_s": 4})
    before = owners.files()
    children = [owners.own(name) for name in NAMES[:2]]
    sleeper = owners.faulty("stop", step, "carol")
    ended = results(children, 25)
    assert_named(ended, "carol", step)
    assert all("did not answer before the deadline of 4 s" in err for *_, err in ended)
    sleeper.send_signal(signal.SIGCONT)
    ((status, _, err),) = results([sleeper], 20)
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
    assert [status for status, *_ in results(children, 30)] == [0, 0, 0]


def test_an_owner_that_comes_too_late(owners: Owners) -> None:
    """After the time to connect, the others name the absent owner, and when it comes it names them."""
    owners.party(timeouts={"connect_s": 3, "deadline_s": 30})
    before = owners.files()
    assert_named(results([owners.own(name) for name in NAMES[:2]], 20), "carol", "connect")
    late = results([owners.own("carol")], 20)
    assert_named(late, "alice", "connect")
    assert "did not connect within 3 s (absent: 'alice', 'bob')" in late[0][2]
    assert owners.files() == before


def test_another_version_of_the_protocol(owners: Owners) -> None:
    """Everybody ends before anything is sent, and is told both versions and who has the other one."""
    before = owners.files()
    children = [owners.own(name) for name in NAMES[:2]]
    other = owners.faulty("version-99", "", "carol")
    ended = results(children, 20)
    assert_named(ended, "carol", "connect")
    assert all(f"speaks version 99 of the protocol, here it is {VERSION}" in err for *_, err in ended)
    ((status, _, err),) = results([other], 20)
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
    other, (status, out, err) = results(children, 20)
    assert (status, out) == (1, "")
    assert err.splitlines()[-1] == "error: stopped; nothing was written"
    sleeper.send_signal(signal.SIGCONT)
    assert_named([other, *results([sleeper], 20)], "carol", "edges")
    assert owners.files() == before


def test_ctrl_c_while_nobody_has_come(owners: Owners) -> None:
    """An owner that waits for the others can be interrupted at once."""
    before = owners.files()
    child = owners.own("alice")
    wait_for(child, "connect")
    child.send_signal(signal.SIGINT)
    ((status, _, err),) = results([child], 10)
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
    assert [status for status, *_ in results([owners.own(name) for name in NAMES], 30)] == [0, 0, 0]
