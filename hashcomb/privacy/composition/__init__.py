"""What several releases of one record cost together."""

from hashcomb.privacy.composition.total import MAX_TIMES, Composition, compose, compose_spec

__all__ = ("MAX_TIMES", "Composition", "compose", "compose_spec")
