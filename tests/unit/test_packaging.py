"""The layout's promises: two links, light imports, public names, and who may import what."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hashcomb

ROOT = Path(__file__).parents[2]
SOURCES = [path for top in ("hashcomb", "mpc", "integrations") for path in (ROOT / top).rglob("*.py")]
OURS = [path for path in SOURCES if not path.is_relative_to(ROOT / "hashcomb" / "mpc")]
OURS = [path for path in OURS if not path.is_relative_to(ROOT / "hashcomb" / "integrations")]


def run(code: str) -> str:
    """Run Python in a new process."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_links_point_at_the_top_folders() -> None:
    """hashcomb/mpc and hashcomb/integrations are the folders on top."""
    for name in ("mpc", "integrations"):
        assert (ROOT / "hashcomb" / name).resolve() == ROOT / name


def test_import_is_light() -> None:
    """`import hashcomb` loads neither numba nor scikit-learn, torch, mpyc, nor NumPy."""
    heavy = "{'numba', 'sklearn', 'torch', 'mpyc', 'numpy', 'scipy', 'pyarrow', 'matplotlib', 'pandas', 'polars'}"
    assert run(f"import sys, hashcomb; print(sorted({heavy} & set(sys.modules)))") == "[]"
    assert run("import sys, hashcomb.mpc; print('mpyc' in sys.modules)") == "False"


def test_every_public_name_is_there() -> None:
    """What __all__ promises, dir() lists and access gives, with a docstring."""
    for name in hashcomb.__all__:
        assert name in dir(hashcomb)
        assert getattr(hashcomb, name).__doc__
    with pytest.raises(AttributeError):
        hashcomb.nothing  # noqa: B018 access is what is tested


def test_every_module_says_what_it_offers() -> None:
    """Modules outside kernels have a docstring and an __all__ whose names exist."""
    for info in pkgutil.walk_packages(hashcomb.__path__, "hashcomb."):
        module = importlib.import_module(info.name)
        assert module.__doc__, info.name
        if not info.name.startswith("hashcomb.kernels.") and info.name not in ("hashcomb.cli", "hashcomb.demo"):
            for name in module.__all__:
                assert hasattr(module, name), f"{info.name}.{name}"


def documented(path: Path) -> list[ast.AST]:
    """Return the public functions and classes of a file."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    tree = ast.parse(path.read_text())
    found = [node for node in ast.walk(tree) if isinstance(node, kinds) and not node.name.startswith("_")]
    return list(found)


def test_public_docstrings_name_what_is_raised() -> None:
    """A public function that raises an error of ours itself has a Raises section."""
    silent = []
    for path in OURS:
        if {"kernels", "demo", "cli"} & {*path.parts} or path.name in ("errors.py", "terminal.py"):
            continue
        for node in documented(path):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            raises = any(isinstance(inner, ast.Raise) and inner.exc is not None for inner in _own(node))
            text = ast.get_docstring(node) or ""
            if raises and not any(word in text for word in ("Raises", "raise `", "Raise `", "refuse", "Reraise")):
                silent.append(f"{path.name}:{node.name}")
    assert silent == []


def _own(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.AST]:
    """Return the nodes of a function without those of functions inside it."""
    own: list[ast.AST] = []
    stack: list[ast.AST] = list(node.body)
    while stack:
        inner = stack.pop()
        own.append(inner)
        if not isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            stack.extend(ast.iter_child_nodes(inner))
    return own


def imports(path: Path) -> set[str]:
    """Return the top-level modules that a file imports, by statement or by name to importlib."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("mpyc"):
            names.add("mpyc")
    return names


def test_nothing_is_pickled_and_mpyc_has_one_door() -> None:
    """No file of ours imports pickle, and only mpc/network/guard.py imports mpyc."""
    assert not [path for path in OURS if {"pickle", "cloudpickle", "dill", "shelve", "marshal"} & imports(path)]
    assert {path.name for path in OURS if "mpyc" in imports(path)} == {"guard.py"}


def test_version_is_one() -> None:
    """The version in the package is that of the installed distribution."""
    from importlib.metadata import version

    assert version("hashcomb-learn") == hashcomb.__version__


def test_a_missing_extra_says_how_to_get_it() -> None:
    """An adapter whose library is not installed names the extra."""
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from hashcomb.errors import MissingExtraError\n"
        "try:\n    import hashcomb.integrations.arrow\n"
        "except MissingExtraError as error:\n    print(error, error.extra)"
    )
    assert (
        run(code)
        == "this needs pyarrow; install the extra 'arrow': pip install '.[arrow]' in a clone of hashcomb arrow"
    )


def test_one_version_everywhere() -> None:
    """The package, how to cite it, and the newest heading of the changelog name the same version."""
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    changed = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert cited is not None
    assert changed is not None
    assert {cited[1], changed[1]} == {hashcomb.__version__}


def test_supported_pythons_are_the_ones_that_are_tried() -> None:
    """The versions of Python that the package names are those in which the build is tried."""
    named = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    tried = re.search(r"^for version in (.+); do$", (ROOT / ".ci" / "dist").read_text(), re.MULTILINE)
    assert tried is not None
    assert tried[1].split() == named
