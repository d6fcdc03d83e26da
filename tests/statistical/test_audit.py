"""The audit lets right channels pass, and catches samplers that are broken on purpose.

False-alarm rate: audits run at confidence 1 - 1e-6, so that a right channel is called caught with probability below
1e-6; seeds fix the outcome, so that it is the same in every run. Power: every defect planted below is caught, with a
p-value below 1e-12 or an epsilon certified far above the claim, so that other seeds would miss it with probability
below 1e-6. What the bounds and p-values promise is checked by enumeration, without any chance.
"""

import copy
import json
import math
from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import binom

from hashcomb import Categorical, HashComb, Quantile, RandomizedResponse, Spec, Uniform
from hashcomb.audit import AuditResult, audit
from hashcomb.audit.evidence import best_event, epsilon_bound, features_apart, places_apart, score_tables, unlikely
from hashcomb.channels import Channel, LastHead, Matrix, SquareWave
from hashcomb.cli.audit import audit as command
from hashcomb.encoding import RowEncoder
from hashcomb.errors import ChannelError, SpecError
from hashcomb.files import write_spec
from hashcomb.keys import Keystream
from hashcomb.noise import FreshNoise
from hashcomb.privacy import pure_epsilon
from hashcomb.spec import ChannelSpec

pytestmark = pytest.mark.statistical

SURE = 1 - 1e-6
N = 100_000


def spec_of(channel: Channel, n_features: int = 1, depth: int = 4, **fields: Any) -> Spec:
    """Return a Spec of numeric features with this channel."""
    features = tuple(Uniform(name=f"x{j}", lo=0.0, hi=1.0) for j in range(n_features))
    return Spec(features=features, depth=depth, channel=channel.to_spec(), **fields)


def leaf_response(epsilon: float) -> RandomizedResponse:
    """Return randomized response that reports leaves."""
    return RandomizedResponse(epsilon, depth="leaf")


def failed(found: AuditResult) -> set[str]:
    """Return the names of the checks that failed."""
    checks = [*found.record, *(check for channel in found.channels for check in channel.checks)]
    return {check.name for check in checks if not check.passed}


FIT = {"every leaf and report", "every feature and report", "reports near the truth"}
RECORD = {"two features of one record", "any two reports"}


# ---------------------------------------------------------------------- right channels
@pytest.mark.parametrize(("epsilon", "depth"), [(2.0, 3), (4.0, 4)])
def test_certified_epsilon_is_near_the_claim(epsilon: float, depth: int) -> None:
    """A million draws certify at least 98 % of the epsilon of randomized response, and not more than all of it."""
    found = audit(spec_of(leaf_response(epsilon), depth=depth), seed=1)
    channel = found.channels[0]
    assert channel.claim is not None
    assert 0.98 * epsilon < channel.lower_bound <= channel.claim <= epsilon
    assert (found.verdict, channel.draws) == ("consistent", 1_000_000)


MIXED = (
    Uniform(name="x", lo=0.0, hi=1.0),
    Quantile(name="ties", lo=0.0, hi=5.0, edges=(0.0, 0.0, 1.0, 2.0, 2.0, 2.0, 3.0)),
    Quantile(name="constant", lo=2.0, hi=2.0, edges=(2.0,) * 7),
    Categorical(name="text", categories=("r", "g", "b")),
    Categorical(name="number", categories=(1, 5)),
)


def response(**params: Any) -> ChannelSpec:
    """Return the description of randomized response."""
    return ChannelSpec(kind="randomized_response", params=params)


RIGHT = {
    "mixed features": Spec(features=MIXED, depth=3, missing="token", unknown="token", channel=response(epsilon=2.0)),
    "a coarser level": Spec(
        features=MIXED, depth=3, missing="token", unknown="token", tokens=2, channel=response(epsilon=2.0)
    ),
    "some features of a record": Spec(features=MIXED, depth=3, channel=response(epsilon=2.0, report_features=2)),
    "some features of a record, or missing": Spec(
        features=MIXED, depth=3, missing="token", channel=response(epsilon=2.0, report_features=4)
    ),
    "a budget for each": Spec(features=MIXED[:2], depth=3, channel=response(epsilon=(1.0, 3.0), depth="auto")),
    "paths": spec_of(leaf_response(1.0), 2, tokens="comb"),
    "many leaves": spec_of(leaf_response(6.0), depth=10),
    "few reports of many leaves": spec_of(RandomizedResponse(3.0), depth=16),
    "other reports": spec_of(SquareWave(1.0), 3),
    "two leaves": spec_of(leaf_response(0.1), depth=1),
    "hardly any noise": spec_of(leaf_response(12.0)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_channels_pass(name: str) -> None:
    """Whatever the features, tokens and reports, a channel that does what it states is found consistent."""
    found = audit(RIGHT[name], n_draws=20_000, confidence=SURE, seed=2)
    assert failed(found) == set()
    assert not found.caught
    assert all(channel.claim is not None and channel.lower_bound <= channel.claim for channel in found.channels)


def test_each_different_channel_is_audited_once() -> None:
    """Features share an audit where they share a channel, and the result says which."""
    found = audit(RIGHT["mixed features"], n_draws=2_000, seed=3)
    assert [channel.features for channel in found.channels] == [("x", "ties", "constant"), ("text",), ("number",)]
    assert [channel.claim for channel in found.channels] == pytest.approx([2.0] * 3)


def test_one_feature_can_be_audited_alone() -> None:
    """A feature that is named gets all draws, and no other is judged."""
    found = audit(spec_of(leaf_response(2.0), 3), n_draws=2_000, feature="x1", seed=3)
    assert [(channel.features, channel.draws) for channel in found.channels] == [(("x1",), 2_000)]


def test_constant_features_prove_nothing() -> None:
    """Where every value falls in one leaf there is no pair, and the certified epsilon is 0."""
    found = audit(Spec(features=MIXED[2:3], depth=3, channel=response(epsilon=2.0)), n_draws=2_000, seed=3)
    assert (found.channels[0].pair, found.channels[0].lower_bound, found.caught) == (None, 0.0, False)


def test_a_seed_repeats_the_audit() -> None:
    """The same seed gives the same result to the last digit; another one, or none, gives another."""
    spec = spec_of(leaf_response(2.0), 2)
    first, again, other, fresh = (audit(spec, n_draws=2_000, seed=seed).to_json() for seed in (4, 4, 5, None))
    assert first == again
    assert len({first, other, fresh}) == 3


@pytest.mark.filterwarnings("ignore::hashcomb.errors.WeakPrivacyWarning")
def test_an_infinite_epsilon_is_certified_without_limit() -> None:
    """For the last-head rule and for a matrix with a zero, ten times the draws certify nearly ln 10 more."""
    for channel in (LastHead(0.5), Matrix([[0.5, 0.5, 0.0], [0.3, 0.3, 0.4]])):
        spec = spec_of(channel, depth=2 if channel.kind == "last_head" else 1)
        few, many = (audit(spec, n_draws=n_draws, confidence=SURE, seed=1) for n_draws in (20_000, 200_000))
        assert few.channels[0].claim is many.channels[0].claim is None
        assert few.channels[0].lower_bound > 5
        assert 2.2 < many.channels[0].lower_bound - few.channels[0].lower_bound < 2.6
        assert not few.caught
        assert not many.caught


# ---------------------------------------------------------------------- broken samplers
Sampler = Callable[[RandomizedResponse, np.ndarray, np.ndarray], np.ndarray]
SAMPLE: Sampler = RandomizedResponse.sample


def never_the_last(channel: RandomizedResponse, symbols: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Plant a defect: noise that never reaches the last leaf."""
    reports, last = SAMPLE(channel, symbols, words), channel.n_reports - 1
    return np.where((reports == last) & (symbols != last), 0, reports)


def only_at_leaf_five(channel: RandomizedResponse, symbols: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Plant a defect: leaf 5, and no other, is never reported as leaf 9."""
    reports = SAMPLE(channel, symbols, words)
    return np.where((reports == 9) & (symbols == 5), 5, reports)


def keeping_more(factor: float) -> Sampler:
    """Plant a defect: the true leaf is kept more often than stated."""

    def sample(channel: RandomizedResponse, symbols: np.ndarray, words: np.ndarray) -> np.ndarray:
        wrong = copy.copy(channel)
        wrong.keep = int(factor * channel.keep)
        return SAMPLE(wrong, symbols, words)

    return sample


@pytest.mark.parametrize("sample", [never_the_last, only_at_leaf_five])
@pytest.mark.parametrize("n_features", [1, 3])
def test_noise_that_misses_a_leaf_is_caught(monkeypatch: pytest.MonkeyPatch, sample: Sampler, n_features: int) -> None:
    """Where one leaf is never reported, an epsilon far above the claim of 1 is certified, at whichever leaf it is."""
    monkeypatch.setattr(RandomizedResponse, "sample", sample)
    found = audit(spec_of(leaf_response(1.0), n_features), n_draws=N, confidence=SURE, seed=1)
    assert found.caught
    assert found.channels[0].lower_bound > 5
    assert "every leaf and report" in failed(found)


def test_a_grossly_wrong_constant_is_caught_by_epsilon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half as much again of kept leaves is proved to cost more than the epsilon of 2 that is claimed."""
    monkeypatch.setattr(RandomizedResponse, "sample", keeping_more(1.5))
    found = audit(spec_of(leaf_response(2.0)), n_draws=N, confidence=SURE, seed=1)
    assert found.channels[0].exceeded
    assert failed(found) >= FIT


@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_a_slightly_wrong_constant_is_caught_by_the_fit(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    """A threshold that is 2 % off is no proof against the epsilon of 2, but does not fit the matrix."""
    monkeypatch.setattr(RandomizedResponse, "sample", keeping_more(factor))
    found = audit(spec_of(leaf_response(2.0)), confidence=SURE, seed=1)
    assert not found.channels[0].exceeded
    assert found.channels[0].checks[2].p_value < 1e-20
    assert "reports near the truth" in failed(found)


def test_a_defect_of_one_feature_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Among twenty features that share a channel, the one that never reports its first leaf is named."""

    def encode(codec: Any, *arguments: Any) -> np.ndarray:
        reports = REPORT(codec, *arguments)
        reports[:, 7] = np.maximum(reports[:, 7], 1)
        return reports

    monkeypatch.setattr(RowEncoder, "_report", encode)
    found = audit(spec_of(leaf_response(1.0), 20), n_draws=N, confidence=SURE, seed=1)
    check = next(check for check in found.channels[0].checks if check.name == "every feature and report")
    assert not check.passed
    assert check.where == "at feature 'x7', report 0"


REPORT, ENCODE, START = RowEncoder._report, HashComb._encode, Keystream.__init__


# ---------------------------------------------------------------------- words used twice
WORDS = Keystream.words


def renumbered(number: Callable[[np.ndarray], np.ndarray]) -> Callable[[Keystream, int, int], np.ndarray]:
    """Plant a defect: other words stand where a word should."""

    def words(stream: Keystream, start: int, count: int) -> np.ndarray:
        wanted = number(np.arange(start, start + count))
        first = int(wanted.min())
        return np.asarray(WORDS(stream, first, int(wanted.max()) - first + 1)[wanted - first])

    return words


def half_used_twice(stream: Keystream, start: int, count: int) -> np.ndarray:
    """Plant a defect: two features share the half of their words that chooses among the leaves."""
    own, shared = WORDS(stream, start, count), renumbered(lambda i: i // 2 * 2)(stream, start, count)
    low = np.uint64(0xFFFFFFFF)
    return np.asarray((own & ~low) | (shared & low))


REUSES = {
    "two features of a row": renumbered(lambda i: i // 2 * 2),
    "all rows": renumbered(lambda i: i % 2),
    "the next row's first feature": renumbered(lambda i: i // 2 + i % 2),
    "rows far apart": renumbered(lambda i: i % 2468),
    "each chunk": lambda stream, start, count: WORDS(stream, 0, count),
    "half a word": half_used_twice,
}


@pytest.mark.parametrize("reuse", REUSES)
def test_a_reused_counter_is_caught(monkeypatch: pytest.MonkeyPatch, reuse: str) -> None:
    """Words that are used for two features, rows or chunks make reports depend on each other, and that shows."""
    monkeypatch.setattr(Keystream, "words", REUSES[reuse])
    found = audit(spec_of(leaf_response(1.0), 2), n_draws=N, confidence=SURE, seed=1)
    assert found.caught
    assert failed(found) & RECORD


def test_a_counter_of_two_rows_is_caught_with_one_feature(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Spec of one feature is audited over its rows: a word for every two of them is found, and how far apart."""
    monkeypatch.setattr(Keystream, "words", REUSES["two features of a row"])
    found = audit(spec_of(leaf_response(1.0)), n_draws=N, confidence=SURE, seed=1)
    assert [(check.name, check.where) for check in found.record] == [("any two reports", "1 row and 0 features apart")]
    assert found.caught


def test_the_same_words_for_two_calls_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keystream whose secret is always the same repeats its noise in the next call."""
    monkeypatch.setattr(Keystream, "__init__", lambda stream, secret=None: START(stream, bytes(range(32))))
    found = audit(spec_of(leaf_response(1.0)), n_draws=N, confidence=SURE)
    assert [(check.passed, check.where) for check in found.record] == [
        (False, "at the same place of two calls or batches")
    ]


def test_the_same_words_for_two_batches_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches that count their rows from 0 again repeat the noise of the first one."""

    def encode(codec: HashComb, table: Any, noise: Any, first_row: int, *rest: Any) -> Any:
        return ENCODE(codec, table, noise, 0, *rest)

    monkeypatch.setattr(HashComb, "_encode", encode)
    found = audit(spec_of(leaf_response(1.0), 2), n_draws=N, confidence=SURE, seed=1)
    assert failed(found) == {"any two reports"}


CHOICE = FreshNoise.choice
CHOICES: dict[str, Callable[..., np.ndarray]] = {
    "the noise's own words": FreshNoise.words,
    "the same for all rows": lambda noise, row, leaves: np.broadcast_to(np.arange(3, dtype=np.uint64), leaves.shape),
    "the same for two rows": lambda noise, row, leaves: CHOICE(noise, row, leaves)[np.arange(len(leaves)) // 2 * 2],
}


@pytest.mark.parametrize("choice", CHOICES)
def test_a_choice_of_features_that_is_not_random_is_caught(monkeypatch: pytest.MonkeyPatch, choice: str) -> None:
    """Where each record reports one of three features, choosing by used words, or none, or used ones again, shows."""
    monkeypatch.setattr(FreshNoise, "choice", CHOICES[choice])
    spec = spec_of(leaf_response(1.0), 3).to_json().replace('"epsilon": 1.0', '"epsilon": 1.0, "report_features": 1')
    found = audit(Spec.from_json(spec), n_draws=N, confidence=SURE, seed=1)
    assert found.caught


# ---------------------------------------------------------------------- what bounds promise, by enumeration
def test_the_bound_holds_as_often_as_promised() -> None:
    """Over all outcomes of two small samples, the bound exceeds the true log ratio with probability alpha at most."""
    n_first, n_second = 20, 30
    outcomes = list(product(range(n_first + 1), range(n_second + 1)))
    draws = np.array([n_first, n_second])
    bounds_at = {alpha: [epsilon_bound(np.array(hits), draws, alpha) for hits in outcomes] for alpha in (0.1, 0.5)}
    for (alpha, bounds), p, q in product(bounds_at.items(), (0.9, 0.5), (0.02, 0.3)):
        mass = np.outer(binom.pmf(range(n_first + 1), n_first, p), binom.pmf(range(n_second + 1), n_second, q))
        assert mass.ravel()[np.array(bounds) > math.log(p / q)].sum() <= alpha


def superuniform(p_values: Iterable[float], masses: Iterable[float]) -> bool:
    """Return whether no p-value a is reached or undercut with probability above a."""
    order = sorted(zip(p_values, masses, strict=True))
    total = np.cumsum([mass for _, mass in order])
    last = {p_value: mass for (p_value, _), mass in zip(order, total, strict=True)}
    return all(mass <= p_value * (1 + 1e-9) for p_value, mass in last.items())


def test_p_values_of_counts_hold() -> None:
    """Counts of draws with equal, and with different, probabilities have p-values that are never too small."""
    for probabilities in ([0.3] * 30, [0.02] * 30, list(np.linspace(0.05, 0.9, 30))):
        law = np.array([1.0])
        for p in probabilities:
            law = np.convolve(law, [1 - p, p])
        p_values = unlikely(np.arange(31), np.full(31, 30), np.full(31, np.mean(probabilities)))
        assert superuniform(p_values.tolist(), law.tolist())


def test_impossible_counts_have_no_probability() -> None:
    """A report that is stated never to come has p-value 0 if it comes, and 1 if it does not; so one that is certain."""
    counts, law = np.array([1, 0, 99, 100]), np.array([0.0, 0.0, 1.0, 1.0])
    assert unlikely(counts, np.full(4, 100), law).tolist() == [0.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize("p", [0.5, 0.1])
def test_p_values_of_dependence_hold(p: float) -> None:
    """Over all outcomes of twelve independent scores, neither test of dependence has p-values that are too small."""
    outcomes = np.array(list(product((0, 1), repeat=12)))
    masses = p ** outcomes.sum(axis=1) * (1 - p) ** (12 - outcomes.sum(axis=1))
    spread = np.full(12, p * (1 - p))
    along = [places_apart(scores, spread)[0] for scores in outcomes - p]
    across = [features_apart(s.reshape(4, 3), spread.reshape(4, 3))[0] for s in outcomes - p]
    assert superuniform(along, masses.tolist())
    assert superuniform(across, masses.tolist())


def test_scores_have_the_stated_moments() -> None:
    """Scores have mean 0 and the variance that goes with them, for every symbol of any law."""
    law = np.random.default_rng(1).dirichlet(np.ones(7), size=5)
    scores, variances = score_tables(law)
    assert np.abs((law * scores).sum(axis=2)).max() < 1e-12
    assert (law * scores**2).sum(axis=2) == pytest.approx(variances)


@pytest.mark.parametrize("shape", [(3, 6), (60, 5)])
def test_the_best_event_attains_epsilon(shape: tuple[int, int]) -> None:
    """With very many draws, the event that is chosen has the log ratio that is the epsilon of the matrix."""
    law = np.random.default_rng(2).dirichlet(np.full(shape[1], 2.0), size=shape[0])
    counts = np.rint(1e9 * law).astype(np.int64)
    event = best_event(counts, law, np.full((len(law), len(law)), 1e15), 1e-3)
    assert event is not None
    ratio = law[event.first, event.reports].sum() / law[event.second, event.reports].sum()
    assert math.log(ratio) == pytest.approx(pure_epsilon(law), abs=1e-4)


# ---------------------------------------------------------------------- refusals and output
@pytest.mark.parametrize(
    ("spec", "options", "path"),
    [
        (Spec(features=MIXED, depth=3), {}, "channel"),
        (spec_of(leaf_response(2.0)), {"feature": "y"}, "features"),
        (spec_of(leaf_response(12.0), depth=13), {}, "channel"),
    ],
)
def test_what_cannot_be_audited_is_refused(spec: Spec, options: dict[str, Any], path: str) -> None:
    """No channel, no such feature, or a matrix that is too large: a SpecError names the place."""
    with pytest.raises(SpecError) as refused:
        audit(spec, n_draws=1000, **options)
    assert refused.value.path == path


@pytest.mark.parametrize("options", [{"n_draws": 999}, {"n_draws": "a"}, {"confidence": 1.0}, {"confidence": 0.4}])
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    """Too few draws, and a confidence that is none, are refused."""
    with pytest.raises(ChannelError, match="must be"):
        audit(spec_of(leaf_response(2.0)), **options)


def test_the_command_prints_and_says_consistent(tmp_path: Any) -> None:
    """`hashcomb audit` prints the result as text or JSON, and ends with status 0."""
    path = str(tmp_path / "spec.toml")
    write_spec(spec_of(leaf_response(2.0)), path)
    options = [path, "--draws", "2000", "--seed", "1"]
    text = CliRunner().invoke(command, options)
    assert text.exit_code == 0
    assert "consistent" in text.stdout
    assert "epsilon claimed                2.0000\n" in text.stdout
    printed = json.loads(CliRunner().invoke(command, [*options, "--json"]).stdout)
    assert (printed["verdict"], printed["channels"][0]["draws"]) == ("consistent", 2000)


def test_the_command_refuses_a_broken_channel(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """A channel that is caught is printed with what failed, and the status is 1."""
    path = str(tmp_path / "spec.toml")
    write_spec(spec_of(leaf_response(1.0)), path)
    monkeypatch.setattr(RandomizedResponse, "sample", never_the_last)
    refused = CliRunner().invoke(command, [path, "--draws", "20000", "--seed", "1", "--feature", "x0"])
    assert refused.exit_code == 1
    assert "CAUGHT" in refused.stdout
    assert "ABOVE THE CLAIM" in refused.stdout
    assert "FAILED" in refused.stdout


def test_the_claim_at_a_coarser_level_is_that_of_its_nodes() -> None:
    """Tokens of half of the leaves claim less than reports of leaves do, and the audit holds them against that."""
    spec = Spec(features=MIXED[:1], depth=3, tokens=1, channel=response(epsilon=2.0))
    (channel,) = audit(spec, n_draws=20_000, confidence=SURE, seed=2).channels
    assert channel.claim == pytest.approx(math.log((math.exp(2.0) + 3) / 4), abs=1e-6)


def test_a_lower_confidence_certifies_more() -> None:
    """The bound uses the confidence that is asked for: less of it proves more from the same draws."""
    spec = spec_of(leaf_response(2.0))
    bounds = [audit(spec, n_draws=20_000, confidence=c, seed=5).channels[0].lower_bound for c in (SURE, 0.999, 0.6)]
    assert bounds == sorted(bounds)
    assert bounds[2] - bounds[0] > 0.05
