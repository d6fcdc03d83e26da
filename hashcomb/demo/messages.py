"""How the demo's processes speak to the one that started them: a line of JSON each way at a time."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

from hashcomb.errors import HashcombError, unforeseen

__all__ = ("main", "receive", "send")


# What a library prints must not be taken for a message: the stream is ours, and print goes to stderr.
_out = sys.stdout


def send(event: str, **facts: Any) -> None:
    """Tell the starter something."""
    _out.write(json.dumps({"event": event, **facts}) + "\n")
    _out.flush()


def receive() -> dict[str, Any]:
    """Wait for what the starter says; end quietly if it is gone."""
    line = sys.stdin.readline()
    if not line:
        sys.exit(1)
    message: dict[str, Any] = json.loads(line)
    return message


def main(work: Callable[[dict[str, Any]], None]) -> None:
    """Run a process of the demo; an error becomes a message."""
    global _out  # noqa: PLW0603 the stream of this process
    _out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    try:
        work(receive())
    except HashcombError as error:
        send("error", problem=str(error))
        sys.exit(1)
    except Exception as error:
        send("error", problem=unforeseen(error))
        sys.exit(1)
