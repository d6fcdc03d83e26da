"""Encoding and decoding against the machine's own limit, and against other encoders.

The base is ``np.copyto`` of as many bytes as the output has, in the same run. It is glibc's copy, which on large
arrays writes past the cache; a plain compiled loop that copies cannot do that, and is shown beside it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numba
import numpy as np
from sklearn.preprocessing import KBinsDiscretizer

from benches.timing import Case, print_table, side_by_side
from hashcomb import HashComb, Key, Quantile, RandomizedResponse, Spec, Uniform, quantile_edges
from hashcomb.channels import SquareWave

N_FEATURES = 57
N_ROWS = 200_000
KEY = Key(bytes(range(32)))


@numba.njit
def loop_copy(source: Any, target: Any) -> None:
    """Copy in a plain compiled loop."""
    for i in range(source.size):
        target[i] = source[i]


def rows(n_rows: int = N_ROWS) -> np.ndarray:
    """Return rows of a standard normal distribution."""
    return np.random.default_rng(0).normal(size=(n_rows, N_FEATURES))


def codec(edges: str, depth: int, **rules: Any) -> HashComb:
    """Return a codec on one thread over 57 features."""
    sample = np.random.default_rng(1).normal(size=20_000)
    names = [f"f{j}" for j in range(N_FEATURES)]
    if edges == "uniform":
        features: tuple[Any, ...] = tuple(Uniform(name=name, lo=-4.0, hi=4.0) for name in names)
    else:
        cuts = tuple(quantile_edges(sample, 1 << depth))
        features = tuple(Quantile(name=name, lo=sample.min(), hi=sample.max(), edges=cuts) for name in names)
    return HashComb(Spec(features=features, depth=depth, **rules), KEY, n_threads=1)


def leaf_tokens() -> list[Case]:
    """Leaf tokens: 8 bytes in, 8 bytes out."""
    X = rows()
    source, target = X.view(np.uint64), np.empty(X.shape, dtype=np.uint64)
    cases: dict[str, Any] = {
        "np.copyto of the same bytes": lambda: np.copyto(target, source),
        "a compiled loop that copies": lambda: loop_copy(source.reshape(-1), target.reshape(-1)),
    }
    for edges in ("uniform", "quantile"):
        for depth in (4, 8):
            cases[f"leaf tokens, {edges}, depth {depth}"] = _encode(codec(edges, depth), X, target)
    cases["leaf tokens, uniform, depth 8, float32 in"] = _encode(codec("uniform", 8), X.astype(np.float32), target)
    return side_by_side(cases, X.size)


def _encode(encoder: HashComb, X: np.ndarray, out: np.ndarray) -> Any:
    return lambda: encoder.encode(X, out=out)


def randomized() -> list[Case]:
    """Randomized leaf tokens at depth 4, beside the deterministic ones of the same edges."""
    X = rows()
    target = np.empty(X.shape, dtype=np.uint64)
    ids = range(len(X) // 20)
    memo = Key(bytes(range(1, 33)))
    cases: dict[str, Any] = {}
    for edges in ("uniform", "quantile"):
        cases[f"deterministic, {edges}"] = _encode(codec(edges, 4), X, target)
        for name, channel in (
            ("randomized response, leaf", RandomizedResponse(2.0, depth="leaf")),
            ("randomized response, best depth", RandomizedResponse(2.0)),
            ("square wave (a table)", SquareWave(2.0)),
        ):
            encoder = codec(edges, 4, channel=channel.to_spec())
            cases[f"{name}, {edges}"] = _encode(encoder, X, target)
    part, some = X[: len(ids)], target[: len(ids)]
    remembered = codec("uniform", 4, channel=RandomizedResponse(2.0).to_spec())

    def memoized() -> None:
        for _ in range(20):
            remembered.encode(part, record_ids=ids, memo_key=memo, out=some)

    cases["randomized response, best depth, by record id"] = memoized
    return side_by_side(cases, X.size)


def all_levels() -> list[Case]:
    """All levels at depth 8: 8 bytes in, 64 bytes out."""
    X = rows(N_ROWS // 8)
    target = np.empty((*X.shape, 8), dtype=np.uint64)
    source = np.ones_like(target)
    cases: dict[str, Any] = {
        "np.copyto of the output's bytes": lambda: np.copyto(target, source),
        "a compiled loop that copies": lambda: loop_copy(source.reshape(-1), target.reshape(-1)),
    }
    for edges in ("uniform", "quantile"):
        cases[f"all levels, {edges}, depth 8"] = _encode(codec(edges, 8, tokens="comb"), X, target)
    return side_by_side(cases, X.size)


def decoding() -> list[Case]:
    """Tokens back to the centers of their leaves."""
    X = rows()
    source, target = X.copy(), np.empty_like(X)
    cases: dict[str, Any] = {"np.copyto of the same bytes": lambda: np.copyto(target, source)}
    for depth in (4, 8):
        encoder = codec("uniform", depth)
        tokens = np.asarray(encoder.encode(X))
        cases[f"decode, depth {depth}"] = lambda encoder=encoder, tokens=tokens: encoder.decode(tokens)
    return side_by_side(cases, X.size)


def against_kbins() -> list[Case]:
    """KBinsDiscretizer with 256 bins, beside leaf tokens at depth 8."""
    X = rows(N_ROWS // 4)
    target = np.empty(X.shape, dtype=np.uint64)
    cases: dict[str, Any] = {}
    for edges in ("uniform", "quantile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            options = {"quantile_method": "averaged_inverted_cdf"} if edges == "quantile" else {}
            bins = KBinsDiscretizer(256, encode="ordinal", strategy=edges, subsample=None, **options).fit(X[:20_000])
        encoder = codec(edges, 8)
        cases[f"leaf tokens, {edges}, depth 8"] = _encode(encoder, X, target)
        cases[f"KBinsDiscretizer, {edges}, 256 bins"] = lambda bins=bins: bins.transform(X)
    return side_by_side(cases, X.size, rounds=7)


PEER = """
import json, tempfile, time
from importlib.metadata import version
from pathlib import Path
import numpy as np
import hashcomb
values = np.random.default_rng(0).normal(size=30_000).clip(-3.99, 3.99)
encoder = hashcomb.Encoder(8, 4.0, -4.0, configPath=str(Path(tempfile.mkdtemp()) / "c.pkl"))
begun = time.process_time()
encoder.encodeArray(values)
print(json.dumps([version("hashcomb"), len(values) / (time.process_time() - begun)]))
"""


def against_the_papers_package() -> tuple[str, float] | None:
    """Install the PyPI package hashcomb in a throw-away environment; return its version and values a second."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "bin" / "python"
        try:
            subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
            pip = [str(python), "-m", "pip", "install", "--quiet", "hashcomb==1.0.0"]
            subprocess.run(pip, check=True, capture_output=True)
            done = subprocess.run([str(python), "-c", PEER], check=True, capture_output=True, text=True, cwd=folder)
        except subprocess.CalledProcessError:
            return None
    name, rate = json.loads(done.stdout)
    return str(name), float(rate)


def main() -> None:
    """Print the tables."""
    copy = "np.copyto"
    shape = f"{N_ROWS:,} x {N_FEATURES} float64, one thread, warm, output reused, CPU time, median of 15 rounds"
    leaf = leaf_tokens()
    print_table(f"Leaf tokens ({shape})", leaf, copy)
    print_table(f"Randomized leaf tokens at depth 4 ({shape})", randomized(), "deterministic, uniform")
    print_table(f"All levels ({N_ROWS // 8:,} rows, values counted once)", all_levels(), copy)
    print_table("Decoding", decoding(), copy)
    kbins = against_kbins()
    print_table("scikit-learn's KBinsDiscretizer.transform", kbins, "leaf tokens, uniform")
    for ours, theirs in (kbins[:2], kbins[2:]):
        print(f"\n{ours.name}: {theirs.seconds / ours.seconds:.0f} times faster than {theirs.name}")
    peer = against_the_papers_package()
    if peer is None:
        print("\nthe PyPI package hashcomb could not be installed here (no network?)")
        return
    for case in (kbins[0], kbins[2]):
        print(
            f"\n{case.name}: {case.values_per_s / peer[1]:,.0f} times faster than the PyPI package "
            f"hashcomb {peer[0]} at depth 8 ({peer[1]:,.0f} values/s)"
        )
