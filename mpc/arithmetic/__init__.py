"""Arithmetic on shares: fields, Shamir's sharing, circuits, and the few things that owners open together."""

from hashcomb.mpc.arithmetic.shamir import Link, Shamir

__all__ = ("Link", "Shamir")
