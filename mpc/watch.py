"""Which step an agreement is at, and how long each took."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

__all__ = ("Progress", "Watch")

Progress = Callable[[str], None]


class Watch:
    """Tells the caller, and the connections, which step begins.

    Parameters
    ----------
    progress : callable, optional
        Called with the name of each step as it begins.
    """

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress or (lambda _: None)
        self._seconds: dict[str, float] = {}
        self._step, self._since = "", 0.0
        self.link: Any = None

    def start(self, step: str) -> None:
        """Begin a step."""
        self.stop()
        if self.link is not None:
            self.link.step = step
        self._step, self._since = step, time.perf_counter()
        self._progress(step)

    def stop(self) -> dict[str, float]:
        """End the step; return the wall time of each so far."""
        if self._step:
            self._seconds[self._step] = time.perf_counter() - self._since
            self._step = ""
        return self._seconds
