"""Flower's deployment: a SuperLink and three SuperNodes as processes, talking over the network on loopback.

Flower 1.41 talks HTTP between them, where older versions talked gRPC; the options are the same.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
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

from hashcomb import Key
from hashcomb.counts import ParameterCounts
from hashcomb.mpc import free_ports
from hashcomb.parameters import ParameterCodec, ParameterSpec

pytestmark = pytest.mark.e2e
if importlib.util.find_spec("flwr") is None:
    pytest.skip("flwr is not installed", allow_module_level=True)

MODEL = {"w": np.array([[0.25, -0.5, 0.125]], dtype=np.float32), "b": np.array([0.75])}
SPEC = ParameterSpec.of(MODEL, clip=2.0, depth=10)

PROJECT = """
[project]
name = "tokens"
version = "1.0.0"
description = "A test."
license = "Apache-2.0"

[tool.flwr.app]
publisher = "owners"

[tool.flwr.app.components]
serverapp = "tokens.task:server"
clientapp = "tokens.task:client"

[tool.flwr.app.config]
folder = ""
"""

TASK = '''
import json
import time
from pathlib import Path

import numpy as np
from flwr.app import Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg

from hashcomb import Key
from hashcomb.integrations.flower import TokenMod, TokenStrategy, arrays_of, record_of
from hashcomb.parameters import ParameterSpec

MODEL = {"w": np.array([[0.25, -0.5, 0.125]], dtype=np.float32), "b": np.array([0.75])}
SPEC = ParameterSpec.of(MODEL, clip=2.0, depth=10)

client = ClientApp(mods=[TokenMod(SPEC, lambda context: Key.load(context.node_config["key-file"]))])
server = ServerApp()


@client.train()
def train(message, context):
    if context.node_config["number"] == 2 and message.content["config"]["server-round"] == 2:
        Path(context.node_config["mark"]).touch()
        time.sleep(100)  # until the node is killed
    arrays = {name: array + 0.1234567 for name, array in arrays_of(message.content["arrays"]).items()}
    return Message(RecordDict({"arrays": record_of(arrays), "m": MetricRecord({"num-examples": 10})}), reply_to=message)


class Patient:
    """A grid that waits for the nodes that are alive, and no longer."""

    def __init__(self, grid, killed):
        self._grid, self._killed = grid, killed

    def __getattr__(self, name):
        return getattr(self._grid, name)

    def send_and_receive(self, messages, *, timeout=None):
        waiting, replies = set(self._grid.push_messages(messages)), []
        while waiting and not (self._killed.exists() and len(waiting) == 1):
            arrived = list(self._grid.pull_messages(waiting))
            waiting -= {reply.metadata.reply_to_message_id for reply in arrived}
            replies += arrived
            time.sleep(0.5)  # each look costs the SuperLink as much as a message
        return replies


@server.main()
def main(grid, context):
    folder = Path(context.run_config["folder"])
    strategy = TokenStrategy(FedAvg(fraction_evaluate=0.0, min_train_nodes=3, min_available_nodes=3), SPEC)
    result = strategy.start(Patient(grid, folder / "killed"), record_of(MODEL), num_rounds=2)
    (folder / "counts").write_bytes(result.arrays["hashcomb.counts"].data)
    rounds = [[len(one.counted), list(one.left_out.values())] for one in result.rounds]
    (folder / "rounds.json.part").write_text(json.dumps(rounds))
    (folder / "rounds.json.part").rename(folder / "rounds.json")
'''


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Return a function that starts one of Flower's commands in a session of its own, which ends with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def run(home: str, command: str, *options: str) -> subprocess.Popen[bytes]:
        (tmp_path / home).mkdir(exist_ok=True)
        scripts = Path(sys.executable).parent
        environment = os.environ | {
            "FLWR_HOME": str(tmp_path / home),
            "HOME": str(tmp_path),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.5",
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        }
        with (tmp_path / home / "log").open("ab") as log:
            process = subprocess.Popen(
                [str(scripts / command), *options], env=environment, stdout=log, stderr=log, start_new_session=True
            )
        running.append(process)
        return process

    yield run
    for process in running:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and what it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)


def wait_for(path: Path, folder: Path, limit_s: float = 90.0) -> None:
    """Wait until a file is there; fail with the logs if it does not come."""
    last = time.monotonic() + limit_s
    while not path.exists():
        if time.monotonic() > last:
            logs = {str(log): log.read_text(errors="replace")[-2000:] for log in folder.glob("*/log")}
            raise AssertionError(f"{path.name} did not come: {json.dumps(logs, indent=1)}")
        time.sleep(0.1)


def wait_for_port(port: int, limit_s: float = 60.0) -> None:
    """Wait until somebody listens at a port of this machine."""
    last = time.monotonic() + limit_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            return
        except OSError:
            assert time.monotonic() < last, f"nobody listens at port {port}"
            time.sleep(0.1)


def deploy(tmp_path: Path, start: Callable[..., Any]) -> list[Any]:
    """Start a SuperLink and three SuperNodes, and run the app; return the nodes' processes."""
    package = tmp_path / "app" / "tokens"
    package.mkdir(parents=True)
    (tmp_path / "app" / "pyproject.toml").write_text(PROJECT)
    (package / "__init__.py").touch()
    (package / "task.py").write_text(TASK)
    link, *ports = free_ports(4)
    start(
        "link", "flower-superlink", "--insecure", "--port", str(link), "--disable-runtime-dependency-installation",
        "--database", str(tmp_path / "link" / "state.db"),
    )  # fmt: skip
    nodes = []
    for number, port in enumerate(ports):
        config = f'key-file="{tmp_path}/owners.key" mark="{tmp_path}/training" number={number}'
        options = ["--insecure", "--superlink", f"127.0.0.1:{link}", "--port", str(port), "--node-config", config]
        nodes.append(start(f"node-{number}", "flower-supernode", *options))
    (tmp_path / "operator").mkdir()
    connection = f'[superlink]\ndefault = "local"\n[superlink.local]\naddress = "127.0.0.1:{link}"\ninsecure = true\n'
    (tmp_path / "operator" / "config.toml").write_text(connection)
    wait_for_port(link)
    folder = f'folder="{tmp_path}"'
    submitted = start("operator", "flwr", "run", str(tmp_path / "app"), "local", "--run-config", folder)
    assert submitted.wait(timeout=60) == 0, (tmp_path / "operator" / "log").read_text()
    return nodes


def test_a_client_is_killed_in_the_middle(tmp_path: Path, start: Callable[..., Any]) -> None:
    """Two rounds over the network: a node killed while it trains is left out, and the server has no key, no weight."""
    key = Key.create()
    key.save(tmp_path / "owners.key")
    nodes = deploy(tmp_path, start)
    wait_for(tmp_path / "training", tmp_path)
    end(nodes[2])
    (tmp_path / "killed").touch()
    wait_for(tmp_path / "rounds.json", tmp_path)

    assert json.loads((tmp_path / "rounds.json").read_text()) == [[3, []], [2, ["no reply came in time"]]]
    counts = ParameterCounts.from_bytes((tmp_path / "counts").read_bytes())
    codec = ParameterCodec(SPEC, key, round=2, dataset=counts.header.dataset)
    decoded = codec.decode(counts)
    assert all(np.abs(decoded[name] - MODEL[name] - 2 * 0.1234567).max() < 0.02 for name in MODEL)

    stored = b"".join(path.read_bytes() for path in (tmp_path / "link").rglob("*") if path.is_file())
    # No weight is a literal of the app, whose compiled code the server holds.
    weights = [(MODEL[name] + 0.1234567).astype(MODEL[name].dtype).tobytes() for name in MODEL]
    assert not any(secret in stored for secret in (bytes(key), bytes(key).hex().encode(), *weights))
    assert SPEC.fingerprint.encode() in stored  # headers of tokens: the search finds what the server has
