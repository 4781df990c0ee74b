"""What a value that was drawn from a search space must be."""

from __future__ import annotations

from bench.results.tuning import is_range


def within(value, searched):
    """Whether it could be drawn."""
    return searched[0] <= value <= searched[1] if is_range(searched) else value in searched
