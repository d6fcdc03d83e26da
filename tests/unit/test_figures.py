"""Figures and pages of a Spec: their numbers are the report's, and their files need nothing else."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

from hashcomb import Categorical, RandomizedResponse, Spec, Uniform
from hashcomb.channels import Interval, LastHead
from hashcomb.cli.plot import plot
from hashcomb.cli.report import report
from hashcomb.errors import ChannelError, DataError, FileFormatError
from hashcomb.files import write_spec
from hashcomb.privacy import compose_spec
from hashcomb.reporting.curves import delta_curves, heat, renyi_curves
from hashcomb.reporting.drawing import _apart
from hashcomb.reporting.figures import FIGURES, draw, save_figure, to_svg
from hashcomb.reporting.page import html, save_page

FEATURES = tuple(Uniform(name=f"x{j}", lo=0.0, hi=1.0) for j in range(5))
NOISY = Spec(features=FEATURES, depth=3, channel=RandomizedResponse(1.0, depth="leaf").to_spec())
PLAIN = Spec(features=FEATURES, depth=2)
LAST = Spec(features=FEATURES, depth=2, channel=LastHead(0.3).to_spec())
LISTS = Spec(features=(Categorical(name="c", categories=("a", "b")),), depth=1, channel=NOISY.channel)
# What a browser would fetch; namespaces are names, and fragments are on the page.
FETCHES = re.compile(r"""(?:\bsrc|\bhref)\s*=\s*["'](?!\#|data:)|@import|url\((?!\#|["']?(?:\#|data:))|<script""")


def texts(figure: Any) -> str:
    """Return everything that is written in a figure."""
    return "\n".join(str(part.get_text()) for part in figure.findobj(lambda part: hasattr(part, "get_text")))


# ---------------------------------------------------------------------- numbers
def test_delta_curves_are_those_of_the_composition() -> None:
    """The tight curve has the composition's deltas and marks, falls, and lies left of Renyi and of the sum."""
    composed = compose_spec(NOISY, rounds=2)
    assert composed is not None
    tight, bound, summed = delta_curves(NOISY, 2, 1e-5)
    assert tight.x[0] == 0.0
    for epsilon, delta in list(zip(tight.x, tight.y, strict=True))[:-1]:
        assert composed.delta(epsilon) == pytest.approx(delta, rel=1e-6)
    assert tight.mark == composed.epsilon(1e-5)
    assert bound.mark == pytest.approx(composed.epsilon(1e-5, by="renyi"))
    assert list(tight.x) == sorted(tight.x)
    assert list(tight.y) == sorted(tight.y, reverse=True)
    for epsilon, delta in zip(bound.x, bound.y, strict=True):
        assert np.interp(epsilon, tight.x, np.log(tight.y)) <= math.log(delta) + 1e-3 or epsilon == summed.x[0]


def test_renyi_bounds_are_near_the_best_ones_and_not_below() -> None:
    """The drawn bound is at each delta that of the best order, from above and within half a percent."""
    composed = compose_spec(NOISY, rounds=2)
    assert composed is not None
    _, bound, _ = delta_curves(NOISY, 2, 1e-5)
    for epsilon, delta in zip(bound.x, bound.y, strict=True):
        best = composed.epsilon(delta, by="renyi")
        assert best <= epsilon + 1e-9
        assert epsilon <= 1.005 * best + 1e-3


def test_delta_curves_without_epsilon_stay_up() -> None:
    """For the paper's rule, delta of a record and of a value does not fall however large epsilon is."""
    record, value = delta_curves(LAST, 1, 1e-5)
    assert record.y == (1.0,) * 7
    assert value.y == pytest.approx((1.0,) * 7)


def test_renyi_curves_add_up() -> None:
    """A record's divergence is that of its five values at every order, and both rise to their epsilon."""
    value, record = renyi_curves(NOISY, 1)
    assert np.asarray(record.y) == pytest.approx(5 * np.asarray(value.y), rel=1e-6)
    assert value.y[-1] == pytest.approx(1.0, abs=0.01)
    assert list(value.y) == sorted(value.y)


def test_one_value_alone_has_one_curve() -> None:
    """Where a record is a single value, encoded once, it is drawn once."""
    single = Spec(features=FEATURES[:1], depth=3, channel=NOISY.channel)
    assert [curve.name for curve in renyi_curves(single, 1)] == ["one value"]
    assert [curve.name for curve in renyi_curves(single, 2)] == ["one value", "one record"]


def test_heat_is_the_matrix_of_the_channel() -> None:
    """All rows are shown of a small channel; of a large one, evenly spaced ones with the first and the last."""
    small = heat(NOISY)
    assert (small.matrix == RandomizedResponse(1.0, 8, depth="leaf").matrix()).all()
    large = heat(Spec(features=FEATURES, depth=12, channel=RandomizedResponse(1.0).to_spec()))
    assert large.matrix.shape == (256, 2)
    assert (large.symbols[0], large.symbols[-1]) == (0, 4095)
    with pytest.raises(ChannelError, match="too large"):
        heat(Spec(features=FEATURES, depth=12, channel=NOISY.channel))


# ---------------------------------------------------------------------- figures
@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_names_its_axes_and_its_lines(name: str) -> None:
    """Axes say what they show and in what unit; lines and the Spec are named in the figure itself."""
    figure = draw(NOISY, name, rounds=2)
    axes = figure.axes[0]
    assert axes.get_xlabel()
    assert axes.get_ylabel()
    named = {
        "epsilon-error": ("square wave", "this Spec", "% of the range", "nats"),
        "epsilon-information": ("randomized response", "this Spec", "bits", "nats"),
        "delta": ("tight", "by Renyi", "added up 10.00", "delta 1e-5", "2 rounds"),
        "renyi": ("one record", "one value", "nats"),
        "matrix": ("probability", "true leaf of x0"),
    }
    assert [words for words in named[name] if words not in texts(figure)] == []


def test_the_ring_stands_at_the_spec() -> None:
    """The Spec is drawn at its epsilon and the root of its error, above randomized response at its best depth."""
    axes = draw(NOISY, "epsilon-error").axes[0]
    ring = next(line for line in axes.lines if line.get_marker() == "o")
    assert ring.get_xdata()[0] == pytest.approx(1.0, abs=1e-6)
    kept = (math.e - 1) / (math.e + 7)
    assert ring.get_ydata()[0] == pytest.approx(100 * math.sqrt((1 - kept**2 * (1 - 1 / 64)) / 12), rel=1e-6)


def test_names_beside_a_figure_keep_apart() -> None:
    """Lines that end together have names that do not overlap, in their order, within the figure."""
    places = _apart([0.02, 0.02, 0.02, 0.5, 0.99, 0.99])
    assert np.diff(places).min() > 0.07
    assert places[0] > -0.01
    assert places[-1] < 1.01


@pytest.mark.parametrize(
    ("spec", "name", "what"),
    [
        (PLAIN, "delta", "deterministic"),
        (PLAIN, "renyi", "deterministic"),
        (PLAIN, "matrix", "deterministic"),
        (LAST, "renyi", "infinite"),
        (LISTS, "epsilon-error", "categories"),
        (NOISY, "histogram", "no figure"),
    ],
)
def test_figures_that_a_spec_does_not_have(spec: Spec, name: str, what: str) -> None:
    """What cannot be drawn is refused in words."""
    with pytest.raises(ChannelError, match=what):
        draw(spec, name)


@pytest.mark.parametrize(("kind", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_files_by_their_names_are_the_same_every_time(tmp_path: Path, kind: str, magic: bytes) -> None:
    """A figure is written in the format of its name, and twice in the same bytes."""
    for name in ("a", "b"):
        save_figure(draw(NOISY, "matrix"), tmp_path / f"{name}.{kind}")
    written = (tmp_path / f"a.{kind}").read_bytes()
    assert written.startswith(magic)
    assert written == (tmp_path / f"b.{kind}").read_bytes()


def test_other_names_are_refused(tmp_path: Path) -> None:
    """A name that is none of a figure is refused, and nothing is written."""
    with pytest.raises(FileFormatError, match=r"\.png"):
        save_figure(draw(NOISY, "matrix"), tmp_path / "figure.gif")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------- pages
@pytest.fixture(scope="module")
def page() -> str:
    """The page of a noisy Spec over two rounds, with an attack."""
    return html(NOISY, rounds=2, attack="names <all> rows")


def test_a_page_needs_nothing_else(page: str) -> None:
    """The page loads no file, runs no script, and holds all figures with parts of their own names."""
    assert FETCHES.search(page) is None
    assert page.count("<svg") == len(FIGURES)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'(?:xlink:href="#|url\(#)([^")]+)', page))
    assert used <= set(ids)


def test_the_search_for_fetches_finds_them() -> None:
    """The pattern of the test above matches what a browser would load."""
    for loads in ('<img src="a.png">', '<link href="https://a">', "@import 'a'", "url(http://a)", "<script>"):
        assert FETCHES.search(loads)


def test_a_page_answers_the_questions(page: str) -> None:
    """Epsilons over rounds, the cost of half, statements, assumptions and the attack are on the page, escaped."""
    for words in ("A record of 5 values, encoded 2 times, has epsilon 10.0000", "<td>half</td>", "tight"):
        assert words in page
    assert "Neighbors:" in page
    assert "not of a seed" in page
    assert "names &lt;all&gt; rows" in page


def test_names_of_features_are_text() -> None:
    """A column called like HTML or mathematics stays what it is."""
    features = (Uniform(name="<b>$x$ & $y$", lo=0.0, hi=1.0),)
    made = html(Spec(features=features, depth=1, channel=NOISY.channel))
    assert "<b>$x" not in made
    assert "&lt;b&gt;$x$ &amp; $y$" in made


@pytest.mark.parametrize(
    ("spec", "n_figures", "words"),
    [(PLAIN, 2, "no differential privacy"), (LAST, 4, "has no epsilon"), (LISTS, 4, "epsilon 1.0000")],
)
def test_pages_without_some_figures(spec: Spec, n_figures: int, words: str) -> None:
    """A Spec without a channel, without an epsilon or without numbers has the figures that make sense."""
    made = html(spec)
    assert made.count("<svg") == n_figures
    assert words in made


def test_a_single_category_tells_nothing() -> None:
    """A feature that can have one value only has a page without figures, and tokens of zero bits."""
    spec = Spec(features=(Categorical(name="c", categories=("a",)),), depth=1)
    made = html(spec)
    assert made.count("<svg") == 0
    assert '<td class="n">0.00</td>' in made


def test_features_that_are_alike_are_one_row() -> None:
    """Fifty-seven features of one kind are one row of the page, with their number."""
    features = tuple(Uniform(name=f"f{j}", lo=0.0, hi=1.0) for j in range(57))
    made = html(Spec(features=features, depth=1, channel=Interval(1.0).to_spec()))
    assert "f0 to f56" in made
    assert '<td class="n">57</td>' in made


def test_pages_are_written_whole(tmp_path: Path, page: str) -> None:
    """The file holds the page; without its folder, nothing is written."""
    save_page(page, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page
    with pytest.raises(OSError, match="no such folder"):
        save_page(page, tmp_path / "none" / "report.html")


# ---------------------------------------------------------------------- commands
@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs a command in a folder with noisy.toml and rows.csv, and gives its output."""
    monkeypatch.chdir(tmp_path)
    write_spec(NOISY, "noisy.toml")
    rng = np.random.default_rng(0)
    lines = [",".join(f"{value:.6f}" for value in rng.random(5)) + f",{rng.choice(['a', 'b'])}" for _ in range(80)]
    Path("rows.csv").write_text("x0,x1,x2,x3,x4,kind\n" + "\n".join(lines) + "\n")

    def call(command: click.Command, *arguments: str) -> str:
        return CliRunner().invoke(command, arguments, standalone_mode=False, catch_exceptions=False).output

    return call


def test_plot_writes_a_figure(run: Any) -> None:
    """The command writes the figure that is asked for, over the rounds and at the delta asked for."""
    out = run(plot, "noisy.toml", "-o", "d.svg", "--figure", "delta", "--rounds", "3", "--delta", "1e-6", "--json")
    assert '"figure": "delta"' in out
    written = Path("d.svg").read_text(encoding="utf-8")
    assert "delta 1e-6" in written
    assert "3 rounds" in written
    assert f"added up {15:.2f}" in written


def test_the_command_knows_all_figures() -> None:
    """The names that the command offers are those that can be drawn."""
    option = next(option for option in plot.params if option.name == "figure")
    assert isinstance(option.type, click.Choice)
    assert list(option.type.choices) == list(FIGURES)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("-o", "figure.gif"), FileFormatError),
        (("-o", "none/figure.png"), OSError),
        (("-o", "noisy.toml"), FileFormatError),
        (("-o", "f.png", "--delta", "nan", "--figure", "delta"), ChannelError),
        (("-o", "f.png", "--delta", "2"), click.BadParameter),
        (("-o", "f.png", "--rounds", "0"), click.BadParameter),
        (("-o", "f.png", "--figure", "pie"), click.BadParameter),
    ],
)
def test_plot_refuses(run: Any, arguments: tuple[str, ...], error: type[Exception]) -> None:
    """A wrong name, folder, delta, number of rounds or figure ends in an error of its own kind, and in no file."""
    with pytest.raises(error):
        run(plot, "noisy.toml", *arguments)
    assert not Path("f.png").exists()


def test_report_compares_attacks_and_writes_a_page(run: Any) -> None:
    """One command prints the report and the attack on one's own rows, and writes both as a page."""
    options = ("--what-if", "--attack", "rows.csv", "--label", "kind", "--html", "report.html")
    out = run(report, "noisy.toml", *options)
    assert "Error of other channels" in out
    assert "Attacks on randomized tokens" in out
    written = Path("report.html").read_text(encoding="utf-8")
    assert "Attacks on randomized tokens" in written


def test_report_as_one_document(run: Any) -> None:
    """With --json, the attack is a part of the report's document."""
    import json

    document = json.loads(run(report, "noisy.toml", "--json", "--attack", "rows.csv", "--drop", "kind"))
    assert document["record_epsilon"] == pytest.approx(5.0, abs=1e-6)
    assert document["attack"]["n_features"] == 5


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--html", "none/report.html"), OSError),
        (("--html", "noisy.toml"), FileFormatError),
        (("--html", "rows.csv", "--attack", "rows.csv"), FileFormatError),
        (("--label", "kind"), click.UsageError),
        (("--attack", "rows.csv", "--label", "x0"), DataError),
        (("--attack", "rows.csv"), DataError),
        (("--delta", "nan"), ChannelError),
        (("--delta", "0"), click.BadParameter),
    ],
)
def test_report_refuses(run: Any, arguments: tuple[str, ...], error: type[Exception]) -> None:
    """Outputs that would be lost or cannot be written, columns that do not fit and deltas that are none are refused."""
    with pytest.raises(error):
        run(report, "noisy.toml", *arguments)
    assert Path("rows.csv").read_text().startswith("x0,")


def test_a_missing_extra_says_how_to_get_it() -> None:
    """Without what the extra brings, figures and pages name it; the curves need nothing."""
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from hashcomb.errors import MissingExtraError\n"
        "import hashcomb.reporting.curves\n"
        "try:\n    import hashcomb.reporting.figures\n"
        "except MissingExtraError as error:\n    print(error.extra)\n"
        "del sys.modules['matplotlib']; sys.modules['jinja2'] = None\n"
        "try:\n    import hashcomb.reporting.page\n"
        "except MissingExtraError as error:\n    print(error.extra)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "plot\nplot\n"


def test_svg_parts_have_names_of_their_own() -> None:
    """Two copies of one figure on a page do not share a name."""
    figure = draw(NOISY, "matrix")
    first, second = (set(re.findall(r'\bid="([^"]+)"', to_svg(figure, name))) for name in ("one", "two"))
    assert first
    assert not first & second
