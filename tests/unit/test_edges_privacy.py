"""The report says what ranges and edges from counts with noise cost, and stays true where there is none."""

import json
from typing import Any

import pytest

from hashcomb import Categorical, EdgesNoise, PrivacyReport, Quantile, RandomizedResponse, Spec, Uniform
from hashcomb.privacy import NoisyCounts
from hashcomb.privacy.report.wording import upward
from hashcomb.reporting.page import html

AGE = Uniform(name="age", lo=0.0, hi=120.0)
NOISE = EdgesNoise(variance=900.0, n_counts=12, n_parts=3)
UNCOUNTED = "Edges, ranges, depth and Key are public to the owners; the report does not count what they tell."


def make(**changes: Any) -> Spec:
    """Return a Spec with edges from counts with noise, and with some fields changed."""
    return Spec(**{"features": (AGE,), "depth": 2, "edges_noise": NOISE, **changes})


@pytest.mark.parametrize("channel", [None, RandomizedResponse(1.0).to_spec()])
def test_report_has_both_epsilons_of_edges(channel: Any) -> None:
    """Figures, sentences, JSON and page give the epsilon of presence and of replacement, whatever the tokens cost."""
    spec = make(channel=channel)
    report = PrivacyReport.of(spec, delta=1e-6)
    counts = NoisyCounts(900.0, 12, 3)
    assert report.edges is not None
    assert report.edges.presence == counts.epsilon(1e-6)
    assert report.edges.replacement == counts.epsilon(1e-6, neighbors="replacement")
    one, two = upward(report.edges.presence), upward(report.edges.replacement)
    sentence = next(said for said in report.statements if one in said)
    assert two in sentence
    assert "against everybody and on top of what its tokens cost" in sentence
    document = json.loads(report.to_json())["edges"]
    assert document == {
        "variance": 900.0,
        "n_counts": 12,
        "n_parts": 3,
        "presence": report.edges.presence,
        "replacement": report.edges.replacement,
    }
    page = html(spec, delta=1e-6)
    for text in (report.to_text(), page):
        assert "Epsilon of edges and ranges, from counts with noise" in text
        assert text.count(one) >= 2
        assert text.count(two) >= 2
    assert max(map(len, report.to_text().splitlines())) <= 100


def test_what_edges_cost_is_counted_or_said_not_to_be() -> None:
    """Without noise the report says that edges are not counted, and names no epsilon of them; with it, neither."""
    without, counted = PrivacyReport.of(make(edges_noise=None)), PrivacyReport.of(make())
    assert without.edges is None
    assert UNCOUNTED in without.statements
    assert UNCOUNTED not in counted.statements
    assert "counts" not in " ".join((*without.statements, *without.assumptions)).replace("report does not count", "")
    assert "edges and ranges" not in html(make(edges_noise=None))
    assert any("At least 3 of the owners" in said and "12 counts" in said for said in counted.assumptions)
    assert not any("At least" in said for said in without.assumptions)


def test_a_randomized_spec_owns_up_to_what_it_was_chosen_by() -> None:
    """The Spec is not said to be chosen without looking at records where edges were counted."""
    channel = RandomizedResponse(1.0).to_spec()
    for noise, ending in ((None, "claimed here."), (NOISE, "but for edges and ranges, whose cost is said.")):
        assumed = PrivacyReport.of(make(channel=channel, edges_noise=noise)).assumptions
        assert sum(said.endswith(ending) for said in assumed) == 1


def test_lists_and_means_are_said_to_carry_no_noise() -> None:
    """Categories and means of leaves are not covered by the noise, and the report says so where there are any."""
    listed = Categorical(name="c", categories=("x", "y"))
    meant = Quantile(name="q", lo=0.0, hi=1.0, edges=(0.2, 0.5, 0.7), means=(0.1, 0.3, 0.6, 0.8))
    for features, n_said in (((AGE,), 0), ((AGE, listed), 1), ((meant,), 1), ((listed, meant), 2)):
        said = PrivacyReport.of(make(features=features)).statements
        assert sum("no noise; the report does not count what they tell" in sentence for sentence in said) == n_said


def test_noise_that_protects_nothing_has_no_epsilon() -> None:
    """Where no epsilon is found at the delta, the report has none and says so."""
    report = PrivacyReport.of(make(edges_noise=EdgesNoise(variance=2.0**-20, n_counts=4, n_parts=3)))
    assert report.edges is not None
    assert report.edges.presence is None
    assert json.loads(report.to_json())["edges"]["replacement"] is None
    assert any("no epsilon if it is added" in said for said in report.statements)
