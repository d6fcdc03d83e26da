"""Channels: randomizers of leaves, one a file, each a row-stochastic matrix with an exact epsilon."""

from hashcomb.channels.channel import Channel
from hashcomb.channels.geometric import Geometric
from hashcomb.channels.interval import Interval
from hashcomb.channels.last_head import LastHead
from hashcomb.channels.matrix import Matrix
from hashcomb.channels.of_spec import channels_of, describe, kind_of, kinds, register, reported_features
from hashcomb.channels.optimal import Optimal
from hashcomb.channels.poisson_binomial import PoissonBinomial
from hashcomb.channels.random_depth import RandomDepth
from hashcomb.channels.randomized_response import RandomizedResponse
from hashcomb.channels.rqm import RQM, rqm_inputs, rqm_law
from hashcomb.channels.square_wave import SquareWave

__all__ = (
    "RQM",
    "Channel",
    "Geometric",
    "Interval",
    "LastHead",
    "Matrix",
    "Optimal",
    "PoissonBinomial",
    "RandomDepth",
    "RandomizedResponse",
    "SquareWave",
    "channels_of",
    "describe",
    "kind_of",
    "kinds",
    "register",
    "reported_features",
    "rqm_inputs",
    "rqm_law",
)
