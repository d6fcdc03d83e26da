"""Built, installed and used elsewhere: the wheel, the sdist, a read-only place, a fork."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("install")]
ROOT = Path(__file__).parents[2]

USE = """
import sys, numpy as np, hashcomb, hashcomb.mpc, hashcomb.integrations.sklearn
from hashcomb import HashComb, Key, Spec, Uniform
from hashcomb.kernels import compiled
codec = HashComb(Spec(features=(Uniform(name="a", lo=0.0, hi=1.0),), depth=4), Key(bytes(range(32))))
tokens = codec.encode(np.array([[0.3], [0.7]]))
out = np.empty(2, dtype=np.uint64)
compiled.siphash_words(out, out[:2].copy(), out)
print(hashcomb.__file__, *tokens.ravel().tolist())
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build sdist and wheel with what is installed, and return their folder."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel in a new environment that sees this one's packages but not this checkout."""
    folder = tmp_path_factory.mktemp("env")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "others.pth").write_text(
        packages + "\n"
    )  # its own .pth files, the checkout's link among them, are not read
    wheel = next(built.glob("*.whl"))
    pip = [
        str(folder / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--force-reinstall",
    ]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    return folder


def run(python: Path, code: str, cwd: Path, **environment: str) -> str:
    """Run code in a new process, away from the checkout."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "NUMBA"))}
    done = subprocess.run(
        [str(python), "-c", code],
        cwd=cwd,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wheel_holds_one_package_and_everything_in_it(built: Path) -> None:
    """One top-level name, the folders mapped into it, the demo's template, types, and the command."""
    names = zipfile.ZipFile(next(built.glob("*.whl"))).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"hashcomb"}
    wanted = {
        "mpc/agree.py",
        "integrations/sklearn/encoder.py",
        "demo/report.html.jinja",
        "py.typed",
        "kernels/combs.py",
    }
    assert {f"hashcomb/{name}" for name in wanted} <= set(names)
    assert len(names) == len(set(names))
    assert not [name for name in names if "__pycache__" in name or name.endswith((".key", ".csv"))]


def test_sdist_builds_the_same_wheel(built: Path, tmp_path: Path) -> None:
    """The wheel that comes from the sdist has the same files."""
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path)  # our own archive; Python 3.11.2 knows no filter yet
    (source,) = tmp_path.iterdir()
    assert not (source / "hashcomb" / "mpc").exists()
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(tmp_path), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    again, first = (zipfile.ZipFile(next(folder.glob("*.whl"))).namelist() for folder in (tmp_path, built))
    assert sorted(again) == sorted(first)


def test_installed_wheel_works(installed: Path, tmp_path: Path) -> None:
    """The package is used from the new environment, gives the known tokens, and brings the command."""
    where, *tokens = run(installed / "bin" / "python", USE, tmp_path).split()
    assert Path(where).is_relative_to(installed)
    assert len(set(tokens)) == 2
    done = subprocess.run([installed / "bin" / "hashcomb", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("hashcomb, version ")


def test_no_top_level_name_is_taken(installed: Path, tmp_path: Path) -> None:
    """The wheel installs no package called mpc or integrations."""
    code = "import importlib.util as u; print(u.find_spec('mpc'), u.find_spec('integrations'))"
    assert run(installed / "bin" / "python", code, tmp_path).split() == ["None", "None"]


def test_where_no_cache_can_be_written(installed: Path, tmp_path: Path) -> None:
    """With a read-only install and home, kernels compile in every process, and the tokens are the same."""
    python = installed / "bin" / "python"
    (kernels,) = installed.glob("lib/python*/site-packages/hashcomb/kernels")
    expected = run(python, USE, tmp_path).split()[1:]
    cache = kernels / "__pycache__"
    aside = kernels / "cache-aside"
    cache.rename(aside)
    cache.write_text("a file where the folder should be stands for a disk that cannot be written, for root too")
    try:
        assert run(python, USE, tmp_path, HOME="/dev/null", XDG_CACHE_HOME="/dev/null").split()[1:] == expected
    finally:
        cache.unlink()
        aside.rename(cache)


def test_a_forked_child_encodes(tmp_path: Path) -> None:
    """After threads have encoded in the parent, a forked child encodes with threads too, and does not hang."""
    code = """
import os, sys, numpy as np
from hashcomb import HashComb, Key, Spec, Uniform
spec = Spec(features=tuple(Uniform(name=f"f{j}", lo=0.0, hi=1.0) for j in range(50)), depth=4)
codec = HashComb(spec, Key(bytes(range(32))), n_threads=2)
rows = np.random.default_rng(0).random((60_000, 50))
expected = codec.encode(rows).sum()
child = os.fork()
if child == 0:
    os._exit(0 if codec.encode(rows).sum() == expected else 1)
print(os.waitpid(child, 0)[1])
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip() == "0"
