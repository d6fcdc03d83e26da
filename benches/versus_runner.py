"""Time one case in a process of its own, in whatever environment has it: ``python -I versus_runner.py CASE ROWS``.

A script on its own: it imports NumPy, and the package that the case is about, and nothing else of this repository
(``-I`` keeps the folder of the script off the path). It prints JSON in its last line. Every time is CPU time, taken
in turn with ``np.copyto`` of all rows. What a peer does not do itself (placing values in leaves, turning them into
text or into lists of Python's numbers) is done for it outside the clock.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

LO, HI, EPSILON, BINS, REPORTS = -4.0, 4.0, 2.0, 256, 16
CALL_S, CASE_S, FIRST_ROWS = 0.3, 2.0, 64
COMPILED = 4_000_000  # values after which hashcomb-learn has compiled its loops, and the compiler has its memory

Work = Callable[[], Any]


# ---------------------------------------------------------------------- cases: rows in, what is timed out
def ours(edges: str = "uniform", depth: int = 8, *, reuse: bool = False, **channel: Any) -> Callable[[Any], Work]:
    """Return how hashcomb-learn encodes, on one thread."""

    def prepare(X: Any) -> Work:
        from hashcomb import HashComb, Key, Quantile, Spec, Uniform, quantile_edges  # noqa: PLC0415
        from hashcomb.channels import describe  # noqa: PLC0415

        names = [f"f{j}" for j in range(X.shape[1])]
        rules: dict[str, Any] = {}
        if channel:
            options = dict(channel)
            rules["channel"] = describe(options.pop("kind"), options.pop("own"), n_leaves=1 << depth, **options)
        features: tuple[Any, ...] = tuple(Uniform(name=name, lo=LO, hi=HI) for name in names)
        if edges == "quantile":
            cuts = tuple(quantile_edges(X[:20_000, 0], 1 << depth))
            features = tuple(Quantile(name=name, lo=LO, hi=HI, edges=cuts) for name in names)
        codec = HashComb(Spec(features=features, depth=depth, **rules), Key(bytes(range(32))), n_threads=1)
        out = np.asarray(codec.encode(X)).copy() if reuse else None
        for _ in range(COMPILED // X.size + 1):
            codec.encode(X)
        return lambda: codec.encode(X, out=out)

    return prepare


def bins(X: Any, n_bins: int) -> Any:
    """Return the number of each value's interval of equal width."""
    return np.minimum((X - LO) * (n_bins / (HI - LO)), n_bins - 1).astype(np.int64)


def papers(X: Any) -> Work:
    """Return how the paper's package encodes: an encoder for each column."""
    import hashcomb  # noqa: PLC0415

    path = str(Path(tempfile.mkdtemp(dir=Path.cwd())) / "configuration.pkl")  # it writes one whether wanted or not
    encoders = [hashcomb.Encoder(8, HI, LO, configPath=path) for _ in X.T]  # type: ignore[attr-defined]
    return lambda: [encoder.encodeArray(column) for encoder, column in zip(encoders, X.T, strict=True)]


def papers_randomized(X: Any) -> Work:
    """Return how the paper's package encodes at a random level: that of the last head."""
    import hashcomb  # noqa: PLC0415

    path = str(Path(tempfile.mkdtemp(dir=Path.cwd())) / "configuration.pkl")
    options = {"selectionProbability": 0.5, "configPath": path}
    encoders = [hashcomb.RandomizedEncoder(4, HI, LO, **options) for _ in X.T]  # type: ignore[attr-defined]
    return lambda: [encoder.encodeArray(column) for encoder, column in zip(encoders, X.T, strict=True)]


def kbins(strategy: str) -> Callable[[Any], Work]:
    """Return how scikit-learn bins."""

    def prepare(X: Any) -> Work:
        from sklearn.preprocessing import KBinsDiscretizer  # noqa: PLC0415

        options = {"quantile_method": "averaged_inverted_cdf"} if strategy == "quantile" else {}
        model = KBinsDiscretizer(BINS, encode="ordinal", strategy=strategy, subsample=None, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a few rows have fewer distinct values than bins
            model.fit(X[:20_000])
        return lambda: model.transform(X)

    return prepare


def feature_hasher(X: Any) -> Work:
    """Return how scikit-learn hashes text: one string for each value."""
    from sklearn.feature_extraction import FeatureHasher  # noqa: PLC0415

    words = [[f"f{j}={leaf}" for j, leaf in enumerate(row)] for row in bins(X, BINS).tolist()]
    hasher = FeatureHasher(input_type="string")
    return lambda: hasher.transform(words)


def hashing_encoder(X: Any) -> Work:
    """Return how category_encoders hashes categories, in one process."""
    import pandas as pd  # noqa: PLC0415
    from category_encoders import HashingEncoder  # noqa: PLC0415

    frame = pd.DataFrame(bins(X, BINS), columns=[f"f{j}" for j in range(X.shape[1])])
    encoder = HashingEncoder(cols=list(frame.columns), max_process=1).fit(frame.iloc[:FIRST_ROWS])
    return lambda: encoder.transform(frame)


def direct_encoding(X: Any) -> Work:
    """Return how pure-ldp randomizes one of 16 leaves: the same law as our randomized response."""
    from pure_ldp.frequency_oracles.direct_encoding import DEClient  # noqa: PLC0415

    client, leaves = DEClient(EPSILON, REPORTS), (bins(X, REPORTS).ravel() + 1).tolist()
    return lambda: [client.privatise(leaf) for leaf in leaves]


def local_hashing(X: Any) -> Work:
    """Return how pure-ldp hashes and randomizes one of 16 leaves, with the best number of hashes."""
    from pure_ldp.frequency_oracles.local_hashing import LHClient  # noqa: PLC0415

    client, leaves = LHClient(EPSILON, REPORTS, use_olh=True), (bins(X, REPORTS).ravel() + 1).tolist()
    return lambda: [client.privatise(leaf) for leaf in leaves]


def laplace(X: Any) -> Work:
    """Return how diffprivlib adds Laplace noise to a value of a known range."""
    from diffprivlib.mechanisms import Laplace  # noqa: PLC0415

    mechanism, values = Laplace(epsilon=EPSILON, sensitivity=HI - LO), X.ravel().tolist()
    return lambda: [mechanism.randomise(value) for value in values]


CASES: dict[str, Callable[[Any], Work]] = {
    "leaf": ours(),
    "leaf-reused": ours(reuse=True),
    "leaf-quantile": ours("quantile"),
    "leaf-quantile-reused": ours("quantile", reuse=True),
    "randomized": ours(depth=4, kind="randomized_response", own={"depth": "leaf"}, epsilon=EPSILON),
    "last-head": ours(depth=4, kind="last_head", own={"heads": 0.5}),
    "papers": papers,
    "papers-randomized": papers_randomized,
    "kbins-uniform": kbins("uniform"),
    "kbins-quantile": kbins("quantile"),
    "feature-hasher": feature_hasher,
    "hashing-encoder": hashing_encoder,
    "direct-encoding": direct_encoding,
    "local-hashing": local_hashing,
    "laplace": laplace,
}


# ---------------------------------------------------------------------- measuring
def seconds_of(work: Work) -> float:
    """Return the CPU seconds of one call, all threads together."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def enough(prepare: Callable[[Any], Work], X: Any) -> int:
    """Return how many rows keep a case busy for about a third of a second, or all of them."""
    n_rows = min(FIRST_ROWS, len(X))
    while True:
        work = prepare(X[:n_rows])
        work()
        taken = seconds_of(work)
        if taken > CALL_S / 20 or n_rows == len(X):
            return min(len(X), max(FIRST_ROWS, int(n_rows * CALL_S / max(taken, 1e-9))))
        n_rows = min(8 * n_rows, len(X))


def peak_bytes(work: Work) -> int | None:
    """Return by how much the most memory during a call exceeds what was held before; None where Linux cannot say."""
    gc.collect()
    status = Path("/proc/self/status")
    try:
        Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark to what is held now
        before = _held(status, "VmHWM")
        result = work()
        return _held(status, "VmHWM") - before if result is not None else None
    except OSError:
        return None


def _held(status: Path, name: str) -> int:
    (line,) = (line for line in status.read_text().splitlines() if line.startswith(name + ":"))
    return 1024 * int(line.split()[1])


def measure(case: str, X: Any) -> dict[str, Any]:
    """Return what a case takes: values a second, times ``np.copyto`` a value, bytes above its base a value."""
    copied = np.empty_like(X)
    n_rows = enough(CASES[case], X)
    rows = np.ascontiguousarray(X[:n_rows])
    work = CASES[case](rows)
    peak = peak_bytes(work)
    base, taken = [], []
    until = time.process_time() + CASE_S
    while len(taken) < 7 or (time.process_time() < until and len(taken) < 31):
        base.append(seconds_of(lambda: np.copyto(copied, X)) / X.size)
        taken.append(seconds_of(work) / rows.size)
    return {
        "n_rows": n_rows,
        "ratio": statistics.median(a / b for a, b in zip(taken, base, strict=True)),
        "values_per_s": 1 / statistics.median(taken),
        "copy_gb_s": 16e-9 / statistics.median(base),
        "peak_bytes": None if peak is None else peak / rows.size,
    }


def main() -> None:
    """Measure the case that is named, on the rows of a file."""
    case, path = sys.argv[1:]
    measured = measure(case, np.load(path))
    packages = {f"{found.name} {found.version}" for found in importlib.metadata.distributions()}
    packages = {package for package in packages if not package.startswith(("pip ", "setuptools "))}
    print(json.dumps({**measured, "python": platform.python_version(), "packages": sorted(packages, key=str.lower)}))


if __name__ == "__main__":
    main()
