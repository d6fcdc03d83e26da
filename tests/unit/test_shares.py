"""Files of shares: private, whole or refused, and several at once or none."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hashcomb import Key, Quantile, Spec, Uniform
from hashcomb.errors import FileFormatError, HashcombError, KeyMaterialError, ProtocolError
from hashcomb.mpc.escrow import shares as share_files
from hashcomb.mpc.escrow.shamir_shares import Share, restore, save_shares, split
from hashcomb.mpc.new_files import write_new

SPEC = Spec(
    features=(
        Uniform(name="Größe", lo=-0.1, hi=1e300),
        Quantile(name="age", lo=0.0, hi=9.0, edges=(1 / 3, 1 / 3, 5e-324 + 8)),
    ),
    depth=2,
)
KEY = Key(bytes(range(32)))
HOLDERS = ("alice", "St. Mary's", "Jörg")


@pytest.fixture
def shares() -> list[Share]:
    """Three shares, of which two restore."""
    return split(SPEC, KEY, HOLDERS, 2)


@pytest.fixture
def path(tmp_path: Path, shares: list[Share]) -> Path:
    """Save the first share."""
    shares[0].save(tmp_path / "alice.json")
    return tmp_path / "alice.json"


def test_round_trip_with_mode_0600(path: Path, shares: list[Share]) -> None:
    """A saved share is readable by its owner only, and loads as the same share, Spec and all."""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Share.load(path) == shares[0]
    assert Share.load(path).spec.canonical_bytes() == SPEC.canonical_bytes()


def test_a_share_is_never_overwritten(path: Path, shares: list[Share]) -> None:
    """Saving where a file is leaves that file as it was."""
    with pytest.raises(KeyMaterialError, match="exists"):
        shares[1].save(path)
    assert Share.load(path) == shares[0]
    assert os.listdir(path.parent) == ["alice.json"]


def test_where_nothing_can_be_written(tmp_path: Path, shares: list[Share]) -> None:
    """A folder that is not there is an error of ours."""
    with pytest.raises(KeyMaterialError, match="no such folder"):
        shares[0].save(tmp_path / "none" / "alice.json")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610])
def test_a_file_that_others_may_read_is_refused(path: Path, mode: int) -> None:
    """A share that others may read is no secret; the message says how to mend it."""
    path.chmod(mode)
    with pytest.raises(KeyMaterialError, match="chmod 600"):
        Share.load(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """What is not there and what is no file are errors of ours."""
    with pytest.raises(KeyMaterialError, match=r"none\.json"):
        Share.load(tmp_path / "none.json")
    with pytest.raises(FileFormatError, match="no regular file"):
        Share.load(tmp_path)


def resealed(document: dict[str, Any], **fields: Any) -> str:
    """Return the text of an edited document whose SHA-256 is right again, as a careful hand makes it."""
    rest = {key: value for key, value in (document | fields).items() if key != "sha256"}
    return json.dumps(rest | {"sha256": share_files._digest(rest)})


EDITS: dict[str, Callable[[str, dict[str, Any]], str]] = {
    "empty": lambda text, _: "",
    "truncated": lambda text, _: text[: len(text) // 2],
    "without its end": lambda text, _: text.rstrip()[:-1],
    "appended": lambda text, _: text + "more",
    "a list": lambda text, _: f"[{text}]",
    "a number": lambda text, _: "12",
    "a Key": lambda text, _: "hashcomb-key-1:",
    "no text": lambda text, _: text.replace("age", "\udcff"),
    "a digit of the value": lambda text, document: text.replace(document["value"], "00" + "a" * 130),
    "the quorum": lambda text, _: text.replace('"quorum": 2', '"quorum": 3'),
    "the holder": lambda text, _: text.replace('"holder": "alice"', '"holder": "bob"'),
    "the spec": lambda text, _: text.replace('"depth": 2', '"depth": 1'),
    "the spec, by another number": lambda text, _: text.replace('"lo": 0.0', '"lo": 1e-300'),
    "a field more": lambda text, _: text.replace('"holder"', '"note": 1, "holder"'),
    "a field twice": lambda text, _: text.replace('"holder"', '"quorum": 2, "holder"'),
    "an infinite number": lambda text, _: text.replace('"hi": 9.0', '"hi": 1e999'),
    "nested": lambda text, _: text.replace('"holder"', '"note": ' + "[" * 3000 + "]" * 3000 + ', "holder"'),
    "another SHA-256": lambda text, document: text.replace(document["sha256"], "0" * 64),
    "SHA-256 of another type": lambda text, document: text.replace(f'"{document["sha256"]}"', "7"),
    "version 2": lambda _, document: resealed(document, format="hashcomb share 2"),
    "other format": lambda _, document: resealed(document, format="hashcomb spec 1"),
    "format of another type": lambda _, document: resealed(document, format=1),
    "resealed: a field more": lambda _, document: resealed(document, note=1),
    "resealed: value too large": lambda _, document: resealed(document, value="02" + "0" * 130),
    "resealed: value is the prime": lambda _, document: resealed(document, value="01" + "f" * 130),
    "resealed: value too short": lambda _, document: resealed(document, value=document["value"][2:]),
    "resealed: value in capitals": lambda _, document: resealed(document, value="00" + "A" * 130),
    "resealed: value with a sign": lambda _, document: resealed(document, value="-" + document["value"][1:]),
    "resealed: value a number": lambda _, document: resealed(document, value=12),
    "resealed: a stranger": lambda _, document: resealed(document, holder="mallory"),
    "resealed: no quorum": lambda _, document: resealed(document, quorum=1),
    "resealed: other spec": lambda _, document: resealed(document, spec=document["spec"] | {"depth": 1}),
    "resealed: other spec version": lambda _, document: resealed(document, spec=document["spec"] | {"version": 2}),
    "resealed: other fingerprint": lambda _, document: resealed(document, fingerprint="0" * 64),
    "resealed: id in capitals": lambda _, document: resealed(document, set_id="A" * 64),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_damaged_and_edited_files_are_refused(path: Path, edit: Callable[[str, dict[str, Any]], str]) -> None:
    """Whatever happened to a file, it is refused by its name, and nothing of its value is in the message."""
    text = path.read_text(encoding="utf-8")
    document = json.loads(text)
    edited = edit(text, document)
    assert edited != text
    path.write_text(edited, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(FileFormatError) as caught:
        Share.load(path)
    assert caught.value.file == str(path)
    value = document["value"]
    shown = f"{caught.value!r} {vars(caught.value)}"
    assert not [value[i : i + 8] for i in range(2, 120) if value[i : i + 8] in shown]
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_version_is_said(path: Path) -> None:
    """A share of a later version is told from a damaged one."""
    path.write_text(resealed(json.loads(path.read_text()), format="hashcomb share 2"))
    with pytest.raises(FileFormatError, match="another version"):
        Share.load(path)


def test_spaces_and_order_do_not_matter(path: Path, shares: list[Share]) -> None:
    """A file that a mail program has wrapped or turned to other line ends is still the share."""
    document = json.loads(path.read_text())
    path.write_bytes(json.dumps(dict(sorted(document.items())), ensure_ascii=False).replace(",", ",\r\n").encode())
    assert Share.load(path) == shares[0]


def test_a_value_that_was_edited_with_care_is_found_when_restoring(path: Path, shares: list[Share]) -> None:
    """A new value under a new SHA-256 loads, as anybody can make one, and does not restore."""
    value = f"{int(json.loads(path.read_text())['value'], 16) ^ 1:0132x}"
    path.write_text(resealed(json.loads(path.read_text()), value=value))
    with pytest.raises(KeyMaterialError, match="'alice' was altered"):
        restore([Share.load(path), *shares[1:]])


# ---------------------------------------------------------------------- several files at once
def test_every_holder_gets_a_file(tmp_path: Path, shares: list[Share]) -> None:
    """Files are named after the holders, have mode 0600, and restore."""
    paths = save_shares(shares, tmp_path)
    assert [path.name for path in paths] == [f"{name}.share.json" for name in HOLDERS]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    assert restore(map(Share.load, paths[1:])) == (SPEC, KEY)


@pytest.mark.parametrize("taken", HOLDERS)
def test_all_files_or_none(tmp_path: Path, shares: list[Share], taken: str) -> None:
    """If one file is there already, it stays as it is, and no other is written."""
    (tmp_path / f"{taken}.share.json").write_text("mine")
    with pytest.raises(FileFormatError, match=f"{taken}.share.json"):
        save_shares(shares, tmp_path)
    assert os.listdir(tmp_path) == [f"{taken}.share.json"]
    assert (tmp_path / f"{taken}.share.json").read_text() == "mine"


def test_files_that_were_written_are_taken_back(tmp_path: Path) -> None:
    """If a later file fails when earlier ones are in place, those go; here two names lead to one file."""
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(FileFormatError, match="link"):
        write_new({tmp_path / "a": (b"1", 0o600), tmp_path / "link": (b"2", 0o600)})
    assert os.listdir(tmp_path) == ["link"]


BAD_NAMES = ["../x", "a/b", "a\\b", ".hidden", "-o", "a:b", "a.", "a ", " a", "a*", "é" * 40]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    """A holder's name that cannot be that of a file in the folder writes nothing, there or elsewhere."""
    folder = tmp_path / "in"
    folder.mkdir()
    with pytest.raises(ProtocolError, match="name"):
        save_shares(split(SPEC, KEY, ("alice", name), 2), folder)
    assert [path.name for path in tmp_path.rglob("*")] == ["in"]


def test_a_folder_that_is_not_there(tmp_path: Path, shares: list[Share]) -> None:
    """Shares go to a folder that is there, and the error is ours."""
    with pytest.raises(HashcombError, match="no such folder"):
        save_shares(shares, tmp_path / "none")
