"""Every error and warning hashcomb raises.

A message says what happened, where, and what to do. It never holds a record's value, a key byte or a raw
row: the classes build their messages from typed fields, and no field takes a value of the data.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any, Self

__all__ = (
    "BudgetError",
    "ChannelError",
    "DataDependentSpecWarning",
    "DataError",
    "FileFormatError",
    "FingerprintError",
    "HashcombError",
    "HashcombWarning",
    "InsecureRandomWarning",
    "KeyMaterialError",
    "MissingExtraError",
    "PartyAborted",
    "PartyMismatch",
    "PartyTimeout",
    "ProtocolError",
    "SpecError",
    "SpecVersionError",
    "TooFewParties",
    "WeakPrivacyWarning",
    "unforeseen",
)


class HashcombError(Exception):
    """Base of all errors that hashcomb raises.

    Parameters
    ----------
    problem : str
        What happened.
    hint : str, optional
        What to do about it.
    **where
        Typed fields of the subclass: where it happened.
    """

    def __init__(self, problem: str, *, hint: str = "", **where: Any) -> None:
        self.problem, self.hint = problem, hint
        self.where = where
        place = self._place()
        message = f"{place}: {problem}" if place else problem
        super().__init__(f"{message}; {hint}" if hint else message)

    def _place(self) -> str:
        return ""

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only fields would be lost by the default, and joblib sends errors between processes.
        return _rebuild, (type(self), self.problem, self.hint, self.where)


def unforeseen(error: BaseException) -> str:
    """Say of an error that is not ours its type and place only: its text may hold anything, a record too."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"an error inside hashcomb ({type(error).__name__}{place}); please report it"


def _rebuild(cls: type[HashcombError], problem: str, hint: str, where: dict[str, Any]) -> HashcombError:
    return cls(problem, hint=hint, **where)


class SpecError(HashcombError, ValueError):
    """A Spec that cannot be used.

    Attributes
    ----------
    path : str
        Where in the Spec, for example ``"features[3].edges"``; empty for the whole.
    """

    def __init__(self, problem: str, *, path: str = "", hint: str = "") -> None:
        self.path = path
        super().__init__(problem, hint=hint, path=path)

    def _place(self) -> str:
        return f"spec at {self.path}" if self.path else "spec"

    def within(self, prefix: str) -> Self:
        """Return the same error seen from one level further out."""
        joint = "" if self.path.startswith("[") or not self.path else "."
        return type(self)(self.problem, path=f"{prefix}{joint}{self.path}", hint=self.hint)


class SpecVersionError(SpecError):
    """A Spec written by a version of hashcomb that this one cannot read."""


class FingerprintError(HashcombError, ValueError):
    """Things made under different Specs, keys or salts were put together."""


class DataError(HashcombError, ValueError):
    """Data that cannot be encoded or decoded.

    Attributes
    ----------
    column : str or None
        Name of the column.
    row : int or None
        Position of the row, counted from 0.
    """

    def __init__(self, problem: str, *, column: str | None = None, row: int | None = None, hint: str = "") -> None:
        self.column, self.row = column, row
        super().__init__(problem, hint=hint, column=column, row=row)

    def _place(self) -> str:
        column = f"column {self.column!r}" if self.column is not None else ""
        row = f"row {self.row}" if self.row is not None else ""
        return ", ".join(part for part in (column, row) if part)


class KeyMaterialError(HashcombError, ValueError):
    """A key that is missing, damaged, of the wrong length or readable by others."""


class ChannelError(HashcombError, ValueError):
    """A channel (randomizer) with parameters it cannot have."""


class BudgetError(HashcombError):
    """A privacy budget that would be overspent.

    Attributes
    ----------
    asked, left : float
        Epsilon asked for, and epsilon left.
    """

    def __init__(self, problem: str, *, asked: float, left: float, hint: str = "") -> None:
        self.asked, self.left = asked, left
        super().__init__(problem, hint=hint, asked=asked, left=left)


class ProtocolError(HashcombError):
    """The owners reached no agreement; nothing of it may be used.

    Attributes
    ----------
    party : str or None
        Name of the owner concerned.
    step : str or None
        Step of the protocol at which it happened.
    """

    def __init__(self, problem: str, *, party: str | None = None, step: str | None = None, hint: str = "") -> None:
        self.party, self.step = party, step
        super().__init__(problem, hint=hint, party=party, step=step)

    def _place(self) -> str:
        party = f"owner {self.party!r}" if self.party is not None else ""
        step = f"step {self.step!r}" if self.step is not None else ""
        return ", ".join(part for part in (party, step) if part)


class PartyTimeout(ProtocolError, TimeoutError):
    """An owner did not come, or did not answer, before the deadline."""


class PartyMismatch(ProtocolError):
    """An owner runs with another policy, other features or another list of owners."""


class TooFewParties(ProtocolError, ValueError):
    """Fewer than three participants cannot hide anything from each other."""


class PartyAborted(ProtocolError):
    """An owner gave up, closed its connection or broke the protocol."""


class FileFormatError(HashcombError, ValueError):
    """A file that is truncated, edited or not of the expected format.

    Attributes
    ----------
    file : str
        Path of the file.
    """

    def __init__(self, problem: str, *, file: str, hint: str = "") -> None:
        self.file = file
        super().__init__(problem, hint=hint, file=file)

    def _place(self) -> str:
        return f"file {self.file!r}"


class MissingExtraError(HashcombError, ImportError):
    """An optional dependency is not installed.

    Attributes
    ----------
    extra : str
        Name of the extra that brings it.
    """

    def __init__(self, problem: str, *, extra: str, hint: str = "") -> None:
        self.extra = extra
        hint = hint or f"install the extra {extra!r}: pip install '.[{extra}]' in a clone of hashcomb"
        super().__init__(problem, hint=hint, extra=extra)


class HashcombWarning(UserWarning):
    """Base of all warnings that hashcomb gives."""


class InsecureRandomWarning(HashcombWarning):
    """Randomness that is repeatable, and so protects nothing."""


class DataDependentSpecWarning(HashcombWarning):
    """A Spec was learned from one owner's data, and so tells of them."""


class WeakPrivacyWarning(HashcombWarning):
    """A setting that protects less than a reader would expect."""
