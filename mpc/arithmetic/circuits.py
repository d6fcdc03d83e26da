"""Arithmetic on shares: the sign of a sum, the size of a tally, the winner of a vote."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb.mpc.arithmetic.fields import COUNTS
from hashcomb.mpc.arithmetic.shamir import Shamir

__all__ = ("at_least", "sign_of_sum", "undefeated")

Array = NDArray[Any]


# ---------------------------------------------------------------------- on shared bits
async def sign_of_sum(shamir: Shamir, mine: NDArray[np.int64], n_bits: int) -> Array:
    """Return shares of 1 where the sum over all participants is negative, and of 0 elsewhere.

    Parameters
    ----------
    shamir : Shamir
        Arithmetic on bits.
    mine : ndarray of int64, shape (n,)
        This participant's terms.
    n_bits : int
        Length in which the sums have a two's complement, at most 63.
    """
    bits = (mine[None, :] >> np.arange(n_bits)[:, None]) & 1
    left, right = await _carry_save(shamir, await shamir.deal(bits.astype(np.uint8)))
    return await _sign(shamir, left, right)


async def _carry_save(shamir: Shamir, terms: Array) -> Array:
    """Add terms of shape (n_terms, n_bits, n) until two are left, three by three, without passing carries on."""
    while len(terms) > 2:
        n_triples = len(terms) // 3
        x, y, z = terms[: 3 * n_triples].reshape(n_triples, 3, *terms.shape[1:]).swapaxes(0, 1)
        carry = x ^ await shamir.multiply(x ^ y, x ^ z)  # the majority of three bits, with one product
        moved = np.zeros_like(carry)
        moved[:, 1:] = carry[:, :-1]
        terms = np.concatenate([x ^ y ^ z, moved, terms[3 * n_triples :]])
    return terms


async def _sign(shamir: Shamir, left: Array, right: Array) -> Array:
    """Return shares of the highest bit of the sum, by a tree of (generate, propagate) pairs."""
    propagate, generate = left ^ right, await shamir.multiply(left[:-1], right[:-1])
    top, p, g = propagate[-1], propagate[:-1], generate
    while len(g) > 1:
        even = len(g) // 2 * 2
        p_low, p_high, g_low, g_high = p[0:even:2], p[1:even:2], g[0:even:2], g[1:even:2]
        both = await shamir.multiply(np.concatenate([p_high, p_high]), np.concatenate([g_low, p_low]))
        carried, passed = both[: len(p_high)], both[len(p_high) :]
        g = np.concatenate([g_high ^ carried, g[even:]])
        p = np.concatenate([passed, p[even:]])
    return np.asarray(top ^ g[0])


# ---------------------------------------------------------------------- on shared numbers
async def at_least(shamir: Shamir, count: Array, needed: int) -> Array:
    """Return shares of numbers that are 0 where a count, from 0 up, is below `needed`."""
    factors = [COUNTS.add(count, np.full_like(count, (COUNTS.order - below) % COUNTS.order)) for below in range(needed)]
    return await _product(shamir, np.array(factors))


async def undefeated(shamir: Shamir, tally: Array, n_owners: int) -> Array:
    """Return shares of numbers that are 0 for every choice but the one with the most votes, the first if several."""
    factors = _leads(tally, n_owners)
    return await _product(shamir, factors) if len(factors) else np.ones_like(tally)


async def _product(shamir: Shamir, factors: Array) -> Array:
    """Multiply along the first axis, two by two, in as few rounds as that takes."""
    while len(factors) > 1:
        even = len(factors) // 2 * 2
        products = await shamir.multiply(factors[0:even:2], factors[1:even:2])
        factors = np.concatenate([products, factors[even:]])
    return np.asarray(factors[0])


def _leads(tally: Array, n_owners: int) -> Array:
    """Return, for every choice, shares of numbers one of which is 0 if and only if another choice wins over it.

    The lead over another choice is a whole number from ``-n_owners`` to ``n_owners``. It must not be negative,
    and over an earlier choice not 0. For each lead that must not be there is the lead less that one: shape
    (n, n_choices).
    """
    n_choices, factors = len(tally), []
    for behind in range(1, n_choices):  # every choice against the one so many places before it, cyclically
        lead = COUNTS.add(tally, COUNTS.scale(np.roll(tally, behind), COUNTS.order - 1))
        # Over a later choice a lead of 0 is enough, and -1 is asked twice.
        least = np.where(np.arange(n_choices) >= behind, 0, 1)
        factors += [COUNTS.add(lead, np.maximum(missing, least).astype(np.uint64)) for missing in range(n_owners + 1)]
    return np.array(factors, dtype=np.uint64).reshape(-1, n_choices)
