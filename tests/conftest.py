"""What the tests share: a fixed Key, tables with every kind of value, and quiet about learned Specs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray

from hashcomb import Key, Spec, learn_spec
from hashcomb.errors import DataDependentSpecWarning

Floats = NDArray[np.float64]

# The same examples in every run: a failure is one that others can repeat.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


@pytest.fixture
def key() -> Key:
    """A Key that is the same in every run."""
    return Key(bytes(range(32)))


@pytest.fixture
def table() -> Floats:
    """Five hundred rows: a bell, a long tail, three values, a rare flag, a constant."""
    rng = np.random.default_rng(7)
    n = 500
    columns = [
        rng.normal(size=n),
        np.exp(2 * rng.normal(size=n)),
        rng.integers(0, 3, n),
        rng.random(n) < 0.03,
        np.full(n, 7.5),
    ]
    return np.column_stack(columns).astype(np.float64)


@pytest.fixture
def learn() -> Callable[..., Spec]:
    """learn_spec without its warning, which a test of its own expects."""

    def quietly(table: Any, **options: Any) -> Spec:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataDependentSpecWarning)
            return learn_spec(table, **options)

    return quietly
