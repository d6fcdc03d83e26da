"""MPyC, behind a guard: the only file that imports it.

Importing mpyc parses the host program's ``sys.argv``, configures the root logger and may replace the event-loop
policy, so it is imported once, in a thread of its own, with all of that put back.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import sys
import threading
import warnings
from types import ModuleType
from typing import Any

from hashcomb.errors import ProtocolError

__all__ = ("import_mpyc", "runtime_options")

_lock = threading.Lock()


def import_mpyc() -> ModuleType:
    """Import mpyc.runtime without letting it touch the host program; raise `ProtocolError` if it cannot be."""
    with _lock:
        if "mpyc.runtime" in sys.modules:
            return sys.modules["mpyc.runtime"]
        root = logging.getLogger()
        argv, handlers, level = sys.argv, root.handlers[:], root.level
        environment = {name: os.environ.get(name) for name in ("MPYC_NOUVLOOP", "MPYC_MAXWORKERS")}
        failures: list[BaseException] = []
        thread = threading.Thread(target=_import_in_thread, args=(failures,), name="hashcomb-import-mpyc")
        quiet = logging.NullHandler()

        def not_from_there(record: logging.LogRecord) -> bool:
            return record.thread != thread.ident

        try:
            root.addHandler(quiet)  # with a handler there, basicConfig does nothing
            root.addFilter(not_from_there)
            os.environ["MPYC_NOUVLOOP"] = "1"
            sys.argv = [argv[0] if argv else "", "--no-log"]
            thread.start()
            thread.join()
        finally:
            sys.argv = argv
            root.removeFilter(not_from_there)
            root.handlers[:], root.level = handlers, level
            for name, value in environment.items():
                os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
        if failures:
            raise ProtocolError(f"mpyc cannot be imported: {type(failures[0]).__name__}") from failures[0]
        return sys.modules["mpyc.runtime"]


def _import_in_thread(failures: list[BaseException]) -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # of this thread; the caller's is not touched
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("mpyc.runtime")
    except BaseException as error:  # SystemExit among them
        failures.append(error)
    finally:
        loop.close()


def runtime_options(threshold: int) -> Any:
    """Return what MPyC's command line would give, without one."""
    options = sys.modules["mpyc"]._get_arg_parser().parse_args([])
    options.threshold, options.no_prss, options.no_async, options.no_log = threshold, True, False, True
    return options
