"""The site: built with warnings as errors, complete, and without a word to another host."""

import importlib
import os
import pkgutil
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import ClassVar

import pytest

import hashcomb.integrations

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
API = DOCS / "reference" / "api"
# Where the names of a module are; a module's page is the one that begins with it.
PAGE_OF = {
    found[1]: page.stem
    for page in sorted(API.glob("*.md"))
    if (found := re.search(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE))
}

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("site")]


class Page(HTMLParser):
    """What a page loads as it is shown, where its anchors are, and what it links to."""

    LOADS: ClassVar = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Collect from one tag."""
        named = dict(attributes)
        if named.get("id"):
            self.anchors.add(str(named["id"]))
        if self.LOADS.get(tag) in named and named.get("rel") != "canonical":
            self.loads.add(str(named[self.LOADS[tag]]))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site once, with warnings as errors."""
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[str, Page]:
    """Read all pages of the site."""
    return {str(path.relative_to(site)): Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


def test_every_document_is_a_page(pages: dict[str, Page]) -> None:
    """Each Markdown file has a page; that each is in the navigation is what a strict build checks."""
    expected = {str(path.relative_to(DOCS).with_suffix(".html")) for path in DOCS.rglob("*.md")}
    assert expected == set(pages) - {"404.html"}


def test_no_page_loads_anything_from_another_host(site: Path, pages: dict[str, Page]) -> None:
    """Scripts, styles, images and frames are files of the site, and styles load no other ones."""
    elsewhere = {(name, url) for name, page in pages.items() for url in page.loads if re.match(r"(\w+:)?//", url)}
    assert elsewhere == set()
    styles = "\n".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"url\(\s*[\"']?(?:https?:)?//[^)]*\)|@import[^;]*//[^;]*;", styles) == []


@pytest.mark.parametrize("module", sorted(PAGE_OF))
def test_every_public_name_is_documented(pages: dict[str, Page], module: str) -> None:
    """A module's page has an entry for each name in its `__all__`."""
    anchors = pages[f"reference/api/{PAGE_OF[module]}.html"].anchors
    public = importlib.import_module(module).__all__
    # A function in a module of its own name, as `hashcomb.mpc.agree`, has an entry with the longer path.
    missing = [name for name in public if not anchors & {f"{module}.{name}", f"{module}.{name}.{name}"}]
    assert missing == []


def test_every_adapter_and_every_module_that_pages_import_has_a_page() -> None:
    """The reference lacks no adapter, and nothing that the documents tell a reader to import."""
    adapters = {f"hashcomb.integrations.{info.name}" for info in pkgutil.iter_modules(hashcomb.integrations.__path__)}
    text = "\n".join(path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *DOCS.rglob("*.md")])
    imported = set(re.findall(r"^(?:from|import) (hashcomb[.\w]*)", text, re.MULTILINE))
    assert (adapters | imported) - set(PAGE_OF) == {"hashcomb.integrations"}


def test_names_in_the_text_lead_to_the_reference(site: Path) -> None:
    """A name of the library in a tutorial is a link to its entry."""
    html = (site / "tutorials" / "first-tokens.html").read_text(encoding="utf-8")
    assert re.search(r'<a [^>]*href="\.\./reference/api/hashcomb\.html#hashcomb\.learn_spec"', html)


def test_structures_show_their_fields(site: Path) -> None:
    """The reference shows how a structure is made, though its sources have no `__init__`."""
    html = (site / "reference" / "api" / "hashcomb.html").read_text(encoding="utf-8")
    entry = html[html.index('id="hashcomb.Uniform"') :]
    shown = re.sub(r"<[^>]+>", "", entry[entry.index("<pre") : entry.index("</pre>")])
    assert re.match(r"Uniform\(\s*name: str,\s*lo: float,\s*hi: float,", shown)


def test_learners_show_what_they_inherit(pages: dict[str, Page]) -> None:
    """The reference of the scikit-learn adapter has the methods that its classes share, `partial_fit` among them."""
    shown = {f"hashcomb.integrations.sklearn.ChannelNaiveBayes.{name}" for name in ("fit", "partial_fit", "predict")}
    assert shown <= pages["reference/api/sklearn.html"].anchors


def test_the_schema_can_be_downloaded(site: Path) -> None:
    """The JSON Schema of a Spec lies in the site as it is in the repository."""
    schema = Path("reference", "spec.schema.json")
    assert (site / schema).read_bytes() == (DOCS / schema).read_bytes()
