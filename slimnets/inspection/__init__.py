"""What a network costs and how it is wired, read from its graph."""

from slimnets.inspection.counts import count_multiply_adds

__all__ = ["count_multiply_adds"]
