"""A stranger's first minutes: three commands from the first page, and tables as people have them."""

import re
import shlex
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hashcomb import Key
from hashcomb.files import CsvTokens, read_spec

Run = Callable[..., Any]
FIRST_PAGE = Path(__file__).parents[2] / "docs" / "index.md"
PLAIN = "heart rate,outcome\n" + "".join(f"{60 + i % 40},{i % 2}\n" for i in range(60))


def first_commands() -> list[list[str]]:
    """Return the commands of the first page, above its first list."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", FIRST_PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


@pytest.mark.e2e
def test_three_commands_encode_a_table_of_ones_own(hashcomb: Run, tmp_path: Path) -> None:
    """The first page has three commands; after installing, the other two encode a table with other names."""
    install, *others = first_commands()
    assert (install, len(others)) == (["pip", "install", "."], 2)
    (tmp_path / "patients.csv").write_text(PLAIN)
    own = {"rows.csv": "patients.csv", "label": "outcome"}
    for program, *arguments in others:
        assert program == "hashcomb"
        done = hashcomb(*(own.get(argument, argument) for argument in arguments))
        assert done.status == 0, done.err
    tokens = CsvTokens(tmp_path / "tokens.csv")
    tokens.verify()
    assert (tokens.n_rows, tokens.header.features, tokens.kept) == (60, ("heart rate",), ["outcome"])
    assert tokens.header.key_id == Key.load(tmp_path / "owner.key").id


@pytest.mark.e2e
def test_what_the_first_page_says_comes_next_works(hashcomb: Run, tmp_path: Path) -> None:
    """The commands of the list below the first three run on the files that those made, under the page's own names."""
    (tmp_path / "rows.csv").write_text(PLAIN.replace("outcome", "label"))
    listed = re.findall(r"^- .*?`(hashcomb .*?)`", FIRST_PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [line.split()[1] for line in listed] == ["report", "decode", "spec"]
    for _, *arguments in [*first_commands()[1:], *map(shlex.split, listed)]:
        done = hashcomb(*arguments)
        assert done.status == 0, done.err
    assert (tmp_path / "restored.csv").exists()
    assert read_spec(tmp_path / "noisy.toml").channel is not None


NEW = ("spec", "new", "rows.csv", "--drop", "outcome", "-o", "spec.toml", "--key-out", "owner.key")


def test_the_key_beside_a_spec_is_readable_by_its_owner_alone(hashcomb: Run, tmp_path: Path) -> None:
    """`--key-out` writes a Key with mode 0600, says its id, and prints the fingerprint alone on stdout."""
    (tmp_path / "rows.csv").write_text(PLAIN)
    done = hashcomb(*NEW)
    assert stat.S_IMODE((tmp_path / "owner.key").stat().st_mode) == 0o600
    assert Key.load(tmp_path / "owner.key").id in done.err
    assert done.out == read_spec(tmp_path / "spec.toml").fingerprint + "\n"


def test_a_key_that_is_there_stays_and_no_spec_is_written(hashcomb: Run, tmp_path: Path) -> None:
    """An existing Key is not overwritten, and the message says how to go on with it."""
    (tmp_path / "rows.csv").write_text(PLAIN)
    Key(bytes(range(32))).save(tmp_path / "owner.key")
    done = hashcomb(*NEW)
    assert done.status == 1
    assert "leave --key-out out" in done.err
    assert Key.load(tmp_path / "owner.key") == Key(bytes(range(32)))
    assert not (tmp_path / "spec.toml").exists()


def test_a_spec_that_cannot_be_written_leaves_no_key(hashcomb: Run, tmp_path: Path) -> None:
    """Spec and Key are written both or neither."""
    (tmp_path / "rows.csv").write_text(PLAIN)
    assert hashcomb(*NEW[:6], "nowhere/spec.toml", *NEW[7:]).status == 1
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_a_spec_and_its_key_are_two_files(hashcomb: Run, tmp_path: Path) -> None:
    """The same name for both is refused before anything is written."""
    (tmp_path / "rows.csv").write_text(PLAIN)
    assert hashcomb(*NEW[:-1], "spec.toml").status == 1
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode("utf-8-sig"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.replace("heart rate", '"heart rate"').encode(),
        PLAIN.replace(",0\n", ",no\n").encode(),
    ],
    ids=["byte order mark", "Windows lines", "old Mac lines", "quotes", "a label of text"],
)
def test_tables_as_other_programs_write_them(hashcomb: Run, tmp_path: Path, content: bytes) -> None:
    """What only looks different is read."""
    (tmp_path / "rows.csv").write_bytes(content)
    assert hashcomb(*NEW).status == 0
    encode = ("encode", "rows.csv", "--spec", "spec.toml", "--key", "owner.key", "--keep", "outcome")
    assert hashcomb(*encode, "-o", "tokens.csv").status == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (PLAIN.replace(",", ";"), "the first line has semicolons and no comma; save it with commas"),
        (PLAIN.replace(",", "\t"), "the first line has tabs and no comma; save it with commas"),
        (
            PLAIN.replace("rate,outcome", "rate, outcome"),
            "column 'outcome': is not in the file; did you mean ' outcome'?",
        ),
        (PLAIN.replace("outcome", "Outcome"), "did you mean 'Outcome'?"),
        (PLAIN.replace("heart rate", ""), "column 0 (counted from 0) has no name; it may be an index"),
        (PLAIN.replace("\n60,", "\nred,"), "column 'heart rate', row 0: is no number; correct the row"),
        (PLAIN.replace("\n60,", "\n2024-05-17,"), "row 0: is no number; it looks like a date"),
        (PLAIN.replace("\n60,", "\n17.5.2024,"), "row 0: is no number; it looks like a date"),
        (PLAIN.replace("\n60,", '\n"1,060.5",'), "write a point in decimal numbers, and no commas"),
        (PLAIN.replace("\n60,", '\n"60,5",'), "write a point in decimal numbers, and no commas"),
        (PLAIN.replace("\n60,", "\n?,"), "(a missing value is an empty field)"),
        (PLAIN.partition("\n")[2].replace("60,", "60.5,"), "write the column names above the first record"),
        (PLAIN + "total\n", "row 60: 1 fields, where there are 2 columns"),
        ("heart rate,outcome\n", "there are no rows"),
        ("", "is empty; the first line holds the column names"),
    ],
)
def test_a_table_that_cannot_be_read_says_what_to_do(hashcomb: Run, tmp_path: Path, content: str, says: str) -> None:
    """Each common trouble ends with what and where it is and what to do, and leaves neither Spec nor Key."""
    (tmp_path / "rows.csv").write_text(content)
    done = hashcomb(*NEW)
    assert done.status == 1
    assert says in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_another_encoding_is_named(hashcomb: Run, tmp_path: Path, encoding: str) -> None:
    """A file that is no UTF-8 is to be saved as UTF-8."""
    (tmp_path / "rows.csv").write_text(PLAIN.replace("heart", "größe"), encoding=encoding)
    done = hashcomb(*NEW)
    assert (done.status, "save it as UTF-8" in done.err) == (1, True)


def test_an_index_is_left_out_by_its_empty_name(hashcomb: Run, tmp_path: Path) -> None:
    """What the message on a column without a name proposes works."""
    (tmp_path / "rows.csv").write_text(",rate,outcome\n" + "".join(f"{i},{60 + i},1\n" for i in range(9)))
    assert hashcomb(*NEW, "--drop", "").status == 0


@pytest.mark.parametrize("color", ["", "--categorical"])
def test_missing_values_are_announced_when_the_spec_is_made(hashcomb: Run, tmp_path: Path, color: str) -> None:
    """`spec new` warns of the columns that `encode` would refuse, in numbers and in categories."""
    value = "red" if color else "60"
    (tmp_path / "rows.csv").write_text(f"rate,color,outcome\n60,{value},1\n70,,0\n80,{value},1\n")
    options = [color, "color"] if color else []
    done = hashcomb(*NEW, *options)
    assert "missing values in 'color': encode will refuse these rows; --missing token" in done.err
    assert "missing values" not in hashcomb(*NEW[:-2], *options, "--missing", "token").err
