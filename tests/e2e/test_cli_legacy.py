"""From a configuration of the PyPI package to tokens, on the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hashcomb.files import read_spec

# Encoder(1, 1.0, 0.0, configPath="...", salt="roundA"), written by hashcomb 1.0.0 from PyPI.
PLAIN = bytes.fromhex(
    "800595da010000000000007d94288c06736368656d61948c1268617368636f6d622e636f6e6669672e7631948c07656e636f64657294"
    "8c0d64657465726d696e6973746963948c0474726565948c1268617368636f6d622e636f72652e74726565948c045472656594939429"
    "81947d94288c086368616e6e656c73944b018c096973526f756e64656494898c06706c61636573944b038c036d617894473ff0000000"
    "0000008c036d696e944700000000000000008c04726f6f74948c1268617368636f6d622e636f72652e6e6f6465948c044e6f64659493"
    "942981947d9428680f470000000000000000680e473ff00000000000008c076368616e6e656c944b008c046c6566749468132981947d"
    "9428680f470000000000000000680e473fe000000000000068164b0168174e8c057269676874944e7562681a68132981947d9428680f"
    "473fe0000000000000680e473ff000000000000068164b0168174e681a4e7562756275628c07686173684d6170947d94288c08373132"
    "39343331309468188c08363931313838323294681b758c06706172616d73947d9428680b4b01680f470000000000000000680e473ff0"
    "0000000000008c0f696e636c756465496e7465726e616c94898c0564656c7461944e758c0473616c74948c06726f756e644194752e"
)
# RandomizedEncoder(1, 1.0, 0.0, selectionProbability=0.5, configPath="..."), likewise.
RANDOMIZED = bytes.fromhex(
    "80059506020000000000007d94288c06736368656d61948c1268617368636f6d622e636f6e6669672e7631948c07656e636f64657294"
    "8c0a72616e646f6d697a6564948c0474726565948c1268617368636f6d622e636f72652e74726565948c04547265659493942981947d"
    "94288c086368616e6e656c73944b018c096973526f756e64656494898c06706c61636573944b038c036d617894473ff0000000000000"
    "8c036d696e944700000000000000008c04726f6f74948c1268617368636f6d622e636f72652e6e6f6465948c044e6f64659493942981"
    "947d9428680f470000000000000000680e473ff00000000000008c076368616e6e656c944b008c046c6566749468132981947d942868"
    "0f470000000000000000680e473fe000000000000068164b0168174e8c057269676874944e7562681a68132981947d9428680f473fe0"
    "000000000000680e473ff000000000000068164b0168174e681a4e7562756275628c07686173684d6170947d94288c09313936333432"
    "3133349468148c0837363130323136389468188c0932363733333633343394681b758c06706172616d73947d9428680b4b01680f4700"
    "00000000000000680e473ff00000000000008c0f696e636c756465496e7465726e616c94888c0564656c7461944e8c1473656c656374"
    "696f6e50726f626162696c69747994473fe00000000000008c0473656564944e758c0473616c74944e752e"
)
Run = Callable[..., Any]


@pytest.fixture
def old(tmp_path: Path) -> None:
    """Write plain.pkl and randomized.pkl."""
    (tmp_path / "plain.pkl").write_bytes(PLAIN)
    (tmp_path / "randomized.pkl").write_bytes(RANDOMIZED)


@pytest.mark.usefixtures("old")
def test_a_configuration_becomes_tokens(hashcomb: Run, tmp_path: Path) -> None:
    """The Spec is written, its fingerprint printed, what changed is said, and rows are encoded under it."""
    done = hashcomb("spec", "convert", "plain.pkl", "-o", "spec.toml", "--name", "dose")
    assert done.status == 0
    assert done.out.strip() == read_spec(tmp_path / "spec.toml").fingerprint
    assert "salt: CHANGED" in done.err
    assert "channels: kept" in done.err
    assert "roundA" not in done.err
    (tmp_path / "rows.csv").write_text("dose\n0.25\n0.75\n0.0\n")
    assert hashcomb("key", "new", "-o", "owner.key").status == 0
    common = ("--spec", "spec.toml", "--key", "owner.key")
    assert hashcomb("encode", "rows.csv", *common, "-o", "tokens.csv").status == 0
    assert hashcomb("decode", "tokens.csv", *common, "-o", "back.csv", "--representative", "center").status == 0
    assert (tmp_path / "back.csv").read_text().split() == ["dose", "0.25", "0.75", "0.25"]


@pytest.mark.usefixtures("old")
def test_a_channel_comes_over_or_is_chosen(hashcomb: Run, tmp_path: Path) -> None:
    """The last-head rule is kept and said to have no epsilon; another channel, or none, takes its place."""
    done = hashcomb("spec", "convert", "randomized.pkl", "-o", "a.toml", "--name", "a", "--name", "b")
    assert done.status == 0
    assert "last_head: no finite epsilon" in done.err
    assert hashcomb("spec", "convert", "randomized.pkl", "-o", "b.toml", "--epsilon", "1").status == 0
    assert hashcomb("spec", "convert", "randomized.pkl", "-o", "c.toml", "--channel", "none").status == 0
    kinds = [made.channel and made.channel.kind for made in map(read_spec, sorted(tmp_path.glob("*.toml")))]
    assert kinds == ["last_head", "randomized_response", None]


@pytest.mark.usefixtures("old")
def test_notes_as_json(hashcomb: Run) -> None:
    """With --json the notes are data, each with what is kept; --exact leaves only the tokens and the salt changed."""
    made = json.loads(hashcomb("spec", "convert", "plain.pkl", "-o", "spec.json", "--exact", "--json").out)
    assert set(made) == {"fingerprint", "notes"}
    assert [note["option"] for note in made["notes"] if not note["kept"]] == ["tokens", "salt"]


@pytest.mark.usefixtures("old")
def test_refusals(hashcomb: Run, tmp_path: Path) -> None:
    """What cannot be read or put together ends with status 1, one line, and no file."""
    (tmp_path / "bad.pkl").write_bytes(b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.")
    for configs, words in (
        (["bad.pkl"], "asks for a name to be imported"),
        (["none.pkl"], "cannot be read"),
        (["plain.pkl", "randomized.pkl"], "2 configurations for 1 columns"),
        (["plain.pkl", "randomized.pkl", "--name", "a", "--name", "b"], "differ in channels or randomization"),
    ):
        done = hashcomb("spec", "convert", *configs, "-o", "spec.toml")
        assert done.status == 1
        assert words in done.err
        assert done.err.count("\n") == 1
        assert not (tmp_path / "spec.toml").exists()
    assert hashcomb("spec", "convert", "plain.pkl", "-o", "plain.pkl").status == 1
    assert (tmp_path / "plain.pkl").read_bytes() == PLAIN
