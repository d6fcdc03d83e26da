"""No error, warning or repr shows a value of the data or of the Key: marked ones are searched for in all of them."""

import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hashcomb import Categorical, HashComb, Key, Spec, Uniform, learn_spec, place
from hashcomb.errors import HashcombError
from hashcomb.files import CsvTokens, CsvTokenWriter
from hashcomb.integrations.sklearn import HashCombEncoder
from hashcomb.mpc import Party, Peer, agree
from hashcomb.tables import CsvRows

NUMBER, TEXT, SECRET = 31337.424242, "Jane Doe SECRET", bytes(range(100, 132))
MIXED = np.array([TEXT, NUMBER], dtype=object)
MARKS = ("31337", "Jane", "SECRET", SECRET.hex()[:10], str(SECRET)[2:12])

SPEC = Spec(
    features=(Uniform(name="a", lo=0.0, hi=1.0), Categorical(name="c", categories=("x", "y"))), depth=2, outside="error"
)


def in_process(work: Callable[[], Any]) -> Callable[[Path], Any]:
    """Make an attempt of what needs no file."""
    return lambda folder: work()


def codec() -> HashComb:
    """Return a codec under the marked Key."""
    return HashComb(SPEC, Key(SECRET))


def rows_file(folder: Path, text: str) -> Any:
    """Write a CSV file and read it to its end."""
    (folder / "rows.csv").write_text(text)
    return list(CsvRows(folder / "rows.csv").batches())


def tokens_file(folder: Path) -> Any:
    """Write tokens with a kept column, edit a token, and read them."""
    path = folder / "tokens.csv"
    with CsvTokenWriter(path, codec().header, ["who"]) as writer:
        writer.write(codec().encode({"a": [0.5], "c": ["x"]}), {"who": np.array([TEXT], dtype=object)})
    text = path.read_text()
    path.write_text(text.replace(",t", ",SECRET"))
    list(CsvTokens(path).batches())
    return CsvTokens(path).verify()


def key_file(folder: Path, edit: Callable[[str], str]) -> Any:
    """Save the marked Key, edit its file, and load it."""
    Key(SECRET).save(folder / "k.key")
    (folder / "k.key").write_text(edit((folder / "k.key").read_text()))
    return Key.load(folder / "k.key")


def save_twice(path: Path) -> None:
    """Save the marked Key where it is already."""
    Key(SECRET).save(path)
    Key(SECRET).save(path)


def seat() -> Party:
    """Return an owner's seat."""
    peers = tuple(Peer(name=f"o{i}", host="127.0.0.1", port=9000 + i) for i in range(3))
    return Party(me="o0", peers=peers, connect_timeout_s=0.01)


def run(work: Any) -> Any:
    """Run a coroutine."""
    import asyncio

    return asyncio.run(work)


ATTEMPTS: dict[str, Callable[[Path], Any]] = {
    "outside": in_process(lambda: codec().encode({"a": [NUMBER], "c": ["x"]})),
    "text in numbers": in_process(lambda: codec().encode({"a": [TEXT], "c": ["x"]})),
    "unknown category": in_process(lambda: codec().encode({"a": [0.5], "c": [TEXT]})),
    "number as category": in_process(lambda: codec().encode({"a": [0.5], "c": [NUMBER]})),
    "frame": in_process(lambda: codec().encode(pd.DataFrame({"a": [TEXT], "c": ["x"]}))),
    "ragged": in_process(lambda: codec().encode([[NUMBER], [TEXT, TEXT]])),
    "place": in_process(lambda: place({"a": [NUMBER], "c": ["x"]}, SPEC)),
    "learn text": in_process(lambda: learn_spec(np.array([[TEXT]], dtype=object))),
    "learn mixed categories": in_process(lambda: learn_spec({"c": MIXED}, categorical=["c"])),
    "learn narrow": in_process(lambda: learn_spec([[NUMBER], [np.nextafter(NUMBER, 1e9)]], edges="uniform")),
    "encoder": in_process(lambda: HashCombEncoder(SPEC, Key(SECRET)).fit(pd.DataFrame({"a": [NUMBER], "c": ["x"]}))),
    "encoder text": in_process(lambda: HashCombEncoder().fit(pd.DataFrame({"a": [TEXT]}))),
    "encoder text rows": in_process(lambda: HashCombEncoder().fit(np.array([[TEXT]], dtype=object))),
    "encoder flat": in_process(lambda: HashCombEncoder().fit(np.array([NUMBER]))),
    "encoder nothing": in_process(lambda: HashCombEncoder().fit(NUMBER)),
    "encoder complex": in_process(lambda: HashCombEncoder().fit(np.array([[NUMBER + 1j]]))),
    "masked text": in_process(lambda: place(np.ma.MaskedArray([[TEXT, "b"]]), SPEC)),
    "encoder infinite": in_process(lambda: HashCombEncoder().fit([[NUMBER, np.inf], [NUMBER, 1.0]])),
    "unknown token": in_process(lambda: codec().decode(np.array([[3133742424, 2]], dtype=np.uint64))),
    "rounded tokens": in_process(lambda: codec().decode(np.array([[NUMBER, 2.0]]))),
    "agree outside": in_process(lambda: run(agree(seat(), {"a": [NUMBER, np.inf]}))),
    "agree text": in_process(lambda: run(agree(seat(), {"a": [TEXT, "b"]}))),
    "agree alone": in_process(lambda: run(agree(seat(), {"a": [NUMBER, 1.0]}))),
    "csv text": lambda folder: rows_file(folder, f"a\n{TEXT}\n"),
    "csv fields": lambda folder: rows_file(folder, f"a\n1,{NUMBER}\n"),
    "tokens edited": tokens_file,
    "key truncated": lambda folder: key_file(folder, lambda text: text[:50]),
    "key edited": lambda folder: key_file(folder, lambda text: text.replace("64", "65", 1)),
    "key in the way": lambda folder: save_twice(folder / "k.key"),
    "key too long": in_process(lambda: Key(SECRET + SECRET)),
}


def said(error: BaseException) -> Iterator[str]:
    """Yield all that an error and those behind it show."""
    seen: BaseException | None = error
    while seen is not None:
        yield from (str(seen), repr(seen), str(vars(seen)))
        seen = None if seen.__suppress_context__ else seen.__context__


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_marks_are_in_no_message(attempt: Callable[[Path], Any], tmp_path: Path) -> None:
    """The error is ours, and neither it, what it suppresses nor a warning holds a mark."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(HashcombError) as caught:
            attempt(tmp_path)
    shown = [*said(caught.value), *(str(warning.message) for warning in warned)]
    shown += traceback.format_exception_only(caught.value)
    for text in shown:
        assert not [mark for mark in MARKS if mark in text], text
