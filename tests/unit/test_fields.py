"""The two fields are fields, checked against Python's integers and against MPyC's own."""

import numpy as np
import pytest

from hashcomb.mpc.arithmetic.fields import BITS, COUNTS, Field, lagrange_at_zero
from hashcomb.mpc.network.guard import import_mpyc

P = (1 << 61) - 1
CORNERS = [0, 1, 2, P - 1, P - 2, (1 << 31) - 1, 1 << 31, 1 << 60]


def pairs() -> tuple[np.ndarray, np.ndarray]:
    """Return random elements and all pairs of corners."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, P, (2, 20_000), dtype=np.uint64)
    corners = np.array([(x, y) for x in CORNERS for y in CORNERS], dtype=np.uint64).T
    return np.concatenate([a, corners[0]]), np.concatenate([b, corners[1]])


def test_arithmetic_modulo_a_mersenne_prime() -> None:
    """Products and sums are those of Python's integers modulo 2**61 - 1."""
    a, b = pairs()
    ints = list(zip(a.tolist(), b.tolist(), strict=True))
    assert COUNTS.multiply(a, b).tolist() == [x * y % P for x, y in ints]
    assert COUNTS.add(a, b).tolist() == [(x + y) % P for x, y in ints]
    assert COUNTS.scale(a, P - 3).tolist() == [x * (P - 3) % P for x, _ in ints]
    assert COUNTS.sum(np.stack([a, b, a])).tolist() == [(2 * x + y) % P for x, y in ints]
    assert COUNTS.reduce(np.array([P, P + 1, 2**64 - 1], dtype=np.uint64)).tolist() == [0, 1, (2**64 - 1) % P]


def test_all_products_of_bytes_are_those_of_mpyc() -> None:
    """GF(2**8) is MPyC's field of that size and polynomial, all 65,536 products of it."""
    import_mpyc()
    from mpyc import finfields, gfpx

    field = finfields.GF(gfpx.GFpX(2)("x^8+x^4+x^3+x+1"))
    a, b = (grid.ravel().astype(np.uint8) for grid in np.meshgrid(np.arange(256), np.arange(256)))
    expected = [int((field(int(x)) * field(int(y))).value) for x, y in zip(a, b, strict=True)]
    assert BITS.multiply(a, b).tolist() == expected
    assert (BITS.add(a, b) == a ^ b).all()


@pytest.mark.parametrize("field", [COUNTS, BITS], ids=["counts", "bits"])
def test_inverse_and_scale(field: Field) -> None:
    """Every element but 0 times its inverse is 1."""
    for element in (1, 2, 3, 77, 255):
        assert field.times(element, field.inverse(element)) == 1
        one = np.array([1], dtype=field.dtype)
        assert field.scale(one, element).tolist() == [element]


@pytest.mark.parametrize("field", [COUNTS, BITS], ids=["counts", "bits"])
def test_interpolation_at_zero(field: Field) -> None:
    """The weights recover the constant of any polynomial whose degree is below the number of points."""
    points, coefficients = [1, 2, 3, 4, 5], [42, 7, 0, 200, 1]
    values = []
    for x in points:
        value = np.array([0], dtype=field.dtype)
        for coefficient in reversed(coefficients):
            value = field.add(field.scale(value, x), np.array([coefficient], dtype=field.dtype))
        values.append(value)
    weighed = [field.scale(v, w) for v, w in zip(values, lagrange_at_zero(field, points), strict=True)]
    assert field.sum(np.stack(weighed)).tolist() == [42]


@pytest.mark.parametrize("field", [COUNTS, BITS], ids=["counts", "bits"])
def test_random_elements_fill_the_field(field: Field) -> None:
    """Random elements are in the field and not all alike."""
    elements = field.random((3, 1000))
    assert elements.shape == (3, 1000)
    assert elements.dtype == field.dtype
    assert int(elements.max()) < field.order
    assert len(np.unique(elements)) > 200
