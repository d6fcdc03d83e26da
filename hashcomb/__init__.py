"""hashcomb: privacy-preserving encoding of training data, with every privacy claim exact for the code that ran.

Nothing heavy is imported before it is used: the public names load their modules on first access.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hashcomb.channels import Channel, RandomizedResponse
    from hashcomb.codec import HashComb
    from hashcomb.comb import Comb, quantile_edges
    from hashcomb.header import TokenArray, TokenHeader
    from hashcomb.keys import Key
    from hashcomb.learn import learn_spec
    from hashcomb.migration import Migration
    from hashcomb.placing import place
    from hashcomb.privacy import PrivacyReport
    from hashcomb.spec import Categorical, ChannelSpec, EdgesNoise, Quantile, Spec, Uniform

__version__ = "0.1.0"

_HOME = {
    "Categorical": "spec",
    "Channel": "channels",
    "ChannelSpec": "spec",
    "Comb": "comb",
    "EdgesNoise": "spec",
    "HashComb": "codec",
    "Key": "keys",
    "Migration": "migration",
    "PrivacyReport": "privacy",
    "Quantile": "spec",
    "RandomizedResponse": "channels",
    "Spec": "spec",
    "TokenArray": "header",
    "TokenHeader": "header",
    "Uniform": "spec",
    "learn_spec": "learn",
    "place": "placing",
    "quantile_edges": "comb",
}

__all__ = (
    "Categorical",
    "Channel",
    "ChannelSpec",
    "Comb",
    "EdgesNoise",
    "HashComb",
    "Key",
    "Migration",
    "PrivacyReport",
    "Quantile",
    "RandomizedResponse",
    "Spec",
    "TokenArray",
    "TokenHeader",
    "Uniform",
    "__version__",
    "learn_spec",
    "place",
    "quantile_edges",
)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"hashcomb.{_HOME[name]}"), name)
    raise AttributeError(f"module 'hashcomb' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
