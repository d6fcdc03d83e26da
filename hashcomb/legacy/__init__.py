"""Configurations of the PyPI package `hashcomb`, the paper's own code: read without unpickling, made into Specs."""

from hashcomb.legacy.config import PypiConfig, read_config
from hashcomb.legacy.conversion import Conversion, Note, convert

__all__ = ("Conversion", "Note", "PypiConfig", "convert", "read_config")
