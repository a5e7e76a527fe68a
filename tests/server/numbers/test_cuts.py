"""Cuts between digits, and what may be a digit between them."""

from __future__ import annotations

import cv2
import numpy as np

from server.numbers.candidates import Candidates, find_candidates, model_inputs
from server.numbers.cuts import Cuts, find_cuts
from server.numbers.windows import windows

HEIGHT = 44.0


def strokes(*paths: list[tuple[int, int]], width: int = 100) -> np.ndarray:
    ink = np.zeros((48, width), np.uint8)
    for path in paths:
        cv2.polylines(ink, [np.array(path, np.int32)], False, 255, 4)
    return ink


def first_stroke(candidates: Candidates) -> int:
    """The candidate that is the whole of the first stroke: of the narrow ones at the left the most ink."""
    tall = np.where(candidates.boxes[:, 2] < 8, candidates.boxes[:, 3] * candidates.boxes[:, 2], 0)
    return int(np.where(candidates.starts == 0, tall, 0).argmax())


def left_of(ink: np.ndarray, cuts: Cuts, index: int) -> float:
    """The share of the ink that is on the left of a cut."""
    columns = np.arange(ink.shape[1])
    return float(ink[columns < cuts.columns[index][:, None]].sum() / ink.sum())


def test_the_first_and_the_last_cut_leave_everything_on_one_side() -> None:
    ink = strokes([(20, 4), (20, 44)])
    cuts = find_cuts(ink, HEIGHT)
    assert left_of(ink, cuts, 0) == 0
    assert left_of(ink, cuts, len(cuts.costs) - 1) == 1


def test_digits_whose_columns_overlap_are_parted_without_touching_ink() -> None:
    # Two slanted strokes: no column of paper is between them.
    ink = strokes([(20, 44), (50, 4)], [(40, 44), (70, 4)])
    assert ink[:, 20:70].max(axis=0).min() > 0
    cuts = find_cuts(ink, HEIGHT)
    free = [index for index in range(1, len(cuts.costs) - 1) if cuts.costs[index] < 3]
    assert any(abs(left_of(ink, cuts, index) - 0.5) < 0.02 for index in free)


def test_two_strokes_that_are_joined_are_cut_at_the_joint() -> None:
    ink = strokes([(15, 4), (15, 44)], [(15, 24), (75, 24)], [(75, 4), (75, 44)])
    cuts = find_cuts(ink, HEIGHT)
    crossing = [float(cost) for cost in cuts.costs[1:-1] if cost > 1]
    assert crossing
    assert min(crossing) < 8


def test_cuts_come_from_left_to_right() -> None:
    ink = strokes([(15, 4), (15, 44)], [(15, 24), (75, 24)], [(75, 4), (75, 44)])
    cuts = find_cuts(ink, HEIGHT)
    shares = [left_of(ink, cuts, index) for index in range(len(cuts.costs))]
    assert shares == sorted(shares)


def test_every_stretch_between_two_cuts_is_a_candidate_unless_it_is_too_wide() -> None:
    ink = strokes(*[[(x, 4), (x, 44)] for x in (10, 60, 110, 160)], width=180)
    cuts = find_cuts(ink, HEIGHT)
    candidates = find_candidates(ink, HEIGHT, cuts)
    widths = set(candidates.boxes[:, 2].tolist())
    assert any(width < 8 for width in widths)
    assert any(50 < width < 60 for width in widths)
    assert max(widths) <= 1.7 * HEIGHT


def test_a_candidate_is_normalised_without_its_neighbours() -> None:
    ink = strokes([(10, 4), (10, 44)], [(60, 4), (60, 44)])
    cuts = find_cuts(ink, HEIGHT)
    candidates = find_candidates(ink, HEIGHT, cuts)
    (image,) = model_inputs(ink, cuts, candidates, np.array([first_stroke(candidates)]))
    columns = np.flatnonzero(image.any(axis=0))
    assert columns[-1] - columns[0] < 4
    assert image.max() == 255


def test_a_window_shows_a_candidate_apart_from_what_is_around_it() -> None:
    ink = strokes([(10, 4), (10, 44)], [(26, 4), (26, 44)])
    cuts = find_cuts(ink, HEIGHT)
    candidates = find_candidates(ink, HEIGHT, cuts)
    seen = windows(ink, HEIGHT, 24.0, cuts, candidates)[first_stroke(candidates)]
    own, other = np.moveaxis(seen, -1, 0)
    assert own[16, 14:18].max() == 255
    assert own[16, 20:].max() == 0
    assert other[16, 20:26].max() == 255
