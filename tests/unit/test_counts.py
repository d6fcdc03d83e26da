"""Counting without a key: parameters coordinate by coordinate, and data column by column."""

import copy
import subprocess
import sys
from typing import Any

import msgspec
import numpy as np
import pytest

from hashcomb import HashComb, Key, RandomizedResponse, Spec, Uniform
from hashcomb.counts import (
    ParameterCounter,
    ParameterCounts,
    ParameterHeader,
    ParameterTokens,
    count_parameters,
    count_tokens,
    estimate_histogram,
    estimate_means,
)
from hashcomb.counts.counted import CountsHeader
from hashcomb.counts.stamped import framed, narrowed
from hashcomb.errors import DataError, FileFormatError, FingerprintError, InsecureRandomWarning, SpecError
from hashcomb.laws import laws_of
from hashcomb.parameters import ParameterCodec, ParameterSpec

KEY = Key(bytes(range(32)))
HEADER = ParameterHeader(fingerprint="0" * 64, key_id="1" * 16, round=2, names=("w", "b"), sizes=(3, 1), n_reports=256)


def tokens_of(*numbers: int, **fields: Any) -> ParameterTokens:
    """Return tokens that stand for small numbers."""
    from msgspec.structs import replace

    words = np.array(numbers, dtype=np.uint64) << np.uint64(8)
    return ParameterTokens.stamp(words, replace(HEADER, **fields))


def listed(counts: ParameterCounts) -> list[dict[int, int]]:
    """Return the weight of each small number at each coordinate."""
    pairs = list(zip((counts.tokens >> np.uint64(8)).tolist(), counts.weights.tolist(), strict=True))
    return [dict(pairs[a:b]) for a, b in zip(counts.offsets[:-1], counts.offsets[1:], strict=True)]


# ---------------------------------------------------------------------- parameters
def test_weights_of_equal_tokens_are_added_up() -> None:
    """At each coordinate, the weights of clients with one token are added up."""
    counts = count_parameters([tokens_of(5, 9, 7, 1), tokens_of(2, 9, 7, 3), tokens_of(5, 9, 8, 1)], [1, 10, 100])
    assert listed(counts) == [{2: 10, 5: 101}, {9: 111}, {7: 11, 8: 100}, {1: 101, 3: 10}]
    assert (counts.n_clients, counts.total) == (3, 111)


def test_the_order_of_clients_does_not_show() -> None:
    """Counts are the same bytes in whatever order clients come."""
    clients = [tokens_of(5, 9, 7, 1), tokens_of(2, 9, 7, 3), tokens_of(5, 4, 8, 1)]
    forth, back = count_parameters(clients, [1, 2, 3]), count_parameters(clients[::-1], [3, 2, 1])
    assert forth.to_bytes() == back.to_bytes()


def test_threads_change_no_byte() -> None:
    """Counts are the same bytes on one thread and on three, also where threads get parts of unequal size."""
    rng = np.random.default_rng(2)
    clients = [tokens_of(*rng.integers(0, 9, 1000).tolist(), sizes=(999, 1)) for _ in range(5)]
    alone, together = (count_parameters(clients, n_threads=n_threads) for n_threads in (1, 3))
    assert alone.to_bytes() == together.to_bytes()


def test_more_clients_than_are_counted_at_once() -> None:
    """With 600 clients, which are added up in parts, every coordinate has its histogram."""
    rng = np.random.default_rng(1)
    numbers = rng.integers(0, 40, size=(600, 4))
    weights = rng.integers(1, 9, size=600)
    counts = count_parameters([tokens_of(*row) for row in numbers.tolist()], weights.tolist())
    wanted = [np.bincount(column, weights=weights) for column in numbers.T]
    assert listed(counts) == [{i: int(w) for i, w in enumerate(column) if w} for column in wanted]


def test_merged_counts_are_counts_of_all() -> None:
    """Counting parts and merging them is counting all."""
    clients = [tokens_of(i % 3, i % 2, 7, i) for i in range(7)]
    whole = count_parameters(clients, list(range(1, 8)))
    parts = count_parameters(clients[:3], [1, 2, 3]).merge(count_parameters(clients[3:], [4, 5, 6, 7]))
    assert parts.to_bytes() == whole.to_bytes()
    assert [weight for _, weight in parts.clients] == [weight for _, weight in whole.clients]


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"fingerprint": "2" * 64}, "ParameterSpec"),
        ({"key_id": "2" * 16}, "Key"),
        ({"round": 3}, "round"),
        ({"dataset": "b"}, "data set"),
        ({"sizes": (2, 2)}, "sizes"),
    ],
)
def test_clients_of_another_origin_are_refused_by_name(fields: dict[str, Any], what: str) -> None:
    """Tokens under another spec, Key, round or data set are refused, and the client is named."""
    clients = {"north": tokens_of(1, 2, 3, 4), "south": tokens_of(1, 2, 3, 4, **fields)}
    with pytest.raises(FingerprintError, match=f"'south'.*{what}"):
        count_parameters(clients)


@pytest.mark.parametrize("weight", [0, -1, 1.5, True, "3", None, 1 << 41])
def test_weights_that_are_none_are_refused_by_name(weight: Any) -> None:
    """A weight that is no whole number of at least 1, or far too large, is refused, and the client is named."""
    with pytest.raises(DataError, match="'1'"):
        count_parameters([tokens_of(1, 2, 3, 4)] * 2, [1, weight])


@pytest.mark.parametrize(
    "tokens",
    [
        np.zeros(4, dtype=np.uint64),
        tokens_of(1, 2, 3, 4)[:3],
        tokens_of(1, 2, 3),
        tokens_of(1, 2, 3, 4).astype(np.float64),
        None,
    ],
)
def test_what_are_no_whole_tokens_is_refused_by_name(tokens: Any) -> None:
    """Plain arrays, parts and the wrong number of tokens are refused, and the client is named."""
    with pytest.raises(DataError, match="'bad'"):
        count_parameters({"good": tokens_of(1, 2, 3, 4), "bad": tokens})


def test_a_round_can_go_on_without_the_offender() -> None:
    """With skip, the others are counted, and the result names who was left out and why."""
    clients = {"north": tokens_of(1, 2, 3, 4), "south": tokens_of(1, 2, 3), "west": tokens_of(1, 2, 3, 4, round=9)}
    counts = count_parameters(clients, {"north": 2, "south": 3, "west": 4}, skip=True)
    assert counts.total == 2
    assert [name for name, _ in counts.refused] == ["south", "west"]
    assert isinstance(counts.refused[1][1], FingerprintError)


def test_an_empty_round_is_refused() -> None:
    """Nobody, and nobody left, are both an error."""
    with pytest.raises(DataError, match="empty round"):
        count_parameters([])
    with pytest.raises(DataError, match="empty round"):
        count_parameters([tokens_of(1)], skip=True)


def test_a_refused_client_changes_nothing() -> None:
    """After an error the counter goes on as if the client had not come; nobody is counted twice."""
    counter = ParameterCounter()
    counter.add(tokens_of(1, 2, 3, 4), 5, client="a")
    for tokens, weight, client in ((tokens_of(1, 2, 3), 5, "b"), (tokens_of(1, 2, 3, 4), 5, "a")):
        with pytest.raises(DataError):
            counter.add(tokens, weight, client=client)
    counter.add(tokens_of(1, 2, 3, 4), 6, client="b")
    assert counter.result().total == 11


@pytest.mark.parametrize(("weights", "count"), [([1], 2), ([1, 2, 3], 2)])
def test_there_is_one_weight_for_each_client(weights: list[int], count: int) -> None:
    """Too few or too many weights are refused."""
    with pytest.raises(DataError):
        count_parameters([tokens_of(1, 2, 3, 4)] * count, weights)


# ---------------------------------------------------------------------- bytes
def test_tokens_and_counts_survive_the_wire() -> None:
    """Tokens and counts read from their bytes are the same, at 7 bytes a token."""
    tokens = tokens_of(1, 2, 3, (1 << 56) - 1)
    again = ParameterTokens.from_bytes(tokens.to_bytes())
    assert (again == tokens).all()
    assert again.header == tokens.header
    counts = count_parameters([tokens, tokens_of(1, 5, 3, 4)], [70_000, 3])
    back = ParameterCounts.from_bytes(counts.to_bytes())
    assert listed(back) == listed(counts)
    assert back.to_bytes() == counts.to_bytes()
    longer = tokens_of(*range(8), sizes=(3, 5))
    assert len(longer.to_bytes()) - len(tokens.to_bytes()) == 4 * 7


@pytest.mark.parametrize("what", ["tokens", "counts"])
def test_damaged_bytes_are_refused(what: str) -> None:
    """Bytes cut anywhere, with one more, or of the other kind are refused with one type of error."""
    tokens = tokens_of(1, 2, 3, 4)
    counts = count_parameters([tokens, tokens_of(1, 5, 3, 4)])
    read, raw, other = {
        "tokens": (ParameterTokens.from_bytes, tokens.to_bytes(), counts.to_bytes()),
        "counts": (ParameterCounts.from_bytes, counts.to_bytes(), tokens.to_bytes()),
    }[what]
    for bad in (*(raw[:cut] for cut in range(len(raw))), raw + b"\0", other, b"", "text"):
        with pytest.raises(FileFormatError):
            read(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"round":2', b'"round":-'),
        (b'"w"', b'"b"'),
        (b'"sizes":[3,1]', b'"sizes":[9,1]'),
        (b'"n_reports":256', b'"n_reports":001'),
        (b'"version":1', b'"version":2'),
        (b'"round"', b'"roond"'),
        (b"0000", b"00G0"),
    ],
)
def test_headers_that_no_encoding_writes_are_refused(old: bytes, new: bytes) -> None:
    """A header with a field that is wrong is refused, or its tokens do not fit."""
    raw = tokens_of(1, 2, 3, 4).to_bytes()
    assert old in raw
    with pytest.raises(FileFormatError):
        ParameterTokens.from_bytes(raw.replace(old, new, 1))


def test_counts_that_no_counting_gives_are_refused() -> None:
    """Tokens out of order, weights of 0 and sums that do not fit are refused."""
    counts = count_parameters([tokens_of(1, 2, 3, 4), tokens_of(1, 5, 3, 4)], [3, 4])
    swapped, empty, heavier = copy.copy(counts), copy.copy(counts), copy.copy(counts)
    swapped.tokens = counts.tokens[[0, 2, 1, 3, 4]]
    empty.weights = counts.weights * np.array([1, 0, 1, 1, 1])
    heavier.total = 8
    for bad in (swapped, empty, heavier):
        with pytest.raises(FileFormatError):
            ParameterCounts.from_bytes(bad.to_bytes())


def forged_counts(distinct: list[int], n_entries: int, n_clients: int) -> bytes:
    """Return the bytes of counts whose coordinates claim to have so many tokens."""
    fields = msgspec.structs.asdict(HEADER) | {"sizes": (len(distinct) - 1, 1)}
    header = CountsHeader(**fields, n_clients=n_clients, total=n_clients)
    tokens = narrowed(np.arange(1, n_entries + 1, dtype=np.uint64) << np.uint64(8))
    each = next(width for width, bits in (("<u1", 8), ("<u8", 64)) if n_clients < 1 << bits)
    weights = np.full(n_entries, n_clients, dtype=each)
    return framed("parameter counts", header, np.array(distinct, dtype=each), tokens, weights)


@pytest.mark.parametrize(
    ("distinct", "n_entries", "n_clients"),
    [
        ([1 << 62] * 4 + [4], 4, 1 << 33),  # their sum is 4 in 64 bits
        ([(1 << 64) - 1, 5], 4, 1 << 33),
        ([0, 4], 4, 9),
        ([3, 1], 4, 2),  # more tokens than clients
    ],
    ids=["wraps around", "negative", "none", "more than clients"],
)
def test_numbers_of_tokens_that_cannot_be_are_refused(distinct: list[int], n_entries: int, n_clients: int) -> None:
    """Numbers of tokens whose sum wraps around, below 1, or above the number of clients are refused."""
    with pytest.raises(FileFormatError):
        ParameterCounts.from_bytes(forged_counts(distinct, n_entries, n_clients))


@pytest.mark.parametrize("size", [b"1" + b"0" * 12, b"1" + b"0" * 400])
def test_a_short_message_cannot_ask_for_much_memory(size: bytes) -> None:
    """A header that speaks of more parameters than there are bytes is refused, however large the number."""
    text = msgspec.json.encode(HEADER).replace(b"[3,1]", b"[3," + size + b"]")
    raw = b"hashcomb parameter tokens 1\n" + len(text).to_bytes(4, "little") + text + bytes(28)
    with pytest.raises(FileFormatError):
        ParameterTokens.from_bytes(raw)


def test_only_the_whole_array_has_the_header() -> None:
    """Parts and results of arithmetic are plain; copies of the whole, to other processes too, keep the header."""
    tokens = tokens_of(1, 2, 3, 4)
    part: Any = tokens[:2]
    assert part.header is None
    assert type(tokens + np.uint64(1)) is np.ndarray
    assert tokens.copy().header == HEADER
    assert copy.deepcopy(tokens).header == HEADER
    with pytest.raises(FileFormatError):
        part.to_bytes()


def test_counting_needs_no_key_module() -> None:
    """The server's side imports nothing that holds keys."""
    code = "import hashcomb.counts, sys; print('hashcomb.keys' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# ---------------------------------------------------------------------- the whole way
@pytest.mark.parametrize("n_clients", [1, 3, 12])
def test_the_mean_of_models_comes_back(n_clients: int) -> None:
    """With nearest rounding, decoding counts gives the weighted mean of the rounded models to the last places."""
    rng = np.random.default_rng(n_clients)
    models = [{"w": rng.normal(size=(5, 7)), "b": rng.normal(size=3)} for _ in range(n_clients)]
    weights = rng.integers(1, 1000, n_clients)
    codec = ParameterCodec(ParameterSpec.of(models[0], clip=2.0, rounding="nearest"), KEY, round=1)
    mean = codec.decode(count_parameters([codec.encode(model) for model in models], weights.tolist()))
    rounded = [codec.decode(codec.encode(model)) for model in models]
    for name in ("w", "b"):
        wanted = np.average([model[name] for model in rounded], axis=0, weights=weights)
        np.testing.assert_allclose(mean[name], wanted, rtol=0, atol=1e-14)


# ---------------------------------------------------------------------- data
def table(channel: Any = None, **rules: Any) -> tuple[HashComb, np.ndarray]:
    """Return a codec over two columns, and rows of them."""
    features = (Uniform(name="age", lo=0.0, hi=1.0), Uniform(name="dose", lo=-1.0, hi=1.0))
    spec = Spec(features=features, depth=2, channel=None if channel is None else channel.to_spec(), **rules)
    rng = np.random.default_rng(4)
    return HashComb(spec, KEY), np.stack([rng.beta(2, 5, 4000), rng.uniform(-1, 1, 4000)], axis=1)


def test_tokens_are_counted_by_column() -> None:
    """Counts of each column are those of its leaves, whatever they stand for."""
    codec, rows = table()
    counts = count_tokens(codec.encode(rows))
    assert counts.columns == ("age", "dose")
    leaves = np.bincount((rows[:, 0] * 4).astype(int))
    assert sorted(counts.counts[0].tolist()) == sorted(leaves.tolist())


def test_counts_of_parts_are_merged() -> None:
    """Merged counts are those of all rows; counts under another round are refused."""
    codec, rows = table()
    tokens = codec.encode(rows)
    merged = count_tokens(tokens[:100]).merge(count_tokens(tokens[100:]))
    whole = count_tokens(tokens)
    for a, b in zip((*merged.tokens, *merged.counts), (*whole.tokens, *whole.counts), strict=True):
        assert (a == b).all()
    other = HashComb(codec.spec, KEY, round=1)
    with pytest.raises(FingerprintError, match="round"):
        merged.merge(count_tokens(other.encode(rows)))


def test_counts_of_reports_and_of_true_values_do_not_mix() -> None:
    """Reports of randomized response and clean tokens are the same tokens, and have no law together."""
    codec, rows = table(RandomizedResponse(1.5, depth="leaf"))
    with pytest.raises(FingerprintError, match="channel"):
        count_tokens(codec.encode(rows)).merge(count_tokens(codec.encode_clean(rows)))


@pytest.mark.parametrize("method", ["unbiased", "project", "bayes"])
def test_histograms_of_reports_come_near_the_truth(method: Any) -> None:
    """Shares of true values are estimated from randomized tokens within five standard errors."""
    codec, rows = table(RandomizedResponse(1.5, depth="leaf"))
    with pytest.warns(InsecureRandomWarning):
        tokens = codec.encode(rows, seed=3)
    found = estimate_histogram(tokens, laws_of(tokens), method=method)
    for j, histogram in enumerate(found):
        leaves = np.clip(((rows[:, j] - (0, -1)[j]) * (4, 2)[j]).astype(int), 0, 3)
        clean = np.asarray(codec.encode_clean(rows))[:, j]
        order = np.argsort([clean[leaves == leaf][0] for leaf in range(4)])
        truth = (np.bincount(leaves, minlength=4) / len(rows))[order]
        assert (np.abs(histogram.shares - truth) <= 5 * histogram.errors).all()
        assert histogram.shares.sum() == pytest.approx(1.0)
        assert method == "unbiased" or (histogram.shares >= 0).all()


def test_histograms_of_clean_tokens_are_exact() -> None:
    """Without a channel the shares are the shares."""
    codec, rows = table()
    tokens = codec.encode(rows)
    for histogram, counts in zip(estimate_histogram(tokens, laws_of(tokens)), count_tokens(tokens).counts, strict=True):
        np.testing.assert_allclose(histogram.shares, counts / 4000, atol=1e-12)


def test_tokens_without_a_law_are_refused_by_column() -> None:
    """A token that the law does not have, or too few laws, are refused."""
    codec, rows = table()
    tokens = codec.encode(rows)
    laws = laws_of(tokens)
    foreign = np.asarray(tokens).copy()
    foreign[3, 1] ^= np.uint64(1)
    with pytest.raises(DataError) as caught:
        estimate_histogram(foreign, laws)
    assert caught.value.column == "x1"
    with pytest.raises(DataError):
        estimate_histogram(tokens, laws[:1])
    with pytest.raises(DataError):
        estimate_histogram(tokens, laws, method="guess")  # type: ignore[arg-type]


@pytest.mark.parametrize("channel", [None, RandomizedResponse(2.0, depth="leaf")])
def test_key_holders_decode_counts_to_means(channel: Any) -> None:
    """The mean of each column comes back from counts, within five standard errors and half a leaf."""
    codec, rows = table(channel)
    counts = count_tokens(codec.encode(rows))
    for (name, mean, error), truth, width in zip(
        estimate_means(counts, codec), rows.mean(axis=0), (0.25, 0.5), strict=True
    ):
        assert name in ("age", "dose")
        assert abs(mean - truth) <= 5 * error + width / 2


def test_counts_of_all_levels_have_no_mean() -> None:
    """Only leaves stand for values."""
    codec, rows = table(tokens="comb")
    with pytest.raises(SpecError):
        estimate_means(count_tokens(codec.encode(rows)), codec)


@pytest.mark.parametrize("bad", [np.zeros((0, 2), np.uint64), np.zeros(3, np.uint64), np.zeros((2, 2))])
def test_what_is_no_table_of_tokens(bad: np.ndarray) -> None:
    """No rows, one dimension and floats are refused."""
    with pytest.raises(DataError):
        count_tokens(bad)
