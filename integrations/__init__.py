"""Adapters to other libraries, one module a library and named after it; nothing is imported here."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from hashcomb.errors import MissingExtraError

__all__ = ("require",)


def require(extra: str, module: str) -> Any:
    """Import a module that an extra brings.

    Raises
    ------
    MissingExtraError
        If it is not installed; the message says how to install it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name.partition(".")[0]):
            raise  # the module is there, something that it imports is not
        raise MissingExtraError(f"this needs {module}", extra=extra) from None
