"""Who may sit at the table, and what party.toml may hold."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hashcomb.errors import HashcombError, ProtocolError, SpecError, TooFewParties
from hashcomb.mpc import Party, Peer, Policy, free_ports, load_party
from hashcomb.mpc.network.session import public_part


def peers(n: int, **first: Any) -> tuple[Peer, ...]:
    """Return owners on loopback, the first with some fields changed."""
    rows: list[dict[str, Any]] = [{"name": f"owner-{i}", "host": "127.0.0.1", "port": 9000 + i} for i in range(n)]
    rows[0] |= first
    return tuple(Peer(**row) for row in rows)


@pytest.mark.parametrize(("n", "threshold"), [(3, 1), (4, 1), (5, 2), (10, 4)])
def test_threshold_is_the_largest_minority(n: int, threshold: int) -> None:
    """As many may collude as are fewer than half."""
    assert Party(me="owner-0", peers=peers(n)).threshold == threshold


@pytest.mark.parametrize("n", [0, 1])
def test_one_owner_alone_has_nothing_to_agree_on(n: int) -> None:
    """There are at least two owners; helpers do not count."""
    helpers = tuple(replace(peer, role="helper") for peer in peers(3)[n:])
    for listed in (peers(3)[:n], (*peers(3)[:n], *helpers)):
        with pytest.raises(TooFewParties, match=f"{n} owners with data have nothing to agree on"):
            Party(me="owner-0", peers=listed)


def test_two_owners_without_a_helper_are_refused() -> None:
    """With two participants every share is the secret itself; the error says so, and what to do."""
    with pytest.raises(TooFewParties) as caught:
        Party(me="owner-0", peers=peers(2))
    assert "two participants cannot hide anything from each other" in caught.value.problem
    assert "every share is the secret itself" in caught.value.problem
    assert "third owner" in caught.value.hint
    assert "role = 'helper'" in caught.value.hint


def test_two_owners_and_a_helper_may_sit_down() -> None:
    """A participant without data makes three, of whom none may collude."""
    first, second, third = peers(3)
    party = Party(me="owner-2", peers=(first, second, replace(third, role="helper")))
    assert (party.owners, party.threshold) == ((0, 1), 1)


@pytest.mark.parametrize(
    "first",
    [
        {"name": "owner-1"},
        {"name": ""},
        {"name": "a\x1b[2J"},
        {"port": 9001},
        {"port": 0},
        {"port": 65536},
        {"host": "hospital.example"},
        {"host": "10.0.0.1"},
    ],
)
def test_clashes_and_open_networks_are_refused(first: dict[str, Any]) -> None:
    """Names and places are unique, and shares do not cross a network in the clear."""
    with pytest.raises(ProtocolError):
        Party(me="owner-2", peers=peers(3, **first))


def test_loopback_has_several_names() -> None:
    """IPv4, IPv6 and localhost are loopback, where TLS is not needed."""
    for host in ("127.0.0.1", "127.5.5.5", "::1", "localhost"):
        assert not Party(me="owner-1", peers=peers(3, host=host)).secure


def test_a_stranger_and_bad_timeouts() -> None:
    """An owner is one of the peers, and waits for a positive time."""
    with pytest.raises(ProtocolError, match="not among"):
        Party(me="mallory", peers=peers(3))
    with pytest.raises(ProtocolError, match="positive"):
        Party(me="owner-0", peers=peers(3), deadline_s=0.0)


FILE = """
[policy]
label = "study 7"
edges = "uniform"
[timeouts]
connect_s = 5
[[peer]]
name = "a"
host = "127.0.0.1"
port = 9001
[[peer]]
name = "b"
host = "127.0.0.1"
port = 9002
[[peer]]
name = "c"
host = "::1"
port = 9003
[me]
name = "b"
data = "rows.csv"
drop = ["label"]
depth = 3
"""


def load(tmp_path: Path, text: str, **mine: Any) -> Any:
    """Write party.toml and load it."""
    path = tmp_path / "party.toml"
    path.write_text(text)
    return load_party(path, **mine)


def test_party_toml(tmp_path: Path) -> None:
    """Peers, policy, timeouts and this owner's own lines are read; paths are relative to the file."""
    party, policy, me = load(tmp_path, FILE)
    assert (party.me, party.index, party.connect_timeout_s, party.deadline_s) == ("b", 1, 5.0, 300.0)
    assert policy == Policy(label="study 7", edges="uniform")
    assert (me.data, me.drop, me.depth) == (str(tmp_path / "rows.csv"), ("label",), 3)


def test_the_command_line_has_the_last_word(tmp_path: Path) -> None:
    """What is passed takes the place of what the file says."""
    party, _, me = load(tmp_path, FILE, name="c", data="/elsewhere/rows.csv", depth=None)
    assert (party.me, me.data, me.depth) == ("c", "/elsewhere/rows.csv", 3)


def test_the_public_part_is_what_others_see(tmp_path: Path) -> None:
    """An owner's own lines change nothing that the owners compare; policy and peers do."""
    mine = load(tmp_path, FILE)
    other = load(tmp_path, FILE.replace('name = "b"\ndata', 'name = "c"\ndata').replace("depth = 3", "depth = 5"))
    assert public_part(*mine[:2]) == public_part(*other[:2])
    for changed in (("study 7", "study 8"), ('name = "a"', 'name = "z"')):
        assert public_part(*load(tmp_path, FILE.replace(*changed))[:2]) != public_part(*mine[:2])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[me]\n", "[mine]\n"),
        ("connect_s", "connect_ms"),
        ('edges = "uniform"', 'edges = "log"'),
        ('edges = "uniform"', "depth_max = 99"),
        ('edges = "uniform"', "margin = -1"),
        ("port = 9001", 'port = "9001"'),
        (
            "[[peer]]",
            "[[peer",
        ),
        ('name = "b"\ndata', "data"),
        ('host = "::1"', 'host = "::1"\npickle = true'),
    ],
)
def test_bad_party_toml(tmp_path: Path, old: str, new: str) -> None:
    """Unknown fields, wrong types and impossible values are errors of ours."""
    assert old in FILE
    with pytest.raises(HashcombError):
        load(tmp_path, FILE.replace(old, new, 1))


def test_missing_party_toml(tmp_path: Path) -> None:
    """A file that is not there is a SpecError."""
    with pytest.raises(SpecError, match="cannot be read"):
        load_party(tmp_path / "none.toml")


def test_free_ports_are_free_and_low() -> None:
    """Ports are distinct and below those of outgoing connections."""
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert max(ports) < 32768
