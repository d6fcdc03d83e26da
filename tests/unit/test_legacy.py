"""Configurations of the PyPI package: read without running anything, and made into Specs."""

import pickle  # noqa: TID251 shows that what is refused here would have run elsewhere
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashcomb import Comb, Quantile, Spec, Uniform
from hashcomb.codec import check_usable
from hashcomb.errors import ChannelError, FileFormatError, SpecError
from hashcomb.legacy import PypiConfig, convert, read_config

# Both files were written by hashcomb 1.0.0 from PyPI, Python 3.11:
# Encoder(1, 1.0, 0.0, configPath="...", delta=0.25, salt="roundA", includeInternal=True)
PLAIN = bytes.fromhex(
    "800595f1010000000000007d94288c06736368656d61948c1268617368636f6d622e636f6e6669672e7631948c07656e636f64657294"
    "8c0d64657465726d696e6973746963948c0474726565948c1268617368636f6d622e636f72652e74726565948c045472656594939429"
    "81947d94288c086368616e6e656c73944b018c096973526f756e64656494898c06706c61636573944b038c036d617894473ff4000000"
    "0000008c036d696e9447bfd00000000000008c04726f6f74948c1268617368636f6d622e636f72652e6e6f6465948c044e6f64659493"
    "942981947d9428680f47bfd0000000000000680e473ff40000000000008c076368616e6e656c944b008c046c6566749468132981947d"
    "9428680f47bfd0000000000000680e473fe000000000000068164b0168174e8c057269676874944e7562681a68132981947d9428680f"
    "473fe0000000000000680e473ff400000000000068164b0168174e681a4e7562756275628c07686173684d6170947d94288c08373337"
    "31303238389468148c093235353036303235399468188c0932313138373436343294681b758c06706172616d73947d9428680b4b0168"
    "0f47bfd0000000000000680e473ff40000000000008c0f696e636c756465496e7465726e616c94888c0564656c746194473fd0000000"
    "000000758c0473616c74948c06726f756e644194752e"
)
# RandomizedEncoder(2, 1.0, -1.0, selectionProbability=0.6, delta=0.1, configPath="...",
#                   roundContext=RoundContext(salt="r1", seed=7))
RANDOMIZED = bytes.fromhex(
    "800595ee020000000000007d94288c06736368656d61948c1268617368636f6d622e636f6e6669672e7631948c07656e636f64657294"
    "8c0a72616e646f6d697a6564948c0474726565948c1268617368636f6d622e636f72652e74726565948c04547265659493942981947d"
    "94288c086368616e6e656c73944b028c096973526f756e64656494898c06706c61636573944b038c036d617894473ff199999999999a"
    "8c036d696e9447bff199999999999a8c04726f6f74948c1268617368636f6d622e636f72652e6e6f6465948c044e6f64659493942981"
    "947d9428680f47bff199999999999a680e473ff199999999999a8c076368616e6e656c944b008c046c6566749468132981947d942868"
    "0f47bff199999999999a680e47000000000000000068164b01681768132981947d9428680f47bff199999999999a680e47bfe1999999"
    "99999a68164b0268174e8c057269676874944e7562681c68132981947d9428680f47bfe199999999999a680e47000000000000000068"
    "164b0268174e681c4e75627562681c68132981947d9428680f470000000000000000680e473ff199999999999a68164b016817681329"
    "81947d9428680f470000000000000000680e473fe199999999999a68164b0268174e681c4e7562681c68132981947d9428680f473fe1"
    "99999999999a680e473ff199999999999a68164b0268174e681c4e75627562756275628c07686173684d6170947d94288c0932353532"
    "35313830329468148c0839323131363032339468188c0932303735323637363194681a8c0931343834303030313694681d8c09323537"
    "39323634363594681f8c093233363438363035369468218c083437303238373637946823758c06706172616d73947d9428680b4b0268"
    "0f47bff199999999999a680e473ff199999999999a8c0f696e636c756465496e7465726e616c94888c0564656c746194473fb9999999"
    "99999a8c1473656c656374696f6e50726f626162696c69747994473fe33333333333338c0473656564944b07758c0473616c74948c02"
    "723194752e"
)
# Decoder(...).decode(Encoder(2, 1.1, -1.1).encode(x)) of the same package.
VALUES = [-1.1, np.nextafter(-0.55, -1), -0.55, -5e-324, 0.0, 0.3, np.nextafter(0.55, 0), 0.55, 1.1]
LEAVES = [0, 0, 1, 1, 2, 2, 2, 3, 3]


def read(data: bytes, folder: Path) -> PypiConfig:
    """Read bytes as a configuration."""
    path = folder / "old.pkl"
    path.write_bytes(data)
    return read_config(path)


# ---------------------------------------------------------------------- what the package wrote
def test_a_deterministic_encoder(tmp_path: Path) -> None:
    """Channels, the widened range, delta and the salt's presence are read from a real file."""
    found = read(PLAIN, tmp_path)
    assert (found.channels, found.edges, found.delta, found.heads) == (1, (-0.25, 0.5, 1.25), 0.25, None)
    assert (found.salted, found.seeded) == (True, False)


def test_a_randomized_encoder(tmp_path: Path) -> None:
    """The probability of a head and the seed's presence are read too."""
    found = read(RANDOMIZED, tmp_path)
    assert (found.channels, found.edges, found.delta, found.heads) == (2, (-1.1, -0.55, 0.0, 0.55, 1.1), 0.1, 0.6)
    assert (found.salted, found.seeded) == (True, True)


def test_salt_and_seed_are_not_kept(tmp_path: Path) -> None:
    """Neither the text of a configuration nor the notes of its conversion show the salt."""
    found = read(PLAIN, tmp_path)
    assert "roundA" not in f"{found!r}{vars(found)}{convert([found])}"


def test_exact_edges_keep_every_leaf(tmp_path: Path) -> None:
    """With the old edges, the doubles at and below each of them have the leaf that the package gave them."""
    made = convert([read(RANDOMIZED, tmp_path)], exact=True)
    assert isinstance(made.spec.features[0], Quantile)
    assert Comb(made.spec).leaves(np.array(VALUES)[:, None])[:, 0].tolist() == LEAVES
    assert [note.kept for note in made.notes if note.option == "edges"] == [True]


def test_uniform_edges_are_said_to_differ(tmp_path: Path) -> None:
    """Without, the note counts the edges that differ, and as many leaves of the doubles next to them do."""
    made = convert([read(RANDOMIZED, tmp_path)])
    assert isinstance(made.spec.features[0], Uniform)
    (edges,) = (note for note in made.notes if note.option == "edges")
    assert not edges.kept
    assert edges.now.startswith("1 of 3 ")
    assert (Comb(made.spec).edges[0] != [-0.55, 0.0, 0.55]).sum() == 1


def test_a_spec_means_what_the_options_meant(tmp_path: Path) -> None:
    """Depth, range, refusal of values outside and the last-head rule come over; the Spec can be used."""
    spec = convert([read(RANDOMIZED, tmp_path)], ["dose"]).spec
    assert (spec.depth, spec.outside, spec.missing, spec.names) == (2, "error", "error", ("dose",))
    assert spec.channel is not None
    assert (spec.channel.kind, spec.channel.params) == ("last_head", {"heads": 0.6})
    check_usable(spec)
    assert Spec.from_toml(spec.to_toml()) == spec


def test_a_coin_that_always_shows_heads_is_no_channel(tmp_path: Path) -> None:
    """A probability of 1 reports leaves, so the Spec has no channel and says why."""
    one = RANDOMIZED.replace(bytes.fromhex("473fe3333333333333"), bytes.fromhex("473ff0000000000000"))
    made = convert([read(one, tmp_path)])
    assert made.spec.channel is None
    assert [note.now[:2] for note in made.notes if note.option == "selectionProbability"] == ["1:"]


def test_many_columns(tmp_path: Path) -> None:
    """One configuration serves several columns, or each has its own; other numbers are refused."""
    plain = read(PLAIN, tmp_path)
    other = PypiConfig("other.pkl", 1, (0.0, 1.0, 2.0), None, None, salted=False, seeded=False)
    assert convert([plain], ["a", "b", "c"]).spec.names == ("a", "b", "c")
    spec = convert([plain, other], ["a", "b"]).spec
    assert [(f.lo, f.hi) for f in spec.features if isinstance(f, Uniform)] == [(-0.25, 1.25), (0.0, 2.0)]
    for configs, names in (([plain, other], ["a"]), ([], ["a"]), ([plain], []), ([], []), ([plain], "ab")):
        with pytest.raises(SpecError):
            convert(configs, names)


def test_configurations_that_differ_are_refused(tmp_path: Path) -> None:
    """Two depths, or a randomized and a deterministic column, make no Spec."""
    with pytest.raises(SpecError, match="channels or randomization"):
        convert([read(PLAIN, tmp_path), read(RANDOMIZED, tmp_path)], ["a", "b"])


def test_a_randomized_comb_too_deep_for_the_rule(tmp_path: Path) -> None:
    """A last-head rule deeper than this library samples is refused when the Spec is used, and never dropped."""
    edges = tuple(np.linspace(0, 1, (1 << 10) + 1).tolist())
    deep = PypiConfig("deep.pkl", 10, edges, None, 0.5, salted=False, seeded=False)
    with pytest.raises((ChannelError, SpecError)):
        check_usable(convert([deep]).spec)


# ---------------------------------------------------------------------- what others might write
CONFIG = b"\x80\x04}(\x8c\x01a"  # a dictionary, and its first name; a value may follow


def text(word: bytes) -> bytes:
    """Return the opcode that puts a text on the stack."""
    return b"\x8c" + bytes([len(word)]) + word


def double(number: float) -> bytes:
    """Return the opcode that puts a double on the stack."""
    return b"G" + np.array(number, ">f8").tobytes()


MALICIOUS = {
    "a call": (b"\x80\x04" + text(b"os") + text(b"system") + b"\x93" + text(b"true") + b"\x85R.", "STACK_GLOBAL"),
    "a call by the old opcode": (b"\x80\x04cos\nsystem\n(S'true'\ntR.", "GLOBAL"),
    "an instance by the old opcode": (b"\x80\x04(S'true'\nios\nsystem\n.", "STRING"),
    "a call after data": (CONFIG + b"K\x01u" + text(b"true") + b"\x85R.", "TUPLE1"),
    "reduce": (CONFIG + b")R.", "REDUCE"),
    "a class with arguments": (CONFIG + text(b"hashcomb.core.node") + text(b"Node") + b"\x93}\x81.", "NEWOBJ"),
    "a class by keywords": (CONFIG + text(b"hashcomb.core.node") + text(b"Node") + b"\x93)}\x92.", "NEWOBJ_EX"),
    "another class of the package": (CONFIG + text(b"hashcomb.io.io") + text(b"PklIO") + b"\x93.", "STACK_GLOBAL"),
    "a part of a class": (CONFIG + text(b"hashcomb.core.node") + text(b"Node.getValue") + b"\x93.", "STACK_GLOBAL"),
    "state on a class": (CONFIG + text(b"hashcomb.core.node") + text(b"Node") + b"\x93}b.", "BUILD"),
    "an extension": (CONFIG + b"\x82\x01.", "EXT1"),
    "a persistent id": (CONFIG + b"Pfile\n.", "PERSID"),
    "a long text": (CONFIG + b"X\xff\xff\xff\xff.", "BINUNICODE"),
    "a very long text": (CONFIG + b"\x8d" + b"\xff" * 7 + b"\x7f.", "BINUNICODE8"),
    "a very long number": (CONFIG + b"\x8b\xff\xff\xff\x7f.", "LONG4"),
    "a number in many digits": (CONFIG + b"I" + b"9" * 100_000 + b"\n.", "INT"),
    "a text with a wrong escape": (CONFIG + b"S'\\d'\n.", "STRING"),
    "a list": (CONFIG + b"]u.", "EMPTY_LIST"),
    "a number as a name": (b"\x80\x04}(K\x01K\x01u.", "SETITEMS"),
    "a class as a name": (b"\x80\x04}" + text(b"hashcomb.core.node") + text(b"Node") + b"\x93Ns.", "SETITEM"),
    "a memo that is not there": (CONFIG + b"h\x07u.", "BINGET"),
    "deep nesting": (CONFIG + b"}(" * 100_000 + b".", "MARK"),
    "an old protocol": (b"\x80\x02}.", "PROTO"),
    "no mark": (b"\x80\x04}u.", "SETITEMS"),
    "an empty stack": (b"\x80\x04b.", "BUILD"),
    "the dictionary below the mark": (b"\x80\x04}(s.", "SETITEM"),
    "something left over": (b"\x80\x04}}.", "STOP"),
    "something after the end": (b"\x80\x04}.}", "STOP"),
    "an early end": (PLAIN[:359], "missing"),
    "an end within a text": (PLAIN[:408], "SHORT_BINUNICODE"),
    "nothing": (b"", "missing"),
}


@pytest.mark.parametrize(("data", "named"), MALICIOUS.values(), ids=MALICIOUS)
def test_what_no_configuration_needs_is_refused(tmp_path: Path, data: bytes, named: str) -> None:
    """The error names the opcode and the byte at which the reading ended."""
    with pytest.raises(FileFormatError, match=r"opcode \w+ at byte \d+ ") as refused:
        read(data, tmp_path)
    assert named in str(refused.value)


def test_numbers_of_numpy_are_named_as_a_cause(tmp_path: Path) -> None:
    """A configuration with delta=numpy.float64(...) asks for imports; it is refused with that as a possible reason."""
    scalar = text(b"numpy._core.multiarray") + text(b"scalar") + b"\x93"
    with pytest.raises(FileFormatError, match="were delta and seed NumPy's numbers"):
        read(PLAIN.replace(double(0.25), scalar), tmp_path)


def test_nothing_is_imported_or_called(tmp_path: Path) -> None:
    """A pickle that, when loaded, imports a module and calls into it, does neither here."""
    (tmp_path / "planted.py").write_text("open('imported', 'w').close()\ndef ran(): open('called', 'w').close()\n")
    data = b"\x80\x04" + text(b"planted") + text(b"ran") + b"\x93)R."
    (tmp_path / "old.pkl").write_bytes(data)
    code = "from hashcomb.errors import FileFormatError\nfrom hashcomb.legacy import read_config\n"
    code += "try: read_config('old.pkl')\nexcept FileFormatError: print('refused')"
    path = [sys.executable, "-c", code]
    assert subprocess.run(path, cwd=tmp_path, capture_output=True, text=True, check=True).stdout == "refused\n"
    assert not (tmp_path / "imported").exists()
    loads = [sys.executable, "-c", f"import pickle; pickle.loads({data!r})"]
    subprocess.run(loads, cwd=tmp_path, check=True)
    assert (tmp_path / "imported").exists()
    assert (tmp_path / "called").exists()


def test_shared_parts_are_not_multiplied(tmp_path: Path) -> None:
    """Sixty dictionaries that each hold the one before twice, a quintillion when written out, are refused at once."""
    shared = [b"}\x94(" + text(b"a") + b"h%c" % (i - 1) + text(b"b") + b"h%c" % (i - 1) + b"u" for i in range(1, 60)]
    whole = b"\x80\x04}(" + b"".join(text(b"%d" % i) + one for i, one in enumerate([b"}\x94", *shared])) + b"u."
    assert len(pickle.loads(whole)) == 60
    with pytest.raises(FileFormatError, match="schema"):
        read(whole, tmp_path)


def test_more_objects_than_a_configuration_has(tmp_path: Path) -> None:
    """A file of a million opcodes that each make an object ends with an error, and not with the machine's memory."""
    with pytest.raises(FileFormatError, match="one of more than 1048576 objects"):
        read(b"\x80\x04" + b"}" * 2_000_000, tmp_path)


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    """A file above the limit is not read, and the error says how to do without it."""
    path = tmp_path / "old.pkl"
    with path.open("wb") as file:
        file.truncate((16 << 20) + 1)
    with pytest.raises(FileFormatError, match="16 MiB; write the Spec yourself"):
        read_config(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A path that leads nowhere, or to a folder, is named."""
    for path, problem in ((tmp_path / "none.pkl", "cannot be read"), (tmp_path, "is no regular file")):
        with pytest.raises(FileFormatError, match=problem) as refused:
            read_config(path)
        assert refused.value.file == str(path)


EDITED = {
    "a bound moved in one node": (PLAIN.replace(double(0.5), double(0.75), 1), "side by side"),
    "a bound outside the parent": (PLAIN.replace(double(0.5), double(3.0)), "side by side"),
    "a bound that is no number": (PLAIN.replace(double(-0.25), double(np.nan)), "least of a node must be finite"),
    "a bound that is text": (PLAIN.replace(double(0.5), text(b"half"), 1), "must be a number"),
    "children of another range": (
        PLAIN.replace(double(-0.25), double(-9.0), 2).replace(double(-9.0), double(-0.25), 1),
        "their parent|other range|side by side",
    ),
    "another range stated": (double(1.75).join(PLAIN.rsplit(double(1.25), 1)), "states other channels, or another"),
    "another number of channels": (PLAIN.replace(b"channels\x94K\x01", b"channels\x94K\x02"), "lacks a node"),
    "no channels": (PLAIN.replace(b"channels\x94K\x01", b"channels\x94K\x00"), "1 to 20"),
    "a truth for channels": (PLAIN.replace(b"channels\x94K\x01", b"channels\x94\x88"), "1 to 20"),
    "a delta that is text": (PLAIN.replace(double(0.25), text(b"wide")), "delta must be a number"),
    "a probability above 1": (RANDOMIZED.replace(double(0.6), double(1.5)), "not within"),
    "a probability that is missing": (RANDOMIZED.replace(double(0.6), b"N"), "selectionProbability must be a number"),
    "another schema": (PLAIN.replace(b"config.v1", b"config.v2"), "schema"),
    "another encoder": (PLAIN.replace(b"deterministic", b"indeterminist"), "schema"),
    "a dictionary for the encoder": (PLAIN.replace(text(b"deterministic"), b"}"), "schema"),
    "no tree": (PLAIN.replace(text(b"tree"), text(b"bush")), "lacks a tree"),
    "no parameters": (PLAIN.replace(text(b"params"), text(b"param_")), "params is no dictionary"),
    "no dictionary at all": (b"\x80\x04N.", "the whole is no dictionary"),
}


@pytest.mark.parametrize(("data", "problem"), EDITED.values(), ids=EDITED)
def test_parts_that_do_not_fit_are_refused(tmp_path: Path, data: bytes, problem: str) -> None:
    """A configuration that was edited, so that its tree or its parameters make no sense, is refused."""
    assert data not in (PLAIN, RANDOMIZED)
    with pytest.raises(FileFormatError, match=problem):
        read(data, tmp_path)


SNIPPETS = st.sampled_from(
    [b"}", b"(", b")", b"\x94", b"u", b"s", b"b", b"\x81", b"\x93", b"N", b"K\x01", b"h\x00", b"h\x01", b"."]
    + [text(word) for word in (b"schema", b"tree", b"hashcomb.core.tree", b"Tree", b"hashcomb.core.node", b"Node")]
    + [double(0.5), b"\x85", b"R", b"0", b"2", b"]", b"\x95" + bytes(8)]
)
EDITS = st.lists(st.tuples(st.integers(2, len(RANDOMIZED) - 1), st.binary(min_size=1, max_size=3)), max_size=4)


def reads_or_refuses(data: bytes, folder: Path) -> None:
    """Read bytes: a configuration whose edges are in order comes back, or our error, and nothing else."""
    try:
        found = read(data, folder)
    except FileFormatError:
        return
    assert len(found.edges) == (1 << found.channels) + 1
    assert list(found.edges) == sorted(found.edges)
    assert convert([found]).spec.depth == found.channels


@settings(max_examples=300, deadline=None, derandomize=True)
@given(edits=EDITS)
def test_real_files_with_bytes_changed(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, bytes]]
) -> None:
    """Whatever bytes of a real file are changed, it is read or refused."""
    data = bytearray(RANDOMIZED)
    for place, new in edits:
        data[place : place + len(new)] = new
    reads_or_refuses(bytes(data), tmp_path_factory.getbasetemp())


@settings(max_examples=300, deadline=None, derandomize=True)
@given(parts=st.lists(SNIPPETS, max_size=40))
def test_opcodes_in_any_order(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]) -> None:
    """Opcodes of the list and beside it, in any order, are read or refused."""
    reads_or_refuses(b"\x80\x05" + b"".join(parts) + b".", tmp_path_factory.getbasetemp())


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.binary(max_size=200))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Bytes that are no pickle are refused."""
    reads_or_refuses(data, tmp_path_factory.getbasetemp())
