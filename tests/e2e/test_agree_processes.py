"""`hashcomb agree` as three processes without TLS: the result, and rows that cannot take part."""

import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from hashcomb import Key, quantile_edges
from hashcomb.files import read_spec
from hashcomb.mpc import free_ports

pytestmark = pytest.mark.e2e
NAMES = ("alice", "bob", "carol")
Start = Callable[..., Any]


@pytest.fixture
def table(tmp_path: Path) -> np.ndarray:
    """Write party.toml and every owner's rows; return all rows."""
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.normal(size=(600, 30)), rng.integers(0, 2, 600)])
    for name, part in zip(NAMES, np.array_split(rows, 3), strict=True):
        lines = [",".join([*(f"f{j}" for j in range(30)), "label"])]
        lines += [",".join(map(repr, row.tolist())) for row in part]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    write_party(tmp_path)
    return rows[:, :30]


def write_party(folder: Path, name: str = "party.toml", **changes: Any) -> None:
    """Write a party.toml with some tables changed."""
    ports = free_ports(3)
    peers = [{"name": who, "host": "127.0.0.1", "port": port} for who, port in zip(NAMES, ports, strict=True)]
    document = {"policy": {"precision": "exact"}, "timeouts": {"connect_s": 8, "deadline_s": 30}, "peer": peers}
    (folder / name).write_text(tomli_w.dumps({**document, **changes}))


def start_owner(process: Start, who: str, *more: Any, party: str = "party.toml") -> Any:
    """Start one owner's command."""
    own = ("--me", who, "--data", f"{who}.csv", "--drop", "label", "-o", f"{who}.toml")
    return process("agree", party, *own, "--json", *more)


def results(children: list[Any], within_s: float) -> list[tuple[int, str, str]]:
    """Wait for commands, and return status, stdout and stderr of each; they must end in time."""
    begun = time.monotonic()
    ended = []
    for child in children:
        out, err = child.communicate(timeout=max(1.0, within_s - (time.monotonic() - begun)))
        ended.append((child.returncode, out, err))
    return ended


def nothing_written(folder: Path) -> bool:
    """Return whether no owner left a Spec, a Key or a temporary file."""
    return not [
        name for name in os.listdir(folder) if name.endswith((".key", ".tmp")) or name in {f"{n}.toml" for n in NAMES}
    ]


def test_three_processes_agree(process: Start, table: np.ndarray, tmp_path: Path) -> None:
    """Every owner writes the same Spec, that of the pooled rows, and the same Key with mode 0600."""
    ended = results([start_owner(process, who) for who in NAMES], 60)
    facts = [json.loads(out) for status, out, _ in ended if status == 0]
    assert len(facts) == 3
    assert len({fact["fingerprint"] for fact in facts}) == len({fact["transcript"] for fact in facts}) == 1
    specs = [read_spec(tmp_path / f"{who}.toml") for who in NAMES]
    assert specs[0] == specs[1] == specs[2]
    assert len({Key.load(tmp_path / f"{who}.key") for who in NAMES}) == 1
    assert stat.S_IMODE((tmp_path / "alice.key").stat().st_mode) == 0o600
    for feature, column in zip(specs[0].features, table.T, strict=True):
        assert list(getattr(feature, "edges", ())) == quantile_edges(column, 16).tolist()


def test_the_file_alone_is_enough(process: Start, table: np.ndarray, tmp_path: Path) -> None:
    """`hashcomb agree party.toml -o spec.toml` needs no more words where the file says who this is."""
    assert len(table) == 600
    shared = (tmp_path / "party.toml").read_text()
    children = []
    for who in NAMES:
        (tmp_path / f"party-{who}.toml").write_text(
            shared + f'\n[me]\nname = "{who}"\ndata = "{who}.csv"\ndrop = ["label"]\n'
        )
        children.append(process("agree", f"party-{who}.toml", "-o", f"{who}.toml"))
    assert [status for status, *_ in results(children, 60)] == [0, 0, 0]
    assert (tmp_path / "carol.key").exists()


def test_another_number_of_features(process: Start, table: np.ndarray, tmp_path: Path) -> None:
    """All end at once, and the others are told who has how many."""
    assert len(table) == 600
    children = [start_owner(process, who) for who in NAMES[:2]] + [start_owner(process, "carol", "--drop", "f3")]
    ended = results(children, 20)
    assert [status for status, *_ in ended] == [1, 1, 1]
    for _, _, err in ended[:2]:
        assert "owner 'carol', step 'connect': has 29 features" in err
    assert nothing_written(tmp_path)


def test_bad_rows_end_before_anything_is_sent(process: Start, table: np.ndarray, tmp_path: Path) -> None:
    """An owner whose file has a bad row stops by itself, and its message shows the place and not the content."""
    assert len(table) == 600
    lines = (tmp_path / "alice.csv").read_text().splitlines()
    lines[8] = lines[8].replace(lines[8].split(",")[2], "SECRET", 1)
    (tmp_path / "alice.csv").write_text("\n".join(lines) + "\n")
    ((status, _, err),) = results([start_owner(process, "alice")], 20)
    assert status == 1
    assert "column 'f2', row 7" in err
    assert "SECRET" not in err
