"""What the site does to pages: names of the library become links into the reference, names of files titles."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

__all__ = ("on_page_content", "on_page_markdown")

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "reference" / "api"


def _public_names() -> dict[str, str]:
    """Return where each public name is documented; the page that comes first in the alphabet but `hashcomb` itself."""
    found: dict[str, str] = {}
    modules = [re.search(r"^::: (\S+)", page.read_text(), re.MULTILINE) for page in sorted(PAGES.glob("*.md"))]
    for module in sorted((match[1] for match in modules if match), key=lambda name: (name.count("."), name)):
        found.setdefault(module, module)
        for name in _exported(module):
            found.setdefault(name, f"{module}.{name}")
            found.setdefault(f"{module}.{name}", f"{module}.{name}")
    return found


def _exported(module: str) -> tuple[str, ...]:
    stem = ROOT.joinpath(*module.split("."))
    file = stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return tuple(ast.literal_eval(node.value))
    return ()


_NAMES = _public_names()
_CODE = re.compile(r"(<pre.*?</pre>|<a .*?</a>|<h\d.*?</h\d>)|<code>([\w.]+)(\(\))?</code>", re.DOTALL)


def on_page_content(html: str, **_: Any) -> str:
    """Link names in the text of a page; not in blocks of code, headings and other links."""
    return _CODE.sub(_linked, html)


_FILE = re.compile(r"^```(\w+) (\S+)$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Show the name of a file above a block that has one, as the tests read it: three backticks, language, file."""
    return _FILE.sub(r'```\1 title="\2"', markdown)


def _linked(match: re.Match[str]) -> str:
    name = match[2]
    # A word such as `audit` means a command as often as a function: it takes a dot, a capital or a call.
    if name not in _NAMES or not (match[3] or "." in name or "_" in name or re.search("[A-Z]", name)):
        return match[0]
    return f'<autoref identifier="{_NAMES[name]}" optional>{match[0]}</autoref>'
