"""The order map is exact on all finite doubles."""

import numpy as np

from hashcomb.order import from_keys, to_keys

CORNERS = [0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -1.7976931348623157e308, 1.0]


def a_million_doubles() -> np.ndarray:
    """Return random bit patterns that are finite, and the corners."""
    bits = np.random.default_rng(0).integers(0, 2**64, 1_000_000, dtype=np.uint64)
    values = bits.view(np.float64)
    return np.concatenate([values[np.isfinite(values)], CORNERS])


def test_map_is_one_to_one_and_ordered() -> None:
    """Keys are ordered as the values, equal for equal values, never 0, and lead back exactly."""
    values = np.sort(a_million_doubles())
    keys = to_keys(values)
    assert (keys > 0).all()
    assert ((keys[1:] > keys[:-1]) == (values[1:] > values[:-1])).all()
    assert (from_keys(keys) == values).all()


def test_map_is_odd() -> None:
    """key(-x) = 2**64 - key(x), by which a minimum is a maximum."""
    values = a_million_doubles()
    assert (to_keys(-values) == np.uint64(0) - to_keys(values)).all()


def test_neighbors_have_neighboring_keys() -> None:
    """Between the keys of two adjacent doubles there is no key."""
    values = np.array([v for v in CORNERS if abs(v) < 1e308])
    assert (to_keys(np.nextafter(values, np.inf)) - to_keys(values) == 1).all()
