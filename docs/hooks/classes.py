"""What a reader of sources does not see: signatures that fields make, and which members of a class are its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import griffe

__all__ = ("Classes",)


class Classes(griffe.Extension):
    """Gives structures and data classes the ``__init__`` that their fields make, and drops members without a docstring.

    Fields are described in the docstring of their class, and need no entry of their own.
    """

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Look through the classes of a package that was read."""
        found = list(_classes(pkg))
        for one in found:
            if "__init__" not in one.members and any(map(_has_fields, _lineage(one))):
                _add_init(one)
        for one in found:
            for name in [n for n, member in one.members.items() if n != "__init__" and not member.has_docstring]:
                one.del_member(name)
            one.members.pop("__post_init__", None)  # what it checks is said by the class


def _classes(parent: griffe.Module | griffe.Class) -> Iterator[griffe.Class]:
    for member in parent.members.values():
        if isinstance(member, griffe.Class):
            yield member
        if isinstance(member, griffe.Class | griffe.Module):
            yield from _classes(member)


def _lineage(found: griffe.Class) -> list[griffe.Class]:
    return [*reversed(found.mro()), found]


def _has_fields(found: griffe.Class) -> bool:
    bases = [getattr(base, "canonical_path", base) for base in found.bases]
    return "msgspec.Struct" in bases or bool(_decorators(found))


def _decorators(found: griffe.Class) -> list[str]:
    return [str(one.value) for one in found.decorators if one.callable_path == "dataclasses.dataclass"]


def _add_init(found: griffe.Class) -> None:
    fields = [parameter for owner in _lineage(found) for parameter in _fields(owner)]
    fields.sort(key=lambda field: field.kind is griffe.ParameterKind.keyword_only)
    init = griffe.Function("__init__", parent=found, parameters=griffe.Parameters(_self(), *fields), returns="None")
    found.set_member("__init__", init)


def _self() -> griffe.Parameter:
    return griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)


def _fields(owner: griffe.Class) -> Iterator[griffe.Parameter]:
    # It holds for the fields of this class alone.
    keyword_only = str(owner.keywords.get("kw_only")) == "True" or "kw_only=True" in "".join(_decorators(owner))
    kind = griffe.ParameterKind.keyword_only if keyword_only else griffe.ParameterKind.positional_or_keyword
    for name, member in owner.members.items():
        if isinstance(member, griffe.Attribute) and "instance-attribute" in member.labels and member.annotation:
            yield griffe.Parameter(name, annotation=member.annotation, kind=kind, default=member.value)
