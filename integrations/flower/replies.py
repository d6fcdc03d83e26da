"""The server's side of a round: which replies can be counted, and why the others cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from flwr.app import Message, RecordDict

from hashcomb.counts import ParameterHeader
from hashcomb.errors import HashcombError
from hashcomb.integrations.flower.records import TOKENS, Complaint, unpack
from hashcomb.parameters import ParameterSpec, ParameterTokens

__all__ = ("Reply", "Sorted", "consistent", "reason_of", "sort_replies")

_MAX_ROWS = 1 << 31


@dataclass
class Reply:
    """A reply that can be counted."""

    node: int
    tokens: ParameterTokens
    rows: int
    message: Message


@dataclass
class Sorted:
    """The replies of a round.

    Attributes
    ----------
    usable : list of Reply
        In the order in which they came.
    left_out : dict of int to str
        Why the others cannot be used, by node.
    complaints : dict of int to Complaint
        What clients with hashcomb said that could not take part.
    sent : set of int
        Nodes whose tokens arrived, usable or not: it has cost them privacy.
    n_bytes : int
        Bytes of arrays that came.
    """

    usable: list[Reply] = field(default_factory=list)
    left_out: dict[int, str] = field(default_factory=dict)
    complaints: dict[int, Complaint] = field(default_factory=dict)
    sent: set[int] = field(default_factory=set)
    n_bytes: int = 0


class _Unusable(Exception):
    """Why a reply cannot be counted."""


def sort_replies(
    replies: Iterable[Message], spec: ParameterSpec, salt: tuple[str, int], weight_key: str, key_id: str | None
) -> Sorted:
    """Say of each reply of a training round whether it can be counted.

    Parameters
    ----------
    replies : iterable of flwr.app.Message
        What came.
    spec : ParameterSpec
        What the owners agreed on.
    salt : tuple of str and int
        Name of the data set and number of the round in the tokens' header.
    weight_key : str
        Name of the metric that holds the number of rows.
    key_id : str or None
        Public name of the owners' Key; None to take the one that most clients have.
    """
    found = Sorted()
    wanted = spec.header(key_id="", dataset=salt[0], round=salt[1])
    for message in replies:
        node = message.metadata.src_node_id
        if node in found.left_out or any(reply.node == node for reply in found.usable):
            continue  # one reply a node counts, the first
        try:
            found.usable.append(_reply(message, node, found, wanted, weight_key))
        except _Unusable as unusable:
            found.left_out[node] = str(unusable)
    _keep(
        found,
        lambda reply: reply.tokens.header and reply.tokens.header.key_id,
        key_id,
        "its tokens were made with another key",
    )
    _keep(
        found,
        lambda reply: _metric_names(reply.message),
        None,
        "its metrics have other names or lengths than most clients'",
    )
    return found


def _reply(message: Message, node: int, found: Sorted, wanted: ParameterHeader, weight_key: str) -> Reply:
    if message.has_error():
        complaint = Complaint.from_reason(message.error.reason)
        if complaint is not None:
            found.complaints[node] = complaint
        else:
            found.sent.add(node)  # the error may be Flower's, of tokens that got lost on their way
        raise _Unusable(reason_of(message))
    found.sent.add(node)
    records = list(message.content.array_records.values())
    found.n_bytes += sum(len(array.data) for record in records for array in record.values())
    content = unpack(records[0], TOKENS) if len(records) == 1 else None
    if content is None:
        raise _Unusable("its reply holds no tokens; is TokenMod among the mods of its ClientApp?")
    tokens = _tokens(content)
    _check(tokens, wanted)
    return Reply(node, tokens, _rows(message.content, weight_key), message)


def _tokens(content: bytes) -> ParameterTokens:
    try:
        return ParameterTokens.from_bytes(content)
    except HashcombError as error:
        raise _Unusable(f"its tokens cannot be read: {error}") from None


def _check(tokens: ParameterTokens, wanted: ParameterHeader) -> None:
    assert tokens.header is not None  # from_bytes gives one
    field = msgspec.structs.replace(tokens.header, key_id="").differs_from(wanted)
    if field in ("dataset", "round"):
        raise _Unusable("its tokens are of another round or run")
    if field is not None:
        raise _Unusable(f"its tokens were made under another ParameterSpec: another {field}")


def _rows(content: RecordDict, weight_key: str) -> int:
    records = list(content.metric_records.values())
    if len(records) != 1:
        raise _Unusable(f"its reply has {len(records)} records of metrics, not one")
    rows: Any = records[0].get(weight_key)
    if isinstance(rows, bool) or not isinstance(rows, int | float) or not 0 < rows < _MAX_ROWS or int(rows) != rows:
        raise _Unusable(f"its metric {weight_key!r} is no whole number of rows, at least 1")
    return int(rows)


def reason_of(message: Message) -> str:
    """Return why a client sent an error, in its own words."""
    complaint = Complaint.from_reason(message.error.reason)
    if complaint is not None:
        return f"{complaint.error}: {complaint.says}"
    return f"it failed (Flower's error {message.error.code})"


def _metric_names(message: Message) -> Hashable:
    """Return what metrics must have in common for Flower to average them: names, and lengths of lists."""
    return frozenset(
        (key, name, len(value) if isinstance(value, list) else None)
        for key, record in message.content.metric_records.items()
        for name, value in record.items()
    )


def _keep(found: Sorted, of: Any, wanted: Hashable, why: str) -> None:
    """Leave out the replies that differ: from what is wanted, or from most others."""
    values = {reply.node: of(reply) for reply in found.usable}
    if wanted is None and values:
        wanted = Counter(values.values()).most_common(1)[0][0]
    found.left_out |= {node: why for node, value in values.items() if value != wanted}
    found.usable = [reply for reply in found.usable if values[reply.node] == wanted]


def consistent(replies: Iterable[Message], weight_key: str) -> tuple[list[Message], dict[int, str]]:
    """Return the replies of an evaluation that can be averaged, errors among them, and why others cannot."""
    whole: list[Message] = []
    errors: list[Message] = []
    left_out: dict[int, str] = {}
    for message in replies:
        node = message.metadata.src_node_id
        if message.has_error():
            errors.append(message)
            left_out[node] = reason_of(message)
            continue
        try:
            _rows(message.content, weight_key)
            whole.append(message)
        except _Unusable as unusable:
            left_out[node] = str(unusable)
    names = Counter(_metric_names(message) for message in whole).most_common(1)
    odd = [message for message in whole if _metric_names(message) != names[0][0]]
    left_out |= {m.metadata.src_node_id: "its metrics have other names or lengths than most clients'" for m in odd}
    return [message for message in whole if message not in odd] + errors, left_out
