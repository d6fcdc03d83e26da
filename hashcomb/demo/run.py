"""Start the demo's processes, carry messages between them, show progress, and put the results together."""

from __future__ import annotations

import contextlib
import json
import queue
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import msgspec
import tomli_w
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from hashcomb.atomic import check_target, writing
from hashcomb.demo.bundled import deal_bundled
from hashcomb.demo.models import MODELS
from hashcomb.errors import DataError, HashcombError
from hashcomb.files import read_spec
from hashcomb.integrations import require
from hashcomb.mpc import Policy, free_ports, make_certificates
from hashcomb.rows import deal_folder
from hashcomb.spec import Spec

__all__ = ("Accuracy", "DemoResult", "Leak", "run_demo")

OWNER_STEPS = len(Policy().steps) + 4  # rows before, then encode, encoded and scored
DEADLINE_S = 170.0


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """Test accuracy of one model, in percent."""

    model: str
    raw: float
    tokens: float


class Leak(msgspec.Struct, frozen=True, kw_only=True):
    """What attacks without the Key recover, in percent of the training rows' leaves, by feature."""

    joint: tuple[float, ...]
    near: tuple[float, ...]
    frequency: tuple[float, ...]
    guessed: tuple[float, ...]
    n_known: int


class DemoResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the demo found."""

    source: str
    command: str
    seed: int
    spec: Spec
    owners: dict[str, dict[str, Any]]
    trainer: dict[str, Any]
    accuracy: tuple[Accuracy, ...]
    leak: Leak
    n_scored: int
    seconds: float


def run_demo(*, data: str | None, owners: int | None, seed: int, report_path: str, as_json: bool) -> DemoResult:
    """Run the demo, print what it found and write the report.

    Parameters
    ----------
    data : str, optional
        Folder of ``owner-*.csv``; scikit-learn's breast_cancer by default.
    owners : int, optional
        Number of owners, at least 3.
    seed : int
        Of the split and the training; keys are always new.
    report_path : str
        Where the HTML report goes.
    as_json : bool
        Print JSON instead of tables.

    Returns
    -------
    DemoResult

    Raises
    ------
    MissingExtraError
        If the figures' libraries are not installed; before anything is run.
    DataError
        If the data cannot be used.
    OSError
        If the report cannot be written.
    HashcombError
        If a process of the demo fails; the message is that of the process.
    """
    require("plot", "matplotlib")
    require("plot", "jinja2")
    check_target(report_path)
    from hashcomb.demo import report, screen  # here, because they need the extra

    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="hashcomb-demo-") as work, _Stage(Path(work), seed) as stage:
        files = deal_folder(data, owners) if data else deal_bundled(stage.homes(owners or 3), seed)
        stage.start(files)
        stage.play()
        result = stage.result(data, begun)
    with writing(report_path) as file:
        file.write(report.html(result).encode())
    screen.show(result, report_path, as_json=as_json)
    return result


class _Process:
    """One process of the demo, and what it says."""

    def __init__(self, name: str, module: str, config: dict[str, Any], said: queue.Queue[Any], log: Path) -> None:
        self.name = name
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", f"hashcomb.demo.{module}"],  # -P: nothing from the current folder
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,  # Ctrl-C reaches the starter alone, which ends the others
            )
        self._thread = threading.Thread(target=self._listen, args=(said,), daemon=True)
        self._thread.start()
        self.tell(config)

    def _listen(self, said: queue.Queue[Any]) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                said.put((self.name, json.loads(line)))
        finally:
            said.put((self.name, {"event": "ended", "status": self._process.wait()}))

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message to the process."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it failed, and its own message says why
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()

    def stop(self) -> None:
        """End the process, if it has not ended."""
        self._process.kill()
        self._process.wait()
        self._thread.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


class _Stage:
    """The folders and processes of one demo."""

    def __init__(self, work: Path, seed: int) -> None:
        self._work, self._seed = work, seed
        self._said: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self._processes: dict[str, _Process] = {}
        self._owners: list[str] = []
        self._facts: dict[str, dict[str, Any]] = {}
        self._finished: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._processes.values():
            process.stop()

    def homes(self, n_owners: int) -> list[Path]:
        """Make a folder for each owner, which only its own process is told of."""
        homes = [self._work / f"owner-{i + 1:02d}" for i in range(n_owners)]
        for home in homes:
            home.mkdir(mode=0o700, exist_ok=True)
        return homes

    def start(self, files: list[list[str]]) -> None:
        """Start an owner for each list of files, the trainer and the yardstick."""
        homes = self.homes(len(files))
        self._owners = [home.name for home in homes]
        inbox, outbox = self._work / "inbox", self._work / "outbox"
        inbox.mkdir()
        outbox.mkdir()
        party = self._work / "party.toml"
        for home in homes:
            make_certificates([home.name], home)
        party.write_text(_party(self._owners), encoding="utf-8")
        common = {"seed": self._seed, "inbox": str(inbox)}
        for home, own in zip(homes, files, strict=True):
            config = {**common, "name": home.name, "home": str(home), "party": str(party), "files": own}
            config["measures"] = home is homes[0]
            self._start(home.name, "owner", config)
        self._start("trainer", "trainer", {**common, "outbox": str(outbox)})
        self._start("yardstick", "yardstick", {**common, "files": files})

    def _start(self, name: str, module: str, config: dict[str, Any]) -> None:
        self._processes[name] = _Process(name, module, config, self._said, self._work / f"{name}.log")

    # ------------------------------------------------------------------ messages
    def play(self) -> None:
        """Carry messages until every owner and the yardstick have scored."""
        with _bars(self._processes, len(MODELS)) as advance:
            self._collect(self._owners, "encoded", advance)
            self._processes["trainer"].tell({"go": True})
            self._collect(["trainer"], "trained", advance)
            for owner in self._owners:
                self._processes[owner].tell({"predictions": str(self._work / "outbox" / f"{owner}.json")})
            spec = self._work / self._owners[0] / "spec.toml"
            self._processes["yardstick"].tell({"spec": str(spec), "tokens": str(self._work / "inbox")})
            self._collect([*self._owners, "yardstick"], "scored", advance)

    def _collect(self, names: list[str], event: str, advance: Any) -> None:
        """Wait until each of `names` has reported an event."""
        waiting = set(names)
        while waiting:
            name, message = self._said.get()
            kind = message.pop("event")
            if kind == "error":
                raise DataError(f"{name}: {message['problem']}")
            if kind == "ended" and name in self._finished:
                continue
            if kind == "ended":
                raise HashcombError(f"the process of {name} ended before its time (status {message['status']})")
            if kind in ("scored", "trained"):
                self._finished.add(name)
            advance(name, message.get("step", kind))
            if kind == event:
                waiting.discard(name)
                self._facts.setdefault(name, {}).update(message)

    def result(self, data: str | None, begun: float) -> DemoResult:
        """Put together what the processes reported."""
        source = data or "scikit-learn's breast_cancer"
        where = f" --data {shlex.quote(data)}" if data else ""
        owners = {name: self._facts[name] for name in self._owners}
        raw, n_scored = self._facts["yardstick"], sum(owner["n_scored"] for owner in owners.values())
        if len({owner["fingerprint"] for owner in owners.values()}) != 1:
            raise HashcombError("the owners hold different Specs")
        if n_scored == 0:
            raise DataError("no row is held out", hint="there are too few different rows")
        spec = read_spec(self._work / self._owners[0] / "spec.toml")
        return DemoResult(
            source=source,
            command=f"hashcomb demo{where} --owners {len(owners)} --seed {self._seed}",
            leak=Leak(**raw["leak"]),
            seed=self._seed,
            spec=spec,
            owners=owners,
            trainer=self._facts["trainer"],
            accuracy=tuple(
                Accuracy(
                    model=model,
                    raw=100 * raw["right"][model] / raw["n_scored"],
                    tokens=100 * sum(owner["right"][model] for owner in owners.values()) / n_scored,
                )
                for model in MODELS
            ),
            n_scored=n_scored,
            seconds=time.perf_counter() - begun,
        )


def _party(owners: list[str]) -> str:
    ports = free_ports(len(owners))
    peers = [
        {"name": name, "host": "127.0.0.1", "port": port, "cert": f"{name}/{name}.crt"}
        for name, port in zip(owners, ports, strict=True)
    ]
    timeouts = {"connect_s": 60.0, "deadline_s": DEADLINE_S}
    return tomli_w.dumps({"policy": {"label": "hashcomb demo"}, "timeouts": timeouts, "peer": peers})


@contextlib.contextmanager
def _bars(names: dict[str, _Process], n_models: int) -> Iterator[Any]:
    """Show one bar a process on stderr; a line for each step where nobody is looking."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda name, step: console.print(f"{name}: {step}")
        return
    columns = (
        TextColumn("{task.fields[who]:>10}"),
        BarColumn(24),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, TaskID] = {}
        for name in names:
            total = OWNER_STEPS if name.startswith("owner") else n_models + 1
            tasks[name] = progress.add_task("waiting", total=total, who=name)
        yield lambda name, step: progress.update(tasks[name], description=step, advance=1)
