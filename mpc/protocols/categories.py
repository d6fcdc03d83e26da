"""Agree on lists of categories: the union of what all owners have, and not who has what."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from hashcomb.errors import DataError, ProtocolError
from hashcomb.mpc.arithmetic.openings import somebody
from hashcomb.mpc.arithmetic.shamir import Link
from hashcomb.scalars import is_utf8

__all__ = ("MAX_BYTES", "agree_categories", "to_bytes")

MAX_BYTES = 200
_END = b"\0"  # of a category's bytes, so that one may be the beginning of another
_WHOLE = re.compile("i(0|-?[1-9][0-9]*)")
_NIBBLES = "0123456789abcdef"


async def agree_categories(
    link: Link, columns: Sequence[Sequence[str | int]], most: int
) -> list[tuple[str | int, ...]]:
    """Find the union of all owners' categories, for several columns at once.

    The categories of all owners form a tree of beginnings. Half a byte at a time, the owners open for each
    beginning that is known and each way to go on whether somebody has a category that begins like that.

    Parameters
    ----------
    link : Link
        The connections.
    columns : sequence of sequence of str or of int
        This owner's distinct categories of every column, text or whole numbers; none where it has none.
    most : int
        How many categories a column may have in all.

    Returns
    -------
    list of tuple of str or int
        Sorted; the same at every owner.

    Raises
    ------
    DataError
        If a category of this owner has more than 200 bytes in UTF-8, or holds the character of code 0 or half a
        surrogate.
    ProtocolError
        If nobody has a category of a column, there are more than `most`, or text at one owner and numbers at
        another.

    Notes
    -----
    Privacy: every owner learns the union, and so of each category that it does not have itself that somebody
    else has; of two owners, that the other has. It does not learn who has a category, how many owners, or how many
    records. Every answer follows from the union. If there are too many categories, the search stops at the
    length at which that shows, and what was opened by then stays known. No differential privacy: a category that a
    single record has is opened too. Lists that are known to all need no opening: state them in the policy.
    """
    own = [sorted({to_bytes(item).hex() for item in column}) for column in columns]
    found: list[list[str]] = [[""] for _ in columns]
    done: list[list[str]] = [[] for _ in columns]
    while any(found):
        asked = [(j, prefix + nibble) for j, prefixes in enumerate(found) for prefix in prefixes for nibble in _NIBBLES]
        answers = await somebody(link, np.array([_has(own[j], prefix) for j, prefix in asked]))
        found = [[] for _ in columns]
        for (j, prefix), answer in zip(asked, answers, strict=True):
            if answer:
                (done if _is_whole(prefix) else found)[j].append(prefix)
        _check_sizes(found, done, most)
    for j, (mine, agreed) in enumerate(zip(own, done, strict=True)):
        if not set(mine) <= set(agreed):
            problem = f"a category of this owner is missing from categorical column {j} (counted from 0) as agreed"
            raise ProtocolError(f"{problem}: another owner did not follow the protocol", step=link.step)
    return [_categories(prefixes, j) for j, prefixes in enumerate(done)]


def to_bytes(category: str | int, column: str | None = None) -> bytes:
    """Return a category with its kind before it and its end behind it; raise `DataError` if that cannot be."""
    text = f"i{category}" if isinstance(category, int) else f"s{category}"
    data = text.encode("utf-8", "replace")
    if not is_utf8(text) or _END in data or len(data) > MAX_BYTES + 1:
        hint = "shorten it, or state the list in the policy"
        problem = f"a category is longer than {MAX_BYTES} bytes in UTF-8, or holds what cannot be"
        raise DataError(problem, column=column, hint=hint)
    return data + _END


def _has(own: list[str], prefix: str) -> bool:
    place = np.searchsorted(own, prefix)
    return bool(place < len(own) and own[place].startswith(prefix))


def _is_whole(prefix: str) -> bool:
    return len(prefix) % 2 == 0 and prefix.endswith("00")


def _check_sizes(found: list[list[str]], done: list[list[str]], most: int) -> None:
    for j, (open_ends, ended) in enumerate(zip(found, done, strict=True)):
        n_known = len(open_ends) + len(ended)
        if n_known > most:
            hint = "vote for a larger depth, merge categories, or let unknown ones share a leaf of a stated list"
            problem = f"categorical column {j} (counted from 0) has more than {most} categories"
            raise ProtocolError(problem, step="categories", hint=hint)
        if n_known == 0:
            problem = f"no owner has a category of categorical column {j} (counted from 0)"
            raise ProtocolError(problem, step="categories", hint="drop the column")
        if max(map(len, open_ends), default=0) > 2 * (MAX_BYTES + 2):
            raise ProtocolError("a category never ends: some owner did not follow the protocol", step="categories")


def _categories(prefixes: list[str], index: int) -> tuple[str | int, ...]:
    try:
        texts = [bytes.fromhex(prefix)[:-1].decode() for prefix in prefixes]
    except UnicodeDecodeError:
        raise ProtocolError(
            "a category is no text: some owner did not follow the protocol", step="categories"
        ) from None
    if all(text.startswith("s") for text in texts):
        return tuple(sorted(text[1:] for text in texts))
    if all(_WHOLE.fullmatch(text) for text in texts):
        return tuple(sorted(int(text[1:]) for text in texts))
    problem = f"categorical column {index} (counted from 0) is text at one owner and numbers at another"
    raise ProtocolError(problem, step="categories", hint="write it in one way at all owners")
