"""How the demo's processes speak to the one that started them: a line of JSON each way at a time."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from typing import Any

from hashcomb.errors import HashcombError

__all__ = ("main", "receive", "send")


def send(event: str, **facts: Any) -> None:
    """Tell the starter something."""
    sys.stdout.write(json.dumps({"event": event, **facts}) + "\n")
    sys.stdout.flush()


def receive() -> dict[str, Any]:
    """Wait for what the starter says; end quietly if it is gone."""
    line = sys.stdin.readline()
    if not line:
        sys.exit(1)
    message: dict[str, Any] = json.loads(line)
    return message


def main(work: Callable[[dict[str, Any]], None]) -> None:
    """Run a process of the demo; an error becomes a message."""
    warnings.simplefilter("ignore")
    try:
        work(receive())
    except HashcombError as error:
        send("error", problem=str(error))
        sys.exit(1)
