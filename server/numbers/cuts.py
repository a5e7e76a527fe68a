"""Where a line of ink may be cut: paths from its top to its bottom that cross as little ink as possible.

Between digits that stand apart such a path crosses none, however much their columns overlap; between digits
that touch it goes through the joint, where the stroke is thin. A path costs the ink of the links between
neighbouring pixels that it severs, so that a stroke costs its thickness, and a little for every step aside.
All the cheapest paths of a line are found at once by dynamic programming, from the top and from the bottom.
Where digits run deep into each other the cheapest path is no good one: nearly straight ones are found too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# What a step aside costs, of a fully inked pixel, and how far a path leans to the right. Supple paths go
# around ink; stiff ones, upright or leaning as writing does, go through where digits run into each other.
WAYS = ((0.04, 0.0), (1.5, 0.0), (1.5, 0.35))
# Paths are followed through every column at these heights of the line.
ANCHORS = (0.1, 0.3, 0.5, 0.7, 0.9)
# Paths are also followed through every second column: where digits run into each other, the best cut need not
# be cheaper than those beside it.
STEP = 2
# Of the line's digit height: no joint between two digits is as thick as this.
MAX_COST = 1.5
# Two cuts that part the ink alike are one; they differ by at least this share of the height squared, those
# through paper by less: a dot may be all that is between them.
MIN_DIFFERENCE, MIN_FREE_DIFFERENCE = 0.025, 0.003
# Of the height: what the way around ink may cost.
FREE = 0.05
# Cuts for each digit height of the line's width at most, the cheapest first.
DENSITY = 30


class Cuts(NamedTuple):
    """C cuts of a line of h rows, from left to right."""

    columns: NDArray[np.int32]
    """(C, h) int32: in each row, what is left of this column is left of the cut."""
    costs: NDArray[np.float32]
    """(C,) float32: the ink crossed, in pixels."""


def find_cuts(line: NDArray[np.uint8], height: float, density: float = DENSITY) -> Cuts:
    """The cuts of a line, (h, w) uint8, 0 = paper; the first and the last leave everything on one side.

    `height`: of its digits, in pixels. `density`: how many cuts for each digit height of the line's width.
    """
    ink: NDArray[np.float32] = np.divide(line, np.float32(255), dtype=np.float32)
    rows, width = ink.shape
    paths, costs = [], []
    for sidestep, lean in WAYS:
        shift = _shift(rows, lean)
        leaning = _leaning(ink, shift)
        for found, cost in _along(leaning, np.float32(sidestep), height):
            paths.append(np.clip(found - shift, 0, width))
            costs.append(cost)
    found, cost = np.concatenate(paths), np.concatenate(costs)  # (P, h), (P,)
    order = np.argsort(cost, kind="stable")
    most = int(density * width / height) + 2
    return _with_ends(_distinct(found[order], cost[order], ink, height, most), rows, width)


def _along(
    ink: NDArray[np.float32], sidestep: np.float32, height: float
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.float32]]]:
    """Paths, (P, h), and their costs, for each anchor."""
    rows, width = ink.shape
    severed = _severed(ink)
    down, from_above = _cheapest(severed, ink, sidestep)
    up, from_below = _cheapest(severed[::-1], ink[::-1], sidestep)
    up, from_below = up[::-1], from_below[::-1]
    through = down + up - severed  # (h, w + 1): the cheapest path through each point
    for anchor in ANCHORS:
        row = min(int(anchor * rows), rows - 1)
        columns = np.union1d(_valleys(through[row]), np.arange(0, width + 1, STEP))
        columns = columns[through[row, columns] < MAX_COST * height]
        yield _traced(columns, row, from_above, from_below), through[row, columns]


def _shift(rows: int, lean: float) -> NDArray[np.int32]:
    """(h,): how far each row moves to the right so that what leans to the right stands upright."""
    return np.asarray(np.rint(lean * np.arange(rows)), np.int32)


def _leaning(ink: NDArray[np.float32], shift: NDArray[np.int32]) -> NDArray[np.float32]:
    """The ink with its rows moved."""
    if not shift.any():
        return ink
    rows, width = ink.shape
    moved: NDArray[np.float32] = np.zeros((rows, width + int(shift.max())), np.float32)
    columns = np.arange(width) + shift[:, None]
    np.put_along_axis(moved, columns, ink, axis=1)
    return moved


def _severed(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w + 1): the ink of the link between the pixels left and right of each point."""
    links = np.zeros((ink.shape[0], ink.shape[1] + 1), np.float32)
    links[:, 1:-1] = np.minimum(ink[:, :-1], ink[:, 1:])
    return links


def _cheapest(
    severed: NDArray[np.float32], ink: NDArray[np.float32], sidestep: np.float32
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """The cost of the cheapest path from the first row to each point, and the step from the row before it.

    Steps are up to two columns aside; they sever the links between the rows, too.
    """
    rows, points = severed.shape
    costs = np.empty((rows, points), np.float32)
    steps = np.zeros((rows, points), np.int8)
    costs[0] = severed[0]
    far = np.float32(1e9)
    for row in range(1, rows):
        before = costs[row - 1]
        between = np.minimum(ink[row - 1], ink[row]) + sidestep  # (w,)
        best = before.copy()
        step = steps[row]
        pair = between[1:] + between[:-1]
        for aside, toll in ((1, between), (2, pair)):
            right = np.full(points, far)
            right[aside:] = before[:-aside] + toll
            left = np.full(points, far)
            left[:-aside] = before[aside:] + toll
            for other, direction in ((right, -aside), (left, aside)):
                is_better = other < best
                step[is_better] = direction
                np.minimum(best, other, out=best)
        costs[row] = best + severed[row]
    return costs, steps


def _valleys(costs: NDArray[np.float32]) -> NDArray[np.intp]:
    """The middles of the places that cost no more than both of their neighbours, plateaus being one place."""
    changes = np.flatnonzero(np.diff(costs) != 0) + 1
    starts = np.concatenate(([0], changes))
    ends = np.concatenate((changes, [len(costs)]))  # exclusive
    level = costs[starts]
    is_low_left = np.concatenate(([True], level[1:] <= level[:-1]))
    is_low_right = np.concatenate((level[:-1] <= level[1:], [True]))
    is_valley = is_low_left & is_low_right
    return (starts[is_valley] + ends[is_valley] - 1) // 2


def _traced(
    columns: NDArray[np.intp], row: int, from_above: NDArray[np.int8], from_below: NDArray[np.int8]
) -> NDArray[np.int32]:
    """(P, h) the whole paths that go through `columns` of `row`."""
    rows = len(from_above)
    paths = np.empty((len(columns), rows), np.int32)
    paths[:, row] = place = columns.astype(np.int32)
    for y in range(row, 0, -1):
        place = place + from_above[y, place]
        paths[:, y - 1] = place
    place = paths[:, row]
    for y in range(row, rows - 1):
        place = place + from_below[y, place]
        paths[:, y + 1] = place
    return paths


def _distinct(
    paths: NDArray[np.int32], costs: NDArray[np.float32], ink: NDArray[np.float32], height: float, most: int
) -> Cuts:
    """Of paths in the order of their cost those that part the ink unlike any cheaper one."""
    before = np.concatenate((np.zeros((len(ink), 1), np.float32), ink.cumsum(axis=1)), axis=1)
    left = before[np.arange(len(ink)), paths]  # (P, h): ink on the left of the path in each row
    mass = float(before[:, -1].sum())
    differences = np.where(costs < FREE * height, MIN_FREE_DIFFERENCE, MIN_DIFFERENCE) * height**2
    kept: list[int] = []
    for index, (own, difference) in enumerate(zip(left, differences.tolist(), strict=True)):
        total = float(own.sum())
        if not difference <= total <= mass - difference:
            continue  # it parts nothing
        if kept and float(np.abs(left[kept] - own).sum(axis=1).min()) < difference:
            continue
        kept.append(index)
        if len(kept) == most:
            break
    order = sorted(kept, key=lambda index: float(left[index].sum()))
    return Cuts(paths[order], costs[order])


def _with_ends(cuts: Cuts, rows: int, width: int) -> Cuts:
    columns = np.concatenate(
        (np.zeros((1, rows), np.int32), cuts.columns, np.full((1, rows), width, np.int32))
    )
    costs = np.concatenate(([0], cuts.costs, [0])).astype(np.float32)
    return Cuts(columns, costs)
