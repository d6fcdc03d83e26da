"""Channels: randomizers of leaves, one a file, each a row-stochastic matrix with an exact epsilon."""

from hashcomb.channels.channel import Channel, channels_of, randomize, register
from hashcomb.channels.randomized_response import RandomizedResponse

__all__ = ("Channel", "RandomizedResponse", "channels_of", "randomize", "register")
