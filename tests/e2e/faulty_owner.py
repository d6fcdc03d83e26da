"""An owner that fails on purpose, as a process of its own: ``python faulty_owner.py FAULT STEP PARTY NAME [CSV]``.

FAULT is ``kill`` or ``stop``, which send this process SIGKILL or SIGSTOP the moment STEP begins; ``before-N`` or
``after-N``, which kill it before or after round N of the messages of STEP; or ``version-N``, which lets it speak
version N of the protocol. Who takes part without rows is a helper. What is agreed on is not written.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from hashcomb.errors import HashcombError
from hashcomb.formats import read_all
from hashcomb.mpc import agree, help_owners, load_party
from hashcomb.mpc.network import connection, messages, runtime


def at_step(fault: str, wanted: str) -> Callable[[str], None]:
    """Return what stops or kills this process as a step begins."""
    sent = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}.get(fault)

    def progress(step: str) -> None:
        if sent is not None and step == wanted:
            os.kill(os.getpid(), sent)

    return progress


def at_round(fault: str, wanted: str) -> None:
    """Let this process be killed before or after a round of the messages of a step, counted from 1."""
    when, _, number = fault.partition("-")
    play, counted = runtime._RuntimeMixin._round, itertools.count(1)

    async def round_(self: Any, *arguments: Any) -> Any:
        now = self.step == wanted and next(counted) == int(number)
        if now and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        got = await play(self, *arguments)
        if now:
            os.kill(os.getpid(), signal.SIGKILL)
        return got

    runtime._RuntimeMixin._round = round_  # type: ignore[assignment,method-assign]


def main(fault: str, step: str, path: str, name: str, csv: str = "") -> None:
    """Take part until the fault."""
    if fault.startswith(("before-", "after-")):
        at_round(fault, step)
    elif fault.startswith("version-"):
        messages.VERSION = int(fault.partition("-")[2])
        vars(connection)["VERSION"] = messages.VERSION  # which that module has imported by name
    party, policy, _ = load_party(path, name=name, tls_key=f"{name}-tls.key")
    progress = at_step(fault, step)
    if csv:
        asyncio.run(agree(party, read_all(csv, (), list(policy.text_columns)), policy, progress=progress))
    else:
        asyncio.run(help_owners(party, policy, progress=progress))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except HashcombError as error:
        sys.exit(f"error: {error}")
