"""The client's side: a mod that decodes what the server sends and encodes what the app answers."""

from __future__ import annotations

import hashlib
import logging
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Context, Error, Message
from flwr.common.constant import ErrorCode

from hashcomb import Key
from hashcomb.counts import ParameterCounts
from hashcomb.errors import BudgetError, DataError, HashcombError, KeyMaterialError, ProtocolError
from hashcomb.integrations.flower.records import (
    COUNTS,
    TOKENS,
    Complaint,
    arrays_of,
    codec_of,
    decode_record,
    pack,
    salt_of,
    unpack,
)
from hashcomb.parameters import ParameterCodec, ParameterSpec

__all__ = ("KeySource", "TokenMod", "complain", "failure", "round_of")

KeySource = Key | str | os.PathLike[str] | Callable[[Context], Key]

_STATE = "hashcomb"
_MAX_UNISSUED = 8  # enough to tell who sent them
_log = logging.getLogger(__name__)


class TokenMod:
    """Let a ClientApp train on numbers while only tokens leave the client.

    On arrival it decodes the server's counts, so that the app sees arrays; before the reply leaves it replaces the
    app's arrays by tokens. The app stays as it is: ``ClientApp(mods=[TokenMod(spec, key)])``.

    Parameters
    ----------
    spec : ParameterSpec
        What the owners agreed on.
    key : Key, path, or callable
        The secret that the owners share: the Key, the path of its file on the client's machine, or a function of
        Flower's Context that returns it (a path of the client's own: ``context.node_config["key-file"]``). It is
        read when the first message comes. Nothing of it goes into a message or a configuration.
    max_rounds : int, optional
        How many times this client sends tokens in one run, at most; further requests are refused.

    Notes
    -----
    Privacy: tokens leave, with their public header; the number of rows and whatever metrics the app returns leave as
    they are. Without a channel the tokens have no differential privacy: the server sees which clients have equal
    parameters, and every key holder that gets hold of a client's tokens reads its parameters. With a channel every
    round costs ``spec.privacy()`` once more. A reply to anything but a train message carries no arrays, and a round is
    encoded once. The first plain arrays of a run are taken for the public initial model, and others refused: tokens
    of a model that the server has chosen would open those of other clients. Still, the server is trusted to follow
    the protocol: to send the same model to all, and counts that it has counted. If the app fails, the server learns
    the type of the error and its place, not its text, which goes to the client's log.
    """

    def __init__(self, spec: ParameterSpec, key: KeySource, *, max_rounds: int | None = None) -> None:
        self.spec = spec
        self.max_rounds = max_rounds
        self._source = key

    def __call__(self, message: Message, context: Context, call_next: Callable[[Message, Context], Message]) -> Message:
        """Handle a message of the server; every error becomes a reply that says so."""
        try:
            return self._handle(message, context, call_next)
        except HashcombError as error:
            return complain(message, Complaint.of(error))
        except Exception as error:
            _log.exception("the client app failed; the server is told the type of the error only")
            return complain(message, Complaint("ClientAppError", failure(error)))

    def _handle(self, message: Message, context: Context, call_next: Callable[[Message, Context], Message]) -> Message:
        training = message.metadata.message_type.partition(".")[0] == "train"
        if training:
            self._check_round(round_of(message), context)
        key = self._key(context)
        for name, record in list(message.content.array_records.items()):
            try:
                message.content[name] = self._decoded(record, key, context)
            except DataError as error:
                return complain(message, self._undecodable(error, record, key))
        reply = call_next(message, context)
        if reply.has_error():
            return reply
        if training:
            self._encode(reply, message, key, context)
        elif reply.content.array_records:
            kind = message.metadata.message_type
            problem = f"the app answers a message of type {kind!r} with arrays, which would leave in the clear"
            raise ProtocolError(problem, hint="return arrays from train alone")
        return reply

    def _key(self, context: Context) -> Key:
        if isinstance(self._source, Key):
            return self._source
        if callable(self._source):
            key = self._source(context)
            if not isinstance(key, Key):
                raise KeyMaterialError("the function for the key returned none", hint="return a hashcomb.Key")
            return key
        return Key.load(Path(self._source))

    def _decoded(self, record: ArrayRecord, key: Key, context: Context) -> ArrayRecord:
        if unpack(record, COUNTS) is None:
            self._pin(record, context)
        return decode_record(record, self.spec, key)

    def _pin(self, record: ArrayRecord, context: Context) -> None:
        """Take plain arrays for the initial model if they are the first in this run, or the same again."""
        parts = [part for name, array in record.items() for part in (name.encode(), array.data)]
        digest = hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).hexdigest()
        state = _state(context)
        if state.setdefault("initial-model", digest) != digest:
            problem = "the server sent plain arrays that are not the initial model"
            raise ProtocolError(problem, hint="run the ServerApp's strategy inside TokenStrategy")

    def _undecodable(self, error: DataError, record: ArrayRecord, key: Key) -> Complaint:
        """Name tokens that nobody issued, so that the server can tell who sent them; they stand for no weight."""
        counts = ParameterCounts.from_bytes(unpack(record, COUNTS) or b"")
        unknown = codec_of(self.spec, key, counts).unissued(counts)[:_MAX_UNISSUED]
        return Complaint.of(error, unknown=unknown.tolist(), undecodable=True)

    def _check_round(self, number: int, context: Context) -> None:
        state = _state(context)
        last, sent = int(state["last-round"]), int(state["rounds-sent"])
        if number <= last:
            raise ProtocolError(f"round {number} comes after round {last}, for which tokens were sent already")
        if self.max_rounds is not None and sent >= self.max_rounds:
            raise BudgetError(f"tokens were sent in {sent} rounds, as many as allowed", asked=1.0, left=0.0)

    def _encode(self, reply: Message, message: Message, key: Key, context: Context) -> None:
        records = reply.content.array_records
        if len(records) != 1:
            raise ProtocolError(f"the app's reply has {len(records)} records of arrays, not one")
        name, record = next(iter(records.items()))
        number = round_of(message)
        codec = ParameterCodec(self.spec, key, round=number, dataset=salt_of(message.metadata.run_id))
        tokens = codec.encode(arrays_of(record))
        state = _state(context)
        state["last-round"], state["rounds-sent"] = number, int(state["rounds-sent"]) + 1
        reply.content[name] = pack(TOKENS, tokens.to_bytes())


def complain(message: Message, complaint: Complaint) -> Message:
    """Return the reply that tells the server why there is no other."""
    return Message(Error(ErrorCode.MOD_FAILED_PRECONDITION, complaint.to_reason()), reply_to=message)


def round_of(message: Message) -> int:
    """Return the number of the round; raise `ProtocolError` if the server does not say it."""
    for record in message.content.config_records.values():
        number = record.get("server-round")
        if isinstance(number, int) and not isinstance(number, bool) and number >= 1:
            return number
    raise ProtocolError("the server's message does not say which round it is")


def _state(context: Context) -> Any:
    """Return what this client remembers of the run: the last round that tokens were sent for, and how many."""
    if _STATE not in context.state:
        context.state[_STATE] = ConfigRecord({"last-round": 0, "rounds-sent": 0})
    return context.state[_STATE]


def failure(error: BaseException) -> str:
    """Say of an app's error its type and place only: its text may hold anything, a record too."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"the client app failed ({type(error).__name__}{place}); its own log says more"
