"""Text to plain documents, and documents to typed records; strict, and with one kind of error."""

from __future__ import annotations

import json
import os
import re
import tomllib
from typing import Any, NoReturn, TypeVar

import msgspec
import numpy as np

from hashcomb.errors import SpecError

__all__ = ("MAX_BYTES", "parse_json", "parse_toml", "to_record", "without_none")

MAX_BYTES = 64 << 20

T = TypeVar("T")


def parse_json(text: str | bytes) -> Any:
    """Parse JSON; refuse repeated keys, numbers that are none, deep nesting and more than 64 MiB.

    Raises
    ------
    SpecError
        If the text is refused; the message says where, and repeats at most a character of it.
    """
    return _parse(text, _load_json)


def parse_toml(text: str | bytes) -> Any:
    """Parse TOML; as `parse_json`."""
    return _parse(text, _load_toml)


# A run of dotted keys, which tomllib takes time and memory for that grow with the square of its length; or a
# string or a comment, whose dots do not count.
_DOTTED = re.compile(
    r"""(?P<run>(?<![\w.-])(?:(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64})"""
    r"""|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'|\#[^\n]*+"""
)


def _load_toml(text: str) -> Any:
    if any(found["run"] for found in _DOTTED.finditer(text)):
        raise SpecError("nested too deep", hint="hashcomb writes no such document")
    return tomllib.loads(text)


def _parse(text: str | bytes, load: Any) -> Any:
    if len(text) > MAX_BYTES:
        raise SpecError(f"longer than {MAX_BYTES} bytes", hint="a document of this size is not plausible")
    try:
        return load(text if isinstance(text, str) else text.decode("utf-8"))
    except SpecError:
        raise
    except (RecursionError, MemoryError):
        raise SpecError("nested too deep", hint="hashcomb writes no such document") from None
    except (ValueError, OverflowError) as error:
        raise SpecError(f"cannot be parsed: {_first_line(error)}") from None


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def _load_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise SpecError("a key occurs twice", hint="two readers could take it for two different documents")
    return document


def _no_constant(name: str) -> NoReturn:
    raise SpecError(f"{name} is not a number that a document may hold")


def to_record(document: Any, kind: type[T]) -> T:
    """Convert a document to a record; refuse unknown fields and wrong types.

    Raises
    ------
    SpecError
        If it does not fit; ``path`` names the field.
    """
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        path = path.strip("`.")
        if isinstance(error.__cause__, SpecError):
            raise (error.__cause__.within(path) if path else error.__cause__) from None
        raise SpecError(problem, path=path) from None
    except (OverflowError, RecursionError) as error:
        raise SpecError(f"cannot be read: {_first_line(error)}") from None


def settle_types(record: msgspec.Struct) -> None:
    """Convert the fields of a record that was made in Python to their types, as `to_record` does for a document.

    Raises
    ------
    SpecError
        If a field is of another type, or none of the allowed words; ``path`` names it.
    """
    for field in msgspec.structs.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, np.generic):
            value = value.item()
        elif isinstance(value, os.PathLike):
            value = os.fspath(value)
        try:
            msgspec.structs.force_setattr(record, field.name, msgspec.convert(value, field.type))
        except msgspec.ValidationError as error:
            raise SpecError(str(error).partition(" - at")[0], path=field.name) from None


def without_none(document: Any) -> Any:
    """Return the document without fields that are None, which TOML cannot write."""
    if isinstance(document, dict):
        return {key: without_none(value) for key, value in document.items() if value is not None}
    return [without_none(item) for item in document] if isinstance(document, list | tuple) else document
