"""The order of an experiment's runs: machine noise, which drifts, must fall on all variants alike."""

from __future__ import annotations

import itertools
import random

_RESTARTS = 8


def balanced(width: int, rows: int) -> list[list[int]]:
    """A permutation of range(width) for each of `rows` rows, in which every column is equally often early and late.

    An even number of rows balances exactly: places in the rows have the same sum for all columns, and each is in
    either slot of a pair of runs side by side equally often. With an odd number (three or more) the sums differ by
    at most 2, the slots by 1. Each row is run whole before the next. The same arguments give the same order.
    """
    draw = random.Random(0)
    if rows < 2:
        return [draw.sample(range(width), width) for _ in range(rows)]
    if rows % 2 == 0:
        return _mirrored(width, rows, draw)
    return _mirrored(width, rows - 3, draw) + _three(width, draw)


def _mirrored(width: int, rows: int, draw: random.Random) -> list[list[int]]:
    """Pairs of rows, a random permutation and its reverse: places add up to width - 1, slots are opposite."""
    order: list[list[int]] = []
    for row in range(rows):
        order.append(order[-1][::-1] if row % 2 else draw.sample(range(width), width))
    return order


def _three(width: int, draw: random.Random) -> list[list[int]]:
    """Three rows balanced as well as a few searches find."""
    found = []
    for _ in range(_RESTARTS):
        order = [draw.sample(range(width), width) for _ in range(3)]
        found.append((_improve(order, width), order))
    return min(found)[1]


def _improve(order: list[list[int]], width: int) -> int:
    """Swap two places within a row for as long as that balances better; the cost that is left."""
    cost, better = _cost(order, width), True
    while better:
        better = False
        for row, (a, b) in itertools.product(order, itertools.combinations(range(width), 2)):
            row[a], row[b] = row[b], row[a]
            changed = _cost(order, width)
            if changed < cost:
                cost, better = changed, True
            else:
                row[a], row[b] = row[b], row[a]
    return cost


def _cost(order: list[list[int]], width: int) -> int:
    """Squared distances from perfect balance, of places (early or late) and, four times, of slots (even or odd)."""
    place, slot = [0] * width, [0] * width
    for number, row in enumerate(order):
        for index, column in enumerate(row):
            place[column] += 2 * index - (width - 1)
            slot[column] += 1 if (number * width + index) % 2 else -1
    return sum(value * value for value in place) + 4 * sum(value * value for value in slot)
