"""Sharing: what shares show, and what the opening of a product would show without a sharing of zero."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from hashcomb.mpc.arithmetic.fields import BITS, COUNTS, Field, lagrange_at_zero
from hashcomb.mpc.arithmetic.shamir import Shamir
from hashcomb.mpc.network.guard import import_mpyc

P = COUNTS.order
N = 3000


def engine(n_owners: int, field: Field) -> Shamir:
    """Return arithmetic without connections, for what an owner computes by itself."""
    names = [f"owner-{i}" for i in range(n_owners)]
    return Shamir(cast(Any, SimpleNamespace(names=names, me=0, threshold=(n_owners - 1) // 2)), field)


def recombine(field: Field, shares: np.ndarray) -> np.ndarray:
    """Return the value at 0 of the polynomial through all shares."""
    weights = lagrange_at_zero(field, range(1, len(shares) + 1))
    weighed = [field.scale(share, weight) for share, weight in zip(shares, weights, strict=True)]
    return field.sum(np.stack(weighed))


@pytest.mark.parametrize("n_owners", [3, 5, 10])
@pytest.mark.parametrize("field", [COUNTS, BITS], ids=["counts", "bits"])
def test_shares_recombine(field: Field, n_owners: int) -> None:
    """Threshold plus one shares give the values back, and so do all of them."""
    shamir, values = engine(n_owners, field), field.random((50,))
    shares = shamir.split(values, shamir.threshold)
    assert (recombine(field, shares[: shamir.threshold + 1]) == values).all()
    assert (recombine(field, shares) == values).all()


def test_mpyc_recombines_our_shares() -> None:
    """Shares made here are Shamir shares to MPyC's own recombination."""
    import_mpyc()
    from mpyc import finfields, thresha

    values = COUNTS.random((20,))
    shares = engine(5, COUNTS).split(values, 2)
    points = [(owner + 1, [int(v) for v in row]) for owner, row in enumerate(shares)]
    recombined = thresha.recombine(finfields.GF(P), points[1:4])
    assert [int(v) % P for v in recombined] == values.tolist()


@pytest.mark.statistical
def test_a_minority_of_shares_looks_random() -> None:
    """One owner of three sees the same distribution of shares for zeros and for ones.

    False-alarm rate: each of 256 counts of 256,000 shares lies within six standard deviations of its mean with
    probability above 1 - 2e-9, so a right sharing fails with probability below 1e-6 in all.
    """
    shamir = engine(3, BITS)
    for bit in (0, 1):
        shares = shamir.split(np.full(256_000, bit, dtype=np.uint8), 1)
        for owner in range(3):
            counts = np.bincount(shares[owner], minlength=256)
            assert np.abs(counts - 1000).max() < 6 * np.sqrt(1000)


# ---------------------------------------------------------------------- the attack on an opened product
def masked(secret: np.ndarray, with_zero: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return shares of the secret, and what three owners open to learn whether it is zero."""
    shamir = engine(3, COUNTS)
    shares = shamir.split(secret, 1)
    random = shamir.split(COUNTS.random(secret.shape), 1)
    zero = shamir.split(np.zeros_like(secret), 2) if with_zero else np.zeros((3, len(secret)), dtype=np.uint64)
    return shares, COUNTS.add(COUNTS.multiply(random, shares), zero)


def candidates(share: int, opened: list[int]) -> set[int]:
    """Factor the opened polynomial of degree two, as owner 1 can, and return the secrets that would explain it.

    If it is the product of two lines, one of them is the sharing of the secret: its root and the owner's own
    share give the line, and the line its value at 0.
    """
    (a, b, c), two = _coefficients(opened), pow(2, -1, P)
    square = (b * b - 4 * a * c) % P
    root = pow(square, (P + 1) // 4, P)  # p = 3 mod 4
    if root * root % P != square or a == 0:
        return set()
    zeros = [(-b + sign * root) * two * pow(a, -1, P) % P for sign in (1, -1)]
    return {share * -zero * pow(1 - zero, -1, P) % P for zero in zeros if zero != 1}


def _coefficients(values: list[int]) -> tuple[int, int, int]:
    """Return a, b, c of the polynomial a x**2 + b x + c through (1, y1), (2, y2), (3, y3)."""
    y1, y2, y3 = values
    a = (y1 - 2 * y2 + y3) * pow(2, -1, P) % P
    b = (y2 - y1 - 3 * a) % P
    return a, b, (y1 - a - b) % P


def success(with_zero: bool) -> float:
    """Return how often the attack names a secret count from 1 to 3, and no other in that range."""
    secret = np.random.default_rng(0).integers(1, 4, N).astype(np.uint64)
    shares, opened = masked(secret, with_zero)
    found = [candidates(int(shares[0, i]), opened[:, i].tolist()) & {1, 2, 3} for i in range(N)]
    return float(np.mean([guess == {int(value)} for guess, value in zip(found, secret, strict=True)]))


def test_without_a_sharing_of_zero_the_count_is_read_off() -> None:
    """The planted defect of MPyC's comparisons: factoring the opened product names the secret every time."""
    assert success(with_zero=False) > 0.99


def test_with_a_sharing_of_zero_nothing_is_read_off() -> None:
    """The opening that is used here explains every secret equally: the attack never succeeds."""
    assert success(with_zero=True) == 0.0


def test_the_opened_value_itself_is_masked() -> None:
    """What is opened is 0 for 0, and otherwise spread over the whole field."""
    secret = np.repeat(np.array([0, 1, 2], dtype=np.uint64), 1000)
    _, opened = masked(secret, with_zero=True)
    values = recombine(COUNTS, opened)
    assert not values[:1000].any()
    for part in (values[1000:2000], values[2000:]):
        assert len(np.unique(part)) == 1000
        assert part.min() < P // 100
        assert part.max() > P - P // 100
