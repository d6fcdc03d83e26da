"""Laws of tokens: what a learner without the Key knows of the channel, and tokens of true values beside reports."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from hashcomb import Categorical, ChannelSpec, HashComb, Key, RandomizedResponse, Spec, Uniform
from hashcomb.channels import RQM, Channel, Geometric, PoissonBinomial, RandomDepth, SquareWave
from hashcomb.counts import estimate_histogram
from hashcomb.errors import ChannelError, DataError, FileFormatError, FingerprintError, SpecError
from hashcomb.header import SymbolDomain, TokenHeader
from hashcomb.laws import TokenLaws, laws_of

CHANNELS: dict[str, Channel | None] = {
    "none": None,
    "coarse randomized response": RandomizedResponse(1.0, depth=1),
    "randomized response": RandomizedResponse(2.0, depth="leaf"),
    "square wave": SquareWave(2.0),
    "rqm": RQM(0.42, 1.0),
    "geometric": Geometric(2.0),
    "poisson binomial": PoissonBinomial(0.2, 8),
    "random depth": RandomDepth(2.0),
}
CELLS = (np.arange(8) + 0.5) / 8  # one value for each leaf


def codec(key: Key, channel: Channel | None, **rules: Any) -> HashComb:
    features = (Uniform(name="a", lo=0.0, hi=1.0), Uniform(name="b", lo=0.0, hi=1.0))
    spec = Spec(features=features, depth=3, channel=None if channel is None else channel.spec_for(8), **rules)
    return HashComb(spec, key)


def table(n_rows: int = 4000) -> NDArray[np.float64]:
    return np.random.default_rng(3).random((n_rows, 2)) ** 2


@pytest.mark.parametrize("name", CHANNELS)
def test_laws_are_those_of_the_channel(key: Key, name: str) -> None:
    """Looked up by tokens, the probability of each report for each leaf is the channel's own."""
    channel, made = CHANNELS[name], codec(key, CHANNELS[name])
    law, bound = made.laws()[1], None if channel is None else channel.on(8)
    clean = np.asarray(made.encode_clean(np.column_stack([CELLS, CELLS])))[:, 1]
    rows = law.matrix[np.searchsorted(law.symbols, clean)]
    expected = np.eye(8) if bound is None else bound.matrix()
    assert np.allclose(np.sort(rows, axis=1), np.sort(expected, axis=1), atol=1e-12)
    tokens = np.asarray(made.encode(table()))[:, 1]
    assert np.isin(tokens, law.reports).all()


@pytest.mark.parametrize("name", [name for name in CHANNELS if name != "rqm"])
def test_codes_are_unbiased(key: Key, name: str) -> None:
    """Over its reports, the mean of a true value's codes is its indicator, to 1e-8."""
    law = codec(key, CHANNELS[name]).laws()[0]
    codes = law.require_codes()
    assert np.allclose(law.matrix @ codes, np.eye(len(law.symbols)), atol=1e-8)


def test_the_header_tells_the_law_of_randomized_response(key: Key) -> None:
    """Without the Key, from tokens and their header, the laws are those that the key holder has."""
    rules = {"channel": RandomizedResponse(1.0, depth="leaf").to_spec(), "missing": "token", "depth": 2}
    features = (Uniform(name="a", lo=0.0, hi=1.0), Categorical(name="c", categories=("x", "y", "z")))
    made = HashComb(Spec(features=features, **rules), key)  # type: ignore[arg-type]
    rows = {"a": table()[:, 0], "c": np.array(["x", "y", None, "z"] * 1000, dtype=object)}
    for known, read in zip(made.laws(), laws_of(made.encode(rows)), strict=True):
        assert known.column == read.column
        assert (known.reports == read.reports).all()
        assert np.allclose(known.matrix, read.matrix, atol=1e-9)
        assert np.allclose(known.require_codes(), read.require_codes(), atol=1e-8)


def test_clean_tokens_are_those_of_reports_or_of_leaves(key: Key) -> None:
    """Randomized response has one set of tokens, others have a second; the clean header names no channel."""
    rows = np.column_stack([CELLS, CELLS])
    for channel, shared in ((RandomizedResponse(1.0, depth=1), 2), (SquareWave(2.0), 0)):
        made = codec(key, channel)
        clean = made.encode_clean(rows)
        assert clean.header.channel is None
        assert clean.header.differs_from(made.header) is None
        reports = made.issued_tokens()[0]
        assert len(np.intersect1d(reports, np.asarray(clean)[:, 0])) == shared
        assert len(np.unique(np.asarray(clean)[:, 0])) == (shared or 8)


def test_clean_tokens_of_paths_and_without_a_channel(key: Key) -> None:
    """Without a channel they are what encode gives; with all levels, those of the true path."""
    rows = table(50)
    plain = codec(key, None)
    assert (np.asarray(plain.encode_clean(rows)) == np.asarray(plain.encode(rows))).all()
    paths = codec(key, RandomizedResponse(1.0, depth="leaf"), tokens="comb")
    clean = np.asarray(paths.encode_clean(rows))
    assert clean.shape == (50, 2, 3)
    leaves = (rows * 8).astype(int)
    for level in range(3):
        pairs = {(node, token) for node, token in zip(leaves[:, 0] >> (2 - level), clean[:, 0, level], strict=True)}
        assert len(pairs) == len(np.unique(leaves[:, 0] >> (2 - level)))


def test_some_reported_features(key: Key) -> None:
    """Where records report one feature of two, the law says so, and the header has the token of the other."""
    some = ChannelSpec(kind="randomized_response", params={"epsilon": 1.0, "report_features": 1.0})
    made = HashComb(msgspec.structs.replace(codec(key, None).spec, channel=some), key)
    tokens = made.encode(table())
    for known, read, column in zip(made.laws(), laws_of(tokens), np.asarray(tokens).T, strict=True):
        assert known.reported == read.reported == 0.5
        assert known.blank == read.blank
        assert known.blank in column
        assert known.blank not in read.reports
        assert np.allclose(known.matrix, read.matrix, atol=1e-9)


def test_laws_go_from_key_holder_to_trainer_as_json(key: Key) -> None:
    """What is read is what was written; edited laws are refused."""
    laws = codec(key, SquareWave(2.0)).laws()
    read = TokenLaws.from_json(laws.to_json())
    assert read.header == laws.header
    assert all((a.matrix == b.matrix).all() and (a.reports == b.reports).all() for a, b in zip(laws, read, strict=True))
    document = msgspec.json.decode(laws.to_json())
    document["columns"][0]["matrix"][0][0] += 0.1
    for bad in (msgspec.json.encode(document), b"{}", b"[1"):
        with pytest.raises(FileFormatError):
            TokenLaws.from_json(bad)


@pytest.mark.parametrize(
    "edit",
    [
        lambda laws: laws.update(version=2),
        lambda laws: laws["columns"].pop(),
        lambda laws: laws["columns"].reverse(),
        lambda laws: laws["columns"][0].update(blank=-1),
        lambda laws: laws["columns"][0].update(blank=laws["columns"][0]["reports"][2]),
        lambda laws: laws["columns"][0].update(reported=1.5),
    ],
    ids=["version", "too few", "order", "blank", "a report as blank", "share"],
)
def test_laws_that_do_not_fit_are_refused(key: Key, edit: Callable[[Any], Any]) -> None:
    """Laws of other columns than the header's, of a later version, or with an impossible blank are no laws."""
    document = msgspec.json.decode(codec(key, SquareWave(2.0)).laws().to_json())
    edit(document)
    with pytest.raises(FileFormatError):
        TokenLaws.from_json(msgspec.json.encode(document))


def test_laws_without_a_header_are_not_written() -> None:
    """Laws that were read off plain tokens stay where they are: a typed error says so."""
    with pytest.raises(DataError, match="without a header"):
        laws_of(np.array([[1], [2]], dtype=np.uint64)).to_json()


def peak_of(work: Callable[[], Any]) -> int:
    """Return how many bytes some work needs at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_deep_combs_need_no_matrix_of_their_leaves(key: Key) -> None:
    """At depth 14 neither clean tokens nor the laws of few tokens take memory for all pairs of leaves."""
    spec = msgspec.structs.replace(codec(key, None).spec, depth=14)
    channel = RandomizedResponse(5.0, depth="leaf")
    made, rows = HashComb(msgspec.structs.replace(spec, channel=channel.to_spec()), key), table(100)
    reports = made.encode(rows)
    assert peak_of(lambda: made.encode_clean(rows)) < 8 << 20
    assert peak_of(lambda: laws_of(reports)) < 8 << 20
    assert (np.asarray(made.decode(made.encode_clean(rows))) == np.asarray(made.represent(leaves_of(rows, 14)))).all()


def leaves_of(rows: NDArray[np.float64], depth: int) -> NDArray[np.int32]:
    """Return the leaves of values between 0 and 1."""
    return (rows * (1 << depth)).astype(np.int32)


def test_laws_that_are_too_large_are_refused(key: Key) -> None:
    """More than 4096 tokens in a column have no law, with a channel, without one, and for who has none but tokens."""
    spec = msgspec.structs.replace(codec(key, None).spec, depth=13)
    many = np.arange(5000, dtype=np.uint64).reshape(-1, 1)
    for channel in (None, RandomizedResponse(5.0, depth="leaf").to_spec()):
        with pytest.raises(ChannelError, match=r"'a'.*too large"):
            HashComb(msgspec.structs.replace(spec, channel=channel), key).laws()
    with pytest.raises(ChannelError, match="5000 different tokens"):
        laws_of(many)


def test_a_short_header_cannot_ask_for_much_memory(key: Key) -> None:
    """A header from anybody that speaks of a million categories in each of 40 columns costs no memory for them."""
    names = tuple(f"c{j}" for j in range(40))
    domain = SymbolDomain(used=(1 << 20,) * 40, ordered=(False,) * 40, missing=False)
    honest = codec(key, RandomizedResponse(1.0)).header
    header = msgspec.structs.replace(honest, features=names, depth=20, domain=domain)
    header = TokenHeader.from_json(header.to_json())
    tokens = np.zeros((2, 40), dtype=np.uint64)
    assert peak_of(lambda: laws_of(tokens, header)) < 1 << 20


def test_a_planted_law_is_not_unbiased(key: Key) -> None:
    """With the probability of staying off by a hundredth, the codes' mean is no indicator: the check can fail."""
    law = codec(key, RandomizedResponse(1.0, depth="leaf")).laws()[0]
    wrong = law.matrix + 0.01 * (np.eye(8) - 1 / 8)
    assert np.abs(wrong @ law.require_codes() - np.eye(8)).max() > 1e-3


def test_what_cannot_be_undone(key: Key) -> None:
    """Few reports for many leaves, a law that only a key holder knows, two meanings of one token: typed errors."""
    for lossy in (PoissonBinomial(0.2, 2), RQM(0.42, 1.0)):  # three reports for eight leaves, three levels in range
        with pytest.raises(ChannelError, match=r"'a'.*cannot be undone"):
            codec(key, lossy).laws()[0].require_codes()
    with pytest.raises(ChannelError, match="laws="):
        laws_of(codec(key, SquareWave(2.0)).encode(table(10)))
    with pytest.raises(SpecError, match="leaf tokens"):
        codec(key, None, tokens="comb").laws()
    some = ChannelSpec(kind="randomized_response", params={"epsilon": 1.0, "report_features": 1.0})
    both = msgspec.structs.replace(codec(key, None).spec, missing="token", channel=some)
    with pytest.raises(ChannelError, match="one token"):
        laws_of(HashComb(both, key).encode(table(10)))


def test_tokens_that_no_channel_reports(key: Key) -> None:
    """More different tokens than the channel has reports are refused by column; so are tables of other shapes."""
    tokens = codec(key, RandomizedResponse(1.0, depth=1)).encode(table(10))
    edited = tokens.copy()
    edited[:4, 1] = np.arange(4)
    with pytest.raises(DataError, match=r"column 'b': \d different tokens"):
        laws_of(edited)
    with pytest.raises(DataError, match="header names 2"):
        laws_of(tokens[:, :1])
    with pytest.raises(DataError, match="two dimensions"):
        laws_of(np.asarray(tokens)[0])


def test_headers_of_both_versions(key: Key) -> None:
    """Without a channel the header is version 1, byte for byte as before; with one it is 2, and is read back."""
    plain, randomized = codec(key, None).header, codec(key, RandomizedResponse(1.0)).header
    assert plain.version == 1
    assert '"domain"' not in plain.to_json()
    assert randomized.version == 2
    assert TokenHeader.from_json(randomized.to_json()) == randomized
    old = plain.to_json().replace('"channel":null', '"channel":{"kind":"randomized_response","params":{"epsilon":1.0}}')
    with pytest.raises(ChannelError):  # a file of before: it can be read, but does not tell its law
        laws_of(table(5), TokenHeader.from_json(old))
    bad = randomized.to_json().replace('"used":[8,8]', '"used":[8]')
    with pytest.raises(FileFormatError):
        TokenHeader.from_json(bad)


def test_tables_of_several_owners_keep_their_header(key: Key) -> None:
    """One below the other, tokens that were made alike carry the header on; a table without one takes it away."""
    made = codec(key, RandomizedResponse(1.0))
    parts = [made.encode(table(5)), made.encode(table(7))]
    for joined in (np.concatenate(parts), np.vstack(parts), np.concatenate(parts, axis=0)):
        assert joined.shape == (12, 2)
        assert getattr(joined, "header", None) == made.header
    assert getattr(np.concatenate([parts[0], np.asarray(parts[1])]), "header", None) is None
    assert getattr(np.concatenate(parts[:1] * 2, axis=1), "header", None) is None


def test_tables_that_were_not_made_alike_are_not_joined(key: Key) -> None:
    """Tokens under another Key, and tokens of true values beside reports, are refused."""
    made, rows = codec(key, RandomizedResponse(1.0)), table(5)
    with pytest.raises(FingerprintError, match="another Key"):
        np.concatenate([made.encode(rows), codec(Key.create(), RandomizedResponse(1.0)).encode(rows)])
    with pytest.raises(FingerprintError, match="true values"):
        np.concatenate([made.encode(rows), made.encode_clean(rows)])


def test_laws_of_frames(key: Key) -> None:
    """A pandas frame of reports, with a column kept beside them, has the laws of the array; so do its histograms."""
    made = codec(key, RandomizedResponse(1.0, depth="leaf"))
    frame = made.encode(pd.DataFrame(table(), columns=["a", "b"]))
    laws = laws_of(frame.assign(kept=1))
    assert laws.randomized
    assert repr(laws) == "TokenLaws(2 columns, randomized_response)"
    assert all((law.reports == own.reports).all() for law, own in zip(laws, made.laws(), strict=True))
    certain = laws_of(made.encode_clean(table()))
    with pytest.raises(DataError, match="laws are those of true values"):
        estimate_histogram(frame, certain)
    with pytest.raises(DataError, match="'a': is missing"):
        laws_of(frame.drop(columns="a"))
