"""The server's side: a strategy that counts tokens where another one averages numbers."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg, Result, Strategy

from hashcomb.counts import count_parameters
from hashcomb.errors import ProtocolError, SpecError
from hashcomb.integrations.flower.records import COUNTS, TOKENS, Complaint, pack, salt_of, size_of
from hashcomb.integrations.flower.replies import Reply, Sorted, consistent, sort_replies
from hashcomb.parameters import ParameterPrivacy, ParameterSpec

__all__ = ("TokenResult", "TokenRound", "TokenStrategy")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TokenRound:
    """What happened in one round.

    Attributes
    ----------
    number : int
        The round, from 1.
    counted : tuple of int
        Nodes whose tokens were counted; empty if the round was lost, and the model stayed as it was.
    rows : int
        Rows that they trained on, as they say.
    left_out : dict of int to str
        Nodes that were asked and not counted, and why.
    bytes_up, bytes_down : int
        Bytes of arrays that clients sent in this round, and that they were sent for training.
    """

    number: int
    counted: tuple[int, ...]
    rows: int
    left_out: dict[int, str]
    bytes_up: int
    bytes_down: int


@dataclass(repr=False)  # Flower's own text does not spell out the bytes of arrays
class TokenResult(Result):  # type: ignore[misc]
    """What `TokenStrategy.start` returns: Flower's Result, and the rounds.

    Attributes
    ----------
    rounds : list of TokenRound
        What happened in each round.
    participations : dict of int to int
        In how many rounds each node sent tokens, counted or not.
    privacy : ParameterPrivacy or None
        What the tokens of the node that sent most often cost, over all rounds, at delta 1e-5; None without a channel.
    """

    rounds: list[TokenRound] = field(default_factory=list)
    participations: dict[int, int] = field(default_factory=dict)
    privacy: ParameterPrivacy | None = None

    def __repr__(self) -> str:
        rounds = "\n".join(f"\t{one}" for one in self.rounds)
        return f"{super().__repr__()}\nRounds:\n{rounds}\n"


class TokenStrategy(Strategy):  # type: ignore[misc]
    """Count the tokens of the clients' parameters, without their Key.

    It wraps a `FedAvg` (or a strategy that, like `FedProx`, leaves averaging as it is) and uses its options: which
    nodes are asked, the names of the records, how metrics are averaged.

    Parameters
    ----------
    strategy : flwr.serverapp.strategy.FedAvg
        The strategy to wrap.
    spec : ParameterSpec
        What the owners agreed on; it holds no secret.
    key_id : str, optional
        Public name of the owners' Key. By default tokens of the key that most clients have are counted.
    min_replies : int, optional
        A round with fewer usable replies is lost: the model stays as it was. At least 2, because the counts of one
        client show its parameters to the other owners.
    max_lost : int, optional
        After so many lost rounds in a row the run ends with a `ProtocolError`.

    Attributes
    ----------
    rounds : list of TokenRound
        What happened so far.
    participations : dict of int to int
        In how many rounds each node sent tokens.
    excluded : dict of int to str
        Nodes that are not asked any more, and why: they sent tokens that nobody issued.

    Raises
    ------
    SpecError
        If the strategy needs the clients' numbers, or an argument is out of its range.

    Notes
    -----
    Privacy: the server sees tokens, their header, numbers of rows and metrics. Counts of a round go to all owners,
    who decode them to the weighted mean of the clients that were counted, and can read more from them: the points of
    the grid that clients have at each coordinate, and the rows behind each. With few clients, or rows that differ, that
    is nearly the other clients' parameters. A channel protects from it, and so do sums (`SumStrategy`). Once sent,
    the counts of a round are never sent again without one of the clients, since the difference would be that client's
    tokens: where owners find tokens that nobody issued, the round is lost, and the model is that of the round before.
    """

    def __init__(
        self,
        strategy: FedAvg,
        spec: ParameterSpec,
        *,
        key_id: str | None = None,
        min_replies: int = 2,
        max_lost: int = 3,
    ) -> None:
        if getattr(type(strategy), "aggregate_train", None) is not FedAvg.aggregate_train:
            problem = f"{type(strategy).__name__} computes with the clients' numbers, and the server has none"
            raise SpecError(problem, path="strategy", hint="wrap FedAvg or FedProx")
        for name, value, least in (("min_replies", min_replies, 2), ("max_lost", max_lost, 1)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SpecError(f"must be a whole number, at least {least}", path=name)
        self.strategy, self.spec, self.key_id = strategy, spec, key_id
        self.min_replies, self.max_lost = min_replies, max_lost
        self.rounds: list[TokenRound] = []
        self.participations: dict[int, int] = {}
        self.excluded: dict[int, str] = {}
        self._accepted: ArrayRecord | None = None  # what owners have decoded, or the public initial model
        self._newest: ArrayRecord | None = None  # counts that no owner has decoded yet
        self._counted: list[Reply] = []  # whose tokens these are
        self._asked: dict[int, int] = {}
        self._salt = ""
        self._lost = 0

    # ------------------------------------------------------------------ Flower's Strategy
    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int = 3,
        timeout: float = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: Callable[[int, ArrayRecord], MetricRecord | None] | None = None,
    ) -> TokenResult:
        """Run the rounds; as Flower's own, with counts of tokens in the result in place of arrays.

        Parameters
        ----------
        grid : flwr.serverapp.Grid
            Where the nodes are.
        initial_arrays : flwr.app.ArrayRecord
            The initial model, which is public.
        num_rounds : int, optional
            Number of rounds.
        timeout : float, optional
            Seconds to wait for the replies of a round.
        train_config, evaluate_config : flwr.app.ConfigRecord, optional
            What the apps are told.
        evaluate_fn : optional
            Must be None: the server has no model to evaluate. Clients do it: ``@app.evaluate()``.

        Returns
        -------
        TokenResult
            An owner reads ``result.arrays`` with `decode_record`.

        Raises
        ------
        SpecError
            If there is an `evaluate_fn`, or the initial arrays are not those of the ParameterSpec.
        ProtocolError
            If too many rounds in a row are lost.
        """
        if evaluate_fn is not None:
            hint = "evaluate at the clients, with @app.evaluate()"
            raise SpecError("the server has tokens and cannot evaluate a model", path="evaluate_fn", hint=hint)
        self._check_initial(initial_arrays)
        self._accepted, self._newest, self._lost = initial_arrays, None, 0
        result = super().start(grid, initial_arrays, num_rounds, timeout, train_config, evaluate_config)
        parts = {name: getattr(result, name) for name in Result.__dataclass_fields__}
        parts["arrays"] = self._model(initial_arrays)
        return TokenResult(**parts, rounds=self.rounds, participations=self.participations, privacy=self.privacy())

    def privacy(self, delta: float = 1e-5) -> ParameterPrivacy | None:
        """Return what the tokens so far cost the client that sent most often; None without a channel, or tokens.

        Parameters
        ----------
        delta : float, optional
            As for ``spec.privacy``.
        """
        most = max(self.participations.values(), default=0)
        return self.spec.privacy(rounds=most, delta=delta) if most and self.spec.channel is not None else None

    def summary(self) -> None:
        """Log what the strategy does."""
        self.strategy.summary()
        _log.info("tokens of %d parameters are counted, not averaged", self.spec.n_parameters)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask the nodes that the wrapped strategy samples."""
        chosen = self.strategy.configure_train(server_round, self._model(arrays), config, self._nodes(grid))
        messages = list(chosen)
        self._asked = {message.metadata.dst_node_id: size_of(message.content) for message in messages}
        self._salt = salt_of(messages[0].metadata.run_id) if messages else ""
        return messages

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Count the tokens of the replies that can be counted, and say why the others cannot."""
        messages = list(replies)
        if not self._asked:
            return None, None
        weight_key = self.strategy.weighted_by_key
        found = sort_replies(messages, self.spec, (self._salt, server_round), weight_key, self.key_id)
        for node in self._asked.keys() - found.left_out.keys() - {reply.node for reply in found.usable}:
            found.left_out[node] = "no reply came in time"
            found.sent.add(node)  # it may have sent tokens that got lost
        for node in found.sent:
            self.participations[node] = self.participations.get(node, 0) + 1
        lost = self._judge(found.complaints, len(found.usable)) or len(found.usable) < self.min_replies
        counted = [] if lost else found.usable
        self._note(server_round, found, counted)
        if not counted:
            return self._accepted, None
        return self._count(counted), self._metrics(server_round, counted, messages)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask the nodes that the wrapped strategy samples."""
        return list(self.strategy.configure_evaluate(server_round, self._model(arrays), config, self._nodes(grid)))

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Average the metrics of the replies that can be averaged."""
        messages, left_out = consistent(replies, self.strategy.weighted_by_key)
        for node, why in left_out.items():
            _log.warning("round %d, evaluation: node %d is left out: %s", server_round, node, why)
        failed = {m.metadata.src_node_id: m for m in messages if m.has_error()}
        said = {node: Complaint.from_reason(message.error.reason) for node, message in failed.items()}
        complaints = {node: complaint for node, complaint in said.items() if complaint is not None}
        self._judge(complaints, len(messages) - len(failed))
        return self.strategy.aggregate_evaluate(server_round, messages)

    # ------------------------------------------------------------------ counting
    def _count(self, counted: list[Reply]) -> ArrayRecord:
        counts = count_parameters([reply.tokens for reply in counted], weights=[reply.rows for reply in counted])
        self._newest, self._counted = pack(COUNTS, counts.to_bytes()), counted
        return self._newest

    def _metrics(self, number: int, counted: list[Reply], messages: list[Message]) -> MetricRecord | None:
        """Let the wrapped strategy average the metrics: it sees the replies without their tokens."""
        for reply in counted:
            for name in list(reply.message.content.array_records):
                del reply.message.content[name]
            # Under one name: Flower refuses to average where clients call their records by different ones.
            reply.message.content[TOKENS] = ArrayRecord({"counted": Array(np.zeros(0))})
        whole = [reply.message for reply in counted] + [message for message in messages if message.has_error()]
        return self.strategy.aggregate_train(number, whole)[1]

    def _note(self, number: int, found: Sorted, counted: list[Reply]) -> None:
        for node, why in found.left_out.items():
            _log.warning("round %d: node %d is left out: %s", number, node, why)
        nodes, rows = tuple(sorted(reply.node for reply in counted)), sum(reply.rows for reply in counted)
        down = sum(self._asked.values())
        self.rounds.append(TokenRound(number, nodes, rows, found.left_out, found.n_bytes, down))
        self._lost = 0 if counted else self._lost + 1
        if self._lost >= self.max_lost:
            why = next(iter(found.left_out.values()), "no node was asked")
            hint = "see strategy.rounds; counts and model are those of the last good round"
            raise ProtocolError(f"{self._lost} rounds in a row were lost; the last, for one: {why}", hint=hint)

    # ------------------------------------------------------------------ what owners say of the newest counts
    def _model(self, arrays: ArrayRecord) -> ArrayRecord:
        known = (self._newest, self._accepted, arrays)
        return next(record for record in known if record is not None)

    def _judge(self, complaints: dict[int, Complaint], n_decoded: int) -> bool:
        """Take the newest counts for good, or drop them if most owners cannot decode them; return whether dropped."""
        against = [complaint for complaint in complaints.values() if complaint.undecodable]
        if self._newest is None:
            return False
        if len(against) <= n_decoded:
            if n_decoded:
                self._accepted, self._newest = self._newest, None
            return False
        self._newest = None
        named = Counter(node for complaint in against for node in self._senders(complaint.unknown))
        for node, votes in named.items():
            if 2 * votes > len(against):
                self.excluded[node] = "it sent tokens that nobody issued"
                _log.warning("node %d is not asked any more: %s", node, self.excluded[node])
        if self.rounds:
            last = self.rounds[-1]
            said = last.left_out | {reply.node: "owners cannot decode the counts" for reply in self._counted}
            said |= {node: why for node, why in self.excluded.items() if node in said}
            self.rounds[-1] = replace(last, counted=(), rows=0, left_out=said)
        return True

    def _senders(self, unknown: list[int]) -> set[int]:
        wanted = np.array([token for token in unknown if 0 <= token < 1 << 64], dtype=np.uint64)
        return {reply.node for reply in self._counted if np.isin(reply.tokens, wanted).any()}

    def _nodes(self, grid: Grid) -> Any:
        if not self.excluded:
            return grid
        others = _Without(grid, set(self.excluded))
        needed = max(self.strategy.min_available_nodes, self.strategy.min_train_nodes)
        if len(others.get_node_ids()) < needed:  # Flower would wait for more, perhaps for ever
            problem = (
                f"{len(self.excluded)} nodes sent tokens that nobody issued, and the others are fewer than {needed}"
            )
            raise ProtocolError(problem, hint="find out what these clients run, or ask for fewer nodes")
        return others

    def _check_initial(self, initial: ArrayRecord) -> None:
        shapes = {str(name): tuple(array.shape) for name, array in initial.items()}
        if shapes != {tensor.name: tuple(tensor.shape) for tensor in self.spec.tensors}:
            raise SpecError("the names or shapes are not those of the ParameterSpec", path="initial_arrays")


class _Without:
    """A grid without some of its nodes."""

    def __init__(self, grid: Grid, excluded: set[int]) -> None:
        self._grid, self._excluded = grid, excluded

    def get_node_ids(self) -> list[int]:
        return [node for node in self._grid.get_node_ids() if node not in self._excluded]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._grid, name)
