"""Flower: apps that train on tokens without knowing it, a server that counts them, and what can go wrong."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hashcomb import Key
from hashcomb.channels import RandomizedResponse
from hashcomb.counts import ParameterTokens
from hashcomb.errors import DataError, HashcombWarning, ProtocolError, SpecError
from hashcomb.parameters import ParameterCodec, ParameterSpec

if importlib.util.find_spec("flwr") is None:
    pytest.skip("flwr is not installed", allow_module_level=True)
with warnings.catch_warnings():  # typer, which Flower caps, uses names that click is about to drop
    warnings.filterwarnings("ignore", r"'click\.utils\.", DeprecationWarning)
    from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Error, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.serverapp import Grid
    from flwr.serverapp.strategy import FedAdam, FedAvg, FedProx
    from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
    from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
    from flwr.supercore.task_identity import TaskIdentity

    from hashcomb.integrations.flower import TokenMod, TokenStrategy, arrays_of, decode_record, record_of
    from hashcomb.integrations.flower.records import Complaint

RUN = 0x1234_5678_9ABC
MODEL = {"w": np.array([[0.25, -0.5, 0.125]], dtype=np.float32), "b": np.array([0.0])}
SPEC = ParameterSpec.of(MODEL, clip=2.0, depth=10)
KEY = Key(bytes(range(32)))


class LocalGrid(Grid):  # type: ignore[misc]
    """Nodes of this process: messages take the form that Flower sends them in, and nothing else passes."""

    def __init__(self, apps: list[Callable[..., Any]]) -> None:
        self.apps = dict(enumerate(apps, start=101))
        self.contexts = {node: Context(RUN, node, {"node": node}, RecordDict(), {}) for node in self.apps}
        self.seen: list[bytes] = []
        self.gone: set[int] = set()

    def set_run(self, run: Any) -> None: ...

    @property
    def run(self) -> Any:
        return SimpleNamespace(run_id=RUN)

    def create_message(self, *_: Any, **__: Any) -> Any: ...
    def push_messages(self, _: Any) -> Any: ...
    def pull_messages(self, _: Any) -> Any: ...

    def get_node_ids(self) -> list[int]:
        return list(self.apps)

    def ship(self, message: Message) -> Message:
        """Return what arrives, and note its bytes."""
        message.metadata.__dict__["_message_id"] = ""
        objects = {number: part.deflate() for number, part in get_all_nested_objects(message).items()}
        self.seen += objects.values()
        arrived = inflate_object_from_contents(message.object_id, objects)
        assert isinstance(arrived, Message)
        arrived.metadata.__dict__["_message_id"] = message.object_id
        return arrived

    def send_and_receive(self, messages: Any, *, timeout: float | None = None) -> list[Message]:
        replies = []
        for message in messages:
            node = message.metadata.dst_node_id
            if node in self.gone:
                continue
            there = self.ship(message)
            try:
                reply = self.apps[node](there, self.contexts[node])
            except Exception as error:
                reply = Message(Error(2, f"{type(error)}:<'{error}'>"), reply_to=there)
            replies.append(self.ship(reply))
        return replies


@pytest.fixture(autouse=True)
def _in_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_run_id", "_task_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, RUN if name == "_run_id" else 1)


def app_of(
    step: float, rows: int = 10, *, mods: list[Any] | None = None, change: Callable[[Message, int], Any] | None = None
) -> ClientApp:
    """Return a user's app: training adds a number to all weights. `change` may spoil the reply of a round."""
    app = ClientApp(mods=[TokenMod(SPEC, KEY)] if mods is None else mods)

    @app.train()  # type: ignore[untyped-decorator]
    def train(message: Message, context: Context) -> Message:
        number = message.content["config"]["server-round"]
        arrays = {name: array + step for name, array in arrays_of(message.content["arrays"]).items()}
        metrics = MetricRecord({"num-examples": rows, "loss": 0.5})
        reply = Message(RecordDict({"arrays": record_of(arrays), "metrics": metrics}), reply_to=message)
        if change is not None:
            change(reply, number)
        return reply

    @app.evaluate()  # type: ignore[untyped-decorator]
    def evaluate(message: Message, context: Context) -> Message:
        weights = arrays_of(message.content["arrays"])
        metrics = MetricRecord({"num-examples": rows, "mean": float(weights["w"].mean())})
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    return app


def spoiled(app: ClientApp, change: Callable[[Message, int], Any]) -> Callable[..., Message]:
    """Return an app whose reply to a training message is changed behind its mod, on its way out."""

    def call(message: Message, context: Context) -> Message:
        reply = app(message, context)
        if message.metadata.message_type == "train" and reply.has_content():
            change(reply, message.content["config"]["server-round"])
        return reply

    return call


def run(grid: LocalGrid, rounds: int = 2, strategy: Any = None, **options: Any) -> Any:
    """Run rounds on the nodes of a grid and return strategy and result."""
    inner = strategy or FedAvg(min_available_nodes=len(grid.apps), min_train_nodes=len(grid.apps))
    tokens = TokenStrategy(inner, options.pop("spec", SPEC), **options)
    return tokens, tokens.start(grid, record_of(MODEL), num_rounds=rounds)


def decoded(result: Any, key: Key = KEY) -> dict[str, Any]:
    """Return the model that an owner reads from a result."""
    return arrays_of(decode_record(result.arrays, SPEC, key))


STEP = 4.0 / 1023  # of the grid


# ---------------------------------------------------------------------- what works
def test_app_trains_on_the_weighted_mean() -> None:
    """An app with the mod learns what it would with FedAvg, to a step of the grid, weighted by rows."""
    _, result = run(LocalGrid([app_of(0.1, 10), app_of(0.2, 30), app_of(0.3, 60)]), rounds=3)
    expected = 0.25 * 3  # (10 * 0.1 + 30 * 0.2 + 60 * 0.3) / 100 a round
    model = decoded(result)
    assert model["w"].dtype == np.float32
    assert {name: array.shape for name, array in model.items()} == {"w": (1, 3), "b": (1,)}
    assert all(np.abs(model[name] - MODEL[name] - expected).max() < 3 * STEP for name in MODEL)


def test_metrics_are_averaged_and_kept() -> None:
    """Metrics of training and of evaluation are averaged by rows, as FedAvg does, for every round."""
    _, result = run(LocalGrid([app_of(0.1, 10), app_of(0.1, 30)]))
    assert [dict(record) for record in result.train_metrics_clientapp.values()] == [{"loss": 0.5}] * 2
    means = [record["mean"] for record in result.evaluate_metrics_clientapp.values()]
    assert np.abs(np.array(means) - [MODEL["w"].mean() + 0.1, MODEL["w"].mean() + 0.2]).max() < 2 * STEP


def test_rounds_say_who_was_counted() -> None:
    """Each round names the nodes that were counted, their rows, and the bytes both ways."""
    strategy, result = run(LocalGrid([app_of(0.1, 10), app_of(0.1, 30)]))
    assert result.rounds is strategy.rounds
    assert [(one.number, one.counted, one.rows, one.left_out) for one in result.rounds] == [
        (1, (101, 102), 40, {}),
        (2, (101, 102), 40, {}),
    ]
    assert all(one.bytes_up > 2 * 4 * SPEC.n_parameters and one.bytes_down > 0 for one in result.rounds)
    assert (result.participations, result.privacy) == ({101: 2, 102: 2}, None)


def test_a_result_prints_its_rounds_and_no_bytes() -> None:
    """The text of a result names the rounds, and does not spell out tokens."""
    result = run(LocalGrid([app_of(0.1, 10), app_of(0.1, 30)]))[1]
    assert "TokenRound(number=2, counted=(101, 102), rows=40" in repr(result)
    assert "\\x" not in repr(result)


def test_server_sees_no_key_and_no_weight() -> None:
    """Neither the key nor a trained weight is in any byte that passes between the server and the clients."""
    trained: list[bytes] = []
    app = app_of(0.1234567, change=lambda reply, _: trained.extend(a.data for a in reply.content["arrays"].values()))
    grid = LocalGrid([app, app_of(0.2)])
    run(grid)
    stream = b"".join(grid.seen)
    for secret in (bytes(KEY), bytes(KEY).hex().encode(), KEY.id.encode() * 2):
        assert secret not in stream
    assert len(trained) == 4
    assert all(array not in stream for array in trained)
    assert MODEL["w"].tobytes() in stream  # the initial model is public: the search finds what is there


def test_equal_weights_have_other_tokens_in_other_rounds_and_runs() -> None:
    """Tokens of the same weights do not repeat from round to round, nor from run to run."""
    sent: list[ParameterTokens] = []

    def note(reply: Message, _: int) -> None:
        sent.append(ParameterTokens.from_bytes(reply.content["arrays"]["hashcomb.tokens"].data))

    grid = LocalGrid([spoiled(app_of(0.0), note), app_of(0.0)])
    run(grid)
    grid.contexts = {node: Context(RUN + 1, node, {}, RecordDict(), {}) for node in grid.apps}
    TaskIdentity.run_id = RUN + 1
    run(grid)
    assert len(sent) == 4
    assert len(np.unique(np.concatenate(sent))) == 4 * SPEC.n_parameters


def test_options_of_the_strategy_are_used() -> None:
    """A part of the nodes is sampled, and the config of FedProx arrives, as the wrapped strategy says."""
    arrived: list[Any] = []

    def note(message: Message, context: Context, call_next: Any) -> Message:
        arrived.append(message.content["config"].get("proximal-mu"))
        return call_next(message, context)

    apps: list[Any] = [app_of(0.1, mods=[note, TokenMod(SPEC, KEY)]) for _ in range(6)]
    strategy = FedProx(fraction_train=0.5, fraction_evaluate=0.0, min_available_nodes=6, proximal_mu=0.25)
    _, result = run(LocalGrid(apps), strategy=strategy)
    assert [len(one.counted) for one in result.rounds] == [3, 3]
    assert arrived == [0.25] * 6


def test_a_late_joiner_reads_the_model() -> None:
    """A client that was not there in the first rounds decodes the counts and takes part."""
    grid = LocalGrid([app_of(0.1), app_of(0.1), app_of(0.1)])
    late = grid.apps.pop(103)
    strategy = TokenStrategy(FedAvg(fraction_evaluate=0.0), SPEC)
    configure = strategy.strategy.configure_train

    def joining(number: int, *rest: Any) -> Any:
        if number == 3:
            grid.apps[103] = late
        return configure(number, *rest)

    strategy.strategy.configure_train = joining
    result = strategy.start(grid, record_of(MODEL), num_rounds=3)
    assert [one.counted for one in result.rounds] == [(101, 102), (101, 102), (101, 102, 103)]
    assert np.abs(decoded(result)["b"] - 0.3).max() < 3 * STEP


@pytest.mark.parametrize("source", ["path", "text", "function"])
def test_key_comes_from_the_client(source: str, tmp_path: Path) -> None:
    """The key may be a path on the client, or a function of the node's own configuration."""
    path = tmp_path / "owners.key"
    KEY.save(path)
    keys: dict[str, Any] = {"path": path, "text": str(path), "function": lambda context: Key.load(path)}
    _, result = run(LocalGrid([app_of(0.1, mods=[TokenMod(SPEC, keys[source])]), app_of(0.1)]))
    assert [len(one.counted) for one in result.rounds] == [2, 2]


# ---------------------------------------------------------------------- privacy
def test_privacy_is_that_of_the_client_that_sent_most() -> None:
    """With a channel the result says what the rounds cost the client that took part most often."""
    spec = ParameterSpec.of(MODEL, clip=2.0, depth=4, channel=RandomizedResponse(4.0, depth=4))
    grid = LocalGrid([app_of(0.1, mods=[TokenMod(spec, KEY)]) for _ in range(3)])
    strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=3, min_available_nodes=3)
    _, result = run(grid, rounds=2, strategy=strategy, spec=spec)
    assert result.participations == {101: 2, 102: 2, 103: 2}
    assert result.privacy is not None
    assert result.privacy == spec.privacy(rounds=2)


def test_a_client_stops_after_its_rounds() -> None:
    """A client refuses more rounds than it allows, says so, and costs are not counted for it."""
    grid = LocalGrid([app_of(0.1, mods=[TokenMod(SPEC, KEY, max_rounds=1)]), app_of(0.1), app_of(0.1)])
    _, result = run(grid)
    assert [one.counted for one in result.rounds] == [(101, 102, 103), (102, 103)]
    assert "BudgetError" in result.rounds[1].left_out[101]
    assert result.participations == {101: 1, 102: 2, 103: 2}


# ---------------------------------------------------------------------- clients that fail
def set_nan(reply: Message, number: int) -> None:
    """Let training diverge in round 2."""
    if number == 2:
        reply.content["arrays"]["w"] = Array(np.full((1, 3), np.nan, dtype=np.float32))


def other_shape(reply: Message, _: int) -> None:
    reply.content["arrays"]["w"] = Array(np.zeros((3, 1), dtype=np.float32))


def fail(reply: Message, _: int) -> None:
    raise ValueError("a record with the value 4711")


def test_nan_weights_are_said_by_the_client() -> None:
    """A client whose weights are NaN names the tensor, sends nothing, and the round goes on without it."""
    grid = LocalGrid([app_of(0.1, change=set_nan), app_of(0.1), app_of(0.1)])
    _, result = run(grid)
    assert [one.counted for one in result.rounds] == [(101, 102, 103), (102, 103)]
    assert "DataError: tensor 'w'" in result.rounds[1].left_out[101]
    assert result.participations[101] == 1


def test_other_shapes_are_said_by_the_client() -> None:
    """A model of another shape never leaves as tokens; the message names the tensor."""
    grid = LocalGrid([app_of(0.1, change=other_shape), app_of(0.1), app_of(0.1)])
    _, result = run(grid, rounds=1)
    assert "DataError: tensor 'w'" in result.rounds[0].left_out[101]


def test_text_of_an_apps_error_stays_at_the_client() -> None:
    """The server learns the type of an app's error and its place, and not its text, which may hold a value."""
    grid = LocalGrid([app_of(0.1, change=fail), app_of(0.1), app_of(0.1)])
    _, result = run(grid, rounds=1)
    assert "ValueError at test_flower.py" in result.rounds[0].left_out[101]
    assert b"4711" not in b"".join(grid.seen)


def test_a_client_that_is_gone_is_left_out() -> None:
    """A client that does not answer is left out, and counted as one that may have sent tokens."""
    grid = LocalGrid([app_of(0.1), app_of(0.1), app_of(0.1)])
    grid.gone = {102}
    _, result = run(grid, rounds=1)
    assert result.rounds[0].counted == (101, 103)
    assert result.rounds[0].left_out == {102: "no reply came in time"}
    assert result.participations == {101: 1, 102: 1, 103: 1}


def repack(change: Callable[[ParameterTokens], Any]) -> Callable[[Message, int], None]:
    """Return what replaces the tokens of a reply."""

    def replace(reply: Message, _: int) -> None:
        record = reply.content["arrays"]
        content = change(ParameterTokens.from_bytes(record["hashcomb.tokens"].data))
        content = content if isinstance(content, bytes) else content.to_bytes()
        record["hashcomb.tokens"] = Array("uint8", (len(content),), "hashcomb.tokens", content)

    return replace


def header_with(tokens: ParameterTokens, old: bytes, new: bytes) -> bytes:
    """Return the bytes of tokens with another header, which lies about what they are."""
    line, rest = tokens.to_bytes().split(b"\n", 1)
    length = int.from_bytes(rest[:4], "little")
    text = rest[4 : 4 + length].replace(old, new)
    assert old in rest
    return b"\n".join([line, len(text).to_bytes(4, "little") + text + rest[4 + length :]])


def encoded(spec: ParameterSpec = SPEC, key: Key = KEY, run: str = f"flower run {RUN}") -> ParameterTokens:
    """Return tokens of another origin, of as many parameters."""
    model = {tensor.name: np.zeros(tensor.shape) for tensor in spec.tensors}
    return ParameterCodec(spec, key, round=1, dataset=run).encode(model)


OTHER_SPEC = ParameterSpec.of(MODEL, clip=1.0, depth=10)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (repack(lambda tokens: tokens.to_bytes()[:-8]), "cannot be read"),
        (repack(lambda tokens: b"no tokens"), "cannot be read"),
        (repack(lambda tokens: header_with(tokens, b'"sizes":[3,1]', b'"sizes":[3,1' + b"0" * 400 + b"]")), "be read"),
        (repack(lambda tokens: encoded(OTHER_SPEC)), "under another ParameterSpec: another fingerprint"),
        (repack(lambda tokens: header_with(tokens, b":1024,", b":1023,")), "ParameterSpec: another n_reports"),
        (
            repack(lambda tokens: header_with(tokens, b'"channel":null', b'"channel":{"kind":"x","params":{}}')),
            "ParameterSpec: another channel",
        ),
        (repack(lambda tokens: encoded(run="flower run 1")), "of another round or run"),
        (repack(lambda tokens: encoded(key=Key.create())), "with another key"),
        (lambda reply, _: reply.content.update({"metrics": MetricRecord({"num-examples": 0})}), "whole number of rows"),
        (lambda reply, _: reply.content.update({"metrics": MetricRecord({"num-examples": 2.5})}), "whole number"),
        (lambda reply, _: reply.content.update({"metrics": MetricRecord({"loss": 1.0})}), "whole number of rows"),
        (lambda reply, _: reply.content.update({"metrics": MetricRecord({"num-examples": 3})}), "other names"),
        (
            lambda reply, _: reply.content.update({"metrics": MetricRecord({"num-examples": 3, "loss": [0.5, 1.0]})}),
            "lengths",
        ),
        (lambda reply, _: reply.content.update({"more": MetricRecord({"x": 3})}), "2 records of metrics"),
        (lambda reply, _: reply.content.update({"arrays": record_of(MODEL)}), "holds no tokens"),
    ],
    ids=[
        "short",
        "junk",
        "huge",
        "spec",
        "reports",
        "channel",
        "round",
        "key",
        "no rows",
        "part rows",
        "no weight",
        "names",
        "lengths",
        "records",
        "plain",
    ],
)
def test_replies_that_cannot_be_counted(change: Any, why: str) -> None:
    """A reply that cannot be counted is left out and said why; the model is that of the others."""
    grid = LocalGrid([app_of(0.1), spoiled(app_of(0.9), change), app_of(0.1)])
    _, result = run(grid, rounds=1, strategy=FedAvg(fraction_evaluate=0.0, min_train_nodes=3, min_available_nodes=3))
    assert result.rounds[0].counted == (101, 103)
    assert why in result.rounds[0].left_out[102]
    assert np.abs(decoded(result)["b"] - 0.1).max() < STEP


def test_records_may_have_other_names() -> None:
    """A client that calls its record of arrays by another name is counted like the others."""

    def rename(reply: Message, _: int) -> None:
        reply.content["model"] = reply.content["arrays"]
        del reply.content["arrays"]

    _, result = run(LocalGrid([spoiled(app_of(0.1), rename), app_of(0.1)]), rounds=1)
    assert result.rounds[0].counted == (101, 102)


def test_evaluations_that_cannot_be_averaged_are_left_out() -> None:
    """A client that answers an evaluation with a list where others have a number is left out of the mean."""

    def listed(message: Message, context: Context) -> Message:
        reply = app_of(0.1)(message, context)
        if message.metadata.message_type == "evaluate":
            reply.content["metrics"] = MetricRecord({"num-examples": 10, "mean": [7.0, 8.0]})
        return reply

    _, result = run(LocalGrid([app_of(0.1), listed, app_of(0.1)]), rounds=1)
    assert abs(result.evaluate_metrics_clientapp[1]["mean"] - MODEL["w"].mean() - 0.1) < STEP


def test_an_error_of_flower_counts_as_sent() -> None:
    """Where Flower itself reports an error, tokens may have got lost on their way, and cost their client."""

    def lose(message: Message, context: Context) -> Message:
        return Message(Error(4, "reply unavailable"), reply_to=message)

    _, result = run(LocalGrid([app_of(0.1), lose, app_of(0.1)]), rounds=1)
    assert result.rounds[0].left_out == {102: "it failed (Flower's error 4)"}
    assert result.participations == {101: 1, 102: 1, 103: 1}


def test_what_a_client_says_is_one_short_line() -> None:
    """A client cannot write lines of its own into the server's log, nor pages."""

    def shout(message: Message, context: Context) -> Message:
        says = Complaint("DataError", "bad\n\x1b[2Jround 9: all is well" + "!" * 5000)
        return Message(Error(1, says.to_reason()), reply_to=message)

    _, result = run(LocalGrid([app_of(0.1), shout, app_of(0.1)]), rounds=1)
    said = result.rounds[0].left_out[102]
    assert said.isprintable()
    assert len(said) < 400


def test_the_server_may_know_the_key_by_name() -> None:
    """Where the server was told the public name of the Key, tokens of another are left out though most have it."""
    other = Key.create()
    grid = LocalGrid([app_of(0.1, mods=[TokenMod(SPEC, other)]) for _ in range(3)] + [app_of(0.1), app_of(0.1)])
    _, result = run(grid, rounds=1, key_id=KEY.id)
    assert result.rounds[0].counted == (104, 105)


# ---------------------------------------------------------------------- rounds that are lost
def test_a_lost_round_leaves_the_model() -> None:
    """A round with too few usable replies is lost, the model stays, and the next round goes on from it."""
    grid = LocalGrid([app_of(0.1, change=set_nan), app_of(0.1, change=set_nan), app_of(0.1)])
    _, result = run(grid, rounds=3)
    assert [len(one.counted) for one in result.rounds] == [3, 0, 3]
    assert np.abs(decoded(result)["b"] - 0.2).max() < 2 * STEP


def test_too_many_lost_rounds_end_the_run() -> None:
    """After so many lost rounds in a row the run ends with an error that says why, and keeps what it has."""
    grid = LocalGrid([app_of(0.1, change=fail), app_of(0.1, change=fail)])
    strategy = TokenStrategy(FedAvg(fraction_evaluate=0.0), SPEC, max_lost=2)
    with pytest.raises(ProtocolError, match=r"2 rounds in a row were lost; the last, for one: ClientAppError"):
        strategy.start(grid, record_of(MODEL), num_rounds=5)
    assert len(strategy.rounds) == 2


def garble(tokens: ParameterTokens) -> ParameterTokens:
    """Put tokens that nobody issued in the place of two."""
    wrong = np.array(tokens)
    wrong[1:3] = [12345, 67890]
    assert tokens.header is not None
    return ParameterTokens.stamp(wrong, tokens.header)


@pytest.mark.parametrize("evaluates", [1.0, 0.0])
def test_owners_detect_tokens_that_nobody_issued(evaluates: float) -> None:
    """Owners cannot decode such counts: the round is lost, its sender is asked no more, and the others go on."""

    def first_round(reply: Message, number: int) -> None:
        if number == 2:
            repack(garble)(reply, number)

    grid = LocalGrid([app_of(0.1), spoiled(app_of(0.1), first_round), app_of(0.1)])
    inner = FedAvg(fraction_evaluate=evaluates, min_train_nodes=2, min_available_nodes=2)
    strategy, result = run(grid, rounds=4, strategy=inner)
    assert strategy.excluded == {102: "it sent tokens that nobody issued"}
    assert result.rounds[1].counted == ()
    assert result.rounds[1].left_out[102] == "it sent tokens that nobody issued"
    assert result.rounds[3].counted == (101, 103)
    lost = sum(not one.counted for one in result.rounds)
    assert lost == (1 if evaluates else 2)
    assert np.abs(decoded(result)["b"] - 0.1 * (4 - lost)).max() < 4 * STEP


def test_too_few_other_nodes_end_the_run() -> None:
    """Where too few nodes are left without the one that sent such tokens, the run ends: it does not wait for ever."""
    grid = LocalGrid([app_of(0.1), spoiled(app_of(0.1), repack(garble)), app_of(0.1)])
    strategy = TokenStrategy(FedAvg(min_train_nodes=3, min_available_nodes=3), SPEC)
    with pytest.raises(ProtocolError, match="the others are fewer than 3"):
        strategy.start(grid, record_of(MODEL), num_rounds=3)


def test_an_owner_names_the_tensor_of_such_tokens() -> None:
    """Decoding a result with tokens that nobody issued is an error that names the tensor."""
    grid = LocalGrid([app_of(0.1), spoiled(app_of(0.1), repack(garble))])
    _, result = run(grid, rounds=1, strategy=FedAvg(fraction_evaluate=0.0))
    with pytest.raises(DataError, match="tensor 'w' has 2 tokens that nobody issued"):
        decoded(result)
    with pytest.warns(HashcombWarning, match="the mean is that of the others"):
        rest = arrays_of(decode_record(result.arrays, SPEC, KEY, unissued="drop"))
    assert np.abs(rest["w"] - MODEL["w"] - 0.1).max() < STEP


# ---------------------------------------------------------------------- what is refused
def test_the_client_refuses_a_round_twice() -> None:
    """Tokens of one round are sent once: equal weights would have equal tokens."""
    grid = LocalGrid([app_of(0.1), app_of(0.1)])
    run(grid, rounds=1)
    strategy = TokenStrategy(FedAvg(fraction_evaluate=0.0), SPEC, max_lost=1)
    with pytest.raises(ProtocolError, match="round 1 comes after round 1"):
        strategy.start(grid, record_of(MODEL), num_rounds=1)


def test_the_client_refuses_a_second_initial_model() -> None:
    """Plain arrays other than the initial model are refused: known weights would open the tokens of others."""
    grid = LocalGrid([app_of(0.1), app_of(0.1)])
    run(grid, rounds=1)
    other = record_of({name: array + 1 for name, array in MODEL.items()})
    replies = grid.send_and_receive(list(FedAvg().configure_train(2, other, ConfigRecord(), grid)))
    assert all("not the initial model" in str(reply.error.reason) for reply in replies)


def test_a_lost_first_round_is_made_up() -> None:
    """Where the first round is lost, the second one starts from the initial model again."""

    def late(reply: Message, number: int) -> None:
        if number == 1:
            raise ValueError

    _, result = run(LocalGrid([app_of(0.1), app_of(0.1, change=late)]))
    assert [one.counted for one in result.rounds] == [(), (101, 102)]
    assert np.abs(decoded(result)["b"] - 0.1).max() < STEP


def test_the_client_refuses_to_evaluate_with_arrays() -> None:
    """An app that answers an evaluation with arrays sends nothing: they would leave in the clear."""
    app = ClientApp(mods=[TokenMod(SPEC, KEY)])

    @app.evaluate()  # type: ignore[untyped-decorator]
    def evaluate(message: Message, context: Context) -> Message:
        content = RecordDict({"arrays": record_of({"w": np.full((1, 3), 0.7)}), "m": MetricRecord({"num-examples": 1})})
        return Message(content, reply_to=message)

    grid = LocalGrid([app])
    message = Message(RecordDict({"config": ConfigRecord({"server-round": 1})}), 101, "evaluate")
    (reply,) = grid.send_and_receive([message])
    assert "in the clear" in str(reply.error.reason)
    assert np.full((1, 3), 0.7).tobytes() not in b"".join(grid.seen)


def test_the_server_refuses_what_needs_weights() -> None:
    """A strategy that computes with numbers, an evaluation at the server and another model are refused."""
    grid = LocalGrid([app_of(0.1)])
    with pytest.raises(SpecError, match="FedAdam computes with the clients' numbers"):
        TokenStrategy(FedAdam(), SPEC)
    with pytest.raises(SpecError, match="evaluate_fn"):
        TokenStrategy(FedAvg(), SPEC).start(grid, record_of(MODEL), evaluate_fn=lambda *_: None)
    with pytest.raises(SpecError, match="initial_arrays"):
        TokenStrategy(FedAvg(), SPEC).start(grid, ArrayRecord([np.zeros(3)]))
    with pytest.raises(SpecError, match="min_replies"):
        TokenStrategy(FedAvg(), SPEC, min_replies=1)


def test_flower_cannot_average_tokens() -> None:
    """A FedAvg without TokenStrategy stops at the first reply: tokens are no numbers to it."""
    grid = LocalGrid([app_of(0.1), app_of(0.1)])
    with pytest.raises(TypeError):
        FedAvg().start(grid, record_of(MODEL), num_rounds=1)
