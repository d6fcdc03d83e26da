"""Randomized updates under SecAgg+: sums are exact, clients may drop out, and what cannot be summed is refused."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hashcomb.channels import RQM, Geometric, PoissonBinomial
from hashcomb.errors import ChannelError, DataError, SpecError
from hashcomb.privacy import L2Clip, SumPrivacy

if importlib.util.find_spec("flwr") is None:
    pytest.skip("flwr is not installed", allow_module_level=True)
with warnings.catch_warnings():  # typer, which Flower caps, uses names that click is about to drop
    warnings.filterwarnings("ignore", r"'click\.utils\.", DeprecationWarning)
    from flwr.app import Context, Error, Message, MetricRecord, RecordDict
    from flwr.client.mod import secaggplus_mod
    from flwr.clientapp import ClientApp
    from flwr.server import ServerConfig
    from flwr.server.compat.legacy_context import LegacyContext
    from flwr.server.workflow import DefaultWorkflow
    from flwr.supercore.task_identity import TaskIdentity

    from hashcomb.integrations.flower import SumMod, SumSpec, SumStrategy, arrays_of, record_of, secagg_workflow

MODEL = {"w": np.zeros((5, 4)), "b": np.zeros(1)}
CHANNELS = {"rqm": RQM(0.42, 4.0, n_levels=16).on(16), "binomial": PoissonBinomial(0.2, 16).on(9)}


class Nodes:
    """Nodes of this process, as far as Flower's workflow needs a grid."""

    def __init__(self, apps: list[Any]) -> None:
        self.apps = dict(enumerate(apps, start=101))
        self.contexts = {node: Context(7, node, {}, RecordDict(), {}) for node in self.apps}
        self.run = SimpleNamespace(run_id=7)
        self.errors: list[str] = []

    def get_node_ids(self) -> list[int]:
        return list(self.apps)

    def send_and_receive(self, messages: Any, *, timeout: float | None = None) -> list[Message]:
        replies = []
        for message in messages:
            node = message.metadata.dst_node_id
            message.content = RecordDict({name: record.copy() for name, record in message.content.items()})
            try:
                replies.append(self.apps[node](message, self.contexts[node]))
            except Exception as error:  # as Flower does: the text goes to the server
                self.errors.append(str(error))
                replies.append(Message(Error(2, str(error)), reply_to=message))
        return replies


@pytest.fixture(autouse=True)
def _in_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_run_id", "_task_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 7)


def app_of(spec: SumSpec, step: float, note: list[Any], train: Callable[[int], None] = lambda _: None) -> ClientApp:
    """Return an app that adds a number to all weights; what its mod sends is noted."""

    def spy(message: Message, context: Context, call_next: Any) -> Message:
        reply: Message = call_next(message, context)
        if message.metadata.message_type == "train":
            note.append(reply.content["fitres.parameters"].to_numpy_ndarrays()[0] + spec.half_range)
        return reply

    app = ClientApp(mods=[secaggplus_mod, spy, SumMod(spec)])

    @app.train()  # type: ignore[untyped-decorator]
    def learn(message: Message, context: Context) -> Message:
        train(message.content["config"]["server-round"])
        trained = {name: array + step for name, array in arrays_of(message.content["arrays"]).items()}
        metrics = MetricRecord({"num-examples": 3})
        return Message(RecordDict({"arrays": record_of(trained), "m": metrics}), reply_to=message)

    return app


def run(spec: SumSpec, nodes: Nodes, n_honest: int, rounds: int = 2) -> SumStrategy:
    """Run rounds and return the strategy with its model."""
    n_clients = len(nodes.apps)
    strategy = SumStrategy(
        spec, MODEL, min_fit_clients=n_clients, min_available_clients=n_clients, fraction_evaluate=0.0
    )
    context = LegacyContext(
        Context(7, 1, {}, RecordDict(), {}), config=ServerConfig(num_rounds=rounds), strategy=strategy
    )
    DefaultWorkflow(fit_workflow=secagg_workflow(spec, n_clients, n_honest))(nodes, context)
    return strategy


@pytest.mark.parametrize("kind", CHANNELS)
def test_sums_are_exact(kind: str) -> None:
    """What SecAgg+ opens is, to the bit, the sum of the integers that the clients sent."""
    spec = SumSpec.of(MODEL, CHANNELS[kind], norm=1.0, coordinate=0.5)
    sent: list[Any] = []
    strategy = run(spec, Nodes([app_of(spec, 0.1 * i, sent) for i in range(5)]), n_honest=5, rounds=1)
    assert len(sent) == 5
    assert all((reports == np.rint(reports)).all() and reports.min() >= 0 for reports in sent)
    expected = spec.mean(np.sum(sent, axis=0), 5)
    assert all(np.array_equal(strategy.model[name], MODEL[name] + expected[name]) for name in MODEL)
    assert len({reports.tobytes() for reports in sent}) == 5  # it is not one client's that is added up


def test_a_client_may_drop_out() -> None:
    """A client whose app fails is left out of the sum of the others; its error's text is not sent."""
    spec = SumSpec.of(MODEL, CHANNELS["rqm"], norm=1.0, coordinate=0.5)

    def fail(number: int) -> None:
        if number == 2:
            raise ValueError("a record with the value 4711")

    sent: list[Any] = []
    nodes = Nodes([app_of(spec, 0.1, sent, fail if i == 4 else lambda _: None) for i in range(5)])
    strategy = run(spec, nodes, n_honest=3)
    assert strategy.clients == [5, 4]
    totals = [np.sum(sent[:5], axis=0), np.sum(sent[5:], axis=0)]
    expected = [spec.mean(total, n) for total, n in zip(totals, [5, 4], strict=True)]
    assert all(np.array_equal(strategy.model[name], expected[0][name] + expected[1][name]) for name in MODEL)
    assert nodes.errors
    assert all("ValueError" in text and "4711" not in text for text in nodes.errors)


def test_too_few_clients_open_nothing() -> None:
    """With fewer clients left than the threshold no sum is opened, and the model stays."""
    spec = SumSpec.of(MODEL, CHANNELS["rqm"], norm=1.0, coordinate=0.5)

    def fail(_: int) -> None:
        raise ValueError

    nodes = Nodes([app_of(spec, 0.1, [], fail if i < 2 else lambda _: None) for i in range(5)])
    strategy = run(spec, nodes, n_honest=4, rounds=1)
    assert strategy.clients == []
    assert all(np.array_equal(strategy.model[name], MODEL[name]) for name in MODEL)


@pytest.mark.parametrize("kind", CHANNELS)
def test_the_mean_is_unbiased(kind: str) -> None:
    """Over many reports of an update within the clip, the mean is the update; false alarm below 1e-6 (six sigma)."""
    spec = SumSpec.of({"w": np.zeros(200_000)}, CHANNELS[kind], norm=1e6, coordinate=0.5)
    mean = spec.mean(spec.reports({"w": np.full(200_000, 0.137)}), 1)["w"]
    assert abs(mean.mean() - 0.137) < 6 * mean.std() / np.sqrt(mean.size)


def test_updates_are_clipped_to_the_norm() -> None:
    """An update that is too long is scaled down to the norm before it is randomized."""
    spec = SumSpec.of({"w": np.zeros(40_000)}, CHANNELS["rqm"], norm=10.0, coordinate=0.5)
    mean = spec.mean(spec.reports({"w": np.full(40_000, 0.5)}), 1)["w"]  # of norm 100, so it becomes 0.05 each
    assert abs(mean.mean() - 0.05) < 6 * mean.std() / np.sqrt(mean.size)


def test_privacy_is_that_of_the_sum() -> None:
    """The claim is the blanket bound for all coordinates and rounds, with the clip."""
    spec = SumSpec.of(MODEL, CHANNELS["rqm"], norm=1.0, coordinate=0.5)
    clip = L2Clip(norm=1.0, coordinate=0.5)
    bound = SumPrivacy.of(CHANNELS["rqm"], 4, coordinates=21, rounds=3, clip=clip)
    assert spec.privacy(4, rounds=3).renyi(2.0) == bound.renyi(2.0)


def test_what_cannot_be_summed_is_refused() -> None:
    """Channels whose mean is not linear, low thresholds, sums beyond 2^32, and NaN updates are typed errors."""
    with pytest.raises(ChannelError, match="no linear function"):
        SumSpec.of(MODEL, Geometric.for_epsilon(1.0, 16), norm=1.0, coordinate=0.5)
    spec = SumSpec.of(MODEL, CHANNELS["rqm"], norm=1.0, coordinate=0.5)
    with pytest.raises(SpecError, match="n_honest"):
        secagg_workflow(spec, 10, 5)
    with pytest.raises(SpecError, match=r"reach 2\^32"):
        secagg_workflow(spec, 1 << 28, 1 << 28)
    with pytest.raises(DataError, match="tensor 'b' holds NaN"):
        spec.reports({"w": np.zeros((5, 4)), "b": np.array([np.nan])})
    with pytest.raises(DataError, match="tensor 'b' has another shape"):
        spec.reports({"w": np.zeros((5, 4)), "b": np.zeros(2)})
