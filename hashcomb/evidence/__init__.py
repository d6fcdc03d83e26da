"""What models keep and attacks gain on tokens of given data, measured."""

__all__ = ()
