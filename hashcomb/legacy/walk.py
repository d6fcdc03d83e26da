"""Walk over the opcodes of a pickle, and interpret those that a configuration needs.

A pickle is a program: whoever loads one runs it. Here nothing is loaded. The opcodes are walked one by one, and the few
that plain data and the PyPI package's own two classes take are interpreted, by a table in this file; their objects
become inert records. Every other opcode ends the reading before its argument is looked at, and every other name
before anything is made of it.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from hashcomb.errors import FileFormatError

__all__ = ("Record", "Walk")

_MAX_OBJECTS = 1 << 20  # dictionaries and records; a node of the tree takes one of each
_MAX_MARKS = 64  # dictionaries that are filled at the same time: one for each level of the tree, and three around it

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Record:
    """An object of one of the package's classes.

    Attributes
    ----------
    kind : {"Tree", "Node"}
        Its class, by name; nothing of that class is here.
    parts : dict or None
        Its attributes, once they were read.
    """

    kind: str
    parts: dict[str, Any] | None = None


@dataclass(frozen=True)
class _Class:
    """One of the package's classes, by its name alone."""

    kind: str


_CLASSES = {("hashcomb.core.tree", "Tree"): _Class("Tree"), ("hashcomb.core.node", "Node"): _Class("Node")}
_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_SCALARS = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE")
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


class Walk:
    """One pass over the opcodes of a pickle of protocol 4 or 5.

    Parameters
    ----------
    data : bytes
        The pickle.
    name : str
        Of its file, for errors.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self._source, self._name = io.BytesIO(data), name
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: list[Any] = []
        self._n_objects = 0
        self._offset, self._opcode = 0, ""
        self._steps: dict[str, Callable[[Any], None]] = {
            **dict.fromkeys(_SCALARS, self._stack.append),
            **dict.fromkeys(_CONSTANTS, self._constant),
            "PROTO": self._protocol,
            "FRAME": lambda _: None,  # says how many bytes follow, for readers that want to know beforehand
            "MARK": self._mark,
            "EMPTY_DICT": lambda _: self._make({}),
            "EMPTY_TUPLE": lambda _: self._stack.append(()),
            "MEMOIZE": lambda _: self._memo.append(self._top(object)),
            "BINGET": self._recall,
            "LONG_BINGET": self._recall,
            "SETITEMS": self._fill,
            "SETITEM": self._fill_one,
            "STACK_GLOBAL": self._class,
            "NEWOBJ": self._record,
            "BUILD": self._build,
        }

    def value(self) -> Any:
        """Return what the pickle describes.

        Returns
        -------
        Any
            Text, numbers, truths, None, empty tuples, dictionaries with text for keys, and `Record`.

        Raises
        ------
        FileFormatError
            At the first opcode that is not on the list or does not fit; it names the opcode and its offset.
        """
        while True:
            self._offset = self._source.tell()
            code = self._source.read(1)
            opcode = _OPCODES.get(code)
            self._opcode = opcode.name if opcode is not None else "unknown"
            if not code:
                self._refuse("is missing: the file ends too early", hint="copy it again")
            if self._opcode == "STOP":
                return self._end()
            if opcode is None or self._opcode not in self._steps:
                self._refuse("is none that a configuration needs", hint="do not load this file with pickle either")
            self._steps[self._opcode](self._argument(opcode))

    def _argument(self, opcode: pickletools.OpcodeInfo) -> Any:
        try:
            return opcode.arg.reader(self._source) if opcode.arg is not None else None
        except ValueError:  # too few bytes, or text that is no UTF-8
            self._refuse("has no valid argument")

    def _refuse(self, problem: str, hint: str = "") -> NoReturn:
        hint = hint or "is it a configuration that hashcomb 1.0.0 from PyPI wrote?"
        raise FileFormatError(f"opcode {self._opcode} at byte {self._offset} {problem}", file=self._name, hint=hint)

    def _end(self) -> Any:
        if len(self._stack) != 1 or self._marks or self._source.read(1):
            self._refuse("leaves something over")
        return self._stack[0]

    # ------------------------------------------------------------------ the stack
    def _top(self, kind: type[T]) -> T:
        floor = self._marks[-1] if self._marks else 0
        if len(self._stack) <= floor or not isinstance(self._stack[-1], kind):
            self._refuse("finds something else than it needs")
        top: T = self._stack[-1]
        return top

    def _pop(self, kind: type[T]) -> T:
        top = self._top(kind)
        self._stack.pop()
        return top

    def _make(self, made: Any) -> None:
        self._n_objects += 1
        if self._n_objects > _MAX_OBJECTS:
            self._refuse(f"is one of more than {_MAX_OBJECTS} objects")
        self._stack.append(made)

    # ------------------------------------------------------------------ the opcodes that do something
    def _constant(self, _: None) -> None:
        self._stack.append(_CONSTANTS[self._opcode])

    def _protocol(self, number: int) -> None:
        if number not in {4, 5}:
            self._refuse("is for another protocol than 4 or 5")

    def _mark(self, _: None) -> None:
        if len(self._marks) == _MAX_MARKS:
            self._refuse("nests too deep")
        self._marks.append(len(self._stack))

    def _recall(self, number: int) -> None:
        if number >= len(self._memo):
            self._refuse("refers to nothing")
        self._stack.append(self._memo[number])

    def _fill(self, _: None) -> None:
        if not self._marks:
            self._refuse("lacks its mark")
        at = self._marks.pop()
        items = self._stack[at:]
        del self._stack[at:]
        self._put(items[::2], items[1::2])

    def _fill_one(self, _: None) -> None:
        value = self._pop(object)
        self._put([self._pop(object)], [value])

    def _put(self, keys: list[Any], values: list[Any]) -> None:
        # Only text is hashed: to hash nested tuples that share their parts would take time without end.
        if len(keys) != len(values) or not all(isinstance(key, str) for key in keys):
            self._refuse("has no pairs of names and values")
        self._top(dict).update(zip(keys, values, strict=True))

    def _class(self, _: None) -> None:
        name = self._pop(str)
        found = _CLASSES.get((self._pop(str), name))
        if found is None:
            hint = (
                "do not load it with pickle: that would run code; if it is yours, were delta and seed NumPy's numbers?"
            )
            self._refuse("asks for a name to be imported", hint=hint)
        self._stack.append(found)

    def _record(self, _: None) -> None:
        self._pop(tuple)  # the arguments; no opcode of the list makes any tuple but the empty one
        self._make(Record(self._pop(_Class).kind))

    def _build(self, _: None) -> None:
        parts = self._pop(dict)
        record = self._top(Record)
        if record.parts is not None:
            self._refuse("sets attributes twice")
        record.parts = parts
