"""Boolean circuits on shared bits: the sign of a sum of numbers, one from each owner."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashcomb.errors import ProtocolError
from hashcomb.mpc._shamir import Shamir

__all__ = ("sum_is_negative",)

Array = NDArray[Any]


async def sum_is_negative(shamir: Shamir, mine: NDArray[np.int64], n_bits: int) -> NDArray[np.bool_]:
    """Open, for each of n sums over the owners, whether it is negative; and nothing else.

    Parameters
    ----------
    shamir : Shamir
        Arithmetic on bits.
    mine : ndarray of int64, shape (n,)
        This owner's terms.
    n_bits : int
        Length in which the sums have a two's complement, at most 63.

    Raises
    ------
    ProtocolError
        If what is opened is no bit: some owner did not follow the protocol.
    """
    bits = (mine[None, :] >> np.arange(n_bits)[:, None]) & 1
    terms = await shamir.deal(bits.astype(np.uint8))
    left, right = await _carry_save(shamir, terms)
    opened = await shamir.open(await _sign(shamir, left, right))
    if (opened > 1).any():
        raise ProtocolError("an answer is neither yes nor no: some owner did not follow the protocol")
    return np.asarray(opened == 1)


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
