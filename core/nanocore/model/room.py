"""How much room is made for tokens that are read: it grows with them, never with what a model declares it could read."""

from __future__ import annotations

FIRST = 256  # positions to begin with


def room(needed: int, most: int) -> int:
    """Positions to make room for: doubled from `FIRST` until they suffice, so that growing costs little; at most `most`."""
    size = FIRST
    while size < needed:
        size *= 2
    return min(size, most)
