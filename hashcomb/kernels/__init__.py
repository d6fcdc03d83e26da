"""Here be numba: loops over preallocated arrays, and the same in NumPy (``reference``).

Kernels take arrays and scalars, write into their last arguments and return nothing. They allocate at most a
row's worth, raise nothing, and count what is bad instead of branching on it.
"""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType

__all__ = ("choose",)

# Loading numba and the cached kernels costs about a second, NumPy's twins some 50 ns a value: below this many
# values in the life of the process, the twins are done first.
TWIN_VALUES = 4_000_000
_lock = threading.Lock()


class _Seen:
    """How many values this process has worked on with the twins."""

    n_values = 0


def choose(n_values: int) -> ModuleType:
    """Return the module of kernels to use for the next `n_values` values.

    Parameters
    ----------
    n_values : int
        How many values are about to be worked on.

    Returns
    -------
    module
        ``kernels.compiled``, or ``kernels.reference`` while so few values have been seen that compiling
        would take longer than it saves. Both give the same bytes.
    """
    if f"{__name__}.compiled" not in sys.modules:
        with _lock:
            _Seen.n_values += n_values
        if _Seen.n_values < TWIN_VALUES:
            return importlib.import_module(f"{__name__}.reference")
    return importlib.import_module(f"{__name__}.compiled")
