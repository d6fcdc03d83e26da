"""The ways to average that `benches.federated` compares, each a simulation of Flower's with ten clients."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flwr.app import Message, MetricRecord, RecordDict
from flwr.client.mod import secaggplus_mod
from flwr.clientapp import ClientApp
from flwr.server import ServerConfig
from flwr.server.compat.legacy_context import LegacyContext
from flwr.server.workflow import DefaultWorkflow
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects

from benches.federated_models import MODELS, N_CLIENTS, Arrays, accuracy, initial, rows_of, train
from hashcomb import Key
from hashcomb.channels import RQM, SquareWave
from hashcomb.integrations.flower import (
    SumMod,
    SumSpec,
    SumStrategy,
    TokenMod,
    TokenStrategy,
    arrays_of,
    record_of,
    secagg_workflow,
)
from hashcomb.parameters import ParameterSpec

__all__ = ("DELTA", "Arm", "Task", "all_arms")

DEPTH, CLIP = 8, 2.0
CHANNEL, CHANNEL_DEPTH = SquareWave(4.0), 6  # epsilon of one report of one coordinate
SUMS = RQM(0.42, 2.0, n_levels=16).on(16)
NORM, COORDINATE = 0.25, 0.1  # of what a round may change
SURE = 8  # clients that surely finish; with fewer, SecAgg+ opens no sum
DELTA = 1e-5


@dataclass
class Arm:
    """What one way to average gave."""

    name: str
    curves: dict[str, list[list[float]]]  # accuracy by model, a list of rounds for each seed
    up: float  # bytes of training a client sends and gets in a round, for each parameter
    down: float
    privacy: str


@dataclass(frozen=True)
class Task:
    """What to train, on which rows."""

    data: str
    seeds: tuple[int, ...]
    rounds: int
    models: tuple[str, ...] = MODELS

    def start(self) -> Arrays:
        """Return the initial models of all seeds as tensors of one."""
        n_features = rows_of(self.data, 0, self.seeds[0]).X.shape[1]
        return {
            f"{model}.{seed}.{name}": array
            for model in self.models
            for seed in self.seeds
            for name, array in initial(model, n_features).items()
        }

    def one(self, arrays: Arrays) -> Iterator[tuple[str, int, Arrays]]:
        """Yield the model and the seed of each of the tensors' owners, and its tensors."""
        for model in self.models:
            for seed in self.seeds:
                head = f"{model}.{seed}."
                yield model, seed, {n.removeprefix(head): array for n, array in arrays.items() if n.startswith(head)}


class Counting:
    """A grid that counts the bytes of messages for training, as Flower serializes them."""

    def __init__(self, grid: Any) -> None:
        self._grid = grid
        self.up = self.down = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._grid, name)

    def send_and_receive(self, messages: Any, **options: Any) -> list[Any]:
        """Send messages, and count what goes both ways."""
        sent = list(messages)
        training = [message for message in sent if message.metadata.message_type == "train"]
        self.down += sum(map(_size, training))
        replies = list(self._grid.send_and_receive(sent, **options))
        self.up += sum(map(_size, replies)) if training else 0
        return replies


def _size(message: Any) -> int:
    return sum(len(part.deflate()) for part in get_all_nested_objects(message).values())


def client_of(task: Task, mods: list[Any]) -> Any:
    """Return the app of a client, which knows of no tokens."""
    app = ClientApp(mods=mods)

    @app.train()
    def learn(message: Any, context: Any) -> Any:
        trained = {}
        for model, seed, own in task.one(arrays_of(message.content["arrays"])):
            rows = rows_of(task.data, context.node_config["partition-id"], seed)
            after = train(own, rows, message.content["config"]["server-round"])
            trained |= {f"{model}.{seed}.{name}": array for name, array in after.items()}
        metrics = MetricRecord({"num-examples": len(rows.y)})
        return Message(RecordDict({"arrays": record_of(trained), "metrics": metrics}), reply_to=message)

    @app.evaluate()
    def judge(message: Any, context: Any) -> Any:
        found = {}
        for model, seed, own in task.one(arrays_of(message.content["arrays"])):
            rows = rows_of(task.data, context.node_config["partition-id"], seed)
            found[f"{model}.{seed}"] = accuracy(own, rows)
        metrics = MetricRecord({"num-examples": len(rows.y_test), **found})
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    return app


def simulate(task: Task, mods: list[Any], serve: Callable[[Counting, Any], Any]) -> tuple[Any, Counting]:
    """Run a simulation of Flower's and return what the server gives back, and the bytes."""
    given: list[Any] = []
    server = ServerApp()

    @server.main()
    def run(grid: Any, context: Any) -> None:
        counting = Counting(grid)
        given.append((serve(counting, context), counting))

    resources = {
        "init_args": {"num_cpus": os.cpu_count(), "include_dashboard": False},
        "client_resources": {"num_cpus": 1},
    }
    run_simulation(server, client_of(task, mods), N_CLIENTS, backend_config=resources)
    return given[0]


def _averaged(task: Task, name: str, spec: ParameterSpec | None) -> Arm:
    """Return the arm of FedAvg, on tokens if there is a spec."""
    everybody = FedAvg(min_train_nodes=N_CLIENTS, min_evaluate_nodes=N_CLIENTS, min_available_nodes=N_CLIENTS)

    def serve(grid: Counting, _: Any) -> Any:
        strategy = everybody if spec is None else TokenStrategy(everybody, spec)
        return strategy.start(grid, record_of(task.start()), num_rounds=task.rounds)

    with tempfile.TemporaryDirectory() as folder:
        Key.create().save(Path(folder) / "owners.key")
        mods = [] if spec is None else [TokenMod(spec, Path(folder) / "owners.key")]
        result, bytes_ = simulate(task, mods, serve)
    records = result.evaluate_metrics_clientapp.values()
    curves = {
        model: [[float(record[f"{model}.{seed}"]) for record in records] for seed in task.seeds] for model in MODELS
    }
    return _arm(task, name, curves, [bytes_], "none" if spec is None else _cost(task, spec))


def _cost(task: Task, spec: ParameterSpec) -> str:
    """Say what the tokens of one logistic regression cost."""
    one = Task(task.data, task.seeds[:1], task.rounds, ("logistic",)).start()
    alone = ParameterSpec.of(one, clip=CLIP, depth=spec.depth, channel=spec.channel)
    if alone.channel is None:
        return "none"
    return f"{alone.privacy(rounds=task.rounds, delta=DELTA).epsilon:,.0f}, against anybody"


def _summed(task: Task) -> Arm:
    """Return the arm of RQM under SecAgg+: one simulation for each seed."""
    curves, counted = [], []
    for seed in task.seeds:
        alone = Task(task.data, (seed,), task.rounds, ("logistic",))
        spec = SumSpec.of(alone.start(), SUMS, norm=NORM, coordinate=COORDINATE)
        serve = functools.partial(_serve_sums, alone, spec)
        history, bytes_ = simulate(alone, [secaggplus_mod, SumMod(spec)], serve)
        curves.append([float(value) for _, value in history[f"logistic.{seed}"]])
        counted.append(bytes_)
    privacy = spec.privacy(SURE, rounds=task.rounds)
    text = f"{privacy.epsilon(DELTA):.0f}, if nothing but sums of {SURE} clients or more is opened"
    return _arm(alone, "RQM in sums", {"logistic": curves}, counted, text)


def _serve_sums(task: Task, spec: Any, grid: Counting, context: Any) -> Any:
    strategy = SumStrategy(
        spec, task.start(), min_fit_clients=N_CLIENTS, min_evaluate_clients=N_CLIENTS,
        min_available_clients=N_CLIENTS, evaluate_metrics_aggregation_fn=_weighted,
    )  # fmt: skip
    legacy = LegacyContext(context, config=ServerConfig(num_rounds=task.rounds), strategy=strategy)
    DefaultWorkflow(fit_workflow=secagg_workflow(spec, N_CLIENTS, SURE))(grid, legacy)
    return legacy.history.metrics_distributed


def _weighted(found: list[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    total = sum(rows for rows, _ in found)
    return {name: sum(rows * own[name] for rows, own in found) / total for name in found[0][1]}


def _arm(task: Task, name: str, curves: dict[str, list[list[float]]], counted: list[Counting], privacy: str) -> Arm:
    n_parameters = sum(array.size for array in task.start().values())
    times = n_parameters * N_CLIENTS * task.rounds * len(counted)
    up, down = (sum(getattr(one, way) for one in counted) / times for way in ("up", "down"))
    return Arm(name, curves, up, down, privacy)


def all_arms(task: Task) -> list[Arm]:
    """Train in all four ways."""
    model = task.start()
    noisy = ParameterSpec.of(model, clip=CLIP, depth=CHANNEL_DEPTH, channel=CHANNEL)
    return [
        _averaged(task, "raw FedAvg", None),
        _averaged(task, "tokens", ParameterSpec.of(model, clip=CLIP, depth=DEPTH)),
        _averaged(task, "tokens, square wave", noisy),
        _summed(task),
    ]
