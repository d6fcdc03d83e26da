"""Shamir's sharing between owners, semi-honest with an honest majority, over MPyC's channels.

Multiplication is that of Ben-Or, Goldwasser and Wigderson (STOC 1988), with the degree reduction of Gennaro,
Rabin and Rabin (PODC 1998). Masks are sums of sharings that every owner deals, so they are uniform as long as
one owner is honest, and need no keys that grow with the number of subsets of owners.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hashcomb.errors import PartyAborted
from hashcomb.mpc.arithmetic.fields import Field, lagrange_at_zero
from hashcomb.mpc.transcript import Transcript

__all__ = ("Link", "Shamir")

Array = NDArray[Any]


class Link(Protocol):
    """What a protocol needs of the connections between owners."""

    names: Sequence[str]
    me: int
    owners: Sequence[int]
    threshold: int
    step: str
    transcript: Transcript

    @property
    def sees(self) -> bool:
        """Whether this participant is an owner, and learns what is opened; a helper is none."""

    async def exchange(self, payloads: Sequence[bytes] | bytes) -> list[bytes]:
        """Send one message to every participant, or the same to all; return one from each, in order."""

    async def among_owners(self, payload: bytes) -> list[bytes]:
        """Send the same message to all owners; return one from each, in the order of `owners`. Not at a helper."""

    async def publish(self, payload: bytes) -> list[bytes]:
        """Send the same message to all owners; an owner gets one from each participant, a helper nothing.

        What is published goes into the transcript.
        """

    async def brief(self, plan: bytes) -> bytes:
        """Tell the helpers what comes next; return the owners' plan, at a helper too.

        Raises
        ------
        PartyMismatch
            If two owners tell a helper different things.
        """


class Shamir:
    """Arithmetic on values that are shared between participants; number `i` holds the polynomial's value at ``i + 1``.

    Parameters
    ----------
    link : Link
        The connections.
    field : Field
        The field of the values.

    Notes
    -----
    Privacy: any `threshold` participants together see uniformly random shares; `open` shows exactly one value to
    all owners, by a sharing that is itself random. More colluders than the threshold see everything.
    """

    def __init__(self, link: Link, field: Field) -> None:
        self._link, self._field = link, field
        self.n_parties, self.threshold = len(link.names), link.threshold
        self._weights = lagrange_at_zero(field, range(1, 2 * self.threshold + 2))

    def split(self, values: Array, degree: int) -> Array:
        """Return shares of `values`, shape (n_parties, n), by fresh random polynomials of a degree."""
        field = self._field
        coefficients = field.random((degree, *values.shape))
        shares = np.empty((self.n_parties, *values.shape), dtype=field.dtype)
        for owner in range(self.n_parties):
            share = np.zeros_like(values)
            for coefficient in coefficients:
                share = field.scale(field.add(share, coefficient), owner + 1)
            shares[owner] = field.add(share, values)
        return shares

    async def deal(self, values: Array) -> Array:
        """Share this owner's values; return its shares of every owner's, shape (n_parties, n)."""
        return await self._send(self.split(values, self.threshold))

    async def deal_sum(self, values: Array) -> Array:
        """Share this owner's values; return its shares of the sum over all."""
        return self._field.sum(await self.deal(values))

    async def masks(self, count: int) -> tuple[Array, Array]:
        """Return shares of so many random values, by the threshold's degree, and of zeros by twice that.

        They depend on no data. Dealt for many openings at once, they cost a fraction of what they cost one by one.
        """
        field = self._field
        parts = (
            self.split(field.random((count,)), self.threshold),
            self.split(np.zeros(count, dtype=field.dtype), 2 * self.threshold),
        )
        got = await self._send(np.concatenate(parts, axis=1))
        random, zero = np.split(field.sum(got), 2)
        return random, zero

    async def reduce(self, products: Array) -> Array:
        """Bring shares of twice the threshold's degree, as local products are, back to it."""
        needed = range(2 * self.threshold + 1)
        payloads = [b""] * self.n_parties
        if self._link.me in needed:
            payloads = [row.tobytes() for row in self.split(products, self.threshold)]
        got = await self._link.exchange(payloads)
        return self._weigh(self._parse(got, products.shape, needed))

    async def multiply(self, a: Array, b: Array) -> Array:
        """Multiply shared values."""
        return await self.reduce(self._field.multiply(a, b))

    async def open(self, shares: Array) -> Array:
        """Show shared values, of at most twice the threshold's degree, to all owners; a helper gets zeros instead."""
        got = await self._link.publish(shares.tobytes())
        if not self._link.sees:
            return np.zeros_like(shares)
        return self._weigh(self._parse(got, shares.shape, range(2 * self.threshold + 1)))

    async def nonzero(self, shares: Array, random: Array, zero: Array) -> NDArray[np.bool_]:
        """Open whether shared values are nonzero, and nothing else.

        What is opened is ``random * value + zero``: uniform where the value is not 0. Without the sharing of
        zero, the product's polynomial could be factored and the value read from it.
        """
        field = self._field
        return np.asarray(await self.open(field.add(field.multiply(random, shares), zero)) != 0)

    # ------------------------------------------------------------------ messages
    async def _send(self, shares: Array) -> Array:
        """Send row `i` to owner `i`; return the row of every owner."""
        got = await self._link.exchange([row.tobytes() for row in shares])
        return self._parse(got, shares.shape[1:], range(self.n_parties))

    def _parse(self, got: list[bytes], shape: tuple[int, ...], owners: range) -> Array:
        field, size = self._field, int(np.prod(shape)) * self._field.dtype.itemsize
        for owner in owners:
            if len(got[owner]) != size:
                raise PartyAborted(
                    f"sent {len(got[owner])} bytes where {size} were due",
                    party=self._link.names[owner],
                    step=self._link.step,
                )
        rows = [np.frombuffer(got[owner], dtype=field.dtype).reshape(shape) for owner in owners]
        return field.reduce(np.stack(rows))

    def _weigh(self, rows: Array) -> Array:
        field = self._field
        weighed = [field.scale(row, weight) for row, weight in zip(rows, self._weights, strict=True)]
        return field.sum(np.stack(weighed))
