"""Flower: federated learning on tokens, which the server counts without the key, and on sums."""

from __future__ import annotations

import warnings

from hashcomb.integrations import require

with warnings.catch_warnings():  # typer, of which Flower wants an old version, uses names that click is about to drop
    warnings.filterwarnings("ignore", r"'click\.utils\.", DeprecationWarning)
    require("flower", "flwr")

from hashcomb.integrations.flower.client import TokenMod
from hashcomb.integrations.flower.records import arrays_of, decode_record, record_of
from hashcomb.integrations.flower.server import TokenResult, TokenRound, TokenStrategy
from hashcomb.integrations.flower.sums import SumMod, SumSpec, SumStrategy, secagg_workflow

__all__ = (
    "SumMod",
    "SumSpec",
    "SumStrategy",
    "TokenMod",
    "TokenResult",
    "TokenRound",
    "TokenStrategy",
    "arrays_of",
    "decode_record",
    "record_of",
    "secagg_workflow",
)
