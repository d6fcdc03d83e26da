"""The documents: their blocks run, their links lead somewhere, and they name every command and option."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from hashcomb.cli.main import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r"^```(\w+) ?(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TO_RUN = [page for page in PAGES if re.search(r"^```(python|sh)\b", page.read_text(encoding="utf-8"), re.MULTILINE)]


def name_of(page: Path) -> str:
    """Return what stands for a page in the list of tests."""
    return str(page.relative_to(ROOT))


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore::hashcomb.errors.DataDependentSpecWarning")
@pytest.mark.parametrize("page", TO_RUN, ids=name_of)
def test_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page run in order, in one empty folder: Python, shell, and files by their names."""
    text = page.read_text(encoding="utf-8")
    if "openssl" in text and not shutil.which("openssl"):
        pytest.skip("the page makes certificates with openssl, which is not here")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    names: dict[str, object] = {"__name__": page.stem}
    for language, file, code in BLOCK.findall(text):
        if language == "python":
            exec(compile(code, name_of(page), "exec"), names)
        elif language == "sh":
            subprocess.run(["bash", "-euc", code], check=True, capture_output=True, timeout=120)
        elif file:
            Path(file).write_text(code, encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file of the repository."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def commands(group: click.Group, name: str) -> list[tuple[str, click.Command]]:
    """Return all commands with their full names."""
    found: list[tuple[str, click.Command]] = []
    for part, command in group.commands.items():
        full = f"{name} {part}"
        found += commands(command, full) if isinstance(command, click.Group) else [(full, command)]
    return found


@pytest.mark.parametrize(("name", "command"), commands(cli, "hashcomb"))
def test_reference_names_every_option(name: str, command: click.Command) -> None:
    """The page of the command line has a row for each command, with exactly its options."""
    page = (ROOT / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith(f"| `{name}"))
    options = {flag for option in command.params if isinstance(option, click.Option) for flag in option.opts}
    assert set(re.findall(r"`(--?[a-z-]+)`", row)) == options
